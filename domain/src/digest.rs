//! What makes the log tamper evident: a digest of each event, chained to the
//! previous event of its aggregate, and salted commitments to sealed values.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest that is not secret: of an event, or a commitment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Stands before the first event of an aggregate.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Sha256Digest {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("not a base64url SHA-256 digest")),
        }
    }
}

/// A salt of sixteen bytes. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Salt([u8; 16]);

impl Salt {
    /// The salt with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({})", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("not sixteen bytes of base64url")),
        }
    }
}

/// What an event's digest covers: everything stored of it but its position and
/// the time of recording, which the sealed log covers.
#[derive(Debug, Clone, Copy)]
pub struct EventFacts<'a> {
    /// `aggregate_type`
    pub kind: &'a str,
    /// `aggregate_id`
    pub id: &'a str,
    /// `sequence`: 1 for the first event of an aggregate.
    pub sequence: u64,
    /// `event_type`
    pub event_type: &'a str,
    /// `event_version`
    pub event_version: &'a str,
    /// `payload`, the exact bytes stored.
    pub payload: &'a [u8],
    /// `metadata`, the exact bytes stored.
    pub metadata: &'a [u8],
    /// The digest of the previous event of this aggregate, or
    /// [`Sha256Digest::ZERO`].
    pub prev_digest: Sha256Digest,
}

impl EventFacts<'_> {
    /// SHA-256 over the tag `chancery event v1` and each field in the order of
    /// this struct, each preceded by its length in four bytes; the sequence is
    /// eight bytes. Numbers are big endian.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            hash.update(length.to_be_bytes());
            hash.update(bytes);
        };
        field(b"chancery event v1");
        field(self.kind.as_bytes());
        field(self.id.as_bytes());
        field(&self.sequence.to_be_bytes());
        field(self.event_type.as_bytes());
        field(self.event_version.as_bytes());
        field(self.payload);
        field(self.metadata);
        field(self.prev_digest.as_bytes());
        Sha256Digest(hash.finalize().into())
    }
}

/// A salted commitment to a sealed value: SHA-256 over a tag, the salt and the
/// value. The event holds it; salt and value stand encrypted beside the log.
#[must_use]
pub fn commitment(salt: &[u8; 16], plaintext: &[u8]) -> Sha256Digest {
    let mut hash = Sha256::new();
    hash.update(b"chancery sealed v1\0");
    hash.update(salt);
    hash.update(plaintext);
    Sha256Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(payload: &'static [u8]) -> EventFacts<'static> {
        EventFacts {
            kind: "grant",
            id: "g",
            sequence: 1,
            event_type: "CodeIssued",
            event_version: "1",
            payload,
            metadata: b"{}",
            prev_digest: Sha256Digest::ZERO,
        }
    }

    #[test]
    fn every_field_changes_the_digest() {
        let base = facts(b"{}");
        let changed = [
            EventFacts { kind: "client", ..base },
            EventFacts { id: "h", ..base },
            EventFacts { sequence: 2, ..base },
            EventFacts { event_type: "CodeRedeemed", ..base },
            EventFacts { event_version: "2", ..base },
            EventFacts { payload: b"{ }", ..base },
            EventFacts { metadata: b"{ }", ..base },
            EventFacts { prev_digest: base.digest(), ..base },
        ];
        for other in changed {
            assert_ne!(base.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_byte_cannot_move_from_one_field_to_the_next() {
        let one = EventFacts { event_type: "ab", event_version: "c", ..facts(b"{}") };
        let two = EventFacts { event_type: "a", event_version: "bc", ..facts(b"{}") };
        assert_ne!(one.digest(), two.digest());
    }

    #[test]
    fn the_format_of_the_digest_is_fixed() {
        assert_eq!(
            facts(b"{}").digest().to_string(),
            "44016f6bce61c7a2466b1fb7f6476358f057e4d8031b279add44919780d026a2"
        );
    }
}
