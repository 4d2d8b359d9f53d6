//! `GET /events/stream`: the log as server-sent events (WHATWG HTML §9.2), for
//! as long as the reader and its token live.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::EVENTS;
use super::query::{Query, Reader};
use crate::events::filter::Filter;
use crate::events::readers::Stream;
use crate::feed::{Batch, Subscription};
use crate::http::api::operator::Operator;
use crate::http::api::problem::Problem;
use crate::http::render::uncached;

/// How long a browser waits before it connects again, in milliseconds.
const RETRY: u32 = 2000;

/// Streams events after a cursor: that of the query, or `Last-Event-ID`.
pub async fn handle(request: HttpRequest) -> HttpResponse {
    answer(request).await.unwrap_or_else(Problem::into_response)
}

async fn answer(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&request).await?;
    let query = web::Query::<Query>::from_query(request.query_string());
    let query = query.map_err(|error| Problem::bad_request(error.to_string()))?.into_inner();
    let last = request.headers().get("last-event-id").map(|value| value.to_str());
    let last = last.transpose().map_err(|_| Problem::bad_request("Last-Event-ID is no cursor"))?;
    let asked = reader.asked(query, last).await?;
    let limit = reader.services.config.events.streams_per_reader;
    let counted = reader.services.readers.open(&reader.name, limit).ok_or_else(|| {
        let detail = format!("more than {limit} streams at once (on this node): close one");
        Problem::too_many(detail, 10)
    })?;
    let log = reader.services.feed.subscribe(asked.after);
    let heartbeat = Duration::from_secs(reader.services.config.events.heartbeat.seconds().into());
    let checked = Instant::now();
    let open = Open { request, reader, filter: asked.filter, log, counted, heartbeat, checked };
    let first = Bytes::from(format!("retry: {RETRY}\n\n"));
    let blocks = stream::unfold((Some(first), open), async |(first, mut open)| {
        let block = match first {
            Some(first) => first,
            None => open.block().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(block), (None, open)))
    });
    Ok(uncached(StatusCode::OK)
        .content_type("text/event-stream")
        // Proxies are not to collect it.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(blocks))
}

/// A stream that is open. What the reader is too slow for is not kept: the log
/// is read when it is ready.
struct Open {
    request: HttpRequest,
    reader: Reader,
    filter: Filter,
    log: Subscription,
    counted: Stream,
    /// After so long without an event, a block is sent that only moves the cursor; and the token
    /// is looked at again.
    heartbeat: Duration,
    /// When the token was good last.
    checked: Instant,
}

impl Open {
    /// What is to be sent next; None ends the stream.
    async fn block(&mut self) -> Option<Bytes> {
        let deadline = Instant::now() + self.heartbeat;
        loop {
            let next = tokio::select! {
                next = timeout_at(deadline, self.log.next()) => next,
                () = self.reader.services.closing.told() => return None,
            };
            if self.checked.elapsed() >= self.heartbeat && !self.is_still_allowed().await {
                return None;
            }
            let batch = match next {
                Ok(Ok(batch)) => batch,
                // The reader comes back with its cursor.
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a stream of events ends: {error}");
                    return None;
                }
                Err(_) => return Some(self.heartbeat()),
            };
            let block = self.blocks(&batch)?;
            self.note();
            if !block.is_empty() {
                return Some(block.into());
            }
            if Instant::now() >= deadline {
                return Some(self.heartbeat());
            }
        }
    }

    fn blocks(&self, batch: &Batch) -> Option<Vec<u8>> {
        let events = &self.reader.events;
        let mut blocks = Vec::new();
        for event in batch {
            if !self.filter.takes(&event.stored.event) {
                continue;
            }
            let id = events.cursors().at(event.position());
            blocks.extend_from_slice(format!("id: {id}\ndata: ").as_bytes());
            if let Err(error) = events.write(&event.stored, &mut blocks) {
                tracing::error!(%error, "a stream of events ends: {error}");
                return None;
            }
            blocks.extend_from_slice(b"\n\n");
        }
        Some(blocks)
    }

    /// Moves the cursor, without an event (§9.2.6: a block without data is not dispatched).
    fn heartbeat(&self) -> Bytes {
        self.note();
        let cursor = self.reader.events.cursors().at(self.log.position());
        Bytes::from(format!(": heartbeat\nid: {cursor}\n\n"))
    }

    fn note(&self) {
        self.counted.seen(self.log.position(), self.reader.services.clock.now_ms());
    }

    async fn is_still_allowed(&mut self) -> bool {
        let operator = Operator::of(&EVENTS, &self.reader.services, &self.request).await;
        self.checked = Instant::now();
        operator.is_ok()
    }
}
