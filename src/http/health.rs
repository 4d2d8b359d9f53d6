//! `/health/live`: the process runs. `/health/ready`: it can do its work.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::render;
use crate::services::Services;

pub async fn live() -> HttpResponse {
    render::json(StatusCode::OK, &json!({ "status": "live" }))
}

pub async fn ready(services: web::Data<Services>) -> HttpResponse {
    match services.store.ping().await {
        Ok(()) => render::json(StatusCode::OK, &json!({ "status": "ready" })),
        Err(error) => {
            tracing::warn!(%error, "not ready: the store does not answer: {error}");
            let body = json!({ "status": "unavailable", "because": "the store does not answer" });
            render::json(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}
