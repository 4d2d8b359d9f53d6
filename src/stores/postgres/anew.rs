//! Read models that are made anew beside those that are there, and take their
//! place.

use std::collections::BTreeMap;

use chancery_projections::Table;
use sqlx::PgConnection;

use super::rows::signed;
use crate::stores::{Checkpoint, Side, StoreError};

/// Makes empty tables like those that are there, and a checkpoint at the beginning.
pub(super) async fn begin(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    tables: &[&'static Table],
) -> Result<(), StoreError> {
    // First, so that of two who begin one waits.
    let beginning = Checkpoint { version, position: 0 };
    set_checkpoint(connection, &Side::Anew.checkpoint(name), &beginning).await?;
    for table in tables {
        let (live, anew) = (Side::Live.table(table), Side::Anew.table(table));
        sqlx::query(&format!("DROP TABLE IF EXISTS \"{anew}\"")).execute(&mut *connection).await?;
        sqlx::query(&format!("CREATE TABLE \"{anew}\" (LIKE \"{live}\" INCLUDING ALL)"))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Puts them in the place of the old ones, unless those are ahead.
pub(super) async fn take_place(
    connection: &mut PgConnection,
    name: &str,
    from: &Checkpoint,
    tables: &[&'static Table],
) -> Result<bool, StoreError> {
    // Whoever projects waits here, and then finds another checkpoint.
    let anew = Side::Anew.checkpoint(name);
    let stands: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT name, version, position FROM checkpoints WHERE name IN ($1, $2)
         ORDER BY name FOR UPDATE",
    )
    .bind(name)
    .bind(&*anew)
    .fetch_all(&mut *connection)
    .await?;
    let position = signed(from.position);
    let is_there = stands.iter().any(|(own, version, at)| {
        *own == *anew && *version == i64::from(from.version) && *at == position
    });
    let is_ahead = |(own, _, at): &(String, i64, i64)| own == name && *at > position;
    if !is_there || stands.iter().any(is_ahead) {
        return Ok(false);
    }
    for table in tables {
        replace(connection, table).await?;
    }
    sqlx::query("DELETE FROM checkpoints WHERE name = $1")
        .bind(&*anew)
        .execute(&mut *connection)
        .await?;
    set_checkpoint(connection, name, from).await?;
    Ok(true)
}

/// Notes how far a projection has come, wherever it stood.
async fn set_checkpoint(
    connection: &mut PgConnection,
    name: &str,
    to: &Checkpoint,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO checkpoints (name, version, position) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET
             version = excluded.version, position = excluded.position",
    )
    .bind(name)
    .bind(i64::from(to.version))
    .bind(signed(to.position))
    .execute(connection)
    .await?;
    Ok(())
}

/// The new table gets the names of the old one and of its indexes: migrations know them by those.
async fn replace(connection: &mut PgConnection, table: &Table) -> Result<(), StoreError> {
    let (live, anew) = (Side::Live.table(table), Side::Anew.table(table));
    let mut names = indexes(connection, &live).await?;
    let indexes = indexes(connection, &anew).await?;
    sqlx::query(&format!("DROP TABLE \"{live}\"")).execute(&mut *connection).await?;
    sqlx::query(&format!("ALTER TABLE \"{anew}\" RENAME TO \"{live}\""))
        .execute(&mut *connection)
        .await?;
    for (definition, index) in indexes {
        if let Some(name) = names.remove(&definition) {
            sqlx::query(&format!("ALTER INDEX \"{index}\" RENAME TO \"{name}\""))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// The indexes of a table: what each is of, and its name.
async fn indexes(
    connection: &mut PgConnection,
    table: &str,
) -> Result<BTreeMap<String, String>, StoreError> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexdef, indexname FROM pg_indexes
         WHERE schemaname = current_schema() AND tablename = $1",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    let of = |(definition, name): (String, String)| {
        let columns = definition.split_once(" USING ").map_or("", |(_, columns)| columns);
        (columns.to_owned(), name)
    };
    Ok(found.into_iter().map(of).collect())
}
