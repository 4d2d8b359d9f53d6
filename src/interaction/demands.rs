//! What a request demands of the person's login: `prompt`, `max_age`,
//! `id_token_hint` (OpenID Connect Core §3.1.2.1, §3.1.2.3).

use chancery_domain::authorization::{Authentication, AuthorizationRequest};
use chancery_domain::client::RegisteredClient;
use chancery_domain::consent::Consent;
use chancery_domain::grant::DeclineReason;
use chancery_domain::ids::SubjectId;
use chancery_domain::protocol::prompt::Prompt;
use chancery_domain::time::UnixTime;
use serde::Deserialize;

use crate::services::Services;
use crate::subjects::subject_for;
use crate::tokens::Audience;
use crate::tokens::hint::IdTokenHint;

/// Whether `id_token_hint` names a person, as the client knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// There is none.
    Absent,
    /// Them.
    Matches,
    /// Somebody else.
    Differs,
    /// It is no ID token of ours for this client: nobody is believed to be logged in
    /// because of it, nor refused.
    Untrusted,
}

#[derive(Deserialize)]
struct HintClaims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
}

impl Hint {
    /// Reads a hint. It may have expired long ago, but we must have signed it, for
    /// the client that sends it.
    #[must_use]
    pub fn read(
        services: &Services,
        client: &RegisteredClient,
        text: Option<&str>,
        person: Option<SubjectId>,
    ) -> Self {
        let Some(text) = text else { return Self::Absent };
        let keys = services.keys.get();
        let opened = IdTokenHint::open(services, text);
        let Some(claims) = opened.and_then(|hint| hint.signed_by::<HintClaims>(&keys)) else {
            return Self::Untrusted;
        };
        let issued_to = claims.aud.client(claims.azp.as_deref());
        if claims.iss != services.issuer() || issued_to != Some(client.client_id.as_str()) {
            return Self::Untrusted;
        }
        match person.map(|person| subject_for(&keys, client, person)) {
            Some(sub) if sub == claims.sub => Self::Matches,
            _ => Self::Differs,
        }
    }

    /// May the person answer a request with this hint?
    #[must_use]
    pub fn admits(self) -> bool {
        self != Self::Differs
    }
}

/// How a request goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Whoever is logged in is good enough.
    Proceed,
    /// Somebody has to log in.
    Login,
    Decline(DeclineReason),
}

/// How a request goes on that has just come in, with whoever is logged in; the
/// hint is about them.
///
/// After a login for the request itself this is not asked again: nothing could
/// be more recent.
#[must_use]
pub fn next(
    request: &AuthorizationRequest,
    hint: Hint,
    current: Option<&Authentication>,
    now: UnixTime,
) -> Next {
    let prompt = &request.prompt;
    let asks = prompt.contains(Prompt::Login) || prompt.contains(Prompt::SelectAccount);
    let fits = matches!(hint, Hint::Absent | Hint::Matches);
    let recent = current.is_some_and(|current| {
        request.max_age.is_none_or(|max_age| {
            // Zero asks for a login, however short ago the last one was.
            max_age.seconds() > 0 && now.since(current.auth_time) <= max_age
        })
    });
    match (fits && recent && !asks, prompt.contains(Prompt::None)) {
        (true, _) => Next::Proceed,
        (false, true) => Next::Decline(DeclineReason::LoginRequired),
        (false, false) => Next::Login,
    }
}

/// Has the person to be asked for their consent?
#[must_use]
pub fn wants_consent(request: &AuthorizationRequest, given: &Consent, skip: bool) -> bool {
    request.prompt.contains(Prompt::Consent) || !(skip || given.covers(&request.scope))
}

#[cfg(test)]
mod tests {
    use chancery_domain::ids::{ClientId, SessionId};
    use chancery_domain::protocol::prompt::Prompts;
    use chancery_domain::protocol::redirect_uri::RedirectUri;
    use chancery_domain::protocol::response_type::ResponseType;
    use chancery_domain::protocol::scope::Scope;
    use chancery_domain::time::Lifetime;

    use super::*;

    fn subject(byte: u8) -> SubjectId {
        SubjectId::from_uuid(uuid::Uuid::from_bytes([byte; 16]))
    }

    fn logged_in(at: i64) -> Authentication {
        Authentication {
            subject: subject(1),
            session_id: Some(SessionId::from_uuid(uuid::Uuid::from_bytes([2; 16]))),
            auth_time: UnixTime::from_seconds(at),
            acr: String::new(),
            amr: vec![],
        }
    }

    fn request(prompt: &str, max_age: Option<u32>) -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: ClientId::parse("app").unwrap(),
            redirect_uri: RedirectUri::parse("https://rp.example/cb").unwrap(),
            redirect_uri_by_default: false,
            response_type: ResponseType::Code,
            response_mode: None,
            scope: Scope::parse("openid email").unwrap(),
            code_challenge: None,
            prompt: Prompts::parse(prompt).unwrap(),
            max_age: max_age.map(Lifetime::from_seconds),
            acr_values: vec![],
            ui_locales: vec![],
            sealed: None,
        }
    }

    const NOW: UnixTime = UnixTime::from_seconds(1000);
    const LOGIN_REQUIRED: Next = Next::Decline(DeclineReason::LoginRequired);

    #[test]
    fn a_session_is_enough_unless_the_request_wants_more() {
        let session = logged_in(900);
        for (prompt, max_age, expected) in [
            ("", None, Next::Proceed),
            ("none", None, Next::Proceed),
            ("consent", None, Next::Proceed),
            ("login", None, Next::Login),
            ("select_account", None, Next::Login),
            ("login consent", None, Next::Login),
            ("", Some(100), Next::Proceed),
            ("", Some(99), Next::Login),
            ("", Some(0), Next::Login),
            ("none", Some(99), LOGIN_REQUIRED),
            ("none", Some(10_000), Next::Proceed),
        ] {
            let found = next(&request(prompt, max_age), Hint::Absent, Some(&session), NOW);
            assert_eq!(found, expected, "{prompt} {max_age:?}");
        }
        let just_now = logged_in(1000);
        let zero = request("", Some(0));
        assert_eq!(next(&zero, Hint::Absent, Some(&just_now), NOW), Next::Login);
    }

    #[test]
    fn without_a_session_there_is_a_login_or_an_error() {
        for prompt in ["", "login", "consent", "select_account"] {
            assert_eq!(next(&request(prompt, None), Hint::Absent, None, NOW), Next::Login);
        }
        assert_eq!(next(&request("none", None), Hint::Absent, None, NOW), LOGIN_REQUIRED);
    }

    #[test]
    fn a_hint_lets_only_its_own_subject_pass_silently() {
        let session = logged_in(900);
        let silent = request("none", None);
        let at = |hint| next(&silent, hint, Some(&session), NOW);
        assert_eq!(at(Hint::Matches), Next::Proceed);
        assert_eq!(at(Hint::Differs), LOGIN_REQUIRED);
        assert_eq!(at(Hint::Untrusted), LOGIN_REQUIRED);
        let loud = request("", None);
        assert_eq!(next(&loud, Hint::Differs, Some(&session), NOW), Next::Login);
        assert!(!Hint::Differs.admits());
        assert!(Hint::Matches.admits());
    }

    #[test]
    fn consent_is_asked_for_what_is_not_covered() {
        let given = |scope: &str| Consent::Given {
            subject: subject(1),
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::parse(scope).unwrap(),
        };
        let plain = request("", None);
        assert!(wants_consent(&plain, &Consent::None, false));
        assert!(wants_consent(&plain, &given("openid"), false));
        assert!(!wants_consent(&plain, &given("email openid phone"), false));
        assert!(!wants_consent(&plain, &Consent::None, true));
        let again = request("consent", None);
        assert!(wants_consent(&again, &given("openid email"), false));
        assert!(wants_consent(&again, &Consent::None, true));
    }
}
