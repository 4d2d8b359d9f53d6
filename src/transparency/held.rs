//! The last checkpoint, kept outside of the database: a file beside each node.
//!
//! Whoever restores an old database, or cuts its end off, changes what the
//! tables say; the file still says what was sealed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::log::SealError;
use super::note::SignedCheckpoint;
use super::proofs::{ProofError, Proofs};
use crate::config::Config;
use crate::config::store::Location;
use crate::stores::Store;

/// The file's name in the folder of an embedded store.
pub const FILE_NAME: &str = "checkpoint";

/// Where this node keeps the last checkpoint; nowhere, where no folder is known.
#[must_use]
pub fn path(config: &Config) -> Option<PathBuf> {
    config.audit.checkpoint_file.clone().or_else(|| match config.store.location() {
        Location::Sqlite(folder) => Some(folder.join(FILE_NAME)),
        Location::Postgres(_) => None,
    })
}

/// The checkpoint in this file; none if there is no file.
pub async fn read(path: &Path) -> Result<Option<SignedCheckpoint>, SealError> {
    let named = |error: &dyn std::fmt::Display| {
        SealError::Failed(format!("the checkpoint in {}: {error}", path.display()))
    };
    match tokio::fs::read_to_string(path).await {
        Ok(note) => SignedCheckpoint::read(&note).map(Some).map_err(|error| named(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(&error)),
    }
}

/// Does the log in the store continue the one that this checkpoint was taken of? (One of another
/// origin says nothing.)
pub async fn check(store: &dyn Store, held: &SignedCheckpoint) -> Result<(), SealError> {
    let proofs = match Proofs::latest(store).await {
        Ok(proofs) => proofs,
        Err(ProofError::NothingSealed) => return Err(cut_off(held, 0)),
        Err(error) => return Err(error.into()),
    };
    if proofs.checkpoint.origin != held.origin || held.size == 0 {
        return Ok(());
    }
    match proofs.root_at(held.size).await {
        Ok(root) if root == held.root => Ok(()),
        Ok(_) => Err(SealError::Tampered(format!(
            "the first {} events are not those that the checkpoint held outside of the database \
             was taken of",
            held.size
        ))),
        Err(ProofError::TooLong { has, .. }) => Err(cut_off(held, has)),
        Err(error) => Err(error.into()),
    }
}

fn cut_off(held: &SignedCheckpoint, has: u64) -> SealError {
    SealError::Tampered(format!(
        "{} events were sealed, and the database knows of {has}: it is an older one, or its end \
         was cut off",
        held.size
    ))
}

/// Keeps a checkpoint in place of the one before; a crash leaves one of the two.
pub async fn keep(path: &Path, note: String) -> Result<(), SealError> {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let write = move || -> std::io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(note.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&beside, &path)
    };
    let written = tokio::task::spawn_blocking(write).await;
    let failed = |error: &dyn std::fmt::Display| {
        SealError::Failed(format!("the checkpoint could not be kept in {shown}: {error}"))
    };
    written.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

impl From<ProofError> for SealError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Store(error) => Self::Store(error),
            error => Self::Tampered(error.to_string()),
        }
    }
}
