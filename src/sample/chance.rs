//! What is left to chance: the same seed, the same history.

/// Numbers that look random (splitmix64); nothing secret comes of them.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to this (exclusive).
    pub(crate) fn below(&mut self, end: i64) -> i64 {
        let end = u64::try_from(end).unwrap_or(0).max(1);
        i64::try_from(self.next() % end).unwrap_or(0)
    }

    /// From 0 up to this (exclusive), the low ones more often: a few are much used.
    pub(crate) fn one_of(&mut self, count: usize) -> usize {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let (one, other) = (self.below(count), self.below(count));
        usize::try_from(one.min(other)).unwrap_or(0)
    }

    /// Does it happen, so many times in a thousand?
    pub(crate) fn happens(&mut self, in_a_thousand: i64) -> bool {
        self.below(1000) < in_a_thousand
    }
}
