//! Who saw what is sealed of a person, when and why: the question that a person
//! may ask, and an auditor.

use chancery_domain::account::AccountEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;

use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each read.
pub static PERSONAL_DATA_READS: Table = Table {
    name: "personal_data_reads",
    key: "read_id",
    columns: &[
        // Its position in the log, in sixteen hexadecimal digits.
        ("read_id", ColumnType::Text),
        // Whose data it was.
        ("subject", ColumnType::Text),
        // Which operator saw it: `ada`, `client admin`, `account SUBJECT`.
        ("reader", ColumnType::Text),
        // The names of what was shown, with spaces between.
        ("what", ColumnType::Text),
        // In the reader's words.
        ("reason", ColumnType::Text),
        // Of the event, in the history of the account.
        ("sequence", ColumnType::Int),
        // RFC 3339, by the clock of the node that decided.
        ("happened_at", ColumnType::Text),
        // Milliseconds since 1970, by the clock of the store.
        ("recorded_at", ColumnType::Int),
    ],
};

/// See the module.
pub struct PersonalDataReads;

impl Projection for PersonalDataReads {
    fn name(&self) -> &'static str {
        "personal_data_reads"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&PERSONAL_DATA_READS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Account]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Account(AccountEvent::PersonalDataRead(event)) = &recorded.event else {
            return;
        };
        let envelope = recorded.envelope().ok();
        let reader = envelope.as_ref().and_then(|own| own.actor.reference.clone());
        let set = [
            ("subject", (&*recorded.id).into()),
            ("reader", reader.into()),
            ("what", event.what.join(" ").into()),
            ("reason", event.reason.as_str().into()),
            ("sequence", Value::Int(i64::try_from(recorded.sequence).unwrap_or(i64::MAX))),
            ("happened_at", envelope.map(|envelope| envelope.occurred_at).into()),
            ("recorded_at", recorded.recorded_at_ms.into()),
        ];
        let id = format!("{:016x}", recorded.position);
        changes.push(Change::put(&PERSONAL_DATA_READS, &id, set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DIGEST, Rows, SUBJECT};

    #[test]
    fn each_read_is_a_row_and_nothing_else_is() {
        let mut rows = Rows::of(&PersonalDataReads);
        let account = format!("account/{SUBJECT}");
        let registered = format!(r#"{{"subject":"{SUBJECT}","profile":"{DIGEST}","at":5}}"#);
        rows.see(&account, "AccountRegistered", &registered);
        let read = r#"{"what":["username","email"],"reason":"ticket 7","at":6}"#;
        rows.see(&account, "PersonalDataRead", read);
        let row = rows.row("personal_data_reads", "0000000000000002");
        assert_eq!(row["subject"], SUBJECT.into());
        assert_eq!((&row["what"], &row["reason"]), (&"username email".into(), &"ticket 7".into()));
        assert!(!rows.has("personal_data_reads", "0000000000000001"));
    }
}
