//! The keys that sign checkpoints: made, wrapped, replaced. Each is an event of
//! the log that it seals.

use chancery_domain::ids::KeyId;
use chancery_domain::sealed_log::{CheckpointKey, SealedLog, SealedLogCommand, SealedLogError};
use chancery_domain::time::Lifetime;

use super::log::SealError;
use super::note::CheckpointSigner;
use crate::aggregates::{Folded, Kept as _, LoadError, Origin, Work, decide};
use crate::keys::Rotation;
use crate::sealing::{SealingFailed, UnwrapError};
use crate::stores::{AppendError, Store, StoreError, WrappedKeyRow};

/// What their wrapped keys are for: the `purpose` in the store.
const PURPOSE: &str = "checkpoints";

/// How long a key that is replaced signs beside its successor, unless told otherwise.
pub const OVERLAP: Lifetime = Lifetime::from_seconds(7 * 86_400);

/// All that is known of the sealed log of this origin.
pub async fn sealed_log(store: &dyn Store, origin: &str) -> Result<Folded<SealedLog>, LoadError> {
    Folded::load(store, &SealedLog::stream(origin)).await
}

/// Every key that ever signed for this origin, as the log says, the oldest first.
pub async fn published(store: &dyn Store, origin: &str) -> Result<Vec<CheckpointKey>, LoadError> {
    Ok(sealed_log(store, origin).await?.state.keys)
}

/// The keys that sign now, the newest first; makes the first one, if there is none.
pub(super) async fn signers(
    with: &Rotation<'_>,
    origin: &str,
) -> Result<Vec<CheckpointSigner>, SealError> {
    let mut log = sealed_log(with.store, origin).await?;
    if log.state.signing(with.clock.now()).next().is_none() {
        match publish(with, origin, Lifetime::from_seconds(0), Origin::system("sealer")).await {
            // Another node was first.
            Ok(_) | Err(SealError::Conflict) => {}
            Err(error) => return Err(error),
        }
        log = sealed_log(with.store, origin).await?;
    }
    let wrapped = with.store.wrapped_keys(PURPOSE).await?;
    let mut signers = Vec::new();
    for key in log.state.signing(with.clock.now()) {
        let id = key.key_id.as_str();
        let Some(row) = wrapped.iter().find(|row| row.key_id == id) else {
            return Err(SealError::Failed(format!(
                "the private key of checkpoint key {id} is gone"
            )));
        };
        let seed = with.master.unwrap(id, &row.wrapped)?;
        signers.push(CheckpointSigner::from_seed(origin, &seed)?);
    }
    Ok(signers)
}

/// Makes a new key, which signs from now on; those before sign beside it for a while.
pub async fn publish(
    with: &Rotation<'_>,
    origin: &str,
    overlap: Lifetime,
    by: Origin,
) -> Result<KeyId, SealError> {
    let now = with.clock.now();
    let seed = CheckpointSigner::new_seed(with.entropy);
    let signer = CheckpointSigner::from_seed(origin, &seed)?;
    let key_id = signer.key_id();
    let stream = SealedLog::stream(origin);
    let log = sealed_log(with.store, origin).await?;
    let command = SealedLogCommand::PublishKey {
        key_id: key_id.clone(),
        verifier: signer.verifier().to_owned(),
        overlap_until: now + overlap,
        now,
    };
    let (_, events) = decide(&log.state, vec![command]).await?;
    let mut work = Work::new(by, with.node, with.clock, with.entropy)?;
    work.add(&stream, log.head, &events)?;
    work.append.wrapped_keys.push(WrappedKeyRow {
        key_id: key_id.to_string(),
        purpose: PURPOSE.to_owned(),
        wrapped: with.master.wrap(key_id.as_str(), &seed, with.entropy)?,
    });
    with.committer.append(work.append).await?;
    Ok(key_id)
}

impl From<LoadError> for SealError {
    fn from(error: LoadError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SealedLogError> for SealError {
    fn from(error: SealedLogError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<UnwrapError> for SealError {
    fn from(error: UnwrapError) -> Self {
        Self::Failed(format!("a checkpoint key can't be unwrapped: {error}"))
    }
}

impl From<SealingFailed> for SealError {
    fn from(error: SealingFailed) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<AppendError> for SealError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Conflict,
            error => Self::Store(StoreError::Closed(error.to_string())),
        }
    }
}
