//! What appends write besides events: one statement for each table that
//! something is written to, in the same order everywhere and each in the order
//! of its keys, so that no two nodes wait for each other.
//!
//! Each statement answers with the places of the rows that it could not write.
//! The join that finds them is between what was given and what was inserted,
//! never with a table.

use std::collections::HashSet;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Error, PgConnection, Postgres, Row as _};

use super::plan::Planned;
use super::rows::signed;
use crate::stores::{Append, AppendError, NameChange};

/// Which appends were refused, and why.
type Refusals = Vec<(usize, AppendError)>;

/// Rows to write, each with the index of its append.
type Rows<T> = Vec<(usize, T)>;

const RESERVE: &str = "
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[])
        WITH ORDINALITY AS given (space, name, owner, place)
), reserved AS (
    INSERT INTO names (space, name, owner) SELECT space, name, owner FROM given ORDER BY place
    ON CONFLICT (space, name) DO UPDATE SET owner = excluded.owner
        WHERE names.owner = excluded.owner
    RETURNING space, name
)
SELECT place FROM given WHERE NOT EXISTS (
    SELECT FROM reserved WHERE reserved.space = given.space AND reserved.name = given.name)";

const RELEASE: &str = "
DELETE FROM names USING unnest($1::text[], $2::bytea[]) AS given (space, name)
WHERE names.space = given.space AND names.name = given.name";

const USE: &str = "
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[])
        WITH ORDINALITY AS given (space, key, expires_at, place)
), used AS (
    INSERT INTO used_once (space, key, expires_at)
    SELECT space, key, expires_at FROM given ORDER BY place
    ON CONFLICT (space, key) DO NOTHING RETURNING space, key
)
SELECT place FROM given WHERE NOT EXISTS (
    SELECT FROM used WHERE used.space = given.space AND used.key = given.key)";

const SEAL: &str = "
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
        WITH ORDINALITY AS given (kind, id, sequence, ciphertext, place)
), written AS (
    INSERT INTO sealed (aggregate_type, aggregate_id, sequence, ciphertext)
    SELECT kind, id, sequence, ciphertext FROM given ORDER BY place
    ON CONFLICT (aggregate_type, aggregate_id, sequence) DO NOTHING
    RETURNING aggregate_type, aggregate_id, sequence
)
SELECT place FROM given WHERE NOT EXISTS (
    SELECT FROM written WHERE written.aggregate_type = given.kind
        AND written.aggregate_id = given.id AND written.sequence = given.sequence)";

const ADD_DATA_KEYS: &str = "
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
        WITH ORDINALITY AS given (kind, id, subject, wrapped, place)
), written AS (
    INSERT INTO data_keys (owner_type, owner_id, subject, wrapped)
    SELECT kind, id, subject, wrapped FROM given ORDER BY place
    ON CONFLICT (owner_type, owner_id) DO NOTHING RETURNING owner_type, owner_id
)
SELECT place FROM given WHERE NOT EXISTS (
    SELECT FROM written WHERE written.owner_type = given.kind AND written.owner_id = given.id)";

const BIND_DATA_KEYS: &str = "
UPDATE data_keys SET subject = given.subject
FROM unnest($1::text[], $2::text[], $3::text[]) AS given (kind, id, subject)
WHERE owner_type = given.kind AND owner_id = given.id";

const ADD_WRAPPED_KEYS: &str = "
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
        WITH ORDINALITY AS given (key_id, purpose, wrapped, place)
), written AS (
    INSERT INTO wrapped_keys (key_id, purpose, wrapped)
    SELECT key_id, purpose, wrapped FROM given ORDER BY place
    ON CONFLICT (key_id) DO NOTHING RETURNING key_id
)
SELECT place FROM given WHERE NOT EXISTS (
    SELECT FROM written WHERE written.key_id = given.key_id)";

/// Writes all of it. If anything is refused, the transaction is of no use.
pub(super) async fn write(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<Refusals, Error> {
    let mut refusals = names(connection, appends).await?;
    refusals.extend(used_once(connection, appends).await?);
    refusals.extend(sealed(connection, appends).await?);
    refusals.extend(data_keys(connection, appends).await?);
    bind_data_keys(connection, appends).await?;
    refusals.extend(wrapped_keys(connection, appends).await?);
    let mut seen = HashSet::new();
    refusals.retain(|(index, _)| seen.insert(*index));
    Ok(refusals)
}

/// A name given back can be taken in the same append, not the other way round.
async fn names(connection: &mut PgConnection, appends: &[&Planned<'_>]) -> Result<Refusals, Error> {
    let changes = each(appends, |append| &append.names);
    let mut released = Vec::new();
    let mut reserved = Rows::new();
    for (index, change) in changes {
        match change {
            NameChange::Release { space, name } => released.push((*space, name.as_slice())),
            NameChange::Reserve { space, name, owner } => {
                reserved.push((index, (*space, name.as_slice(), &**owner)));
            }
        }
    }
    if !released.is_empty() {
        let (spaces, names): (Vec<_>, Vec<_>) = released.into_iter().unzip();
        sqlx::query(RELEASE).bind(spaces).bind(names).execute(&mut *connection).await?;
    }
    // The same name twice in one append, for the same owner, is once.
    reserved.sort_unstable_by_key(|(_, reservation)| *reservation);
    reserved.dedup_by_key(|(_, reservation)| *reservation);
    let statement = sqlx::query(RESERVE)
        .bind(column(&reserved, |(space, ..)| *space))
        .bind(column(&reserved, |(_, name, _)| *name))
        .bind(column(&reserved, |(.., owner)| *owner));
    refused(connection, statement, &reserved, &AppendError::NameTaken).await
}

async fn used_once(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<Refusals, Error> {
    let mut used = each(appends, |append| &append.used_once);
    used.sort_unstable_by_key(|(_, used)| (used.space, used.key));
    let statement = sqlx::query(USE)
        .bind(column(&used, |used| used.space))
        .bind(column(&used, |used| used.key.as_slice()))
        .bind(column(&used, |used| used.expires_at));
    refused(connection, statement, &used, &AppendError::AlreadyUsed).await
}

async fn sealed(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<Refusals, Error> {
    let mut sealed = each(appends, |append| &append.sealed);
    sealed.sort_unstable_by_key(|(_, row)| (&row.stream, row.sequence));
    let statement = sqlx::query(SEAL)
        .bind(column(&sealed, |row| row.stream.kind.as_str()))
        .bind(column(&sealed, |row| &*row.stream.id))
        .bind(column(&sealed, |row| signed(row.sequence)))
        .bind(column(&sealed, |row| row.ciphertext.as_slice()));
    refused(connection, statement, &sealed, &AppendError::Conflict).await
}

async fn data_keys(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<Refusals, Error> {
    let mut keys = each(appends, |append| &append.data_keys);
    keys.sort_unstable_by_key(|(_, row)| &row.owner);
    let statement = sqlx::query(ADD_DATA_KEYS)
        .bind(column(&keys, |row| row.owner.kind.as_str()))
        .bind(column(&keys, |row| &*row.owner.id))
        .bind(column(&keys, |row| row.subject.as_deref()))
        .bind(column(&keys, |row| row.wrapped.as_slice()));
    refused(connection, statement, &keys, &AppendError::Conflict).await
}

async fn bind_data_keys(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<(), Error> {
    let bound = each(appends, |append| &append.bind_data_keys);
    if bound.is_empty() {
        return Ok(());
    }
    sqlx::query(BIND_DATA_KEYS)
        .bind(column(&bound, |(owner, _)| owner.kind.as_str()))
        .bind(column(&bound, |(owner, _)| &*owner.id))
        .bind(column(&bound, |(_, subject)| &**subject))
        .execute(connection)
        .await?;
    Ok(())
}

async fn wrapped_keys(
    connection: &mut PgConnection,
    appends: &[&Planned<'_>],
) -> Result<Refusals, Error> {
    let mut keys = each(appends, |append| &append.wrapped_keys);
    keys.sort_unstable_by_key(|(_, row)| &row.key_id);
    let statement = sqlx::query(ADD_WRAPPED_KEYS)
        .bind(column(&keys, |row| row.key_id.as_str()))
        .bind(column(&keys, |row| row.purpose.as_str()))
        .bind(column(&keys, |row| row.wrapped.as_slice()));
    refused(connection, statement, &keys, &AppendError::Conflict).await
}

/// Runs a statement that answers with the places of what it could not write.
async fn refused<T>(
    connection: &mut PgConnection,
    statement: Query<'_, Postgres, PgArguments>,
    rows: &Rows<T>,
    why: &AppendError,
) -> Result<Refusals, Error> {
    if rows.is_empty() {
        return Ok(Refusals::new());
    }
    let mut refusals = Refusals::new();
    for row in statement.fetch_all(connection).await? {
        // Ordinality counts from 1.
        let place = usize::try_from(row.try_get::<i64, _>(0)? - 1).ok();
        if let Some((index, _)) = place.and_then(|place| rows.get(place)) {
            refusals.push((*index, why.clone()));
        }
    }
    Ok(refusals)
}

fn each<'a, T>(appends: &[&Planned<'a>], of: impl Fn(&'a Append) -> &'a [T]) -> Rows<&'a T> {
    let rows = |planned: &&Planned<'a>| {
        let index = planned.index;
        of(planned.append).iter().map(move |row| (index, row))
    };
    appends.iter().flat_map(rows).collect()
}

fn column<'r, T, C>(rows: &'r Rows<T>, of: impl Fn(&'r T) -> C) -> Vec<C> {
    rows.iter().map(|(_, row)| of(row)).collect()
}
