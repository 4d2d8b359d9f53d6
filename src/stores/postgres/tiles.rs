//! The Merkle log: its tiles and checkpoints, and all of the log to check it by.

use chancery_domain::digest::EventFacts;
use sqlx::postgres::PgRow;
use sqlx::{Executor as _, PgConnection, PgPool, Postgres, Row as _, Transaction};

use super::packs;
use super::rows::{self, EVENT_COLUMNS};
use super::transient::retried;
use crate::stores::{Head, ListedHead, LogCheckpoint, LogTile, Scanned, Seal, StoreError};

const TILE_COLUMNS: &str = "level, idx, first_position, data";

pub(super) async fn checkpoints(
    pool: &PgPool,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<LogCheckpoint>, StoreError> {
    let found = retried(|| async {
        sqlx::query(
            "SELECT serial, origin, size, position, root, signed_at, note FROM log_checkpoints
             WHERE serial < $1 ORDER BY serial DESC LIMIT $2",
        )
        .bind(before.map_or(i64::MAX, rows::signed))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
    })
    .await?;
    let checkpoint = |row: &PgRow| {
        Ok(LogCheckpoint {
            serial: rows::unsigned(row.try_get(0)?)?,
            origin: row.try_get(1)?,
            size: rows::unsigned(row.try_get(2)?)?,
            position: rows::unsigned(row.try_get(3)?)?,
            root: rows::digest(row.try_get(4)?)?,
            signed_at_ms: row.try_get(5)?,
            note: row.try_get(6)?,
        })
    };
    found.iter().map(checkpoint).collect()
}

pub(super) async fn tiles(
    pool: &PgPool,
    wanted: Vec<(u8, u64)>,
) -> Result<Vec<LogTile>, StoreError> {
    let levels: Vec<i16> = wanted.iter().map(|(level, _)| i16::from(*level)).collect();
    let indexes: Vec<i64> = wanted.iter().map(|(_, index)| rows::signed(*index)).collect();
    let found = retried(|| async {
        sqlx::query(
            "SELECT t.level, t.idx, t.first_position, t.data
             FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS wanted (level, idx, ord)
             JOIN log_tiles t ON t.level = wanted.level AND t.idx = wanted.idx
             ORDER BY wanted.ord",
        )
        .bind(&levels)
        .bind(&indexes)
        .fetch_all(pool)
        .await
    })
    .await?;
    found.iter().map(tile).collect()
}

pub(super) async fn tile_at(pool: &PgPool, position: u64) -> Result<Option<LogTile>, StoreError> {
    let statement = format!(
        "SELECT {TILE_COLUMNS} FROM log_tiles
         WHERE level = 0 AND first_position <= $1 ORDER BY first_position DESC LIMIT 1"
    );
    let found = retried(|| async {
        sqlx::query(&statement).bind(rows::signed(position)).fetch_optional(pool).await
    })
    .await?;
    found.as_ref().map(tile).transpose()
}

/// Reads [`TILE_COLUMNS`].
fn tile(row: &PgRow) -> Result<LogTile, StoreError> {
    let level: i16 = row.try_get(0)?;
    Ok(LogTile {
        level: u8::try_from(level)
            .map_err(|_| StoreError::Corrupt(format!("{level} is no level of a tile")))?,
        index: rows::unsigned(row.try_get(1)?)?,
        first_position: rows::unsigned(row.try_get(2)?)?,
        data: row.try_get(3)?,
    })
}

pub(super) async fn seal(pool: &PgPool, seal: Seal) -> Result<bool, StoreError> {
    let mut transaction = retried(|| pool.begin()).await?;
    // The pool does not wait for the disk otherwise: nobody may hold a checkpoint that a crash
    // takes back.
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *transaction).await?;
    let checkpoint = &seal.checkpoint;
    // Who comes second waits here for the first, and inserts nothing.
    let inserted = sqlx::query(
        "INSERT INTO log_checkpoints (serial, origin, size, position, root, signed_at, note)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE $1 = (SELECT coalesce(max(serial), 0) + 1 FROM log_checkpoints)
         ON CONFLICT (serial) DO NOTHING",
    )
    .bind(rows::signed(checkpoint.serial))
    .bind(&checkpoint.origin)
    .bind(rows::signed(checkpoint.size))
    .bind(rows::signed(checkpoint.position))
    .bind(checkpoint.root.as_bytes().as_slice())
    .bind(checkpoint.signed_at_ms)
    .bind(&checkpoint.note)
    .execute(&mut *transaction)
    .await?;
    if inserted.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    if let Some(dropped) = seal.drop_checkpoint {
        sqlx::query("DELETE FROM log_checkpoints WHERE serial = $1")
            .bind(rows::signed(dropped))
            .execute(&mut *transaction)
            .await?;
    }
    if seal.anew {
        sqlx::query("DELETE FROM log_tiles").execute(&mut *transaction).await?;
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for tile in seal.tiles {
        columns.0.push(i16::from(tile.level));
        columns.1.push(rows::signed(tile.index));
        columns.2.push(rows::signed(tile.first_position));
        columns.3.push(tile.data);
    }
    sqlx::query(
        "INSERT INTO log_tiles (level, idx, first_position, data)
         SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bytea[])
         ON CONFLICT (level, idx) DO UPDATE SET
             first_position = excluded.first_position, data = excluded.data",
    )
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .bind(columns.3)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn scan(
    pool: &PgPool,
    after: i64,
    limit: usize,
) -> Result<Vec<Scanned>, StoreError> {
    retried(|| async {
        let mut snapshot = snapshot(pool).await?;
        let Some(audited) = packs::audited_after(&mut snapshot, after).await? else {
            return scan_rows(&mut snapshot, (after, i64::MAX), limit).await;
        };
        let rows = scan_rows(&mut snapshot, audited.range(), usize::MAX).await?;
        let streams: Vec<_> = audited.streams().into_iter().collect();
        let mut scanned = audited.scan(rows, &packs::streams(&mut snapshot, &streams).await?);
        scanned.retain(|event| event.position > after);
        scanned.truncate(limit);
        Ok(scanned)
    })
    .await
}

/// Statements on it see one state of the database: a history goes from rows to packs, and back.
async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let mut transaction = pool.begin().await?;
    transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    Ok(transaction)
}

async fn scan_rows(
    connection: &mut PgConnection,
    (after, through): (i64, i64),
    limit: usize,
) -> Result<Vec<Scanned>, StoreError> {
    let statement = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 AND position <= $2
         ORDER BY position LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found =
        sqlx::query(&statement).bind(after).bind(through).bind(limit).fetch_all(connection).await?;
    let scanned = |row: &PgRow| {
        let (kind, id): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        let sequence = rows::unsigned(row.try_get(4)?)?;
        let prev_digest = rows::digest(row.try_get(9)?)?;
        let facts = EventFacts {
            kind,
            id,
            sequence,
            event_type: row.try_get(5)?,
            event_version: row.try_get(6)?,
            payload: row.try_get::<&str, _>(7)?.as_bytes(),
            metadata: row.try_get::<&str, _>(8)?.as_bytes(),
            prev_digest,
        };
        Ok(Scanned {
            position: row.try_get(0)?,
            recorded_at_ms: row.try_get(1)?,
            stream: [kind, "/", id].concat().into(),
            sequence,
            prev_digest,
            digest: rows::digest(row.try_get(10)?)?,
            computed: facts.digest(),
            amiss: None,
        })
    };
    found.iter().map(scanned).collect()
}

pub(super) async fn heads(
    pool: &PgPool,
    through: u64,
    after: (String, String),
    limit: usize,
) -> Result<Vec<ListedHead>, StoreError> {
    retried(|| async {
        let mut snapshot = snapshot(pool).await?;
        let rows = heads_of_rows(&mut snapshot, through, &after, limit).await?;
        let packed = packs::heads(&mut snapshot, through, &after, limit).await?;
        Ok(ListedHead::merged(rows, packed, limit))
    })
    .await
}

async fn heads_of_rows(
    connection: &mut PgConnection,
    through: u64,
    after: &(String, String),
    limit: usize,
) -> Result<Vec<ListedHead>, StoreError> {
    let found: Vec<(String, String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT DISTINCT ON (aggregate_type, aggregate_id)
             aggregate_type, aggregate_id, sequence, digest
         FROM events
         WHERE (aggregate_type, aggregate_id) > ($1, $2) AND position <= $3
         ORDER BY aggregate_type, aggregate_id, sequence DESC LIMIT $4",
    )
    .bind(&after.0)
    .bind(&after.1)
    .bind(rows::signed(through))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let head = |(aggregate_type, aggregate_id, sequence, digest): (_, _, i64, Vec<u8>)| {
        let head = Head { sequence: rows::unsigned(sequence)?, digest: rows::digest(&digest)? };
        Ok(ListedHead { aggregate_type, aggregate_id, head })
    };
    found.into_iter().map(head).collect()
}
