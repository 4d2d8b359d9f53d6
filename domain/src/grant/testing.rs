//! Ready events and commands for the tests of the transitions.

use std::sync::Arc;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::authorization::{Authentication, Authorization, AuthorizationRequest};
use crate::digest::Salt;
use crate::ids::{ClientId, KeyId, SessionId, SubjectId};
use crate::protocol::authorization_details::AuthorizationDetails;
use crate::protocol::claims::ClaimNames;
use crate::protocol::pkce::{CodeChallenge, CodeVerifier};
use crate::protocol::prompt::Prompts;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::secret::{AuthorizationCode, Digest, RequestUri};
use crate::time::{Lifetime, UnixTime};

pub const REDIRECT_URI: &str = "https://rp.example/cb";
pub const CODE_LIFETIME: u32 = 60;
pub const REQUEST_URI_LIFETIME: u32 = 90;
pub const ACCESS_LIFETIME: u32 = 300;
pub const REFRESH_LIFETIME: u32 = 14_400;
pub const GRACE: u32 = 30;

/// When the code was issued and when it was redeemed, in the ready events.
pub const ISSUED: u32 = 200;
pub const REDEEMED: u32 = 210;

pub fn given(events: Vec<GrantEvent>) -> AggregateTestExecutor<Grant> {
    TestFramework::with(()).given(events)
}

pub fn folded(events: Vec<GrantEvent>) -> Grant {
    let mut grant = Grant::default();
    for event in events {
        grant.assign(event);
    }
    grant
}

/// So many seconds after the grant began.
pub fn at(seconds: u32) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000) + for_seconds(seconds)
}

pub fn for_seconds(seconds: u32) -> Lifetime {
    Lifetime::from_seconds(seconds)
}

pub fn client() -> ClientId {
    ClientId::parse("rp").unwrap()
}

pub fn other_client() -> ClientId {
    ClientId::parse("other").unwrap()
}

pub fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

pub fn session(number: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(number))
}

pub fn authentication() -> Authentication {
    Authentication {
        subject: SubjectId::from_uuid(uuid::Uuid::from_u128(11)),
        session_id: Some(session(21)),
        auth_time: at(100),
        acr: "1".to_owned(),
        amr: vec!["pwd".to_owned()],
    }
}

/// Another person, in another browser.
pub fn other_authentication() -> Authentication {
    Authentication {
        subject: SubjectId::from_uuid(uuid::Uuid::from_u128(12)),
        session_id: Some(session(22)),
        auth_time: at(150),
        ..authentication()
    }
}

pub fn request_uri(byte: u8) -> Digest<RequestUri> {
    Digest::of(&[byte; 32])
}

pub fn code(byte: u8) -> Digest<AuthorizationCode> {
    Digest::of(&[byte; 32])
}

/// RFC 7636 appendix B.
pub fn verifier() -> CodeVerifier {
    CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap()
}

pub fn other_verifier() -> CodeVerifier {
    CodeVerifier::parse(&"a".repeat(43)).unwrap()
}

pub fn request() -> AuthorizationRequest {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    AuthorizationRequest {
        client_id: client(),
        redirect_uri: RedirectUri::parse(REDIRECT_URI).unwrap(),
        redirect_uri_by_default: false,
        response_type: ResponseType::Code,
        response_mode: None,
        scope: scope("openid email offline_access"),
        code_challenge: CodeChallenge::parse(Some(challenge), Some("S256")).unwrap(),
        prompt: Prompts::default(),
        max_age: None,
        claims: ClaimNames::default(),
        acr_values: vec![],
        ui_locales: vec![],
        sealed: None,
    }
}

/// A plain OAuth request without anything that it may leave out.
pub fn bare_request() -> AuthorizationRequest {
    AuthorizationRequest {
        redirect_uri_by_default: true,
        scope: scope("read"),
        code_challenge: None,
        ..request()
    }
}

pub fn plan() -> TokenPlan {
    TokenPlan {
        access_form: AccessTokenForm::Jwt(key("sig-1")),
        access_lifetime: for_seconds(ACCESS_LIFETIME),
        audience: vec!["https://api.example".to_owned()],
        id_key: IdTokenKey::Key(key("sig-1")),
        id_audience: vec![],
        id_lifetime: for_seconds(3600),
        refresh_lifetime: Some(for_seconds(REFRESH_LIFETIME)),
        refresh_needs_offline_access: true,
        seed: seed(1),
        claims: None,
    }
}

pub fn seed(byte: u8) -> HandleSeed {
    HandleSeed { key: key("handle-1"), salt: Salt::from_bytes([byte; 16]) }
}

pub fn access_token(number: u32, seconds: u32, names: &str) -> AccessTokenFacts {
    AccessTokenFacts {
        number,
        form: AccessTokenForm::Jwt(key("sig-1")),
        scope: scope(names),
        audience: vec!["https://api.example".to_owned()],
        issued_at: at(seconds),
        expires_at: at(seconds + ACCESS_LIFETIME),
        claims: None,
    }
}

/// The answer that brings refresh token and access token of this number, for
/// the whole scope of [`request`].
pub fn tokens(number: u32, seconds: u32) -> IssuedTokens {
    IssuedTokens {
        access: access_token(number, seconds, "openid email offline_access"),
        id: Some(IdTokenFacts {
            signed_by: IdTokenKey::Key(key("sig-1")),
            audience: vec![],
            issued_at: at(seconds),
            expires_at: at(seconds + 3600),
            claims: None,
        }),
        refresh: Some(RefreshTokenFacts {
            generation: number,
            expires_at: at(seconds + REFRESH_LIFETIME),
        }),
        seed: (number == 1).then(|| seed(1)),
    }
}

pub fn pushed() -> GrantEvent {
    RequestPushed {
        request: Arc::new(request()),
        request_uri: request_uri(1),
        at: at(0),
        expires_at: at(REQUEST_URI_LIFETIME),
    }
    .into()
}

pub fn received(request: AuthorizationRequest) -> GrantEvent {
    RequestReceived { request: Arc::new(request), at: at(0) }.into()
}

pub fn authenticated(authentication: Authentication) -> GrantEvent {
    SubjectAuthenticated { authentication }.into()
}

pub fn consented(names: &str) -> GrantEvent {
    ConsentGiven { scope: scope(names), claims: ClaimNames::default(), presented: None }.into()
}

pub fn code_issued() -> GrantEvent {
    CodeIssued { code: code(1), at: at(ISSUED), expires_at: at(ISSUED + CODE_LIFETIME) }.into()
}

/// What came by the browser.
pub fn by_browser(
    response_type: ResponseType,
    access: Option<AccessTokenFacts>,
    id: Option<IdTokenFacts>,
) -> GrantEvent {
    let tokens = Arc::new(FrontChannelTokens { access, id, seed: None });
    FrontChannelTokensIssued { response_type, tokens, at: at(ISSUED) }.into()
}

pub fn code_redeemed() -> GrantEvent {
    CodeRedeemed { tokens: Arc::new(tokens(1, REDEEMED)) }.into()
}

/// The redemption of the code of [`until_hybrid`].
pub fn redeemed_second() -> GrantEvent {
    let tokens = IssuedTokens {
        refresh: tokens(1, REDEEMED).refresh,
        seed: Some(seed(1)),
        ..tokens(2, REDEEMED)
    };
    CodeRedeemed { tokens: Arc::new(tokens) }.into()
}

/// The rotation that brings this generation.
pub fn rotated(generation: u32, seconds: u32) -> GrantEvent {
    RefreshTokenRotated {
        tokens: Arc::new(tokens(generation, seconds)),
        grace_until: at(seconds + GRACE),
    }
    .into()
}

pub fn noted(reason: RefusalReason, client_id: ClientId) -> GrantEvent {
    RefusalNoted { reason, client_id }.into()
}

pub fn declined() -> GrantEvent {
    RequestDeclined { reason: DeclineReason::ConsentDenied }.into()
}

pub fn revoked(cause: RevocationCause, seconds: u32) -> GrantEvent {
    GrantRevoked { cause, at: at(seconds) }.into()
}

pub fn until_authenticated() -> Vec<GrantEvent> {
    vec![pushed(), authenticated(authentication())]
}

pub fn until_code() -> Vec<GrantEvent> {
    let consent = consented("openid email offline_access");
    [until_authenticated(), vec![consent, code_issued()]].concat()
}

/// A code, and both tokens by the browser.
pub fn until_hybrid() -> Vec<GrantEvent> {
    let response_type = ResponseType::CodeIdTokenToken;
    let asked = AuthorizationRequest { response_type, ..request() };
    let access = access_token(1, ISSUED, "openid email offline_access");
    let front = by_browser(response_type, Some(access), tokens(1, ISSUED).id);
    [until_code_for(asked), vec![front]].concat()
}

/// Both tokens by the browser, and no code.
pub fn until_implicit() -> Vec<GrantEvent> {
    let response_type = ResponseType::IdTokenToken;
    let asked = AuthorizationRequest { response_type, ..request() };
    let access = access_token(1, ISSUED, "openid");
    let front = by_browser(response_type, Some(access), tokens(1, ISSUED).id);
    vec![received(asked), authenticated(authentication()), consented("openid"), front]
}

pub fn until_active() -> Vec<GrantEvent> {
    [until_code(), vec![code_redeemed()]].concat()
}

/// A code for another request, received by a browser.
pub fn until_code_for(request: AuthorizationRequest) -> Vec<GrantEvent> {
    let consent = consented(request.scope.as_str());
    vec![received(request), authenticated(authentication()), consent, code_issued()]
}

pub fn until_revoked() -> Vec<GrantEvent> {
    [until_active(), vec![revoked(RevocationCause::RevokedByClient, 300)]].concat()
}

pub fn until_declined() -> Vec<GrantEvent> {
    [until_authenticated(), vec![declined()]].concat()
}

/// A direct grant.
pub fn issued_directly() -> GrantEvent {
    let authorization = Authorization {
        client_id: client(),
        authentication: None,
        scope: scope("read"),
        claims: ClaimNames::default(),
        authorization_details: AuthorizationDetails::default(),
    };
    let tokens =
        IssuedTokens { access: access_token(1, 0, "read"), id: None, refresh: None, seed: None };
    TokensIssued {
        grant_type: crate::protocol::grant_type::GrantType::ClientCredentials,
        authorization: Arc::new(authorization),
        tokens: Arc::new(tokens),
    }
    .into()
}
