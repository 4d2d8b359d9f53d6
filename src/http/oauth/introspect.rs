//! The introspection endpoint (RFC 7662); its answers in JSON, or as JWTs (RFC
//! 9701).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chancery_domain::client::RegisteredClient;
use chancery_domain::grant::{Active, Grant, GrantError};
use chancery_domain::ids::{ClientId, GrantId};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::metadata::ServerMetadata;
use crate::actors::grant::GrantFailure;
use crate::client_auth::{self, Public, known_client};
use crate::config::hooks::Point;
use crate::config::rate_limits::Limited;
use crate::handles::RefreshHandle;
use crate::hooks::answers::IntrospectionAnswer;
use crate::hooks::input::{self, AboutToken, Frame};
use crate::http::{cors, render, request};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::subjects::subject_for;
use crate::tokens::for_client::{self, Encryption, Shape};
use crate::tokens::{AddedClaims, Audience, LiveToken, TokenRefusal, find_access_token};

/// RFC 9701 §4
const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// RFC 7662 §2.2
#[derive(Serialize, Default)]
struct Answer {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
    /// RFC 9396 §9.2
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    authorization_details: AuthorizationDetails,
    /// What hooks added: to the token when it was issued, and now.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[tracing::instrument(name = "oauth.introspect", level = "debug", skip_all)]
pub async fn handle(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut answer = match answer(&services, &request, &body).await {
        Ok(answer) => answer,
        Err(error) => render::error(&request, &error),
    };
    cors::for_client(&services, &request, None, &mut answer);
    answer
}

async fn answer(
    services: &Services,
    request: &HttpRequest,
    body: &[u8],
) -> Result<HttpResponse, OAuthError> {
    let parameters = request::form(request, body)?;
    let (client, _) = request::client(services, request, &parameters).await?;
    request::admit(services, request, Limited::Introspection, &client)?;
    if client.is_public() {
        let text = "introspection needs a client that can prove who it is";
        return Err(OAuthError::new(ErrorCode::InvalidClient, text));
    }
    let token = parameters.once("token").ok().flatten();
    let token = token.ok_or_else(|| OAuthError::invalid_request("token is missing or repeated"))?;
    let told = introspect(services, &client, token).await?;
    if !request::prefers(request, MEDIA_TYPE, "application/json") {
        return Ok(render::json(StatusCode::OK, &told));
    }
    Ok(render::jwt(MEDIA_TYPE, jwt(services, &client, &told).await?))
}

/// Whatever is not alive, or not for this client to know, is `active: false`
/// (RFC 7662 §2.2, §4).
async fn introspect(
    services: &Services,
    client: &RegisteredClient,
    token: &str,
) -> Result<Answer, OAuthError> {
    match find_access_token(services, token).await {
        Ok(live) => of_access_token(services, client, &live).await,
        Err(TokenRefusal::Failed(error)) => Err(error),
        Err(TokenRefusal::NotAlive) => of_refresh_token(services, client, token).await,
    }
}

/// RFC 9701 §5. There is no `sub` and no `exp` around the answer, so that
/// nobody takes it for an access token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a ClientId,
    iat: UnixTime,
    token_introspection: &'a Answer,
}

/// The answer as the resource server is registered to get it (RFC 9701 §6).
async fn jwt(
    services: &Services,
    client: &RegisteredClient,
    answer: &Answer,
) -> Result<String, OAuthError> {
    let metadata = &client.metadata;
    let default = services.config.keys.signing_algorithm;
    let shape = Shape {
        typ: "token-introspection+jwt",
        signed: Some(metadata.introspection_signed_response_alg.unwrap_or(default)),
        encrypted: Encryption::registered(
            metadata.introspection_encrypted_response_alg,
            metadata.introspection_encrypted_response_enc,
        ),
    };
    let claims = Claims {
        iss: services.issuer(),
        aud: &client.client_id,
        iat: services.now(),
        token_introspection: answer,
    };
    for_client::jwt(services, client, &shape, &claims).await
}

fn may_know(client: &RegisteredClient, grant: &Active) -> bool {
    client.metadata.introspect_any_token || client.client_id == grant.authorization.client_id
}

/// As the client of the grant knows the person.
fn subject(services: &Services, owner: &RegisteredClient, grant: &Active) -> String {
    let person = grant.authorization.subject();
    let person = person.map(|subject| subject_for(&services.keys.get(), owner, subject));
    person.unwrap_or_else(|| owner.client_id.to_string())
}

async fn of_access_token(
    services: &Services,
    client: &RegisteredClient,
    live: &LiveToken,
) -> Result<Answer, OAuthError> {
    if !may_know(client, &live.grant) {
        return Ok(Answer::default());
    }
    let added = AddedClaims::of(services, live.grant_id, live.facts.claims).await?;
    let person = live.grant.authorization.authentication.as_ref();
    let answer = Answer {
        active: true,
        token_type: Some("Bearer"),
        scope: Some(live.facts.scope.to_string()),
        client_id: Some(live.grant.authorization.client_id.clone()),
        sub: Some(subject(services, &live.client, &live.grant)),
        aud: Some(Audience::of(&live.facts, services.issuer())),
        iss: Some(services.issuer().to_owned()),
        exp: Some(live.facts.expires_at),
        iat: Some(live.facts.issued_at),
        jti: Some(live.jti()),
        auth_time: person.map(|person| person.auth_time),
        acr: person.map(|person| person.acr.clone()),
        authorization_details: live.grant.authorization.authorization_details.clone(),
        more: added.access.clone(),
    };
    let token = (live.grant_id, &*live.grant, &live.facts.scope);
    ask_hooks(services, client, token, answer).await
}

/// What the operator's hooks make of the answer about a token of this grant.
async fn ask_hooks(
    services: &Services,
    client: &RegisteredClient,
    (id, grant, scope): (GrantId, &Active, &Scope),
    mut answer: Answer,
) -> Result<Answer, OAuthError> {
    let Some(asked) = services.hooks.at(Point::Introspection, Some(client)) else {
        return Ok(answer);
    };
    let frame = Frame::of(services, Some(client));
    let told = serde_json::to_value(&answer).map_err(|error| OAuthError::internal(&error))?;
    let told = told.as_object().cloned().unwrap_or_default();
    let authorization = &*grant.authorization;
    let about = AboutToken { grant: id, authorization, scope, answer: &told };
    let said: IntrospectionAnswer =
        asked.ask(services, |_| input::introspection(frame, about)).await?;
    if said.inactive {
        return Ok(Answer::default());
    }
    answer.more.extend(said.members);
    Ok(answer)
}

async fn of_refresh_token(
    services: &Services,
    client: &RegisteredClient,
    text: &str,
) -> Result<Answer, OAuthError> {
    let inactive = Answer::default();
    let Some(handle) = RefreshHandle::decode(text) else { return Ok(inactive) };
    // One of a later generation than is known here: another node has issued it just now.
    let is_known = |grant: &Grant| match grant {
        Grant::Active(grant) => {
            grant.refresh.as_ref().is_some_and(|family| handle.number <= family.generation)
        }
        _ => false,
    };
    let grant = match services.grants.look_for(handle.grant, is_known).await {
        Ok(Grant::Active(grant)) => grant,
        Ok(_) | Err(GrantFailure::Refused(GrantError::Unknown)) => return Ok(inactive),
        Err(failure) => return Err(failure.into()),
    };
    let (Some(seed), Some(family)) = (&grant.seed, &grant.refresh) else { return Ok(inactive) };
    let keys = services.keys.get();
    let owner = known_client(services, grant.authorization.client_id.as_str()).await?;
    let Some(owner) = owner else { return Ok(inactive) };
    let alive = keys.is_genuine(seed, &handle)
        && handle.number == family.generation
        && services.now() < family.expires_at
        && may_know(client, &grant);
    if !alive {
        return Ok(inactive);
    }
    let answer = Answer {
        active: true,
        scope: Some(grant.authorization.scope.to_string()),
        client_id: Some(grant.authorization.client_id.clone()),
        sub: Some(subject(services, &owner, &grant)),
        iss: Some(services.issuer().to_owned()),
        exp: Some(family.expires_at),
        ..inactive
    };
    let token = (handle.grant, &*grant, &grant.authorization.scope);
    ask_hooks(services, client, token, answer).await
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("introspection_endpoint", "/introspect");
    client_auth::describe(metadata, "introspection", Public::Refused);
    let signs = for_client::signing_algorithms(metadata.services());
    metadata.set("introspection_signing_alg_values_supported", &signs);
    metadata.set("introspection_encryption_alg_values_supported", KeyManagementAlgorithm::NAMES);
    metadata.set("introspection_encryption_enc_values_supported", ContentEncryption::NAMES);
}
