//! Secrets that the server generates for clients (RFC 6749 §2.3.1, RFC 7592 §1.2). With 256 bits
//! nobody can guess one, so one SHA-256 is all that keeping them needs; what
//! people choose goes through [`crate::passwords`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::secret::{ClientSecret, Digest, Secret, SecretKind};

/// A secret as its owner gets it, once: 43 characters of base64url, which
/// need no escaping in a form or in HTTP Basic.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the text for the secret's owner")]
pub fn encode_secret<K: SecretKind>(secret: &Secret<K>) -> String {
    URL_SAFE_NO_PAD.encode(secret.expose())
}

/// Reads a secret as presented; nothing if it can't be a generated one.
#[must_use]
pub fn decode_secret<K: SecretKind>(presented: &str) -> Option<Secret<K>> {
    let bytes = URL_SAFE_NO_PAD.decode(presented).ok()?;
    Some(Secret::from_bytes(bytes.try_into().ok()?))
}

/// A client secret as its client gets it.
#[must_use]
pub fn encode_client_secret(secret: &Secret<ClientSecret>) -> String {
    encode_secret(secret)
}

/// The digest of a secret as presented; nothing if it can't be a generated one.
#[must_use]
pub fn client_secret_digest(presented: &str) -> Option<Digest<ClientSecret>> {
    decode_secret(presented).map(|secret| secret.digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};

    #[test]
    fn a_generated_secret_is_known_by_its_digest() {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        let secret = entropy.secret::<ClientSecret>();
        let text = encode_client_secret(&secret);
        assert_eq!(text.len(), 43);
        assert_eq!(client_secret_digest(&text), Some(secret.digest()));

        let other = encode_client_secret(&entropy.secret());
        assert_ne!(client_secret_digest(&other), Some(secret.digest()));
    }

    #[test]
    fn what_was_never_generated_has_no_digest() {
        let text = encode_client_secret(&Secret::from_bytes([0xff; 32]));
        for wrong in ["", "demo-secret", &text[1..], &format!("{text}="), &format!("{text}A")] {
            assert_eq!(client_secret_digest(wrong), None, "{wrong}");
        }
        // The last character holds two bits that must be zero.
        assert_eq!(client_secret_digest(&format!("{}9", &text[..42])), None);
    }
}
