//! The browser sessions of people, by pseudonym.

use chancery_domain::authorization::Authentication;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::session::SessionEvent;
use chancery_domain::time::UnixTime;

use crate::grants::word;
use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each session.
pub static SESSIONS: Table = Table {
    name: "sessions",
    key: "session_id",
    columns: &[
        ("session_id", ColumnType::Text),
        ("subject", ColumnType::Text),
        // `begun` or `ended`; one that has expired stays `begun`.
        ("state", ColumnType::Text),
        // Why it ended, in a word.
        ("cause", ColumnType::Text),
        ("acr", ColumnType::Text),
        // With a space between.
        ("amr", ColumnType::Text),
        ("created_at", ColumnType::Int),
        ("auth_time", ColumnType::Int),
        ("expires_at", ColumnType::Int),
        ("ended_at", ColumnType::Int),
        // The position of its first event: locking an account ends the sessions that were there.
        ("started_position", ColumnType::Int),
    ],
};

/// See the module.
pub struct Sessions;

impl Projection for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&SESSIONS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Session]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Session(event) = &recorded.event else { return };
        let set = match event {
            SessionEvent::SessionStarted(event) => {
                let mut set = authenticated(&event.authentication, event.expires_at);
                set.push(("state", "begun".into()));
                set.push(("created_at", recorded.recorded_at().into()));
                set.push(("started_position", recorded.position_value()));
                set
            }
            SessionEvent::SessionReauthenticated(event) => {
                authenticated(&event.authentication, event.expires_at)
            }
            SessionEvent::SessionEnded(event) => vec![
                ("state", "ended".into()),
                ("cause", word(&event.cause)),
                ("ended_at", event.at.into()),
            ],
            SessionEvent::BackchannelLogoutRequested(_)
            | SessionEvent::BackchannelLogoutDelivered(_)
            | SessionEvent::BackchannelLogoutFailed(_) => return,
        };
        changes.push(Change::put(&SESSIONS, &recorded.id, set));
    }
}

fn authenticated(who: &Authentication, expires_at: UnixTime) -> Vec<(&'static str, Value)> {
    vec![
        ("subject", who.subject.to_string().into()),
        ("acr", who.acr.as_str().into()),
        ("amr", who.amr.join(" ").into()),
        ("auth_time", who.auth_time.into()),
        ("expires_at", expires_at.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DIGEST, Rows, SESSION, SUBJECT};

    fn authentication(at: i64, until: i64) -> String {
        format!(
            r#"{{"subject":"{SUBJECT}","session_id":"{SESSION}","auth_time":{at},
                "acr":"1","amr":["pwd","otp"],"cookie":"{DIGEST}","expires_at":{until}}}"#
        )
    }

    #[test]
    fn a_session_is_renewed_and_ends() {
        let mut rows = Rows::of(&Sessions);
        let session = format!("session/{SESSION}");
        rows.see(&session, "SessionStarted", &authentication(10, 100));
        rows.see(&session, "SessionReauthenticated", &authentication(50, 150));
        let row = rows.row("sessions", SESSION);
        assert_eq!(row["started_position"], 1.into());
        assert_eq!((&row["subject"], &row["state"]), (&SUBJECT.into(), &"begun".into()));
        assert_eq!((&row["auth_time"], &row["expires_at"]), (&50.into(), &150.into()));
        assert_eq!(row["amr"], "pwd otp".into());

        rows.see(&session, "SessionEnded", r#"{"cause":"logged_out","at":60}"#);
        let row = rows.row("sessions", SESSION);
        assert_eq!((&row["state"], &row["cause"]), (&"ended".into(), &"logged_out".into()));
        assert_eq!((&row["ended_at"], &row["expires_at"]), (&60.into(), &150.into()));
    }
}
