//! Read models as folds over the feed.
//!
//! A projection sees each event once, in order, and says which rows change. It
//! asks nothing back: a fold that needs what was before keeps it in its rows'
//! other columns, which a [`Change::Put`] leaves as they are. Changes are
//! absolute, so that seeing an event again does no harm. [`figures`] are the
//! exception: sums ([`Change::Add`]), which rest on rows and checkpoint being
//! written together.

use std::collections::BTreeMap;

use chancery_domain::ids::AggregateKind;
use chancery_domain::time::UnixTime;

pub mod accounts;
pub mod audit;
pub mod backchannel_logouts;
pub mod clients;
pub mod consents;
pub mod figures;
pub mod grants;
pub mod personal_data_reads;
mod recorded;
mod rows;
pub mod scopes;
pub mod sessions;
pub mod signing_keys;

pub use self::recorded::{RawEvent, Recorded, Undecodable};
pub use self::rows::{RowChange, Rows};

/// A read model that follows from each event by itself: a pure fold over the feed.
pub trait Projection: Send + Sync {
    /// Names its checkpoint.
    fn name(&self) -> &'static str;

    /// Another number builds it anew from the whole log: for a fold or a table that has changed.
    fn version(&self) -> u32;

    /// Where its rows stand; nobody else writes there.
    fn tables(&self) -> &'static [&'static Table];

    /// The aggregates whose events it folds; it is shown no others.
    fn reads(&self) -> &'static [AggregateKind];

    /// Which rows change because of an event.
    fn project(&self, event: &Recorded, changes: &mut Vec<Change>);
}

/// A read model, and how its rows follow from the log.
#[derive(Clone, Copy)]
pub enum ReadModel {
    /// From each event by itself.
    Folded(&'static dyn Projection),
    /// From events and what came before them: the sums of [`figures`].
    Figures,
}

/// Every read model.
pub const ALL: [ReadModel; 11] = [
    ReadModel::Folded(&clients::Clients),
    ReadModel::Folded(&accounts::Accounts),
    ReadModel::Folded(&grants::Grants),
    ReadModel::Folded(&sessions::Sessions),
    ReadModel::Folded(&backchannel_logouts::BackchannelLogouts),
    ReadModel::Folded(&consents::Consents),
    ReadModel::Folded(&signing_keys::SigningKeys),
    ReadModel::Folded(&scopes::Scopes),
    ReadModel::Folded(&audit::Audit),
    ReadModel::Folded(&personal_data_reads::PersonalDataReads),
    ReadModel::Figures,
];

impl ReadModel {
    /// Names its checkpoint.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Folded(projection) => projection.name(),
            Self::Figures => figures::NAME,
        }
    }

    /// Another number builds it anew from the whole log.
    #[must_use]
    pub fn version(self) -> u32 {
        match self {
            Self::Folded(projection) => projection.version(),
            Self::Figures => figures::VERSION,
        }
    }

    /// Where its rows stand; nobody else writes there.
    #[must_use]
    pub fn tables(self) -> &'static [&'static Table] {
        match self {
            Self::Folded(projection) => projection.tables(),
            Self::Figures => figures::TABLES,
        }
    }

    /// The aggregates whose events it folds; it is shown no others.
    #[must_use]
    pub fn reads(self) -> &'static [AggregateKind] {
        match self {
            Self::Folded(projection) => projection.reads(),
            Self::Figures => figures::READS,
        }
    }
}

impl<P: Projection> From<&'static P> for ReadModel {
    fn from(projection: &'static P) -> Self {
        Self::Folded(projection)
    }
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
}

/// What a column holds. (All nullable.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Int,
    Text,
    /// The id of an aggregate, as its text: 32 hexadecimal digits in lower case. A store may keep
    /// it shorter, in the same order.
    Id,
    /// A number that only grows: a [`Change::Put`] of a lower one, or of none, leaves it.
    Highest,
    /// A number that the store makes of other columns: no change sets it.
    Derived,
}

impl ColumnType {
    /// Does it hold numbers?
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Highest | Self::Derived)
    }
}

/// A table of a read model; its migration stands in `migrations/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// The column of its primary key, a text or an id.
    pub key: &'static str,
    /// All columns, the key first.
    pub columns: &'static [(&'static str, ColumnType)],
}

impl Table {
    /// What the column holds; None: there is none of this name.
    #[must_use]
    pub fn holds(&self, column: &str) -> Option<ColumnType> {
        self.columns.iter().find(|(name, _)| *name == column).map(|(_, holds)| *holds)
    }

    /// Sets columns of a row that has these already.
    pub fn set(&self, row: &mut BTreeMap<&'static str, Value>, set: BTreeMap<&'static str, Value>) {
        for (column, value) in set {
            let grows = (column, ColumnType::Highest);
            let value = match row.remove(column) {
                Some(old) if self.columns.contains(&grows) => value.max(old),
                _ => value,
            };
            row.insert(column, value);
        }
    }
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets these columns of the row with this key; makes the row if there is none.
    Put { table: &'static Table, key: String, set: BTreeMap<&'static str, Value> },
    /// Removes the row with this key, if there is one.
    Remove { table: &'static Table, key: String },
    /// Adds to the row with this key, or makes it: the one change that is not absolute.
    Add(Box<figures::Addition>),
}

impl Change {
    /// Sets these columns of the row.
    pub fn put(
        table: &'static Table,
        key: &str,
        set: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        Self::Put { table, key: key.to_owned(), set: set.into_iter().collect() }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<UnixTime> for Value {
    fn from(time: UnixTime) -> Self {
        Self::Int(time.seconds())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A value as JSON. (Of types that always are: what can't be written is `NULL`.)
fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_string(value).ok().into()
}

#[cfg(test)]
mod testing;
