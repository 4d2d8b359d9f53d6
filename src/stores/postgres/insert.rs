//! Events into the log, many with one statement.

use std::collections::HashMap;

use sqlx::{Error, PgConnection, Row as _};

use super::plan::Plan;
use super::rows::signed;
use crate::stores::NewEvent;

/// What the statement did.
pub(super) struct Inserted {
    /// For each row of the plan its position, if it was inserted.
    pub positions: Vec<Option<u64>>,
    /// The id of the transaction, if anything was inserted.
    pub transaction: Option<String>,
}

/// A row is inserted only where the event before it is in the log with the
/// digest it names (or comes with this statement, which the plan saw to), and
/// its own place is free. Together: it is the next, race-free, because rows go
/// away only with their whole history, into packs, while nobody inserts.
///
/// Positions are given out in the order of the arrays, in which the events
/// happened; rows are inserted, and so locked, in `lock_order`. The look-up is a
/// scalar subquery in CASE: a point look-up for the rows that need it, which no
/// planner can turn into a join made for an empty table.
const INSERT: &str = "
INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                    metadata, digest, prev_digest, position)
SELECT kind, id, sequence, event_type, event_version, payload::json, metadata::json, digest,
       prev_digest, position
FROM (
    SELECT given.*, next_event_position() AS position
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::bytea[], $9::bytea[], $10::boolean[], $11::integer[])
         WITH ORDINALITY
         AS given (kind, id, sequence, event_type, event_version, payload, metadata, digest,
                   prev_digest, follows_stored, lock_order, place)
    WHERE CASE WHEN given.follows_stored THEN
        (SELECT before.digest FROM events AS before
         WHERE before.aggregate_type = given.kind AND before.aggregate_id = given.id
           AND before.sequence = given.sequence - 1) = given.prev_digest
        ELSE true END
    ORDER BY given.place
) AS placed
ORDER BY lock_order
ON CONFLICT (aggregate_type, aggregate_id, sequence) DO NOTHING
RETURNING aggregate_type, aggregate_id, sequence, position, pg_current_xact_id()::text";

/// Inserts the rows of a plan that fit.
pub(super) async fn events(
    connection: &mut PgConnection,
    plan: &Plan<'_>,
) -> Result<Inserted, Error> {
    if plan.rows.is_empty() {
        return Ok(Inserted { positions: Vec::new(), transaction: None });
    }
    let found = sqlx::query(INSERT)
        .bind(column(plan, |event| event.stream.kind.as_str()))
        .bind(column(plan, |event| &*event.stream.id))
        .bind(column(plan, |event| signed(event.sequence)))
        .bind(column(plan, |event| &*event.event_type))
        .bind(column(plan, |event| &*event.event_version))
        .bind(column(plan, |event| &*event.payload))
        .bind(column(plan, |event| &*event.metadata))
        .bind(column(plan, |event| event.digest.as_bytes().as_slice()))
        .bind(column(plan, |event| event.prev_digest.as_bytes().as_slice()))
        .bind(plan.rows.iter().map(|row| row.follows_stored).collect::<Vec<_>>())
        .bind(plan.lock_order())
        .fetch_all(connection)
        .await?;
    let mut positions = HashMap::with_capacity(found.len());
    for row in &found {
        let position = u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0);
        let key: (&str, &str, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        positions.insert(key, position);
    }
    let transaction = match found.first() {
        Some(row) => Some(row.try_get(4)?),
        None => None,
    };
    let positions = plan
        .rows
        .iter()
        .map(|row| {
            let stream = &row.event.stream;
            positions.get(&(stream.kind.as_str(), &stream.id, signed(row.event.sequence))).copied()
        })
        .collect();
    Ok(Inserted { positions, transaction })
}

fn column<'a, T>(plan: &Plan<'a>, of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
    plan.rows.iter().map(|row| of(row.event)).collect()
}

/// The position of this very event, if it has a row.
pub(super) async fn is_there(
    connection: &mut PgConnection,
    event: &NewEvent,
) -> Result<Option<u64>, Error> {
    let position: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM events
         WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3 AND digest = $4",
    )
    .bind(event.stream.kind.as_str())
    .bind(&*event.stream.id)
    .bind(signed(event.sequence))
    .bind(event.digest.as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    Ok(position.and_then(|position| u64::try_from(position).ok()))
}
