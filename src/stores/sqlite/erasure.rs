//! What is destroyed of a person, so that no byte of it is left in the files.
//!
//! `secure_delete` overwrites what is deleted. It does not reach the copies that SQLite leaves
//! behind where it moves rows from page to page, so [`scrub`] writes the tables that hold
//! secrets anew, and the pages that they had are overwritten as a whole.

use std::collections::BTreeSet;

use chancery_domain::account::Destroyed;
use rusqlite::{Connection, Transaction, TransactionBehavior, ffi, params};

use super::rows::{Owner, OwnerText};
use crate::stores::{Remains, StoreError, Traces};

/// The tables that hold what is destroyed.
const TABLES: [&str; 4] = ["data_keys", "sealed", "snapshots", "names"];

/// How many aggregates are taken in one transaction, so that appends get in between.
const CHUNK: usize = 500;

/// What a step has done.
pub(super) struct Step {
    /// All that was ever destroyed of this person.
    pub total: Destroyed,
    /// Is there more to do?
    pub more: bool,
}

/// Destroys keys and values of some aggregates.
pub(super) fn destroy(connection: &mut Connection, traces: &Traces) -> Result<Step, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut owners = bound(&transaction, &traces.subject, CHUNK)?;
    let more = owners.len() == CHUNK;
    for owner in &traces.owners {
        let owner = (owner.kind.as_str().to_owned(), owner.id.to_string());
        if !is_anothers(&transaction, &owner, &traces.subject)? {
            owners.push(owner);
        }
    }
    let mut now = Destroyed::default();
    for owner in &owners {
        now.sealed_values += delete(
            &transaction,
            "DELETE FROM sealed WHERE aggregate_type = ?1 AND aggregate_id = ?2",
            owner,
        )?;
        now.snapshots += delete(
            &transaction,
            "DELETE FROM snapshots WHERE aggregate_type = ?1 AND aggregate_id = ?2",
            owner,
        )?;
        now.data_keys += delete(
            &transaction,
            "DELETE FROM data_keys WHERE owner_type = ?1 AND owner_id = ?2",
            owner,
        )?;
    }
    if !more {
        transaction.execute("DELETE FROM names WHERE owner = ?1", [&traces.subject])?;
    }
    let total = transaction.query_row(
        "INSERT INTO erasures (subject, data_keys, sealed_values, snapshots)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (subject) DO UPDATE SET
             data_keys = data_keys + excluded.data_keys,
             sealed_values = sealed_values + excluded.sealed_values,
             snapshots = snapshots + excluded.snapshots
         RETURNING data_keys, sealed_values, snapshots",
        params![traces.subject, now.data_keys, now.sealed_values, now.snapshots],
        |row| {
            Ok(Destroyed {
                data_keys: row.get(0)?,
                sealed_values: row.get(1)?,
                snapshots: row.get(2)?,
            })
        },
    )?;
    transaction.commit()?;
    Ok(Step { total, more })
}

/// What is left of a person.
pub(super) fn remains(connection: &Connection, traces: &Traces) -> Result<Remains, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let bound = bound(&transaction, &traces.subject, usize::MAX)?;
    let mut owners: BTreeSet<_> = bound.into_iter().collect();
    for owner in &traces.owners {
        let owner = (owner.kind.as_str().to_owned(), owner.id.to_string());
        if !is_anothers(&transaction, &owner, &traces.subject)? {
            owners.insert(owner);
        }
    }
    let mut left = Remains {
        names: transaction.query_row(
            "SELECT count(*) FROM names WHERE owner = ?1",
            [&traces.subject],
            |row| row.get(0),
        )?,
        ..Remains::default()
    };
    for (kind, id) in &owners {
        let of = |sql: &str| -> rusqlite::Result<u64> {
            transaction.prepare_cached(sql)?.query_row(params![kind, Owner(id)], |row| row.get(0))
        };
        left.data_keys +=
            of("SELECT count(*) FROM data_keys WHERE owner_type = ?1 AND owner_id = ?2")?;
        left.sealed_values +=
            of("SELECT count(*) FROM sealed WHERE aggregate_type = ?1 AND aggregate_id = ?2")?;
        left.snapshots +=
            of("SELECT count(*) FROM snapshots WHERE aggregate_type = ?1 AND aggregate_id = ?2")?;
    }
    Ok(left)
}

/// Writes the tables anew, and empties the write-ahead log. Appends wait meanwhile.
pub(super) fn scrub(connection: &mut Connection) -> Result<(), StoreError> {
    for table in TABLES {
        rewrite(connection, table)?;
    }
    empty_wal(connection)
}

/// Moves what stands in the write-ahead log into the database, and leaves none of it there.
pub(super) fn empty_wal(connection: &Connection) -> Result<(), StoreError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let code = ffi::Error::new(ffi::SQLITE_BUSY);
        let why = "somebody reads what the write-ahead log still holds".to_owned();
        return Err(rusqlite::Error::SqliteFailure(code, Some(why)).into());
    }
    Ok(())
}

fn rewrite(connection: &mut Connection, table: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let definition: String = transaction.query_row(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
        [table],
        |row| row.get(0),
    )?;
    let indices: Vec<String> = transaction
        .prepare(
            "SELECT sql FROM sqlite_schema
             WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL",
        )?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let fresh = format!("{table}_anew");
    transaction.execute_batch(&definition.replacen(table, &fresh, 1))?;
    transaction.execute_batch(&format!(
        "INSERT INTO {fresh} SELECT * FROM {table};
         DROP TABLE {table};
         ALTER TABLE {fresh} RENAME TO {table};"
    ))?;
    for index in indices {
        transaction.execute_batch(&index)?;
    }
    Ok(transaction.commit()?)
}

/// Whose data keys are bound to the person.
fn bound(
    transaction: &Transaction<'_>,
    subject: &str,
    limit: usize,
) -> rusqlite::Result<Vec<(String, String)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    transaction
        .prepare_cached("SELECT owner_type, owner_id FROM data_keys WHERE subject = ?1 LIMIT ?2")?
        .query_map(params![Owner(subject), limit], |row| {
            Ok((row.get(0)?, row.get::<_, OwnerText>(1)?.0))
        })?
        .collect()
}

/// Is its data key bound to somebody else?
fn is_anothers(
    transaction: &Transaction<'_>,
    (kind, id): &(String, String),
    subject: &str,
) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached(
            "SELECT 1 FROM data_keys
             WHERE owner_type = ?1 AND owner_id = ?2 AND subject IS NOT NULL AND subject <> ?3",
        )?
        .exists(params![kind, Owner(id), Owner(subject)])
}

fn delete(
    transaction: &Transaction<'_>,
    sql: &str,
    (kind, id): &(String, String),
) -> rusqlite::Result<u64> {
    let deleted = transaction.prepare_cached(sql)?.execute(params![kind, Owner(id)])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
