//! Does everything follow from the log? Reads all of it, checks digests and
//! chains, folds every aggregate and every read model anew, and compares with
//! what is kept. Changes nothing.
//!
//! What is folded is kept in memory until it has been compared, so a long log
//! is read several times, each time for a part of the aggregates and rows.

mod aggregates;
mod read_models;

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use serde::Serialize;

use self::aggregates::Aggregates;
use self::read_models::ReadModels;
pub use self::read_models::{ReadModel, Verdict};
use crate::feed::{PatientLog, decode};
use crate::stores::{Store, StoreError, StoredEvent};

/// How many events there may be for each time that the log is read: bounds the
/// memory to about a gigabyte.
const EVENTS_PER_PASS: u64 = 1_000_000;
/// How many differences are told one by one.
const TOLD: usize = 1000;
/// How often, and how many times, a read model that moves on is looked at again.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

/// What was read, and what differs.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub log_id: String,
    /// The position of the last event read.
    pub position: u64,
    pub events: u64,
    pub aggregates: u64,
    /// How many kept states were compared.
    pub snapshots: u64,
    pub projections: Vec<ReadModel>,
    pub differences: Vec<Difference>,
    /// How many more there are than are told.
    pub further_differences: u64,
}

/// Something that does not follow from the log, or is wrong in it.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Where in the log, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// `aggregate_type/aggregate_id/sequence`, `snapshot …`, or `table/key`.
    pub place: String,
    pub what: String,
}

impl Report {
    /// Does everything follow from the log?
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    fn differs(&mut self, position: Option<u64>, place: String, what: impl Into<String>) {
        if self.differences.len() < TOLD {
            self.differences.push(Difference { position, place, what: what.into() });
        } else {
            self.further_differences += 1;
        }
    }

    fn differs_at(&mut self, stored: &StoredEvent, what: impl Into<String>) {
        let event = &stored.event;
        let place = format!("{}/{}/{}", event.stream.kind, event.stream.id, event.sequence);
        self.differs(Some(stored.position), place, what);
    }
}

/// The part of all aggregates and rows that one pass looks at.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u64,
    of: u64,
}

impl Part {
    fn has(self, id: &str) -> bool {
        if self.of == 1 {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() % self.of == self.number
    }
}

/// Replays a log. `progress` is told how much is done, of how much.
pub async fn replay(store: &dyn Store, progress: impl Fn(u64, u64)) -> Result<Report, StoreError> {
    replay_by(store, EVENTS_PER_PASS, progress).await
}

async fn replay_by(
    store: &dyn Store,
    events_per_pass: u64,
    progress: impl Fn(u64, u64),
) -> Result<Report, StoreError> {
    let end = store.last_position().await?;
    let of = 1 + end / events_per_pass;
    let mut report =
        Report { log_id: store.log_id().to_owned(), position: end, ..Report::default() };
    for number in 0..of {
        let part = Part { number, of };
        let done = |position: u64| progress(end * number + position, end * of);
        match pass(store, part, end, &mut report, done).await {
            // What can't be read is a difference, and what is behind it unknown.
            Err(StoreError::Corrupt(why)) => {
                report.differs(None, "the log".to_owned(), why);
                break;
            }
            result => result?,
        }
    }
    Ok(report)
}

async fn pass(
    store: &dyn Store,
    part: Part,
    end: u64,
    report: &mut Report,
    done: impl Fn(u64),
) -> Result<(), StoreError> {
    let mut aggregates = Aggregates::new(part);
    let mut models = ReadModels::new(store, part).await?;
    let mut log = PatientLog::new(store.read_log(0));
    while log.position() < end {
        for stored in log.next().await? {
            if stored.position > end {
                break;
            }
            let decoded = decode(&stored);
            if part.has(&stored.event.stream.id) {
                report.events += 1;
                aggregates.see(store, &stored, decoded.as_ref().ok(), report).await?;
                match &decoded {
                    Err(error) => report.differs_at(&stored, error.why.clone()),
                    Ok(recorded) => {
                        if let Err(error) = recorded.envelope() {
                            report.differs_at(&stored, error.why);
                        }
                    }
                }
            }
            if let Ok(recorded) = &decoded {
                models.see(store, recorded).await?;
            }
        }
        done(log.position().min(end));
    }
    aggregates.finish(store, report).await?;
    models.compare(store, report).await
}

#[cfg(test)]
mod tests;
