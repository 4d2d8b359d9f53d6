//! Changes to the rows of read models, as SQL.

use std::collections::{BTreeMap, HashMap};
use std::slice;

use chancery_projections::figures::Addition;
use chancery_projections::{Change, ColumnType, RowChange, Rows, Table, Value};
use rusqlite::Connection;
use rusqlite::types::ToSqlOutput;

use super::rows::{column, kept, kept_text, value};
use crate::stores::{Side, StoreError};

/// The SQL of what was changed so far: a table's rows are set in a few sets of columns, again and
/// again, and writing the text took as long as carrying it out.
#[derive(Default)]
pub(super) struct Changes {
    upserts: HashMap<(&'static str, Side), Vec<Upsert>>,
    selects: HashMap<(&'static str, Side), String>,
    deletes: HashMap<(&'static str, Side), String>,
}

/// Sets these columns of a row, or makes it.
struct Upsert {
    columns: Vec<&'static str>,
    holds: Vec<ColumnType>,
    sql: String,
}

impl Changes {
    /// Applies these.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        side: Side,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        let Rows { tables, additions } = changes.into_iter().collect();
        for (table, rows) in tables.values() {
            for (key, RowChange { removed, set }) in rows {
                if *removed {
                    self.remove(connection, (table, side), key)?;
                }
                if let Some(set) = set {
                    self.put(connection, (table, side), key, set)?;
                }
            }
        }
        additions.iter().try_for_each(|addition| self.add(connection, side, addition))
    }

    fn add(
        &mut self,
        connection: &Connection,
        side: Side,
        addition: &Addition,
    ) -> Result<(), StoreError> {
        let Addition { table, key, .. } = addition;
        let row = self.row(connection, (table, side), key)?;
        let set = addition.onto(row.as_ref());
        match set.map_err(|error| StoreError::Corrupt(error.to_string()))? {
            Some(set) => self.put(connection, (table, side), key, &set),
            None => Ok(()),
        }
    }

    fn remove(
        &mut self,
        connection: &Connection,
        (table, side): (&'static Table, Side),
        key: &str,
    ) -> Result<(), StoreError> {
        let delete = self.deletes.entry((table.name, side)).or_insert_with(|| {
            let (place, key) = (side.table(table), table.key);
            format!("DELETE FROM \"{place}\" WHERE \"{key}\" = ?1")
        });
        connection.prepare_cached(delete)?.execute([key_of(table, key)?])?;
        Ok(())
    }

    fn put(
        &mut self,
        connection: &Connection,
        (table, side): (&'static Table, Side),
        key: &str,
        set: &BTreeMap<&'static str, Value>,
    ) -> Result<(), StoreError> {
        let known = self.upserts.entry((table.name, side)).or_default();
        let is_this = |upsert: &Upsert| upsert.columns.iter().eq(set.keys());
        let upsert = if let Some(place) = known.iter().position(is_this) {
            known.swap_remove(place)
        } else {
            let columns: Vec<_> = set.keys().copied().collect();
            Upsert::of(table, &side.table(table), columns)?
        };
        let mut statement = connection.prepare_cached(&upsert.sql)?;
        statement.raw_bind_parameter(1, key_of(table, key)?)?;
        for (index, ((name, value), holds)) in set.iter().zip(&upsert.holds).enumerate() {
            let value = kept(value, *holds).ok_or_else(|| no_id(table, name))?;
            statement.raw_bind_parameter(index + 2, value)?;
        }
        statement.raw_execute()?;
        known.push(upsert);
        Ok(())
    }

    /// The columns of a row but its key, if it is there.
    fn row(
        &mut self,
        connection: &Connection,
        (table, side): (&'static Table, Side),
        key: &str,
    ) -> Result<Option<BTreeMap<&'static str, Value>>, StoreError> {
        let columns =
            || table.columns.iter().map(|(name, _)| *name).filter(|name| *name != table.key);
        let select = self.selects.entry((table.name, side)).or_insert_with(|| {
            let quoted: Vec<_> = columns().map(|name| format!("\"{name}\"")).collect();
            let (columns, place, key) = (quoted.join(", "), side.table(table), table.key);
            format!("SELECT {columns} FROM \"{place}\" WHERE \"{key}\" = ?1")
        });
        let mut statement = connection.prepare_cached(select)?;
        let mut rows = statement.query([key_of(table, key)?])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        columns()
            .enumerate()
            .map(|(index, name)| Ok((name, value(row, index)?)))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

impl Upsert {
    /// The first parameter is the row's key, the others are the columns in this order.
    fn of(table: &Table, place: &str, columns: Vec<&'static str>) -> Result<Self, StoreError> {
        let (key, _) = column(table, table.key)?;
        let set = columns.iter().map(|name| column(table, name));
        let (quoted, holds): (Vec<_>, Vec<_>) = set.collect::<Result<_, _>>()?;
        let names = [slice::from_ref(&key), &quoted].concat().join(", ");
        let parameters: Vec<_> =
            (1..=quoted.len() + 1).map(|number| format!("?{number}")).collect();
        let parameters = parameters.join(", ");
        let updates: Vec<_> = quoted
            .iter()
            .zip(&holds)
            .map(|(quoted, holds)| update(place, quoted, *holds))
            .collect();
        let otherwise = match updates.as_slice() {
            [] => "NOTHING".to_owned(),
            updates => format!("UPDATE SET {}", updates.join(", ")),
        };
        let sql = format!(
            "INSERT INTO \"{place}\" ({names}) VALUES ({parameters})
             ON CONFLICT ({key}) DO {otherwise}"
        );
        Ok(Self { columns, holds, sql })
    }
}

/// The key of a row, to find it or make it by.
fn key_of<'k>(table: &Table, key: &'k str) -> Result<ToSqlOutput<'k>, StoreError> {
    let kept = table.holds(table.key).and_then(|holds| kept_text(key, holds));
    kept.ok_or_else(|| no_id(table, table.key))
}

fn no_id(table: &Table, name: &str) -> StoreError {
    StoreError::Corrupt(format!("what {}.{name} is to hold is not an id", table.name))
}

/// What a column of a row that is there already is set to.
fn update(place: &str, quoted: &str, holds: ColumnType) -> String {
    if holds != ColumnType::Highest {
        return format!("{quoted} = excluded.{quoted}");
    }
    // max() of anything and NULL is NULL.
    let (old, new) = (format!("\"{place}\".{quoted}"), format!("excluded.{quoted}"));
    format!("{quoted} = max(coalesce({old}, {new}), coalesce({new}, {old}))")
}
