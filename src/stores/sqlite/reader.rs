//! Connections that only read, and never checkpoint.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use chancery_domain::ids::AggregateKind;
use chancery_projections::{ColumnType, Value};
use futures_util::future::BoxFuture;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::rows::{
    EVENT_COLUMNS, Metadata, Owner, column, digest, integer, kept, number, placed, stored_event,
    value, whole_event,
};
use super::worker::Worker;
use super::{erasure, packs as packed, views};
use crate::stores::packs::{self, Rest};
use crate::stores::{
    Bounds, Checkpoint, Head, Loaded, LoadedEvent, LogReader, Query, Remains, SealedRow, Snapshot,
    StoreError, StoredEvent, StreamId, Traces, WrappedKeyRow,
};

pub(super) struct Reader {
    pub(super) log: Connection,
    /// None where there are none to trust, which happens only beside no writer.
    views: Option<Connection>,
}

/// Opens a database for reading.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    super::settings(&connection)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

impl Reader {
    pub(super) fn new(log: Connection, views: Option<Connection>) -> Self {
        Self { log, views }
    }

    /// How much is left of a person.
    pub(super) fn remains(&self, traces: &Traces) -> Result<Remains, StoreError> {
        erasure::remains(&self.log, traces)
    }

    pub(super) fn load(&self, stream: &StreamId, after: u64) -> Result<Loaded, StoreError> {
        let loaded = self.load_rows(stream, after)?;
        if loaded.head != Head::START || packs::may_go(stream).is_none() {
            return Ok(loaded);
        }
        // It may just be on its way from the ones to the others.
        let _snapshot = self.log.unchecked_transaction()?;
        match packed::history(&self.log, stream)? {
            Some(history) => Ok(packs::loaded(history, after)),
            None => self.load_rows(stream, after),
        }
    }

    /// One statement, so one snapshot: the head belongs to the events.
    fn load_rows(&self, stream: &StreamId, after: u64) -> Result<Loaded, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT sequence, event_type, event_version, payload, digest FROM events
             WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence >= ?3
             ORDER BY sequence",
        )?;
        let mut rows = statement.query(params![stream.kind.as_str(), stream.id, integer(after)])?;
        let mut loaded = Loaded { events: Vec::new(), head: Head::START };
        let mut expected = after.max(1);
        while let Some(row) = rows.next()? {
            let sequence = number(row, 0)?;
            if sequence != expected {
                return Err(StoreError::Corrupt(format!("{stream}: event {expected} is missing")));
            }
            expected += 1;
            loaded.head = Head { sequence, digest: digest(row, 4)? };
            if sequence == after {
                continue;
            }
            loaded.events.push(LoadedEvent {
                sequence,
                event_type: row.get(1)?,
                event_version: row.get(2)?,
                payload: row.get(3)?,
            });
        }
        Ok(loaded)
    }

    pub(super) fn history(&self, stream: &StreamId) -> Result<Vec<StoredEvent>, StoreError> {
        let history = self.history_in_rows(stream)?;
        if !history.is_empty() || packs::may_go(stream).is_none() {
            return Ok(history);
        }
        // It may just be on its way from the ones to the others.
        let _snapshot = self.log.unchecked_transaction()?;
        match packed::history(&self.log, stream)? {
            Some(history) => Ok(history),
            None => self.history_in_rows(stream),
        }
    }

    fn history_in_rows(&self, stream: &StreamId) -> Result<Vec<StoredEvent>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM whole_events
             WHERE aggregate_type = ?1 AND aggregate_id = ?2 ORDER BY sequence"
        ))?;
        let mut rows = statement.query(params![stream.kind.as_str(), stream.id])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(whole_event(row)?);
        }
        Ok(events)
    }

    /// The next events, and what a pack has besides.
    fn log_after(&self, after: u64, limit: usize) -> Result<(Vec<StoredEvent>, Rest), StoreError> {
        let _snapshot = self.log.unchecked_transaction()?;
        if let Some(mut rest) = self.pack_after(after)? {
            return Ok((rest.take(after, limit), rest));
        }
        Ok((self.rows_after(after, limit)?, Rest::default()))
    }

    /// The events after a position that have rows.
    pub(super) fn rows_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE position > ?1 ORDER BY position LIMIT ?2"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![integer(after), limit])?;
        let mut events = Vec::new();
        let mut metadata = Metadata::of(&self.log);
        while let Some(row) = rows.next()? {
            events.push(stored_event(row, metadata.next(row)?)?);
        }
        Ok(events)
    }

    pub(super) fn last_position(&self) -> Result<u64, StoreError> {
        last_position(&self.log)
    }

    pub(super) fn sealed(&self, stream: &StreamId) -> Result<Vec<SealedRow>, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT sequence, ciphertext FROM sealed
             WHERE aggregate_type = ?1 AND aggregate_id = ?2 ORDER BY sequence",
        )?;
        let mut rows = statement.query(params![stream.kind.as_str(), Owner(&stream.id)])?;
        let mut sealed = Vec::new();
        while let Some(row) = rows.next()? {
            sealed.push(SealedRow {
                stream: stream.clone(),
                sequence: number(row, 0)?,
                ciphertext: row.get(1)?,
            });
        }
        Ok(sealed)
    }

    pub(super) fn data_key(&self, owner: &StreamId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .log
            .prepare_cached(
                "SELECT wrapped FROM data_keys WHERE owner_type = ?1 AND owner_id = ?2",
            )?
            .query_row(params![owner.kind.as_str(), Owner(&owner.id)], |row| row.get(0))
            .optional()?)
    }

    pub(super) fn ids(&self, kind: AggregateKind) -> Result<Vec<String>, StoreError> {
        Ok(self
            .log
            .prepare_cached(
                "SELECT aggregate_id FROM events
                 WHERE aggregate_type = ?1 AND sequence = 1 ORDER BY aggregate_id",
            )?
            .query_map([kind.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn wrapped_keys(&self, purpose: &str) -> Result<Vec<WrappedKeyRow>, StoreError> {
        Ok(self
            .log
            .prepare_cached(
                "SELECT key_id, purpose, wrapped FROM wrapped_keys
                 WHERE purpose = ?1 ORDER BY key_id",
            )?
            .query_map([purpose], |row| {
                Ok(WrappedKeyRow {
                    key_id: row.get(0)?,
                    purpose: row.get(1)?,
                    wrapped: row.get(2)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn name_owner(
        &self,
        space: &str,
        name: &[u8; 32],
    ) -> Result<Option<String>, StoreError> {
        Ok(self
            .log
            .prepare_cached("SELECT owner FROM names WHERE space = ?1 AND name = ?2")?
            .query_row(params![space, name], |row| row.get(0))
            .optional()?)
    }

    pub(super) fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT state_version, sequence, digest, state FROM snapshots
             WHERE aggregate_type = ?1 AND aggregate_id = ?2",
        )?;
        let mut rows = statement.query(params![stream.kind.as_str(), Owner(&stream.id)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Snapshot {
            state_version: row.get(0)?,
            head: Head { sequence: number(row, 1)?, digest: digest(row, 2)? },
            state: row.get(3)?,
        }))
    }

    pub(super) fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        let Some(views) = &self.views else { return Ok(None) };
        views::checkpoint(views, name)
    }

    pub(super) fn checkpoints(&self) -> Result<Vec<(String, Checkpoint)>, StoreError> {
        let Some(views) = &self.views else { return Ok(Vec::new()) };
        let mut statement = views
            .prepare_cached("SELECT name, version, position FROM checkpoints ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut checkpoints = Vec::new();
        while let Some(row) = rows.next()? {
            let checkpoint = Checkpoint { version: row.get(1)?, position: number(row, 2)? };
            checkpoints.push((row.get(0)?, checkpoint));
        }
        Ok(checkpoints)
    }

    pub(super) fn select(&self, query: &Query) -> Result<Vec<Vec<Value>>, StoreError> {
        let Some(views) = &self.views else {
            return Err(StoreError::Closed(
                "the read models are not built yet: start the server once".to_owned(),
            ));
        };
        let view = views.unchecked_transaction()?;
        let Some(question) = question(&view, query)? else {
            return Err(StoreError::Corrupt(format!(
                "the row of {} to page on from is no longer there: start from the first page",
                query.table.name
            )));
        };
        let mut statement = view.prepare_cached(&question.sql)?;
        for (index, value) in question.values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(
                (0..query.table.columns.len())
                    .map(|index| value(row, index))
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(found)
    }
}

/// The highest position in the log.
pub(super) fn last_position(log: &Connection) -> Result<u64, StoreError> {
    let position: i64 = log
        .prepare_cached("SELECT coalesce(max(position), 0) FROM events")?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(position).unwrap_or_default())
}

struct Question {
    sql: String,
    values: Vec<rusqlite::types::Value>,
}

impl Question {
    /// Notes a value that a column is compared with, and names its place.
    fn bind(&mut self, value: &Value, holds: ColumnType) -> String {
        self.values.push(placed(value, holds));
        format!("?{}", self.values.len())
    }
}

/// Bounds of a column, without the one that the row to page on from has passed: of two lower bounds
/// SQLite begins at either, and would go through all pages before this one again.
fn further<'a>(query: &Query, bounds: &'a Bounds) -> (Option<&'a Value>, Option<&'a Value>) {
    let (from, below) = (bounds.from.as_ref(), bounds.below.as_ref());
    let key = query.table.key;
    let passed = query.after.as_ref().filter(|_| bounds.column == key && query.order_by == key);
    match passed {
        Some(after) if query.descending => (from, below.filter(|below| *below < after)),
        Some(after) => (from.filter(|from| *from > after), below),
        None => (from, below),
    }
}

/// The SQL of a query. None: the row to page on from is gone, and with it its place.
///
/// NULL comes before all values: first when ascending, last when descending.
fn question(view: &Connection, query: &Query) -> Result<Option<Question>, StoreError> {
    let table = query.table;
    let (key, key_holds) = column(table, table.key)?;
    let (order, order_holds) = column(table, query.order_by)?;
    let columns =
        table.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut question = Question {
        sql: format!("SELECT {columns} FROM \"{}\" WHERE TRUE", table.name),
        values: Vec::new(),
    };
    let looked_up = query.equals.iter().map(|equal| ("", equal));
    // An expression is found by no index.
    let besides = query.besides.iter().map(|equal| ("+", equal));
    for (sign, (name, value)) in looked_up.chain(besides) {
        let (name, holds) = column(table, name)?;
        // `IS` would find NULL too, but is no reason to use an index without NULLs.
        if *value == Value::Null {
            let _ = write!(question.sql, " AND {sign}{name} IS NULL");
        } else if kept(value, holds).is_none() {
            question.sql.push_str(" AND FALSE");
        } else {
            let place = question.bind(value, holds);
            let _ = write!(question.sql, " AND {sign}{name} = {place}");
        }
    }
    for bounds in &query.within {
        let (name, holds) = column(table, bounds.column)?;
        let (from, below) = further(query, bounds);
        for (compared, bound) in [(">=", from), ("<", below)] {
            if let Some(value) = bound {
                let place = question.bind(value, holds);
                let _ = write!(question.sql, " AND {name} {compared} {place}");
            }
        }
    }
    let (direction, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    if let Some(after) = &query.after {
        let after_key = question.bind(after, key_holds);
        if query.order_by == table.key {
            let _ = write!(question.sql, " AND {key} {beyond} {after_key}");
        } else {
            let mut statement = view.prepare_cached(&format!(
                "SELECT {order} FROM \"{}\" WHERE {key} = ?1",
                table.name
            ))?;
            let mut rows = statement.query([placed(after, key_holds)])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let condition = match (value(row, 0)?, query.descending) {
                (Value::Null, false) => {
                    format!("({order} IS NOT NULL OR {key} > {after_key})")
                }
                (Value::Null, true) => format!("({order} IS NULL AND {key} < {after_key})"),
                (stands_at, false) => {
                    let stands_at = question.bind(&stands_at, order_holds);
                    format!("({order}, {key}) > ({stands_at}, {after_key})")
                }
                (stands_at, true) => {
                    let stands_at = question.bind(&stands_at, order_holds);
                    format!("(({order}, {key}) < ({stands_at}, {after_key}) OR {order} IS NULL)")
                }
            };
            let _ = write!(question.sql, " AND {condition}");
        }
    }
    let _ = write!(question.sql, " ORDER BY {order} {direction}");
    if query.order_by != table.key {
        let _ = write!(question.sql, ", {key} {direction}");
    }
    let _ = write!(question.sql, " LIMIT {}", query.limit);
    Ok(Some(question))
}

/// Reads the log in order. There is one writer, so positions appear in order, and a hole is one
/// for good.
pub(super) struct SqliteLog {
    pub(super) readers: Arc<Worker<Reader>>,
    pub(super) position: u64,
    pub(super) rest: Rest,
}

impl LogReader for SqliteLog {
    fn next(&mut self, limit: usize) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let after = self.position;
            let mut events = self.rest.take(after, limit);
            if events.is_empty() {
                let read = self.readers.run(move |reader| reader.log_after(after, limit)).await?;
                (events, self.rest) = read;
            }
            if let Some(last) = events.last() {
                self.position = last.position;
            }
            Ok(events)
        })
    }

    fn position(&self) -> u64 {
        self.position
    }
}
