//! Who reads the log from outside by this node, and how far they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many are remembered; beyond, those seen least recently are forgotten.
const REMEMBERED: usize = 1000;

/// The readers of this node, by their names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readers(Arc<Mutex<BTreeMap<String, Standing>>>);

/// A reader, as far as this node has seen it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Up to this position it was given everything.
    pub position: u64,
    /// When: milliseconds since 1970.
    pub seen_at_ms: i64,
    /// How many connections it holds open.
    pub streams: u32,
}

/// A connection that a reader holds open; counted until it is dropped.
#[derive(Debug)]
pub struct Stream {
    readers: Readers,
    name: String,
}

impl Readers {
    /// A reader was given everything up to a position.
    pub fn seen(&self, name: &str, position: u64, now_ms: i64) {
        let mut readers = self.lock();
        let standing = readers.entry(name.to_owned()).or_default();
        (standing.position, standing.seen_at_ms) = (position, now_ms);
        if readers.len() > REMEMBERED {
            let idle = readers.iter().filter(|(_, standing)| standing.streams == 0);
            let oldest = idle.min_by_key(|(_, standing)| standing.seen_at_ms);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                readers.remove(&oldest);
            }
        }
    }

    /// Opens a connection, unless it has `limit` of them already.
    #[must_use]
    pub fn open(&self, name: &str, limit: u32) -> Option<Stream> {
        let mut readers = self.lock();
        let standing = readers.entry(name.to_owned()).or_default();
        if standing.streams >= limit {
            return None;
        }
        standing.streams += 1;
        Some(Stream { readers: self.clone(), name: name.to_owned() })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Standing> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// It was given everything up to a position.
    pub fn seen(&self, position: u64, now_ms: i64) {
        self.readers.seen(&self.name, position, now_ms);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(standing) = self.readers.lock().get_mut(&self.name) {
            standing.streams = standing.streams.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let readers = Readers::default();
        let first = readers.open("a", 2).unwrap();
        let second = readers.open("a", 2).unwrap();
        assert!(readers.open("a", 2).is_none());
        assert!(readers.open("b", 2).is_some());
        drop(first);
        assert!(readers.open("a", 2).is_some());
        drop(second);
        assert_eq!(readers.all()["a"].streams, 0);
    }

    #[test]
    fn who_was_not_seen_for_longest_is_forgotten() {
        let readers = Readers::default();
        let _open = readers.open("open", 1).unwrap();
        for n in 0..1500 {
            readers.seen(&n.to_string(), 1, n);
        }
        let all = readers.all();
        assert!(all.len() <= REMEMBERED + 1, "{}", all.len());
        assert!(all.contains_key("open") && all.contains_key("1499") && !all.contains_key("0"));
    }
}
