//! Every rule that an authorization request must pass, one row each, in order.
//!
//! Before the redirect URI is known to be the client's own, an error is shown
//! to the person; after, it goes back to the client (RFC 6749 §4.1.2.1). At
//! the pushed authorization request endpoint every error is answered directly
//! (RFC 9126 §2.3).

use std::fmt;

use super::request::{AuthorizationRequest, CustomParameter, Parameters, SealedParameters, Source};
use super::request_object::RequestObjectError;
use crate::client::{RegisteredClient, SecurityProfile};
use crate::protocol::claims::{ClaimNames, ClaimsRequest, MalformedClaims};
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::{CodeChallenge, PkceError};
use crate::protocol::prompt::{Prompt, PromptError, Prompts};
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
    /// Request objects by value are switched off.
    #[error("the request parameter is not supported")]
    RequestNotSupported,
    /// RFC 9101 §5
    #[error("give request or request_uri, not both")]
    TwoRequestObjects,
    /// The request object is not good.
    #[error("the request object {0}")]
    RequestObject(RequestObjectError),
    /// It had to be a signed request object (RFC 9101 §10.5).
    #[error("the request must be a signed request object")]
    MustBeSigned,
    /// Request objects by reference that were not pushed are switched off.
    #[error("request_uri must come from the pushed authorization request endpoint")]
    RequestUriNotSupported,
    /// There is no request object where the request says.
    #[error("the request_uri {0}")]
    RequestUri(RequestUriError),
    /// Client registration inside of a request.
    #[error("the registration parameter is not supported")]
    RegistrationNotSupported,
    /// Tokens don't travel in the query (OAuth 2.0 Multiple Response Type
    /// Encoding Practices §3.0, JARM §2.3.1).
    #[error("this response_type can't be answered in the query")]
    ResponseModeNotAllowed,
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
    /// An ID token needs `openid` (OpenID Connect Core §3.2.2.1, §3.3.2.1).
    #[error("this response_type needs the scope openid")]
    OpenidMissing,
    /// An ID token that comes by the browser needs a nonce (OpenID Connect
    /// Core §3.2.2.1, §3.3.2.11).
    #[error("this response_type needs a nonce")]
    NonceMissing,
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
    /// `claims` is unusable.
    #[error(transparent)]
    Claims(MalformedClaims),
    /// No type of authorization details is for people to consent to.
    #[error("authorization_details are for clients that act for themselves")]
    AuthorizationDetails,
}

/// Why there is no request object where a request says. Follows on "the
/// `request_uri`".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestUriError {
    /// It is not among the client's `request_uris`.
    #[error("is not registered for this client")]
    NotRegistered,
    /// It can't be fetched, or may not be.
    #[error("can't be fetched")]
    Unreachable,
    /// What was fetched is something else, or an error.
    #[error("did not lead to a request object")]
    NoObject,
    /// What was fetched is not what its fragment says (OpenID Connect Core
    /// §6.2).
    #[error("has the hash of something else in its fragment")]
    Hash,
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

/// What the server demands of requests, and what it allows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub struct RequestPolicy<'a> {
    /// The response types that are switched on.
    pub response_types: &'a [ResponseType],
    /// Every request must be pushed.
    pub require_pushed: bool,
    /// Every request must be a signed request object.
    pub require_signed: bool,
    /// Who must use PKCE.
    pub pkce: PkcePolicy,
    /// The PKCE method `plain` is good enough (never under FAPI 2.0).
    pub plain_pkce: bool,
    /// Clients that authenticate may push redirect URIs that they did not
    /// register (RFC 9126 §2.4).
    pub unregistered_redirect_uris: bool,
    /// Parameters of nobody's standard that are kept.
    pub custom_parameters: &'a [CustomParameter],
    /// People may make their accounts themselves (`prompt=create`).
    pub account_creation: bool,
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
    policy: RequestPolicy<'a>,
    via: Via,
}

impl Subject<'_> {
    /// Does the client live by the FAPI 2.0 Security Profile?
    fn is_fapi2(&self) -> bool {
        self.client.metadata.security_profile == SecurityProfile::Fapi2
    }
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
    everywhere(request_object_good),
    everywhere(no_parameter_repeated),
    Row { authorize: true, push: false, check: no_foreign_request_uri },
    Row { authorize: false, push: true, check: no_request_uri_pushed },
    everywhere(no_request_object),
    everywhere(signed_if_required),
    everywhere(no_registration),
    everywhere(response_type_allowed),
    Row { authorize: true, push: false, check: pushed_if_required },
    everywhere(scope_allowed),
    everywhere(openid_for_an_id_token),
    everywhere(nonce_for_an_id_token),
    everywhere(pkce_usable),
    everywhere(prompt_usable),
    everywhere(max_age_is_a_number),
    everywhere(claims_readable),
    everywhere(no_authorization_details),
    everywhere(lists_and_hints),
    everywhere(custom_parameters),
];

/// Checks a request of a client that is known and enabled.
pub fn check_request(
    parameters: &Parameters<'_>,
    client: &RegisteredClient,
    policy: RequestPolicy<'_>,
    via: Via,
) -> Result<CheckedRequest, Rejection> {
    let subject = Subject { parameters, client, policy, via };
    let (redirect_uri, by_default) = redirect_target(&subject)
        .map_err(|error| Rejection::ShowPage(fault(parameters).unwrap_or(error)))?;
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
            claims: ClaimNames::default(),
            acr_values: vec![],
            ui_locales: vec![],
            sealed: None,
        },
        sealed: SealedParameters {
            state: parameters.once("state").ok().flatten().map(str::to_owned),
            ..SealedParameters::default()
        },
    };
    let here = |row: &&Row| if via == Via::Push { row.push } else { row.authorize };
    for row in CHECKS.iter().filter(here) {
        if let Err(error) = (row.check)(&subject, &mut checked) {
            // What stands beside a faulty object is not worth a word.
            let error = fault(parameters).unwrap_or(error);
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
fn redirect_target(s: &Subject<'_>) -> Result<(RedirectUri, bool), RequestError> {
    let Subject { parameters, client, policy, via } = *s;
    parameters.once("client_id").map_err(|_| RequestError::TargetRepeated)?;
    let Some(text) = parameters.once("redirect_uri").map_err(|_| RequestError::TargetRepeated)?
    else {
        // FAPI 2.0 Security Profile §5.3.2.2: it must be there.
        let must_be_named = s.is_fapi2()
            || parameters
                .get("scope")
                .is_some_and(|scope| scope.split(' ').any(|name| name == Scope::OPENID));
        return match client.metadata.redirect_uris.as_slice() {
            [only] if !must_be_named => Ok((only.clone(), true)),
            _ => Err(RequestError::RedirectUriMissing),
        };
    };
    // RFC 9126 §2.4, §7.2: only who has authenticated brings new ones.
    let brings_new = policy.unregistered_redirect_uris && via == Via::Push && !client.is_public();
    RedirectUri::parse(text)
        .ok()
        .filter(|uri| {
            client.metadata.allows_redirect_uri(uri)
                || (brings_new && uri.as_str().starts_with("https://"))
        })
        .map(|uri| (uri, false))
        .ok_or(RequestError::RedirectUriNotRegistered)
}

/// What is wrong with the request object that the parameters came with.
const fn fault(parameters: &Parameters<'_>) -> Option<RequestError> {
    match parameters.source() {
        Source::Faulty(error) => Some(error),
        Source::Plain | Source::RequestObject => None,
    }
}

/// RFC 9101 §6
fn request_object_good(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    fault(s.parameters).map_or(Ok(()), Err)
}

/// RFC 9101 §10.5
fn signed_if_required(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    let required = s.policy.require_signed || s.client.metadata.require_signed_request_object;
    if required && s.parameters.source() != Source::RequestObject {
        return Err(RequestError::MustBeSigned);
    }
    Ok(())
}

fn no_parameter_repeated(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    s.parameters.repeated().map_or(Ok(()), |_| Err(RequestError::ParameterRepeated))
}

/// First, because every later error travels by it. The response type has a say
/// in that, whether or not it may be asked for.
fn response_mode_known(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let repeated = |_| RequestError::ParameterRepeated;
    let response_type = s.parameters.once("response_type").map_err(repeated)?;
    let response_type = response_type.and_then(ResponseType::parse).unwrap_or(ResponseType::Code);
    draft.request.response_type = response_type;
    let Some(text) = s.parameters.once("response_mode").map_err(repeated)? else { return Ok(()) };
    let mode: ResponseMode = text.parse().map_err(|_| RequestError::ResponseModeUnknown)?;
    // What stands in a query stands in logs and histories too; not so what is
    // encrypted (JARM §2.3.1).
    let encrypted = s.client.metadata.authorization_encrypted_response_alg.is_some();
    let exposed = match mode {
        ResponseMode::Query => true,
        ResponseMode::QueryJwt => !encrypted,
        ResponseMode::Fragment
        | ResponseMode::FormPost
        | ResponseMode::FragmentJwt
        | ResponseMode::FormPostJwt
        | ResponseMode::Jwt => false,
    };
    if exposed && response_type.is_front_channel() {
        return Err(RequestError::ResponseModeNotAllowed);
    }
    draft.request.response_mode = Some(mode);
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

/// RFC 6749 §3.1.1, §4.1.2.1, §4.2.2.1: both the server and the client must
/// have it switched on.
fn response_type_allowed(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let text = s.parameters.get("response_type").ok_or(RequestError::ResponseTypeMissing)?;
    let response_type = ResponseType::parse(text)
        .filter(|response_type| s.policy.response_types.contains(response_type))
        .ok_or(RequestError::ResponseTypeUnknown)?;
    if !s.client.metadata.allows_response_type(response_type) {
        return Err(RequestError::ResponseTypeNotAllowed);
    }
    draft.request.response_type = response_type;
    Ok(())
}

/// RFC 9126 §4, §6, FAPI 2.0 Security Profile §5.3.2.2
fn pushed_if_required(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    let required = s.policy.require_pushed
        || s.client.metadata.require_pushed_authorization_requests
        || s.is_fapi2();
    if required { Err(RequestError::MustBePushed) } else { Ok(()) }
}

/// RFC 6749 §3.3: what the client is not registered for is left out. Without a
/// scope, it gets all that it is registered for but `openid` and
/// `offline_access`, which want to be asked for.
fn scope_allowed(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    // OpenID Connect Core §11: it goes with a code.
    let may_refresh =
        s.client.metadata.allows(GrantType::RefreshToken) && draft.request.response_type.has_code();
    let registered = &s.client.scope();
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

/// OpenID Connect Core §3.2.2.1, §3.3.2.1
fn openid_for_an_id_token(_: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let request = &draft.request;
    let missing = request.response_type.has_id_token() && !request.is_openid();
    if missing { Err(RequestError::OpenidMissing) } else { Ok(()) }
}

/// OpenID Connect Core §3.2.2.1, §3.3.2.11: the ID token is what the client
/// knows the response by.
fn nonce_for_an_id_token(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let missing = draft.request.response_type.has_id_token() && s.parameters.get("nonce").is_none();
    if missing { Err(RequestError::NonceMissing) } else { Ok(()) }
}

/// RFC 7636 §4.4.1, FAPI 2.0 Security Profile §5.3.2.2
fn pkce_usable(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let challenge = s.parameters.get("code_challenge");
    let method = s.parameters.get("code_challenge_method");
    let parse = if s.policy.plain_pkce && !s.is_fapi2() {
        CodeChallenge::parse_or_plain
    } else {
        CodeChallenge::parse
    };
    draft.request.code_challenge = parse(challenge, method).map_err(RequestError::Pkce)?;
    let by_policy = match s.policy.pkce {
        PkcePolicy::Optional => false,
        PkcePolicy::PublicClients => s.client.is_public(),
        PkcePolicy::Everybody => true,
    };
    let asked = by_policy || s.client.metadata.require_pkce || s.is_fapi2();
    // Without a code there is nothing to bind.
    let required = asked && draft.request.response_type.has_code();
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
    // Initiating User Registration via OpenID Connect §4.1.1
    if draft.request.prompt.contains(Prompt::Create) && !s.policy.account_creation {
        return Err(RequestError::Prompt(PromptError::CreateNotOffered));
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

/// OpenID Connect Core §5.5. Without `openid` nothing comes of it.
fn claims_readable(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let Some(text) = s.parameters.get("claims") else { return Ok(()) };
    let claims = ClaimsRequest::parse(text).map_err(RequestError::Claims)?;
    if draft.request.is_openid() {
        draft.request.claims = claims.names();
        draft.sealed.claims = claims.says_more().then_some(claims);
    }
    Ok(())
}

/// RFC 9396 §5: what can't be granted is refused, not left out.
fn no_authorization_details(s: &Subject<'_>, _: &mut CheckedRequest) -> Result<(), RequestError> {
    match s.parameters.get("authorization_details") {
        Some(_) => Err(RequestError::AuthorizationDetails),
        None => Ok(()),
    }
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

#[expect(clippy::unnecessary_wraps, reason = "the shape of a row")]
fn custom_parameters(s: &Subject<'_>, draft: &mut CheckedRequest) -> Result<(), RequestError> {
    let allowed = s.policy.custom_parameters.iter();
    draft.sealed.custom = allowed
        .map(CustomParameter::as_str)
        .filter_map(|name| Some((name.to_owned(), s.parameters.get(name)?.to_owned())))
        .collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use cqrs_es::Aggregate as _;

    use super::*;
    use crate::client::{Client, ClientMetadata, ClientRegistered, SecurityProfile};
    use crate::ids::ClientId;
    use crate::protocol::client_auth_method::ClientAuthMethod;
    use crate::protocol::key_management_algorithm::KeyManagementAlgorithm;
    use crate::protocol::prompt::Prompt;
    use crate::time::UnixTime;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const BOTH: [Via; 2] = [Via::Authorize, Via::Push];

    /// A request that passes everywhere.
    const GOOD: &str = "client_id=rp&response_type=code&redirect_uri=https://rp.example/cb\
        &scope=openid+email&state=s1\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    const POLICY: RequestPolicy<'static> = RequestPolicy {
        response_types: &[ResponseType::Code],
        require_pushed: false,
        require_signed: false,
        pkce: PkcePolicy::PublicClients,
        plain_pkce: false,
        unregistered_redirect_uris: false,
        custom_parameters: &[],
        account_creation: false,
    };

    fn metadata() -> ClientMetadata {
        ClientMetadata {
            redirect_uris: vec![RedirectUri::parse("https://rp.example/cb").unwrap()],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scope: Scope::parse("openid email read offline_access").unwrap(),
            token_endpoint_auth_method: ClientAuthMethod::None,
            ..ClientMetadata::default()
        }
    }

    fn client(metadata: ClientMetadata) -> RegisteredClient {
        let mut client = Client::default();
        let registered = ClientRegistered {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: metadata.into(),
            secret: None,
            at: UnixTime::from_seconds(1),
            registration: None,
        };
        client.apply(registered.into());
        client.registered().unwrap().clone()
    }

    /// [`GOOD`] with some parameters replaced, added (`name=value`), or left
    /// out (`name`).
    fn good_but(changes: &[&str]) -> String {
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let replaced: Vec<String> = changes.iter().map(|pair| name(pair)).collect();
        GOOD.split('&')
            .filter(|pair| !replaced.contains(&name(pair)))
            .chain(changes.iter().copied().filter(|pair| pair.contains('=')))
            .collect::<Vec<_>>()
            .join("&")
    }

    fn check_for(
        metadata: ClientMetadata,
        policy: RequestPolicy<'_>,
        query: &str,
        via: Via,
    ) -> Result<CheckedRequest, Rejection> {
        check_request(&Parameters::parse(query.as_bytes()), &client(metadata), policy, via)
    }

    fn check(changes: &[&str], via: Via) -> Result<CheckedRequest, Rejection> {
        check_for(metadata(), POLICY, &good_but(changes), via)
    }

    fn passed(changes: &[&str]) -> AuthorizationRequest {
        let [one, other] = BOTH.map(|via| check(changes, via).unwrap().request);
        assert_eq!(one, other);
        one
    }

    /// Refused at both endpoints, and the client is told.
    fn told(changes: &[&str], error: RequestError) {
        for via in BOTH {
            told_at(check(changes, via), error);
        }
    }

    fn told_at(result: Result<CheckedRequest, Rejection>, error: RequestError) {
        let Err(Rejection::Redirect(target, why)) = result else { panic!("{result:?}") };
        assert_eq!(why, error);
        assert_eq!(target.redirect_uri.as_str(), "https://rp.example/cb");
    }

    /// Refused at both endpoints, and nothing is sent to the redirect URI.
    fn shown(changes: &[&str], error: RequestError) {
        for via in BOTH {
            assert_eq!(check(changes, via), Err(Rejection::ShowPage(error)));
        }
    }

    #[test]
    fn a_good_request_passes_whole() {
        let all = ["nonce=n1", "login_hint=ada", "id_token_hint=e.y.j", "ui_locales=de+en"];
        for via in BOTH {
            let checked = check(&all, via).unwrap();
            assert_eq!(checked.request.client_id.as_str(), "rp");
            assert_eq!(checked.request.redirect_uri.as_str(), "https://rp.example/cb");
            assert!(!checked.request.redirect_uri_by_default);
            assert_eq!(checked.request.scope.as_str(), "openid email");
            let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
            assert_eq!(checked.request.code_challenge, challenge);
            assert_eq!(checked.request.ui_locales, ["de", "en"]);
            assert_eq!(
                checked.sealed,
                SealedParameters {
                    state: Some("s1".to_owned()),
                    nonce: Some("n1".to_owned()),
                    login_hint: Some("ada".to_owned()),
                    id_token_hint: Some("e.y.j".to_owned()),
                    ..SealedParameters::default()
                }
            );
        }
    }

    /// RFC 6749 §3.1: unrecognized parameters MUST be ignored.
    #[test]
    fn unknown_parameters_are_ignored() {
        assert_eq!(passed(&["shoe_size=44"]), passed(&[]));
    }

    #[test]
    fn custom_parameters_are_kept_sealed_where_they_are_allowed() {
        let allowed = ["shoe_size", "other"].map(|name| CustomParameter::parse(name).unwrap());
        let policy = RequestPolicy { custom_parameters: &allowed, ..POLICY };
        let query = good_but(&["shoe_size=44", "hat_size=7"]);
        for via in BOTH {
            let checked = check_for(metadata(), policy, &query, via).unwrap();
            let kept: Vec<_> = checked.sealed.custom.into_iter().collect();
            assert_eq!(kept, [("shoe_size".to_owned(), "44".to_owned())]);
        }
        let twice = good_but(&["shoe_size=44", "shoe_size=45"]);
        for via in BOTH {
            let twice = check_for(metadata(), policy, &twice, via);
            told_at(twice, RequestError::ParameterRepeated);
        }
    }

    /// RFC 9126 §2.4, §7.2
    #[test]
    fn a_client_that_authenticates_may_push_a_new_redirect_uri_where_that_is_allowed() {
        let policy = RequestPolicy { unregistered_redirect_uris: true, ..POLICY };
        let confidential = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
            ..metadata()
        };
        let new = good_but(&["redirect_uri=https://rp.example/new"]);
        let plain = good_but(&["redirect_uri=http://rp.example/new"]);
        let pushed = check_for(confidential.clone(), policy, &new, Via::Push).unwrap();
        assert_eq!(pushed.request.redirect_uri.as_str(), "https://rp.example/new");
        let refused = Err(Rejection::ShowPage(RequestError::RedirectUriNotRegistered));
        for (metadata, policy, query, via) in [
            (&confidential, POLICY, &new, Via::Push),
            (&confidential, policy, &new, Via::Authorize),
            (&confidential, policy, &plain, Via::Push),
            (&metadata(), policy, &new, Via::Push),
        ] {
            assert_eq!(check_for(metadata.clone(), policy, query, via), refused);
        }
    }

    /// FAPI 2.0 Security Profile §5.3.2.2
    #[test]
    fn fapi_clients_push_and_use_pkce_with_s256_whatever_the_policy() {
        let lax = RequestPolicy { pkce: PkcePolicy::Optional, plain_pkce: true, ..POLICY };
        let fapi = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
            security_profile: SecurityProfile::Fapi2,
            ..metadata()
        };
        let check = |changes: &[&str], via| check_for(fapi.clone(), lax, &good_but(changes), via);
        check(&[], Via::Push).unwrap();
        told_at(check(&[], Via::Authorize), RequestError::MustBePushed);
        let without = ["code_challenge", "code_challenge_method"];
        told_at(check(&without, Via::Push), RequestError::PkceRequired);
        for plain in [&["code_challenge_method=plain"][..], &["code_challenge_method"]] {
            let refused = RequestError::Pkce(PkceError::MethodNotS256);
            told_at(check(plain, Via::Push), refused);
        }
        let unnamed = check(&["redirect_uri", "scope=read"], Via::Push);
        assert_eq!(unnamed, Err(Rejection::ShowPage(RequestError::RedirectUriMissing)));
    }

    /// RFC 7636 §4.3
    #[test]
    fn plain_is_taken_where_the_policy_allows_it() {
        let policy = RequestPolicy { plain_pkce: true, ..POLICY };
        for plain in [&["code_challenge_method=plain"][..], &["code_challenge_method"]] {
            for via in BOTH {
                let checked = check_for(metadata(), policy, &good_but(plain), via).unwrap();
                assert!(checked.request.code_challenge.is_some());
            }
        }
    }

    #[test]
    fn a_client_may_need_pkce_where_others_do_not() {
        let policy = RequestPolicy { pkce: PkcePolicy::Optional, ..POLICY };
        let without = good_but(&["code_challenge", "code_challenge_method"]);
        let strict = ClientMetadata { require_pkce: true, ..metadata() };
        for via in BOTH {
            check_for(metadata(), policy, &without, via).unwrap();
            let refused = check_for(strict.clone(), policy, &without, via);
            told_at(refused, RequestError::PkceRequired);
        }
    }

    /// RFC 6749 §4.1.2.1
    #[test]
    fn an_unregistered_redirect_uri_is_never_redirected_to() {
        for uri in [
            "https://evil.example/cb",
            "https://rp.example/cb/",
            "https://rp.example/cb?x=1",
            "https://rp.example/cb%23x",
            "/cb",
        ] {
            shown(&[&format!("redirect_uri={uri}")], RequestError::RedirectUriNotRegistered);
        }
    }

    #[test]
    fn a_target_given_twice_is_never_redirected_to() {
        shown(&["client_id=rp", "client_id=rp"], RequestError::TargetRepeated);
        let twice = ["redirect_uri=https://rp.example/cb", "redirect_uri=https://rp.example/cb"];
        shown(&twice, RequestError::TargetRepeated);
    }

    /// OpenID Connect Core §3.1.2.1: REQUIRED; RFC 6749 §3.1.2.3: not there.
    #[test]
    fn only_plain_oauth_may_leave_its_only_redirect_uri_out() {
        shown(&["redirect_uri"], RequestError::RedirectUriMissing);
        shown(&["redirect_uri", "scope=email+openid"], RequestError::RedirectUriMissing);
        assert!(passed(&["redirect_uri", "scope=read"]).redirect_uri_by_default);
        assert!(passed(&["redirect_uri", "scope="]).redirect_uri_by_default);

        let mut many = metadata();
        many.redirect_uris.push(RedirectUri::parse("https://rp.example/two").unwrap());
        for via in BOTH {
            let query = good_but(&["redirect_uri", "scope=read"]);
            assert_eq!(
                check_for(many.clone(), POLICY, &query, via),
                Err(Rejection::ShowPage(RequestError::RedirectUriMissing))
            );
        }
    }

    #[test]
    fn a_scope_that_only_contains_the_letters_openid_is_no_openid() {
        let request = passed(&["redirect_uri", "scope=read+xopenid2"]);
        assert!(request.redirect_uri_by_default);
    }

    /// RFC 6749 §3.1
    #[test]
    fn a_parameter_given_twice_is_refused_known_or_not() {
        for repeated in [
            ["state=s1", "state=s1"],
            ["scope=openid", "scope=email"],
            ["response_mode=query", "response_mode=query"],
            ["shoe_size=44", "shoe_size=45"],
        ] {
            told(&repeated, RequestError::ParameterRepeated);
        }
    }

    /// RFC 6749 §3.1: without a value it counts as left out.
    #[test]
    fn a_parameter_without_a_value_is_not_there() {
        let request = passed(&["state=", "state=s1", "prompt=", "max_age="]);
        assert_eq!((request.prompt.is_empty(), request.max_age), (true, None));
    }

    #[test]
    fn an_unknown_response_mode_is_refused_in_the_query() {
        for via in BOTH {
            let result = check(&["response_mode=carrier_pigeon"], via);
            let Err(Rejection::Redirect(target, why)) = result else { panic!("{result:?}") };
            assert_eq!(why, RequestError::ResponseModeUnknown);
            assert_eq!(target.response_mode, ResponseMode::Query);
        }
        assert_eq!(passed(&["response_mode=form_post"]).response_mode(), ResponseMode::FormPost);
    }

    #[test]
    fn every_later_error_travels_as_the_request_wants_it_with_its_state() {
        for wrong in [&["x=1", "x=2"][..], &["response_type=token"], &["scope=admin"]] {
            let changes = [wrong, &["response_mode=form_post"]].concat();
            let result = check(&changes, Via::Authorize);
            let Err(Rejection::Redirect(target, _)) = result else { panic!("{result:?}") };
            assert_eq!(target.response_mode, ResponseMode::FormPost);
            assert_eq!(target.state.as_deref(), Some("s1"));
            assert!(!format!("{target:?}").contains("s1"));
        }
        let Err(Rejection::Redirect(target, _)) = check(&["state", "max_age=x"], Via::Push) else {
            panic!("it passed")
        };
        assert_eq!(target.state, None);
    }

    /// RFC 9126 §2.1, OpenID Connect Core §6.2
    #[test]
    fn a_request_uri_is_refused_with_each_endpoints_own_reason() {
        let changes = ["request_uri=https://rp.example/r"];
        told_at(check(&changes, Via::Authorize), RequestError::RequestUriNotSupported);
        told_at(check(&changes, Via::Push), RequestError::RequestUriPushed);
    }

    /// OpenID Connect Core §6.1
    #[test]
    fn a_request_object_that_nobody_has_read_is_refused() {
        told(&["request=e.y.j"], RequestError::RequestNotSupported);
    }

    /// RFC 9101 §6.2
    #[test]
    fn what_stands_beside_a_faulty_request_object_says_only_where_the_error_goes() {
        let fault = RequestError::RequestObject(RequestObjectError::Signature);
        let beside = |changes: &[&str], via| {
            let query = good_but(changes);
            let parameters = Parameters::parse(query.as_bytes()).beside_faulty(fault);
            check_request(&parameters, &client(metadata()), POLICY, via)
        };
        for via in BOTH {
            told_at(beside(&[], via), fault);
            told_at(beside(&["response_type=x", "state=1", "state=2"], via), fault);
            told_at(beside(&["response_mode=pigeon"], via), fault);
            for unknown in [&["redirect_uri"][..], &["redirect_uri=https://evil.example/"]] {
                assert_eq!(beside(unknown, via), Err(Rejection::ShowPage(fault)));
            }
        }
    }

    /// RFC 9101 §10.5
    #[test]
    fn where_signed_requests_are_required_plain_ones_are_refused() {
        let strict = RequestPolicy { require_signed: true, ..POLICY };
        let strict_client = ClientMetadata { require_signed_request_object: true, ..metadata() };
        for (metadata, policy) in [(metadata(), strict), (strict_client, POLICY)] {
            for via in BOTH {
                let plain = check_for(metadata.clone(), policy, GOOD, via);
                told_at(plain, RequestError::MustBeSigned);
            }
        }
    }

    /// OpenID Connect Core §7.2.1
    #[test]
    fn a_registration_inside_of_a_request_is_refused() {
        told(&["registration={}"], RequestError::RegistrationNotSupported);
    }

    /// RFC 6749 §3.1.1
    #[test]
    fn a_response_type_must_be_there_known_and_registered() {
        told(&["response_type"], RequestError::ResponseTypeMissing);
        for unknown in ["token", "code+token", "code+id_token", "none", "CODE"] {
            told(&[&format!("response_type={unknown}")], RequestError::ResponseTypeUnknown);
        }
        let without_type = ClientMetadata { response_types: vec![], ..metadata() };
        let without_grant =
            ClientMetadata { grant_types: vec![GrantType::RefreshToken], ..metadata() };
        for metadata in [without_type, without_grant] {
            for via in BOTH {
                let result = check_for(metadata.clone(), POLICY, GOOD, via);
                told_at(result, RequestError::ResponseTypeNotAllowed);
            }
        }
    }

    const ALL: RequestPolicy<'static> =
        RequestPolicy { response_types: ResponseType::ALL, ..POLICY };

    /// A client that is registered for everything.
    fn front_channel() -> ClientMetadata {
        ClientMetadata {
            grant_types: vec![
                GrantType::AuthorizationCode,
                GrantType::Implicit,
                GrantType::RefreshToken,
            ],
            response_types: ResponseType::ALL.to_vec(),
            ..metadata()
        }
    }

    /// [`GOOD`] for this response type.
    fn good_for(response_type: ResponseType, changes: &[&str]) -> String {
        let response_type = format!("response_type={}", response_type.as_str().replace(' ', "+"));
        good_but(&[&[&*response_type, "nonce=n1"], changes].concat())
    }

    fn at_both(
        metadata: &ClientMetadata,
        policy: RequestPolicy<'_>,
        query: &str,
    ) -> Result<AuthorizationRequest, (RequestError, ResponseMode)> {
        let [one, other] = BOTH.map(|via| match check_for(metadata.clone(), policy, query, via) {
            Ok(checked) => Ok(checked.request),
            Err(Rejection::Redirect(target, why)) => Err((why, target.response_mode)),
            Err(page) => panic!("{page:?}"),
        });
        assert_eq!(one, other);
        one
    }

    /// RFC 9700 §2.1.2: tokens by the browser only where server and client both
    /// have it switched on.
    #[test]
    fn a_response_type_is_for_server_and_client_to_switch_on() {
        for response_type in ResponseType::ALL {
            let query = good_for(*response_type, &[]);
            let request = at_both(&front_channel(), ALL, &query).unwrap();
            assert_eq!(request.response_type, *response_type);
            if !response_type.is_front_channel() {
                continue;
            }
            let told = |metadata: ClientMetadata, policy| at_both(&metadata, policy, &query);
            let fragment = ResponseMode::Fragment;
            let unknown = Err((RequestError::ResponseTypeUnknown, fragment));
            assert_eq!(told(front_channel(), POLICY), unknown);
            let no_grant = vec![GrantType::AuthorizationCode];
            let fapi = SecurityProfile::Fapi2;
            for metadata in [
                metadata(),
                ClientMetadata { grant_types: no_grant, ..front_channel() },
                ClientMetadata { response_types: vec![ResponseType::Code], ..front_channel() },
                ClientMetadata { security_profile: fapi, ..front_channel() },
            ] {
                let refused = Err((RequestError::ResponseTypeNotAllowed, fragment));
                assert_eq!(told(metadata, ALL), refused);
            }
        }
    }

    /// OAuth 2.0 Multiple Response Type Encoding Practices §3.0, §5; JARM
    /// §2.3.1, §2.3.4
    #[test]
    fn tokens_travel_in_no_query() {
        let sealed = ClientMetadata {
            authorization_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEs),
            ..front_channel()
        };
        let code = ResponseType::Code;
        let token = ResponseType::CodeToken;
        let (all, refused) = (front_channel(), RequestError::ResponseModeNotAllowed);
        for (metadata, response_type, mode, expected) in [
            (&all, code, "", Ok(ResponseMode::Query)),
            (&all, code, "query", Ok(ResponseMode::Query)),
            (&all, code, "fragment", Ok(ResponseMode::Fragment)),
            (&all, code, "jwt", Ok(ResponseMode::QueryJwt)),
            (&all, code, "query.jwt", Ok(ResponseMode::QueryJwt)),
            (&all, token, "", Ok(ResponseMode::Fragment)),
            (&all, token, "form_post", Ok(ResponseMode::FormPost)),
            (&all, token, "jwt", Ok(ResponseMode::FragmentJwt)),
            (&all, token, "form_post.jwt", Ok(ResponseMode::FormPostJwt)),
            (&all, token, "query", Err((refused, ResponseMode::Fragment))),
            (&all, token, "query.jwt", Err((refused, ResponseMode::Fragment))),
            (&sealed, token, "query.jwt", Ok(ResponseMode::QueryJwt)),
            (&sealed, token, "query", Err((refused, ResponseMode::Fragment))),
        ] {
            let query = good_for(response_type, &[&format!("response_mode={mode}")]);
            let found = at_both(metadata, ALL, &query).map(|request| request.response_mode());
            assert_eq!(found, expected, "{response_type} {mode}");
        }
    }

    /// OpenID Connect Core §3.2.2.1, §3.3.2.11
    #[test]
    fn an_id_token_by_the_browser_needs_openid_and_a_nonce() {
        for response_type in ResponseType::ALL {
            let told = |change: &str| {
                let query = good_for(*response_type, &[change]);
                let query = if change.is_empty() { query.replace("&nonce=n1", "") } else { query };
                at_both(&front_channel(), ALL, &query)
            };
            let fragment = ResponseMode::Fragment;
            if response_type.has_id_token() {
                assert_eq!(told(""), Err((RequestError::NonceMissing, fragment)));
                assert_eq!(told("scope=email"), Err((RequestError::OpenidMissing, fragment)));
            } else {
                assert!(told("").is_ok() && told("scope=email").is_ok());
            }
        }
    }

    /// OpenID Connect Core §11; RFC 7636 §4.3
    #[test]
    fn what_goes_with_a_code_goes_with_no_other_response() {
        for response_type in ResponseType::ALL {
            let code = response_type.has_code();
            let asked = good_for(*response_type, &["scope=openid+offline_access"]);
            let request = at_both(&front_channel(), ALL, &asked).unwrap();
            assert_eq!(request.scope.contains(Scope::OFFLINE_ACCESS), code);
            let bare = good_for(*response_type, &["code_challenge", "code_challenge_method"]);
            assert_eq!(at_both(&front_channel(), ALL, &bare).is_ok(), !code);
        }
    }

    /// RFC 9126 §4, §6
    #[test]
    fn a_request_that_must_be_pushed_passes_only_when_pushed() {
        let strict = RequestPolicy { require_pushed: true, ..POLICY };
        let strict_client =
            ClientMetadata { require_pushed_authorization_requests: true, ..metadata() };
        for (metadata, policy) in [(metadata(), strict), (strict_client, POLICY)] {
            let unpushed = check_for(metadata.clone(), policy, GOOD, Via::Authorize);
            told_at(unpushed, RequestError::MustBePushed);
            check_for(metadata, policy, GOOD, Via::Push).unwrap();
        }
    }

    /// RFC 6749 §3.3
    #[test]
    fn a_scope_must_be_well_formed_and_some_of_it_registered() {
        told(&["scope=a%22b"], RequestError::ScopeMalformed);
        told(&["scope=admin"], RequestError::ScopeNotAllowed);
        told(&["scope=+"], RequestError::ScopeNotAllowed);
        assert_eq!(passed(&["scope=admin+email"]).scope.as_str(), "email");
    }

    #[test]
    fn who_asks_for_no_scope_gets_the_registered_one_without_what_must_be_asked_for() {
        assert_eq!(passed(&["scope"]).scope.as_str(), "email read");
    }

    /// OpenID Connect Core §11
    #[test]
    fn offline_access_is_for_clients_that_may_refresh() {
        let asked = good_but(&["scope=openid+offline_access"]);
        let alone = good_but(&["scope=offline_access"]);
        let online =
            ClientMetadata { grant_types: vec![GrantType::AuthorizationCode], ..metadata() };
        for via in BOTH {
            let scope = |metadata| check_for(metadata, POLICY, &asked, via).unwrap().request.scope;
            assert_eq!(scope(metadata()).as_str(), "openid offline_access");
            assert_eq!(scope(online.clone()).as_str(), "openid");
            let nothing_left = check_for(online.clone(), POLICY, &alone, via);
            told_at(nothing_left, RequestError::ScopeNotAllowed);
        }
    }

    /// RFC 7636 §4.4.1, RFC 9700 §2.1.1
    #[test]
    fn pkce_is_s256_and_there_where_it_must_be() {
        let method = PkceError::MethodNotS256;
        told(&["code_challenge_method=plain"], RequestError::Pkce(method));
        told(&["code_challenge_method"], RequestError::Pkce(method));
        told(&["code_challenge"], RequestError::Pkce(PkceError::ChallengeMissing));
        for malformed in ["x".repeat(42), "x".repeat(44), format!("{}=", &CHALLENGE[..42])] {
            let changes = [&*format!("code_challenge={malformed}")];
            told(&changes, RequestError::Pkce(PkceError::MalformedChallenge));
        }
    }

    /// RFC 9700 §2.1.1
    #[test]
    fn who_must_use_pkce_follows_the_policy() {
        let without = good_but(&["code_challenge", "code_challenge_method"]);
        let confidential = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
            ..metadata()
        };
        for (pkce, public_passes, confidential_passes) in [
            (PkcePolicy::Optional, true, true),
            (PkcePolicy::PublicClients, false, true),
            (PkcePolicy::Everybody, false, false),
        ] {
            let policy = RequestPolicy { pkce, ..POLICY };
            for (metadata, passes) in
                [(metadata(), public_passes), (confidential.clone(), confidential_passes)]
            {
                for via in BOTH {
                    let result = check_for(metadata.clone(), policy, &without, via);
                    if passes {
                        assert_eq!(result.unwrap().request.code_challenge, None);
                    } else {
                        told_at(result, RequestError::PkceRequired);
                    }
                }
            }
        }
    }

    /// OpenID Connect Core §3.1.2.1
    #[test]
    fn a_prompt_is_known_and_none_stands_alone() {
        told(&["prompt=dance"], RequestError::Prompt(PromptError::Unknown));
        told(&["prompt=none+login"], RequestError::Prompt(PromptError::NoneCombined));
        let prompts = passed(&["prompt=login+consent"]).prompt;
        assert!(prompts.contains(Prompt::Login) && prompts.contains(Prompt::Consent));
    }

    /// OpenID Connect Core §3.1.2.1
    #[test]
    fn max_age_is_a_number_of_seconds() {
        for malformed in ["-1", "%2B1", "1.5", "soon", "4294967296"] {
            told(&[&format!("max_age={malformed}")], RequestError::MaxAgeMalformed);
        }
        assert_eq!(passed(&["max_age=0"]).max_age, Some(Lifetime::from_seconds(0)));
        assert_eq!(passed(&["max_age=10000"]).max_age, Some(Lifetime::from_seconds(10_000)));
    }

    /// Initiating User Registration via OpenID Connect §4.1.1
    #[test]
    fn an_account_is_made_only_where_that_is_offered() {
        told(&["prompt=create"], RequestError::Prompt(PromptError::CreateNotOffered));
        told(&["prompt=create+none"], RequestError::Prompt(PromptError::NoneCombined));
        let open = RequestPolicy { account_creation: true, ..POLICY };
        for via in BOTH {
            let checked = check_for(metadata(), open, &good_but(&["prompt=create"]), via).unwrap();
            assert!(checked.request.prompt.contains(Prompt::Create));
        }
    }

    /// OpenID Connect Core §5.5
    #[test]
    fn claims_are_read_and_their_values_sealed() {
        for malformed in ["x", "[]", "{\"id_token\":1}"] {
            told(&[&format!("claims={malformed}")], RequestError::Claims(MalformedClaims));
        }
        let email = r#"claims={"userinfo":{"email":{"value":"ada@rp.example"}}}"#;
        for via in BOTH {
            let checked = check(&[email], via).unwrap();
            assert_eq!(checked.request.claims.all().collect::<Vec<_>>(), ["email"]);
            assert!(!format!("{checked:?}").contains("ada"));
            assert!(checked.sealed.claims.is_some());
            let names = check(&[r#"claims={"id_token":{"email":null}}"#], via).unwrap();
            assert!(names.sealed.claims.is_none());
            let plain = check(&[email, "scope=read"], via).unwrap();
            assert!(plain.request.claims.is_empty() && plain.sealed.claims.is_none());
        }
    }

    #[test]
    fn the_first_rule_that_is_broken_is_told() {
        let many = ["response_type=token", "scope=admin", "prompt=dance", "max_age=x"];
        told(&many, RequestError::ResponseTypeUnknown);
        told(&many[1..], RequestError::ScopeNotAllowed);
        told(&many[2..], RequestError::Prompt(PromptError::Unknown));
    }
}
