//! The Merkle log over all events: what makes the log one that nobody can
//! change behind an auditor's back.
//!
//! Beside the log, and never in the way of a token, one node's [`sealer`]
//! appends an [`Entry`] for each event, in order of position, to a Merkle tree
//! (RFC 9162 §2.1) kept in tiles (C2SP tlog-tiles), and signs its root about
//! every second (C2SP tlog-checkpoint). The events follow from nothing, the
//! tree follows from the events, and a signed checkpoint binds both: whoever
//! holds an old one ([`held`]) can tell whether anything before it was changed.
//!
//! [`proofs`] show that an event is in the tree, or that one tree continues
//! another; [`verify`] computes all of it again; [`heads`] list where every
//! aggregate's history ends, so that it shows when one is held back.

pub mod heads;
pub mod held;
pub mod keys;
mod log;
mod note;
pub mod proofs;
pub mod sealer;
mod tree;
pub mod verify;

use chancery_domain::digest::Sha256Digest;
use tlog_tiles::tlog::{self, Hash};

pub use self::log::{MerkleLog, SealError};
pub use self::note::{CheckpointSigner, NoteError, SignedCheckpoint, Verifiers};
pub use self::tree::Tree;
use crate::config::Config;
use crate::stores::{Scanned, StoredEvent};

/// How many entries or hashes a full tile has.
pub const TILE_WIDTH: usize = 256;

/// An event as the tree has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub position: u64,
    /// Milliseconds since 1970, by the store's clock.
    pub recorded_at_ms: i64,
    pub digest: Sha256Digest,
}

impl Entry {
    /// How many bytes one has.
    pub const LENGTH: usize = 48;

    /// Position, time and digest, one after the other; numbers big endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let parts = [
            &self.position.to_be_bytes()[..],
            &self.recorded_at_ms.to_be_bytes()[..],
            self.digest.as_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (position, rest) = bytes.split_first_chunk()?;
        let (recorded_at_ms, digest) = rest.split_first_chunk()?;
        Some(Self {
            position: u64::from_be_bytes(*position),
            recorded_at_ms: i64::from_be_bytes(*recorded_at_ms),
            digest: Sha256Digest::try_from(digest).ok()?,
        })
    }

    /// Its leaf: SHA-256(0x00 ‖ entry) (RFC 9162 §2.1.1).
    #[must_use]
    pub fn leaf(&self) -> Hash {
        tlog::record_hash(&self.to_bytes())
    }
}

impl From<&StoredEvent> for Entry {
    fn from(stored: &StoredEvent) -> Self {
        let (position, recorded_at_ms) = (stored.position, stored.recorded_at_ms);
        Self { position, recorded_at_ms, digest: stored.event.digest }
    }
}

impl From<&Scanned> for Entry {
    /// By the digest that the event should have.
    fn from(scanned: &Scanned) -> Self {
        Self {
            position: u64::try_from(scanned.position).unwrap_or_default(),
            recorded_at_ms: scanned.recorded_at_ms,
            digest: scanned.computed,
        }
    }
}

/// Names the log of this server (C2SP tlog-checkpoint: a URL without its
/// scheme).
#[must_use]
pub fn origin(config: &Config) -> String {
    config.audit.origin.as_ref().map_or_else(
        || {
            let issuer = config.server.issuer.as_str();
            let place = issuer.split_once("://").map_or(issuer, |(_, place)| place);
            format!("{}/audit/log", place.trim_end_matches('/'))
        },
        |origin| origin.as_str().to_owned(),
    )
}

fn digest(hash: Hash) -> Sha256Digest {
    Sha256Digest::from_bytes(hash.0)
}

fn hash(digest: Sha256Digest) -> Hash {
    Hash(*digest.as_bytes())
}
