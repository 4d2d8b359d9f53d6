//! `GET /events/readers`: who reads, and how far they are.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::Serialize;

use super::query::Reader;
use crate::clock::rfc3339_ms;
use crate::events::cursor::Cursors;
use crate::http::api::endpoint::{Call, Endpoint, NoBody, Nothing};
use crate::http::api::problem::Problem;

pub fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new(
        Method::GET,
        "/readers",
        ("list_event_readers", "Who reads events by this node, and how far they are"),
        readers,
    )]
}

/// The readers that this node has seen since it started.
#[derive(Serialize, JsonSchema)]
struct EventReaders {
    items: Vec<EventReader>,
}

#[derive(Serialize, JsonSchema)]
struct EventReader {
    /// The client or the account that reads.
    name: String,
    /// It was given everything up to here.
    cursor: String,
    /// By how many positions of the log it is behind.
    lag: u64,
    /// When it was given something last (RFC 3339).
    seen_at: String,
    /// How many streams it holds open.
    streams: u32,
}

async fn readers(call: Call<Nothing, NoBody>) -> Result<EventReaders, Problem> {
    let reader = Reader::calling(&call)?;
    reader.sees_others()?;
    let services = &call.services;
    let cursors = Cursors::of(&*services.store);
    let end = services.feed.end().await?;
    let items = services.readers.all().into_iter().map(|(name, standing)| EventReader {
        name,
        cursor: cursors.at(standing.position),
        lag: end.saturating_sub(standing.position),
        seen_at: rfc3339_ms(standing.seen_at_ms),
        streams: standing.streams,
    });
    Ok(EventReaders { items: items.collect() })
}
