//! What people allow clients, by pseudonym.

use chancery_domain::consent::ConsentEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;

use crate::{Change, ColumnType, Projection, Recorded, Table};

/// One row for each person and client.
pub static CONSENTS: Table = Table {
    name: "consents",
    key: "consent_id",
    columns: &[
        ("consent_id", ColumnType::Text),
        ("subject", ColumnType::Text),
        ("client_id", ColumnType::Text),
        // All that is allowed; empty once it was withdrawn.
        ("scope", ColumnType::Text),
        // `given` or `withdrawn`
        ("state", ColumnType::Text),
        // The grant whose consent page it was last.
        ("grant_id", ColumnType::Text),
        ("updated_at", ColumnType::Int),
    ],
};

/// See the module.
pub struct Consents;

impl Projection for Consents {
    fn name(&self) -> &'static str {
        "consents"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&CONSENTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Consent]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Consent(event) = &recorded.event else { return };
        let set = match event {
            ConsentEvent::ConsentRecorded(event) => vec![
                ("subject", event.subject.to_string().into()),
                ("client_id", event.client_id.as_str().into()),
                ("scope", event.scope.as_str().into()),
                ("state", "given".into()),
                ("grant_id", event.grant_id.to_string().into()),
                ("updated_at", event.at.into()),
            ],
            ConsentEvent::ConsentWithdrawn(event) => vec![
                ("scope", "".into()),
                ("state", "withdrawn".into()),
                ("updated_at", event.at.into()),
            ],
        };
        changes.push(Change::put(&CONSENTS, &recorded.id, set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Rows, SUBJECT};

    #[test]
    fn a_withdrawn_consent_allows_nothing() {
        let mut rows = Rows::of(&Consents);
        let recorded = format!(
            r#"{{"subject":"{SUBJECT}","client_id":"rp","scope":"openid email",
                "grant_id":"0190c0ffee00700080000000000000aa","at":5}}"#
        );
        rows.see("consent/c", "ConsentRecorded", &recorded);
        let row = rows.row("consents", "c");
        assert_eq!((&row["scope"], &row["state"]), (&"openid email".into(), &"given".into()));

        let withdrawn = format!(r#"{{"subject":"{SUBJECT}","client_id":"rp","at":9}}"#);
        rows.see("consent/c", "ConsentWithdrawn", &withdrawn);
        let row = rows.row("consents", "c");
        assert_eq!((&row["scope"], &row["state"]), (&"".into(), &"withdrawn".into()));
        assert_eq!((&row["client_id"], &row["updated_at"]), (&"rp".into(), &9.into()));

        rows.see("consent/c", "ConsentRecorded", &recorded);
        assert_eq!(rows.row("consents", "c")["state"], "given".into());
    }
}
