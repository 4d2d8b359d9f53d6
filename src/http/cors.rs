//! Cross-origin requests (Fetch standard): metadata and keys are for all; the
//! endpoints that clients call answer to scripts of the client's own origins.
//!
//! A preflight says nothing about anybody, so every origin gets the same; the
//! answer itself is what a browser withholds from a strange script.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use chancery_domain::client::RegisteredClient;

use crate::services::Services;

/// Lets scripts of every origin read an answer that says nothing secret.
pub fn for_all(answer: &mut HttpResponse) {
    let any = HeaderValue::from_static("*");
    answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
}

/// Lets scripts of the client's own origins (those of its redirect URIs, and
/// those that the operator names) read an answer.
pub fn for_client(
    services: &Services,
    request: &HttpRequest,
    client: Option<&RegisteredClient>,
    answer: &mut HttpResponse,
) {
    let Some(origin) = request.headers().get(ORIGIN) else { return };
    answer.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    let Ok(text) = origin.to_str() else { return };
    let extra = services.config.http.cors_extra_origins.iter().any(|own| own.as_str() == text);
    let own = || {
        let uris = client.map(|client| client.metadata.redirect_uris.iter());
        uris.into_iter().flatten().any(|uri| uri.origin().is_some_and(|own| own == text))
    };
    if extra || own() {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("WWW-Authenticate, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Answers a preflight request.
pub async fn preflight() -> HttpResponse {
    HttpResponse::build(StatusCode::NO_CONTENT)
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "7200"))
        .finish()
}
