//! Keeping things secret at rest and in the hands of others, with
//! AES-256-GCM (NIST SP 800-38D) and HKDF-SHA-256 (RFC 5869):
//!
//! - [`MasterKey`] stands outside of the database and wraps every key in it.
//! - [`DataKey`], one for each grant or account, seals what stands beside the
//!   log; destroying it destroys that for good.
//! - [`ServerKey`] is a secret that all nodes share; keys for single purposes
//!   are derived from it: [`TokenKey`] for cookies and interaction handles,
//!   [`MacKey`] for CSRF tokens, [`NamesKey`] for account names, and
//!   [`crate::handles::HandleKey`].
//!
//! Nothing here can be serialised, and `Debug` shows no key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use chancery_domain::ids::AggregateKind;

use crate::entropy::Entropy;

mod data_key;
mod master_key;
mod server_key;
mod token;

pub use data_key::{DataKey, OpenError, SealedValue};
pub use master_key::{MasterKey, MasterKeyError, MasterKeyId, UnwrapError, rewrap};
pub use server_key::{MacKey, NamesKey, ServerKey};
pub use token::{SealedTokenError, TokenKey};

/// The cryptographic library refused to encrypt. It does so only for texts of
/// many gigabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryption failed")]
pub struct SealingFailed;

/// The text that a data key is bound to when wrapped, as `Rewrap` gives it:
/// `kind/id` of its owner.
#[must_use]
pub fn owner_text(kind: AggregateKind, id: &str) -> String {
    format!("{kind}/{id}")
}

/// The text that a sealed value is bound to: `kind/id/sequence` of its event.
#[must_use]
pub fn place_text(kind: AggregateKind, id: &str, sequence: u64) -> String {
    format!("{kind}/{id}/{sequence}")
}

/// A pseudo-random key of HKDF-SHA-256 (RFC 5869), from which others are
/// expanded. By HMAC directly: keys here have 32 bytes, so that one round is
/// all of HKDF-Expand, can't fail, and starts from a prepared state.
#[derive(Clone)]
struct Prk(hmac::Key);

impl Prk {
    /// RFC 5869 §2.2
    fn extract(salt: &[u8], secret: &[u8]) -> Self {
        let salt = hmac::Key::new(hmac::HMAC_SHA256, salt);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&salt, secret).as_ref()))
    }

    /// RFC 5869 §2.3, for 32 bytes. The info is `label`, a zero byte, `context`.
    fn expand(&self, label: &str, context: &[u8]) -> [u8; 32] {
        mac(&self.0, &[label.as_bytes(), b"\0", context, &[1]])
    }
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(crate) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    for (byte, signed) in bytes.iter_mut().zip(context.sign().as_ref()) {
        *byte = *signed;
    }
    bytes
}

/// AES-256-GCM with a random nonce before the ciphertext and the tag behind.
///
/// Random nonces of 96 bits wear a key out after 2³² messages (SP 800-38D
/// §8.3): whoever seals without bound derives a key for each message.
struct Cipher(LessSafeKey);

impl Cipher {
    /// Bytes added to a plaintext: nonce and tag.
    const OVERHEAD: usize = NONCE_LEN + 16;

    fn new(key: &[u8; 32]) -> Result<Self, SealingFailed> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealingFailed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// `header` as it is, then nonce, ciphertext and tag.
    fn seal(
        &self,
        header: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFailed> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut text = plaintext.to_vec();
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut text,
            )
            .map_err(|_| SealingFailed)?;
        Ok([header, &nonce, &text, tag.as_ref()].concat())
    }

    /// Takes nonce, ciphertext and tag; nothing if any bit of them, of `aad` or
    /// of the key is another.
    fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hkdf;
    use chancery_domain::digest::Sha256Digest;

    use super::*;
    use crate::entropy::SeededEntropy;

    /// RFC 5869 appendix A.1, the first 32 bytes of its output.
    #[test]
    fn keys_are_derived_as_rfc_5869_has_it() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let prk = Prk::extract(&salt, &[0x0b; 22]);
        let okm = Sha256Digest::from_bytes(mac(&prk.0, &[&info, &[1]]));
        assert_eq!(
            okm.to_string(),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
    }

    #[test]
    fn keys_are_derived_as_the_library_derives_them() {
        let derived = Prk::extract(b"salt", b"secret").expand("label", b"context");
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"salt").extract(b"secret");
        let mut okm = [0; 32];
        prk.expand(&[b"label", b"\0", b"context"], hkdf::HKDF_SHA256)
            .unwrap()
            .fill(&mut okm)
            .unwrap();
        assert_eq!(derived, okm);
    }

    #[test]
    fn a_change_of_any_bit_is_noticed() {
        let cipher = Cipher::new(&[7; 32]).unwrap();
        let sealed = cipher.seal(b"", b"here", b"secret", &SeededEntropy::new(1)).unwrap();
        assert_eq!(sealed.len(), b"secret".len() + Cipher::OVERHEAD);
        assert_eq!(cipher.open(b"here", &sealed).unwrap(), b"secret");
        assert_eq!(cipher.open(b"there", &sealed), None);
        assert_eq!(Cipher::new(&[8; 32]).unwrap().open(b"here", &sealed), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(cipher.open(b"here", &changed), None, "{index}");
            assert_eq!(cipher.open(b"here", &sealed[..index]), None, "{index}");
        }
    }
}
