//! The keys as they are now: parsed, and ready.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chancery_domain::grant::HandleSeed;
use chancery_domain::ids::KeyId;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::signing_key::{KeyAlgorithm, PublishedKey, SigningKey};
use chancery_domain::time::UnixTime;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aggregates::{Folded, Kept as _, LoadError};
use crate::freshness::Freshness;
use crate::handles::{DerivedHandle, DerivedKind, HandleKey};
use crate::jose::jwe::DecryptionKey;
use crate::jose::{Jwk, KeyError, PrivateKey, Verifier};
use crate::sealing::{
    MacKey, MasterKey, NamesKey, SealingFailed, ServerKey, TokenKey, UnwrapError,
};
use crate::stores::{AppendError, Store, StoreError, WrappedKeyRow};

/// What wrapped keys are for: the `purpose` in the store.
pub(super) mod purpose {
    /// Those whose public part is published, which sign or are encrypted to.
    pub const SIGNING: &str = "signing";
    /// Refresh tokens and opaque access tokens.
    pub const HANDLES: &str = "handles";
    /// Account names.
    pub const NAMES: &str = "names";
    /// Pairwise subjects.
    pub const SUBJECTS: &str = "subjects";
    /// Forms, cookies, and what browsers keep for us.
    pub const PAGES: &str = "pages";
}

/// Why the keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sealing(#[from] SealingFailed),
    #[error("key {key} can't be unwrapped: {source}")]
    Unwrap { key: String, source: UnwrapError },
    #[error("the store has no {0} key yet")]
    Missing(&'static str),
    #[error("no key signs with {0}; add it to keys.extra_algorithms")]
    NoSigningKey(SigningAlgorithm),
    #[error("not a private key to decrypt {0} with")]
    NotADecryptionKey(KeyManagementAlgorithm),
    #[error("{0}")]
    Refused(String),
}

/// All keys at one time.
pub struct Keys {
    /// For each algorithm that a key signs with: which does, or will, one after the other.
    signing: BTreeMap<SigningAlgorithm, Vec<Signer>>,
    /// Every private key that may be asked for again.
    private: HashMap<KeyId, Arc<PrivateKey>>,
    /// What may still be encrypted to, the newest first.
    decryption: Vec<Arc<DecryptionKey>>,
    /// All keys of the store, oldest first.
    pub all: Vec<PublishedKey>,
    /// Verifies what we signed, as long as the key is published.
    pub verifier: Verifier,
    /// The JWK Set (RFC 7517 §5), ready to be sent.
    pub jwks: Arc<str>,
    /// The newest handle key: new grants use it.
    pub handles: HandleKey,
    by_id: HashMap<KeyId, HandleKey>,
    /// Account names.
    pub names: NamesKey,
    /// Pairwise subjects.
    pub subjects: MacKey,
    /// What a form or link carries.
    pub interactions: TokenKey,
    /// What a cookie carries.
    pub cookies: TokenKey,
    /// Form tokens.
    pub csrf: MacKey,
    /// For what scripts may know of a session.
    pub browsers: MacKey,
}

/// A key that signs from some time on, until its successor does.
struct Signer {
    from: UnixTime,
    until: Option<UnixTime>,
    key: Arc<PrivateKey>,
}

impl Signer {
    fn has_ended(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Keys {
    /// The key that signs with this algorithm. Where it is withdrawn, its successor does, although
    /// not everybody may have it yet.
    pub fn signing(
        &self,
        algorithm: SigningAlgorithm,
        now: UnixTime,
    ) -> Result<&Arc<PrivateKey>, KeysError> {
        let keys = self.signing.get(&algorithm).map(Vec::as_slice).unwrap_or_default();
        let ahead = || keys.iter().filter(|signer| !signer.has_ended(now));
        let begun = ahead().rfind(|signer| signer.from <= now);
        let signer = begun.or_else(|| ahead().next()).ok_or(KeysError::NoSigningKey(algorithm))?;
        Ok(&signer.key)
    }

    /// Is there a key that signs with it?
    #[must_use]
    pub fn signs_with(&self, algorithm: SigningAlgorithm) -> bool {
        self.signing.contains_key(&algorithm)
    }

    /// The key with this id, signing still or not any more.
    #[must_use]
    pub fn private(&self, key_id: &KeyId) -> Option<&Arc<PrivateKey>> {
        self.private.get(key_id)
    }

    /// The keys that others encrypt to, and those that they may still do so with
    /// until they have heard of the new one.
    pub fn decryption_keys(&self) -> impl Iterator<Item = &DecryptionKey> {
        self.decryption.iter().map(AsRef::as_ref)
    }

    /// The handle key with this id.
    #[must_use]
    pub fn handle_key(&self, key_id: &KeyId) -> Option<&HandleKey> {
        self.by_id.get(key_id)
    }

    /// Is this handle the one that our key derives from the seed of its grant?
    #[must_use]
    pub fn is_genuine<K: DerivedKind>(&self, seed: &HandleSeed, handle: &DerivedHandle<K>) -> bool {
        self.handle_key(&seed.key).is_some_and(|key| key.genuine(handle, seed.salt.as_bytes()))
    }

    /// The signature algorithms that there is a key for.
    pub fn algorithms(&self) -> impl Iterator<Item = SigningAlgorithm> {
        self.signing.keys().copied()
    }

    /// Reads and parses all keys of a store.
    pub(super) async fn load(
        store: &dyn Store,
        master: &MasterKey,
        now: UnixTime,
    ) -> Result<Self, KeysError> {
        let mut all = Vec::new();
        let mut private = HashMap::new();
        let mut decryption = Vec::new();
        let mut signing: BTreeMap<SigningAlgorithm, Vec<Signer>> = BTreeMap::new();
        for row in store.wrapped_keys(purpose::SIGNING).await? {
            let stream = SigningKey::stream(&row.key_id);
            let folded = Folded::<SigningKey>::load(store, &stream).await?;
            let Some(key) = folded.state.published() else { continue };
            if key.is_published(now) {
                let der = unwrap(master, &row)?;
                match key.algorithm {
                    KeyAlgorithm::Signing(algorithm) => {
                        let parsed = Arc::new(PrivateKey::from_pkcs8(algorithm, &der)?);
                        if let Some(from) = key.activated_at {
                            let until = key.retired.map(|(at, _)| at);
                            let signer = Signer { from, until, key: Arc::clone(&parsed) };
                            signing.entry(algorithm).or_default().push(signer);
                        }
                        private.insert(key.key_id.clone(), parsed);
                    }
                    KeyAlgorithm::KeyManagement(algorithm) => {
                        let parsed = DecryptionKey::from_pkcs8(algorithm, &der)
                            .ok_or(KeysError::NotADecryptionKey(algorithm))?;
                        decryption.push((key.published_at, Arc::new(parsed)));
                    }
                }
            }
            all.push(key.clone());
        }
        all.sort_by_key(|key| (key.published_at, key.key_id.clone()));
        signing.retain(|_, keys| keys.iter().any(|signer| !signer.has_ended(now)));
        for keys in signing.values_mut() {
            keys.sort_by_key(|signer| signer.from);
        }
        decryption.sort_by_key(|(published_at, _)| Reverse(*published_at));
        let published = || {
            // Those that sign first: there are readers who take the first key.
            let listed = || all.iter().filter(|key| key.is_listed(now));
            let signs = listed().filter(|key| key.algorithm.signing().is_some());
            signs
                .chain(listed().filter(|key| key.algorithm.signing().is_none()))
                .map(|key| &key.jwk)
        };
        let jwks = json!({ "keys": published().collect::<Vec<_>>() }).to_string();
        let parsed: Vec<Jwk> =
            published().filter_map(|jwk| serde_json::from_value(jwk.clone()).ok()).collect();
        let mut by_id = HashMap::new();
        for row in store.wrapped_keys(purpose::HANDLES).await? {
            let key = server_key(master, &row)?.handle_key();
            by_id.insert(key.id().clone(), key);
        }
        // Key ids are random, so the newest can't be told by them: one handle key for
        // now, and the smallest id everywhere should there ever be more.
        let handles = by_id.values().min_by_key(|key| key.id().clone()).cloned();
        let names = only(store, master, purpose::NAMES).await?;
        let subjects = only(store, master, purpose::SUBJECTS).await?;
        let pages = only(store, master, purpose::PAGES).await?;
        Ok(Self {
            signing,
            private,
            decryption: decryption.into_iter().map(|(_, key)| key).collect(),
            verifier: Verifier::new(&parsed),
            all,
            jwks: jwks.into(),
            handles: handles.ok_or(KeysError::Missing(purpose::HANDLES))?,
            by_id,
            names: names.names_key(),
            subjects: subjects.mac_key("pairwise subjects"),
            interactions: pages.token_key("interactions"),
            cookies: pages.token_key("cookies"),
            csrf: pages.mac_key("forms"),
            browsers: pages.mac_key("browser states"),
        })
    }
}

async fn only(
    store: &dyn Store,
    master: &MasterKey,
    purpose: &'static str,
) -> Result<ServerKey, KeysError> {
    let rows = store.wrapped_keys(purpose).await?;
    let row = rows.first().ok_or(KeysError::Missing(purpose))?;
    server_key(master, row)
}

fn server_key(master: &MasterKey, row: &WrappedKeyRow) -> Result<ServerKey, KeysError> {
    let key_id = KeyId::parse(&row.key_id)
        .map_err(|error| StoreError::Corrupt(format!("key {}: {error}", row.key_id)))?;
    ServerKey::unwrap(master, &key_id, &row.wrapped)
        .map_err(|source| KeysError::Unwrap { key: row.key_id.clone(), source })
}

fn unwrap(master: &MasterKey, row: &WrappedKeyRow) -> Result<Vec<u8>, KeysError> {
    master
        .unwrap(&row.key_id, &row.wrapped)
        .map_err(|source| KeysError::Unwrap { key: row.key_id.clone(), source })
}

/// How soon after the keys were loaded they are loaded again for a token that names another key:
/// strangers name what they like.
const AGAIN: Duration = Duration::from_millis(100);

/// The keys of now; loaded again when the feed brings news of a key.
pub struct KeyRing {
    now: RwLock<Arc<Keys>>,
    store: Arc<dyn Store>,
    master: MasterKey,
    fresh: Arc<Freshness>,
    /// When they were asked for last. Held while they are: what is asked for later is kept.
    loaded: Mutex<Instant>,
}

impl KeyRing {
    /// Loads the keys of a store.
    pub async fn load(
        store: Arc<dyn Store>,
        master: MasterKey,
        now: UnixTime,
        fresh: Arc<Freshness>,
    ) -> Result<Self, KeysError> {
        let loaded = Mutex::new(Instant::now());
        let keys = Keys::load(&*store, &master, now).await?;
        Ok(Self { now: RwLock::new(Arc::new(keys)), store, master, fresh, loaded })
    }

    /// The keys of now.
    #[must_use]
    pub fn get(&self) -> Arc<Keys> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys to verify tokens by: none that was withdrawn more than a second ago, whatever
    /// holds up the feed.
    pub async fn get_fresh(&self, now: UnixTime) -> Result<Arc<Keys>, KeysError> {
        if !self.fresh.is_fresh() {
            self.load_again(now, AGAIN).await?;
        }
        Ok(self.get())
    }

    /// The same for a token that could not be verified: another node may have made its key just
    /// now.
    pub async fn get_for(&self, token: &str, now: UnixTime) -> Result<Arc<Keys>, KeysError> {
        if self.fresh.is_shared() && self.get().verifier.misses_the_key_of(token) {
            self.load_again(now, AGAIN).await?;
        }
        Ok(self.get())
    }

    /// Loads the keys again.
    pub async fn reload(&self, now: UnixTime) -> Result<(), KeysError> {
        self.load_again(now, Duration::ZERO).await
    }

    /// Loads them, unless they are no older than that.
    async fn load_again(&self, now: UnixTime, than: Duration) -> Result<(), KeysError> {
        let mut loaded = self.loaded.lock().await;
        let asked = Instant::now();
        if asked.duration_since(*loaded) < than {
            return Ok(());
        }
        let keys = Keys::load(&*self.store, &self.master, now).await?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        *loaded = asked;
        Ok(())
    }
}
