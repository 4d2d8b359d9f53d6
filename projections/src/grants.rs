//! The grants: by subject, by client, by session.

use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{
    AccessTokenForm, FrontChannelTokensIssued, GrantEvent, IssuedTokens, RevocationCause,
};
use chancery_domain::ids::AggregateKind;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::time::UnixTime;

use crate::{Change, ColumnType, Projection, Recorded, Table, Value};

/// One row for each grant.
pub static GRANTS: Table = Table {
    name: "grants",
    key: "grant_id",
    columns: &[
        ("grant_id", ColumnType::Id),
        ("client_id", ColumnType::Text),
        ("subject", ColumnType::Id),
        ("session_id", ColumnType::Id),
        // What was granted; before that, what was asked for.
        ("scope", ColumnType::Text),
        // As `Grant::stage` has it.
        ("state", ColumnType::Text),
        ("grant_type", ColumnType::Text),
        ("created_at", ColumnType::Int),
        ("updated_at", ColumnType::Int),
        // When the last of what was issued latest ends: request_uri, code, tokens.
        ("expires_at", ColumnType::Int),
        // Why it was revoked or declined, in a word; in the operator's words.
        ("cause", ColumnType::Text),
        ("reason", ColumnType::Text),
        // The positions of the events that bound it to its client, its person, their consent: a
        // cascade ends what was there before its cause, and not what came after.
        ("opened_position", ColumnType::Int),
        ("authenticated_position", ColumnType::Int),
        ("consented_position", ColumnType::Int),
        // How long its access lasts at most, from its making: see [`span`]. NULL before there
        // are tokens.
        ("span", ColumnType::Int),
        // When the last access token ends that resource servers read without asking (JWTs).
        ("jwt_until", ColumnType::Highest),
        // When something of it was last revoked: the grant itself, or an access token.
        ("withdrawn_at", ColumnType::Int),
        // The event that a cascade ended it for: `aggregate_type/aggregate_id/sequence`.
        ("ended_by", ColumnType::Text),
        // How long JWTs live on after a revocation: from `withdrawn_at` to `jwt_until`.
        ("outlives", ColumnType::Derived),
    ],
};

/// The lengths of access that are told apart, in seconds; the last class has no end. Which
/// grants gave access at some time is asked for class by class: those of a class began within
/// its length before that time, and at most half of them are looked at in vain.
pub const SPANS: [i64; 13] = {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    [
        HOUR,
        8 * HOUR,
        DAY,
        2 * DAY,
        4 * DAY,
        8 * DAY,
        16 * DAY,
        32 * DAY,
        64 * DAY,
        128 * DAY,
        256 * DAY,
        512 * DAY,
        i64::MAX,
    ]
};

/// The class of a grant that gives access until then.
#[must_use]
pub fn span(grant_id: &str, until: UnixTime) -> i64 {
    let lasts = made_at(grant_id).map_or(i64::MAX, |made| until.seconds().saturating_sub(made));
    let class = SPANS.iter().position(|length| lasts <= *length).unwrap_or(SPANS.len() - 1);
    i64::try_from(class).unwrap_or(i64::MAX)
}

/// When an id was made: those of version 7 begin with it (RFC 9562 §5.7).
fn made_at(grant_id: &str) -> Option<i64> {
    let milliseconds = grant_id.get(..12).filter(|_| grant_id.get(12..13) == Some("7"))?;
    i64::from_str_radix(milliseconds, 16).ok().map(|milliseconds| milliseconds.div_euclid(1000))
}

/// What the ids of grants that are made from then on begin with.
#[must_use]
pub fn made_from(moment: UnixTime) -> String {
    const LAST: i64 = (1 << 48) - 1;
    format!("{:012x}", moment.seconds().saturating_mul(1000).clamp(0, LAST))
}

/// See the module.
pub struct Grants;

impl Projection for Grants {
    fn name(&self) -> &'static str {
        "grants"
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&GRANTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Grant]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Grant(event) = &recorded.event else { return };
        let mut set = columns(event, recorded.position_value());
        set.extend(access(event, &recorded.id));
        set.extend(withdrawal(recorded, event));
        set.push(("updated_at", recorded.recorded_at().into()));
        changes.push(Change::put(&GRANTS, &recorded.id, set));
    }
}

type Columns = Vec<(&'static str, Value)>;

fn columns(event: &GrantEvent, position: Value) -> Columns {
    match event {
        GrantEvent::RequestPushed(event) => {
            let mut set = opened(&event.request, event.at, position);
            set.extend([("state", "pushed".into()), ("expires_at", event.expires_at.into())]);
            set
        }
        GrantEvent::RequestReceived(event) => {
            let mut set = opened(&event.request, event.at, position);
            set.push(("state", "requested".into()));
            set
        }
        GrantEvent::SubjectAuthenticated(event) => vec![
            ("state", "authenticated".into()),
            ("subject", event.authentication.subject.to_string().into()),
            ("session_id", event.authentication.session_id.map(|id| id.to_string()).into()),
            // The person may take their time.
            ("expires_at", Value::Null),
            ("authenticated_position", position),
        ],
        GrantEvent::ConsentGiven(event) => vec![
            ("state", "consented".into()),
            ("scope", event.scope.as_str().into()),
            ("consented_position", position),
        ],
        GrantEvent::RequestDeclined(event) => {
            vec![("state", "declined".into()), ("cause", word(&event.reason))]
        }
        GrantEvent::CodeIssued(event) => {
            vec![("state", "code_issued".into()), ("expires_at", event.expires_at.into())]
        }
        GrantEvent::FrontChannelTokensIssued(event) => by_browser(event),
        GrantEvent::CodeRedeemed(event) => {
            vec![("state", "active".into()), ("expires_at", end(&event.tokens).into())]
        }
        GrantEvent::RefreshTokenRotated(event) => vec![("expires_at", end(&event.tokens).into())],
        GrantEvent::RefreshTokenUsed(event) => vec![("expires_at", end(&event.tokens).into())],
        GrantEvent::TokensIssued(event) => {
            let authentication = event.authorization.authentication.as_ref();
            let session = authentication.and_then(|who| who.session_id);
            vec![
                ("client_id", event.authorization.client_id.as_str().into()),
                ("subject", authentication.map(|who| who.subject.to_string()).into()),
                ("session_id", session.map(|id| id.to_string()).into()),
                ("scope", event.authorization.scope.as_str().into()),
                ("state", "active".into()),
                ("grant_type", event.grant_type.as_str().into()),
                ("created_at", event.tokens.access.issued_at.into()),
                ("expires_at", end(&event.tokens).into()),
                ("authenticated_position", authentication.map(|_| position.clone()).into()),
                ("opened_position", position),
            ]
        }
        GrantEvent::GrantRevoked(event) => {
            let reason = match &event.cause {
                RevocationCause::RevokedByOperator { reason } => Some(reason.as_str()),
                _ => None,
            };
            vec![
                ("state", "revoked".into()),
                ("cause", cause(&event.cause).into()),
                ("reason", reason.into()),
            ]
        }
        GrantEvent::CodeReplayed(_)
        | GrantEvent::RefreshTokenReused(_)
        | GrantEvent::RefusalNoted(_)
        | GrantEvent::AccessTokenRevoked(_) => vec![],
    }
}

/// How far the access reaches that begins or goes on with this event.
fn access(event: &GrantEvent, grant_id: &str) -> Columns {
    let (until, jwt) = match (event.issued_tokens(), event.front_channel_tokens()) {
        (Some(tokens), _) => (Some(end(tokens)), Some(&tokens.access)),
        (None, Some(tokens)) => {
            let access = tokens.access.as_ref();
            let until = access.map(|access| access.expires_at);
            (until.or_else(|| tokens.id.as_ref().map(|id| id.expires_at)), access)
        }
        (None, None) => return vec![],
    };
    let jwt = jwt.filter(|access| matches!(access.form, AccessTokenForm::Jwt(_)));
    let mut set = vec![("span", until.map(|until| span(grant_id, until)).into())];
    set.extend(jwt.map(|access| ("jwt_until", access.expires_at.into())));
    set
}

/// What is revoked with this event, when and because of what.
fn withdrawal(recorded: &Recorded, event: &GrantEvent) -> Columns {
    match event {
        GrantEvent::GrantRevoked(event) => {
            let cause = recorded.envelope().ok().and_then(|envelope| envelope.causation_id);
            vec![("withdrawn_at", event.at.into()), ("ended_by", cause.into())]
        }
        GrantEvent::AccessTokenRevoked(_) => {
            vec![("withdrawn_at", recorded.happened_at().into())]
        }
        _ => vec![],
    }
}

fn opened(
    request: &chancery_domain::authorization::AuthorizationRequest,
    at: UnixTime,
    position: Value,
) -> Columns {
    let grant_type = if request.response_type.has_code() {
        GrantType::AuthorizationCode
    } else {
        GrantType::Implicit
    };
    vec![
        ("client_id", request.client_id.as_str().into()),
        ("scope", request.scope.as_str().into()),
        ("grant_type", grant_type.as_str().into()),
        ("created_at", at.into()),
        ("opened_position", position),
    ]
}

/// With a code beside them, the grant waits for that to be redeemed.
fn by_browser(event: &FrontChannelTokensIssued) -> Columns {
    let access = event.tokens.access.as_ref().map(|access| access.expires_at);
    if event.response_type.has_code() {
        return access.map(|end| vec![("expires_at", end.into())]).unwrap_or_default();
    }
    let end = access.or_else(|| event.tokens.id.as_ref().map(|id| id.expires_at));
    vec![("state", "active".into()), ("expires_at", end.into())]
}

/// When the last of these tokens ends.
fn end(tokens: &IssuedTokens) -> UnixTime {
    let access = tokens.access.expires_at;
    tokens.refresh.as_ref().map_or(access, |refresh| access.max(refresh.expires_at))
}

/// The cause in one word, as in the event.
#[must_use]
pub const fn cause(cause: &RevocationCause) -> &'static str {
    match cause {
        RevocationCause::CodeReplayed => "code_replayed",
        RevocationCause::RefreshTokenReused => "refresh_token_reused",
        RevocationCause::RevokedByClient => "revoked_by_client",
        RevocationCause::RevokedByOperator { .. } => "revoked_by_operator",
        RevocationCause::ConsentWithdrawn => "consent_withdrawn",
        RevocationCause::SessionEnded => "session_ended",
        RevocationCause::AccountLocked => "account_locked",
        RevocationCause::AccountErased => "account_erased",
        RevocationCause::ClientDisabled => "client_disabled",
    }
}

/// The one word that a value is in JSON.
pub(crate) fn word(value: &impl serde::Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AUTHENTICATION, DIGEST, Rows, SESSION, SUBJECT};

    const GRANT: &str = "0190c0ffee00700080000000000000aa";

    fn request() -> String {
        r#"{"client_id":"rp","redirect_uri":"https://rp.example/cb","response_type":"code",
            "scope":"openid email"}"#
            .to_owned()
    }

    fn tokens(access_until: i64, refresh_until: i64) -> String {
        format!(
            r#"{{"access":{{"number":1,"form":"opaque","scope":"openid","issued_at":30,
                "expires_at":{access_until}}},
                "refresh":{{"generation":1,"expires_at":{refresh_until}}}}}"#
        )
    }

    fn until_active() -> Rows {
        let mut rows = Rows::of(&Grants);
        let grant = &format!("grant/{GRANT}");
        let pushed = format!(
            r#"{{"request":{},"request_uri":"{DIGEST}","at":10,"expires_at":70}}"#,
            request()
        );
        rows.see(grant, "RequestPushed", &pushed);
        assert_eq!(rows.row("grants", GRANT)["state"], "pushed".into());
        assert_eq!(rows.row("grants", GRANT)["scope"], "openid email".into());
        rows.see(grant, "SubjectAuthenticated", AUTHENTICATION);
        assert_eq!(rows.row("grants", GRANT)["state"], "authenticated".into());
        assert_eq!(rows.row("grants", GRANT)["expires_at"], Value::Null);
        rows.see(grant, "ConsentGiven", r#"{"scope":"openid"}"#);
        assert_eq!(rows.row("grants", GRANT)["state"], "consented".into());
        let issued = format!(r#"{{"code":"{DIGEST}","at":20,"expires_at":80}}"#);
        rows.see(grant, "CodeIssued", &issued);
        assert_eq!(rows.row("grants", GRANT)["state"], "code_issued".into());
        let redeemed = format!(r#"{{"tokens":{}}}"#, tokens(330, 9000));
        rows.see(grant, "CodeRedeemed", &redeemed);
        rows
    }

    #[test]
    fn an_active_grant_knows_its_client_person_session_scope_and_end() {
        let rows = until_active();
        let row = rows.row("grants", GRANT);
        for (column, value) in [
            ("client_id", "rp".into()),
            ("subject", SUBJECT.into()),
            ("session_id", SESSION.into()),
            ("scope", "openid".into()),
            ("state", "active".into()),
            ("grant_type", "authorization_code".into()),
            ("created_at", 10.into()),
            ("expires_at", 9000.into()),
            ("cause", Value::Null),
            ("opened_position", 1.into()),
            ("authenticated_position", 2.into()),
            ("consented_position", 3.into()),
        ] {
            assert_eq!(row[column], value, "{column}");
        }
    }

    #[test]
    fn a_revoked_grant_says_why_and_keeps_the_rest() {
        let mut rows = until_active();
        rows.see(
            &format!("grant/{GRANT}"),
            "GrantRevoked",
            r#"{"cause":"revoked_by_operator","reason":"asked to","at":40}"#,
        );
        let row = rows.row("grants", GRANT);
        assert_eq!(row["state"], "revoked".into());
        assert_eq!(row["cause"], "revoked_by_operator".into());
        assert_eq!(row["reason"], "asked to".into());
        assert_eq!((&row["client_id"], &row["scope"]), (&"rp".into(), &"openid".into()));
    }

    #[test]
    fn a_rotation_moves_the_end() {
        let mut rows = until_active();
        let rotated = format!(r#"{{"tokens":{},"grace_until":40}}"#, tokens(600, 10_000));
        rows.see(&format!("grant/{GRANT}"), "RefreshTokenRotated", &rotated);
        let row = rows.row("grants", GRANT);
        assert_eq!((&row["state"], &row["expires_at"]), (&"active".into(), &10_000.into()));
    }

    /// OpenID Connect Core §3.2, §3.3
    #[test]
    fn tokens_by_the_browser_last_longer_than_the_code_beside_them() {
        let tokens = r#"{"access":{"number":1,"form":"opaque","scope":"openid","issued_at":20,
            "expires_at":320},"id":{"key":"k","issued_at":20,"expires_at":3620}}"#;
        let grant = &format!("grant/{GRANT}");
        for (response_type, grant_type, state, end) in [
            ("id_token token", "implicit", "active", 320),
            ("code token", "authorization_code", "code_issued", 320),
        ] {
            let mut rows = Rows::of(&Grants);
            let request = request().replace(r#""code""#, &format!("{response_type:?}"));
            rows.see(grant, "RequestReceived", &format!(r#"{{"request":{request},"at":10}}"#));
            if state == "code_issued" {
                let issued = format!(r#"{{"code":"{DIGEST}","at":20,"expires_at":80}}"#);
                rows.see(grant, "CodeIssued", &issued);
            }
            let event =
                format!(r#"{{"response_type":"{response_type}","tokens":{tokens},"at":20}}"#);
            rows.see(grant, "FrontChannelTokensIssued", &event);
            let row = rows.row("grants", GRANT);
            assert_eq!(row["grant_type"], grant_type.into());
            assert_eq!((&row["state"], &row["expires_at"]), (&state.into(), &end.into()));
        }
    }

    #[test]
    fn a_direct_grant_has_no_person() {
        let mut rows = Rows::of(&Grants);
        rows.see(
            &format!("grant/{GRANT}"),
            "TokensIssued",
            r#"{"grant_type":"client_credentials",
                "authorization":{"client_id":"rp","scope":"read"},
                "tokens":{"access":{"number":1,"form":"opaque","scope":"read","issued_at":30,
                    "expires_at":330}}}"#,
        );
        let row = rows.row("grants", GRANT);
        assert_eq!(row["grant_type"], "client_credentials".into());
        assert_eq!((&row["subject"], &row["session_id"]), (&Value::Null, &Value::Null));
        assert_eq!((&row["created_at"], &row["expires_at"]), (&30.into(), &330.into()));
        assert_eq!(row["state"], "active".into());
    }

    #[test]
    fn a_grant_is_of_the_shortest_class_that_its_access_fits_in() {
        // 0190c0ffee00 is 1 721 224 916 480 ms.
        let after = |seconds: i64| UnixTime::from_seconds(1_721_224_916 + seconds);
        for (seconds, class) in
            [(0, 0), (3600, 0), (3601, 1), (86_400, 2), (40 * 86_400, 8), (1_000_000_000, 12)]
        {
            assert_eq!(span(GRANT, after(seconds)), class, "{seconds}");
        }
        assert_eq!(span("00000000000000000000000000000000", after(0)), 12, "of an unknown age");
        assert!(GRANT.starts_with(&made_from(after(0))[..9]));
        assert!(made_from(after(0)).as_str() < GRANT && made_from(after(1)).as_str() > GRANT);
        assert_eq!(made_from(UnixTime::from_seconds(-5)), "000000000000");
    }

    #[test]
    fn a_token_that_ends_sooner_does_not_hide_one_that_ends_later() {
        let mut rows = until_active();
        let jwt = |until| tokens(until, 9000).replace(r#""opaque""#, r#"{"jwt":"k"}"#);
        let grant = &format!("grant/{GRANT}");
        assert_eq!(rows.row("grants", GRANT)["jwt_until"], Value::Null, "opaque tokens are asked");
        for until in [600, 500] {
            let rotated = format!(r#"{{"tokens":{},"grace_until":40}}"#, jwt(until));
            rows.see(grant, "RefreshTokenRotated", &rotated);
        }
        assert_eq!(rows.row("grants", GRANT)["jwt_until"], 600.into());
        rows.see(grant, "AccessTokenRevoked", r#"{"number":2,"expires_at":600}"#);
        assert_eq!(rows.row("grants", GRANT)["withdrawn_at"], 1000.into());
    }

    #[test]
    fn a_cascade_leaves_the_event_that_it_answers() {
        let mut rows = until_active();
        let envelope = r#"{"command_id":"0198f3a2c4d57e0fa1b2c3d4e5f60718","actor":"system",
            "occurred_at":"2026-01-01T00:00:00.000Z","causation_id":"client/rp/4"}"#;
        let revoked = ("GrantRevoked", r#"{"cause":"client_disabled","at":40}"#);
        rows.see_beside(&format!("grant/{GRANT}"), revoked, envelope);
        let row = rows.row("grants", GRANT);
        assert_eq!(row["ended_by"], "client/rp/4".into());
        assert_eq!((&row["withdrawn_at"], &row["span"]), (&40.into(), &0.into()));
    }

    #[test]
    fn a_declined_request_says_why() {
        let mut rows = Rows::of(&Grants);
        let grant = &format!("grant/{GRANT}");
        rows.see(grant, "RequestReceived", &format!(r#"{{"request":{},"at":10}}"#, request()));
        assert_eq!(rows.row("grants", GRANT)["state"], "requested".into());
        rows.see(grant, "RequestDeclined", r#"{"reason":"consent_denied"}"#);
        let row = rows.row("grants", GRANT);
        assert_eq!((&row["state"], &row["cause"]), (&"declined".into(), &"consent_denied".into()));
    }

    #[test]
    fn causes_have_the_names_of_the_events() {
        let reason = "r".to_owned();
        for revocation in [
            RevocationCause::CodeReplayed,
            RevocationCause::RefreshTokenReused,
            RevocationCause::RevokedByClient,
            RevocationCause::RevokedByOperator { reason },
            RevocationCause::ConsentWithdrawn,
            RevocationCause::SessionEnded,
            RevocationCause::AccountLocked,
            RevocationCause::AccountErased,
            RevocationCause::ClientDisabled,
        ] {
            let json = serde_json::to_value(&revocation).unwrap();
            assert_eq!(json["cause"], cause(&revocation));
        }
    }
}
