//! The digest of an event, and its leaf in the log: what an alteration changes.

use sha2::{Digest as _, Sha256};

use crate::format::EventLine;
use crate::merkle::{self, Hash};

/// SHA-256 over the tag `chancery event v1` and each field, each preceded by its
/// length in four bytes, the sequence being eight bytes; numbers are big endian.
#[must_use]
pub fn digest(event: &EventLine) -> Hash {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        hash.update(length.to_be_bytes());
        hash.update(bytes);
    };
    field(b"chancery event v1");
    field(event.aggregate_type.as_bytes());
    field(event.aggregate_id.as_bytes());
    field(&event.sequence.to_be_bytes());
    field(event.event_type.as_bytes());
    field(event.event_version.as_bytes());
    field(event.payload.as_bytes());
    field(event.metadata.as_bytes());
    field(&event.prev_digest.0);
    hash.finalize().into()
}

/// The hash of an event's leaf: of its position, the time of its recording in
/// milliseconds, and its digest.
#[must_use]
pub fn leaf(position: u64, recorded_at_ms: i64, digest: &Hash) -> Hash {
    let mut entry = [0; 48];
    let (numbers, rest) = entry.split_at_mut(16);
    let (first, second) = numbers.split_at_mut(8);
    first.copy_from_slice(&position.to_be_bytes());
    second.copy_from_slice(&recorded_at_ms.to_be_bytes());
    rest.copy_from_slice(digest);
    merkle::leaf(&entry)
}

/// The hash of an aggregate's leaf in a list of heads.
#[must_use]
pub fn head_leaf(kind: &str, id: &str, sequence: u64, digest: &Hash) -> Hash {
    let mut entry = Vec::with_capacity(kind.len() + id.len() + 48);
    for text in [kind, id] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        entry.extend_from_slice(&length.to_be_bytes());
        entry.extend_from_slice(text.as_bytes());
    }
    entry.extend_from_slice(&sequence.to_be_bytes());
    entry.extend_from_slice(digest);
    merkle::leaf(&entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Hex;

    /// The value that the server's own test holds itself to.
    #[test]
    fn the_digest_is_the_one_that_the_server_stores() {
        let event = EventLine {
            position: 1,
            recorded_at_ms: 0,
            aggregate_type: "grant".to_owned(),
            aggregate_id: "g".to_owned(),
            sequence: 1,
            event_type: "CodeIssued".to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
            prev_digest: Hex([0; 32]),
            digest: Hex([0; 32]),
        };
        assert_eq!(
            Hex(digest(&event)).to_string(),
            "44016f6bce61c7a2466b1fb7f6476358f057e4d8031b279add44919780d026a2"
        );
    }
}
