//! Every rule that an authorization request must pass, one row each, in order.
//!
//! Before the redirect URI is known to be the client's own, an error is shown
//! to the person; after, it goes back to the client (RFC 6749 §4.1.2.1). At
//! the pushed authorization request endpoint every error is answered directly
//! (RFC 9126 §2.3).

use std::fmt;

use super::request::{AuthorizationRequest, Parameters, SealedParameters};
use crate::client::RegisteredClient;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::{CodeChallenge, PkceError};
use crate::protocol::prompt::{PromptError, Prompts};
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::response_mode::ResponseMode;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::time::Lifetime;

/// What is wrong with an authorization request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// `client_id` or `redirect_uri` stands there twice.
    #[error("client_id and redirect_uri may be given once only")]
    TargetRepeated,
    /// `redirect_uri` is not one that the client registered.
    #[error("the redirect_uri is not registered for this client")]
    RedirectUriNotRegistered,
    /// `redirect_uri` is left out where it is needed.
    #[error("redirect_uri is missing")]
    RedirectUriMissing,
    /// Some parameter stands there twice.
    #[error("a parameter is given more than once")]
    ParameterRepeated,
    /// `request_uri` inside of a pushed request (RFC 9126 §2.1).
    #[error("request_uri can't be pushed")]
    RequestUriPushed,
    /// A request object by value.
    #[error("the request parameter is not supported")]
    RequestNotSupported,
    /// A request object by reference that was not pushed.
    #[error("request_uri must come from the pushed authorization request endpoint")]
    RequestUriNotSupported,
    /// Client registration inside of a request.
    #[error("the registration parameter is not supported")]
    RegistrationNotSupported,
    /// `response_mode` is unknown.
    #[error("response_mode is not supported")]
    ResponseModeUnknown,
    /// `response_type` is left out.
    #[error("response_type is missing")]
    ResponseTypeMissing,
    /// `response_type` is unknown.
    #[error("response_type is not supported")]
    ResponseTypeUnknown,
    /// The client is not registered for it.
    #[error("the client is not registered for this response_type")]
    ResponseTypeNotAllowed,
    /// This request had to be pushed (RFC 9126 §4, §6).
    #[error("the request must be pushed to the pushed authorization request endpoint")]
    MustBePushed,
    /// `scope` is no list of scope tokens.
    #[error("scope is malformed")]
    ScopeMalformed,
    /// None of the scopes is the client's.
    #[error("the client is not registered for any of the scopes")]
    ScopeNotAllowed,
    /// PKCE is missing.
    #[error("code_challenge is required, with code_challenge_method=S256")]
    PkceRequired,
    /// PKCE is unusable.
    #[error(transparent)]
    Pkce(PkceError),
    /// `prompt` is unusable.
    #[error(transparent)]
    Prompt(PromptError),
    /// `max_age` is no number of seconds.
    #[error("max_age must be a number of seconds")]
    MaxAgeMalformed,
}

/// Where the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The authorization endpoint.
    Authorize,
    /// The pushed authorization request endpoint.
    Push,
}

/// Who must use PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PkcePolicy {
    /// Nobody.
    Optional,
    /// Public clients (RFC 9700 §2.1.1).
    PublicClients,
    /// Everybody.
    Everybody,
}

/// What the server demands of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPolicy {
    /// Every request must be pushed.
    pub require_pushed: bool,
    /// Who must use PKCE.
    pub pkce: PkcePolicy,
}

/// A request that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedRequest {
    /// Its clear part; the commitment is still to be set.
    pub request: AuthorizationRequest,
    /// Its sealed part.
    pub sealed: SealedParameters,
}

/// Where to send an error.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorRedirect {
    /// The client's own.
    pub redirect_uri: RedirectUri,
    /// How it travels.
    pub response_mode: ResponseMode,
    /// As it was sent.
    pub state: Option<String>,
}

/// `state` is the client's own business, and no log's.
impl fmt::Debug for ErrorRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorRedirect")
            .field("redirect_uri", &self.redirect_uri)
            .field("response_mode", &self.response_mode)
            .finish_non_exhaustive()
    }
}

/// A request that did not pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Rejection {
    /// Tell the person.
    ShowPage(RequestError),
    /// Tell the client.
    Redirect(Box<ErrorRedirect>, RequestError),
}

impl Rejection {
    /// What is wrong, for an endpoint that answers directly.
    #[must_use]
    pub fn error(&self) -> RequestError {
        match self {
            Self::ShowPage(error) | Self::Redirect(_, error) => *error,
        }
    }
}

/// What the rows look at.
struct Subject<'a> {
    parameters: &'a Parameters<'a>,
    client: &'a RegisteredClient,
    policy: RequestPolicy,
}

/// One rule.
struct Row {
    authorize: bool,
    push: bool,
    check: fn(&Subject<'_>, &mut CheckedRequest) -> Result<(), RequestError>,
}

const fn everywhere(
    check: fn(&Subject<'_>, &mut CheckedRequest) -> Result<(), RequestError>,
) -> Row {
    Row { authorize: true, push: true, check }
}

/// The rules, in the order in which they are told.
const CHECKS: &[Row] = &[
    everywhere(response_mode_known),
    everywhere(no_parameter_repeated),
    Row { authorize: true, push: false, check: no_foreign_request_uri },
    Row { authorize: false, push: true, check: no_request_uri_pushed },
    everywhere(no_request_object),
    everywhere(no_registration),
    everywhere(response_type_allowed),
    Row { authorize: true, push: false, check: pushed_if_required },
    everywhere(scope_allowed),
    everywhere(pkce_usable),
    everywhere(prompt_usable),
    everywhere(max_age_is_a_number),
    everywhere(lists_and_hints),
];

/// Checks a request of a client that is known and enabled.
pub fn check_request(
    parameters: &Parameters<'_>,
    client: &RegisteredClient,
    policy: RequestPolicy,
    via: Via,
) -> Result<CheckedRequest, Rejection> {
    let (redirect_uri, by_default) =
        redirect_target(parameters, client).map_err(Rejection::ShowPage)?;
    let mut checked = CheckedRequest {
        request: AuthorizationRequest {
            client_id: client.client_id.clone(),
            redirect_uri,
            redirect_uri_by_default: by_default,
            response_type: ResponseType::Code,
            response_mode: None,
            scope: Scope::default(),
            code_challenge: None,
            prompt: Prompts::default(),
            max_age: None,
            acr_values: vec![],
            ui_locales: vec![],
            sealed: None,
        },
        sealed: SealedParameters {
            state: parameters.once("state").ok().flatten().map(str::to_owned),
            ..SealedParameters::default()
        },
    };
    let subject = Subject { parameters, client, policy };
    let here = |row: &&Row| if via == Via::Push { row.push } else { row.authorize };
    for row in CHECKS.iter().filter(here) {
        if let Err(error) = (row.check)(&subject, &mut checked) {
            return Err(Rejection::Redirect(
                Box::new(ErrorRedirect {
                    response_mode: checked.request.response_mode(),
                    redirect_uri: checked.request.redirect_uri,
                    state: checked.sealed.state,
                }),
                error,
            ));
        }
    }
    Ok(checked)
}

/// The client's own redirect URI, and whether the request left it out.
fn redirect_target(
    parameters: &Parameters<'_>,
    client: &RegisteredClient,
) -> Result<(RedirectUri, bool), RequestError> {
    parameters.once("client_id").map_err(|_| RequestError::TargetRepeated)?;
    let registered = &client.metadata.redirect_uris;
    let Some(text) = parameters.once("redirect_uri").map_err(|_| RequestError::TargetRepeated)?
    else {
        let openid = parameters
            .get("scope")
            .is_some_and(|scope| scope.split(' ').any(|name| name == Scope::OPENID));
        return match registered.as_slice() {
            [only] if !openid => Ok((only.clone(), true)),
            _ => Err(RequestError::RedirectUriMissing),
        };
    };
    RedirectUri::parse(text)
        .ok()
        .filter(|uri| registered.iter().any(|own| own.allows(uri)))
        .map(|uri| (uri, false))
        .ok_or(RequestError::RedirectUriNotRegistered)
}

fn no_parameter_repeated(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.repeated().map_or(Ok(()), |_| Err(RequestError::ParameterRepeated))
}

/// First, because every later error travels by it.
fn response_mode_known(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    draft.request.response_mode = s
        .parameters
        .once("response_mode")
        .map_err(|_| RequestError::ParameterRepeated)?
        .map(|mode| mode.parse().map_err(|_| RequestError::ResponseModeUnknown))
        .transpose()?;
    Ok(())
}

fn no_foreign_request_uri(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.get("request_uri").map_or(Ok(()), |_| Err(RequestError::RequestUriNotSupported))
}

/// RFC 9126 §2.1
fn no_request_uri_pushed(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.get("request_uri").map_or(Ok(()), |_| Err(RequestError::RequestUriPushed))
}

/// OpenID Connect Core §6.1
fn no_request_object(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.get("request").map_or(Ok(()), |_| Err(RequestError::RequestNotSupported))
}

/// OpenID Connect Core §7.2.1
fn no_registration(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.get("registration").map_or(Ok(()), |_| Err(RequestError::RegistrationNotSupported))
}

/// RFC 6749 §3.1.1, §4.1.2.1
fn response_type_allowed(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let text = s.parameters.get("response_type").ok_or(RequestError::ResponseTypeMissing)?;
    let response_type = text.parse().map_err(|_| RequestError::ResponseTypeUnknown)?;
    let metadata = &s.client.metadata;
    if !metadata.response_types.contains(&response_type)
        || !metadata.allows(GrantType::AuthorizationCode)
    {
        return Err(RequestError::ResponseTypeNotAllowed);
    }
    draft.request.response_type = response_type;
    Ok(())
}

/// RFC 9126 §4, §6
fn pushed_if_required(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    let required =
        s.policy.require_pushed || s.client.metadata.require_pushed_authorization_requests;
    if required { Err(RequestError::MustBePushed) } else { Ok(()) }
}

/// RFC 6749 §3.3: what the client is not registered for is left out. Without a
/// scope, it gets all that it is registered for but `openid` and
/// `offline_access`, which want to be asked for.
fn scope_allowed(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let may_refresh = s.client.metadata.allows(GrantType::RefreshToken);
    let registered = &s.client.metadata.scope;
    let registered =
        if may_refresh { registered.clone() } else { registered.without(Scope::OFFLINE_ACCESS) };
    draft.request.scope = match s.parameters.get("scope") {
        None => registered.without(Scope::OPENID).without(Scope::OFFLINE_ACCESS),
        Some(text) => {
            let asked = Scope::parse(text).map_err(|_| RequestError::ScopeMalformed)?;
            let narrowed = asked.narrow(&registered);
            if narrowed.is_empty() {
                return Err(RequestError::ScopeNotAllowed);
            }
            narrowed
        }
    };
    Ok(())
}

/// RFC 7636 §4.4.1
fn pkce_usable(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let challenge = s.parameters.get("code_challenge");
    let method = s.parameters.get("code_challenge_method");
    draft.request.code_challenge =
        CodeChallenge::parse(challenge, method).map_err(RequestError::Pkce)?;
    let required = match s.policy.pkce {
        PkcePolicy::Optional => false,
        PkcePolicy::PublicClients => s.client.is_public(),
        PkcePolicy::Everybody => true,
    };
    if required && draft.request.code_challenge.is_none() {
        return Err(RequestError::PkceRequired);
    }
    Ok(())
}

/// OpenID Connect Core §3.1.2.1
fn prompt_usable(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    if let Some(text) = s.parameters.get("prompt") {
        draft.request.prompt = Prompts::parse(text).map_err(RequestError::Prompt)?;
    }
    Ok(())
}

/// OpenID Connect Core §3.1.2.1
fn max_age_is_a_number(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    if let Some(text) = s.parameters.get("max_age") {
        // `parse` alone would take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = text.parse().ok().filter(|_| digits).ok_or(RequestError::MaxAgeMalformed)?;
        draft.request.max_age = Some(Lifetime::from_seconds(seconds));
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a row")]
fn lists_and_hints(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let list = |name| {
        let words = s.parameters.get(name).unwrap_or_default().split_ascii_whitespace();
        words.map(str::to_owned).collect()
    };
    let owned = |name| s.parameters.get(name).map(str::to_owned);
    draft.request.acr_values = list("acr_values");
    draft.request.ui_locales = list("ui_locales");
    draft.sealed.nonce = owned("nonce");
    draft.sealed.login_hint = owned("login_hint");
    draft.sealed.id_token_hint = owned("id_token_hint");
    Ok(())
}
