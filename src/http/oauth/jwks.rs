//! The JWK Set (RFC 7517 §5).

use actix_web::{HttpResponse, web};

use super::metadata::{ServerMetadata, cache_control};
use crate::http::cors;
use crate::services::Services;

pub async fn handle(services: web::Data<Services>) -> HttpResponse {
    let jwks = services.keys.get().jwks.as_bytes().to_vec();
    let mut answer = HttpResponse::Ok()
        .content_type("application/jwk-set+json")
        .insert_header(cache_control(&services))
        .body(jwks);
    cors::for_all(&mut answer);
    answer
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("jwks_uri", "/jwks");
}
