//! Reads the log in order of position, and never past an event that may still
//! be committed.
//!
//! Positions are given out before transactions commit, so a reader that goes on
//! from the highest position it saw loses events. This one stops at a hole. It
//! then takes a real transaction id as a barrier: whoever holds the missing
//! position got its own id before the position, hence before the barrier. Once
//! one statement, under one snapshot, still misses the position and shows that
//! no transaction older than the barrier is running, that transaction has
//! rolled back and the hole stays for ever: it is stepped over. Nothing is
//! locked, and a long transaction of somebody's holds nothing up unless there
//! is a hole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{PgPool, Row as _};
use tokio::time::sleep;

use super::rows;
use super::transient::retried;
use crate::stores::{LogReader, StoreError, StoredEvent};

/// Between the first looks at a hole; afterwards the caller's rhythm has to do.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];

/// A transaction id, and the highest position seen before it was taken.
#[derive(Debug, Clone, Copy)]
struct Barrier {
    transaction: u64,
    seen: u64,
}

/// See the module.
pub(super) struct Reader {
    pool: PgPool,
    position: u64,
    barrier: Option<Barrier>,
    stepped_over: Arc<AtomicU64>,
    statement: Arc<str>,
}

/// What one statement saw.
struct Seen {
    events: Vec<StoredEvent>,
    /// No transaction with a lower id was running.
    oldest_running: u64,
}

impl Reader {
    pub(super) fn new(pool: PgPool, after: u64, stepped_over: Arc<AtomicU64>) -> Self {
        let statement = format!(
            "SELECT {}, (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
             FROM events WHERE position > $1 ORDER BY position LIMIT $2",
            rows::EVENT_COLUMNS
        );
        Self { pool, position: after, barrier: None, stepped_over, statement: statement.into() }
    }

    async fn read(&mut self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let limit = limit.max(1);
        let seen = self.look(limit).await?;
        let Some(beyond) = self.beyond_a_hole(&seen) else {
            return Ok(self.take_safe(seen));
        };
        if self.barrier.is_none_or(|barrier| barrier.seen < beyond) {
            self.raise_barrier(&seen).await?;
            // Mostly the transaction is long gone and the next look settles it;
            // others that were running at the barrier end soon.
            for pause in PAUSES {
                let seen = self.look(limit).await?;
                let safe = self.take_safe(seen);
                if !safe.is_empty() {
                    return Ok(safe);
                }
                sleep(pause).await;
            }
            return Ok(Vec::new());
        }
        Ok(self.take_safe(seen))
    }

    async fn look(&self, limit: usize) -> Result<Seen, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = retried(|| async {
            sqlx::query(&self.statement)
                .bind(rows::signed(self.position))
                .bind(limit)
                .fetch_all(&self.pool)
                .await
        })
        .await?;
        let oldest_running = match found.first() {
            Some(row) => rows::unsigned(row.try_get(11)?)?,
            None => 0,
        };
        let events = found.iter().map(rows::event).collect::<Result<_, _>>()?;
        Ok(Seen { events, oldest_running })
    }

    /// The position of the first event, if there is a hole right before it.
    fn beyond_a_hole(&self, seen: &Seen) -> Option<u64> {
        let first = seen.events.first()?.position;
        (first > self.position.saturating_add(1)).then_some(first)
    }

    /// Every hole below the last event seen was given out by now.
    async fn raise_barrier(&mut self, seen: &Seen) -> Result<(), StoreError> {
        let Some(last) = seen.events.last() else { return Ok(()) };
        let transaction: i64 = retried(|| async {
            sqlx::query_scalar("SELECT pg_current_xact_id()::text::bigint")
                .fetch_one(&self.pool)
                .await
        })
        .await?;
        self.barrier =
            Some(Barrier { transaction: rows::unsigned(transaction)?, seen: last.position });
        Ok(())
    }

    /// The events up to the first hole that may still be filled.
    fn take_safe(&mut self, seen: Seen) -> Vec<StoredEvent> {
        let settled = match self.barrier {
            Some(barrier) if seen.oldest_running >= barrier.transaction => barrier.seen,
            _ => 0,
        };
        let mut safe = seen.events;
        let mut position = self.position;
        let mut missing = 0;
        let count = safe
            .iter()
            .take_while(|event| {
                let hole = event.position - position - 1;
                if hole > 0 && event.position > settled {
                    return false;
                }
                missing += hole;
                position = event.position;
                true
            })
            .count();
        safe.truncate(count);
        self.position = position;
        if missing > 0 {
            self.stepped_over.fetch_add(missing, Ordering::Relaxed);
        }
        if self.barrier.is_some_and(|barrier| barrier.seen <= position) {
            self.barrier = None;
        }
        safe
    }
}

impl LogReader for Reader {
    fn next(&mut self, limit: usize) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        self.read(limit).boxed()
    }

    fn position(&self) -> u64 {
        self.position
    }
}
