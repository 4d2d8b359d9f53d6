//! The schema, brought up to date step by step.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

/// One step; never changed once it has been released.
pub(super) struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../../migrations/sqlite/", $name, ".sql")),
        }
    };
}

/// The steps of `chancery.db`.
pub(super) const LOG: &[Migration] = &[
    migration!(1, "0001_log"),
    migration!(2, "0002_beside_the_log"),
    migration!(7, "0007_merkle_log"),
    migration!(9, "0009_erasures"),
    migration!(11, "0011_documents"),
    migration!(14, "0014_shared_metadata"),
    migration!(16, "0016_packs"),
    migration!(17, "0017_owners_as_bytes"),
];

/// The steps of `views.db`.
pub(super) const VIEWS: &[Migration] = &[
    migration!(3, "0003_read_models"),
    migration!(4, "0004_lookups"),
    migration!(5, "0005_backchannel_logouts"),
    migration!(6, "0006_scopes"),
    migration!(8, "0008_questions"),
    migration!(10, "0010_personal_data_reads"),
    migration!(12, "0012_outliving_tokens"),
    migration!(13, "0013_figures"),
    migration!(15, "0015_ids_as_bytes"),
];

/// How a database stands to the steps this version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schema {
    Current,
    /// These steps, from this index on, are missing.
    Behind(usize),
    /// Can't be used by this version; says why.
    Unknown(String),
}

/// Compares what has been applied with what is known.
pub(super) fn schema(
    connection: &Connection,
    migrations: &[Migration],
) -> rusqlite::Result<Schema> {
    let known = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'", [], |_| Ok(()))
        .optional()?
        .is_some();
    if !known {
        let tables: u32 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return Ok(if tables == 0 {
            Schema::Behind(0)
        } else {
            Schema::Unknown("it is not a database of Chancery's".to_owned())
        });
    }
    let mut applied = connection
        .prepare("SELECT number, name, statements FROM schema_migrations ORDER BY number")?;
    let mut applied = applied.query([])?;
    let mut count = 0;
    while let Some(row) = applied.next()? {
        let number: u32 = row.get(0)?;
        let name: String = row.get(1)?;
        let Some(migration) = migrations.get(count) else {
            return Ok(Schema::Unknown(format!(
                "it was made by a newer version of Chancery (it has had migration {number}, \
                 {name}, which this version does not know): run that version"
            )));
        };
        if number != migration.number || row.get_ref(2)?.as_str()? != migration.sql {
            return Ok(Schema::Unknown(format!(
                "its migration {number}, {name}, is not the one of this version: run the version \
                 that made it"
            )));
        }
        count += 1;
    }
    Ok(if count == migrations.len() { Schema::Current } else { Schema::Behind(count) })
}

/// Applies the steps from an index on, each in a transaction of its own; gives their names.
pub(super) fn apply(
    connection: &mut Connection,
    migrations: &[Migration],
    from: usize,
) -> rusqlite::Result<Vec<String>> {
    let missing = migrations.iter().skip(from);
    let names = missing.clone().map(|migration| migration.name.to_owned()).collect();
    for migration in missing {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                 number     INTEGER NOT NULL PRIMARY KEY,
                 name       TEXT    NOT NULL,
                 statements TEXT    NOT NULL,
                 applied_at TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP
             ) STRICT",
        )?;
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO schema_migrations (number, name, statements) VALUES (?1, ?2, ?3)",
            params![migration.number, migration.name, migration.sql],
        )?;
        transaction.commit()?;
        tracing::info!(migration.name, "applied migration {}", migration.name);
    }
    Ok(names)
}
