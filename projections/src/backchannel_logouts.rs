//! Who is still to be told that a session has ended: a row for each client,
//! until it has been told or that is given up.

use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, ClientId};
use chancery_domain::session::SessionEvent;
use chancery_domain::time::UnixTime;

use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each client that is owed a notice.
pub static BACKCHANNEL_LOGOUTS: Table = Table {
    name: "backchannel_logouts",
    key: "notice_id",
    columns: &[
        // `session_id/client_id`
        ("notice_id", ColumnType::Text),
        ("session_id", ColumnType::Text),
        ("client_id", ColumnType::Text),
        // The number of the next attempt, and from when on it is due.
        ("attempt", ColumnType::Int),
        ("due_at", ColumnType::Int),
    ],
};

/// See the module.
pub struct BackchannelLogouts;

impl Projection for BackchannelLogouts {
    fn name(&self) -> &'static str {
        "backchannel_logouts"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&BACKCHANNEL_LOGOUTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Session]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Session(event) = &recorded.event else { return };
        let session = &*recorded.id;
        match event {
            SessionEvent::BackchannelLogoutRequested(event) => {
                let owed = event.clients.iter().map(|client| owed(session, client, 1, event.at));
                changes.extend(owed);
            }
            SessionEvent::BackchannelLogoutDelivered(event) => {
                changes.push(settled(session, &event.client_id));
            }
            SessionEvent::BackchannelLogoutFailed(event) => {
                changes.push(match event.next_attempt_at {
                    Some(due) => owed(session, &event.client_id, event.attempt + 1, due),
                    None => settled(session, &event.client_id),
                });
            }
            SessionEvent::SessionStarted(_)
            | SessionEvent::SessionReauthenticated(_)
            | SessionEvent::SessionEnded(_) => {}
        }
    }
}

fn key(session: &str, client: &ClientId) -> String {
    format!("{session}/{client}")
}

fn owed(session: &str, client: &ClientId, attempt: u32, due: UnixTime) -> Change {
    let set = [
        ("session_id", session.into()),
        ("client_id", client.as_str().into()),
        ("attempt", Value::Int(attempt.into())),
        ("due_at", due.into()),
    ];
    Change::put(&BACKCHANNEL_LOGOUTS, &key(session, client), set)
}

fn settled(session: &str, client: &ClientId) -> Change {
    Change::Remove { table: &BACKCHANNEL_LOGOUTS, key: key(session, client) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Rows, SESSION};

    #[test]
    fn a_notice_is_owed_until_it_is_delivered_or_given_up() {
        let mut rows = Rows::of(&BackchannelLogouts);
        let session = format!("session/{SESSION}");
        let [a, b] = ["a", "b"].map(|client| format!("{SESSION}/{client}"));
        let requested = r#"{"clients":["a","b"],"at":10}"#;
        rows.see(&session, "BackchannelLogoutRequested", requested);
        let row = rows.row("backchannel_logouts", &a);
        assert_eq!((&row["attempt"], &row["due_at"]), (&1.into(), &10.into()));
        let failed = r#"{"client_id":"a","attempt":1,"reason":"refused","status":500,"at":11,
            "next_attempt_at":16}"#;
        rows.see(&session, "BackchannelLogoutFailed", failed);
        let row = rows.row("backchannel_logouts", &a);
        assert_eq!((&row["attempt"], &row["due_at"]), (&2.into(), &16.into()));
        assert_eq!(row["client_id"], "a".into());
        assert_eq!(row["session_id"], SESSION.into());

        let delivered = r#"{"client_id":"b","attempt":1,"at":11}"#;
        rows.see(&session, "BackchannelLogoutDelivered", delivered);
        assert!(!rows.has("backchannel_logouts", &b));
        let given_up = r#"{"client_id":"a","attempt":2,"reason":"unreachable","at":17}"#;
        rows.see(&session, "BackchannelLogoutFailed", given_up);
        assert!(!rows.has("backchannel_logouts", &a));
    }
}
