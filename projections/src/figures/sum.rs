//! The rows: one for each number of each day, and of each of the last hours.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::name::{Name, Whose};
use crate::{Change, ColumnType, Table, Value};

/// One row for each number, by when and for whom it is.
pub static FIGURES: Table = Table {
    name: "figures",
    key: "figure_id",
    columns: &[
        // `grain whose start name`, with a space between: the numbers of one client, or of all, of
        // some days are a range of them. For hours not the start but its place in the ring.
        ("figure_id", ColumnType::Text),
        // `day` or `hour`
        ("grain", ColumnType::Text),
        // As `Whose` has it.
        ("whose", ColumnType::Text),
        // As `Name` has it.
        ("name", ColumnType::Text),
        // When the day (UTC) or the hour begins.
        ("start", ColumnType::Int),
        ("number", ColumnType::Int),
        // The longest of the times.
        ("longest", ColumnType::Int),
        // How often each time was seen: see `Histogram`.
        ("times", ColumnType::Text),
    ],
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// So many hours are kept apart. Each has its place in a ring; a later hour takes it from an
/// earlier one, and what comes for an earlier one after that counts for its day only.
pub const HOURS_KEPT: i64 = 72;

/// How long the time is that one row tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    Hour,
    Day,
}

/// Where a number stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub grain: Grain,
    pub whose: Whose,
    /// In seconds since 1970.
    pub start: i64,
    pub name: Name,
}

/// What a row holds, or what is to be added to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    pub start: i64,
    pub number: i64,
    pub longest: Option<u64>,
    pub times: Histogram,
}

/// A row that this version can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the read model figures holds a row that can't be read: rebuild it")]
pub struct Unreadable;

impl Grain {
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// When the hour or the day begins in which this moment is, in seconds.
    #[must_use]
    pub const fn start_of(self, seconds: i64) -> i64 {
        seconds.div_euclid(self.seconds()) * self.seconds()
    }

    /// What the keys of somebody's rows begin with. All of them are below the same with
    /// [`Grain::AFTER`] at its end.
    #[must_use]
    pub fn prefix(self, whose: &Whose) -> String {
        format!("{} {whose} ", self.as_str())
    }

    /// The character after the space.
    pub const AFTER: char = '!';

    /// How keys tell a start: so that they grow with it, and in a ring for hours.
    #[must_use]
    pub fn place(self, start: i64) -> String {
        match self {
            Self::Hour => format!("{:02}", start.div_euclid(HOUR).rem_euclid(HOURS_KEPT)),
            Self::Day => format!("{:012}", start.max(0)),
        }
    }
}

impl Place {
    /// The row's key.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { grain, whose, start, name } = self;
        format!("{}{} {name}", grain.prefix(whose), grain.place(*start))
    }

    /// Adds to the row.
    #[must_use]
    pub fn addition(self, sum: Sum) -> Change {
        Change::Add(Box::new(Addition { table: &FIGURES, key: self.key(), place: self, sum }))
    }

    fn columns(&self, sum: &Sum) -> BTreeMap<&'static str, Value> {
        let longest = sum.longest.map(|longest| i64::try_from(longest).unwrap_or(i64::MAX));
        let times = (!sum.times.is_empty()).then(|| sum.times.to_string());
        BTreeMap::from([
            ("grain", self.grain.as_str().into()),
            ("whose", self.whose.to_string().into()),
            ("name", self.name.to_string().into()),
            ("start", sum.start.into()),
            ("number", sum.number.into()),
            ("longest", longest.into()),
            ("times", times.into()),
        ])
    }
}

/// What is to be added to a row, which only whoever writes it can know: what there is may be of
/// anybody's making, and is read in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    pub table: &'static Table,
    pub key: String,
    place: Place,
    sum: Sum,
}

impl Addition {
    /// What the row is set to, by what it holds (none: it is not there); nothing, if it stays as it
    /// is.
    pub fn onto(
        &self,
        row: Option<&BTreeMap<&'static str, Value>>,
    ) -> Result<Option<BTreeMap<&'static str, Value>>, Unreadable> {
        let mut sum = row.map(Sum::read).transpose()?.unwrap_or_default();
        Ok(sum.take(&self.sum).then(|| self.place.columns(&sum)))
    }
}

impl Sum {
    /// Adds another of the same hour or day, which may be told in parts.
    pub fn add(&mut self, other: &Self) {
        self.number = self.number.saturating_add(other.number);
        self.longest = self.longest.max(other.longest);
        self.times.add(&other.times);
    }

    /// Adds another to a row. False: the row is of a later hour, and stays as it is.
    pub fn take(&mut self, other: &Self) -> bool {
        if other.start < self.start {
            return false;
        }
        if other.start > self.start {
            *self = Self { start: other.start, ..Self::default() };
        }
        self.add(other);
        true
    }

    /// Reads the columns of a row.
    pub fn read(row: &BTreeMap<&'static str, Value>) -> Result<Self, Unreadable> {
        let int = |name| match row.get(name) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) | None => Ok(None),
            Some(Value::Text(_)) => Err(Unreadable),
        };
        let times = match row.get("times") {
            Some(Value::Text(text)) => text.parse().map_err(|_| Unreadable)?,
            _ => Histogram::default(),
        };
        let longest = int("longest")?.map(u64::try_from).transpose().map_err(|_| Unreadable)?;
        Ok(Self {
            start: int("start")?.ok_or(Unreadable)?,
            number: int("number")?.ok_or(Unreadable)?,
            longest,
            times,
        })
    }
}
