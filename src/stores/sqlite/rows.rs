//! Between rows and types.

use std::borrow::Cow;
use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;
use chancery_projections::{ColumnType, Table, Value};
use rusqlite::types::{self, FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ffi};

use crate::stores::{NewEvent, StoreError, StoredEvent, StreamId, ids};

/// The columns of an event, in the order that [`stored_event`] reads them.
pub(super) const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, \
     sequence, event_type, event_version, payload, metadata, prev_digest, digest";

/// The metadata of events that are read in the order of the log. Where a row has none, they are
/// those of the row before: one append wrote both.
pub(super) struct Metadata<'c> {
    log: &'c Connection,
    last: Option<Arc<str>>,
}

impl<'c> Metadata<'c> {
    pub(super) fn of(log: &'c Connection) -> Self {
        Self { log, last: None }
    }

    /// That of the next row of [`EVENT_COLUMNS`]; rows of one append share it.
    pub(super) fn next(&mut self, row: &Row<'_>) -> Result<Arc<str>, StoreError> {
        let own = text(row, METADATA)?;
        let metadata = match &self.last {
            Some(last) if own.is_empty() => return Ok(Arc::clone(last)),
            None if own.is_empty() => self
                .log
                .prepare_cached("SELECT metadata FROM whole_events WHERE position = ?1")?
                .query_row([row.get::<_, i64>(0)?], |row| row.get(0))?,
            _ => Arc::from(own),
        };
        self.last = Some(Arc::clone(&metadata));
        Ok(metadata)
    }
}

/// Where [`EVENT_COLUMNS`] have the metadata.
const METADATA: usize = 8;

/// Reads [`EVENT_COLUMNS`] of a row that is whole.
pub(super) fn whole_event(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    stored_event(row, Arc::from(text(row, METADATA)?))
}

/// Reads [`EVENT_COLUMNS`].
pub(super) fn stored_event(row: &Row<'_>, metadata: Arc<str>) -> Result<StoredEvent, StoreError> {
    let kind = text(row, 2)?;
    Ok(StoredEvent {
        position: number(row, 0)?,
        recorded_at_ms: row.get(1)?,
        event: NewEvent {
            stream: StreamId {
                kind: kind.parse().map_err(|_| {
                    StoreError::Corrupt(format!("the log holds an unknown aggregate type, {kind}"))
                })?,
                id: Arc::from(text(row, 3)?),
            },
            sequence: number(row, 4)?,
            event_type: Cow::Owned(row.get(5)?),
            event_version: Cow::Owned(row.get(6)?),
            payload: Box::from(text(row, 7)?),
            metadata,
            prev_digest: digest(row, 9)?,
            digest: digest(row, 10)?,
        },
    })
}

/// A column of text, as it lies in the row.
pub(super) fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r str, StoreError> {
    row.get_ref(index)?
        .as_str()
        .map_err(|_| StoreError::Corrupt(format!("column {index} of a row is not text")))
}

/// A column that is never negative.
pub(super) fn number(row: &Row<'_>, index: usize) -> Result<u64, StoreError> {
    let number: i64 = row.get(index)?;
    u64::try_from(number)
        .map_err(|_| StoreError::Corrupt(format!("column {index} of a row is negative: {number}")))
}

/// A column of 32 bytes.
pub(super) fn digest(row: &Row<'_>, index: usize) -> Result<Sha256Digest, StoreError> {
    row.get_ref(index)?
        .as_blob()
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| StoreError::Corrupt(format!("column {index} of a row is not a digest")))
}

/// A sequence or position as SQLite keeps it; one that is too large stands above all others.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A value as a column keeps it; None: the column can't.
pub(super) fn kept(value: &Value, holds: ColumnType) -> Option<ToSqlOutput<'_>> {
    match value {
        Value::Null => Some(ToSqlOutput::Borrowed(ValueRef::Null)),
        Value::Int(number) => Some(ToSqlOutput::Borrowed(ValueRef::Integer(*number))),
        Value::Text(text) => kept_text(text, holds),
    }
}

/// The same of a text.
pub(super) fn kept_text(text: &str, holds: ColumnType) -> Option<ToSqlOutput<'_>> {
    if holds == ColumnType::Id {
        return ids::packed(text).map(|id| ToSqlOutput::Owned(id.to_vec().into()));
    }
    Some(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())))
}

/// An id as a table keeps it that may have others' names too: its bytes, or the text of what is
/// none.
pub(super) struct Owner<'a>(pub &'a str);

impl ToSql for Owner<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match ids::packed(self.0) {
            Some(id) => ToSqlOutput::Owned(id.to_vec().into()),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())),
        })
    }
}

/// The text of what is kept as an [`Owner`].
pub(super) struct OwnerText(pub String);

impl FromSql for OwnerText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => ids::unpacked(bytes).ok_or(FromSqlError::InvalidType),
            value => value.as_str().map(str::to_owned),
        }
        .map(Self)
    }
}

/// What stands among the values of a column where this one would: to compare them with.
pub(super) fn placed(value: &Value, holds: ColumnType) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Int(number) => types::Value::Integer(*number),
        Value::Text(text) if holds == ColumnType::Id => types::Value::Blob(ids::place(text)),
        Value::Text(text) => types::Value::Text(text.clone()),
    }
}

/// A value of a read model.
pub(super) fn value(row: &Row<'_>, index: usize) -> Result<Value, StoreError> {
    let found = match row.get_ref(index)? {
        ValueRef::Null => Some(Value::Null),
        ValueRef::Integer(number) => Some(Value::Int(number)),
        ValueRef::Text(_) => Some(Value::Text(text(row, index)?.to_owned())),
        ValueRef::Blob(bytes) => ids::unpacked(bytes).map(Value::Text),
        ValueRef::Real(_) => None,
    };
    found.ok_or_else(|| {
        StoreError::Corrupt(format!(
            "column {index} of a read model is neither a number nor text nor an id"
        ))
    })
}

/// The column's name in quotes, and what it holds, if the table has it: SQLite takes an unknown
/// name in quotes for a text.
pub(super) fn column(table: &Table, name: &str) -> Result<(String, ColumnType), StoreError> {
    let holds = table.holds(name).ok_or_else(|| {
        StoreError::Corrupt(format!("the read model {} has no column {name}", table.name))
    })?;
    Ok((format!("\"{name}\""), holds))
}

/// Does the error say that there is such a row already?
pub(super) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error(),
        Some(ffi::Error {
            extended_code: ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ..
        })
    )
}

/// Does the error say that the file is broken?
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}
