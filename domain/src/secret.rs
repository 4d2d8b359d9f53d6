//! Secrets and their digests, one type for each kind.
//!
//! A secret never reaches an event, a log line or `Debug`; what is kept is its
//! digest, separated by kind, so that a secret of one kind is worth nothing as
//! another.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A kind of secret: the tag that separates its digests from all others.
pub trait SecretKind {
    /// The tag. Part of the stored format: never changed.
    const TAG: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {}

        impl SecretKind for $name {
            const TAG: &'static str = $tag;
        }
    )*};
}

kinds! {
    /// An authorization code (RFC 6749 §1.3.1).
    AuthorizationCode = "code";
    /// The secret part of a pushed `request_uri` (RFC 9126 §2.2).
    RequestUri = "request_uri";
    /// A refresh token (RFC 6749 §1.5).
    RefreshToken = "refresh";
    /// An opaque access token (RFC 6749 §1.4).
    AccessToken = "access";
    /// The secret of a session cookie.
    SessionCookie = "session";
    /// A generated client secret (RFC 6749 §2.3.1), of 256 bits.
    ClientSecret = "client_secret";
    /// What a client that registered itself looks after its registration with
    /// (RFC 7592 §1.2).
    RegistrationAccessToken = "registration_access";
    /// What a client is registered by (RFC 7591 §1.2).
    InitialAccessToken = "initial_access";
    /// The secret of a one-time link to choose a new password by.
    PasswordResetToken = "password_reset";
}

/// A secret of 256 random (or pseudo-random) bits.
pub struct Secret<K> {
    bytes: [u8; 32],
    kind: PhantomData<K>,
}

impl<K: SecretKind> Secret<K> {
    /// The secret with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// The bytes themselves, for the one place that hands them to their owner.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// What may be kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest<K> {
        Digest::of(&self.bytes)
    }
}

impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, kind: PhantomData }
    }
}

impl<K: SecretKind> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{}>(…)", K::TAG)
    }
}

/// The SHA-256 digest of a secret, under the tag of its kind. Compared in
/// constant time.
pub struct Digest<K> {
    bytes: [u8; 32],
    kind: PhantomData<K>,
}

impl<K: SecretKind> Digest<K> {
    /// The digest of a secret's bytes.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"chancery ");
        hash.update(K::TAG.as_bytes());
        hash.update(b"\0");
        hash.update(secret);
        Self { bytes: hash.finalize().into(), kind: PhantomData }
    }
}

impl<K> Clone for Digest<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Digest<K> {}

impl<K> PartialEq for Digest<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

impl<K> Eq for Digest<K> {}

impl<K: SecretKind> fmt::Debug for Digest<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest<{}>({})", K::TAG, URL_SAFE_NO_PAD.encode(self.bytes))
    }
}

impl<K> Serialize for Digest<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.bytes))
    }
}

impl<'de, K> Deserialize<'de> for Digest<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut bytes) {
            Ok(32) => Ok(Self { bytes, kind: PhantomData }),
            _ => Err(serde::de::Error::custom("not a base64url SHA-256 digest")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_of_another_kind_have_another_digest() {
        let code = Secret::<AuthorizationCode>::from_bytes([7; 32]).digest();
        let refresh = Secret::<RefreshToken>::from_bytes([7; 32]).digest();
        assert_ne!(code.bytes, refresh.bytes);
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let secret = Secret::<RefreshToken>::from_bytes([7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret<refresh>(…)");
    }
}
