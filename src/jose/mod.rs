//! JSON Object Signing (RFC 7515, 7517, 7518, 7638, 8037): keys, signed tokens
//! and their verification. The sole importer of `jsonwebtoken`.
//!
//! `jsonwebtoken` parses a private key at every signature, which for ES256 is a
//! third of the work. So signing keeps parsed keys of `aws-lc-rs` (the back end
//! of `jsonwebtoken`) and writes the three parts itself; verifying is
//! `jsonwebtoken`'s, and the tests let it read what was signed here.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

mod jwk;
mod sign;
mod thumbprint;
mod verify;

pub use jwk::{Jwk, JwkSet, KeyUse, PublicParameters};
pub use sign::PrivateKey;
pub use verify::{PublicKey, Verifier, VerifyError};

/// Why there is no key, or no signature by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Generating, writing or using the key failed inside of the library.
    #[error("the cryptographic library failed on a {0} key")]
    Library(SigningAlgorithm),
    /// The bytes are no PKCS#8 private key for this algorithm.
    #[error("not a PKCS#8 private key for {0}")]
    NotAPrivateKey(SigningAlgorithm),
    /// The JWK does not fit the algorithm that it names.
    #[error("not a public key for {0}")]
    NotAPublicKey(SigningAlgorithm),
    /// No algorithm of ours works with a key of this type and curve.
    #[error("no supported algorithm for a key of this type")]
    Unsupported,
    /// The claims could not be written as JSON.
    #[error("the claims can't be written as JSON")]
    Claims,
}

/// Everything that distinguishes one algorithm from the next.
struct Suite {
    name: jsonwebtoken::Algorithm,
    key: KeyShape,
    /// For `at_hash` and its like.
    hash: &'static digest::Algorithm,
}

enum KeyShape {
    Ec { curve: &'static str, coordinate: usize, signing: &'static EcdsaSigningAlgorithm },
    Ed25519,
    Rsa { padding: &'static dyn RsaEncoding },
}

/// One row for each algorithm.
fn suite(alg: SigningAlgorithm) -> Suite {
    use jsonwebtoken::Algorithm as Name;
    let (name, hash, key) = match alg {
        SigningAlgorithm::ES256 => (
            Name::ES256,
            &digest::SHA256,
            KeyShape::Ec {
                curve: "P-256",
                coordinate: 32,
                signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
            },
        ),
        SigningAlgorithm::EdDSA => (Name::EdDSA, &digest::SHA512, KeyShape::Ed25519),
        SigningAlgorithm::RS256 => {
            (Name::RS256, &digest::SHA256, KeyShape::Rsa { padding: &RSA_PKCS1_SHA256 })
        }
    };
    Suite { name, key, hash }
}

/// The left half of a token's or code's hash, as `at_hash` and `c_hash` carry
/// it: OpenID Connect Core §3.1.3.6 and §3.3.2.11, by the hash of the ID
/// token's algorithm (for Ed25519 that is SHA-512).
#[must_use]
pub fn left_half_hash(alg: SigningAlgorithm, text: &str) -> String {
    let hash = digest::digest(suite(alg).hash, text.as_bytes());
    let half = hash.as_ref().len() / 2;
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..half).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenID Connect Core, appendix A.3 and A.4.
    #[test]
    fn hashes_are_the_left_half() {
        let alg = SigningAlgorithm::RS256;
        assert_eq!(
            left_half_hash(alg, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
        assert_eq!(
            left_half_hash(alg, "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"),
            "LDktKdoQak3Pk0cnXxCltA"
        );
        assert_eq!(left_half_hash(SigningAlgorithm::EdDSA, "x").len(), 43);
    }
}
