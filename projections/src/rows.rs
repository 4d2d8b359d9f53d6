//! Many changes as one for each row: most events of a grant set columns of the same few rows, and
//! a row costs a store as much however many of its columns are set.

use std::collections::BTreeMap;

use crate::figures::Addition;
use crate::{Change, Table, Value};

/// What changes come to.
#[derive(Debug, Default)]
pub struct Rows {
    /// The tables of which rows are set or removed by their names, and these rows by their keys.
    pub tables: BTreeMap<&'static str, (&'static Table, BTreeMap<String, RowChange>)>,
    /// What is added to rows, in its order. (The rows of a table are either added to or set.)
    pub additions: Vec<Addition>,
}

/// What the changes to one row come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowChange {
    /// It starts from nothing.
    pub removed: bool,
    /// These columns of it are set; None: it is not there afterwards, if removed.
    pub set: Option<BTreeMap<&'static str, Value>>,
}

impl FromIterator<Change> for Rows {
    fn from_iter<T: IntoIterator<Item = Change>>(changes: T) -> Self {
        let mut rows = Self::default();
        for change in changes {
            match change {
                Change::Put { table, key, set } => rows.row(table, key).put(table, set),
                Change::Remove { table, key } => {
                    *rows.row(table, key) = RowChange { removed: true, set: None };
                }
                Change::Add(addition) => rows.additions.push(*addition),
            }
        }
        rows
    }
}

impl Rows {
    fn row(&mut self, table: &'static Table, key: String) -> &mut RowChange {
        let (_, rows) = self.tables.entry(table.name).or_insert_with(|| (table, BTreeMap::new()));
        rows.entry(key).or_default()
    }
}

impl RowChange {
    fn put(&mut self, table: &Table, set: BTreeMap<&'static str, Value>) {
        match &mut self.set {
            None => self.set = Some(set),
            Some(row) => table.set(row, set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnType;

    static TABLE: Table = Table {
        name: "things",
        key: "id",
        columns: &[
            ("id", ColumnType::Text),
            ("name", ColumnType::Text),
            ("number", ColumnType::Int),
            ("seen", ColumnType::Highest),
        ],
    };

    fn put<const N: usize>(key: &str, set: [(&'static str, Value); N]) -> Change {
        Change::put(&TABLE, key, set)
    }

    fn remove(key: &str) -> Change {
        Change::Remove { table: &TABLE, key: key.to_owned() }
    }

    fn one_row(changes: impl IntoIterator<Item = Change>) -> RowChange {
        let rows: Rows = changes.into_iter().collect();
        assert_eq!(rows.tables.len(), 1, "{rows:?}");
        let (_, rows) = &rows.tables[TABLE.name];
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows["a"].clone()
    }

    #[test]
    fn the_last_write_of_each_column_counts() {
        let row = one_row([
            put("a", [("name", "old".into()), ("number", 1.into())]),
            put("a", [("name", "new".into())]),
        ]);
        let set = BTreeMap::from([("name", "new".into()), ("number", 1.into())]);
        assert_eq!(row, RowChange { removed: false, set: Some(set) });
    }

    #[test]
    fn what_only_grows_does_not_shrink_within_a_handful_either() {
        let row = one_row([
            put("a", [("seen", 5.into())]),
            put("a", [("seen", 3.into())]),
            put("a", [("seen", Value::Null)]),
        ]);
        assert_eq!(row.set, Some(BTreeMap::from([("seen", 5.into())])));
    }

    #[test]
    fn a_row_that_comes_again_begins_with_nothing() {
        let gone = RowChange { removed: true, set: None };
        assert_eq!(one_row([put("a", [("number", 1.into())]), remove("a")]), gone);
        let row = one_row([
            put("a", [("number", 1.into())]),
            remove("a"),
            put("a", [("name", "b".into())]),
        ]);
        let set = BTreeMap::from([("name", "b".into())]);
        assert_eq!(row, RowChange { removed: true, set: Some(set) });
    }

    #[test]
    fn rows_and_tables_are_kept_apart() {
        static OTHER: Table = Table { name: "others", ..TABLE };
        let rows: Rows = [
            put("b", []),
            Change::put(&OTHER, "a", [("number", 2.into())]),
            put("a", [("number", 1.into())]),
        ]
        .into_iter()
        .collect();
        let keys = |name: &str| rows.tables[name].1.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(TABLE.name), ["a", "b"]);
        assert_eq!(keys(OTHER.name), ["a"]);
    }
}
