//! What is destroyed of a person, so that no byte of it is left in the tables' files.
//!
//! A deleted row stays in its page, and still does after VACUUM, which frees the place but does
//! not overwrite it. So [`scrub`] writes the tables that hold secrets anew (VACUUM FULL), once
//! nobody sees the old rows any more. The write-ahead log and replicas are not reached.

use std::time::Duration;

use chancery_domain::account::Destroyed;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool};

use super::rows::{signed, unsigned};
use crate::stores::{Remains, StoreError, Traces};

/// The tables that hold what is destroyed.
const TABLES: [&str; 4] = ["data_keys", "sealed", "snapshots", "names"];

/// How many aggregates are taken in one transaction.
const CHUNK: usize = 500;

/// How long is waited for those who still see the old rows.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often they are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Only one node at a time writes tables anew (an advisory lock).
const LOCK: i64 = 0x6368_616e_6572_6173;

/// Aggregates: kinds and ids.
#[derive(Default)]
struct Owners {
    kinds: Vec<String>,
    ids: Vec<String>,
}

/// Destroys keys and values of all aggregates of a person; gives all that was ever destroyed of
/// them.
pub(super) async fn destroy(pool: &PgPool, traces: &Traces) -> Result<Destroyed, StoreError> {
    loop {
        let mut transaction = pool.begin().await?;
        // The pool's connections do not wait for the disk; this must.
        transaction.execute("SET LOCAL synchronous_commit = on").await?;
        let mut owners = bound(&mut transaction, &traces.subject, CHUNK).await?;
        let more = owners.ids.len() == CHUNK;
        owners.extend(given(&mut transaction, traces).await?);
        if !more {
            sqlx::query("DELETE FROM names WHERE owner = $1")
                .bind(&*traces.subject)
                .execute(&mut *transaction)
                .await?;
        }
        let total = destroy_owners(&mut transaction, &traces.subject, &owners).await?;
        transaction.commit().await?;
        if !more {
            return Ok(total);
        }
    }
}

async fn destroy_owners(
    connection: &mut PgConnection,
    subject: &str,
    owners: &Owners,
) -> Result<Destroyed, StoreError> {
    let mut counts = [0; 3];
    for (count, statement) in counts.iter_mut().zip([
        "DELETE FROM data_keys USING unnest($1::text[], $2::text[]) AS theirs (kind, id)
         WHERE owner_type = theirs.kind AND owner_id = theirs.id",
        "DELETE FROM sealed USING unnest($1::text[], $2::text[]) AS theirs (kind, id)
         WHERE aggregate_type = theirs.kind AND aggregate_id = theirs.id",
        "DELETE FROM snapshots USING unnest($1::text[], $2::text[]) AS theirs (kind, id)
         WHERE aggregate_type = theirs.kind AND aggregate_id = theirs.id",
    ]) {
        let deleted = sqlx::query(statement)
            .bind(&owners.kinds)
            .bind(&owners.ids)
            .execute(&mut *connection)
            .await?;
        *count = signed(deleted.rows_affected());
    }
    let [data_keys, sealed_values, snapshots] = counts;
    let (data_keys, sealed_values, snapshots): (i64, i64, i64) = sqlx::query_as(
        "INSERT INTO erasures AS before (subject, data_keys, sealed_values, snapshots)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (subject) DO UPDATE SET
             data_keys = before.data_keys + excluded.data_keys,
             sealed_values = before.sealed_values + excluded.sealed_values,
             snapshots = before.snapshots + excluded.snapshots
         RETURNING data_keys, sealed_values, snapshots",
    )
    .bind(subject)
    .bind(data_keys)
    .bind(sealed_values)
    .bind(snapshots)
    .fetch_one(connection)
    .await?;
    Ok(Destroyed {
        data_keys: unsigned(data_keys)?,
        sealed_values: unsigned(sealed_values)?,
        snapshots: unsigned(snapshots)?,
    })
}

/// What is left of a person.
pub(super) async fn remains(pool: &PgPool, traces: &Traces) -> Result<Remains, StoreError> {
    let mut transaction = pool.begin().await?;
    let mut owners = bound(&mut transaction, &traces.subject, usize::MAX).await?;
    owners.extend(given(&mut transaction, traces).await?);
    let (data_keys, sealed_values, snapshots, names): (i64, i64, i64, i64) = sqlx::query_as(
        "WITH theirs AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS own (kind, id))
         SELECT
             (SELECT count(*) FROM data_keys
              JOIN theirs ON owner_type = theirs.kind AND owner_id = theirs.id),
             (SELECT count(*) FROM sealed
              JOIN theirs ON aggregate_type = theirs.kind AND aggregate_id = theirs.id),
             (SELECT count(*) FROM snapshots
              JOIN theirs ON aggregate_type = theirs.kind AND aggregate_id = theirs.id),
             (SELECT count(*) FROM names WHERE owner = $3)",
    )
    .bind(&owners.kinds)
    .bind(&owners.ids)
    .bind(&*traces.subject)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.rollback().await?;
    Ok(Remains {
        data_keys: unsigned(data_keys)?,
        sealed_values: unsigned(sealed_values)?,
        snapshots: unsigned(snapshots)?,
        names: unsigned(names)?,
    })
}

/// Writes the tables anew. Whoever uses one of them waits meanwhile.
pub(super) async fn scrub(options: &PgConnectOptions) -> Result<(), StoreError> {
    // A connection of its own: the lock ends with it, whatever happens.
    let mut connection = options.connect().await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await?;
    wait_for_old_snapshots(&mut connection).await?;
    // Who would wait for long before a table makes all others wait behind it.
    connection.execute("SET lock_timeout = '5s'").await?;
    for table in TABLES {
        let before = file_of(&mut connection, table).await?;
        connection.execute(format!("VACUUM (FULL, ANALYZE) {table}").as_str()).await?;
        if file_of(&mut connection, table).await? == before {
            // VACUUM only warns of this.
            return Err(StoreError::Closed(format!(
                "the table {table} can't be written anew: the server's role must own it"
            )));
        }
    }
    Ok(connection.close().await?)
}

/// VACUUM keeps rows that somebody may still see.
async fn wait_for_old_snapshots(connection: &mut PgConnection) -> Result<(), StoreError> {
    let now: String = sqlx::query_scalar("SELECT pg_current_xact_id()::xid::text")
        .fetch_one(&mut *connection)
        .await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let old: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND backend_xmin IS NOT NULL AND age(backend_xmin) >= age($1::text::xid)",
        )
        .bind(&now)
        .fetch_one(&mut *connection)
        .await?;
        if old == 0 {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(StoreError::Closed(format!(
                "{old} old transactions may still see what was deleted: end them"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn file_of(connection: &mut PgConnection, table: &str) -> Result<String, StoreError> {
    let node = "SELECT pg_relation_filenode($1::text::regclass)::text";
    Ok(sqlx::query_scalar(node).bind(table).fetch_one(connection).await?)
}

/// Whose data keys are bound to the person.
async fn bound(
    connection: &mut PgConnection,
    subject: &str,
    limit: usize,
) -> Result<Owners, StoreError> {
    let found: Vec<(String, String)> =
        sqlx::query_as("SELECT owner_type, owner_id FROM data_keys WHERE subject = $1 LIMIT $2")
            .bind(subject)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await?;
    let (kinds, ids) = found.into_iter().unzip();
    Ok(Owners { kinds, ids })
}

/// Those given whose data keys are not bound to somebody else.
async fn given(connection: &mut PgConnection, traces: &Traces) -> Result<Owners, StoreError> {
    if traces.owners.is_empty() {
        return Ok(Owners::default());
    }
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT kind, id FROM unnest($1::text[], $2::text[]) AS given (kind, id)
         WHERE NOT EXISTS (
             SELECT FROM data_keys
             WHERE owner_type = kind AND owner_id = id AND subject <> $3)",
    )
    .bind(traces.owners.iter().map(|owner| owner.kind.as_str()).collect::<Vec<_>>())
    .bind(traces.owners.iter().map(|owner| &*owner.id).collect::<Vec<_>>())
    .bind(&*traces.subject)
    .fetch_all(connection)
    .await?;
    let (kinds, ids) = found.into_iter().unzip();
    Ok(Owners { kinds, ids })
}

impl Owners {
    fn extend(&mut self, more: Self) {
        self.kinds.extend(more.kinds);
        self.ids.extend(more.ids);
    }
}
