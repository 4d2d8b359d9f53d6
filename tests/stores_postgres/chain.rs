//! Events to append.

use chancery::stores::{Append, Head, NewEvent, StreamId};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;

/// A grant whose events are made here.
#[derive(Clone)]
pub struct Chain {
    pub stream: StreamId,
    pub head: Head,
}

impl Chain {
    pub fn new(id: &str) -> Self {
        let stream = StreamId { kind: AggregateKind::Grant, id: id.into() };
        Self { stream, head: Head::START }
    }

    /// The next event, as this author writes it; the chain goes on from it.
    pub fn next_by(&mut self, author: &str) -> NewEvent {
        let mut event = NewEvent {
            stream: self.stream.clone(),
            sequence: self.head.sequence + 1,
            event_type: "Tested".into(),
            event_version: "1".into(),
            payload: format!(r#"{{"author":"{author}"}}"#).into(),
            metadata: "{}".into(),
            prev_digest: self.head.digest,
            digest: Sha256Digest::ZERO,
        };
        event.digest = event.facts().digest();
        self.head = Head { sequence: event.sequence, digest: event.digest };
        event
    }

    pub fn next(&mut self) -> NewEvent {
        self.next_by("me")
    }
}

pub fn append(events: impl IntoIterator<Item = NewEvent>) -> Append {
    Append { events: events.into_iter().collect(), ..Append::default() }
}
