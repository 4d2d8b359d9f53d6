//! Read models: typed tables that projections write and queries read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chancery_projections::figures::Addition;
use chancery_projections::{Change, ColumnType, RowChange, Rows, Table, Value};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row as _};

use super::rows::signed;
use super::transient::retried;
use crate::stores::{Checkpoint, Query, Side, StoreError};

/// Moves a checkpoint and applies changes, if it stands where it should.
pub(super) async fn project(
    connection: &mut PgConnection,
    (name, side): (&str, Side),
    from: Option<Checkpoint>,
    to: &Checkpoint,
    changes: Vec<Change>,
) -> Result<bool, StoreError> {
    let name = &*side.checkpoint(name);
    // First, so that whoever comes second waits here and has written nothing.
    let moved = match from {
        None => {
            sqlx::query(
                "INSERT INTO checkpoints (name, version, position) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO NOTHING",
            )
            .bind(name)
            .bind(i64::from(to.version))
            .bind(signed(to.position))
            .execute(&mut *connection)
            .await?
        }
        Some(from) => {
            sqlx::query(
                "UPDATE checkpoints SET version = $2, position = $3
                 WHERE name = $1 AND version = $4 AND position = $5",
            )
            .bind(name)
            .bind(i64::from(to.version))
            .bind(signed(to.position))
            .bind(i64::from(from.version))
            .bind(signed(from.position))
            .execute(&mut *connection)
            .await?
        }
    };
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    let Rows { tables, additions } = changes.into_iter().collect();
    for (table, rows) in tables.into_values() {
        apply(connection, (table, side), rows).await?;
    }
    add(connection, side, additions).await?;
    Ok(true)
}

/// Adds to rows.
async fn add(
    connection: &mut PgConnection,
    side: Side,
    additions: Vec<Addition>,
) -> Result<(), StoreError> {
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for addition in additions {
        tables.entry(addition.table.name).or_default().push(addition);
    }
    for additions in tables.into_values() {
        let Some(table) = additions.first().map(|addition| addition.table) else { continue };
        let keys = additions.iter().map(|addition| addition.key.clone()).collect();
        let mut rows = present(connection, table, &side.table(table), keys).await?;
        let mut changed = BTreeMap::new();
        for addition in additions {
            let set = addition.onto(rows.get(&addition.key));
            let set = set.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            if let Some(set) = set {
                rows.insert(addition.key.clone(), set.clone());
                changed.insert(addition.key, RowChange { removed: false, set: Some(set) });
            }
        }
        apply(connection, (table, side), changed).await?;
    }
    Ok(())
}

/// Those of these rows that are there, by their keys.
async fn present(
    connection: &mut PgConnection,
    table: &'static Table,
    place: &str,
    keys: Vec<String>,
) -> Result<BTreeMap<String, BTreeMap<&'static str, Value>>, StoreError> {
    let key = column(table, table.key)?.0;
    let mut columns = Vec::new();
    for (name, _) in table.columns {
        columns.push(column(table, name)?.0);
    }
    let columns = columns.join(", ");
    let statement = format!("SELECT {columns} FROM \"{place}\" WHERE {key} = ANY($1)");
    let found = sqlx::query(&statement).bind(keys).fetch_all(connection).await?;
    let mut rows = BTreeMap::new();
    for row in &found {
        let names = table.columns.iter().map(|(name, _)| *name);
        let mut row: BTreeMap<_, _> = names.zip(values(table, row)?).collect();
        if let Some(Value::Text(key)) = row.remove(table.key) {
            rows.insert(key, row);
        }
    }
    Ok(rows)
}

async fn apply(
    connection: &mut PgConnection,
    (table, side): (&'static Table, Side),
    rows: BTreeMap<String, RowChange>,
) -> Result<(), StoreError> {
    let mut removed = Vec::new();
    let mut puts: BTreeMap<BTreeSet<&'static str>, Puts> = BTreeMap::new();
    for (key, change) in rows {
        if let Some(set) = change.set {
            let put = puts.entry(set.keys().copied().collect()).or_default();
            put.keys.push(key.clone());
            for (column, value) in set {
                put.values.entry(column).or_default().push(value);
            }
        }
        if change.removed {
            removed.push(key);
        }
    }
    if !removed.is_empty() {
        let key = column(table, table.key)?.0;
        let name = side.table(table);
        sqlx::query(&format!("DELETE FROM \"{name}\" WHERE {key} = ANY($1)"))
            .bind(removed)
            .execute(&mut *connection)
            .await?;
    }
    for put in puts.into_values() {
        put.write(connection, table, &side.table(table)).await?;
    }
    Ok(())
}

/// Rows of which the same columns are set.
#[derive(Default)]
struct Puts {
    keys: Vec<String>,
    values: BTreeMap<&'static str, Vec<Value>>,
}

impl Puts {
    async fn write(
        self,
        connection: &mut PgConnection,
        table: &'static Table,
        place: &str,
    ) -> Result<(), StoreError> {
        let key = column(table, table.key)?.0;
        let mut columns = key.clone();
        let mut arrays = String::from("$1::text[]");
        let mut updates = Vec::new();
        for (number, name) in (2..).zip(self.values.keys()) {
            let (quoted, kind) = column(table, name)?;
            if *name == table.key {
                return Err(StoreError::Corrupt(format!("the key of {} can't be set", table.name)));
            }
            let array = if kind.is_number() { "bigint[]" } else { "text[]" };
            let _ = write!(columns, ", {quoted}");
            let _ = write!(arrays, ", ${number}::{array}");
            updates.push(if kind == ColumnType::Highest {
                // NULLs are ignored.
                format!("{quoted} = greatest(\"{place}\".{quoted}, excluded.{quoted})")
            } else {
                format!("{quoted} = excluded.{quoted}")
            });
        }
        let conflict = match updates.as_slice() {
            [] => "NOTHING".to_owned(),
            updates => format!("UPDATE SET {}", updates.join(", ")),
        };
        let statement = format!(
            "INSERT INTO \"{place}\" ({columns}) SELECT * FROM unnest({arrays})
             ON CONFLICT ({key}) DO {conflict}"
        );
        let mut query = sqlx::query(&statement).bind(self.keys);
        for (name, values) in self.values {
            query = if column(table, name)?.1.is_number() {
                query.bind(integers(table, name, values)?)
            } else {
                query.bind(texts(table, name, values)?)
            };
        }
        query.execute(connection).await?;
        Ok(())
    }
}

fn integers(table: &Table, name: &str, values: Vec<Value>) -> Result<Vec<Option<i64>>, StoreError> {
    let integer = |value| match value {
        Value::Null => Ok(None),
        Value::Int(value) => Ok(Some(value)),
        Value::Text(_) => Err(of_another_type(table, name)),
    };
    values.into_iter().map(integer).collect()
}

fn texts(table: &Table, name: &str, values: Vec<Value>) -> Result<Vec<Option<String>>, StoreError> {
    let text = |value| match value {
        Value::Null => Ok(None),
        Value::Text(value) => Ok(Some(value)),
        Value::Int(_) => Err(of_another_type(table, name)),
    };
    values.into_iter().map(text).collect()
}

fn of_another_type(table: &Table, name: &str) -> StoreError {
    StoreError::Corrupt(format!("a value for {}.{name} is of another type", table.name))
}

/// The quoted name of a column of the table, and its type.
fn column(table: &Table, name: &str) -> Result<(String, ColumnType), StoreError> {
    let kind = table.holds(name);
    kind.map(|kind| (format!("\"{name}\""), kind))
        .ok_or_else(|| StoreError::Corrupt(format!("{} has no column {name}", table.name)))
}

/// Empties tables and forgets a checkpoint.
pub(super) async fn reset(
    connection: &mut PgConnection,
    name: &str,
    tables: &[&'static Table],
) -> Result<(), StoreError> {
    // Makes sure of a row to lock: a projector that begins at this moment waits,
    // or is waited for.
    sqlx::query(
        "INSERT INTO checkpoints (name, version, position) VALUES ($1, 0, 0)
         ON CONFLICT (name) DO UPDATE SET position = 0",
    )
    .bind(name)
    .execute(&mut *connection)
    .await?;
    for table in tables {
        sqlx::query(&format!("DELETE FROM \"{}\"", table.name)).execute(&mut *connection).await?;
    }
    sqlx::query("DELETE FROM checkpoints WHERE name = $1").bind(name).execute(connection).await?;
    Ok(())
}

/// The rows that a query asks for.
pub(super) async fn select(pool: &PgPool, query: &Query) -> Result<Vec<Vec<Value>>, StoreError> {
    let found = retried(|| async {
        let mut statement = question(pool, query).await?;
        Ok::<_, StoreError>(statement.build().fetch_all(pool).await?)
    })
    .await?;
    found.iter().map(|row| values(query.table, row)).collect()
}

fn values(table: &Table, row: &PgRow) -> Result<Vec<Value>, StoreError> {
    table.columns.iter().enumerate().map(|(index, (_, kind))| value(row, index, *kind)).collect()
}

fn value(row: &PgRow, index: usize, kind: ColumnType) -> Result<Value, StoreError> {
    Ok(if kind.is_number() {
        row.try_get::<Option<i64>, _>(index)?.map_or(Value::Null, Value::Int)
    } else {
        row.try_get::<Option<String>, _>(index)?.map_or(Value::Null, Value::Text)
    })
}

/// The SQL of a query. NULL comes before all values, and text is ordered by its
/// bytes, as SQLite does it: whatever the database's collation.
async fn question(
    pool: &PgPool,
    query: &Query,
) -> Result<QueryBuilder<'static, Postgres>, StoreError> {
    let table = query.table;
    let key = ordered(table, table.key)?;
    let order = ordered(table, query.order_by)?;
    let mut columns = Vec::new();
    for (name, _) in table.columns {
        columns.push(column(table, name)?.0);
    }
    let mut statement = QueryBuilder::new("SELECT ");
    statement.push(columns.join(", "));
    statement.push(format!(" FROM \"{}\" WHERE true", table.name));
    for (name, value) in query.equals.iter().chain(&query.besides) {
        let (name, _) = column(table, name)?;
        match value {
            Value::Null => statement.push(format!(" AND {name} IS NULL")),
            Value::Int(value) => statement.push(format!(" AND {name} = ")).push_bind(*value),
            Value::Text(value) => {
                statement.push(format!(" AND {name} = ")).push_bind(value.clone())
            }
        };
    }
    for bounds in &query.within {
        let name = ordered(table, bounds.column)?;
        for (compared, bound) in [(">=", &bounds.from), ("<", &bounds.below)] {
            match bound {
                None => continue,
                Some(Value::Null) => statement.push(" AND false"),
                Some(Value::Int(value)) => {
                    statement.push(format!(" AND {name} {compared} ")).push_bind(*value)
                }
                Some(Value::Text(value)) => {
                    statement.push(format!(" AND {name} {compared} ")).push_bind(value.clone())
                }
            };
        }
    }
    let beyond = if query.descending { "<" } else { ">" };
    let by_key = query.order_by == table.key;
    if let Some(after) = &query.after {
        let Value::Text(after) = after else {
            return Err(of_another_type(table, table.key));
        };
        statement.push(" AND ");
        if by_key {
            statement.push(format!("{key} {beyond} ")).push_bind(after.clone());
        } else {
            let at = place_of(pool, query, after).await?;
            push_beyond(&mut statement, query, (&order, &key), (at, after));
        }
    }
    // What is bounded is not NULL, nor is the key: then a plain index serves.
    let bounded = query.within.iter().any(|bounds| {
        bounds.column == query.order_by && (bounds.from.is_some() || bounds.below.is_some())
    });
    let direction = match (query.descending, by_key || bounded) {
        (false, true) => "ASC",
        (true, true) => "DESC",
        (false, false) => "ASC NULLS FIRST",
        (true, false) => "DESC NULLS LAST",
    };
    statement.push(format!(" ORDER BY {order} {direction}"));
    if !by_key {
        statement.push(format!(", {key} {}", if query.descending { "DESC" } else { "ASC" }));
    }
    statement.push(" LIMIT ").push_bind(i64::from(query.limit));
    Ok(statement)
}

/// The condition that a row stands beyond this one in the order asked for.
fn push_beyond(
    statement: &mut QueryBuilder<'static, Postgres>,
    query: &Query,
    (order, key): (&str, &str),
    (at, after): (Value, &str),
) {
    let after = after.to_owned();
    let beyond = if query.descending { "<" } else { ">" };
    match at {
        Value::Null if query.descending => {
            statement.push(format!("({order} IS NULL AND {key} < ")).push_bind(after).push(")");
            return;
        }
        Value::Null => {
            statement.push(format!("({order} IS NOT NULL OR {key} > ")).push_bind(after).push(")");
            return;
        }
        Value::Int(at) => {
            statement.push(format!("(({order}, {key}) {beyond} (")).push_bind(at);
        }
        Value::Text(at) => {
            statement.push(format!("(({order}, {key}) {beyond} (")).push_bind(at);
        }
    }
    statement.push(", ").push_bind(after).push(")");
    if query.descending {
        statement.push(format!(" OR {order} IS NULL"));
    }
    statement.push(")");
}

/// What the row with this key has in the column that is ordered by.
async fn place_of(pool: &PgPool, query: &Query, key: &str) -> Result<Value, StoreError> {
    let table = query.table;
    let (order, kind) = column(table, query.order_by)?;
    let key_column = column(table, table.key)?.0;
    let statement = format!("SELECT {order} FROM \"{}\" WHERE {key_column} = $1", table.name);
    let found = sqlx::query(&statement).bind(key).fetch_optional(pool).await?;
    let Some(row) = found else {
        return Err(StoreError::Corrupt(format!(
            "the row of {} to page on from is no longer there: start from the first page",
            table.name
        )));
    };
    value(&row, 0, kind)
}

fn ordered(table: &Table, name: &str) -> Result<String, StoreError> {
    let (column, kind) = column(table, name)?;
    Ok(if kind.is_number() { column } else { format!("{column} COLLATE \"C\"") })
}
