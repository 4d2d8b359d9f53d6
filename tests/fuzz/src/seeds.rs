//! What `cargo test` does of the fuzzing: every seed, and what once broke, must hold; and so must
//! variations of them, as many as there are in a moment. `cargo fuzz` goes on from there, led by
//! what code is reached.
//!
//! `CHANCERY_FUZZ_SECONDS` and `CHANCERY_FUZZ_SEED` choose how long, and which variations.

use std::path::Path;
use std::time::Duration;
use std::{env, fs, thread};

use chancery::entropy::{Entropy, SeededEntropy};
use tokio::time::Instant;

#[test]
fn requests_to_a_whole_server() {
    Fuzzing::of("server").run(crate::server);
}

#[test]
fn texts_as_credentials() {
    Fuzzing::of("credentials").run(crate::credentials);
}

#[test]
fn texts_as_tokens_and_keys() {
    Fuzzing::of("jose").run(crate::jose);
}

#[test]
fn texts_as_parameters_and_metadata() {
    Fuzzing::of("parameters").run(crate::parameters);
}

/// What a target begins with.
struct Fuzzing {
    seeds: Vec<String>,
    words: Vec<String>,
    time: Duration,
    chance: Chance,
}

impl Fuzzing {
    #[expect(clippy::disallowed_methods, reason = "settings of a test come from its environment")]
    fn of(target: &str) -> Self {
        let number = |name: &str, default| match env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
            Err(_) => default,
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seeds = vec![];
        for folder in ["seeds", "crashes"] {
            let Ok(files) = fs::read_dir(here.join(folder).join(target)) else { continue };
            let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            files.sort();
            seeds.extend(files.iter().map(|file| fs::read_to_string(file).unwrap()));
        }
        assert!(!seeds.is_empty(), "{target} has no seeds");
        let dictionary = fs::read_to_string(here.join("dictionaries").join(target)).unwrap();
        let words = dictionary.lines().map(|line| line.trim_matches('"').replace("\\x0a", "\n"));
        Self {
            seeds,
            words: words.collect(),
            time: Duration::from_secs(number("CHANCERY_FUZZ_SECONDS", 5)),
            chance: Chance(SeededEntropy::new(number("CHANCERY_FUZZ_SEED", 1))),
        }
    }

    fn run(self, target: impl Fn(&str)) {
        for seed in &self.seeds {
            tried(seed, &target);
        }
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < self.time {
            tried(&self.variation(), &target);
            count += 1;
        }
        println!("{} seeds and {count} variations", self.seeds.len());
    }

    /// A seed, changed in a few places.
    fn variation(&self) -> String {
        let mut text: Vec<char> = self.chance.one(&self.seeds).chars().collect();
        for _ in 0..=self.chance.below(4) {
            let (at, length) = (self.chance.below(text.len() + 1), self.chance.below(20));
            let end = (at + length).min(text.len());
            let put: Vec<char> = match self.chance.below(6) {
                0 => vec![],
                1 => text[at..end].repeat(2 + self.chance.below(3)),
                2 => vec![
                    char::from_u32(1 + u32::try_from(self.chance.below(300)).unwrap_or(0))
                        .unwrap_or('\u{fffd}'),
                ],
                3 => {
                    let other: Vec<char> = self.chance.one(&self.seeds).chars().collect();
                    let from = self.chance.below(other.len());
                    other[from..].iter().take(self.chance.below(200)).copied().collect()
                }
                _ => self.chance.one(&self.words).chars().collect(),
            };
            // Put in, or put in the place of something.
            let end = if self.chance.below(2) == 0 { at } else { end };
            text.splice(at..end, put);
        }
        text.into_iter().collect()
    }
}

/// Prints the input if the target panics.
fn tried(input: &str, target: impl Fn(&str)) {
    struct Told<'a>(&'a str);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                println!("--- the input that does not hold:\n{}\n---", self.0);
            }
        }
    }
    let _told = Told(input);
    target(input);
}

struct Chance(SeededEntropy);

impl Chance {
    /// Below this number; 0 below 0.
    fn below(&self, limit: usize) -> usize {
        let entropy: &dyn Entropy = &self.0;
        let number = u32::from_be_bytes(entropy.bytes());
        usize::try_from(number).unwrap_or(0) % limit.max(1)
    }

    fn one<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
