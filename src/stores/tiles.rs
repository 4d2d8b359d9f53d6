//! What is kept of the Merkle log over all events ([`crate::transparency`]),
//! and how all of the log is read to check it.

use chancery_domain::digest::Sha256Digest;

use super::{Head, StoredEvent, StreamId};

/// A signed checkpoint of the Merkle log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// Counts the checkpoints that were signed, kept or not.
    pub serial: u64,
    /// Names the log (C2SP tlog-checkpoint).
    pub origin: String,
    /// How many events it covers.
    pub size: u64,
    /// The position of the last of them.
    pub position: u64,
    pub root: Sha256Digest,
    /// Milliseconds since 1970, by the clock of the node that signed.
    pub signed_at_ms: i64,
    /// The signed note.
    pub note: String,
}

/// A tile of the Merkle log. At level 0 it holds the entries of up to 256
/// events, above that the hashes of up to 256 tiles below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTile {
    pub level: u8,
    pub index: u64,
    /// At level 0: the position of its first event; 0 above.
    pub first_position: u64,
    pub data: Vec<u8>,
}

/// What the sealer writes: all of it, or nothing.
#[derive(Debug, Clone)]
pub struct Seal {
    /// Its serial is one above the last one's; refused if somebody else was first.
    pub checkpoint: LogCheckpoint,
    /// In place of those that were there.
    pub tiles: Vec<LogTile>,
    /// This checkpoint need not be kept any longer.
    pub drop_checkpoint: Option<u64>,
    /// The log begins anew: all tiles of before go.
    pub anew: bool,
}

/// An event as the audit sees it: its digest is computed from what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    pub position: i64,
    pub recorded_at_ms: i64,
    /// `aggregate_type/aggregate_id`
    pub stream: Box<str>,
    pub sequence: u64,
    pub prev_digest: Sha256Digest,
    /// As it is stored.
    pub digest: Sha256Digest,
    /// As it follows from all else that is stored.
    pub computed: Sha256Digest,
    /// What is wrong with where it stands.
    pub amiss: Option<&'static str>,
}

impl From<&StoredEvent> for Scanned {
    /// One whose digest was computed.
    fn from(stored: &StoredEvent) -> Self {
        let event = &stored.event;
        Self {
            position: i64::try_from(stored.position).unwrap_or(i64::MAX),
            recorded_at_ms: stored.recorded_at_ms,
            stream: event.stream.to_string().into(),
            sequence: event.sequence,
            prev_digest: event.prev_digest,
            digest: event.digest,
            computed: event.digest,
            amiss: None,
        }
    }
}

/// Where the history of one aggregate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedHead {
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub head: Head,
}

impl ListedHead {
    pub(super) fn new(stream: &StreamId, head: Head) -> Self {
        Self {
            aggregate_type: stream.kind.as_str().to_owned(),
            aggregate_id: stream.id.to_string(),
            head,
        }
    }

    /// The first of two lists in order, of as many as asked for.
    pub(super) fn merged(mut these: Vec<Self>, others: Vec<Self>, limit: usize) -> Vec<Self> {
        let order = |a: &Self, b: &Self| {
            (&a.aggregate_type, &a.aggregate_id).cmp(&(&b.aggregate_type, &b.aggregate_id))
        };
        if !others.is_empty() {
            these.extend(others);
            these.sort_by(order);
            these.truncate(limit);
        }
        these
    }
}
