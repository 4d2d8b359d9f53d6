//! Proofs from the tiles: that an event is in the log, and that the log
//! continues an earlier one (RFC 9162 §2.1.3, §2.1.4).

use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::digest::Sha256Digest;
use serde_json::{Value, json};
use tlog_tiles::tlog;
use tlog_tiles::{Error, Tile, TileHashReader, TileReader};

use super::log::{entries, hashes};
use super::{Entry, digest, hash};
use crate::stores::{LogCheckpoint, Store, StoreError};

/// How often tiles are fetched for one proof, at most: all that it needs are asked for at once.
const ROUNDS: usize = 4;
/// The height of the tiles: 2⁸ hashes wide.
const HEIGHT: u8 = 8;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing is sealed yet")]
    NothingSealed,
    /// The log is not that long.
    #[error("the log has {has} events, not {wanted}")]
    TooLong { wanted: u64, has: u64 },
    /// Tiles and checkpoint do not belong together.
    #[error("the tiles of the log were changed: {0}")]
    Tampered(String),
}

/// An event is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    pub entry: Entry,
    /// Its place among all leaves, from 0.
    pub index: u64,
    /// The size of the tree that it is proved to be in.
    pub size: u64,
    pub root: Sha256Digest,
    pub proof: Vec<Sha256Digest>,
}

/// One state of the log continues another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    pub old_size: u64,
    pub old_root: Sha256Digest,
    pub new_size: u64,
    pub new_root: Sha256Digest,
    pub proof: Vec<Sha256Digest>,
}

impl Inclusion {
    /// For whoever checks it: hashes in base64.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "position": self.entry.position,
            "recorded_at_ms": self.entry.recorded_at_ms,
            "digest": base64(&self.entry.digest),
            "index": self.index,
            "size": self.size,
            "root": base64(&self.root),
            "proof": self.proof.iter().map(base64).collect::<Vec<_>>(),
        })
    }
}

impl Consistency {
    /// For whoever checks it: hashes in base64.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "old_size": self.old_size,
            "old_root": base64(&self.old_root),
            "new_size": self.new_size,
            "new_root": base64(&self.new_root),
            "proof": self.proof.iter().map(base64).collect::<Vec<_>>(),
        })
    }
}

/// A hash as C2SP writes it.
#[must_use]
pub fn base64(digest: &Sha256Digest) -> String {
    STANDARD.encode(digest.as_bytes())
}

/// Proofs by the tiles of one checkpoint, which vouches for them.
pub struct Proofs<'a> {
    store: &'a dyn Store,
    pub checkpoint: LogCheckpoint,
}

impl<'a> Proofs<'a> {
    /// By the last checkpoint.
    pub async fn latest(store: &'a dyn Store) -> Result<Self, ProofError> {
        let checkpoint = store.log_checkpoint().await?.ok_or(ProofError::NothingSealed)?;
        Ok(Self { store, checkpoint })
    }

    /// The entry of the event with this position, and its index; none if it is not sealed.
    pub async fn entry(&self, position: u64) -> Result<Option<(u64, Entry)>, ProofError> {
        if position > self.checkpoint.position {
            return Ok(None);
        }
        let Some(tile) = self.store.log_tile_at(position).await? else { return Ok(None) };
        let found = (tile.index * 256..).zip(entries(&tile));
        let mut found = found.filter(|(_, entry)| entry.position == position);
        Ok(found.next().filter(|(index, _)| *index < self.checkpoint.size))
    }

    /// The event with this position is in the tree of the checkpoint. None: it is not sealed.
    pub async fn of_position(&self, position: u64) -> Result<Option<Inclusion>, ProofError> {
        let Some((index, entry)) = self.entry(position).await? else { return Ok(None) };
        self.of_entry(index, entry, self.checkpoint.size).await.map(Some)
    }

    /// The event with this index is in the tree of this size.
    pub async fn of_index(&self, index: u64, size: u64) -> Result<Inclusion, ProofError> {
        if index >= size {
            return Err(ProofError::TooLong { wanted: index.saturating_add(1), has: size });
        }
        self.covers(size)?;
        let tiles = self.store.log_tiles(vec![(0, index / 256)]).await?;
        let within = usize::try_from(index % 256).unwrap_or(0);
        let entry = tiles.first().and_then(|tile| entries(tile).get(within).copied());
        let missing = || ProofError::Tampered(format!("entry {index} is missing"));
        self.of_entry(index, entry.ok_or_else(missing)?, size).await
    }

    async fn of_entry(&self, index: u64, entry: Entry, size: u64) -> Result<Inclusion, ProofError> {
        let (root, proof) = self
            .compute(|reader| {
                let root = tlog::tree_hash(size, reader)?;
                let proof = tlog::prove_record(size, index, reader)?;
                tlog::check_record(&proof, size, root, index, entry.leaf())?;
                Ok((root, proof))
            })
            .await?;
        let proof = proof.into_iter().map(digest).collect();
        Ok(Inclusion { entry, index, size, root: digest(root), proof })
    }

    /// The root when the log had this size.
    pub async fn root_at(&self, size: u64) -> Result<Sha256Digest, ProofError> {
        self.covers(size)?;
        Ok(digest(self.compute(|reader| tlog::tree_hash(size, reader)).await?))
    }

    /// The tree of the new size continues the one of the old size.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Consistency, ProofError> {
        if old > new || old == 0 {
            return Err(ProofError::TooLong { wanted: old, has: new });
        }
        self.covers(new)?;
        let (old_root, new_root, proof) = self
            .compute(|reader| {
                let roots = (tlog::tree_hash(old, reader)?, tlog::tree_hash(new, reader)?);
                Ok((roots.0, roots.1, tlog::prove_tree(new, old, reader)?))
            })
            .await?;
        Ok(Consistency {
            old_size: old,
            old_root: digest(old_root),
            new_size: new,
            new_root: digest(new_root),
            proof: proof.into_iter().map(digest).collect(),
        })
    }

    fn covers(&self, size: u64) -> Result<(), ProofError> {
        let has = self.checkpoint.size;
        if size > has { Err(ProofError::TooLong { wanted: size, has }) } else { Ok(()) }
    }

    /// Computes by hashes of the tree; the tiles that they come from are checked against the root
    /// of the checkpoint.
    async fn compute<T>(
        &self,
        compute: impl Fn(&TileHashReader<'_>) -> Result<T, Error>,
    ) -> Result<T, ProofError> {
        let mut have = HashMap::new();
        for _ in 0..ROUNDS {
            let (result, missing) = {
                let fetched = Fetched { have: &have, missing: RefCell::default() };
                let (size, root) = (self.checkpoint.size, hash(self.checkpoint.root));
                let result = compute(&TileHashReader::new(size, root, &fetched));
                (result, fetched.missing.into_inner())
            };
            if missing.is_empty() {
                return result.map_err(|error| ProofError::Tampered(error.to_string()));
            }
            self.fetch(missing, &mut have).await?;
        }
        Err(ProofError::Tampered("more tiles are needed than a tree can have".to_owned()))
    }

    async fn fetch(
        &self,
        missing: Vec<Tile>,
        have: &mut HashMap<Tile, Vec<u8>>,
    ) -> Result<(), ProofError> {
        let mut wanted: Vec<_> =
            missing.iter().map(|tile| (tile.level(), tile.level_index())).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.store.log_tiles(wanted).await?;
        let found: HashMap<_, _> =
            found.iter().map(|tile| ((tile.level, tile.index), hashes(tile))).collect();
        for tile in missing {
            let width = usize::try_from(tile.width()).unwrap_or(usize::MAX);
            let hashes = found.get(&(tile.level(), tile.level_index()));
            let hashes = hashes.and_then(|hashes| hashes.get(..width)).ok_or_else(|| {
                let (level, index) = (tile.level(), tile.level_index());
                ProofError::Tampered(format!("tile {level}/{index} is missing, or a part of it"))
            })?;
            have.insert(tile, hashes.iter().flat_map(|hash| hash.0).collect());
        }
        Ok(())
    }
}

/// The tiles that were fetched; notes which others are needed.
struct Fetched<'a> {
    have: &'a HashMap<Tile, Vec<u8>>,
    missing: RefCell<Vec<Tile>>,
}

impl TileReader for Fetched<'_> {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let found: Vec<_> = tiles.iter().filter_map(|tile| self.have.get(tile).cloned()).collect();
        if found.len() == tiles.len() {
            return Ok(found);
        }
        let missing = tiles.iter().filter(|tile| !self.have.contains_key(tile));
        self.missing.borrow_mut().extend(missing.copied());
        Err(Error::InvalidTile)
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Does a proof show that this entry is in the tree with this root?
#[must_use]
pub fn is_included(inclusion: &Inclusion, root: Sha256Digest) -> bool {
    let proof = inclusion.proof.iter().copied().map(hash).collect();
    let leaf = inclusion.entry.leaf();
    tlog::check_record(&proof, inclusion.size, hash(root), inclusion.index, leaf).is_ok()
}

/// The hashes of a tile in the form in which tiles are served: its first `width`.
pub async fn tile(
    store: &dyn Store,
    level: u8,
    index: u64,
    width: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    let tiles = store.log_tiles(vec![(level, index)]).await?;
    let hashes = tiles.first().map(hashes).unwrap_or_default();
    Ok(hashes.get(..width).map(|hashes| hashes.iter().flat_map(|hash| hash.0).collect()))
}

/// The first `width` entries of a tile in the form in which they are served: each after its
/// length in two bytes (C2SP tlog-tiles).
pub async fn entry_bundle(
    store: &dyn Store,
    index: u64,
    width: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    const LENGTH: [u8; 2] = [0, 48];
    let tiles = store.log_tiles(vec![(0, index)]).await?;
    let entries = tiles.first().map(entries).unwrap_or_default();
    let bundle = entries.get(..width).map(|entries| {
        entries.iter().flat_map(|entry| LENGTH.into_iter().chain(entry.to_bytes())).collect()
    });
    Ok(bundle)
}
