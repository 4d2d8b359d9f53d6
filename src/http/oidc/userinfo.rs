//! The userinfo endpoint (OpenID Connect Core §5.3).

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::scope::Scope;
use serde_json::{Map, Value};

use crate::claims::{self, Person};
use crate::client_auth::AuthenticatedClient;
use crate::config::hooks::Point;
use crate::config::rate_limits::Limited;
use crate::hooks::answers::{self, UserinfoAnswer};
use crate::hooks::input::{self, AboutToken, Frame};
use crate::http::oauth::metadata::ServerMetadata;
use crate::http::{cors, render, request};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::subjects::subject_for;
use crate::tokens::for_client::{self, Encryption, Shape};
use crate::tokens::{LiveToken, TokenRefusal, find_access_token};

/// What ID tokens say, whatever the scope.
const ALWAYS: [&str; 5] = ["sub", "iss", "auth_time", "acr", "amr"];

/// What came instead of an answer.
enum Refusal {
    /// No token at all.
    NoToken,
    Error(OAuthError),
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::Error(error)
    }
}

/// `GET`: the token stands in the header.
#[tracing::instrument(name = "oidc.userinfo", level = "debug", skip_all)]
pub async fn get(services: web::Data<Services>, request: HttpRequest) -> HttpResponse {
    let token = in_header(&request).map(str::to_owned).ok_or(Refusal::NoToken);
    respond(&services, &request, token).await
}

/// `POST`: the token stands in the header or in the form, not in both (RFC 6750
/// §2).
#[tracing::instrument(name = "oidc.userinfo", level = "debug", skip_all)]
pub async fn post(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let token = token_of_post(&request, &body);
    respond(&services, &request, token).await
}

fn token_of_post(request: &HttpRequest, body: &[u8]) -> Result<String, Refusal> {
    let in_header = in_header(request).map(str::to_owned);
    let in_form = match request::form(request, body) {
        Ok(form) => form
            .once("access_token")
            .map_err(|_| OAuthError::invalid_request("access_token is given more than once"))?
            .map(str::to_owned),
        Err(_) => None,
    };
    match (in_header, in_form) {
        (Some(_), Some(_)) => {
            Err(OAuthError::invalid_request("give the access token in one place only").into())
        }
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(Refusal::NoToken),
    }
}

fn in_header(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn respond(
    services: &Services,
    request: &HttpRequest,
    token: Result<String, Refusal>,
) -> HttpResponse {
    let (answer, client) = answer(services, token).await;
    let mut answer = answer.unwrap_or_else(|refusal| match refusal {
        Refusal::NoToken => render::bearer_error(None),
        Refusal::Error(error) => render::bearer_error(Some(&error)),
    });
    cors::for_client(services, request, client.as_deref(), &mut answer);
    answer
}

/// The answer, and the client whose token it is.
async fn answer(
    services: &Services,
    token: Result<String, Refusal>,
) -> (Result<HttpResponse, Refusal>, Option<AuthenticatedClient>) {
    let live = match token {
        Ok(token) => alive(services, &token).await.map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    let live = match live {
        Ok(live) => live,
        Err(refusal) => return (Err(refusal), None),
    };
    let answer = match told(services, &live).await {
        Ok(claims) => shown(services, claims, &live.client).await,
        Err(error) => Err(error),
    };
    (answer.map_err(Refusal::from), Some(live.client))
}

/// As the client is registered: in JSON, signed, encrypted, or both (OpenID
/// Connect Core §5.3.2).
async fn shown(
    services: &Services,
    mut claims: Map<String, Value>,
    client: &RegisteredClient,
) -> Result<HttpResponse, OAuthError> {
    let metadata = &client.metadata;
    let shape = Shape {
        typ: "JWT",
        signed: metadata.userinfo_signed_response_alg,
        encrypted: Encryption::registered(
            metadata.userinfo_encrypted_response_alg,
            metadata.userinfo_encrypted_response_enc,
        ),
    };
    if shape.signed.is_none() && shape.encrypted.is_none() {
        return Ok(render::json(StatusCode::OK, &claims));
    }
    claims.insert("iss".to_owned(), services.issuer().into());
    claims.insert("aud".to_owned(), client.client_id.as_str().into());
    let token = for_client::jwt(services, client, &shape, &claims).await?;
    Ok(render::jwt("application/jwt", token))
}

fn invalid() -> OAuthError {
    let text = "the access token is invalid, expired or revoked";
    OAuthError::new(ErrorCode::InvalidToken, text)
}

async fn alive(services: &Services, token: &str) -> Result<LiveToken, OAuthError> {
    find_access_token(services, token).await.map_err(|refusal| match refusal {
        TokenRefusal::NotAlive => invalid(),
        TokenRefusal::Failed(error) => error,
    })
}

/// What a token tells.
async fn told(services: &Services, live: &LiveToken) -> Result<Map<String, Value>, OAuthError> {
    services.admit(Limited::Userinfo, &live.client.client_id, None)?;
    let subject = live.grant.authorization.subject();
    let Some(subject) = subject.filter(|_| live.facts.scope.contains(Scope::OPENID)) else {
        let text = "the access token needs the scope openid";
        return Err(OAuthError::new(ErrorCode::InsufficientScope, text));
    };
    let person = Person::of(services, subject).await.map_err(OAuthError::from)?;
    let person = person.ok_or_else(invalid)?;
    let scopes = claims::scopes(services);
    let mut claims = person.by_scope(&scopes, &live.facts.scope);
    let by_name = live.grant.authorization.claims.userinfo.iter().map(String::as_str);
    claims.extend(person.by_name(&scopes, &live.client.scope(), by_name));
    let sub = subject_for(&services.keys.get(), &live.client, subject);
    claims.insert("sub".to_owned(), sub.into());
    ask_hooks(services, live, &mut claims).await?;
    Ok(claims)
}

/// The operator's hooks may shape what is told.
async fn ask_hooks(
    services: &Services,
    live: &LiveToken,
    claims: &mut Map<String, Value>,
) -> Result<(), OAuthError> {
    let authorization = &*live.grant.authorization;
    let Some(asked) = services.hooks.at(Point::Userinfo, Some(&live.client)) else {
        return Ok(());
    };
    let frame = Frame::of(services, Some(&live.client));
    let (grant, scope) = (live.grant_id, &live.facts.scope);
    let about = AboutToken { grant, authorization, scope, answer: claims };
    let said: UserinfoAnswer = asked.ask(services, |_| input::userinfo(frame, about)).await?;
    answers::change(claims, said.claims);
    Ok(())
}

pub(in crate::http) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("userinfo_endpoint", "/userinfo");
    let signs = for_client::signing_algorithms(metadata.services());
    metadata.set("userinfo_signing_alg_values_supported", &signs);
    metadata.set("userinfo_encryption_alg_values_supported", KeyManagementAlgorithm::NAMES);
    metadata.set("userinfo_encryption_enc_values_supported", ContentEncryption::NAMES);
    let scopes = claims::scopes(metadata.services());
    let own = scopes.claims().into_iter().filter(|name| !ALWAYS.contains(name));
    let claims: Vec<String> = ALWAYS.into_iter().chain(own).map(str::to_owned).collect();
    metadata.set("claims_supported", &claims);
}
