//! How often a client may call an endpoint (`[rate_limits]`).
//!
//! What was used becomes free evenly in the course of a minute (the generic cell
//! rate algorithm): of a caller nothing is kept but the moment at which it will
//! have all of its requests again.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use chancery_domain::ids::ClientId;
use chancery_domain::time::Lifetime;
use lru::LruCache;

use crate::config::rate_limits::{Limited, RateLimit};
use crate::interaction::throttle::Network;
use crate::oauth_error::OAuthError;

/// How many callers are kept; the one that called longest ago leaves first.
const KEPT: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// In nanoseconds, as all times here.
const MINUTE: i64 = 60_000_000_000;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub client_id: &'a ClientId,
    /// Where it calls from; None: it has proved to be that client, wherever it is.
    pub network: Option<Network>,
}

/// A limit, by its place, and a caller.
type Counted = (usize, ClientId, Option<Network>);

/// The operator's limits, and who has used how much of them.
pub struct RateLimits {
    limits: Vec<RateLimit>,
    /// When all requests will be free again.
    free_at: Mutex<LruCache<Counted, i64>>,
}

impl RateLimits {
    #[must_use]
    pub fn new<'a>(limits: impl IntoIterator<Item = &'a RateLimit>) -> Self {
        let limits = limits.into_iter().cloned().collect();
        Self { limits, free_at: Mutex::new(LruCache::new(KEPT)) }
    }

    /// Takes one request from each limit that the endpoint and the caller have, or from none: then
    /// one of them is used up.
    pub fn admit(
        &self,
        endpoint: Limited,
        caller: Caller<'_>,
        now_ms: i64,
    ) -> Result<(), OAuthError> {
        let concerns = |limit: &RateLimit| {
            let named = |ids: &[String]| ids.iter().any(|id| *id == caller.client_id.as_str());
            limit.endpoints.contains(&endpoint)
                && (limit.clients.is_empty() || named(&limit.clients))
                && !named(&limit.except)
        };
        let own: Vec<_> =
            self.limits.iter().enumerate().filter(|(_, limit)| concerns(limit)).collect();
        if own.is_empty() {
            return Ok(());
        }
        let now = now_ms.saturating_mul(1_000_000);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::with_capacity(own.len());
        for (place, limit) in own {
            let counted = (place, caller.client_id.clone(), caller.network);
            let interval = (MINUTE / i64::from(limit.per_minute)).max(1);
            // It is later than in a minute only if the clock was set back.
            let free = free_at.peek(&counted).filter(|free| **free <= now + MINUTE);
            let free = free.map_or(now, |free| now.max(*free));
            let wait = free + interval - (now + MINUTE);
            if wait > 0 {
                return Err(refused(wait));
            }
            taken.push((counted, free + interval));
        }
        for (counted, free) in taken {
            free_at.put(counted, free);
        }
        Ok(())
    }
}

fn refused(wait: i64) -> OAuthError {
    let seconds = u32::try_from(wait.unsigned_abs().div_ceil(1_000_000_000)).unwrap_or(60);
    let text = "the client calls this endpoint too often; wait as long as Retry-After says";
    OAuthError::too_many(text, Lifetime::from_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: u32) -> RateLimit {
        let endpoints = vec![Limited::Token, Limited::Par];
        RateLimit { endpoints, per_minute, clients: vec![], except: vec![] }
    }

    fn id(text: &str) -> ClientId {
        ClientId::parse(text).unwrap()
    }

    /// How many of these are let in at that moment.
    fn admitted(limits: &RateLimits, client: &str, now_ms: i64, times: u32) -> u32 {
        let (client_id, network) = (&id(client), None);
        let caller = Caller { client_id, network };
        (0..times).map(|_| u32::from(limits.admit(Limited::Token, caller, now_ms).is_ok())).sum()
    }

    #[test]
    fn a_minutes_requests_may_come_at_once_and_become_free_evenly() {
        let limits = RateLimits::new(&[limit(60)]);
        assert_eq!(admitted(&limits, "one", 0, 100), 60);
        assert_eq!(admitted(&limits, "one", 999, 5), 0);
        assert_eq!(admitted(&limits, "one", 1000, 5), 1);
        assert_eq!(admitted(&limits, "one", 31_000, 100), 30);
        assert_eq!(admitted(&limits, "one", 10_000_000, 100), 60);
    }

    #[test]
    fn in_any_minute_there_are_twice_as_many_at_most() {
        for per_minute in [1, 7, 600, 5_000] {
            let limits = RateLimits::new(&[limit(per_minute)]);
            let let_in: u32 = (0..60).map(|n| admitted(&limits, "one", n * 1000, per_minute)).sum();
            assert!((per_minute..=2 * per_minute).contains(&let_in), "{per_minute}: {let_in}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let limits = RateLimits::new(&[limit(2)]);
        let (client_id, network) = (&id("one"), None);
        let admit = |now_ms| limits.admit(Limited::Token, Caller { client_id, network }, now_ms);
        assert_eq!((admit(0), admit(0)), (Ok(()), Ok(())));
        for (now_ms, wait) in [(0, 30), (1, 30), (29_500, 1), (29_999, 1)] {
            let error = admit(now_ms).unwrap_err();
            assert_eq!((error.status(), error.retry_after), (429, Some(wait)), "{now_ms}");
        }
        assert_eq!(admit(30_000), Ok(()));
    }

    #[test]
    fn callers_do_not_use_up_what_is_anothers() {
        let limits = RateLimits::new(&[limit(1)]);
        let admit = |client: &str, address: Option<&str>| {
            let network = address.map(|address| Network::from(Some(address.parse().unwrap())));
            let client_id = &id(client);
            limits.admit(Limited::Token, Caller { client_id, network }, 0).is_ok()
        };
        for caller in [
            ("one", None),
            ("two", None),
            ("one", Some("192.0.2.1")),
            ("one", Some("192.0.2.2")),
            ("one", Some("2001:db8:0:1::1")),
        ] {
            assert!(admit(caller.0, caller.1), "{caller:?}");
            assert!(!admit(caller.0, caller.1), "{caller:?}");
        }
        assert!(!admit("one", Some("2001:db8:0:1::2")), "the same network");
    }

    #[test]
    fn a_limit_is_of_its_endpoints_and_clients() {
        let named = |clients: &[&str], except: &[&str]| {
            let texts = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
            RateLimits::new(&[RateLimit {
                clients: texts(clients),
                except: texts(except),
                ..limit(1)
            }])
        };
        let both =
            |limits: RateLimits| ["one", "two"].map(|client| admitted(&limits, client, 0, 10));
        assert_eq!(both(named(&[], &[])), [1, 1]);
        assert_eq!(both(named(&["one"], &[])), [1, 10]);
        assert_eq!(both(named(&[], &["one"])), [10, 1]);

        let limits = named(&[], &[]);
        let (client_id, network) = (&id("one"), None);
        let admit = |endpoint| limits.admit(endpoint, Caller { client_id, network }, 0).is_ok();
        assert!(admit(Limited::Token));
        assert!(!admit(Limited::Par), "its endpoints are counted together");
        assert!(admit(Limited::Userinfo));
    }

    #[test]
    fn what_one_limit_refuses_uses_up_no_other() {
        let limits = RateLimits::new(&[limit(4), limit(1)]);
        assert_eq!(admitted(&limits, "one", 0, 100), 1);
        // Of four a minute, three were left, and none was taken by those that were refused.
        assert_eq!(admitted(&limits, "one", 60_000, 100), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_up() {
        let limits = RateLimits::new(&[limit(1)]);
        assert_eq!(admitted(&limits, "one", 10_000_000, 5), 1);
        assert_eq!(admitted(&limits, "one", 0, 5), 1);
        assert_eq!(admitted(&limits, "one", 60_000, 5), 1);
    }
}
