//! Chance that a seed decides.

use std::ops::Range;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

pub struct Chance(TestRng);

impl Chance {
    /// That of one user, or of the faults; each has its own, so that none depends on how fast the
    /// others are.
    pub fn of(seed: u64, whose: u64) -> Self {
        let mut seeds = [0; 32];
        seeds[..8].copy_from_slice(&seed.to_le_bytes());
        seeds[8..16].copy_from_slice(&whose.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &seeds))
    }

    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.0.next_u64() % (range.end - range.start)
    }

    /// A place in a list of so many.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.within(0..length as u64)).unwrap()
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.within(0..many) == 0
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.index(last + 1));
        }
    }
}
