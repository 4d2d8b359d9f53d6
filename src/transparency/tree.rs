//! The right edge of a Merkle tree: all that is needed to append to it.

use tlog_tiles::tlog::{self, Hash};

use super::TILE_WIDTH;

/// A tree that grows (RFC 9162 §2.1). Of each level of tiles it holds the one
/// that is not full yet.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree of this size, with the hashes of its last tile of each level, as far as they are
    /// not full, the lowest first.
    pub(super) fn from_edge(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the last tile of each level that are there so far, the lowest first.
    pub(super) fn edge(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Appends a leaf. Tells of each tile that became full: its level, its index and its hashes.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(u8, u64, &[Hash])) {
        let mut hash = leaf;
        let mut index = self.size;
        self.size += 1;
        for level in 0_u8.. {
            index >>= 8;
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { return };
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH {
                return;
            }
            full(level, index, hashes);
            hash = perfect(hashes);
            hashes.clear();
        }
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        // From the right: the smallest perfect tree first.
        let mut root = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let (before, last) = rest.split_at(rest.len() - lowest_bit(rest.len()));
                let last = perfect(last);
                root = Some(root.map_or(last, |right| tlog::node_hash(last, right)));
                rest = before;
            }
        }
        root.unwrap_or(tlog::EMPTY_HASH)
    }
}

const fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

/// The root over 2ⁿ hashes.
fn perfect(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => tlog::EMPTY_HASH,
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            tlog::node_hash(perfect(left), perfect(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Hash {
        tlog::record_hash(&number.to_be_bytes())
    }

    /// RFC 9162 §2.1.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => tlog::EMPTY_HASH,
            [one] => *one,
            more => {
                let k = more.len().next_power_of_two() / 2;
                tlog::node_hash(mth(&more[..k]), mth(&more[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc_at_every_size() {
        let leaves: Vec<_> = (0..700).map(leaf).collect();
        let mut tree = Tree::default();
        assert_eq!(tree.root(), mth(&[]));
        for (count, leaf) in leaves.iter().enumerate() {
            tree.push(*leaf, |_, _, _| {});
            assert_eq!(tree.root(), mth(&leaves[..=count]), "{count}");
        }
    }

    #[test]
    fn full_tiles_are_told_with_their_places() {
        let mut tree = Tree::default();
        let mut told = Vec::new();
        for number in 0..(256 * 256 + 300) {
            tree.push(leaf(number), |level, index, hashes| {
                assert_eq!(hashes.len(), 256);
                if level == 0 {
                    assert_eq!(hashes[0], leaf(index * 256));
                }
                told.push((level, index));
            });
        }
        assert_eq!(told.len(), 257 + 1);
        assert_eq!(told[255..], [(0, 255), (1, 0), (0, 256)]);
        assert_eq!(tree.size(), 256 * 256 + 300);
    }

    #[test]
    fn a_tree_goes_on_from_its_edge() {
        let mut tree = Tree::default();
        for number in 0..1000 {
            tree.push(leaf(number), |_, _, _| {});
        }
        let mut again = Tree::from_edge(tree.size(), tree.edge().to_vec());
        tree.push(leaf(1000), |_, _, _| {});
        again.push(leaf(1000), |_, _, _| {});
        assert_eq!(again.root(), tree.root());
    }
}
