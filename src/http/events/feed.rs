//! `GET /events`: a part of the log, one CloudEvent a line; by a long poll, the
//! part that comes next.

use actix_web::http::StatusCode;
use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::query::{Query, Reader};
use crate::events::page::read;
use crate::http::api::problem::Problem;
use crate::http::render::uncached;

/// One JSON value a line.
const NDJSON: &str = "application/x-ndjson";

/// Answers with events after a cursor. Where the last of them is not the last
/// that was looked at, a line that is only a cursor says how far that was.
pub async fn handle(request: HttpRequest) -> HttpResponse {
    answer(&request).await.unwrap_or_else(Problem::into_response)
}

async fn answer(request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(request).await?;
    let query = web::Query::<Query>::from_query(request.query_string());
    let query = query.map_err(|error| Problem::bad_request(error.to_string()))?.into_inner();
    let asked = reader.asked(query, None).await?;
    let services = &reader.services;
    let page = read(&services.feed, &reader.events, &asked);
    let mut page = reader.unless_closing(page).await?;
    let cursor = reader.events.cursors().at(page.through);
    if page.count == 0 || page.is_behind() {
        let line = json!({ "cursor": cursor }).to_string();
        page.lines.extend_from_slice(line.as_bytes());
        page.lines.push(b'\n');
    }
    services.readers.seen(&reader.name, page.through, services.clock.now_ms());
    let next = format!("<{}/events?after={cursor}>; rel=\"next\"", services.issuer());
    Ok(uncached(StatusCode::OK).content_type(NDJSON).insert_header((LINK, next)).body(page.lines))
}
