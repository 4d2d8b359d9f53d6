//! One listener of the feed.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

use super::{Batch, Feed};
use crate::stores::{LogReader, StoreError};

/// How many events are read at once by a listener who is behind.
const CATCH_UP: usize = 1000;
/// How often the store is looked at while the listener is behind the feed and the store has
/// nothing (safe) to read.
const RETRY: Duration = Duration::from_millis(20);
/// The same when it has waited for a while.
const RETRY_IDLE: Duration = Duration::from_millis(100);

/// All events after a position, in order, each once.
pub struct Subscription {
    feed: Feed,
    live: broadcast::Receiver<Batch>,
    /// The last event that `next` has given.
    position: u64,
    catching_up: CatchingUp,
}

enum CatchingUp {
    /// What comes next comes live.
    No,
    /// What comes next is read from the store: the reader, unless a call was dropped while it
    /// was reading.
    Yes(Option<Box<dyn LogReader>>),
}

impl Subscription {
    pub(super) fn new(feed: Feed, after: u64) -> Self {
        // Before anything is read: what is handed out from now on is waiting here.
        let live = feed.shared.live.subscribe();
        Self { feed, live, position: after, catching_up: CatchingUp::Yes(None) }
    }

    /// The last event that was given.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, never none: waits for them. An error is the store's; calling again goes
    /// on where it was. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Result<Batch, StoreError> {
        let mut patience = RETRY;
        loop {
            if let CatchingUp::Yes(_) = self.catching_up {
                if let Some(batch) = self.read_store().await? {
                    return Ok(batch);
                }
                if self.feed.position().is_some_and(|live| live <= self.position) {
                    self.catching_up = CatchingUp::No;
                    continue;
                }
                tokio::time::sleep(patience).await;
                patience = (patience * 2).min(RETRY_IDLE);
                continue;
            }
            let received = self.live.recv().await.ok();
            if let Some(batch) = self.take(received) {
                return Ok(batch);
            }
        }
    }

    /// More events, if they are here already: for listeners that like to take many at once.
    pub fn more(&mut self) -> Option<Batch> {
        loop {
            if let CatchingUp::Yes(_) = self.catching_up {
                return None;
            }
            let received = match self.live.try_recv() {
                Err(TryRecvError::Empty) => return None,
                received => received.ok(),
            };
            if let Some(batch) = self.take(received) {
                return Some(batch);
            }
        }
    }

    /// What there is to give of a live batch. Where it does not go on from what was given
    /// before, or batches were missed (`None`), the store is read.
    fn take(&mut self, received: Option<Batch>) -> Option<Batch> {
        match received {
            Some(batch) if batch.through() <= self.position => None,
            Some(batch) if batch.after() <= self.position => {
                let batch = batch.from(self.position);
                self.position = batch.through();
                Some(batch)
            }
            Some(_) | None => {
                self.catching_up = CatchingUp::Yes(None);
                None
            }
        }
    }

    async fn read_store(&mut self) -> Result<Option<Batch>, StoreError> {
        let mut reader = match std::mem::replace(&mut self.catching_up, CatchingUp::Yes(None)) {
            CatchingUp::Yes(Some(reader)) => reader,
            CatchingUp::Yes(None) | CatchingUp::No => self.feed.store().read_log(self.position),
        };
        let events = reader.next(CATCH_UP).await?;
        // Kept also when there was nothing: it remembers which hole it waits at.
        self.catching_up = CatchingUp::Yes(Some(reader));
        if events.is_empty() {
            return Ok(None);
        }
        let batch = Batch::new(self.position, events);
        self.position = batch.through();
        Ok(Some(batch))
    }
}
