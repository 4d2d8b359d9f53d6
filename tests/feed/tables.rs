//! The migrations make the tables that the projections write.

use std::collections::{BTreeMap, BTreeSet};

use chancery_projections::{ALL, ColumnType, Table};
use rusqlite::Connection;

use crate::world::World;

fn tables() -> impl Iterator<Item = &'static Table> {
    ALL.iter().flat_map(|projection| projection.tables().iter().copied())
}

#[tokio::test]
async fn sqlite_has_the_columns_and_keys_of_every_read_model() {
    let world = World::new().await;
    let views = Connection::open(world.place.folder().join("views.db")).unwrap();
    for table in tables() {
        let mut statement =
            views.prepare("SELECT name, type, pk FROM pragma_table_xinfo(?1)").unwrap();
        let found: Vec<(String, String, bool)> = statement
            .query_map([table.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let expected: Vec<_> = table
            .columns
            .iter()
            .map(|(name, of)| {
                let of = match of {
                    ColumnType::Int | ColumnType::Highest | ColumnType::Derived => "INTEGER",
                    ColumnType::Text => "TEXT",
                    ColumnType::Id => "BLOB",
                };
                ((*name).to_owned(), of.to_owned(), *name == table.key)
            })
            .collect();
        assert_eq!(found, expected, "{}", table.name);
    }
}

/// Read from the files, so that it holds where no PostgreSQL is at hand.
#[test]
fn both_migrations_make_the_same_tables_and_indexes() {
    let sqlite = shape(concat!(
        include_str!("../../migrations/sqlite/0004_lookups.sql"),
        include_str!("../../migrations/sqlite/0005_backchannel_logouts.sql"),
        include_str!("../../migrations/sqlite/0006_scopes.sql"),
        include_str!("../../migrations/sqlite/0008_questions.sql"),
        include_str!("../../migrations/sqlite/0010_personal_data_reads.sql"),
        include_str!("../../migrations/sqlite/0012_outliving_tokens.sql"),
        include_str!("../../migrations/sqlite/0013_figures.sql"),
        include_str!("../../migrations/sqlite/0015_ids_as_bytes.sql"),
    ));
    let postgres = shape(concat!(
        include_str!("../../migrations/postgres/0004_lookups.sql"),
        include_str!("../../migrations/postgres/0005_backchannel_logouts.sql"),
        include_str!("../../migrations/postgres/0006_scopes.sql"),
        include_str!("../../migrations/postgres/0008_questions.sql"),
        include_str!("../../migrations/postgres/0010_personal_data_reads.sql"),
        include_str!("../../migrations/postgres/0012_outliving_tokens.sql"),
        include_str!("../../migrations/postgres/0013_figures.sql"),
        include_str!("../../migrations/postgres/0015_ids_as_bytes.sql"),
    ));
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite.0.len(), tables().count());
    for table in tables() {
        let columns: Vec<_> =
            table.columns.iter().map(|(name, of)| ((*name).into(), of.is_number())).collect();
        assert_eq!(sqlite.0[table.name], (columns, table.key.to_owned()), "{}", table.name);
    }
}

/// Each table's columns (and whether they hold numbers) and its key; the indexes.
type Shape = (BTreeMap<String, (Vec<(String, bool)>, String)>, BTreeSet<String>);

/// `ALTER TABLE … ADD COLUMN …`: the table; the column, and whether it holds numbers.
fn added_column(line: &str) -> Option<(&str, (String, bool))> {
    let (table, column) = line.strip_prefix("ALTER TABLE ")?.split_once(" ADD COLUMN ")?;
    let (name, of) = column.split_once(' ')?;
    let of = of.to_lowercase();
    let number = of.starts_with("integer") || of.starts_with("bigint");
    Some((table, (name.to_owned(), number)))
}

fn shape(sql: &str) -> Shape {
    let mut tables = BTreeMap::new();
    let mut indexes = BTreeSet::new();
    let mut table = None;
    for line in sql.lines().map(str::trim) {
        if let Some(dropped) = line.strip_prefix("DROP TABLE ") {
            let dropped = dropped.trim_end_matches(';');
            tables.remove(dropped).unwrap();
            indexes.retain(|index: &String| !index.contains(&format!(" ON {dropped} (")));
        } else if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = Some((rest.trim_end_matches(" (").to_owned(), Vec::new(), String::new()));
        } else if let Some((table, column)) = added_column(line) {
            let (columns, _): &mut (Vec<_>, String) = tables.get_mut(table).unwrap();
            columns.push(column);
        } else if line.starts_with("CREATE INDEX") {
            indexes.insert(line.to_owned());
        } else if line.starts_with(')') {
            let (name, columns, key) = table.take().unwrap();
            tables.insert(name, (columns, key));
        } else if let Some((_, columns, key)) = &mut table {
            if let Some(rest) = line.strip_prefix("PRIMARY KEY (") {
                rest.trim_end_matches(')').clone_into(key);
            } else if let Some((name, of)) = line.split_once(' ') {
                let of = of.trim().to_lowercase();
                let number = of.starts_with("integer") || of.starts_with("bigint");
                columns.push((name.to_owned(), number));
            }
        }
    }
    (tables, indexes)
}
