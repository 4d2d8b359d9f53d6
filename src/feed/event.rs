//! What the feed hands out: events as stored, read into types at most once.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use chancery_projections::{RawEvent, Recorded, Undecodable};

use crate::stores::StoredEvent;

/// An event of the log.
#[derive(Debug)]
pub struct FeedEvent {
    /// The bytes, as they stand in the log.
    pub stored: StoredEvent,
    recorded: OnceLock<Result<Arc<Recorded>, Arc<Undecodable>>>,
}

impl From<StoredEvent> for FeedEvent {
    fn from(stored: StoredEvent) -> Self {
        Self { stored, recorded: OnceLock::new() }
    }
}

impl FeedEvent {
    /// Its place in the order of the whole log.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.stored.position
    }

    /// The event read into types: by the first who asks, for all.
    pub fn recorded(&self) -> Result<Arc<Recorded>, Arc<Undecodable>> {
        self.recorded.get_or_init(|| decode(&self.stored).map(Arc::new).map_err(Arc::new)).clone()
    }
}

/// Reads a stored event into types.
pub fn decode(stored: &StoredEvent) -> Result<Recorded, Undecodable> {
    let event = &stored.event;
    Recorded::decode(RawEvent {
        position: stored.position,
        recorded_at_ms: stored.recorded_at_ms,
        kind: event.stream.kind,
        id: &event.stream.id,
        sequence: event.sequence,
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
    })
}

/// Some events in order, without gaps: all that stand in the log after one position up to
/// another. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Batch {
    after: u64,
    events: Arc<[Arc<FeedEvent>]>,
}

impl Batch {
    pub(super) fn new(after: u64, events: Vec<StoredEvent>) -> Self {
        Self { after, events: events.into_iter().map(|event| Arc::new(event.into())).collect() }
    }

    /// The position that it goes on from (exclusive).
    #[must_use]
    pub fn after(&self) -> u64 {
        self.after
    }

    /// The position of its last event.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.events.last().map_or(self.after, |event| event.position())
    }

    /// The same without the events up to this position.
    pub(super) fn from(self, position: u64) -> Self {
        if position <= self.after {
            return self;
        }
        let rest = self.events.iter().filter(|event| event.position() > position);
        Self { after: position, events: rest.cloned().collect() }
    }
}

impl Deref for Batch {
    type Target = [Arc<FeedEvent>];

    fn deref(&self) -> &Self::Target {
        &self.events
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Arc<FeedEvent>;
    type IntoIter = std::slice::Iter<'a, Arc<FeedEvent>>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}
