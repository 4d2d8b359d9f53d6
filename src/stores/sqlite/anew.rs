//! Read models that are made anew beside those that are there, and take their
//! place.

use chancery_projections::Table;
use rusqlite::{Connection, TransactionBehavior, params};

use super::views::{checkpoint, move_checkpoint};
use crate::stores::{Checkpoint, Side, StoreError};

/// Makes empty tables like those that are there, and a checkpoint at the beginning.
pub(super) fn begin(
    connection: &mut Connection,
    name: &str,
    version: u32,
    tables: &[&'static Table],
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in tables {
        let (live, anew) = (Side::Live.table(table), Side::Anew.table(table));
        transaction.execute(&format!("DROP TABLE IF EXISTS \"{anew}\""), [])?;
        for statement in statements(&transaction, &live, &anew)? {
            transaction.execute(&statement, [])?;
        }
    }
    let at = Checkpoint { version, position: 0 };
    move_checkpoint(&transaction, &Side::Anew.checkpoint(name), &at)?;
    transaction.commit()?;
    Ok(())
}

/// Puts them in the place of the old ones, unless those are ahead.
pub(super) fn take_place(
    connection: &mut Connection,
    name: &str,
    from: &Checkpoint,
    tables: &[&'static Table],
) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let anew = Side::Anew.checkpoint(name);
    let is_there = checkpoint(&transaction, &anew)?.as_ref() == Some(from);
    let old = checkpoint(&transaction, name)?;
    if !is_there || old.is_some_and(|old| old.position > from.position) {
        return Ok(false);
    }
    for table in tables {
        let (live, anew) = (Side::Live.table(table), Side::Anew.table(table));
        transaction.execute(&format!("DROP TABLE \"{live}\""), [])?;
        transaction.execute(&format!("ALTER TABLE \"{anew}\" RENAME TO \"{live}\""), [])?;
    }
    transaction.execute("DELETE FROM checkpoints WHERE name = ?1", params![anew])?;
    move_checkpoint(&transaction, name, from)?;
    transaction.commit()?;
    Ok(true)
}

/// What makes another table like this one, with its indexes. An index can't be renamed; nobody
/// knows them by their names, since the file is made anew when the schema changes.
fn statements(connection: &Connection, live: &str, anew: &str) -> Result<Vec<String>, StoreError> {
    let mut found = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC",
    )?;
    let found = found.query_map([live], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut statements = Vec::new();
    for row in found {
        let (kind, name, sql) = row?;
        // What comes before the columns is a name, quoted or not.
        let columns = sql.split_once('(').map(|(_, columns)| columns);
        let columns =
            columns.ok_or_else(|| StoreError::Corrupt(format!("{name} has no columns")))?;
        statements.push(if kind == "table" {
            format!("CREATE TABLE \"{anew}\" ({columns}")
        } else {
            let other = match name.strip_suffix("_anew") {
                Some(first) => first.to_owned(),
                None => format!("{name}_anew"),
            };
            format!("CREATE INDEX \"{other}\" ON \"{anew}\" ({columns}")
        });
    }
    Ok(statements)
}
