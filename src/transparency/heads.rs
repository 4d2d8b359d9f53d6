//! Where the history of every aggregate ends, as one root: whoever is shown a
//! history up to an event can be shown that there was none after it.

use std::collections::BTreeMap;

use chancery_domain::digest::Sha256Digest;
use chancery_domain::sealed_log::{HeadsListed, SealedLog, SealedLogCommand};
use tlog_tiles::tlog::{self, Error, Hash, HashReader};

use super::log::SealError;
use super::{Tree, digest, keys};
use crate::aggregates::{Kept as _, Origin, Work, decide};
use crate::keys::Rotation;
use crate::stores::{Head, ListedHead, Store, StoreError};

/// How many aggregates are read at once.
const PAGE: usize = 2000;

/// A head as it is a leaf of the list: type and id each after its length in four
/// bytes, the sequence in eight, the digest; numbers big endian.
#[must_use]
pub fn leaf_bytes(listed: &ListedHead) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for text in [&listed.aggregate_type, &listed.aggregate_id] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&listed.head.sequence.to_be_bytes());
    bytes.extend_from_slice(listed.head.digest.as_bytes());
    bytes
}

/// A head is in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadProof {
    pub head: ListedHead,
    pub index: u64,
    pub proof: Vec<Sha256Digest>,
}

/// Tells all heads as of a position, in their order.
async fn each(
    store: &dyn Store,
    through: u64,
    mut tell: impl FnMut(ListedHead),
) -> Result<u64, StoreError> {
    let mut after = (String::new(), String::new());
    let mut count = 0;
    loop {
        let heads = store.heads(through, after.clone(), PAGE).await?;
        let full = heads.len() >= PAGE;
        if let Some(last) = heads.last() {
            after = (last.aggregate_type.clone(), last.aggregate_id.clone());
        }
        for head in heads {
            tell(head);
            count += 1;
        }
        if !full {
            return Ok(count);
        }
    }
}

/// Lists the heads as of a position, and notes the list in the log. Reads once through the
/// index of the log: seconds for a million aggregates.
pub async fn list(
    with: &Rotation<'_>,
    origin: &str,
    through: u64,
    by: Origin,
) -> Result<HeadsListed, SealError> {
    let mut tree = Tree::default();
    let tell = |head: ListedHead| tree.push(tlog::record_hash(&leaf_bytes(&head)), |_, _, _| {});
    let aggregates = each(with.store, through, tell).await?;
    let root = digest(tree.root());
    let listed = HeadsListed { through, aggregates, root, at: with.clock.now() };
    let log = keys::sealed_log(with.store, origin).await?;
    let command = SealedLogCommand::ListHeads(listed.clone());
    let (_, events) = decide(&log.state, vec![command]).await?;
    let mut work = Work::new(by, with.node, with.clock, with.entropy)?;
    work.add(&SealedLog::stream(origin), log.head, &events)?;
    with.committer.append(work.append).await?;
    Ok(listed)
}

/// A list of heads, all of it: to prove single ones by.
pub struct HeadsTree {
    heads: BTreeMap<(String, String), (u64, Head)>,
    /// At each height the roots of all perfect trees.
    heights: Vec<Vec<Hash>>,
}

impl HeadsTree {
    /// The list as of a position. Holds about 200 bytes for each aggregate.
    pub async fn load(store: &dyn Store, through: u64) -> Result<Self, StoreError> {
        let mut heads = BTreeMap::new();
        let mut leaves = Vec::new();
        each(store, through, |head| {
            leaves.push(tlog::record_hash(&leaf_bytes(&head)));
            let index = u64::try_from(heads.len()).unwrap_or(u64::MAX);
            heads.insert((head.aggregate_type, head.aggregate_id), (index, head.head));
        })
        .await?;
        let mut heights = vec![leaves];
        while let Some(below) = heights.last().filter(|below| below.len() > 1) {
            let pairs = below.chunks_exact(2).filter_map(|pair| match pair {
                [left, right] => Some(tlog::node_hash(*left, *right)),
                _ => None,
            });
            heights.push(pairs.collect());
        }
        Ok(Self { heads, heights })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::try_from(self.heads.len()).unwrap_or(u64::MAX)
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The root of the list.
    #[must_use]
    pub fn root(&self) -> Option<Sha256Digest> {
        tlog::tree_hash(self.len(), self).ok().map(digest)
    }

    /// The head of an aggregate, proved to be in the list; none if it is not there.
    #[must_use]
    pub fn prove(&self, aggregate_type: &str, aggregate_id: &str) -> Option<HeadProof> {
        let key = (aggregate_type.to_owned(), aggregate_id.to_owned());
        let (index, head) = *self.heads.get(&key)?;
        let proof = tlog::prove_record(self.len(), index, self).ok()?;
        let (aggregate_type, aggregate_id) = key;
        Some(HeadProof {
            head: ListedHead { aggregate_type, aggregate_id, head },
            index,
            proof: proof.into_iter().map(digest).collect(),
        })
    }
}

impl HashReader for HeadsTree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let hash = |index: &u64| {
            let (height, number) = tlog::split_stored_hash_index(*index);
            let hashes = self.heights.get(usize::from(height))?;
            hashes.get(usize::try_from(number).ok()?).copied()
        };
        indexes.iter().map(|index| hash(index).ok_or(Error::IndexesNotInTree)).collect()
    }
}
