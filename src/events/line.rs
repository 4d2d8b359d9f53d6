//! One event as one line of JSON: what `chancery events` prints, and the files
//! in NDJSON hold.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::rfc3339_ms;
use crate::stores::StoredEvent;

/// One event, as it stands in the log.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    position: u64,
    recorded_at: String,
    aggregate_type: &'static str,
    aggregate_id: &'a str,
    sequence: u64,
    event_type: &'a str,
    event_version: &'a str,
    /// The bytes that the digest covers.
    payload: &'a RawValue,
    metadata: &'a RawValue,
    prev_digest: String,
    digest: String,
}

impl<'a> Line<'a> {
    pub fn of(stored: &'a StoredEvent) -> Result<Self, serde_json::Error> {
        let event = &stored.event;
        Ok(Self {
            position: stored.position,
            recorded_at: rfc3339_ms(stored.recorded_at_ms),
            aggregate_type: event.stream.kind.as_str(),
            aggregate_id: &event.stream.id,
            sequence: event.sequence,
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: serde_json::from_str(&event.payload)?,
            metadata: serde_json::from_str(&event.metadata)?,
            prev_digest: event.prev_digest.to_string(),
            digest: event.digest.to_string(),
        })
    }
}
