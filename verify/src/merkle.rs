//! Merkle trees as RFC 9162 §2.1 has them: whether a leaf stands in a tree, and
//! whether one tree continues another.
//!
//! Nothing here trusts its input: a proof of any length, for any place in a tree
//! of any size, is answered and never panics.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf (RFC 9162 §2.1.1).
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of an inner node (RFC 9162 §2.1.1).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the empty tree.
#[must_use]
pub fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// A tree, named by its size and its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Tree {
    /// Does this leaf stand at this index (RFC 9162 §2.1.3.2)?
    #[must_use]
    pub fn includes(&self, index: u64, leaf: &Hash, proof: &[Hash]) -> bool {
        let Some(last) = self.size.checked_sub(1).filter(|last| index <= *last) else {
            return false;
        };
        let (mut fn_, mut sn) = (index, last);
        let mut root = *leaf;
        for hash in proof {
            if sn == 0 {
                return false;
            }
            if fn_ & 1 == 1 || fn_ == sn {
                root = node(hash, &root);
                skip_missing(&mut fn_, &mut sn);
            } else {
                root = node(&root, hash);
            }
            fn_ >>= 1;
            sn >>= 1;
        }
        sn == 0 && root == self.root
    }

    /// Is it what this later tree begins with (RFC 9162 §2.1.4.2)?
    ///
    /// The RFC leaves two cases out: trees of the same size are the same tree, and
    /// every tree continues the empty one; both have empty proofs.
    #[must_use]
    pub fn is_continued_by(&self, later: &Self, proof: &[Hash]) -> bool {
        if self.size == later.size {
            return proof.is_empty() && self.root == later.root;
        }
        if self.size > later.size {
            return false;
        }
        if self.size == 0 {
            return proof.is_empty() && self.root == empty();
        }
        let (mut fn_, mut sn) = (self.size - 1, later.size - 1);
        while fn_ & 1 == 1 {
            fn_ >>= 1;
            sn >>= 1;
        }
        let own = self.size.is_power_of_two().then_some(&self.root);
        let mut path = own.into_iter().chain(proof);
        let Some(first) = path.next().filter(|_| !proof.is_empty()) else { return false };
        let (mut old, mut new) = (*first, *first);
        for hash in path {
            if sn == 0 {
                return false;
            }
            if fn_ & 1 == 1 || fn_ == sn {
                old = node(hash, &old);
                new = node(hash, &new);
                skip_missing(&mut fn_, &mut sn);
            } else {
                new = node(&new, hash);
            }
            fn_ >>= 1;
            sn >>= 1;
        }
        sn == 0 && old == self.root && new == later.root
    }
}

/// At the right edge of a tree that is not full, levels are passed over.
fn skip_missing(fn_: &mut u64, sn: &mut u64) {
    while *fn_ & 1 == 0 && *fn_ != 0 {
        *fn_ >>= 1;
        *sn >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definitions of RFC 9162 §2.1, word for word.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node(&root(left), &root(right))
            }
        }
    }

    fn split(size: usize) -> usize {
        size.next_power_of_two() / 2
    }

    fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, sibling) = if index < left.len() {
            (path(index, left), root(right))
        } else {
            (path(index - left.len(), right), root(left))
        };
        path.push(sibling);
        path
    }

    fn subproof(size: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if size == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, other) = if size <= left.len() {
            (subproof(size, left, whole), root(right))
        } else {
            (subproof(size - left.len(), right, false), root(left))
        };
        proof.push(other);
        proof
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf(&index.to_be_bytes())).collect()
    }

    fn tree(leaves: &[Hash]) -> Tree {
        Tree { size: leaves.len() as u64, root: root(leaves) }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_there_and_nowhere_else() {
        for size in 1..=33 {
            let leaves = leaves(size);
            let tree = tree(&leaves);
            for index in 0..size {
                let proof = path(index, &leaves);
                for place in 0..=size {
                    let proved = tree.includes(place as u64, &leaves[index], &proof);
                    assert_eq!(proved, place == index, "{index} of {size} at {place}");
                }
            }
        }
    }

    #[test]
    fn every_small_tree_continues_all_before_it() {
        for size in 0..=33 {
            let leaves = leaves(size);
            let later = tree(&leaves);
            for first in 0..=size {
                let old = tree(&leaves[..first]);
                let proof = if first == 0 { Vec::new() } else { subproof(first, &leaves, true) };
                assert!(old.is_continued_by(&later, &proof), "{first} to {size}");
                let other = Tree { root: leaf(b"other"), ..old };
                assert!(!other.is_continued_by(&later, &proof), "{first} to {size}, other");
                if !proof.is_empty() {
                    let short = &proof[1..];
                    assert!(!old.is_continued_by(&later, short), "{first} to {size}, short");
                    let mut long = proof.clone();
                    long.push(leaf(b"more"));
                    assert!(!old.is_continued_by(&later, &long), "{first} to {size}, long");
                }
                if first < size {
                    assert!(!later.is_continued_by(&old, &proof), "{size} back to {first}");
                }
            }
        }
    }

    #[test]
    fn a_tree_of_the_greatest_size_is_no_trouble() {
        let tree = Tree { size: u64::MAX, root: leaf(b"") };
        assert!(!tree.includes(u64::MAX, &leaf(b""), &[]));
        assert!(!tree.includes(u64::MAX - 1, &leaf(b""), &[leaf(b""); 100]));
        let old = Tree { size: u64::MAX - 1, root: leaf(b"") };
        assert!(!old.is_continued_by(&tree, &[leaf(b""); 100]));
    }

    proptest! {
        #[test]
        fn no_proof_panics(
            index in any::<u64>(), size in any::<u64>(), old in any::<u64>(),
            proof in prop::collection::vec(any::<Hash>(), 0..70),
        ) {
            let tree = Tree { size, root: leaf(b"") };
            prop_assert!(!tree.includes(index, &leaf(b"x"), &proof));
            let old = Tree { size: old, root: leaf(b"y") };
            prop_assert!(!old.is_continued_by(&tree, &proof));
        }
    }
}
