//! The end of the log in memory: what follows the log right behind its writer need not ask the
//! database, since nobody else writes to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::reader::SqliteLog;
use crate::stores::{LogReader, StoreError, StoredEvent};

/// How many events are kept.
const KEPT: usize = 1024;

/// The last events, as they were committed.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<End>>);

/// All events behind a position: those that are kept, and no others.
#[derive(Default)]
struct End {
    /// None: what was committed last is not known.
    after: Option<u64>,
    events: VecDeque<StoredEvent>,
}

impl Recent {
    /// These were committed, behind all others.
    pub(super) fn push(&self, events: impl IntoIterator<Item = StoredEvent>) {
        let mut end = self.lock();
        for event in events {
            end.after.get_or_insert(event.position.saturating_sub(1));
            end.events.push_back(event);
        }
        while end.events.len() > KEPT {
            let first = end.events.pop_front();
            end.after = first.map(|event| event.position);
        }
    }

    /// What was committed last can't be told: the database is asked.
    pub(super) fn forget(&self) {
        *self.lock() = End::default();
    }

    /// At most so many of the events after a position; None: the database is to be asked.
    fn after(&self, position: u64, limit: usize) -> Option<Vec<StoredEvent>> {
        let end = self.lock();
        if position < end.after? {
            return None;
        }
        let first = end.events.partition_point(|event| event.position <= position);
        Some(end.events.iter().skip(first).take(limit).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what is in memory, and all else from the database.
pub(super) struct RecentLog {
    pub(super) recent: Recent,
    pub(super) log: SqliteLog,
}

impl LogReader for RecentLog {
    fn next(&mut self, limit: usize) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        let Some(events) = self.recent.after(self.log.position, limit) else {
            return self.log.next(limit);
        };
        if let Some(last) = events.last() {
            self.log.position = last.position;
        }
        Box::pin(std::future::ready(Ok(events)))
    }

    fn position(&self) -> u64 {
        self.log.position
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use chancery_domain::digest::Sha256Digest;
    use chancery_domain::ids::AggregateKind;

    use super::*;
    use crate::stores::{NewEvent, StreamId};

    fn event(position: u64) -> StoredEvent {
        let stream = StreamId { kind: AggregateKind::Grant, id: "g".into() };
        let event = NewEvent {
            stream,
            sequence: position,
            event_type: Cow::Borrowed("E"),
            event_version: Cow::Borrowed("1"),
            payload: "{}".into(),
            metadata: "{}".into(),
            prev_digest: Sha256Digest::ZERO,
            digest: Sha256Digest::ZERO,
        };
        StoredEvent { position, recorded_at_ms: 0, event }
    }

    fn positions(events: Option<Vec<StoredEvent>>) -> Option<Vec<u64>> {
        events.map(|events| events.iter().map(|event| event.position).collect())
    }

    #[test]
    fn only_what_is_known_to_be_all_is_told() {
        let recent = Recent::default();
        assert_eq!(recent.after(0, 10), None);
        // The log had events before.
        recent.push([event(7), event(8), event(10)]);
        assert_eq!(recent.after(5, 10), None);
        assert_eq!(positions(recent.after(6, 10)), Some(vec![7, 8, 10]));
        assert_eq!(positions(recent.after(6, 2)), Some(vec![7, 8]));
        assert_eq!(positions(recent.after(8, 10)), Some(vec![10]));
        assert_eq!(positions(recent.after(9, 10)), Some(vec![10]));
        assert_eq!(positions(recent.after(10, 10)), Some(vec![]));

        recent.forget();
        assert_eq!(recent.after(10, 10), None);
        recent.push([event(12)]);
        // 11 may have been committed although nobody was told.
        assert_eq!(recent.after(10, 10), None);
        assert_eq!(positions(recent.after(11, 10)), Some(vec![12]));
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let recent = Recent::default();
        let last = KEPT as u64 + 3;
        recent.push((1..=last).map(event));
        assert_eq!(recent.lock().events.len(), KEPT);
        assert_eq!(recent.after(2, 1), None);
        assert_eq!(positions(recent.after(3, 1)), Some(vec![4]));
        assert_eq!(positions(recent.after(last - 1, 5)), Some(vec![last]));
    }
}
