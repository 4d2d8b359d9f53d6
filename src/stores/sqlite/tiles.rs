//! The Merkle log: its tiles and checkpoints, and all of the log to check it by.

use std::collections::HashMap;

use chancery_domain::digest::EventFacts;
use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, params};

use super::packs;
use super::reader::Reader;
use super::rows::{EVENT_COLUMNS, Metadata, digest, integer, is_unique_violation, number, text};
use super::writer::Writer;
use crate::stores::{Head, ListedHead, LogCheckpoint, LogTile, Scanned, Seal, StoreError};

const TILE_COLUMNS: &str = "level, idx, first_position, data";

impl Reader {
    pub(super) fn log_checkpoints(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogCheckpoint>, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT serial, origin, size, position, root, signed_at, note FROM log_checkpoints
             WHERE serial < ?1 ORDER BY serial DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![before.map_or(i64::MAX, integer), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(LogCheckpoint {
                serial: number(row, 0)?,
                origin: row.get(1)?,
                size: number(row, 2)?,
                position: number(row, 3)?,
                root: digest(row, 4)?,
                signed_at_ms: row.get(5)?,
                note: row.get(6)?,
            });
        }
        Ok(found)
    }

    pub(super) fn log_tiles(&self, wanted: &[(u8, u64)]) -> Result<Vec<LogTile>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {TILE_COLUMNS} FROM log_tiles WHERE level = ?1 AND idx = ?2"
        ))?;
        let mut found = Vec::with_capacity(wanted.len());
        for (level, index) in wanted {
            let mut rows = statement.query(params![level, integer(*index)])?;
            if let Some(row) = rows.next()? {
                found.push(tile(row)?);
            }
        }
        Ok(found)
    }

    pub(super) fn log_tile_at(&self, position: u64) -> Result<Option<LogTile>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {TILE_COLUMNS} FROM log_tiles
             WHERE level = 0 AND first_position <= ?1 ORDER BY first_position DESC LIMIT 1"
        ))?;
        let mut rows = statement.query([integer(position)])?;
        rows.next()?.map(tile).transpose()
    }

    pub(super) fn scan(&self, after: i64, limit: usize) -> Result<Vec<Scanned>, StoreError> {
        let _snapshot = self.log.unchecked_transaction()?;
        let Some(audited) = self.audited_after(after)? else {
            return self.scan_rows((after, i64::MAX), limit);
        };
        let rows = self.scan_rows(audited.range(), usize::MAX)?;
        let mut index = HashMap::new();
        for stream in audited.streams() {
            index.extend(packs::lookup(&self.log, stream)?.map(|packed| (stream.clone(), packed)));
        }
        let mut scanned = audited.scan(rows, &index);
        scanned.retain(|event| event.position > after);
        scanned.truncate(limit);
        Ok(scanned)
    }

    fn scan_rows(
        &self,
        (after, through): (i64, i64),
        limit: usize,
    ) -> Result<Vec<Scanned>, StoreError> {
        let mut statement = self.log.prepare_cached(&format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE position > ?1 AND position <= ?2
             ORDER BY position LIMIT ?3"
        ))?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, through, most])?;
        let mut scanned = Vec::with_capacity(limit.min(4096));
        let mut metadata = Metadata::of(&self.log);
        while let Some(row) = rows.next()? {
            scanned.push(scan(row, &metadata.next(row)?)?);
        }
        Ok(scanned)
    }

    pub(super) fn heads(
        &self,
        through: u64,
        after: &(String, String),
        limit: usize,
    ) -> Result<Vec<ListedHead>, StoreError> {
        let _snapshot = self.log.unchecked_transaction()?;
        // With max() alone, SQLite takes the other columns from the row that has it.
        let mut statement = self.log.prepare_cached(
            "SELECT aggregate_type, aggregate_id, max(sequence), digest FROM events
             WHERE (aggregate_type, aggregate_id) > (?1, ?2) AND position <= ?3
             GROUP BY aggregate_type, aggregate_id
             ORDER BY aggregate_type, aggregate_id LIMIT ?4",
        )?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after.0, after.1, integer(through), most])?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            let head = Head { sequence: number(row, 2)?, digest: digest(row, 3)? };
            let (aggregate_type, aggregate_id) = (row.get(0)?, row.get(1)?);
            heads.push(ListedHead { aggregate_type, aggregate_id, head });
        }
        Ok(ListedHead::merged(heads, self.packed_heads(through, after, limit)?, limit))
    }
}

/// Reads [`TILE_COLUMNS`].
fn tile(row: &Row<'_>) -> Result<LogTile, StoreError> {
    Ok(LogTile {
        level: row.get(0)?,
        index: number(row, 1)?,
        first_position: number(row, 2)?,
        data: row.get(3)?,
    })
}

/// Reads [`EVENT_COLUMNS`]; nothing is copied but what is kept.
fn scan(row: &Row<'_>, metadata: &str) -> Result<Scanned, StoreError> {
    let (kind, id) = (text(row, 2)?, text(row, 3)?);
    let sequence = number(row, 4)?;
    let prev_digest = digest(row, 9)?;
    let facts = EventFacts {
        kind,
        id,
        sequence,
        event_type: text(row, 5)?,
        event_version: text(row, 6)?,
        payload: text(row, 7)?.as_bytes(),
        metadata: metadata.as_bytes(),
        prev_digest,
    };
    Ok(Scanned {
        position: row.get(0)?,
        recorded_at_ms: row.get(1)?,
        stream: [kind, "/", id].concat().into(),
        sequence,
        prev_digest,
        digest: digest(row, 10)?,
        computed: facts.digest(),
        amiss: None,
    })
}

impl Writer {
    pub(super) fn seal(&mut self, seal: &Seal) -> Result<bool, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last: Option<i64> = transaction
            .prepare_cached("SELECT max(serial) FROM log_checkpoints")?
            .query_row([], |row| row.get(0))
            .optional()?
            .flatten();
        let checkpoint = &seal.checkpoint;
        if integer(checkpoint.serial) != last.unwrap_or(0) + 1 {
            return Ok(false);
        }
        let inserted = transaction
            .prepare_cached(
                "INSERT INTO log_checkpoints
                     (serial, origin, size, position, root, signed_at, note)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                integer(checkpoint.serial),
                checkpoint.origin,
                integer(checkpoint.size),
                integer(checkpoint.position),
                checkpoint.root.as_bytes(),
                checkpoint.signed_at_ms,
                checkpoint.note,
            ]);
        match inserted {
            Err(error) if is_unique_violation(&error) => return Ok(false),
            inserted => inserted?,
        };
        if let Some(dropped) = seal.drop_checkpoint {
            transaction
                .prepare_cached("DELETE FROM log_checkpoints WHERE serial = ?1")?
                .execute([integer(dropped)])?;
        }
        if seal.anew {
            transaction.execute("DELETE FROM log_tiles", [])?;
        }
        for tile in &seal.tiles {
            transaction
                .prepare_cached(
                    "INSERT INTO log_tiles (level, idx, first_position, data)
                     VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (level, idx) DO UPDATE SET
                         first_position = excluded.first_position, data = excluded.data",
                )?
                .execute(params![
                    tile.level,
                    integer(tile.index),
                    integer(tile.first_position),
                    tile.data
                ])?;
        }
        transaction.commit()?;
        Ok(true)
    }
}
