//! The histories of the aggregates that a bundle is about.

use std::collections::{BTreeMap, BTreeSet};

use chancery_domain::ids::AggregateKind;

use crate::stores::{Store, StoreError, StoredEvent, StreamId};

/// Whole histories: chains are checked from the first event on.
#[derive(Debug, Default)]
pub struct Histories {
    of: BTreeMap<StreamId, Vec<StoredEvent>>,
    events: usize,
}

impl Histories {
    /// Reads the history of an aggregate, unless it was read.
    pub async fn read(&mut self, store: &dyn Store, stream: StreamId) -> Result<(), StoreError> {
        let history = store.history(&stream).await?;
        self.events += history.len();
        if let Some(before) = self.of.insert(stream, history) {
            self.events -= before.len();
        }
        Ok(())
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The position of the last one.
    pub fn last_position(&self) -> u64 {
        let last = self.of.values().filter_map(|history| history.last());
        last.map(|stored| stored.position).max().unwrap_or(0)
    }

    /// All events up to a position, in the order of the log.
    pub fn until(self, position: u64) -> Vec<StoredEvent> {
        let mut events: Vec<_> = self.of.into_values().flatten().collect();
        events.retain(|stored| stored.position <= position);
        events.sort_by_key(|stored| stored.position);
        events
    }
}

/// What belongs to every bundle: which keys there are and were, and where histories end.
pub async fn always(store: &dyn Store) -> Result<Vec<StreamId>, StoreError> {
    let mut streams = Vec::new();
    for kind in [AggregateKind::Log, AggregateKind::SigningKey] {
        let ids = store.ids(kind).await?;
        streams.extend(ids.into_iter().map(|id| StreamId { kind, id: id.into() }));
    }
    Ok(streams)
}

/// How many aggregates these events are of.
pub fn count(events: &[StoredEvent]) -> usize {
    events.iter().map(|stored| &stored.event.stream).collect::<BTreeSet<_>>().len()
}
