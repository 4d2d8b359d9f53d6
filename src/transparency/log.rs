//! The Merkle log as the node has it that seals.

use tlog_tiles::tlog::{HASH_SIZE, Hash};

use super::note::{CheckpointSigner, NoteError, SignedCheckpoint};
use super::tree::Tree;
use super::{Entry, TILE_WIDTH, digest, hash};
use crate::stores::{LogCheckpoint, LogTile, Seal, Store, StoreError};

/// Milliseconds in which one checkpoint is kept.
const KEEP_ONE_IN: i64 = 3_600_000;

/// Why nothing is sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What is kept is not what was sealed. Nothing is sealed on top of it.
    #[error("{0}")]
    Tampered(String),
    /// Somebody else wrote at the same time.
    #[error("another node was first")]
    Conflict,
    #[error("{0}")]
    Failed(String),
}

/// A Merkle log that grows.
pub struct MerkleLog {
    origin: String,
    last: Option<LogCheckpoint>,
    /// The log of another origin stands in the store: it is replaced.
    anew: bool,
    tree: Tree,
    position: u64,
    /// The entries of the tile that is not full yet.
    open: Vec<Entry>,
    /// Tiles that became full, not written yet.
    full: Vec<LogTile>,
}

impl MerkleLog {
    /// The log of this origin as it stands in the store; an empty one if it is not there.
    /// Makes sure that the tiles give the root of the last checkpoint.
    pub async fn load(store: &dyn Store, origin: &str) -> Result<Self, SealError> {
        let last = store.log_checkpoint().await?;
        let anew = last.as_ref().is_some_and(|last| last.origin != origin);
        let mut log = Self {
            origin: origin.to_owned(),
            last,
            anew,
            tree: Tree::default(),
            position: 0,
            open: Vec::new(),
            full: Vec::new(),
        };
        if let Some(last) = log.last.clone().filter(|_| !anew) {
            let (open, levels) = edge(store, last.size).await?;
            log.open = open;
            log.tree = Tree::from_edge(last.size, levels);
            log.position = last.position;
            if log.tree.root() != hash(last.root) {
                return Err(SealError::Tampered(format!(
                    "the tiles do not give the root of checkpoint {} over {} events",
                    last.serial, last.size
                )));
            }
        }
        Ok(log)
    }

    /// The last checkpoint, of this log or of the one before it.
    #[must_use]
    pub fn last(&self) -> Option<&LogCheckpoint> {
        self.last.as_ref()
    }

    /// The position of the last event in it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Is there anything to seal?
    #[must_use]
    pub fn has_grown(&self) -> bool {
        let sealed = self.last.as_ref().filter(|_| !self.anew).map_or(0, |last| last.size);
        self.tree.size() > sealed
    }

    /// Appends the next event.
    pub fn push(&mut self, entry: Entry) {
        self.position = entry.position;
        self.open.push(entry);
        let (open, tiles) = (&mut self.open, &mut self.full);
        self.tree.push(entry.leaf(), |level, index, hashes| {
            tiles.push(match level {
                0 => entry_tile(index, &std::mem::take(open)),
                level => hash_tile(level, index, hashes),
            });
        });
    }

    /// Signs what it holds, and writes it. False: another node was first, and this log is to be
    /// loaded again.
    pub async fn seal(
        &mut self,
        store: &dyn Store,
        signers: &[&CheckpointSigner],
        now_ms: i64,
    ) -> Result<bool, SealError> {
        let (size, root) = (self.tree.size(), digest(self.tree.root()));
        let signed = SignedCheckpoint::sign(&self.origin, size, root, signers)?;
        let checkpoint = LogCheckpoint {
            serial: self.last.as_ref().map_or(0, |last| last.serial) + 1,
            origin: signed.origin,
            size,
            position: self.position,
            root,
            signed_at_ms: now_ms,
            note: signed.note,
        };
        let seal = Seal {
            drop_checkpoint: self
                .last
                .as_ref()
                .filter(|last| self.supersedes(last, now_ms))
                .map(|last| last.serial),
            checkpoint: checkpoint.clone(),
            tiles: self.tiles(),
            anew: self.anew,
        };
        if !store.seal(seal).await? {
            return Ok(false);
        }
        self.full.clear();
        self.anew = false;
        self.last = Some(checkpoint);
        Ok(true)
    }

    /// Of all checkpoints of an hour the last one is kept.
    fn supersedes(&self, last: &LogCheckpoint, now_ms: i64) -> bool {
        last.origin == self.origin
            && last.signed_at_ms.div_euclid(KEEP_ONE_IN) == now_ms.div_euclid(KEEP_ONE_IN)
    }

    /// The tiles that are not written yet, or not as full as they are now.
    fn tiles(&self) -> Vec<LogTile> {
        let mut tiles = self.full.clone();
        if !self.open.is_empty() {
            tiles.push(entry_tile(self.tree.size() >> 8, &self.open));
        }
        let above = (1_u8..).zip(self.tree.edge().iter().skip(1));
        tiles.extend(
            above
                .filter(|(_, hashes)| !hashes.is_empty())
                .map(|(level, hashes)| hash_tile(level, index_at(self.tree.size(), level), hashes)),
        );
        tiles
    }
}

/// Which tile of a level is not full yet.
fn index_at(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)
}

/// How many entries or hashes of the last tile of a level there are.
fn width_at(size: u64, level: u8) -> usize {
    let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0) & 0xff;
    usize::try_from(count).unwrap_or(0)
}

fn entry_tile(index: u64, entries: &[Entry]) -> LogTile {
    LogTile {
        level: 0,
        index,
        first_position: entries.first().map_or(0, |entry| entry.position),
        data: entries.iter().flat_map(Entry::to_bytes).collect(),
    }
}

fn hash_tile(level: u8, index: u64, hashes: &[Hash]) -> LogTile {
    let data = hashes.iter().flat_map(|hash| hash.0).collect();
    LogTile { level, index, first_position: 0, data }
}

/// The entries of a tile of level 0.
pub(super) fn entries(tile: &LogTile) -> Vec<Entry> {
    tile.data.chunks_exact(Entry::LENGTH).filter_map(Entry::from_bytes).collect()
}

/// The hashes of a tile, computed from the entries at level 0.
pub(super) fn hashes(tile: &LogTile) -> Vec<Hash> {
    match tile.level {
        0 => entries(tile).iter().map(Entry::leaf).collect(),
        _ => tile
            .data
            .chunks_exact(HASH_SIZE)
            .filter_map(|it| it.try_into().ok().map(Hash))
            .collect(),
    }
}

/// The last tile of each level as far as it was filled when the log had this size.
async fn edge(store: &dyn Store, size: u64) -> Result<(Vec<Entry>, Vec<Vec<Hash>>), SealError> {
    let levels: Vec<u8> = (0..8).take_while(|level| size >> (8 * level) > 0).collect();
    let wanted = levels.iter().map(|level| (*level, index_at(size, *level))).collect();
    let tiles = store.log_tiles(wanted).await?;
    let mut open = Vec::new();
    let mut edge = Vec::with_capacity(levels.len());
    for level in levels {
        let width = width_at(size, level);
        let tile = tiles.iter().find(|tile| tile.level == level);
        let mut hashes = tile.map(hashes).unwrap_or_default();
        if hashes.len() < width {
            return Err(SealError::Tampered(format!(
                "tile {level}/{} is missing, or a part of it",
                index_at(size, level)
            )));
        }
        hashes.truncate(width);
        edge.push(hashes);
        if let Some(tile) = tile.filter(|_| level == 0) {
            open = entries(tile);
            open.truncate(width);
        }
    }
    debug_assert!(open.len() < TILE_WIDTH);
    Ok((open, edge))
}
