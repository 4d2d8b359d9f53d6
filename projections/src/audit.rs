//! What auditors look up that no other read model needs: which keys signed for
//! whom, and which credentials were seen in wrong hands.

use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, GrantEvent, IdTokenFacts, IdTokenKey,
};
use chancery_domain::ids::{AggregateKind, ClientId, KeyId};

use crate::grants::word;
use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each key and grant that has tokens signed by it.
pub static KEY_USES: Table = Table {
    name: "key_uses",
    key: "use_id",
    columns: &[
        // `key_id/grant_id`: by the key, and by its grants in order of their making.
        ("use_id", ColumnType::Text),
        ("client_id", ColumnType::Text),
    ],
};

/// One row for each genuine credential that was presented when or by whom it should not be.
pub static INCIDENTS: Table = Table {
    name: "incidents",
    key: "incident_id",
    columns: &[
        // Its position in the log, in sixteen hexadecimal digits.
        ("incident_id", ColumnType::Text),
        ("grant_id", ColumnType::Text),
        // Who presented it.
        ("client_id", ColumnType::Text),
        ("kind", ColumnType::Text),
        // Of the event, in the history of the grant.
        ("sequence", ColumnType::Int),
        // RFC 3339, by the clock of the node that decided.
        ("happened_at", ColumnType::Text),
    ],
};

/// A code was presented again.
pub const CODE_REPLAYED: &str = "code_replayed";

/// A refresh token was presented after it had been replaced.
pub const REFRESH_TOKEN_REUSED: &str = "refresh_token_reused";

/// See the module.
pub struct Audit;

impl Projection for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&KEY_USES, &INCIDENTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Grant]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Grant(event) = &recorded.event else { return };
        changes.extend(incident(recorded, event));
        let mut keys = signed_by(event);
        keys.dedup();
        if keys.is_empty() {
            return;
        }
        let client = client(recorded, event);
        for key in keys {
            let set = [("client_id", client.as_ref().map(ClientId::as_str).into())];
            changes.push(Change::put(&KEY_USES, &format!("{key}/{}", recorded.id), set));
        }
    }
}

/// The keys that signed what was issued with this event.
fn signed_by(event: &GrantEvent) -> Vec<&KeyId> {
    let (access, id) = match (event.issued_tokens(), event.front_channel_tokens()) {
        (Some(tokens), _) => (Some(&tokens.access), tokens.id.as_ref()),
        (None, Some(tokens)) => (tokens.access.as_ref(), tokens.id.as_ref()),
        (None, None) => (None, None),
    };
    access.and_then(access_key).into_iter().chain(id.and_then(id_key)).collect()
}

const fn access_key(token: &AccessTokenFacts) -> Option<&KeyId> {
    match &token.form {
        AccessTokenForm::Jwt(key) => Some(key),
        AccessTokenForm::Opaque => None,
    }
}

const fn id_key(token: &IdTokenFacts) -> Option<&KeyId> {
    match &token.signed_by {
        IdTokenKey::Key(key) => Some(key),
        IdTokenKey::Secret(_) => None,
    }
}

/// Whose tokens they are: mostly only the envelope knows.
fn client(recorded: &Recorded, event: &GrantEvent) -> Option<ClientId> {
    match event {
        GrantEvent::TokensIssued(event) => Some(event.authorization.client_id.clone()),
        _ => recorded.envelope().ok()?.client_id,
    }
}

fn incident(recorded: &Recorded, event: &GrantEvent) -> Option<Change> {
    let (kind, client): (Value, _) = match event {
        GrantEvent::CodeReplayed(event) => (CODE_REPLAYED.into(), &event.client_id),
        GrantEvent::RefreshTokenReused(event) => (REFRESH_TOKEN_REUSED.into(), &event.client_id),
        GrantEvent::RefusalNoted(event) => (word(&event.reason), &event.client_id),
        _ => return None,
    };
    let happened = recorded.envelope().ok().map(|envelope| envelope.occurred_at);
    let set = [
        ("grant_id", (*recorded.id).into()),
        ("client_id", client.as_str().into()),
        ("kind", kind),
        ("sequence", i64::try_from(recorded.sequence).unwrap_or(i64::MAX).into()),
        ("happened_at", happened.into()),
    ];
    Some(Change::put(&INCIDENTS, &format!("{:016x}", recorded.position), set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rows;

    const GRANT: &str = "grant/0190c0ffee00700080000000000000aa";
    const ENVELOPE: &str = r#"{"command_id":"0198f3a2c4d57e0fa1b2c3d4e5f60718",
        "occurred_at":"2026-01-01T00:00:00.000Z","actor":"client","client_id":"rp"}"#;

    fn tokens(access: &str, id: &str) -> String {
        format!(
            r#"{{"tokens":{{"access":{{"number":1,"form":{access},"scope":"openid","issued_at":30,
                "expires_at":330}},"id":{{{id},"issued_at":30,"expires_at":330}}}}}}"#
        )
    }

    #[test]
    fn each_key_that_signed_is_noted_once_for_each_grant() {
        let mut rows = Rows::of(&Audit);
        let same = tokens(r#"{"jwt":"k1"}"#, r#""key":"k1""#);
        rows.see_beside(GRANT, ("CodeRedeemed", &same), ENVELOPE);
        let row = rows.row("key_uses", "k1/0190c0ffee00700080000000000000aa");
        assert_eq!(row["client_id"], "rp".into());

        let mut rows = Rows::of(&Audit);
        let two = tokens(r#"{"jwt":"k1"}"#, r#""key":"k2""#);
        rows.see_beside(GRANT, ("CodeRedeemed", &two), ENVELOPE);
        for key in ["k1", "k2"] {
            assert!(rows.has("key_uses", &format!("{key}/0190c0ffee00700080000000000000aa")));
        }
    }

    #[test]
    fn what_no_key_of_ours_signed_is_no_use_of_one() {
        let mut rows = Rows::of(&Audit);
        let opaque = tokens(r#""opaque""#, r#""secret":"HS256""#);
        rows.see_beside(GRANT, ("CodeRedeemed", &opaque), ENVELOPE);
        assert!(rows.is_empty());
    }

    #[test]
    fn a_direct_grant_names_its_client_itself() {
        let mut rows = Rows::of(&Audit);
        rows.see(
            GRANT,
            "TokensIssued",
            r#"{"grant_type":"client_credentials",
                "authorization":{"client_id":"robot","scope":"read"},
                "tokens":{"access":{"number":1,"form":{"jwt":"k"},"scope":"read","issued_at":30,
                    "expires_at":330}}}"#,
        );
        let row = rows.row("key_uses", "k/0190c0ffee00700080000000000000aa");
        assert_eq!(row["client_id"], "robot".into());
    }

    #[test]
    fn an_incident_says_who_presented_what_and_when() {
        let mut rows = Rows::of(&Audit);
        for (name, payload, kind) in [
            ("CodeReplayed", r#"{"client_id":"rp"}"#, CODE_REPLAYED),
            ("RefreshTokenReused", r#"{"client_id":"rp","generation":2}"#, REFRESH_TOKEN_REUSED),
            ("RefusalNoted", r#"{"client_id":"rp","reason":"wrong_client"}"#, "wrong_client"),
        ] {
            let position = rows.see_beside(GRANT, (name, payload), ENVELOPE);
            let row = rows.row("incidents", &format!("{position:016x}"));
            assert_eq!(row["kind"], kind.into());
            assert_eq!(row["client_id"], "rp".into());
            assert_eq!(row["grant_id"], "0190c0ffee00700080000000000000aa".into());
            assert_eq!(row["happened_at"], "2026-01-01T00:00:00.000Z".into());
        }
    }
}
