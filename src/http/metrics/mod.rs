//! `/metrics`, on addresses of its own (`metrics.listen`): figures for the
//! operator's monitoring, in the Prometheus text format, or as OpenMetrics for
//! those who ask for that.

mod standing;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use tokio::time::timeout;

use self::standing::{Beside, Shown};
use crate::config::secret::SecretText;
use crate::http::request;
use crate::services::Services;

/// OpenMetrics 1.0.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the store may take. Whoever asks waits ten seconds, mostly, and
/// wants to hear of a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The only route of its listener.
pub fn configure(service: &mut web::ServiceConfig) {
    service.service(web::resource("/metrics").route(web::get().to(handle)));
}

async fn handle(services: web::Data<Services>, request: HttpRequest) -> HttpResponse {
    if let Some(token) = services.config.metrics.token()
        && !brings(&request, token)
    {
        let challenge = "Bearer realm=\"chancery metrics\"";
        let mut refusal = HttpResponse::build(StatusCode::UNAUTHORIZED);
        return refusal.insert_header((WWW_AUTHENTICATE, challenge)).finish();
    }
    let beside = timeout(PATIENCE, Beside::look_up(&services)).await;
    if let Ok(Err(error)) = &beside {
        tracing::warn!(%error, "some figures are missing: {error}");
    }
    let beside = beside.ok().and_then(Result::ok);
    let [standing, process] = Shown::of(&services, beside.as_ref()).into_registries();
    let all = [services.metrics.registry(), &standing, &process];
    let openmetrics = request::prefers(&request, "application/openmetrics-text", "text/plain");
    let (content_type, written) = if openmetrics {
        (OPENMETRICS, write(&all, text::encode_registry).and_then(ended))
    } else {
        (prometheus_text::CONTENT_TYPE, write(&all, prometheus_text::encode))
    };
    match written {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, content_type))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "figures could not be written: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn write(
    all: &[&Registry],
    encode: fn(&mut String, &Registry) -> std::fmt::Result,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    all.iter().try_for_each(|registry| encode(&mut text, registry))?;
    Ok(text)
}

fn ended(mut text: String) -> Result<String, std::fmt::Error> {
    text::encode_eof(&mut text)?;
    Ok(text)
}

/// Does the request bring this token (RFC 6750 §2.1)?
fn brings(request: &HttpRequest, token: &SecretText) -> bool {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|header| header.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    #[expect(clippy::disallowed_methods, reason = "it is compared with what was brought")]
    let wanted = digest(&SHA256, token.expose().as_bytes());
    given.is_some_and(|(_, given)| {
        let given = digest(&SHA256, given.trim().as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_ref(), wanted.as_ref()).is_ok()
    })
}
