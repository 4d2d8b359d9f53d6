//! Packs ([`crate::stores::packs`]): written, read, and emptied again where a history goes on.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::reader::Reader;
use super::rows::{digest, integer, number, text};
use super::writer::Writer;
use crate::stores::packs::{self, Audited, Pack, PackedStream, Packing, Rest, Ripe};
use crate::stores::{Head, ListedHead, StoreError, StoredEvent, StreamId, ids};

/// What [`packed_stream`] reads.
const STREAM_COLUMNS: &str = "sequence, digest, position, packs";

impl Reader {
    /// The next events to be packed, in one piece.
    pub(super) fn ripe(&self, ripe: Ripe) -> Result<Option<Pack>, StoreError> {
        let _snapshot = self.log.unchecked_transaction()?;
        let begins_after = through(&self.log)?;
        let mut wanted = packs::EVENTS;
        loop {
            // One more: the last row of the log stays.
            let mut events = self.rows_after(begins_after, wanted + 1)?;
            if events.len() <= wanted {
                return Ok(None);
            }
            // An append's metadata stand in its first row: it goes into one pack as a whole.
            let begins_append = |pair: &[StoredEvent]| match pair {
                [one, next] => !Arc::ptr_eq(&one.event.metadata, &next.event.metadata),
                _ => false,
            };
            let Some(last) = events.windows(2).rposition(begins_append) else {
                wanted *= 2;
                continue;
            };
            events.truncate(last + 1);
            return ripe.are(&events).then(|| Pack::of(begins_after, events)).transpose();
        }
    }

    /// What a pack holds after a position, if one does.
    pub(super) fn pack_after(&self, position: u64) -> Result<Option<Rest>, StoreError> {
        let lines: Option<Vec<u8>> = self
            .log
            .prepare_cached("SELECT lines FROM packs WHERE through > ?1 ORDER BY through LIMIT 1")?
            .query_row([integer(position)], |row| row.get(0))
            .optional()?;
        lines.map(|lines| Rest::of(&lines)).transpose()
    }

    /// The pack that reaches beyond a position, if one does, for an audit.
    pub(super) fn audited_after(&self, position: i64) -> Result<Option<Audited>, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT (SELECT max(earlier.through) FROM packs AS earlier
                     WHERE earlier.through < packs.through), begins_after, through, lines
             FROM packs WHERE through > ?1 ORDER BY through LIMIT 1",
        )?;
        let mut rows = statement.query([position])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let lines: Vec<u8> = row.get(3)?;
        Audited::new(row.get(0)?, (row.get(1)?, row.get(2)?), &lines).map(Some)
    }

    pub(super) fn packed_through(&self) -> Result<u64, StoreError> {
        through(&self.log)
    }

    /// Where packed histories end as of a position, in their order; at most so many.
    pub(super) fn packed_heads(
        &self,
        through: u64,
        after: &(String, String),
        limit: usize,
    ) -> Result<Vec<ListedHead>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {STREAM_COLUMNS}, aggregate_type, aggregate_id FROM packed_streams
             WHERE (aggregate_type, aggregate_id) > (?1, ?2)
             ORDER BY aggregate_type, aggregate_id"
        ))?;
        let mut rows = statement.query(params![after.0, ids::place(&after.1)])?;
        let mut heads = Vec::new();
        while heads.len() < limit
            && let Some(row) = rows.next()?
        {
            let packed = packed_stream(row)?;
            let stream = stream(row)?;
            let head = if packed.position <= through {
                Some(packed.head)
            } else {
                packs::head_as_of(through, &unpack(&self.log, &stream, &packed)?)
            };
            heads.extend(head.map(|head| ListedHead::new(&stream, head)));
        }
        Ok(heads)
    }
}

impl Writer {
    /// Writes a pack, and takes the rows of histories away that are whole in packs with it.
    pub(super) fn pack(&mut self, pack: &Pack) -> Result<Packing, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if through(&transaction)? != pack.begins_after {
            return Ok(Packing::NotNow);
        }
        transaction
            .prepare_cached(
                "INSERT INTO packs (through, begins_after, events, lines) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                integer(pack.through()),
                integer(pack.begins_after),
                integer(pack.count()),
                pack.lines
            ])?;
        let mut histories = 0;
        for (id, last) in pack.last_events() {
            histories += u64::from(take_away(&transaction, id, last)?);
        }
        make_whole(&transaction, pack)?;
        transaction.commit()?;
        Ok(Packing::Done(pack.packed(histories)))
    }
}

/// Takes the rows of a history away if it ends with this event, and notes in which packs it is.
fn take_away(
    transaction: &Transaction<'_>,
    id: [u8; 16],
    last: &StoredEvent,
) -> Result<bool, StoreError> {
    let stream = &last.event.stream;
    let kind = stream.kind.as_str();
    let positions: Vec<i64> = transaction
        .prepare_cached(
            "SELECT position FROM events
             WHERE aggregate_type = ?1 AND aggregate_id = ?2 ORDER BY sequence",
        )?
        .query_map(params![kind, stream.id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if positions.last() != Some(&integer(last.position)) {
        return Ok(false);
    }
    let mut packs: Vec<i64> = Vec::new();
    for position in positions {
        if packs.last().is_none_or(|through| position > *through) {
            packs.push(
                transaction
                    .prepare_cached(
                        "SELECT through FROM packs WHERE through >= ?1 ORDER BY through LIMIT 1",
                    )?
                    .query_row([position], |row| row.get(0))?,
            );
        }
    }
    transaction
        .prepare_cached(
            "INSERT INTO packed_streams
                 (aggregate_type, aggregate_id, sequence, digest, position, packs)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            kind,
            id,
            integer(last.event.sequence),
            last.event.digest.as_bytes(),
            integer(last.position),
            json(&packs)?,
        ])?;
    transaction
        .prepare_cached("DELETE FROM events WHERE aggregate_type = ?1 AND aggregate_id = ?2")?
        .execute(params![kind, stream.id])?;
    Ok(true)
}

/// Gives the rows that stay their metadata: the row that had them may go.
fn make_whole(transaction: &Transaction<'_>, pack: &Pack) -> Result<(), StoreError> {
    let positions: Vec<i64> = transaction
        .prepare_cached(
            "SELECT position FROM events WHERE position > ?1 AND position <= ?2 AND metadata = ''",
        )?
        .query_map(params![integer(pack.begins_after), integer(pack.through())], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for stored in &pack.events {
        if positions.binary_search(&integer(stored.position)).is_ok() {
            insert(transaction, stored)?;
        }
    }
    Ok(())
}

/// Puts a history that stands in packs back into rows. False: it does not.
pub(super) fn put_back(log: &Connection, stream: &StreamId) -> Result<bool, StoreError> {
    let (Some(id), Some(history)) = (packs::may_go(stream), history(log, stream)?) else {
        return Ok(false);
    };
    log.prepare_cached(
        "DELETE FROM packed_streams WHERE aggregate_type = ?1 AND aggregate_id = ?2",
    )?
    .execute(params![stream.kind.as_str(), id])?;
    for stored in &history {
        insert(log, stored)?;
    }
    Ok(true)
}

/// Writes an event's row as it is in a pack; in place of the one that is there.
fn insert(log: &Connection, stored: &StoredEvent) -> Result<(), StoreError> {
    let event = &stored.event;
    log.prepare_cached(
        "INSERT OR REPLACE INTO events
             (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
              metadata, prev_digest, digest, recorded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        integer(stored.position),
        event.stream.kind.as_str(),
        event.stream.id,
        integer(event.sequence),
        event.event_type,
        event.event_version,
        event.payload,
        event.metadata,
        event.prev_digest.as_bytes(),
        event.digest.as_bytes(),
        stored.recorded_at_ms,
    ])?;
    Ok(())
}

/// Up to which position all is packed.
fn through(log: &Connection) -> Result<u64, StoreError> {
    let through: i64 = log
        .prepare_cached("SELECT coalesce(max(through), 0) FROM packs")?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(through).unwrap_or(0))
}

/// The history, if it stands in packs.
pub(super) fn history(
    log: &Connection,
    stream: &StreamId,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    lookup(log, stream)?.map(|packed| unpack(log, stream, &packed)).transpose()
}

/// Where the history stands in packs, if it does.
pub(super) fn lookup(
    log: &Connection,
    stream: &StreamId,
) -> Result<Option<PackedStream>, StoreError> {
    let Some(id) = packs::may_go(stream) else { return Ok(None) };
    let mut statement = log.prepare_cached(&format!(
        "SELECT {STREAM_COLUMNS} FROM packed_streams
         WHERE aggregate_type = ?1 AND aggregate_id = ?2"
    ))?;
    let mut rows = statement.query(params![stream.kind.as_str(), id])?;
    rows.next()?.map(packed_stream).transpose()
}

fn unpack(
    log: &Connection,
    stream: &StreamId,
    packed: &PackedStream,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut statement = log.prepare_cached("SELECT lines FROM packs WHERE through = ?1")?;
    let mut packs = Vec::with_capacity(packed.packs.len());
    for through in &packed.packs {
        packs.extend(
            statement.query_row([integer(*through)], |row| row.get::<_, Vec<u8>>(0)).optional()?,
        );
    }
    packed.history(stream, &packs)
}

/// Reads [`STREAM_COLUMNS`].
fn packed_stream(row: &Row<'_>) -> Result<PackedStream, StoreError> {
    Ok(PackedStream {
        head: Head { sequence: number(row, 0)?, digest: digest(row, 1)? },
        position: number(row, 2)?,
        packs: serde_json::from_str(text(row, 3)?)
            .map_err(|error| StoreError::Corrupt(format!("a list of packs: {error}")))?,
    })
}

/// Of which history a row is that begins with [`STREAM_COLUMNS`].
fn stream(row: &Row<'_>) -> Result<StreamId, StoreError> {
    let kind = text(row, 4)?;
    let id = row.get_ref(5)?.as_blob().ok().and_then(ids::unpacked);
    match (kind.parse(), id) {
        (Ok(kind), Some(id)) => Ok(StreamId { kind, id: id.into() }),
        _ => Err(StoreError::Corrupt(format!("a packed history of type {kind} has no id"))),
    }
}

fn json(packs: &[i64]) -> Result<String, StoreError> {
    serde_json::to_string(packs).map_err(|error| StoreError::Corrupt(error.to_string()))
}
