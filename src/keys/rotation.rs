//! Makes the first keys, and new ones in place of old ones.

use std::collections::BTreeSet;

use chancery_domain::ids::KeyId;
use chancery_domain::signing_key::{KeyAlgorithm, PublishedKey, SigningKey, SigningKeyCommand};
use chancery_domain::time::{Lifetime, UnixTime};

use super::ring::{Keys, KeysError, purpose};
use crate::actors::committer::Committer;
use crate::aggregates::{Folded, Kept as _, Origin, Work, decide};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::freshness;
use crate::jose::jwe::DecryptionKey;
use crate::jose::{Jwk, PrivateKey};
use crate::sealing::{MasterKey, ServerKey};
use crate::stores::{AppendError, NameChange, Store, StoreError, WrappedKeyRow};

/// No token lives longer than a day (configuration and client metadata see to
/// it); an hour more for clocks that go wrong.
const LONGEST_TOKEN: Lifetime = Lifetime::from_seconds(25 * 60 * 60);

/// The name that makes sure that first keys are made once.
const FIRST: &str = "first_key";

/// What rotation works with.
pub struct Rotation<'a> {
    pub store: &'a dyn Store,
    pub committer: &'a Committer,
    pub master: &'a MasterKey,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
    pub node: &'a str,
    /// For how long a new key is published before it signs.
    pub lead: Lifetime,
}

/// For how long a new key is published before it signs: until everybody has it who keeps the keys
/// as long as they may, from a node that has heard of it as late as any.
#[must_use]
pub fn lead(cache_lifetime: Lifetime) -> Lifetime {
    let heard_everywhere = u32::try_from(2 * freshness::BOUND.as_secs()).unwrap_or(u32::MAX);
    Lifetime::from_seconds(cache_lifetime.seconds().saturating_add(heard_everywhere))
}

/// Makes what is missing of the keys; another node may do so at the same time,
/// and one of them wins.
pub async fn bootstrap(with: &Rotation<'_>, algorithms: &[KeyAlgorithm]) -> Result<(), KeysError> {
    for purpose in [purpose::HANDLES, purpose::NAMES, purpose::PAGES, purpose::SUBJECTS] {
        if with.store.wrapped_keys(purpose).await?.is_empty() {
            let key = ServerKey::generate(with.entropy);
            let mut work = with.work("key bootstrap")?;
            work.append.wrapped_keys.push(WrappedKeyRow {
                key_id: key.id().to_string(),
                purpose: purpose.to_owned(),
                wrapped: key.wrap(with.master, with.entropy)?,
            });
            with.append_once(work, purpose).await?;
        }
    }
    let existing = published(with.store).await?;
    for algorithm in algorithms {
        if !existing.iter().any(|key| key.algorithm == *algorithm && key.is_active()) {
            let mut work = with.work("key bootstrap")?;
            with.add_new_key(&mut work, *algorithm, with.clock.now()).await?;
            with.append_once(work, algorithm.as_str()).await?;
        }
    }
    Ok(())
}

/// Puts a new key in place of the one of this algorithm (OpenID Connect Core
/// §10.1.1). The old one signs until everybody has the new one, and stays
/// published until the last token that it signed has expired; if it is one that
/// others encrypt to, it is kept as long, for those who have not heard yet.
/// Gives the new key's id.
pub async fn rotate(
    with: &Rotation<'_>,
    algorithm: impl Into<KeyAlgorithm>,
    origin: Origin,
) -> Result<String, KeysError> {
    let algorithm = algorithm.into().kind();
    let mut work = Work::new(origin, with.node, with.clock, with.entropy)?;
    let mut old = published(with.store).await?;
    old.retain(|key| key.algorithm == algorithm && key.is_active());
    let is_followed = algorithm.signing().is_some() && !old.is_empty();
    let now = with.clock.now();
    let at = if is_followed { now + with.lead } else { now };
    let key_id = with.add_new_key(&mut work, algorithm, at).await?;
    for key in old {
        let command = SigningKeyCommand::Retire { at, published_until: at + LONGEST_TOKEN };
        with.decide(&mut work, key.key_id.as_str(), vec![command]).await?;
    }
    with.committer.append(work.append).await?;
    Ok(key_id)
}

/// Takes a key out of use at once, for good, and with it everything that it
/// signed: somebody else may know it. Where it was in use, another takes its
/// place in the same moment. False: there is no such key.
pub async fn withdraw(
    with: &Rotation<'_>,
    key_id: &KeyId,
    origin: Origin,
) -> Result<bool, KeysError> {
    let stream = SigningKey::stream(key_id.as_str());
    let folded = Folded::<SigningKey>::load(with.store, &stream).await?;
    let Some(key) = folded.state.published() else { return Ok(false) };
    let mut work = Work::new(origin, with.node, with.clock, with.entropy)?;
    let now = with.clock.now();
    let mut others = published(with.store).await?;
    others.retain(|other| other.algorithm == key.algorithm && other.key_id != key.key_id);
    let signs = others.iter().any(|other| other.is_in_use(now));
    if key.is_active() {
        // Where the one before it signs still, there is time until this one was to begin.
        let from = key.activated_at.filter(|_| signs).map_or(now, |at| at.max(now));
        with.add_new_key(&mut work, key.algorithm, from).await?;
    } else if !signs {
        for next in others.iter().filter(|other| other.is_active()) {
            let begin = SigningKeyCommand::Activate { at: now };
            with.decide(&mut work, next.key_id.as_str(), vec![begin]).await?;
        }
    }
    let command = SigningKeyCommand::Retire { at: now, published_until: now };
    with.decide(&mut work, key_id.as_str(), vec![command]).await?;
    if !work.append.events.is_empty() {
        with.committer.append(work.append).await?;
    }
    Ok(true)
}

/// Rotates the keys that have been in use for longer than `age`. A conflict means
/// that another node just did it.
pub async fn rotate_old_keys(
    with: &Rotation<'_>,
    keys: &Keys,
    age: Lifetime,
) -> Result<bool, KeysError> {
    let now: UnixTime = with.clock.now();
    let mut rotated = false;
    let in_use = keys.all.iter().filter(|key| key.is_active());
    let algorithms: BTreeSet<_> = in_use.map(|key| key.algorithm).collect();
    for algorithm in algorithms {
        let old = keys.all.iter().any(|key| {
            let since = key.activated_at.filter(|_| key.is_active() && key.algorithm == algorithm);
            since.is_some_and(|since| now.since(since) >= age)
        });
        if old {
            match rotate(with, algorithm, Origin::system("key rotation")).await {
                Ok(key_id) => {
                    tracing::info!(key.id = %key_id, key.algorithm = %algorithm, "rotated a key");
                    rotated = true;
                }
                Err(KeysError::Append(AppendError::Conflict)) => rotated = true,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(rotated)
}

/// All keys that stand or stood in the JWKS that the store has, the oldest first.
pub async fn published(store: &dyn Store) -> Result<Vec<PublishedKey>, KeysError> {
    let mut keys = Vec::new();
    for row in store.wrapped_keys(purpose::SIGNING).await? {
        let stream = SigningKey::stream(&row.key_id);
        let folded = Folded::<SigningKey>::load(store, &stream).await?;
        keys.extend(folded.state.published().cloned());
    }
    keys.sort_by_key(|key| (key.published_at, key.key_id.clone()));
    Ok(keys)
}

/// A new key, of either kind.
struct Made {
    key_id: KeyId,
    jwk: Jwk,
    pkcs8: Vec<u8>,
}

impl Made {
    fn of(algorithm: KeyAlgorithm) -> Result<Self, KeysError> {
        match algorithm {
            KeyAlgorithm::Signing(algorithm) => {
                let key = PrivateKey::generate(algorithm)?;
                let (key_id, jwk) = (key.kid().clone(), key.public_jwk());
                Ok(Self { key_id, jwk, pkcs8: key.to_pkcs8()? })
            }
            KeyAlgorithm::KeyManagement(algorithm) => {
                let made = DecryptionKey::generate(algorithm).and_then(|key| {
                    let (key_id, jwk) = (key.kid()?.clone(), key.public_jwk()?);
                    Some(Self { key_id, jwk, pkcs8: key.to_pkcs8()? })
                });
                made.ok_or(KeysError::NotADecryptionKey(algorithm))
            }
        }
    }
}

impl Rotation<'_> {
    fn work(&self, function: &str) -> Result<Work, StoreError> {
        Work::new(Origin::system(function), self.node, self.clock, self.entropy)
    }

    async fn add_new_key(
        &self,
        work: &mut Work,
        algorithm: KeyAlgorithm,
        signs_from: UnixTime,
    ) -> Result<String, KeysError> {
        // Making an RSA key takes long.
        let made = tokio::task::spawn_blocking(move || Made::of(algorithm)).await;
        let made = made.map_err(|error| KeysError::Refused(error.to_string()))??;
        let key_id = made.key_id;
        let now = self.clock.now();
        let jwk = serde_json::to_value(made.jwk)
            .map_err(|error| KeysError::Refused(error.to_string()))?;
        work.append.wrapped_keys.push(WrappedKeyRow {
            key_id: key_id.to_string(),
            purpose: purpose::SIGNING.to_owned(),
            wrapped: self.master.wrap(key_id.as_str(), &made.pkcs8, self.entropy)?,
        });
        let commands = vec![
            SigningKeyCommand::Publish { key_id: key_id.clone(), algorithm, jwk, now },
            SigningKeyCommand::Activate { at: signs_from },
        ];
        self.decide(work, key_id.as_str(), commands).await?;
        Ok(key_id.to_string())
    }

    async fn decide(
        &self,
        work: &mut Work,
        key_id: &str,
        commands: Vec<SigningKeyCommand>,
    ) -> Result<(), KeysError> {
        let stream = SigningKey::stream(key_id);
        let folded = Folded::<SigningKey>::load(self.store, &stream).await?;
        let decided = decide(&folded.state, commands).await;
        let (_, events) = decided.map_err(|error| KeysError::Refused(error.to_string()))?;
        work.add(&stream, folded.head, &events)?;
        Ok(())
    }

    /// Appends unless somebody else has made the first key of this name.
    async fn append_once(&self, mut work: Work, what: &str) -> Result<(), KeysError> {
        let mut name = [0; 32];
        for (slot, byte) in name.iter_mut().zip(what.bytes()) {
            *slot = byte;
        }
        let owner = self.entropy.uuid_v4().simple().to_string().into();
        work.append.names.push(NameChange::Reserve { space: FIRST, name, owner });
        match self.committer.append(work.append).await {
            Ok(_) | Err(AppendError::NameTaken) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
