//! JSON Object Signing and Encryption (RFC 7515–7518, 7638, 8037): keys, signed
//! tokens and their verification, encrypted tokens ([`jwe`]). The sole importer of `jsonwebtoken`.
//!
//! `jsonwebtoken` parses a private key at every signature, which for ES256 is a
//! third of the work. So signing keeps parsed keys of `aws-lc-rs` (the back end
//! of `jsonwebtoken`) and writes the three parts itself; verifying is
//! `jsonwebtoken`'s, and the tests let it read what was signed here. ES512,
//! which it does not know, is verified by `aws-lc-rs`.
//!
//! Three kinds of tokens, three ways to verify them: our own, by [`Verifier`]
//! (the `kid` names the key, and the key its one algorithm); those of others,
//! by [`PeerKeys`] (their keys may lack both, and the caller says which
//! algorithms are good); those made with a secret that we share with a client,
//! by [`SharedSecret`]. [`Unverified`] reads what a token says of itself, to
//! find out whose keys to ask.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

mod compact;
pub mod jwe;
mod jwk;
mod peer;
mod secret;
mod sign;
mod thumbprint;
mod verify;

pub use compact::Unverified;
pub use jwk::{Jwk, JwkSet, KeyUse, PublicParameters};
pub use peer::{Accept, PeerKeys, Types};
pub use secret::SharedSecret;
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
    /// RFC 7518 §3.2: the secret is shorter than the algorithm's hash.
    #[error("the secret is too short for {0}")]
    SecretTooShort(SigningAlgorithm),
    /// The claims could not be written as JSON.
    #[error("the claims can't be written as JSON")]
    Claims,
}

/// Everything that distinguishes one algorithm from the next.
struct Suite {
    /// What `jsonwebtoken` calls it; it does not know ES512.
    name: Option<jsonwebtoken::Algorithm>,
    key: KeyShape,
    /// For `at_hash` and its like.
    hash: &'static digest::Algorithm,
}

#[derive(Clone, Copy)]
enum KeyShape {
    Ec { curve: &'static str, coordinate: usize, signing: &'static EcdsaSigningAlgorithm },
    Ed25519,
    Rsa { padding: &'static dyn RsaEncoding },
    Secret { mac: hmac::Algorithm },
}

/// One row for each algorithm.
fn suite(alg: SigningAlgorithm) -> Suite {
    use jsonwebtoken::Algorithm as Name;
    let ec = |curve, coordinate, signing| KeyShape::Ec { curve, coordinate, signing };
    let rsa = |padding| KeyShape::Rsa { padding };
    let secret = |mac| KeyShape::Secret { mac };
    let (name, hash, key) = match alg {
        SigningAlgorithm::ES256 => {
            (Some(Name::ES256), &SHA256, ec("P-256", 32, &ECDSA_P256_SHA256_FIXED_SIGNING))
        }
        SigningAlgorithm::ES384 => {
            (Some(Name::ES384), &SHA384, ec("P-384", 48, &ECDSA_P384_SHA384_FIXED_SIGNING))
        }
        SigningAlgorithm::ES512 => {
            (None, &SHA512, ec("P-521", 66, &ECDSA_P521_SHA512_FIXED_SIGNING))
        }
        SigningAlgorithm::EdDSA => (Some(Name::EdDSA), &SHA512, KeyShape::Ed25519),
        SigningAlgorithm::RS256 => (Some(Name::RS256), &SHA256, rsa(&RSA_PKCS1_SHA256)),
        SigningAlgorithm::RS384 => (Some(Name::RS384), &SHA384, rsa(&RSA_PKCS1_SHA384)),
        SigningAlgorithm::RS512 => (Some(Name::RS512), &SHA512, rsa(&RSA_PKCS1_SHA512)),
        SigningAlgorithm::PS256 => (Some(Name::PS256), &SHA256, rsa(&RSA_PSS_SHA256)),
        SigningAlgorithm::PS384 => (Some(Name::PS384), &SHA384, rsa(&RSA_PSS_SHA384)),
        SigningAlgorithm::PS512 => (Some(Name::PS512), &SHA512, rsa(&RSA_PSS_SHA512)),
        SigningAlgorithm::HS256 => (Some(Name::HS256), &SHA256, secret(hmac::HMAC_SHA256)),
        SigningAlgorithm::HS384 => (Some(Name::HS384), &SHA384, secret(hmac::HMAC_SHA384)),
        SigningAlgorithm::HS512 => (Some(Name::HS512), &SHA512, secret(hmac::HMAC_SHA512)),
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
