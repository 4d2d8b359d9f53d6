//! `/schemas`: the JSON Schemas of events, for everybody.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use super::api::problem::Problem;
use super::cors;
use crate::services::Services;

/// Members may be added with each release.
const AN_HOUR: &str = "public, max-age=3600";

pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/schemas").route(web::get().to(index)))
        .service(web::resource("/schemas/{path:.*}").route(web::get().to(document)));
}

/// Which schemas there are.
async fn index(services: web::Data<Services>) -> HttpResponse {
    answer("application/json", services.schemas().index())
}

/// One of them (JSON Schema 2020-12 §14).
async fn document(services: web::Data<Services>, path: web::Path<String>) -> HttpResponse {
    match services.schemas().document(&path) {
        Some(document) => answer("application/schema+json", document),
        None => Problem::not_found("there is no such schema; /schemas names all").into_response(),
    }
}

fn answer(media_type: &'static str, text: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::OK)
        .content_type(media_type)
        .insert_header((CACHE_CONTROL, AN_HOUR))
        .body(text.to_owned());
    cors::for_all(&mut answer);
    answer
}
