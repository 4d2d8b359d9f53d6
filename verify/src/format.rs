//! What stands in the files of a bundle, format `chancery-evidence/1`.
//!
//! Strict on purpose: an unknown member is refused, since a verifier that passes
//! over what it does not know would call it proved.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::merkle::Hash;

/// The format and its version.
pub const FORMAT: &str = "chancery-evidence/1";

/// The names of the files.
pub mod names {
    pub const MANIFEST: &str = "manifest.json";
    pub const MANIFEST_DIGEST: &str = "manifest.sha256";
    pub const README: &str = "README.txt";
    pub const QUERY: &str = "query.json";
    pub const ANSWER: &str = "answer.json";
    pub const EVENTS: &str = "events.ndjson";
    pub const PROOFS: &str = "proofs.ndjson";
    pub const HEADS: &str = "heads.ndjson";
    pub const NEW: &str = "checkpoints/new.txt";
    pub const OLD: &str = "checkpoints/old.txt";
    pub const CONSISTENCY: &str = "checkpoints/consistency.json";
    pub const CHECKPOINT_KEYS: &str = "keys/checkpoint-keys.json";
    pub const SIGNING_KEYS: &str = "keys/signing-keys.json";
    /// The descriptions of the files above stand in this folder.
    pub const SCHEMAS: &str = "schemas/";

    /// What every bundle has.
    pub const NEEDED: [&str; 9] =
        [README, QUERY, ANSWER, EVENTS, PROOFS, HEADS, NEW, CHECKPOINT_KEYS, SIGNING_KEYS];
    /// What a bundle may have.
    pub const OPTIONAL: [&str; 2] = [OLD, CONSISTENCY];
}

/// `manifest.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: String,
    /// When the bundle was made: RFC 3339. A statement of who made it.
    pub created_at: String,
    /// The origin of the log's checkpoints.
    pub origin: String,
    /// The life of the database: a new one has a new id.
    pub log_id: String,
    /// What was asked; the same as in `query.json`.
    pub question: Question,
    /// The position of the log that the answer is true at.
    pub position: u64,
    /// Every other file but `manifest.sha256`, by name.
    pub files: Vec<FileEntry>,
}

/// `query.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name, as the command has it.
    pub name: String,
    /// What it was asked with.
    pub parameters: Value,
}

/// A file, in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub name: String,
    /// In bytes.
    pub length: u64,
    pub sha256: Hex,
}

/// A line of `events.ndjson`; the lines stand in the order of positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    pub position: u64,
    pub recorded_at_ms: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// 1 for the first event of an aggregate.
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    /// The exact bytes stored.
    pub payload: String,
    /// The exact bytes stored.
    pub metadata: String,
    /// The digest of the aggregate's event before it, or zeros.
    pub prev_digest: Hex,
    pub digest: Hex,
}

/// A line of `proofs.ndjson`: one for each line of `events.ndjson`, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofLine {
    pub position: u64,
    /// Not yet in the log of `checkpoints/new.txt`: then the rest is absent.
    pub sealed: bool,
    /// The leaf's index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The inclusion proof (RFC 9162 §2.1.3), from the leaf up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<Base64>>,
}

/// A line of `heads.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadLine {
    /// The position of the event `HeadsListed` whose list this is.
    pub list: u64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// The last sequence that the list covers.
    pub sequence: u64,
    /// The digest of that event.
    pub digest: Hex,
    /// The entry's index in the list.
    pub index: u64,
    /// Its inclusion proof.
    pub proof: Vec<Base64>,
}

/// `checkpoints/consistency.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    pub old_size: u64,
    pub new_size: u64,
    /// RFC 9162 §2.1.4.
    pub proof: Vec<Base64>,
}

/// A list of keys, the first published first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys<K> {
    pub keys: Vec<K>,
}

/// A key in `keys/checkpoint-keys.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointKey {
    pub key_id: String,
    /// As C2SP signed-note has it.
    pub vkey: String,
    /// The event `CheckpointKeyPublished`.
    pub published: Moment,
    /// The last event `CheckpointKeyRetired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Moment>,
    /// Until when it signs, once it is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs_until: Option<i64>,
}

/// A key in `keys/signing-keys.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    pub kid: String,
    pub alg: String,
    /// RFC 7517.
    pub jwk: Value,
    /// The event `KeyPublished`.
    pub published: Moment,
    /// The event `KeyActivated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<Moment>,
    /// The event `KeyRetired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Moment>,
    /// Until when it is published, once it is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_until: Option<i64>,
}

/// An event that says so, and the time it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The event's position.
    pub position: u64,
    /// Seconds since 1970.
    pub at: i64,
}

/// A hash in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub Hash);

/// A hash in Base64 with padding (RFC 4648 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64(pub Hash);

/// A hash in base64url without padding: so the payloads of events have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64Url(pub Hash);

impl Hex {
    /// Reads sixty-four lower-case digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = (*byte << 4) | value;
            }
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl Base64 {
    /// Reads thirty-two bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl Base64Url {
    /// Reads thirty-two bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

macro_rules! as_text {
    ($name:ident, $what:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not a hash in ", $what)))
            }
        }
    };
}

as_text!(Hex, "hexadecimal digits");
as_text!(Base64, "Base64");
as_text!(Base64Url, "base64url");

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
