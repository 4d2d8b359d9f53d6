//! What a request demands of the person's login: `prompt`, `max_age`,
//! `id_token_hint` (OpenID Connect Core §3.1.2.1, §3.1.2.3), and what its client
//! demands of every request.

use std::collections::BTreeSet;

use chancery_domain::authorization::{Authentication, AuthorizationRequest};
use chancery_domain::client::{ClientMetadata, RegisteredClient};
use chancery_domain::consent::Consent;
use chancery_domain::grant::DeclineReason;
use chancery_domain::ids::SubjectId;
use chancery_domain::protocol::prompt::Prompt;
use chancery_domain::time::UnixTime;
use serde::Deserialize;

use crate::services::Services;
use crate::subjects::subject_for;
use crate::tokens::Audience;

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
        let Ok(claims) = keys.verifier.verify::<HintClaims>(text, &["JWT"]) else {
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
    /// The person chooses an account.
    Select,
    /// The person makes an account.
    Create,
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
    client: &ClientMetadata,
    hint: Hint,
    current: Option<&Authentication>,
    now: UnixTime,
) -> Next {
    if request.prompt.contains(Prompt::Create) {
        return Next::Create;
    }
    // Where nobody is logged in there is nothing to choose from.
    if request.prompt.contains(Prompt::SelectAccount) && current.is_some() {
        return Next::Select;
    }
    once_chosen(request, client, hint, current, now)
}

/// The same, now that the person has chosen the account that they are logged in
/// with.
#[must_use]
pub fn once_chosen(
    request: &AuthorizationRequest,
    client: &ClientMetadata,
    hint: Hint,
    current: Option<&Authentication>,
    now: UnixTime,
) -> Next {
    let prompt = &request.prompt;
    let again = prompt.contains(Prompt::Login) || client.default_prompt_login;
    let fits = matches!(hint, Hint::Absent | Hint::Matches);
    // OpenID Connect Registration §2: the client's, where the request names none.
    let max_age = request.max_age.or(client.default_max_age);
    let recent = current.is_some_and(|current| {
        max_age.is_none_or(|max_age| {
            // Zero asks for a login, however short ago the last one was.
            max_age.seconds() > 0 && now.since(current.auth_time) <= max_age
        })
    });
    match (fits && recent && !again, prompt.contains(Prompt::None)) {
        (true, _) => Next::Proceed,
        (false, true) => Next::Decline(DeclineReason::LoginRequired),
        (false, false) => Next::Login,
    }
}

/// Has the person to be asked for their consent? `claims` are those asked for by
/// name that no scope brings, neither one asked for nor one given before.
#[must_use]
pub fn wants_consent(
    request: &AuthorizationRequest,
    claims: &BTreeSet<String>,
    given: &Consent,
    skip: bool,
) -> bool {
    let covered = given.covers(&request.scope) && given.covers_claims(claims);
    request.prompt.contains(Prompt::Consent) || !(skip || covered)
}

#[cfg(test)]
pub(super) mod tests {
    use chancery_domain::ids::{ClientId, SessionId};
    use chancery_domain::protocol::claims::ClaimNames;
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

    pub fn request(prompt: &str, max_age: Option<u32>) -> AuthorizationRequest {
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
            claims: ClaimNames::default(),
            acr_values: vec![],
            ui_locales: vec![],
            sealed: None,
        }
    }

    fn asked(request: &AuthorizationRequest, hint: Hint, current: Option<&Authentication>) -> Next {
        next(request, &ClientMetadata::default(), hint, current, NOW)
    }

    const NOW: UnixTime = UnixTime::from_seconds(1000);
    const LOGIN_REQUIRED: Next = Next::Decline(DeclineReason::LoginRequired);

    #[test]
    fn a_session_is_enough_unless_the_request_wants_more() {
        let session = logged_in(900);
        for (prompt, max_age, expected) in [
            ("", None, Next::Proceed),
            ("select_account", None, Next::Select),
            ("select_account login", Some(0), Next::Select),
            ("create", None, Next::Create),
            ("create login", None, Next::Create),
            ("none", None, Next::Proceed),
            ("consent", None, Next::Proceed),
            ("login", None, Next::Login),
            ("login consent", None, Next::Login),
            ("", Some(100), Next::Proceed),
            ("", Some(99), Next::Login),
            ("", Some(0), Next::Login),
            ("none", Some(99), LOGIN_REQUIRED),
            ("none", Some(10_000), Next::Proceed),
        ] {
            let found = asked(&request(prompt, max_age), Hint::Absent, Some(&session));
            assert_eq!(found, expected, "{prompt} {max_age:?}");
        }
        let just_now = logged_in(1000);
        let zero = request("", Some(0));
        assert_eq!(asked(&zero, Hint::Absent, Some(&just_now)), Next::Login);
    }

    /// OpenID Connect Registration §2
    #[test]
    fn a_client_may_demand_more_of_every_request() {
        let session = logged_in(900);
        let old = ClientMetadata {
            default_max_age: Some(Lifetime::from_seconds(99)),
            ..ClientMetadata::default()
        };
        let strict = ClientMetadata { default_prompt_login: true, ..ClientMetadata::default() };
        for (client, prompt, max_age, expected) in [
            (&old, "", None, Next::Login),
            (&old, "", Some(100), Next::Proceed),
            (&old, "none", None, LOGIN_REQUIRED),
            (&strict, "", None, Next::Login),
            (&strict, "none", None, LOGIN_REQUIRED),
        ] {
            let request = request(prompt, max_age);
            let found = next(&request, client, Hint::Absent, Some(&session), NOW);
            assert_eq!(found, expected, "{prompt} {max_age:?}");
        }
    }

    #[test]
    fn who_has_chosen_is_not_asked_to_choose_again() {
        let session = logged_in(900);
        let chosen = |prompt, max_age| {
            let client = ClientMetadata::default();
            once_chosen(&request(prompt, max_age), &client, Hint::Absent, Some(&session), NOW)
        };
        assert_eq!(chosen("select_account", None), Next::Proceed);
        assert_eq!(chosen("select_account", Some(99)), Next::Login);
        assert_eq!(chosen("select_account login", None), Next::Login);
    }

    #[test]
    fn without_a_session_there_is_a_login_or_an_error() {
        for prompt in ["", "login", "consent", "select_account"] {
            assert_eq!(asked(&request(prompt, None), Hint::Absent, None), Next::Login);
        }
        assert_eq!(asked(&request("none", None), Hint::Absent, None), LOGIN_REQUIRED);
        assert_eq!(asked(&request("create", None), Hint::Absent, None), Next::Create);
    }

    #[test]
    fn a_hint_lets_only_its_own_subject_pass_silently() {
        let session = logged_in(900);
        let silent = request("none", None);
        let at = |hint| asked(&silent, hint, Some(&session));
        assert_eq!(at(Hint::Matches), Next::Proceed);
        assert_eq!(at(Hint::Differs), LOGIN_REQUIRED);
        assert_eq!(at(Hint::Untrusted), LOGIN_REQUIRED);
        let loud = request("", None);
        assert_eq!(asked(&loud, Hint::Differs, Some(&session)), Next::Login);
        assert!(!Hint::Differs.admits());
        assert!(Hint::Matches.admits());
    }

    #[test]
    fn consent_is_asked_for_what_is_not_covered() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let given = |scope: &str, claims: &[&str]| Consent::Given {
            subject: subject(1),
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::parse(scope).unwrap(),
            claims: names(claims),
        };
        let plain = request("", None);
        let wants = |request: &_, claims: &[&str], given: &_, skip| {
            wants_consent(request, &names(claims), given, skip)
        };
        assert!(wants(&plain, &[], &Consent::None, false));
        assert!(wants(&plain, &[], &given("openid", &[]), false));
        assert!(!wants(&plain, &[], &given("email openid phone", &[]), false));
        assert!(!wants(&plain, &[], &Consent::None, true));
        assert!(wants(&plain, &["name"], &given("email openid", &[]), false));
        assert!(!wants(&plain, &["name"], &given("email openid", &["name"]), false));
        assert!(!wants(&plain, &["name"], &Consent::None, true));
        let again = request("consent", None);
        assert!(wants(&again, &[], &given("openid email", &[]), false));
        assert!(wants(&again, &[], &Consent::None, true));
    }
}
