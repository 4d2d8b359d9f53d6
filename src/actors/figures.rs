//! Keeps the figures of analysts: it remembers grants that are on their way, and
//! looks others up.
//!
//! What it says is added to rows, which must happen once: the store writes rows
//! and checkpoint together, if the checkpoint still stands where it did. Whoever
//! loses it forgets what it has seen and not seen written ([`Consumer::begin`]).

use std::sync::Arc;

use chancery_domain::ids::AggregateKind;
use chancery_projections::figures::{Counted, Fold, NAME, READS, TABLES, VERSION};
use chancery_projections::{Change, Recorded, Table, Undecodable};
use futures_util::future::BoxFuture;

use crate::feed::consumer::{ConsumeError, Consumer};
use crate::feed::decode;
use crate::stores::{Store, StoreError, StreamId};

/// The figures as a consumer of the feed.
pub struct FiguresKeeper {
    store: Arc<dyn Store>,
    fold: Fold,
}

impl FiguresKeeper {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, fold: Fold::default() }
    }

    async fn count(
        &mut self,
        events: &[Arc<Recorded>],
    ) -> Result<Option<Vec<Change>>, ConsumeError> {
        let mut counted = Counted::default();
        for event in events {
            if self.fold.wants(event) {
                recall(&*self.store, &mut self.fold, event).await?;
            }
            self.fold.count(event, &mut counted);
        }
        Ok((!counted.is_empty()).then(|| counted.changes().collect()))
    }
}

impl Consumer for FiguresKeeper {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn tables(&self) -> &'static [&'static Table] {
        TABLES
    }

    fn reads(&self) -> &'static [AggregateKind] {
        READS
    }

    fn begin(&mut self) {
        self.fold = Fold::default();
    }

    fn consume<'a>(
        &'a mut self,
        events: &'a [Arc<Recorded>],
    ) -> BoxFuture<'a, Result<Option<Vec<Change>>, ConsumeError>> {
        Box::pin(self.count(events))
    }
}

/// Tells a fold what happened to the grant before this event.
pub async fn recall(
    store: &dyn Store,
    fold: &mut Fold,
    event: &Recorded,
) -> Result<(), StoreError> {
    let stream = StreamId { kind: AggregateKind::Grant, id: Arc::clone(&event.id) };
    let history = store.history(&stream).await?;
    let before = history.iter().take_while(|before| before.event.sequence < event.sequence);
    let before: Vec<_> =
        before.map(decode).collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
    fold.recall(&before);
    Ok(())
}

/// An event that was read once, and has been written since by another version.
fn unreadable(error: &Undecodable) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
