//! When flows begin.
//!
//! In a closed loop each user begins the next flow when the last one has ended, so a server that
//! stalls is asked less. In an open loop flows arrive at a rate whatever becomes of those before:
//! what counts is how long after its time each one ended (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The part of a run that counts.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub start: Instant,
    pub end: Instant,
}

impl Window {
    #[must_use]
    pub fn contains(&self, moment: Instant) -> bool {
        (self.start..self.end).contains(&moment)
    }
}

/// Arrivals at a steady rate: each has its moment, known beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    first: Instant,
    per_second: f64,
    count: u64,
}

impl Schedule {
    /// So many in a second, for so long.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of arrivals, cut off where it would be none"
    )]
    pub fn new(first: Instant, per_second: f64, length: Duration) -> Self {
        Self { first, per_second, count: (length.as_secs_f64() * per_second).ceil() as u64 }
    }

    /// When an arrival is meant to be, counted from 0; nothing: there are no more.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 arrivals are more than there are")]
    pub fn arrival(&self, number: u64) -> Option<Instant> {
        let after = Duration::from_secs_f64(number as f64 / self.per_second);
        (number < self.count).then(|| self.first + after)
    }

    /// How many are due by then.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of arrivals, cut off where it would be none"
    )]
    pub fn due(&self, now: Instant) -> u64 {
        let Some(passed) = now.checked_duration_since(self.first) else { return 0 };
        let due = (passed.as_secs_f64() * self.per_second).floor() as u64 + 1;
        due.min(self.count)
    }
}

/// Hands arrivals out to users as they become due.
#[derive(Debug, Clone)]
pub struct Arrivals {
    schedule: Schedule,
    due: Arc<Semaphore>,
    next: Arc<AtomicU64>,
}

impl Arrivals {
    /// Begins to hand them out, to so many users. A thread of its own watches the time: the
    /// runtime's timers count milliseconds, which is longer than many a flow.
    pub fn begin(schedule: Schedule, users: usize) -> std::io::Result<Self> {
        let arrivals =
            Self { schedule, due: Arc::new(Semaphore::new(0)), next: Arc::new(AtomicU64::new(0)) };
        let due = Arc::clone(&arrivals.due);
        let pace = move || {
            let mut given = 0;
            while given < schedule.count {
                let now = Instant::now();
                let more = schedule.due(now).saturating_sub(given);
                due.add_permits(usize::try_from(more).unwrap_or(0));
                given += more;
                if let Some(next) = schedule.arrival(given) {
                    thread::park_timeout(next.saturating_duration_since(Instant::now()));
                }
            }
            // Each user finds out that there are no more.
            due.add_permits(users);
        };
        thread::Builder::new().name("bench-arrivals".to_owned()).spawn(pace)?;
        Ok(arrivals)
    }

    /// Waits for the next arrival; gives the moment that it was meant for. Nothing: no more come.
    pub async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        self.schedule.arrival(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_spread_evenly_over_the_time() {
        let first = Instant::now();
        let schedule = Schedule::new(first, 400.0, Duration::from_millis(2500));
        assert_eq!(schedule.count, 1000);
        assert_eq!(schedule.arrival(0), Some(first));
        assert_eq!(schedule.arrival(1), Some(first + Duration::from_micros(2500)));
        assert_eq!(schedule.arrival(999), Some(first + Duration::from_micros(2_497_500)));
        assert_eq!(schedule.arrival(1000), None);
    }

    #[test]
    fn as_many_are_due_as_have_come() {
        let first = Instant::now() + Duration::from_secs(60);
        let schedule = Schedule::new(first, 10.0, Duration::from_secs(1));
        let after = |millis| schedule.due(first + Duration::from_millis(millis));
        assert_eq!(schedule.due(first - Duration::from_millis(1)), 0);
        assert_eq!((after(0), after(99), after(101), after(550)), (1, 1, 2, 6));
        assert_eq!((after(901), after(5000)), (10, 10));
    }

    #[test]
    fn a_rate_below_one_is_a_rate() {
        let first = Instant::now();
        let schedule = Schedule::new(first, 0.5, Duration::from_secs(3));
        assert_eq!(schedule.arrival(1), Some(first + Duration::from_secs(2)));
        assert_eq!(schedule.arrival(2), None);
    }

    #[tokio::test]
    async fn each_arrival_is_handed_out_once_and_not_before_its_time() {
        let first = Instant::now();
        let schedule = Schedule::new(first, 2000.0, Duration::from_millis(50));
        let arrivals = Arrivals::begin(schedule, 4).unwrap();
        let user = || async {
            let mut taken = Vec::new();
            while let Some(meant) = arrivals.next().await {
                assert!(Instant::now() >= meant);
                taken.push(meant);
                tokio::task::yield_now().await;
            }
            taken
        };
        let (a, b, c, d) = tokio::join!(user(), user(), user(), user());
        let mut all = [a, b, c, d].concat();
        all.sort();
        let expected: Vec<_> = (0..100).map(|number| schedule.arrival(number).unwrap()).collect();
        assert_eq!(all, expected);
    }
}
