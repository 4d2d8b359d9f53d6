//! Whether an event is sealed: computed anew for each page, from the event's own
//! bytes up to the root of the latest checkpoint.
//!
//! The server vouches for itself here: the checkpoint's key is believed because
//! the log names it. Who holds a checkpoint from outside compares with
//! `chancery audit verify`, or with a bundle.

use chancery_domain::digest::Sha256Digest;

use super::problem::Problem;
use crate::services::Services;
use crate::stores::{LogCheckpoint, Store};
use crate::transparency::keys::published;
use crate::transparency::proofs::{ProofError, Proofs, is_included};
use crate::transparency::{Entry, SignedCheckpoint, Verifiers};

/// What is known of an event's seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// It is in the tree of the latest checkpoint, of this size.
    Sealed(u64),
    /// It came after the latest checkpoint.
    NotYet,
    /// It is not what was sealed, or the seal itself is broken; says how.
    Broken(String),
    /// It was not looked at: the page of its own state does.
    NotLooked,
}

impl Seal {
    /// As a style.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Sealed(_) => "badge",
            Self::NotYet | Self::NotLooked => "badge plain",
            Self::Broken(_) => "badge bad",
        }
    }

    /// In words; nothing where it was not looked at.
    pub fn told(&self) -> String {
        match self {
            Self::Sealed(size) => format!("sealed in checkpoint {size}"),
            Self::NotYet => "not sealed yet".to_owned(),
            Self::Broken(_) => "does not verify".to_owned(),
            Self::NotLooked => String::new(),
        }
    }

    /// What is wrong.
    pub fn wrong(&self) -> Option<&str> {
        match self {
            Self::Broken(why) => Some(why),
            Self::Sealed(_) | Self::NotYet | Self::NotLooked => None,
        }
    }
}

/// An event as the log holds it: what its bytes say, and what stands beside them.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub position: u64,
    pub recorded_at_ms: i64,
    /// As it stands in the log.
    pub digest: Sha256Digest,
    /// As its bytes have it.
    pub computed: Sha256Digest,
    /// Does it name the event before it?
    pub chained: bool,
}

/// The latest checkpoint, and proofs by its tiles.
pub struct Seals<'a> {
    proofs: Option<Proofs<'a>>,
    /// Why the checkpoint is not to be believed.
    broken: Option<String>,
}

impl<'a> Seals<'a> {
    /// As they are now.
    pub async fn of(services: &'a Services) -> Result<Self, Problem> {
        let proofs = match Proofs::latest(&*services.store).await {
            Ok(proofs) => proofs,
            Err(ProofError::Store(error)) => return Err(error.into()),
            Err(_) => return Ok(Self { proofs: None, broken: None }),
        };
        let broken = judge(&*services.store, &proofs.checkpoint).await?;
        Ok(Self { proofs: Some(proofs), broken })
    }

    /// Is this event sealed, and as it stands there now?
    pub async fn of_event(&self, stored: &Stored) -> Result<Seal, Problem> {
        let broken = |why: &str| Ok(Seal::Broken(why.to_owned()));
        if stored.computed != stored.digest {
            return broken("the event is not what its digest says");
        }
        if !stored.chained {
            return broken("the event does not follow upon the one before it");
        }
        let Some(proofs) = &self.proofs else { return Ok(Seal::NotYet) };
        if let Some(why) = &self.broken {
            return broken(why);
        }
        if stored.position > proofs.checkpoint.position {
            return Ok(Seal::NotYet);
        }
        let inclusion = match proofs.of_position(stored.position).await {
            Ok(Some(inclusion)) => inclusion,
            Ok(None) => return broken("the event is missing in what was sealed"),
            Err(ProofError::Store(error)) => return Err(error.into()),
            Err(error) => return broken(&error.to_string()),
        };
        let (position, recorded_at_ms, digest) =
            (stored.position, stored.recorded_at_ms, stored.digest);
        if inclusion.entry != (Entry { position, recorded_at_ms, digest }) {
            return broken("the event is not the one that was sealed at its position");
        }
        if !is_included(&inclusion, proofs.checkpoint.root) {
            return broken("the proof does not lead to the root of the checkpoint");
        }
        Ok(Seal::Sealed(inclusion.size))
    }
}

/// Why a checkpoint is not to be believed; nothing if it is.
pub async fn judge(
    store: &dyn Store,
    checkpoint: &LogCheckpoint,
) -> Result<Option<String>, Problem> {
    let keys = published(store, &checkpoint.origin).await?;
    let judged = || -> Result<bool, crate::transparency::NoteError> {
        let verifiers = Verifiers::new(keys.iter().map(|key| key.verifier.as_str()))?;
        let signed = SignedCheckpoint::read(&checkpoint.note)?;
        signed.verify(&verifiers)?;
        Ok(signed.size == checkpoint.size
            && signed.root == checkpoint.root
            && signed.origin == checkpoint.origin)
    };
    Ok(match judged() {
        Ok(true) => None,
        Ok(false) => Some("the signed checkpoint says something else".to_owned()),
        Err(error) => Some(error.to_string()),
    })
}
