//! How old what this node keeps in memory of others' doings may be, and whether it is younger.
//!
//! Other nodes write to the same log, and the feed brings what they wrote. As long as it does, what
//! is kept in memory is a moment old. But the feed can stand still: the network to the database
//! hangs, another node hangs in a transaction, this process was stopped and goes on. Then nothing in
//! memory is an answer any more, and the store is asked; where it can't be asked, there is none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::stores::Store;

/// How old it may be: the bound that operators are promised.
pub const BOUND: Duration = Duration::from_secs(1);

/// How often it is looked whether the feed has brought everything.
const LOOK: Duration = Duration::from_millis(200);

/// What this node has heard of others.
pub struct Freshness {
    /// None: nobody else writes.
    others: Option<Others>,
}

struct Others {
    began: Instant,
    /// Everything that was in the log so many milliseconds after the beginning has been heard of.
    /// 0: nothing yet.
    as_of: AtomicU64,
    /// The position up to which the feed has been heard, once it has begun.
    heard: watch::Sender<Option<u64>>,
}

impl Freshness {
    /// For a store that this process alone writes to: what is in memory is what there is.
    #[must_use]
    pub fn alone() -> Self {
        Self { others: None }
    }

    /// For a store that others write to as well. Nothing is fresh before [`Freshness::keep`] runs.
    #[must_use]
    pub fn among_others() -> Self {
        let (began, as_of) = (Instant::now(), AtomicU64::new(0));
        Self { others: Some(Others { began, as_of, heard: watch::Sender::new(None) }) }
    }

    /// Can others have written what this node has not heard of?
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.others.is_some()
    }

    /// May what is in memory be an answer?
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let Some(others) = &self.others else { return true };
        let as_of = others.as_of.load(Ordering::Acquire);
        as_of != 0 && others.began.elapsed() <= Duration::from_millis(as_of) + BOUND
    }

    /// The position up to which the feed has been heard, if it has.
    #[must_use]
    pub fn heard(&self) -> Option<u64> {
        *self.others.as_ref()?.heard.borrow()
    }

    /// Everything that is kept in memory knows of the log up to this position.
    pub fn heard_up_to(&self, position: u64) {
        if let Some(others) = &self.others {
            others.heard.send_replace(Some(position));
        }
    }

    /// Keeps looking whether the feed has brought all that there is. For ever.
    pub async fn keep(&self, store: &dyn Store) {
        let Some(others) = &self.others else { return std::future::pending().await };
        let mut heard = others.heard.subscribe();
        loop {
            let asked = u64::try_from(others.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            match store.last_position().await {
                Ok(end) => {
                    // The sender is here: the wait can't fail.
                    let _ = heard.wait_for(|heard| heard.is_some_and(|to| to >= end)).await;
                    others.as_of.store(asked.max(1), Ordering::Release);
                }
                Err(error) => tracing::warn!(%error, "the log can't be asked for its end: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::stores::sqlite::SqliteStore;

    #[test]
    fn alone_everything_is_fresh() {
        assert!(Freshness::alone().is_fresh());
    }

    #[tokio::test]
    async fn nothing_is_fresh_before_the_feed_has_brought_all_there_is() {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let fresh = Arc::new(Freshness::among_others());
        let keeping = Arc::clone(&fresh);
        let keeping = tokio::spawn(async move { keeping.keep(&store).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!fresh.is_fresh());
        fresh.heard_up_to(0);
        tokio::time::sleep(LOOK * 2).await;
        assert!(fresh.is_fresh());
        keeping.abort();
    }

    #[tokio::test]
    async fn what_was_heard_grows_old_when_nothing_more_is() {
        let fresh = Freshness::among_others();
        fresh.others.as_ref().unwrap().as_of.store(1, Ordering::Release);
        assert!(fresh.is_fresh());
        tokio::time::sleep(BOUND + Duration::from_millis(20)).await;
        assert!(!fresh.is_fresh());
    }
}
