//! The schema: embedded migrations, applied in order, by one node at a time.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use super::transient::is_contention;
use crate::stores::StoreError;

/// One file of `migrations/postgres/`.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    /// Programs that know the schema up to this version work with the database after this step
    /// too: their nodes go on, and can be started again.
    programs_from: i32,
}

macro_rules! migration {
    ($version:literal, $file:literal, $name:literal) => {
        migration!($version, $file, $name, programs_from $version)
    };
    ($version:literal, $file:literal, $name:literal, programs_from $programs_from:literal) => {
        Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../migrations/postgres/", $file, "_", $name, ".sql")),
            programs_from: $programs_from,
        }
    };
}

/// All of them, in order.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001", "log"),
    migration!(2, "0002", "beside_the_log"),
    migration!(3, "0003", "read_models"),
    migration!(4, "0004", "lookups"),
    migration!(5, "0005", "backchannel_logouts"),
    migration!(6, "0006", "scopes"),
    migration!(7, "0007", "merkle_log"),
    migration!(8, "0008", "questions"),
    migration!(9, "0009", "erasures"),
    migration!(10, "0010", "personal_data_reads"),
    migration!(11, "0011", "documents"),
    migration!(12, "0012", "outliving_tokens"),
    migration!(13, "0013", "figures"),
    migration!(14, "0014", "shared_metadata", programs_from 13),
    migration!(15, "0015", "ids_as_bytes", programs_from 13),
    migration!(16, "0016", "packs", programs_from 13),
    migration!(17, "0017", "owners_as_bytes", programs_from 13),
];

/// Held while a node migrates: any number, but always this one ("chancery").
const LOCK: i64 = 0x6368_616e_6365_7279;

/// How long a step waits for a table, how often it is tried, and what it leaves others in between.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(3);

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)";

/// Where the database was made before steps said it.
const ADD_PROGRAMS_FROM: &str =
    "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS programs_from integer";

/// Brings the schema up to date, all or nothing; says which migrations it
/// applied. Nodes that start together wait for each other.
///
/// Other nodes work meanwhile. Whoever waits for a lock that a long query holds has all wait that
/// come after, so this waits briefly, and tries again.
pub(super) async fn migrate(options: &PgConnectOptions) -> Result<Vec<String>, StoreError> {
    let mut connection = options.connect().await?;
    let mut tries = 1;
    let applied = loop {
        match migrate_on(&mut connection).await {
            Err(StoreError::Postgres(error)) if tries < TRIES && is_contention(&error) => {
                tracing::warn!(
                    %error,
                    tries,
                    "the schema can't be brought up to date while another query holds a table \
                     ({error}): trying again"
                );
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            applied => break applied,
        }
    };
    // Closing politely frees the server's side at once; failing to do so harms
    // nothing.
    let _ = connection.close().await;
    applied
}

async fn migrate_on(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let mut transaction = connection.begin().await?;
    // The lock ends with the transaction, however that ends.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *transaction).await?;
    if encoding != "UTF8" {
        return Err(StoreError::Closed(format!(
            "the database's encoding is {encoding}: create one with ENCODING 'UTF8'"
        )));
    }
    transaction.execute(LOCK_TIMEOUT).await?;
    transaction.execute(CREATE_TABLE).await?;
    let present = version(&mut transaction).await?;
    if present < latest() {
        transaction.execute(ADD_PROGRAMS_FROM).await?;
    }
    refuse_newer(&mut transaction, present).await?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > present) {
        transaction.execute(migration.sql).await?;
        sqlx::query(
            "INSERT INTO schema_migrations (version, name, programs_from) VALUES ($1, $2, $3)",
        )
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.programs_from)
        .execute(&mut *transaction)
        .await?;
        applied.push(format!("{:04}_{}", migration.version, migration.name));
    }
    transaction.commit().await?;
    Ok(applied)
}

/// Refuses a database that this version can't work with, and says what to do.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('schema_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let present = if there { version(connection).await? } else { 0 };
    refuse_newer(connection, present).await?;
    if present < latest() {
        return Err(StoreError::Closed(format!(
            "the database's schema is at version {present}, this Chancery needs {}: run \
             `chancery migrate`",
            latest()
        )));
    }
    Ok(())
}

async fn version(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM schema_migrations")
        .fetch_one(connection)
        .await?;
    Ok(version)
}

/// A newer schema is good where each of its later steps leaves this version what it needs.
async fn refuse_newer(connection: &mut PgConnection, present: i32) -> Result<(), StoreError> {
    if present <= latest() {
        return Ok(());
    }
    let programs_from: i32 = sqlx::query_scalar(
        "SELECT max(coalesce(programs_from, version)) FROM schema_migrations WHERE version > $1",
    )
    .bind(latest())
    .fetch_one(connection)
    .await?;
    if programs_from <= latest() {
        tracing::info!(
            schema.version = present,
            "the database's schema is at version {present}, newer than this Chancery knows, and \
             leaves it what it needs"
        );
        return Ok(());
    }
    Err(StoreError::Closed(format!(
        "the database's schema is at version {present}, newer than this Chancery can use ({}): run \
         the version of Chancery that made it, or a later one",
        latest()
    )))
}

fn latest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        let count = i32::try_from(versions.len()).unwrap();
        assert_eq!(versions, (1..=count).collect::<Vec<_>>());
    }

    #[test]
    fn every_file_is_embedded_under_its_number_and_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let embedded: Vec<_> =
            MIGRATIONS.iter().map(|m| format!("{:04}_{}.sql", m.version, m.name)).collect();
        assert_eq!(files, embedded);
    }
}
