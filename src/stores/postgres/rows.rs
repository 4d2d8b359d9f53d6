//! From rows to what they mean.

use std::borrow::Cow;
use std::str::FromStr as _;

use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::stores::{NewEvent, StoreError, StoredEvent, StreamId};

/// The columns that [`event`] reads, in its order.
pub(super) const EVENT_COLUMNS: &str = "position, \
    floor(extract(epoch FROM recorded_at) * 1000)::bigint, aggregate_type, aggregate_id, \
    sequence, event_type, event_version, payload::text, metadata::text, prev_digest, digest";

/// An event, from [`EVENT_COLUMNS`].
pub(super) fn event(row: &PgRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        position: unsigned(row.try_get(0)?)?,
        recorded_at_ms: row.try_get(1)?,
        event: NewEvent {
            stream: stream(row.try_get(2)?, row.try_get(3)?)?,
            sequence: unsigned(row.try_get(4)?)?,
            event_type: Cow::Owned(row.try_get(5)?),
            event_version: Cow::Owned(row.try_get(6)?),
            payload: row.try_get::<String, _>(7)?.into(),
            metadata: row.try_get::<&str, _>(8)?.into(),
            prev_digest: digest(row.try_get(9)?)?,
            digest: digest(row.try_get(10)?)?,
        },
    })
}

pub(super) fn stream(kind: &str, id: &str) -> Result<StreamId, StoreError> {
    let kind = AggregateKind::from_str(kind)
        .map_err(|_| StoreError::Corrupt(format!("unknown aggregate type {kind:?}")))?;
    Ok(StreamId { kind, id: id.into() })
}

pub(super) fn digest(bytes: &[u8]) -> Result<Sha256Digest, StoreError> {
    Sha256Digest::try_from(bytes)
        .map_err(|_| StoreError::Corrupt("a stored digest is not 32 bytes long".into()))
}

/// Positions and sequences are never negative.
pub(super) fn unsigned(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored)
        .map_err(|_| StoreError::Corrupt(format!("{stored} where a count should be")))
}

/// PostgreSQL counts in signed numbers; no log reaches their end.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
