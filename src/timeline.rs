//! Events in plain words: what happened, who did it, and why. For timelines on
//! the command line and on pages; nothing here is secret or personal.

use chancery_domain::account::{AccountEvent, Destroyed};
use chancery_domain::client::ClientEvent;
use chancery_domain::consent::ConsentEvent;
use chancery_domain::envelope::{ActorKind, Envelope};
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, DeclineReason, FrontChannelTokens, GrantEvent, IssuedTokens,
    RefusalReason, RevocationCause,
};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::registration_token::RegistrationTokenEvent;
use chancery_domain::scope_definition::ScopeDefinitionEvent;
use chancery_domain::sealed_log::SealedLogEvent;
use chancery_domain::session::{SessionEndCause, SessionEvent};
use chancery_domain::signing_key::SigningKeyEvent;
use chancery_domain::tally::TallyEvent;

use crate::clock::rfc3339;

/// What happened, as one plain sentence without a full stop.
#[must_use]
pub fn summary(event: &AnyEvent) -> String {
    match event {
        AnyEvent::Grant(event) => grant(event),
        AnyEvent::Client(event) => client(event),
        AnyEvent::Account(event) => account(event),
        AnyEvent::Session(event) => session(event),
        AnyEvent::Consent(event) => consent(event),
        AnyEvent::SigningKey(event) => signing_key(event),
        AnyEvent::RegistrationToken(event) => registration_token(event),
        AnyEvent::ScopeDefinition(event) => scope_definition(event),
        AnyEvent::Log(event) => sealed_log(event),
        AnyEvent::Tally(TallyEvent::WindowCounted(event)) => {
            let count: u64 = event.counts.iter().map(|count| count.count).sum();
            let seconds = event.length.seconds();
            format!("{count} refusals and failures were counted in {seconds} seconds")
        }
    }
}

/// Who did it: `client demo`, `operator ada`.
#[must_use]
pub fn actor(envelope: &Envelope) -> String {
    let actor = &envelope.actor;
    let kind = match actor.kind {
        ActorKind::Client => "client",
        ActorKind::Subject => "subject",
        ActorKind::Operator => "operator",
        ActorKind::System => "system",
    };
    let mut text = kind.to_owned();
    for (before, who) in [(" ", &actor.reference), (" for ", &actor.on_behalf_of)] {
        if let Some(who) = who {
            text.push_str(before);
            text.push_str(who);
        }
    }
    text
}

/// Why it was done, where that is known: the words given, or the event that it
/// answers.
#[must_use]
pub fn reason(event: &AnyEvent, envelope: &Envelope) -> Option<String> {
    let given = match event {
        AnyEvent::Grant(GrantEvent::GrantRevoked(event)) => Some(cause(&event.cause)),
        AnyEvent::Grant(GrantEvent::RequestDeclined(event)) => Some(declined(event.reason).into()),
        AnyEvent::Grant(GrantEvent::RefusalNoted(event)) => Some(refused(event.reason).into()),
        AnyEvent::Client(ClientEvent::ClientDisabled(event)) => Some(event.reason.clone()),
        AnyEvent::Account(AccountEvent::AccountLocked(event)) => Some(event.reason.clone()),
        AnyEvent::Account(AccountEvent::PersonalDataRead(event)) => Some(event.reason.clone()),
        AnyEvent::Account(AccountEvent::ErasureRequested(event)) => Some(event.reason.clone()),
        AnyEvent::Session(SessionEvent::SessionEnded(event)) => Some(ended(event.cause).into()),
        _ => None,
    };
    let answered = envelope.causation_id.as_ref().map(|id| format!("after {id}"));
    match (given.filter(|words| !words.is_empty()), answered) {
        (Some(given), Some(answered)) => Some(format!("{given} ({answered})")),
        (given, answered) => given.or(answered),
    }
}

fn grant(event: &GrantEvent) -> String {
    match event {
        GrantEvent::RequestPushed(event) => {
            let request = &event.request;
            format!("{} pushed a request for {}", request.client_id, scope(&request.scope))
        }
        GrantEvent::RequestReceived(event) => {
            let request = &event.request;
            format!(
                "A browser brought a request of {} for {}",
                request.client_id,
                scope(&request.scope)
            )
        }
        GrantEvent::SubjectAuthenticated(event) => {
            let how = event.authentication.amr.join(", ");
            if how.is_empty() {
                return "The person was authenticated".to_owned();
            }
            format!("The person was authenticated by {how}")
        }
        GrantEvent::ConsentGiven(event) => match &event.presented {
            Some(_) => format!("The person consented to {}", scope(&event.scope)),
            None => format!("Consent to {} was there already", scope(&event.scope)),
        },
        GrantEvent::RequestDeclined(_) => "The request ended without a code".to_owned(),
        GrantEvent::CodeIssued(_) => "A code was issued".to_owned(),
        GrantEvent::FrontChannelTokensIssued(event) => {
            format!("The browser brought {}", by_browser(&event.tokens))
        }
        GrantEvent::CodeRedeemed(event) => {
            format!("The code was redeemed for {}", tokens(&event.tokens))
        }
        GrantEvent::CodeReplayed(event) => {
            format!("The code was presented again, by {}", event.client_id)
        }
        GrantEvent::RefreshTokenRotated(event) => {
            format!("The refresh token was used for {}", tokens(&event.tokens))
        }
        GrantEvent::RefreshTokenUsed(event) => {
            format!("The refresh token was used, and kept, for {}", tokens(&event.tokens))
        }
        GrantEvent::RefreshTokenReused(event) => format!(
            "Refresh token {} was presented again after its replacement, by {}",
            event.generation, event.client_id
        ),
        GrantEvent::RefusalNoted(event) => format!("{} was refused", event.client_id),
        GrantEvent::TokensIssued(event) => format!(
            "{} got {} by {}",
            event.authorization.client_id,
            tokens(&event.tokens),
            event.grant_type
        ),
        GrantEvent::AccessTokenRevoked(event) => {
            format!("Access token {} was revoked", event.number)
        }
        GrantEvent::GrantRevoked(_) => "The grant was revoked".to_owned(),
    }
}

fn access_token(facts: &AccessTokenFacts) -> String {
    let form = match &facts.form {
        AccessTokenForm::Jwt(_) => "JWT",
        AccessTokenForm::Opaque => "opaque",
    };
    format!("access token {} ({form})", facts.number)
}

/// "access token 1 (JWT) and an ID token"
fn by_browser(tokens: &FrontChannelTokens) -> String {
    match (&tokens.access, &tokens.id) {
        (Some(access), Some(_)) => format!("{} and an ID token", access_token(access)),
        (Some(access), None) => access_token(access),
        (None, _) => "an ID token".to_owned(),
    }
}

/// "access token 2 (JWT), refresh token 2 and an ID token"
fn tokens(tokens: &IssuedTokens) -> String {
    let access = access_token(&tokens.access);
    let refresh =
        tokens.refresh.as_ref().map(|token| format!("refresh token {}", token.generation));
    let id = tokens.id.as_ref().map(|_| "an ID token".to_owned());
    match (refresh, id) {
        (Some(refresh), Some(id)) => format!("{access}, {refresh} and {id}"),
        (Some(other), None) | (None, Some(other)) => format!("{access} and {other}"),
        (None, None) => access,
    }
}

fn scope(scope: &Scope) -> String {
    if scope.is_empty() { "no scope".to_owned() } else { scope.to_string() }
}

fn cause(cause: &RevocationCause) -> String {
    let words = match cause {
        RevocationCause::CodeReplayed => "its code was presented twice",
        RevocationCause::RefreshTokenReused => "a replaced refresh token was presented",
        RevocationCause::RevokedByClient => "the client asked for it",
        RevocationCause::RevokedByOperator { reason } => reason,
        RevocationCause::ConsentWithdrawn => "the person took their consent back",
        RevocationCause::SessionEnded => "the session ended",
        RevocationCause::AccountLocked => "the account was locked",
        RevocationCause::AccountErased => "the account was erased",
        RevocationCause::ClientDisabled => "the client was disabled",
    };
    words.to_owned()
}

const fn declined(reason: DeclineReason) -> &'static str {
    match reason {
        DeclineReason::ConsentDenied => "the person said no",
        DeclineReason::LoginCancelled => "the person went away from the login",
        DeclineReason::LoginRequired => "nobody was logged in, and no page was allowed",
        DeclineReason::ConsentRequired => "consent was needed, and no page was allowed",
        DeclineReason::AccountSelectionRequired => {
            "an account had to be chosen, and no page was allowed"
        }
        DeclineReason::AccountUnusable => "the account may not be used any more",
        DeclineReason::DeniedByPolicy => "a hook refused it",
        DeclineReason::AuthenticationUnmet => {
            "no login here is of an authentication context class that was demanded"
        }
    }
}

const fn refused(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::PkceMismatch => "the code_verifier is missing or not the challenge's",
        RefusalReason::PkceUnexpected => "a code_verifier came without a challenge before it",
        RefusalReason::WrongClient => "the credential is another client's",
        RefusalReason::RedirectUriMismatch => "the redirect_uri is not that of the request",
    }
}

fn client(event: &ClientEvent) -> String {
    match event {
        ClientEvent::ClientRegistered(event) if event.registration.is_some() => {
            format!("{} registered itself", event.client_id)
        }
        ClientEvent::ClientRegistered(event) => format!("{} was registered", event.client_id),
        ClientEvent::ClientMetadataReplaced(_) => "The client's metadata were changed".to_owned(),
        ClientEvent::ClientSecretRotated(_) => "The client got a new secret".to_owned(),
        ClientEvent::ClientDisabled(_) => "The client was disabled".to_owned(),
        ClientEvent::ClientEnabled(_) => "The client was enabled again".to_owned(),
        ClientEvent::ClientDeleted(_) => "The client was deleted".to_owned(),
    }
}

fn registration_token(event: &RegistrationTokenEvent) -> String {
    match event {
        RegistrationTokenEvent::RegistrationTokenIssued(_) => {
            "A token to register clients with was issued".to_owned()
        }
        RegistrationTokenEvent::RegistrationTokenUsed(event) => {
            format!("{} registered itself by it", event.client_id)
        }
        RegistrationTokenEvent::RegistrationTokenRevoked(_) => "The token was revoked".to_owned(),
    }
}

fn sealed_log(event: &SealedLogEvent) -> String {
    match event {
        SealedLogEvent::CheckpointKeyPublished(event) => {
            format!("Key {} signs the checkpoints of the log", event.key_id)
        }
        SealedLogEvent::CheckpointKeyRetired(event) => {
            format!("Key {} was replaced", event.key_id)
        }
        SealedLogEvent::HeadsListed(event) => {
            let (aggregates, through) = (event.aggregates, event.through);
            format!("The ends of {aggregates} histories were listed, up to position {through}")
        }
    }
}

fn scope_definition(event: &ScopeDefinitionEvent) -> String {
    match event {
        ScopeDefinitionEvent::ScopeDefined(event) => format!("{} was defined", event.name),
        ScopeDefinitionEvent::ScopeRemoved(_) => "The definition was taken back".to_owned(),
    }
}

fn account(event: &AccountEvent) -> String {
    match event {
        AccountEvent::AccountRegistered(_) => "The account was made",
        AccountEvent::PasswordSet(_) => "A password was set",
        AccountEvent::ProfileReplaced(_) => "Name or claims were changed",
        AccountEvent::AccountLocked(_) => "The account was locked",
        AccountEvent::AccountUnlocked(_) => "The account was unlocked",
        AccountEvent::PersonalDataRead(event) => {
            return format!("Personal data was read: {}", event.what.join(", "));
        }
        AccountEvent::ErasureRequested(_) => "The account's erasure began",
        AccountEvent::AccountErased(event) => {
            let Destroyed { data_keys, sealed_values, .. } = event.destroyed;
            return format!(
                "The account was erased: {} and {} were destroyed",
                counted(data_keys, "data key"),
                counted(sealed_values, "sealed value")
            );
        }
        AccountEvent::PasswordRehashed(_) => {
            "The password was hashed anew, with today's parameters"
        }
        AccountEvent::PasswordResetRequested(_) => "A link to choose a new password was made",
        AccountEvent::PasswordReset(_) => "A new password was chosen by the link",
        AccountEvent::SessionsDismissed(_) => "The person's other sessions were ended",
        AccountEvent::RolesReplaced(event) if event.roles.is_empty() => {
            "The account lost its roles"
        }
        AccountEvent::RolesReplaced(event) => {
            let roles: Vec<_> = event.roles.iter().map(|role| role.as_str()).collect();
            return format!("The account has the roles {} from now on", roles.join(", "));
        }
    }
    .to_owned()
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn session(event: &SessionEvent) -> String {
    match event {
        SessionEvent::SessionStarted(_) => "The person logged in",
        SessionEvent::SessionReauthenticated(_) => "The person logged in again",
        SessionEvent::SessionEnded(_) => "The session ended",
        SessionEvent::BackchannelLogoutRequested(_) => "Its clients are to be told that it ended",
        SessionEvent::BackchannelLogoutDelivered(_) => "A client was told that it ended",
        SessionEvent::BackchannelLogoutFailed(_) => "A client could not be told that it ended",
    }
    .to_owned()
}

const fn ended(cause: SessionEndCause) -> &'static str {
    match cause {
        SessionEndCause::LoggedOut => "the person logged out",
        SessionEndCause::Replaced => "somebody else logged in with the same browser",
        SessionEndCause::AccountLocked => "the account was locked",
        SessionEndCause::AccountErased => "the account was erased",
        SessionEndCause::EndedByOperator => "an operator ended it",
        SessionEndCause::EndedByPerson => "the person ended it from another session",
        SessionEndCause::PasswordChanged => "the password was changed",
    }
}

fn consent(event: &ConsentEvent) -> String {
    match event {
        ConsentEvent::ConsentRecorded(event) => {
            format!("{} is allowed {} from now on", event.client_id, scope(&event.scope))
        }
        ConsentEvent::ConsentWithdrawn(event) => {
            format!("The consent for {} was taken back", event.client_id)
        }
    }
}

fn signing_key(event: &SigningKeyEvent) -> String {
    match event {
        SigningKeyEvent::KeyPublished(event) => {
            format!("Key {} ({}) was published", event.key_id, event.algorithm)
        }
        SigningKeyEvent::KeyActivated(event) => {
            format!("The key signs from {} on", rfc3339(event.at))
        }
        SigningKeyEvent::KeyRetired(event) => {
            format!("The key signs no more from {} on", rfc3339(event.at))
        }
    }
}

#[cfg(test)]
mod tests {
    use chancery_domain::ids::AggregateKind;
    use serde_json::json;

    use super::*;

    fn event(kind: AggregateKind, name: &str, payload: &serde_json::Value) -> AnyEvent {
        AnyEvent::from_json(kind, name, "1", &payload.to_string()).unwrap()
    }

    fn envelope(value: serde_json::Value) -> Envelope {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_redemption_names_its_tokens() {
        let tokens = json!({
            "access": { "number": 1, "form": { "jwt": "k" }, "scope": "openid", "issued_at": 1,
                "expires_at": 2 },
            "id": { "key": "k", "issued_at": 1, "expires_at": 2 },
            "refresh": { "generation": 1, "expires_at": 3 },
        });
        let event = event(AggregateKind::Grant, "CodeRedeemed", &json!({ "tokens": tokens }));
        assert_eq!(
            summary(&event),
            "The code was redeemed for access token 1 (JWT), refresh token 1 and an ID token"
        );
    }

    #[test]
    fn what_the_browser_brought_is_named() {
        let id = json!({ "key": "k", "issued_at": 1, "expires_at": 2 });
        let access = json!({ "number": 1, "form": "opaque", "scope": "", "issued_at": 1,
            "expires_at": 2 });
        for (tokens, words) in [
            (json!({ "id": id }), "The browser brought an ID token"),
            (json!({ "access": access }), "The browser brought access token 1 (opaque)"),
            (
                json!({ "access": access, "id": id }),
                "The browser brought access token 1 (opaque) and an ID token",
            ),
        ] {
            let payload = json!({ "response_type": "token", "tokens": tokens, "at": 1 });
            let event = event(AggregateKind::Grant, "FrontChannelTokensIssued", &payload);
            assert_eq!(summary(&event), words);
        }
    }

    #[test]
    fn a_revocation_says_who_and_why() {
        let event = event(
            AggregateKind::Grant,
            "GrantRevoked",
            &json!({ "cause": "revoked_by_operator", "reason": "device was lost", "at": 1 }),
        );
        let by = envelope(json!({
            "command_id": "0198f3a2c4d57e0fa1b2c3d4e5f60718", "occurred_at": "2026-01-01T00:00:00Z",
            "actor": "operator", "actor_ref": "ada",
        }));
        assert_eq!(summary(&event), "The grant was revoked");
        assert_eq!(actor(&by), "operator ada");
        assert_eq!(reason(&event, &by).unwrap(), "device was lost");
    }

    #[test]
    fn a_read_says_what_was_read_and_why_and_an_erasure_what_it_destroyed() {
        let read = event(
            AggregateKind::Account,
            "PersonalDataRead",
            &json!({ "what": ["username", "email"], "reason": "ticket 7", "at": 1 }),
        );
        let by = envelope(json!({
            "command_id": "0198f3a2c4d57e0fa1b2c3d4e5f60718", "occurred_at": "2026-01-01T00:00:00Z",
            "actor": "operator", "actor_ref": "ada",
        }));
        assert_eq!(summary(&read), "Personal data was read: username, email");
        assert_eq!(reason(&read, &by).unwrap(), "ticket 7");
        let erased = event(
            AggregateKind::Account,
            "AccountErased",
            &json!({ "data_keys": 1, "sealed_values": 2, "snapshots": 0, "at": 1 }),
        );
        let words = "The account was erased: 1 data key and 2 sealed values were destroyed";
        assert_eq!(summary(&erased), words);
    }

    #[test]
    fn a_cascade_names_the_event_that_it_answers() {
        let event = event(
            AggregateKind::Grant,
            "GrantRevoked",
            &json!({ "cause": "client_disabled", "at": 1 }),
        );
        let by = envelope(json!({
            "command_id": "0198f3a2c4d57e0fa1b2c3d4e5f60718", "occurred_at": "2026-01-01T00:00:00Z",
            "actor": "system", "actor_ref": "cascade", "causation_id": "client/web/4",
        }));
        assert_eq!(reason(&event, &by).unwrap(), "the client was disabled (after client/web/4)");
    }
}
