//! Slows down the guessing of passwords, in memory and bounded.
//!
//! An attempt counts as failed as soon as it is let in, and is taken back when
//! it succeeds: many attempts at once get no more guesses than one after the
//! other.
//!
//! A browser in which the account has logged in before is counted by itself, so
//! that what strangers do does not hold its person up. All others are counted
//! for the account from their network; and, with more patience, for the account
//! wherever they come from and for their network whatever account they try.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chancery_domain::time::{Lifetime, UnixTime};
use lru::LruCache;

use crate::config::login::Login;

/// How many counts are kept; the one that was touched longest ago leaves first.
const KEPT: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// How much more is borne from a whole network, or against an account from
/// everywhere: many people share either.
const PATIENCE: u32 = 20;

/// A count ends when nothing has failed for this long, or for twice the longest
/// wait if that is longer.
const FORGOTTEN_AFTER: u32 = 900;

/// Where an attempt comes from: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
    Unknown,
}

impl From<Option<IpAddr>> for Network {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() >> 64;
                Self::V6(u64::try_from(network).unwrap_or_default().to_be_bytes())
            }
        }
    }
}

/// One attempt to log in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The digest of the name that was typed, whether there is such an account
    /// or not.
    pub account: [u8; 32],
    pub network: Network,
    /// The browser, if the account has logged in with it before.
    pub device: Option<[u8; 16]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bucket {
    Device([u8; 16], [u8; 32]),
    AccountFrom([u8; 32], Network),
    Account([u8; 32]),
    Network(Network),
}

impl Bucket {
    const fn patience(self) -> u32 {
        match self {
            Self::Device(..) | Self::AccountFrom(..) => 1,
            Self::Account(_) | Self::Network(_) => PATIENCE,
        }
    }
}

impl Attempt {
    fn buckets(&self) -> Vec<Bucket> {
        match self.device {
            Some(device) => vec![Bucket::Device(device, self.account)],
            None => vec![
                Bucket::AccountFrom(self.account, self.network),
                Bucket::Account(self.account),
                Bucket::Network(self.network),
            ],
        }
    }
}

/// Come again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Lifetime);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: UnixTime,
}

/// The counts of failed attempts.
pub struct Throttle {
    failures: Mutex<LruCache<Bucket, Failures>>,
    free: u32,
    longest: Lifetime,
}

impl Throttle {
    #[must_use]
    pub fn new(settings: &Login) -> Self {
        Self::slowing(settings.failures_before_delay.into(), settings.max_delay)
    }

    fn slowing(free: u32, longest: Lifetime) -> Self {
        Self { failures: Mutex::new(LruCache::new(KEPT)), free, longest }
    }

    /// For requests that make the server write or send something for a
    /// stranger: few at once, and then ever more slowly.
    #[must_use]
    pub fn for_requests() -> Self {
        Self::slowing(3, Lifetime::from_seconds(3600))
    }

    /// Lets an attempt in, to be judged; or not yet. An attempt that is not let
    /// in makes nobody's wait longer.
    pub fn admit(&self, attempt: &Attempt, now: UnixTime) -> Result<(), Wait> {
        let mut failures = self.failures();
        let buckets = attempt.buckets();
        let waits = buckets.iter().map(|bucket| {
            let failed = failures.peek(bucket).filter(|failed| self.is_remembered(failed, now));
            failed.map_or(Lifetime::default(), |failed| {
                let over = self.delay(*bucket, failed.count);
                (failed.last + over).since(now)
            })
        });
        let wait = waits.max().unwrap_or_default();
        if wait > Lifetime::default() {
            return Err(Wait(wait));
        }
        for bucket in buckets {
            let before = failures.get(&bucket).filter(|failed| self.is_remembered(failed, now));
            let count = before.map_or(0, |failed| failed.count).saturating_add(1);
            failures.put(bucket, Failures { count, last: now });
        }
        Ok(())
    }

    /// The password was right: nothing is held against account and browser any
    /// more. Against the network there is, but for this attempt: a guesser may
    /// have an account too.
    pub fn succeeded(&self, attempt: &Attempt) {
        let mut failures = self.failures();
        for bucket in attempt.buckets() {
            match bucket {
                Bucket::Network(_) => take_back(&mut failures, bucket),
                _ => drop(failures.pop(&bucket)),
            }
        }
    }

    /// The server could not tell: the attempt does not count.
    pub fn not_judged(&self, attempt: &Attempt) {
        let mut failures = self.failures();
        for bucket in attempt.buckets() {
            take_back(&mut failures, bucket);
        }
    }

    /// How long after the last failure the next attempt may be made: nothing at
    /// first, then a second, doubling up to the longest.
    fn delay(&self, bucket: Bucket, count: u32) -> Lifetime {
        let Some(over) = count.checked_sub(self.free.saturating_mul(bucket.patience())) else {
            return Lifetime::default();
        };
        let seconds = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
        Lifetime::from_seconds(seconds).min(self.longest)
    }

    fn is_remembered(&self, failed: &Failures, now: UnixTime) -> bool {
        let seconds = self.longest.seconds().saturating_mul(2).max(FORGOTTEN_AFTER);
        now < failed.last + Lifetime::from_seconds(seconds)
    }

    fn failures(&self) -> MutexGuard<'_, LruCache<Bucket, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_back(failures: &mut LruCache<Bucket, Failures>, bucket: Bucket) {
    if let Some(failed) = failures.get_mut(&bucket) {
        failed.count = failed.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: [u8; 32] = [1; 32];
    const HOME: Network = Network::V4([192, 0, 2, 1]);

    fn throttle() -> Throttle {
        let longest = Lifetime::from_seconds(300);
        Throttle::slowing(3, longest)
    }

    fn stranger(network: Network) -> Attempt {
        Attempt { account: ALICE, network, device: None }
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn wait(seconds: u32) -> Result<(), Wait> {
        Err(Wait(Lifetime::from_seconds(seconds)))
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let throttle = throttle();
        let mut now = 1000;
        for _ in 0..3 {
            assert_eq!(throttle.admit(&stranger(HOME), at(now)), Ok(()));
        }
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.admit(&stranger(HOME), at(now)), wait(expected));
            assert_eq!(throttle.admit(&stranger(HOME), at(now)), wait(expected), "asking is free");
            now += i64::from(expected);
            assert_eq!(throttle.admit(&stranger(HOME), at(now)), Ok(()), "{expected}");
        }
    }

    #[test]
    fn attempts_at_the_same_time_are_counted_before_they_are_judged() {
        let throttle = throttle();
        let admitted = (0..100).filter(|_| throttle.admit(&stranger(HOME), at(0)).is_ok()).count();
        assert_eq!(admitted, 3);
    }

    #[test]
    fn a_right_password_starts_anew() {
        let throttle = throttle();
        for _ in 0..10 {
            for _ in 0..3 {
                assert_eq!(throttle.admit(&stranger(HOME), at(0)), Ok(()));
            }
            throttle.succeeded(&stranger(HOME));
        }
    }

    #[test]
    fn what_was_not_judged_does_not_count() {
        let throttle = throttle();
        for _ in 0..10 {
            assert_eq!(throttle.admit(&stranger(HOME), at(0)), Ok(()));
            throttle.not_judged(&stranger(HOME));
        }
    }

    #[test]
    fn strangers_do_not_hold_up_a_browser_that_is_known() {
        let throttle = throttle();
        for last in 0..200 {
            let _ = throttle.admit(&stranger(Network::V4([192, 0, 2, last])), at(0));
        }
        assert!(throttle.admit(&stranger(HOME), at(0)).is_err(), "the account is being guessed");
        let known = Attempt { device: Some([7; 16]), ..stranger(HOME) };
        assert_eq!(throttle.admit(&known, at(0)), Ok(()));
        for _ in 0..2 {
            assert_eq!(throttle.admit(&known, at(0)), Ok(()));
        }
        assert_eq!(throttle.admit(&known, at(0)), wait(1), "a stolen one is no free ticket");
    }

    #[test]
    fn one_network_that_guesses_does_not_hold_up_the_others() {
        let throttle = throttle();
        for _ in 0..50 {
            let _ = throttle.admit(&stranger(HOME), at(0));
        }
        assert_eq!(throttle.admit(&stranger(Network::V4([198, 51, 100, 1])), at(0)), Ok(()));
    }

    #[test]
    fn a_network_that_tries_many_accounts_is_slowed_down_too() {
        let throttle = throttle();
        let admitted = (0..200_u8)
            .filter(|account| {
                let attempt = Attempt { account: [*account; 32], ..stranger(HOME) };
                let admitted = throttle.admit(&attempt, at(0)).is_ok();
                // An account of the guesser's own does not buy more guesses.
                let own = Attempt { account: [255; 32], ..stranger(HOME) };
                if throttle.admit(&own, at(0)).is_ok() {
                    throttle.succeeded(&own);
                }
                admitted
            })
            .count();
        assert_eq!(admitted, 60);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let network = |text: &str| Network::from(Some(text.parse::<IpAddr>().unwrap()));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), HOME);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let throttle = throttle();
        for _ in 0..3 {
            let _ = throttle.admit(&stranger(HOME), at(0));
        }
        assert!(throttle.admit(&stranger(HOME), at(0)).is_err());
        for _ in 0..3 {
            assert_eq!(throttle.admit(&stranger(HOME), at(900)), Ok(()));
        }
    }
}
