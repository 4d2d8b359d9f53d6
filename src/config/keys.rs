//! `[keys]`: what tokens are signed with.

use std::path::Path;

use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting, one_of};

settings! {
    /// What tokens are signed with.
    Keys in "keys" {
        /// The algorithm for clients that are not registered with another. RS256 costs far
        /// more than the others for each token; for those who need it.
        signing_algorithm: SigningAlgorithm = default "ES256";
        /// Further algorithms to keep keys of, for clients registered with them.
        extra_algorithms: Vec<SigningAlgorithm> = default [];
        /// Make a new key after this many days. The old one stays published until the last
        /// token that it signed has expired. 0: only by `chancery key rotate`.
        rotate_after_days: u16 = default 90 within 0..=3650;
    }
}

/// Those that the server can have keys of: a secret is each client's own.
impl TextSetting for SigningAlgorithm {
    const KIND: Kind = Kind { choices: Self::ASYMMETRIC_NAMES, ..Kind::text("algorithms") };

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        one_of(text, Self::ASYMMETRIC_NAMES, Self::ASYMMETRIC)
    }
}

impl Keys {
    /// Every algorithm there must be a key of, the default first, none twice.
    #[must_use]
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let mut algorithms = vec![self.signing_algorithm];
        for algorithm in &self.extra_algorithms {
            if !algorithms.contains(algorithm) {
                algorithms.push(*algorithm);
            }
        }
        algorithms
    }
}

impl Check for Keys {
    fn check(&self, _: &mut Report<'_>) {}
}
