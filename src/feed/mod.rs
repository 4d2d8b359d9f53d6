//! All events of the log in order, for everybody in this process who listens.
//!
//! One reader per process ([`crate::actors::feed_reader`]) follows the log and
//! hands what it reads to all subscribers at once. A subscriber who is behind
//! (because it starts earlier, or is slow) reads the store by itself until it
//! has caught up, and holds nobody else up. Either way it sees every event
//! after its start once, in order: a live batch is taken only where it goes on
//! exactly from what was read before.

pub mod anew;
pub mod consumer;
mod event;
mod patient_log;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

pub use self::event::{Batch, FeedEvent, decode};
pub use self::patient_log::PatientLog;
pub use self::subscription::Subscription;
use crate::stores::{Store, StoreError, StoredEvent};

/// How many events are read at once.
const PAGE: usize = 128;
/// How many live batches are kept for subscribers to fetch. With [`PAGE`], this bounds the
/// memory that slow ones hold.
const KEPT: usize = 64;
/// How long company is waited for between two reads that did not fill a page: under load, events
/// are read in handfuls.
const PACE: Duration = Duration::from_millis(5);
/// The position of a feed whose reader has not started.
const NOT_STARTED: u64 = u64::MAX;

/// How often the log is looked at when nobody in this process says that it has grown.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    /// After something was found.
    pub active: Duration,
    /// When nothing has been found for a while.
    pub idle: Duration,
}

impl Polling {
    /// For a store to which other processes write too.
    pub const SHARED: Self =
        Self { active: Duration::from_millis(10), idle: Duration::from_millis(100) };
    /// For a store to which this process alone writes: [`Feed::notify`] is what counts.
    pub const ALONE: Self =
        Self { active: Duration::from_millis(250), idle: Duration::from_millis(250) };
}

/// The feed of one process. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    live: broadcast::Sender<Batch>,
    /// The last event handed out live: whoever has come this far goes on live.
    position: AtomicU64,
    /// Positions before it that hold no event, as far as they were handed over live.
    skipped: AtomicU64,
    grown: Notify,
}

impl Feed {
    /// A feed over this store. Without a reader ([`Feed::follow_log`]) it works too, but each
    /// subscriber then polls the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        let (live, _) = broadcast::channel(KEPT);
        let position = AtomicU64::new(NOT_STARTED);
        let skipped = AtomicU64::new(0);
        Self { shared: Arc::new(Shared { store, live, position, skipped, grown: Notify::new() }) }
    }

    /// Says that this process has committed something. Cheap; called after every commit.
    pub fn notify(&self) {
        self.shared.grown.notify_one();
    }

    /// All events after this position (exclusive), those to come included.
    #[must_use]
    pub fn subscribe(&self, after: u64) -> Subscription {
        Subscription::new(self.clone(), after)
    }

    /// The events from now on: whatever is committed after this call, and perhaps some before.
    pub async fn subscribe_from_now(&self) -> Result<Subscription, StoreError> {
        Ok(self.subscribe(self.end().await?))
    }

    /// The last event handed out live; none before the reader has started.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        let position = self.shared.position.load(Ordering::Acquire);
        (position != NOT_STARTED).then_some(position)
    }

    /// How many positions were stepped over that hold no event, since the reader started.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// Where the log ends just now, as far as this node knows.
    pub async fn end(&self) -> Result<u64, StoreError> {
        match self.position() {
            Some(position) => Ok(position),
            None => self.shared.store.last_position().await,
        }
    }

    /// The store that it reads.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Reads the log on and on, and hands it out. Ends only when the store fails; called again,
    /// it goes on where it was. To be run once per process.
    pub async fn follow_log(&self, polling: Polling) -> Result<(), StoreError> {
        let start = self.end().await?;
        let mut reader = self.shared.store.follow_log(start);
        self.shared.position.store(start, Ordering::Release);
        let mut position = start;
        let mut patience = polling.active;
        loop {
            let events = reader.next(PAGE).await?;
            let full = events.len() >= PAGE;
            if let Some(last) = events.last().map(|event| event.position) {
                self.hand_out(position, events);
                position = last;
                patience = polling.active;
            }
            if full {
                continue;
            }
            tokio::time::sleep(PACE).await;
            let grown = self.shared.grown.notified();
            if tokio::time::timeout(patience, grown).await.is_err() {
                patience = (patience * 2).min(polling.idle);
            }
        }
    }

    fn hand_out(&self, after: u64, events: Vec<StoredEvent>) {
        let batch = Batch::new(after, events);
        let through = batch.through();
        let skipped = through.saturating_sub(after).saturating_sub(batch.len() as u64);
        self.shared.skipped.fetch_add(skipped, Ordering::Relaxed);
        // Nobody listening is no error. The position comes last: whoever reads it and has
        // subscribed before finds all later batches in the channel.
        let _ = self.shared.live.send(batch);
        self.shared.position.store(through, Ordering::Release);
    }
}
