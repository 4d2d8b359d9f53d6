//! What is counted while virtual users are at work.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::verify::Wrong;

/// Digits that are kept of a latency.
const DIGITS: u8 = 3;

/// How long flows took.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        // There are from 0 to 5 digits; three are always good.
        Self(Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!("three digits are good")))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        // The histogram grows as it has to; what is longer than it can hold is its longest.
        if self.0.record(micros.max(1)).is_err() {
            self.0.saturating_record(micros);
        }
    }

    /// What there is to say about them.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Summary {
            count: self.0.len(),
            mean: self.0.mean(),
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.0.max(),
        }
    }
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    pub count: u64,
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
}

/// Errors of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Errors {
    pub count: u64,
    /// What the first one was like.
    pub example: String,
}

/// Errors by their kinds.
pub type ByKind = BTreeMap<String, Errors>;

/// The counts of one window.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
pub struct Counts {
    /// That ended well within the window.
    pub flows: u64,
    pub latencies: Latencies,
    pub errors: ByKind,
}

impl Tally {
    pub fn flow(&self) {
        self.counts().flows += 1;
    }

    pub fn latency(&self, latency: Duration) {
        self.counts().latencies.record(latency);
    }

    pub fn wrong(&self, wrong: &Wrong) {
        self.error(wrong.kind(), &wrong.example);
    }

    /// One that never had its turn.
    pub fn not_begun(&self, waited: Duration) {
        self.latency(waited);
        self.error("not begun in time".to_owned(), "all users were at work: more --users?");
    }

    fn error(&self, kind: String, example: &str) {
        let mut counts = self.counts();
        let new = || Errors { count: 0, example: example.to_owned() };
        counts.errors.entry(kind).or_insert_with(new).count += 1;
    }

    /// What was counted; begins anew.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::verify::Step;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        for millis in 1..=1000 {
            latencies.record(Duration::from_millis(millis));
        }
        let Summary { count, p50, p90, p99, p99_9, max, mean } = latencies.summary();
        assert_eq!(count, 1000);
        // Three digits: within a thousandth.
        for (got, expected) in [(p50, 500), (p90, 900), (p99, 990), (p99_9, 999), (max, 1000)]
            .map(|(a, b)| (a, b * 1000))
        {
            assert!(got.abs_diff(expected) <= expected / 1000 + 1, "{got} is not {expected}");
        }
        assert!((mean - 500_500.0).abs() < 1000.0, "{mean}");
        assert_eq!(Latencies::default().summary().max, 0);
        latencies.record(Duration::MAX);
        assert!(latencies.summary().max > 1_000_000);
    }

    #[test]
    fn errors_are_counted_by_kind_with_the_first_as_example() {
        let tally = Tally::default();
        tally.flow();
        tally.wrong(&Wrong::new(Step::Authorize, "another state", "first"));
        tally.wrong(&Wrong::new(Step::Authorize, "another state", "second"));
        tally.not_begun(Duration::from_secs(2));
        let counts = tally.take();
        assert_eq!(counts.flows, 1);
        let state = Errors { count: 2, example: "first".to_owned() };
        assert_eq!(counts.errors["authorize: another state"], state);
        assert_eq!(counts.errors["not begun in time"].count, 1);
        assert_eq!(counts.latencies.summary().count, 1, "it waited all the same");
        assert_eq!(tally.take().flows, 0);
    }
}
