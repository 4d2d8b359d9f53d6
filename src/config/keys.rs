//! `[keys]`: what tokens are signed with, and what is encrypted to us.

use std::path::Path;

use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::signing_key::KeyAlgorithm;

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
        /// What clients can encrypt request objects to us with. ECDH-ES: a key on P-256,
        /// which does for ECDH-ES, ECDH-ES+A128KW and ECDH-ES+A256KW. RSA-OAEP: one of RSA,
        /// which does for RSA-OAEP and RSA-OAEP-256.
        encryption_algorithms: Vec<KeyManagementAlgorithm> = default ["ECDH-ES"];
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

/// Those that name a kind of keys.
impl TextSetting for KeyManagementAlgorithm {
    const KIND: Kind = Kind { choices: &["ECDH-ES", "RSA-OAEP"], ..Kind::text("algorithms") };

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        one_of(text, Self::KIND.choices, &[Self::EcdhEs, Self::RsaOaep])
    }
}

impl Keys {
    /// Every algorithm there must be a key of, to sign with or to be encrypted
    /// to, none twice.
    #[must_use]
    pub fn all_algorithms(&self) -> Vec<KeyAlgorithm> {
        let mut algorithms: Vec<KeyAlgorithm> =
            self.algorithms().into_iter().map(KeyAlgorithm::from).collect();
        for algorithm in &self.encryption_algorithms {
            let algorithm = KeyAlgorithm::from(*algorithm);
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        algorithms
    }

    /// What others can encrypt to our keys with.
    #[must_use]
    pub fn key_management_algorithms(&self) -> Vec<KeyManagementAlgorithm> {
        let is_ours = |alg: &KeyManagementAlgorithm| {
            let kind = KeyAlgorithm::from(*alg).kind();
            self.encryption_algorithms.iter().any(|ours| KeyAlgorithm::from(*ours) == kind)
        };
        KeyManagementAlgorithm::ALL.iter().copied().filter(is_ours).collect()
    }

    /// Every signature algorithm there must be a key of, the default first, none
    /// twice.
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
