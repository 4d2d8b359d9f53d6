//! An event of the log, read into types.

use std::sync::Arc;

use chancery_domain::envelope::Envelope;
use chancery_domain::event::{AnyEvent, DecodeError};
use chancery_domain::ids::AggregateKind;

use crate::Value;

/// An event as it stands in the log, before anybody has read it.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    pub position: u64,
    pub recorded_at_ms: i64,
    pub kind: AggregateKind,
    pub id: &'a Arc<str>,
    pub sequence: u64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    /// JSON.
    pub payload: &'a str,
    /// JSON.
    pub metadata: &'a Arc<str>,
}

/// An event that has been recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the order of the whole log.
    pub position: u64,
    /// When the store took it: milliseconds since 1970.
    pub recorded_at_ms: i64,
    /// `aggregate_type`
    pub kind: AggregateKind,
    /// `aggregate_id`
    pub id: Arc<str>,
    /// Its place in the history of the aggregate, from 1.
    pub sequence: u64,
    /// What happened.
    pub event: AnyEvent,
    metadata: Arc<str>,
}

/// A stored event that this version can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position} ({kind}/{id}/{sequence}): {why}")]
pub struct Undecodable {
    pub position: u64,
    pub kind: AggregateKind,
    pub id: Arc<str>,
    pub sequence: u64,
    pub why: String,
}

impl Recorded {
    /// Reads an event as stored, of any version that ever was.
    pub fn decode(raw: RawEvent<'_>) -> Result<Self, Undecodable> {
        let event = serde_json::from_str(raw.payload)
            .map_err(|source| DecodeError::Malformed { name: raw.event_type.to_owned(), source })
            .and_then(|payload| {
                AnyEvent::from_json(raw.kind, raw.event_type, raw.event_version, payload)
            })
            .map_err(|error| Undecodable {
                position: raw.position,
                kind: raw.kind,
                id: Arc::clone(raw.id),
                sequence: raw.sequence,
                why: error.to_string(),
            })?;
        Ok(Self {
            position: raw.position,
            recorded_at_ms: raw.recorded_at_ms,
            kind: raw.kind,
            id: Arc::clone(raw.id),
            sequence: raw.sequence,
            event,
            metadata: Arc::clone(raw.metadata),
        })
    }

    /// What stands beside the event; read when asked for, since folds seldom ask.
    pub fn envelope(&self) -> Result<Envelope, Undecodable> {
        serde_json::from_str(&self.metadata).map_err(|error| Undecodable {
            position: self.position,
            kind: self.kind,
            id: Arc::clone(&self.id),
            sequence: self.sequence,
            why: format!("the metadata can't be read: {error}"),
        })
    }

    /// When the store took it, in seconds since 1970.
    #[must_use]
    pub fn recorded_at(&self) -> i64 {
        self.recorded_at_ms.div_euclid(1000)
    }

    pub(crate) fn position_value(&self) -> Value {
        i64::try_from(self.position).unwrap_or(i64::MAX).into()
    }

    /// The event's name, as causation ids have it: `aggregate_type/aggregate_id/sequence`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}/{}", self.kind, self.id, self.sequence)
    }
}
