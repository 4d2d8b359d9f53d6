//! Packs ([`crate::stores::packs`]): written, read, and emptied again where a history goes on.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, Error, Executor as _, PgConnection, PgPool, Row as _};

use super::rows::{self, EVENT_COLUMNS};
use super::transient::{is_contention, retried};
use crate::stores::packs::{self, Audited, Pack, PackedStream, Packing, Rest, Ripe};
use crate::stores::{Head, ListedHead, StoreError, StoredEvent, StreamId, ids};

/// How a pack is written. It waits briefly for those who are appending, since others wait behind
/// it; and a node that hangs with the lock must not hold them up.
const SETTINGS: [&str; 7] = [
    "SET LOCAL lock_timeout = '50ms'",
    "SET LOCAL statement_timeout = '5s'",
    "SET LOCAL idle_in_transaction_session_timeout = '5s'",
    "SET LOCAL synchronous_commit = on",
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL chancery.packing = on",
    "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE",
];

/// How many packed histories are read at once for a list.
const PAGE: i64 = 1000;

/// What [`packed_stream`] reads.
const STREAM_COLUMNS: &str = "aggregate_type, aggregate_id, sequence, digest, position, packs";

/// Packs the next events.
pub(super) async fn pack(pool: &PgPool, ripe: Ripe) -> Result<Packing, StoreError> {
    let begins_after = through(pool).await?;
    let Some(events) = ripe_events(pool, begins_after, ripe).await? else {
        return Ok(Packing::Nothing);
    };
    let packing = tokio::task::spawn_blocking(move || Pack::of(begins_after, events));
    let pack = packing.await.map_err(std::io::Error::from)??;
    match write(pool, &pack).await {
        Err(StoreError::Postgres(error)) if is_contention(&error) => Ok(Packing::NotNow),
        written => written,
    }
}

async fn ripe_events(
    pool: &PgPool,
    begins_after: u64,
    ripe: Ripe,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    let statement = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2"
    );
    // One more: the last row of the log stays, so that whoever reads behind it learns of packs.
    let limit = i64::try_from(packs::EVENTS).unwrap_or(i64::MAX).saturating_add(1);
    let found = retried(|| async {
        sqlx::query(&statement).bind(rows::signed(begins_after)).bind(limit).fetch_all(pool).await
    })
    .await?;
    let Some((_, found)) = found.split_last().filter(|_| found.len() > packs::EVENTS) else {
        return Ok(None);
    };
    let events: Vec<StoredEvent> = found.iter().map(rows::event).collect::<Result<_, _>>()?;
    Ok(ripe.are(&events).then_some(events))
}

/// Writes a pack, and takes the rows of histories away that are whole in packs with it.
///
/// Nobody appends meanwhile: a history that goes on just now would lose its beginning.
async fn write(pool: &PgPool, pack: &Pack) -> Result<Packing, StoreError> {
    let mut transaction = retried(|| pool.begin()).await?;
    for setting in SETTINGS {
        transaction.execute(setting).await?;
    }
    let inserted = sqlx::query(
        "INSERT INTO packs (through, begins_after, events, lines)
         SELECT $1, $2, $3, $4 WHERE $2 = (SELECT coalesce(max(through), 0) FROM packs)",
    )
    .bind(rows::signed(pack.through()))
    .bind(rows::signed(pack.begins_after))
    .bind(rows::signed(pack.count()))
    .bind(&pack.lines)
    .execute(&mut *transaction)
    .await?;
    if inserted.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(Packing::NotNow);
    }
    let histories = take_away(&mut transaction, pack).await?;
    if pack.begins_after == 0 {
        sqlx::query("UPDATE schema_migrations SET programs_from = version WHERE name = 'packs'")
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(Packing::Done(pack.packed(histories)))
}

/// Takes the rows of histories away that end in this pack, and notes in which packs they are.
async fn take_away(connection: &mut PgConnection, pack: &Pack) -> Result<u64, Error> {
    let (mut kinds, mut ids, mut packed_ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sequences, mut digests, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for (id, last) in pack.last_events() {
        kinds.push(last.event.stream.kind.as_str());
        ids.push(&*last.event.stream.id);
        packed_ids.push(id.to_vec());
        sequences.push(rows::signed(last.event.sequence));
        digests.push(last.event.digest.as_bytes().as_slice());
        positions.push(rows::signed(last.position));
    }
    let gone: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "INSERT INTO packed_streams
             (aggregate_type, aggregate_id, sequence, digest, position, packs)
         SELECT ended.kind, ended.packed_id, ended.sequence, ended.digest, ended.position,
             ARRAY(SELECT DISTINCT
                       (SELECT packs.through FROM packs WHERE packs.through >= events.position
                        ORDER BY packs.through LIMIT 1)
                   FROM events
                   WHERE events.aggregate_type = ended.kind AND events.aggregate_id = ended.id
                   ORDER BY 1)
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[])
              AS ended (kind, id, packed_id, sequence, digest, position)
         WHERE NOT EXISTS (
             SELECT 1 FROM events AS later
             WHERE later.aggregate_type = ended.kind AND later.aggregate_id = ended.id
               AND later.sequence = ended.sequence + 1)
         RETURNING aggregate_type, aggregate_id",
    )
    .bind(kinds)
    .bind(ids)
    .bind(packed_ids)
    .bind(sequences)
    .bind(digests)
    .bind(positions)
    .fetch_all(&mut *connection)
    .await?;
    let (kinds, ids): (Vec<_>, Vec<_>) =
        gone.into_iter().map(|(kind, id)| (kind, ids::unpacked(&id))).unzip();
    sqlx::query(
        "DELETE FROM events
         USING unnest($1::text[], $2::text[]) AS gone (kind, id)
         WHERE aggregate_type = gone.kind AND aggregate_id = gone.id",
    )
    .bind(&kinds)
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(u64::try_from(kinds.len()).unwrap_or(u64::MAX))
}

/// Does one of these histories stand in packs?
pub(super) async fn any_packed(
    connection: &mut PgConnection,
    streams: &[&StreamId],
) -> Result<bool, Error> {
    let (kinds, ids) = keys(streams);
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM unnest($1::text[], $2::bytea[]) AS wanted (kind, id)
             JOIN packed_streams ON aggregate_type = wanted.kind AND aggregate_id = wanted.id)",
    )
    .bind(kinds)
    .bind(ids)
    .fetch_one(connection)
    .await
}

/// Puts those of these histories back into rows that stand in packs.
pub(super) async fn put_back(
    connection: &mut PgConnection,
    streams: &[&StreamId],
) -> Result<(), StoreError> {
    let (kinds, ids) = keys(streams);
    let mut transaction = connection.begin().await?;
    // Of two nodes one has the row.
    let statement = format!(
        "DELETE FROM packed_streams
         USING unnest($1::text[], $2::bytea[]) AS wanted (kind, id)
         WHERE aggregate_type = wanted.kind AND aggregate_id = wanted.id
         RETURNING {STREAM_COLUMNS}"
    );
    let found = sqlx::query(&statement).bind(kinds).bind(ids).fetch_all(&mut *transaction).await?;
    for row in &found {
        let (stream, packed) = packed_stream(row)?;
        for stored in &unpack(&mut transaction, &stream, &packed).await? {
            insert(&mut transaction, stored).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Those that may stand in packs, as the index has them.
fn keys(streams: &[&StreamId]) -> (Vec<&'static str>, Vec<Vec<u8>>) {
    streams
        .iter()
        .filter_map(|stream| Some((stream.kind.as_str(), packs::may_go(stream)?.to_vec())))
        .unzip()
}

/// Writes an event's row as it is in a pack.
async fn insert(connection: &mut PgConnection, stored: &StoredEvent) -> Result<(), Error> {
    let event = &stored.event;
    sqlx::query(
        "INSERT INTO events
             (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
              metadata, prev_digest, digest, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7::json, $8::json, $9, $10,
                 'epoch'::timestamptz + $11 * interval '1 millisecond')",
    )
    .bind(rows::signed(stored.position))
    .bind(event.stream.kind.as_str())
    .bind(&*event.stream.id)
    .bind(rows::signed(event.sequence))
    .bind(&*event.event_type)
    .bind(&*event.event_version)
    .bind(&*event.payload)
    .bind(&*event.metadata)
    .bind(event.prev_digest.as_bytes().as_slice())
    .bind(event.digest.as_bytes().as_slice())
    .bind(stored.recorded_at_ms)
    .execute(connection)
    .await?;
    Ok(())
}

/// Where a history stands.
pub(super) enum Place {
    Rows,
    Packs(Vec<StoredEvent>),
    /// There is none.
    Nowhere,
}

/// Where a history stands that had no rows a moment ago.
pub(super) async fn place(pool: &PgPool, stream: &StreamId) -> Result<Place, StoreError> {
    match packs::may_go(stream) {
        Some(_) => retried(|| async { place_on(&mut *pool.acquire().await?, stream).await }).await,
        None => Ok(Place::Nowhere),
    }
}

/// The same by this connection.
pub(super) async fn place_on(
    connection: &mut PgConnection,
    stream: &StreamId,
) -> Result<Place, StoreError> {
    let id = packs::may_go(stream).map(|id| id.to_vec());
    // One statement: a history goes from the ones to the others.
    let found = sqlx::query(&format!(
        "SELECT {STREAM_COLUMNS}, has_rows FROM (
             SELECT EXISTS (
                 SELECT 1 FROM events
                 WHERE events.aggregate_type = $1 AND events.aggregate_id = $2 AND sequence = 1)
         ) AS rows (has_rows)
         LEFT JOIN packed_streams ON aggregate_type = $1 AND aggregate_id = $3"
    ))
    .bind(stream.kind.as_str())
    .bind(&*stream.id)
    .bind(id)
    .fetch_one(&mut *connection)
    .await?;
    if found.try_get(6)? {
        return Ok(Place::Rows);
    }
    if found.try_get::<Option<&str>, _>(0)?.is_none() {
        return Ok(Place::Nowhere);
    }
    let (_, packed) = packed_stream(&found)?;
    unpack(connection, stream, &packed).await.map(Place::Packs)
}

/// Where those of these histories stand that are in packs.
pub(super) async fn streams(
    connection: &mut PgConnection,
    wanted: &[&StreamId],
) -> Result<HashMap<StreamId, PackedStream>, StoreError> {
    let (kinds, ids) = keys(wanted);
    let statement = format!(
        "SELECT {STREAM_COLUMNS} FROM unnest($1::text[], $2::bytea[]) AS wanted (kind, id)
         JOIN packed_streams ON aggregate_type = wanted.kind AND aggregate_id = wanted.id"
    );
    let found = sqlx::query(&statement).bind(kinds).bind(ids).fetch_all(connection).await?;
    found.iter().map(packed_stream).collect()
}

async fn unpack(
    connection: &mut PgConnection,
    stream: &StreamId,
    packed: &PackedStream,
) -> Result<Vec<StoredEvent>, StoreError> {
    let through: Vec<i64> = packed.packs.iter().map(|through| rows::signed(*through)).collect();
    let packs: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT lines FROM packs WHERE through = ANY($1) ORDER BY through")
            .bind(through)
            .fetch_all(connection)
            .await?;
    packed.history(stream, &packs)
}

/// What the pack holds that reaches beyond a position.
pub(super) async fn after(pool: &PgPool, position: u64) -> Result<Option<Rest>, StoreError> {
    let lines: Option<Vec<u8>> = retried(|| async {
        sqlx::query_scalar("SELECT lines FROM packs WHERE through > $1 ORDER BY through LIMIT 1")
            .bind(rows::signed(position))
            .fetch_optional(pool)
            .await
    })
    .await?;
    lines.map(|lines| Rest::of(&lines)).transpose()
}

/// The pack that reaches beyond a position, if one does, for an audit.
pub(super) async fn audited_after(
    connection: &mut PgConnection,
    position: i64,
) -> Result<Option<Audited>, StoreError> {
    let found: Option<(Option<i64>, i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT (SELECT max(earlier.through) FROM packs AS earlier
                 WHERE earlier.through < packs.through), begins_after, through, lines
         FROM packs WHERE through > $1 ORDER BY through LIMIT 1",
    )
    .bind(position)
    .fetch_optional(connection)
    .await?;
    found
        .map(|(follows, begins_after, through, lines)| {
            Audited::new(follows, (begins_after, through), &lines)
        })
        .transpose()
}

/// Up to which position all is packed.
pub(super) async fn through(pool: &PgPool) -> Result<u64, StoreError> {
    let through = retried(|| async {
        sqlx::query_scalar("SELECT coalesce(max(through), 0) FROM packs").fetch_one(pool).await
    })
    .await?;
    rows::unsigned(through)
}

/// Where packed histories end as of a position, in their order; at most so many.
pub(super) async fn heads(
    connection: &mut PgConnection,
    through: u64,
    after: &(String, String),
    limit: usize,
) -> Result<Vec<ListedHead>, StoreError> {
    let statement = format!(
        "SELECT {STREAM_COLUMNS} FROM packed_streams
         WHERE (aggregate_type, aggregate_id) > ($1, $2)
         ORDER BY aggregate_type, aggregate_id LIMIT $3"
    );
    let (mut kind, mut id) = (after.0.clone(), ids::place(&after.1));
    let mut heads = Vec::new();
    loop {
        let found = sqlx::query(&statement)
            .bind(&kind)
            .bind(&id)
            .bind(PAGE)
            .fetch_all(&mut *connection)
            .await?;
        let Some(last) = found.last() else { return Ok(heads) };
        (kind, id) = (last.try_get(0)?, last.try_get(1)?);
        for row in &found {
            let (stream, packed) = packed_stream(row)?;
            let head = if packed.position <= through {
                Some(packed.head)
            } else {
                packs::head_as_of(through, &unpack(connection, &stream, &packed).await?)
            };
            heads.extend(head.map(|head| ListedHead::new(&stream, head)));
            if heads.len() >= limit {
                return Ok(heads);
            }
        }
    }
}

/// Reads [`STREAM_COLUMNS`].
fn packed_stream(row: &PgRow) -> Result<(StreamId, PackedStream), StoreError> {
    let (kind, id): (&str, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
    let id = ids::unpacked(id)
        .ok_or_else(|| StoreError::Corrupt(format!("a packed history of type {kind} has no id")))?;
    let packs: Vec<i64> = row.try_get(5)?;
    let packed = PackedStream {
        head: Head {
            sequence: rows::unsigned(row.try_get(2)?)?,
            digest: rows::digest(row.try_get(3)?)?,
        },
        position: rows::unsigned(row.try_get(4)?)?,
        packs: packs.into_iter().map(rows::unsigned).collect::<Result<_, _>>()?,
    };
    Ok((rows::stream(kind, &id)?, packed))
}
