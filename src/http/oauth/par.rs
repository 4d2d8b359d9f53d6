//! The pushed authorization request endpoint (RFC 9126 §2).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chancery_domain::authorization::{AuthorizationRequest, Via, check_request};
use chancery_domain::grant::{Grant, GrantCommand, PushRequest};
use chancery_domain::secret::RequestUri;
use chancery_domain::time::Lifetime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::metadata::ServerMetadata;
use crate::aggregates::Kept as _;
use crate::client_auth::AuthenticatedClient;
use crate::config::hooks::Point;
use crate::config::rate_limits::Limited;
use crate::handles::Handle;
use crate::hooks::answers::ParAnswer;
use crate::hooks::input::{self, Frame};
use crate::http::{cors, render, request};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::policy::request_policy;
use crate::request_objects;
use crate::services::Services;
use crate::tally::What;

/// RFC 9126 §2.2
#[derive(Serialize)]
struct Pushed {
    request_uri: String,
    /// Seconds.
    expires_in: u32,
    /// What hooks add.
    #[serde(flatten)]
    members: Map<String, Value>,
}

#[tracing::instrument(name = "oauth.par", level = "debug", skip_all)]
pub async fn handle(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut client = None;
    let mut answer = match push(&services, &request, &body, &mut client).await {
        Ok(pushed) => render::json(StatusCode::CREATED, &pushed),
        Err(error) => {
            let client_id = client.as_ref().map(|client| &client.client_id);
            services.tallies.count(What::PushRefused, error.code.as_str(), client_id);
            render::error(&request, &error)
        }
    };
    let uncached = HeaderValue::from_static("no-cache, no-store");
    answer.headers_mut().insert(CACHE_CONTROL, uncached);
    cors::for_client(&services, &request, client.as_deref(), &mut answer);
    answer
}

async fn push(
    services: &Services,
    request: &HttpRequest,
    body: &[u8],
    known: &mut Option<AuthenticatedClient>,
) -> Result<Pushed, OAuthError> {
    let parameters = request::form(request, body)?;
    let (client, origin) = request::client(services, request, &parameters).await?;
    *known = Some(client.clone());
    request::admit(services, request, Limited::Par, &client)?;
    if client.is_public() {
        admit_public(services, &client)?;
    }
    let parameters = request_objects::assemble(services, &client, parameters, Via::Push).await?;
    let policy = request_policy(services);
    let checked = check_request(&parameters, &client, policy, Via::Push)
        .map_err(|rejection| rejection.error())?;

    let lifetime =
        client.metadata.par_lifetime.unwrap_or(services.config.tokens.request_uri_lifetime);
    let hooked = ask_hooks(services, &client, &checked.request, lifetime).await?;
    let lifetime = hooked.expires_in.map_or(lifetime, Lifetime::from_seconds);

    let grant_id = services.new_grant_id();
    let mut work = services.work(origin)?;
    let mut request = checked.request;
    if !checked.sealed.is_empty() {
        let stream = Grant::stream(&grant_id.to_string());
        let key = services.vault.new_key(&mut work.append, &stream, None)?;
        let value =
            serde_json::to_vec(&checked.sealed).map_err(|error| OAuthError::internal(&error))?;
        request.sealed = Some(services.vault.seal(&mut work.append, &key, &stream, 1, &value)?);
    }
    let handle = Handle::<RequestUri>::mint(grant_id, &*services.entropy);
    let command = GrantCommand::Push(PushRequest {
        request: Arc::new(request),
        request_uri: handle.secret.digest(),
        now: services.now(),
        lifetime,
    });
    let sealed = Some(Arc::new(checked.sealed));
    services.grants.begin(grant_id, vec![command], work, sealed).await?;
    Ok(Pushed {
        request_uri: handle.to_request_uri(),
        expires_in: lifetime.seconds(),
        members: hooked.members,
    })
}

async fn ask_hooks(
    services: &Services,
    client: &AuthenticatedClient,
    request: &AuthorizationRequest,
    lifetime: Lifetime,
) -> Result<ParAnswer, OAuthError> {
    let Some(asked) = services.hooks.at(Point::Par, Some(client)) else {
        return Ok(ParAnswer::default());
    };
    let frame = Frame::of(services, Some(client));
    Ok(asked.ask(services, |_| input::par(frame, request, lifetime.seconds())).await?)
}

/// Nobody vouches for a public client, and each push is kept: a budget.
fn admit_public(services: &Services, client: &AuthenticatedClient) -> Result<(), OAuthError> {
    if !services.config.authorization.par_public_clients {
        let text = "public clients can't push requests to this server";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    let limit = services.config.limits.public_pushes_per_minute;
    services.push_budget.take(&client.client_id, limit, services.now()).map_err(|wait| {
        let text = "too many requests were pushed in this client's name; try again later";
        OAuthError::too_many(text, wait)
    })
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("pushed_authorization_request_endpoint", "/par");
    let required = metadata.config().authorization.require_par;
    metadata.set("require_pushed_authorization_requests", &required);
}
