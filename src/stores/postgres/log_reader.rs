//! Reads the log in order of position, and never past an event that may still
//! be committed.
//!
//! Positions are given out before transactions commit, so a reader that goes on
//! from the highest position it saw loses events. This one stops at a hole. It
//! then takes a real transaction id as a barrier: whoever holds the missing
//! position got its own id before the position, hence before the barrier. Once
//! one statement, under one snapshot, still misses the position and shows that
//! no transaction older than the barrier is running, that transaction has
//! rolled back and the hole stays for ever: it is stepped over. The reader locks
//! nothing.
//!
//! By that alone a long transaction anywhere on the server, of another database
//! too, would hold the reader up at every hole. So with the barrier it also notes
//! who was writing to `events` just then: a transaction with a position has the
//! table locked, in a mode that no reader minds, until after its end is visible.
//! When all of those have gone, what a *later* statement misses is missing for
//! ever as well.
//!
//! What is packed is read from packs: of the rows at these positions most are
//! gone. The statement that finds rows says how far packs reach, under the same
//! snapshot; the last row of the log is never packed, so there is one to say it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{PgPool, Row as _};
use tokio::time::sleep;

use super::transient::retried;
use super::{packs, rows};
use crate::stores::packs::Rest;
use crate::stores::{LogReader, StoreError, StoredEvent};

/// Between the first looks at a hole; afterwards the caller's rhythm has to do.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];

/// Taken at a hole.
#[derive(Debug)]
struct Barrier {
    /// The highest position seen before: holes below it are covered.
    seen: u64,
    /// A transaction id from after that.
    transaction: u64,
    /// The transactions that were writing to the log after that.
    writers: Vec<String>,
    /// All of the writers were gone before the statement that is looked at.
    writers_gone: bool,
}

/// The transactions, by their virtual ids, that hold the lock of those who
/// insert.
const WRITERS: &str = "
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'events'::regclass AND granted
      AND mode = 'RowExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// See the module.
pub(super) struct Reader {
    pool: PgPool,
    position: u64,
    barrier: Option<Barrier>,
    stepped_over: Arc<AtomicU64>,
    statement: Arc<str>,
    /// Of the pack at hand.
    rest: Rest,
    /// How far packs reach, as far as is known.
    packed: u64,
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
            "SELECT {}, (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint),
                 (SELECT coalesce(max(through), 0) FROM packs)
             FROM events WHERE position > $1 ORDER BY position LIMIT $2",
            rows::EVENT_COLUMNS
        );
        Self {
            pool,
            position: after,
            barrier: None,
            stepped_over,
            statement: statement.into(),
            rest: Rest::default(),
            packed: 0,
        }
    }

    async fn read(&mut self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let limit = limit.max(1);
        if let Some(unpacked) = self.unpacked(limit).await? {
            return Ok(unpacked);
        }
        let seen = self.look(limit).await?;
        if let Some(unpacked) = self.unpacked(limit).await? {
            return Ok(unpacked);
        }
        let hole = self.beyond_a_hole(&seen);
        let last = seen.events.last().map_or(0, |event| event.position);
        let safe = self.take_safe(seen);
        let Some(beyond) = hole else { return Ok(safe) };
        if !safe.is_empty() {
            return Ok(safe);
        }
        if self.barrier.as_ref().is_some_and(|barrier| barrier.seen >= beyond) {
            return self.look_past_writers(limit).await;
        }
        self.raise_barrier(last).await?;
        // Mostly the transaction is long gone and the next look settles it;
        // others that were writing at the barrier end soon.
        for pause in PAUSES {
            let safe = self.look_past_writers(limit).await?;
            if !safe.is_empty() {
                return Ok(safe);
            }
            sleep(pause).await;
        }
        Ok(Vec::new())
    }

    /// The next events, as far as packs are known to reach. None: it is rows that follow.
    async fn unpacked(&mut self, limit: usize) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        let mut events = self.rest.take(self.position, limit);
        if events.is_empty() {
            if self.packed <= self.position {
                return Ok(None);
            }
            self.rest = packs::after(&self.pool, self.position).await?.unwrap_or_default();
            events = self.rest.take(self.position, limit);
        }
        if let Some(last) = events.last() {
            self.position = last.position;
        }
        Ok(Some(events))
    }

    /// Looks again; first of all, whether those who may fill the hole have gone.
    async fn look_past_writers(&mut self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        if let Some(barrier) = &mut self.barrier
            && !barrier.writers_gone
        {
            let remain: bool = retried(|| async {
                sqlx::query_scalar(&format!(
                    "SELECT EXISTS ({WRITERS} AND virtualtransaction = ANY($1))"
                ))
                .bind(&barrier.writers)
                .fetch_one(&self.pool)
                .await
            })
            .await?;
            barrier.writers_gone = !remain;
        }
        let seen = self.look(limit).await?;
        // Rows that are missing may have gone into a pack since.
        match self.unpacked(limit).await? {
            Some(unpacked) => Ok(unpacked),
            None => Ok(self.take_safe(seen)),
        }
    }

    async fn look(&mut self, limit: usize) -> Result<Seen, StoreError> {
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
            Some(row) => {
                self.packed = rows::unsigned(row.try_get(12)?)?;
                rows::unsigned(row.try_get(11)?)?
            }
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

    /// Every position below the last one seen was given out by now.
    async fn raise_barrier(&mut self, seen: u64) -> Result<(), StoreError> {
        let (transaction, writers): (i64, Vec<String>) = retried(|| async {
            sqlx::query_as(&format!("SELECT pg_current_xact_id()::text::bigint, ARRAY({WRITERS})"))
                .fetch_one(&self.pool)
                .await
        })
        .await?;
        let transaction = rows::unsigned(transaction)?;
        self.barrier = Some(Barrier { seen, transaction, writers, writers_gone: false });
        Ok(())
    }

    /// The events up to the first hole that may still be filled.
    fn take_safe(&mut self, seen: Seen) -> Vec<StoredEvent> {
        let settled = match &self.barrier {
            Some(barrier) if barrier.writers_gone || seen.oldest_running >= barrier.transaction => {
                barrier.seen
            }
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
        if self.barrier.as_ref().is_some_and(|barrier| barrier.seen <= position) {
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
