//! The client registration endpoint (RFC 7591 §3, OpenID Connect Registration
//! §3) and the client configuration endpoint (RFC 7592 §2).

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};

use super::metadata::ServerMetadata;
use crate::http::{render, request};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::registration::{self, Managed, Refusal};
use crate::services::Services;
use crate::tally::What;

/// The longest request that is read, in bytes.
pub const LONGEST_BODY: usize = 65_536;

/// RFC 7591 §3.1
#[tracing::instrument(name = "oauth.register", level = "debug", skip_all)]
pub async fn register(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let registered = async {
        admit(&services, &request)?;
        json(&request)?;
        let asked = registration::Request {
            token: token(&request)?,
            body: &body,
            request_id: request::request_id(&services),
        };
        registration::register(&services, &asked).await
    };
    match registered.await {
        Ok(client) => render::json(StatusCode::CREATED, &client),
        Err(refusal) => refused(&services, &request, &refusal),
    }
}

/// RFC 7592 §2.1
#[tracing::instrument(name = "oauth.register", level = "debug", skip_all)]
pub async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    client_id: web::Path<String>,
) -> HttpResponse {
    match managed(&services, &request, &client_id).await {
        Ok(client) => render::json(StatusCode::OK, &client.read(&services)),
        Err(refusal) => refused(&services, &request, &refusal),
    }
}

/// RFC 7592 §2.2
#[tracing::instrument(name = "oauth.register", level = "debug", skip_all)]
pub async fn replace(
    services: web::Data<Services>,
    request: HttpRequest,
    client_id: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let replaced = async {
        let client = managed(&services, &request, &client_id).await?;
        admit(&services, &request)?;
        json(&request)?;
        client.replace(&services, &body).await
    };
    match replaced.await {
        Ok(client) => render::json(StatusCode::OK, &client),
        Err(refusal) => refused(&services, &request, &refusal),
    }
}

/// RFC 7592 §2.3
#[tracing::instrument(name = "oauth.register", level = "debug", skip_all)]
pub async fn delete(
    services: web::Data<Services>,
    request: HttpRequest,
    client_id: web::Path<String>,
) -> HttpResponse {
    let deleted = async { managed(&services, &request, &client_id).await?.delete(&services).await };
    match deleted.await {
        Ok(()) => render::uncached(StatusCode::NO_CONTENT).finish(),
        Err(refusal) => refused(&services, &request, &refusal),
    }
}

async fn managed(
    services: &Services,
    request: &HttpRequest,
    client_id: &str,
) -> Result<Managed, Refusal> {
    let request_id = request::request_id(services);
    Managed::of(services, client_id, token(request)?, request_id).await
}

fn admit(services: &Services, request: &HttpRequest) -> Result<(), OAuthError> {
    let network = registration::network(request::client_address(services, request));
    registration::admit(services, &network, services.now())
}

/// The bearer token of the header (RFC 6750 §2.1).
fn token(request: &HttpRequest) -> Result<Option<&str>, OAuthError> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    let bearer = header.to_str().ok().and_then(|text| text.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(OAuthError::new(ErrorCode::InvalidToken, "give a bearer token, or no header")),
    }
}

/// RFC 7591 §3.1: metadata come as JSON.
fn json(request: &HttpRequest) -> Result<(), OAuthError> {
    let essence = request.content_type();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(OAuthError::new(ErrorCode::InvalidClientMetadata, "the body must be application/json"))
}

fn refused(services: &Services, request: &HttpRequest, refusal: &Refusal) -> HttpResponse {
    let error = match refusal {
        Refusal::NoToken => {
            services.tallies.count(What::RegistrationRefused, "no_token", None);
            return render::bearer_error(None);
        }
        Refusal::Error(error) => error,
    };
    services.tallies.count(What::RegistrationRefused, error.code.as_str(), None);
    match error.code {
        ErrorCode::InvalidToken => render::bearer_error(Some(error)),
        _ => render::error(request, error),
    }
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("registration_endpoint", "/register");
}
