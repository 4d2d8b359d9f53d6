//! Wrapping every key anew, when the master key changes.

use sqlx::{Executor as _, PgConnection};

use crate::stores::{Rewrap, StoreError};

/// How many data keys are taken at a time: there is one for each grant.
const CHUNK: i64 = 1000;

/// Replaces all keys, inside of a transaction.
pub(super) async fn rewrap(
    connection: &mut PgConnection,
    rewrap: Rewrap,
) -> Result<u64, StoreError> {
    // The pool does not wait for the disk, but the old master key may be
    // destroyed after this. And no key may appear meanwhile, wrapped by it.
    connection
        .execute(
            "SET LOCAL synchronous_commit = on;
             LOCK TABLE data_keys, wrapped_keys IN SHARE ROW EXCLUSIVE MODE",
        )
        .await?;
    let mut count = 0;
    let keys: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT key_id, wrapped FROM wrapped_keys ORDER BY key_id")
            .fetch_all(&mut *connection)
            .await?;
    let mut ids = Vec::with_capacity(keys.len());
    let mut anew = Vec::with_capacity(keys.len());
    for (key_id, wrapped) in keys {
        anew.push(rewrap(&wrapped, &key_id).map_err(StoreError::Corrupt)?);
        ids.push(key_id);
    }
    count += sqlx::query(
        "UPDATE wrapped_keys SET wrapped = given.wrapped
         FROM unnest($1::text[], $2::bytea[]) AS given (key_id, wrapped)
         WHERE wrapped_keys.key_id = given.key_id",
    )
    .bind(ids)
    .bind(anew)
    .execute(&mut *connection)
    .await?
    .rows_affected();

    let mut last = (String::new(), String::new());
    loop {
        let keys: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT owner_type, owner_id, wrapped FROM data_keys
             WHERE (owner_type, owner_id) > ($1, $2) ORDER BY owner_type, owner_id LIMIT $3",
        )
        .bind(&last.0)
        .bind(&last.1)
        .bind(CHUNK)
        .fetch_all(&mut *connection)
        .await?;
        let Some((kind, id, _)) = keys.last() else { return Ok(count) };
        last = (kind.clone(), id.clone());
        let mut kinds = Vec::with_capacity(keys.len());
        let mut ids = Vec::with_capacity(keys.len());
        let mut anew = Vec::with_capacity(keys.len());
        for (kind, id, wrapped) in keys {
            let bound_to = format!("{kind}/{id}");
            anew.push(rewrap(&wrapped, &bound_to).map_err(StoreError::Corrupt)?);
            kinds.push(kind);
            ids.push(id);
        }
        count += sqlx::query(
            "UPDATE data_keys SET wrapped = given.wrapped
             FROM unnest($1::text[], $2::text[], $3::bytea[]) AS given (kind, id, wrapped)
             WHERE owner_type = given.kind AND owner_id = given.id",
        )
        .bind(kinds)
        .bind(ids)
        .bind(anew)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    }
}
