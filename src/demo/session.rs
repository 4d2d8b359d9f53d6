//! What the demo remembers of each browser: in memory, for a while.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::GrantId;
use chancery_domain::time::{Lifetime, UnixTime};
use lru::LruCache;
use tokio::sync::watch;

use super::page::{DemoExchange, DemoState, DemoTokens};
use crate::entropy::Entropy;

/// How many browsers are remembered; who was away longest is forgotten first.
const MOST: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How long a browser may be away.
const AWAY: Lifetime = Lifetime::from_seconds(8 * 3600);
/// How many of each are kept for a browser: logins begun, exchanges, grants of
/// the demo's own.
const ATTEMPTS: usize = 5;
const EXCHANGES: usize = 30;
const OWN_GRANTS: usize = 10;

/// All browsers, by their cookies.
pub struct Sessions(Mutex<LruCache<String, Kept>>);

struct Kept {
    session: Arc<Session>,
    until: UnixTime,
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Sessions {
    /// Remembers a browser that was not known; its cookie.
    pub fn begin(&self, entropy: &dyn Entropy, now: UnixTime) -> (String, Arc<Session>) {
        let cookie = random(entropy);
        let session = Arc::new(Session::new(entropy));
        let kept = Kept { session: Arc::clone(&session), until: now + AWAY };
        self.kept().put(cookie.clone(), kept);
        (cookie, session)
    }

    /// The browser with this cookie, if it is remembered still.
    pub fn find(&self, cookie: &str, now: UnixTime) -> Option<Arc<Session>> {
        let mut all = self.kept();
        let kept = all.get_mut(cookie)?;
        if kept.until <= now {
            all.pop(cookie);
            return None;
        }
        kept.until = now + AWAY;
        Some(Arc::clone(&kept.session))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, LruCache<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One browser.
pub struct Session {
    /// Stands in the page, and comes back with every call of its script.
    pub csrf: String,
    /// Locked while the demo speaks to the server for this browser, so that two
    /// clicks are two calls, one after the other.
    pub talk: tokio::sync::Mutex<Talk>,
    grants: watch::Sender<Vec<GrantId>>,
}

impl Session {
    fn new(entropy: &dyn Entropy) -> Self {
        let (grants, _) = watch::channel(Vec::new());
        Self { csrf: random(entropy), talk: tokio::sync::Mutex::default(), grants }
    }

    /// Did the page send this along?
    pub fn is_csrf(&self, presented: &[u8]) -> bool {
        verify_slices_are_equal(self.csrf.as_bytes(), presented).is_ok()
    }

    /// The grants whose events the page shows, as they change.
    pub fn follow(&self) -> watch::Receiver<Vec<GrantId>> {
        self.grants.subscribe()
    }

    /// Lets those who follow know of the grants that there are now.
    pub fn publish(&self, talk: &Talk) {
        self.grants.send_if_modified(|known| {
            let grants = talk.grants();
            let changed = *known != grants;
            *known = grants;
            changed
        });
    }
}

/// What was said for a browser, and what came of it.
#[derive(Default)]
pub struct Talk {
    attempts: VecDeque<Attempt>,
    pub granted: Option<Granted>,
    own_grants: VecDeque<GrantId>,
    exchanges: VecDeque<DemoExchange>,
    /// Why the last login came to nothing.
    pub failure: Option<Failure>,
}

/// A login that was begun.
pub struct Attempt {
    pub state: String,
    pub nonce: String,
    /// RFC 7636 §4.1
    pub verifier: String,
    /// The grant that it may become.
    pub grant: Option<GrantId>,
}

impl Attempt {
    pub fn new(entropy: &dyn Entropy) -> Self {
        let [state, nonce, verifier] = std::array::from_fn(|_| random(entropy));
        Self { state, nonce, verifier, grant: None }
    }
}

/// What a login ended with.
pub struct Granted {
    pub grant: Option<GrantId>,
    pub subject: String,
    pub tokens: DemoTokens,
    pub revoked: bool,
}

/// Why a login came to nothing.
pub struct Failure {
    pub code: String,
    pub description: Option<String>,
}

impl Talk {
    /// Remembers a login that was begun.
    pub fn begin(&mut self, attempt: Attempt) {
        self.failure = None;
        push(&mut self.attempts, attempt, ATTEMPTS);
    }

    /// The login that has this state, once.
    pub fn finish(&mut self, state: &str) -> Option<Attempt> {
        let index = self.attempts.iter().position(|attempt| attempt.state == state)?;
        self.attempts.remove(index)
    }

    pub fn record(&mut self, exchange: DemoExchange) {
        push(&mut self.exchanges, exchange, EXCHANGES);
    }

    /// Remembers a grant of the demo's own (RFC 6749 §4.4).
    pub fn add_own_grant(&mut self, grant: GrantId) {
        push(&mut self.own_grants, grant, OWN_GRANTS);
    }

    /// The grants whose events are shown: that of the login, or of the one that
    /// was begun last, and the demo's own.
    fn grants(&self) -> Vec<GrantId> {
        let granted = self.granted.as_ref().and_then(|granted| granted.grant);
        let begun = self.attempts.back().and_then(|attempt| attempt.grant);
        granted.into_iter().chain(begun).chain(self.own_grants.iter().copied()).collect()
    }

    /// What the page shows.
    pub fn state(&self) -> DemoState {
        let granted = self.granted.as_ref();
        DemoState {
            grant_id: granted.and_then(|granted| granted.grant).map(|grant| grant.to_string()),
            revoked: granted.is_some_and(|granted| granted.revoked),
            tokens: granted.map(|granted| granted.tokens.clone()),
            exchanges: self.exchanges.iter().cloned().collect(),
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// 256 bits that nobody can guess, as 43 characters.
fn random(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const NOW: UnixTime = UnixTime::from_seconds(1_000_000);

    #[test]
    fn a_browser_is_forgotten_when_it_was_away_too_long() {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.begin(&SeededEntropy::new(1), NOW);
        let half = Lifetime::from_seconds(AWAY.seconds() / 2);
        assert_eq!(sessions.find(&cookie, NOW + half).unwrap().csrf, session.csrf);
        assert!(sessions.find(&cookie, NOW + AWAY).is_some(), "it came back in between");
        assert!(sessions.find(&cookie, NOW + AWAY + AWAY).is_none());
        assert!(sessions.find(&cookie, NOW).is_none(), "forgotten for good");
    }

    #[test]
    fn no_more_than_a_thousand_browsers_are_remembered() {
        let sessions = Sessions::default();
        let entropy = SeededEntropy::new(2);
        let (first, _) = sessions.begin(&entropy, NOW);
        let (second, _) = sessions.begin(&entropy, NOW);
        assert!(sessions.find(&first, NOW).is_some());
        for _ in 0..MOST.get() - 1 {
            sessions.begin(&entropy, NOW);
        }
        assert!(sessions.find(&first, NOW).is_some(), "it was here later than the second");
        assert!(sessions.find(&second, NOW).is_none());
    }

    #[test]
    fn a_state_counts_once_and_only_for_the_browser_that_it_was_made_for() {
        let entropy = SeededEntropy::new(3);
        let [mut mine, mut other] = [Talk::default(), Talk::default()];
        let attempt = Attempt::new(&entropy);
        let state = attempt.state.clone();
        mine.begin(attempt);
        other.begin(Attempt::new(&entropy));
        assert!(other.finish(&state).is_none());
        assert!(mine.finish(&state).is_some());
        assert!(mine.finish(&state).is_none());
    }

    #[test]
    fn old_logins_are_dropped() {
        let entropy = SeededEntropy::new(4);
        let mut talk = Talk::default();
        let first = Attempt::new(&entropy);
        let state = first.state.clone();
        talk.begin(first);
        for _ in 0..ATTEMPTS {
            talk.begin(Attempt::new(&entropy));
        }
        assert!(talk.finish(&state).is_none());
    }

    #[test]
    fn only_the_page_of_the_browser_has_its_csrf_token() {
        let entropy = SeededEntropy::new(5);
        let [one, other] = [Session::new(&entropy), Session::new(&entropy)];
        assert!(one.is_csrf(one.csrf.as_bytes()));
        assert!(!one.is_csrf(other.csrf.as_bytes()));
        assert!(!one.is_csrf(b""));
    }
}
