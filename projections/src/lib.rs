//! Read models as folds over the feed.
//!
//! A projection sees each event once, in order, and says which rows change. It
//! asks nothing back: a fold that needs what was before keeps it in its rows'
//! other columns, which a [`Change::Put`] leaves as they are. Changes are
//! absolute, so that seeing an event again does no harm.

use std::collections::BTreeMap;

mod recorded;

pub use self::recorded::{RawEvent, Recorded, Undecodable};

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
}

/// What a column holds. (Both nullable.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Int,
    Text,
}

/// A table of a read model; its migration stands in `migrations/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// The column of its primary key (TEXT).
    pub key: &'static str,
    /// All columns, the key first.
    pub columns: &'static [(&'static str, ColumnType)],
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets these columns of the row with this key; makes the row if there is none.
    Put { table: &'static Table, key: String, set: BTreeMap<&'static str, Value> },
    /// Removes the row with this key, if there is one.
    Remove { table: &'static Table, key: String },
}
