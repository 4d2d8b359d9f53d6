//! The accounts: who is registered, and may they log in? By pseudonym: names and
//! claims are sealed, and do not come here.

use chancery_domain::account::AccountEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;

use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each account.
pub static ACCOUNTS: Table = Table {
    name: "accounts",
    key: "subject",
    columns: &[
        ("subject", ColumnType::Text),
        // `active`, `locked`, `erasing` or `erased`
        ("state", ColumnType::Text),
        // Why it is locked or erased, in the operator's words.
        ("reason", ColumnType::Text),
        ("created_at", ColumnType::Int),
        ("updated_at", ColumnType::Int),
        ("password_set_at", ColumnType::Int),
    ],
};

/// The state of an account whose erasure has begun.
pub const ERASING: &str = "erasing";
/// The state of an account that was erased.
pub const ERASED: &str = "erased";

/// See the module.
pub struct Accounts;

impl Projection for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&ACCOUNTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Account]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Account(event) = &recorded.event else { return };
        let mut set = match event {
            AccountEvent::AccountRegistered(event) => {
                vec![("state", "active".into()), ("created_at", event.at.into())]
            }
            AccountEvent::PasswordSet(event) => vec![("password_set_at", event.at.into())],
            AccountEvent::PasswordReset(event) => vec![("password_set_at", event.at.into())],
            AccountEvent::ProfileReplaced(_)
            | AccountEvent::PasswordRehashed(_)
            | AccountEvent::PasswordResetRequested(_)
            | AccountEvent::SessionsDismissed(_)
            | AccountEvent::RolesReplaced(_)
            | AccountEvent::PersonalDataRead(_) => vec![],
            AccountEvent::AccountLocked(event) => {
                vec![("state", "locked".into()), ("reason", event.reason.as_str().into())]
            }
            AccountEvent::AccountUnlocked(_) => {
                vec![("state", "active".into()), ("reason", Value::Null)]
            }
            // Nobody had to write the reason of a lock so that it may stay.
            AccountEvent::ErasureRequested(event) => vec![
                ("state", ERASING.into()),
                ("reason", event.reason.as_str().into()),
                ("password_set_at", Value::Null),
            ],
            AccountEvent::AccountErased(_) => vec![("state", ERASED.into())],
        };
        set.push(("updated_at", recorded.recorded_at().into()));
        changes.push(Change::put(&ACCOUNTS, &recorded.id, set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DIGEST, Rows, SUBJECT};

    #[test]
    fn an_account_is_locked_until_it_is_unlocked() {
        let mut rows = Rows::of(&Accounts);
        let account = format!("account/{SUBJECT}");
        let registered = format!(r#"{{"subject":"{SUBJECT}","profile":"{DIGEST}","at":5}}"#);
        rows.see(&account, "AccountRegistered", &registered);
        rows.see(&account, "PasswordSet", &format!(r#"{{"hash":"{DIGEST}","at":6}}"#));
        rows.see(&account, "AccountLocked", r#"{"reason":"stolen"}"#);
        let row = rows.row("accounts", SUBJECT);
        assert_eq!((&row["state"], &row["reason"]), (&"locked".into(), &"stolen".into()));
        assert_eq!((&row["created_at"], &row["password_set_at"]), (&5.into(), &6.into()));

        rows.see(&account, "AccountUnlocked", "{}");
        let row = rows.row("accounts", SUBJECT);
        assert_eq!((&row["state"], &row["reason"]), (&"active".into(), &Value::Null));
    }

    #[test]
    fn of_an_erased_account_its_pseudonym_and_the_erasure_are_left() {
        let mut rows = Rows::of(&Accounts);
        let account = format!("account/{SUBJECT}");
        let registered = format!(r#"{{"subject":"{SUBJECT}","profile":"{DIGEST}","at":5}}"#);
        rows.see(&account, "AccountRegistered", &registered);
        rows.see(&account, "PasswordSet", &format!(r#"{{"hash":"{DIGEST}","at":6}}"#));
        rows.see(&account, "AccountLocked", r#"{"reason":"stolen"}"#);
        rows.see(&account, "ErasureRequested", r#"{"reason":"ticket 7","at":8}"#);
        let row = rows.row("accounts", SUBJECT);
        assert_eq!((&row["state"], &row["reason"]), (&ERASING.into(), &"ticket 7".into()));
        assert_eq!(row["password_set_at"], Value::Null);
        let erased = r#"{"data_keys":1,"sealed_values":2,"snapshots":0,"at":9}"#;
        rows.see(&account, "AccountErased", erased);
        let row = rows.row("accounts", SUBJECT);
        assert_eq!((&row["state"], &row["reason"]), (&ERASED.into(), &"ticket 7".into()));
    }

    #[test]
    fn nothing_of_the_profile_comes_here_not_even_its_commitment() {
        let mut rows = Rows::of(&Accounts);
        let registered = format!(r#"{{"subject":"{SUBJECT}","profile":"{DIGEST}","at":5}}"#);
        rows.see(&format!("account/{SUBJECT}"), "AccountRegistered", &registered);
        let row = rows.row("accounts", SUBJECT);
        assert!(row.values().all(|value| *value != Value::from(DIGEST)), "{row:?}");
    }
}
