//! The public keys of clients (RFC 7591 §2): given in their metadata as `jwks`,
//! or fetched from their `jwks_uri` and kept for a while.
//!
//! A key that is not among the kept ones is looked for again, since clients
//! rotate their keys without telling us (OpenID Connect Core §10.1.1); but
//! whoever makes key ids up does not have us hammer the client's server: once a
//! minute for each client, and all clients together have a budget. What can't
//! be fetched again stays good for a day.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::ClientId;
use chancery_domain::time::{Lifetime, UnixTime};
use lru::LruCache;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::clock::Clock;
use crate::jose::{Accept, JwkSet, PeerKeys, VerifyError};
use crate::outbound::{Outbound, OutboundError};
use crate::services::Services;

/// Clients whose keys are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(2_000).unwrap();

/// How long keys are good where their server does not say.
const USUAL: u32 = 3_600;

/// The bounds of what their server may say.
const SHORTEST: u32 = 60;
const LONGEST: u32 = 86_400;

/// Between two looks for a key that is not there, and between two attempts
/// while old keys are at hand.
const PAUSE: u32 = 60;

/// Between two attempts without any keys at hand.
const SHORT_PAUSE: u32 = 10;

/// How long keys are used that could not be fetched again.
const STALE: Lifetime = Lifetime::from_seconds(86_400);

/// Fetches within a minute, for all clients together.
const BUDGET: u32 = 300;

const ACCEPT: &str = "application/jwk-set+json, application/json";

/// Why a client's keys are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysUnavailable {
    #[error("the client has neither jwks nor jwks_uri")]
    None,
    #[error("the client's jwks_uri is no URL")]
    BadUrl,
    #[error("the client's keys can't be fetched: {0}")]
    Outbound(#[from] OutboundError),
    #[error("the client's jwks_uri answered with status {0}")]
    Status(u16),
    #[error("the client's jwks is no JWK Set (RFC 7517 section 5)")]
    NoJwkSet,
    /// It was tried a moment ago, or too much was fetched lately.
    #[error("the client's keys could not be fetched a moment ago")]
    TriedLately,
}

/// Why a token is not the client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTheClients {
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    #[error(transparent)]
    Token(#[from] VerifyError),
}

/// The keys of a client, as they are known now.
pub async fn keys_of(
    services: &Services,
    client: &RegisteredClient,
) -> Result<Arc<JwkSet>, KeysUnavailable> {
    services.client_keys.get(&services.outbound, &*services.clock, client).await
}

/// Verifies a token by the keys of a client; fetches them again (as often as
/// that is allowed) where none of those at hand does it.
pub async fn verify<C: DeserializeOwned>(
    services: &Services,
    client: &RegisteredClient,
    token: &str,
    accept: &Accept<'_>,
) -> Result<C, NotTheClients> {
    let keys = keys_of(services, client).await?;
    let with = |keys: &JwkSet| PeerKeys::new(&keys.keys).verify(token, accept);
    let error = match with(&keys) {
        Ok(claims) => return Ok(claims),
        Err(error) => error,
    };
    // The same kid, or none, may stand for another key by now.
    if !matches!(error, VerifyError::UnknownKey | VerifyError::WrongSignature) {
        return Err(error.into());
    }
    let (outbound, clock) = (&services.outbound, &*services.clock);
    match services.client_keys.newer(outbound, clock, client, &keys).await {
        Some(newer) => Ok(with(&newer)?),
        None => Err(error.into()),
    }
}

/// The keys of many clients.
pub struct ClientKeys {
    entries: Mutex<LruCache<ClientId, Entry>>,
    /// The minute, and how much was fetched in it.
    fetched: Mutex<(i64, u32)>,
}

#[derive(Clone)]
enum Entry {
    /// What the metadata say, and what that is as keys.
    Given(Arc<(Value, Arc<JwkSet>)>),
    Fetched(Arc<Remote>),
}

/// The keys behind one `jwks_uri`.
struct Remote {
    uri: String,
    /// Whoever fetches holds it; who waits finds what the other got.
    fetching: tokio::sync::Mutex<()>,
    state: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<JwkSet>>,
    fetched_at: UnixTime,
    fresh_until: UnixTime,
    tried_at: Option<UnixTime>,
    failure: Option<KeysUnavailable>,
}

impl Remote {
    fn known(&self) -> Known {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Known {
    fn tried_within(&self, pause: u32, now: UnixTime) -> bool {
        self.tried_at.is_some_and(|at| now < at + Lifetime::from_seconds(pause))
    }

    /// Keys that are good, though perhaps not fresh.
    fn usable(&self, now: UnixTime) -> Option<&Arc<JwkSet>> {
        self.keys.as_ref().filter(|_| now < self.fetched_at + STALE || now < self.fresh_until)
    }
}

impl Default for ClientKeys {
    fn default() -> Self {
        Self { entries: Mutex::new(LruCache::new(KEPT)), fetched: Mutex::new((0, 0)) }
    }
}

impl ClientKeys {
    async fn get(
        &self,
        outbound: &Outbound,
        clock: &dyn Clock,
        client: &RegisteredClient,
    ) -> Result<Arc<JwkSet>, KeysUnavailable> {
        let remote = match self.entry(client)? {
            Entry::Given(given) => return Ok(Arc::clone(&given.1)),
            Entry::Fetched(remote) => remote,
        };
        let known = remote.known();
        if let Some(keys) = known.keys.filter(|_| clock.now() < known.fresh_until) {
            return Ok(keys);
        }
        let _fetching = remote.fetching.lock().await;
        let now = clock.now();
        let known = remote.known();
        if let Some(keys) = known.keys.as_ref().filter(|_| now < known.fresh_until) {
            return Ok(Arc::clone(keys));
        }
        let pause = if known.usable(now).is_some() { PAUSE } else { SHORT_PAUSE };
        if !known.tried_within(pause, now) {
            self.fetch(outbound, now, &remote).await;
        }
        let known = remote.known();
        known
            .usable(now)
            .map(Arc::clone)
            .ok_or_else(|| known.failure.unwrap_or(KeysUnavailable::TriedLately))
    }

    /// Other keys than these, if the client has other ones by now.
    async fn newer(
        &self,
        outbound: &Outbound,
        clock: &dyn Clock,
        client: &RegisteredClient,
        old: &Arc<JwkSet>,
    ) -> Option<Arc<JwkSet>> {
        let Ok(Entry::Fetched(remote)) = self.entry(client) else { return None };
        let _fetching = remote.fetching.lock().await;
        let now = clock.now();
        let known = remote.known();
        let is_news = |keys: &Arc<JwkSet>| !Arc::ptr_eq(keys, old);
        if !known.keys.as_ref().is_some_and(is_news) && !known.tried_within(PAUSE, now) {
            self.fetch(outbound, now, &remote).await;
        }
        remote.known().keys.filter(is_news)
    }

    fn entry(&self, client: &RegisteredClient) -> Result<Entry, KeysUnavailable> {
        let metadata = &client.metadata;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = entries.get(&client.client_id);
        let entry = match (&metadata.jwks, &metadata.jwks_uri) {
            (Some(jwks), _) => match kept {
                Some(Entry::Given(given)) if given.0 == *jwks => {
                    return Ok(Entry::Given(Arc::clone(given)));
                }
                _ => {
                    let keys = serde_json::from_value(jwks.clone());
                    let keys = keys.map_err(|_| KeysUnavailable::NoJwkSet)?;
                    Entry::Given(Arc::new((jwks.clone(), Arc::new(keys))))
                }
            },
            (None, Some(uri)) => match kept {
                Some(Entry::Fetched(remote)) if remote.uri == *uri => {
                    return Ok(Entry::Fetched(Arc::clone(remote)));
                }
                _ => Entry::Fetched(Arc::new(Remote {
                    uri: uri.clone(),
                    fetching: tokio::sync::Mutex::default(),
                    state: Mutex::default(),
                })),
            },
            (None, None) => return Err(KeysUnavailable::None),
        };
        entries.put(client.client_id.clone(), entry.clone());
        Ok(entry)
    }

    /// Fetches the keys, if the budget allows it, and notes what came of it.
    async fn fetch(&self, outbound: &Outbound, now: UnixTime, remote: &Remote) {
        if !self.spend(now) {
            return;
        }
        remote.change(|known| known.tried_at = Some(now));
        match fetch(outbound, &remote.uri).await {
            Ok((keys, lifetime)) => remote.change(|known| {
                // The same keys again are no news.
                if known.keys.as_ref().is_none_or(|old| **old != keys) {
                    known.keys = Some(Arc::new(keys));
                }
                known.fetched_at = now;
                known.fresh_until = now + lifetime;
                known.failure = None;
            }),
            Err(error) => {
                tracing::warn!(%error, "a client's keys were not fetched: {error}");
                remote.change(|known| known.failure = Some(error));
            }
        }
    }

    fn spend(&self, now: UnixTime) -> bool {
        let minute = now.seconds().div_euclid(60);
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.0 != minute {
            *fetched = (minute, 0);
        }
        fetched.1 += 1;
        fetched.1 <= BUDGET
    }
}

async fn fetch(outbound: &Outbound, uri: &str) -> Result<(JwkSet, Lifetime), KeysUnavailable> {
    let url = Url::parse(uri).map_err(|_| KeysUnavailable::BadUrl)?;
    let fetched = outbound.get(&url, ACCEPT).await?;
    if fetched.status != 200 {
        return Err(KeysUnavailable::Status(fetched.status));
    }
    let keys = serde_json::from_slice(&fetched.body).map_err(|_| KeysUnavailable::NoJwkSet)?;
    let lifetime = fetched.max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    Ok((keys, Lifetime::from_seconds(lifetime)))
}
