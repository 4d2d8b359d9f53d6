//! Sealed tokens: what the server gives a browser to keep for it. Nobody can
//! read or change one, use it in another context, or use it too late.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::time::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cipher, Prk, SealingFailed};
use crate::entropy::Entropy;

/// Why a sealed token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedTokenError {
    /// Not even the form is right: cut off, or mistyped.
    #[error("not a sealed token")]
    Malformed,
    /// Not made by this key in this context.
    #[error("not sealed by this server for this use")]
    Forged,
    #[error("the token has expired")]
    Expired,
    /// Genuine, but of another shape: made by another version of the server.
    #[error("the token holds something else")]
    OtherShape,
}

/// Seals and opens the tokens of one purpose.
///
/// A token is, in base64url, 12 random bytes that its own key is derived by,
/// nonce (12), ciphertext and tag (16); the plaintext is the expiry in eight
/// bytes and JSON. A key for each token, because anybody can make the server
/// seal as many as they like.
#[derive(Clone)]
pub struct TokenKey(Prk);

impl TokenKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Prk::extract(b"chancery sealed token v1", key))
    }

    /// Seals a value until `expires_at`, for use in this context only.
    pub fn seal<T: Serialize + ?Sized>(
        &self,
        context: &str,
        expires_at: UnixTime,
        value: &T,
        entropy: &dyn Entropy,
    ) -> Result<String, SealingFailed> {
        let mut plaintext = expires_at.seconds().to_be_bytes().to_vec();
        serde_json::to_writer(&mut plaintext, value).map_err(|_| SealingFailed)?;
        let salt: [u8; 12] = entropy.bytes();
        let sealed = self.cipher(&salt)?.seal(&salt, context.as_bytes(), &plaintext, entropy)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a token sealed in this context.
    pub fn open<T: DeserializeOwned>(
        &self,
        context: &str,
        token: &str,
        now: UnixTime,
    ) -> Result<T, SealedTokenError> {
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| SealedTokenError::Malformed)?;
        let (salt, sealed) = sealed.split_first_chunk::<12>().ok_or(SealedTokenError::Malformed)?;
        if sealed.len() < Cipher::OVERHEAD {
            return Err(SealedTokenError::Malformed);
        }
        let plaintext = self
            .cipher(salt)
            .ok()
            .and_then(|cipher| cipher.open(context.as_bytes(), sealed))
            .ok_or(SealedTokenError::Forged)?;
        let (expires_at, json) =
            plaintext.split_first_chunk::<8>().ok_or(SealedTokenError::Malformed)?;
        if now.seconds() >= i64::from_be_bytes(*expires_at) {
            return Err(SealedTokenError::Expired);
        }
        serde_json::from_slice(json).map_err(|_| SealedTokenError::OtherShape)
    }

    fn cipher(&self, salt: &[u8; 12]) -> Result<Cipher, SealingFailed> {
        Cipher::new(&self.0.expand("token", salt))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServerKey;
    use super::*;
    use crate::entropy::SeededEntropy;

    static ENTROPY: SeededEntropy = SeededEntropy::new(9);
    const LATER: UnixTime = UnixTime::from_seconds(1000);
    const NOW: UnixTime = UnixTime::from_seconds(999);

    fn key(purpose: &str) -> TokenKey {
        ServerKey::from_bytes([1; 32]).token_key(purpose)
    }

    fn open(key: &TokenKey, context: &str, token: &str) -> Result<String, SealedTokenError> {
        key.open(context, token, NOW)
    }

    #[test]
    fn a_token_opens_where_it_was_sealed_for() {
        let key = key("interaction");
        let token = key.seal("login", LATER, "value", &ENTROPY).unwrap();
        assert_eq!(open(&key, "login", &token).unwrap(), "value");
        assert_eq!(open(&key, "consent", &token), Err(SealedTokenError::Forged));
        assert_eq!(
            open(&super::tests::key("cookie"), "login", &token),
            Err(SealedTokenError::Forged)
        );
    }

    #[test]
    fn a_token_expires_at_its_second() {
        let key = key("interaction");
        let token = key.seal("login", LATER, "value", &ENTROPY).unwrap();
        assert_eq!(key.open::<String>("login", &token, LATER), Err(SealedTokenError::Expired));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let key = key("interaction");
        let token = key.seal("login", LATER, "value", &ENTROPY).unwrap();
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(open(&key, "login", &changed).is_err(), "{index}");
            assert!(open(&key, "login", &token[..index]).is_err(), "{index}");
        }
        for text in ["", "!", "AAAA", &format!("{token}="), &format!(" {token}")] {
            assert_eq!(open(&key, "login", text), Err(SealedTokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_token_of_another_shape_is_told_from_a_forged_one() {
        let key = key("interaction");
        let token = key.seal("login", LATER, &7, &ENTROPY).unwrap();
        assert_eq!(open(&key, "login", &token), Err(SealedTokenError::OtherShape));
    }

    #[test]
    fn the_same_value_is_never_sealed_alike_twice() {
        let seal = || key("interaction").seal("login", LATER, "value", &ENTROPY).unwrap();
        assert_ne!(seal(), seal());
    }
}
