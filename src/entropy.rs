//! Randomness, and what is made of it: secrets, salts, ids. The only place
//! that asks the machine.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{digest, rand};
use chancery_domain::secret::{Secret, SecretKind};
use uuid::Uuid;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out` with bytes that nobody can guess.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// So many random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A new secret of 256 bits.
    #[must_use]
    pub fn secret<K: SecretKind>(&self) -> Secret<K> {
        Secret::from_bytes(self.bytes())
    }

    /// A new salt, of 128 bits.
    #[must_use]
    pub fn salt(&self) -> [u8; 16] {
        self.bytes()
    }

    /// A UUID that sorts by the time of its making (RFC 9562 §5.7).
    #[must_use]
    pub fn uuid_v7(&self, now_ms: i64) -> Uuid {
        let millis = u64::try_from(now_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A UUID that tells nothing (RFC 9562 §5.4): for subjects, whose order of
    /// creation is nobody's business.
    #[must_use]
    pub fn uuid_v4(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        POOL.with_borrow_mut(|pool| pool.fill(out));
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; Pool::SIZE], left: 0 }) };
}

/// Random bytes that nobody has had yet. To ask the library for a few costs as much as to ask for
/// this many, and a request needs a few about ten times.
struct Pool {
    bytes: [u8; Self::SIZE],
    /// So many at the beginning are left; behind them are zeros.
    left: usize,
}

impl Pool {
    const SIZE: usize = 512;

    #[expect(clippy::indexing_slicing, reason = "better to panic than to leave zeros in `out`")]
    fn fill(&mut self, out: &mut [u8]) {
        if out.len() > Self::SIZE {
            return generate(out);
        }
        if out.len() > self.left {
            generate(&mut self.bytes);
            self.left = Self::SIZE;
        }
        let before = self.left - out.len();
        let taken = &mut self.bytes[before..self.left];
        out.copy_from_slice(taken);
        taken.fill(0);
        self.left = before;
    }
}

fn generate(out: &mut [u8]) {
    if rand::fill(out).is_err() {
        // Without randomness every secret made from here on would be worthless, and a caller
        // could not tell.
        std::process::abort();
    }
}

/// Bytes that follow from a seed, for tests: the same seed and the same order
/// of calls give the same bytes.
pub struct SeededEntropy {
    seed: u64,
    next_block: AtomicU64,
}

impl SeededEntropy {
    /// Begins at the beginning of this seed's bytes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, next_block: AtomicU64::new(0) }
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeededEntropy({})", self.seed)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let block = self.next_block.fetch_add(1, Ordering::SeqCst);
            let mut hash = digest::Context::new(&digest::SHA256);
            hash.update(b"chancery seeded entropy\0");
            hash.update(&self.seed.to_be_bytes());
            hash.update(&block.to_be_bytes());
            for (byte, hashed) in chunk.iter_mut().zip(hash.finish().as_ref()) {
                *byte = *hashed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chancery_domain::secret::RefreshToken;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let made = |seed| {
            let entropy: &dyn Entropy = &SeededEntropy::new(seed);
            (entropy.bytes::<100>(), entropy.salt(), entropy.uuid_v4())
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    #[test]
    fn no_source_repeats_itself() {
        for entropy in [&SystemEntropy as &dyn Entropy, &SeededEntropy::new(7)] {
            let salts: BTreeSet<_> = (0..1000).map(|_| entropy.salt()).collect();
            assert_eq!(salts.len(), 1000);
            let first = entropy.secret::<RefreshToken>();
            assert_ne!(first.digest(), entropy.secret().digest());
        }
    }

    #[test]
    fn what_was_taken_from_the_pool_is_in_it_no_more() {
        let mut pool = Pool { bytes: [0; Pool::SIZE], left: 0 };
        let mut taken = BTreeSet::new();
        for _ in 0..3 * Pool::SIZE / 40 {
            let mut out = [0; 40];
            pool.fill(&mut out);
            assert!(taken.insert(out));
            assert!(pool.bytes[pool.left..].iter().all(|byte| *byte == 0));
        }
        let mut long = [0; 3 * Pool::SIZE];
        pool.fill(&mut long);
        assert!(long.chunks(16).all(|part| part.iter().any(|byte| *byte != 0)));
    }

    /// RFC 9562 §5.7: 48 bits of milliseconds first.
    #[test]
    fn ids_of_version_7_sort_by_time() {
        let entropy: &dyn Entropy = &SeededEntropy::new(3);
        let early = entropy.uuid_v7(1_700_000_000_000);
        let late = entropy.uuid_v7(1_700_000_000_001);
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
        assert_eq!(early.get_timestamp().unwrap().to_unix(), (1_700_000_000, 0));
        assert_eq!(entropy.uuid_v4().get_version_num(), 4);
    }

    #[test]
    fn threads_never_get_the_same_bytes_from_one_seed() {
        let entropy = SeededEntropy::new(11);
        let salts: Vec<[u8; 16]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let entropy: &dyn Entropy = &entropy;
                        (0..100).map(|_| entropy.salt()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(salts.iter().collect::<BTreeSet<_>>().len(), 400);
    }
}
