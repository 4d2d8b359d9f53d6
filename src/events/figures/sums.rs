//! The rows of the read model, as sums by name.

use std::collections::BTreeMap;

use chancery_domain::ids::ClientId;
use chancery_projections::Value;
use chancery_projections::figures::{FIGURES, Grain, Name, Sum, Whose};
use futures_util::future::try_join_all;

use super::Asked;
use crate::audit::{AuditError, Records};
use crate::stores::{Bounds, Query, StoreError};

/// How many rows are read for the figures of all clients one by one, of each name.
const MOST_ROWS: u32 = 100_000;

/// What the names of the numbers begin with that are told client by client.
const BY_CLIENT: [&str; 5] =
    ["answered.", "counted.", "received", "remembered", "request_declined"];

/// Numbers by name.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Name, Sum>);

impl Sums {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Sum)> {
        self.0.iter()
    }

    /// Nothing, where there is none.
    pub(super) fn get(&self, name: &Name) -> Sum {
        self.0.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn number(&self, name: &Name) -> i64 {
        self.0.get(name).map_or(0, |sum| sum.number)
    }

    /// How often this was counted, for whatever reason.
    pub(super) fn what(&self, asked: &str) -> i64 {
        let own = |(name, sum): (&Name, &Sum)| match name {
            Name::Counted { what, .. } if what == asked => Some(sum.number),
            _ => None,
        };
        self.0.iter().filter_map(own).sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (name, sum) in &other.0 {
            self.0.entry(name.clone()).or_default().add(sum);
        }
    }

    fn note(&mut self, row: Row) {
        self.0.entry(row.name).or_default().add(&row.sum);
    }
}

/// The numbers of each hour or day: of the client asked for, or of all together.
pub(super) async fn of(
    records: &Records,
    asked: &Asked,
) -> Result<BTreeMap<i64, Sums>, AuditError> {
    let grain = asked.by;
    let whose = asked.whose();
    let prefix = grain.prefix(&whose);
    let (from, below) = match grain {
        // Round the ring, so all of them.
        Grain::Hour => {
            let mut below = prefix.clone();
            below.pop();
            below.push(Grain::AFTER);
            (prefix, below)
        }
        Grain::Day => {
            let place = |at: i64| format!("{prefix}{}", grain.place(at));
            (place(asked.period.from.seconds()), place(asked.period.below.seconds()))
        }
    };
    let keys = Bounds { column: FIGURES.key, from: Some(from.into()), below: Some(below.into()) };
    let query = Query { within: vec![keys, starts(asked)], ..Query::all(&FIGURES) };
    let mut sums = BTreeMap::<i64, Sums>::new();
    for row in rows(records, query).await? {
        sums.entry(row.sum.start).or_default().note(row);
    }
    Ok(sums)
}

/// What all clients asked for, each by itself, and those who are none.
pub(super) async fn by_client(
    records: &Records,
    asked: &Asked,
) -> Result<BTreeMap<Option<ClientId>, Sums>, AuditError> {
    let grain = Value::from(asked.by.as_str());
    let of_a_name = BY_CLIENT.map(|prefix| {
        // The character after the last one that a name has in it.
        let below = format!("{prefix}{}", char::from(0x7f));
        let from = Some(prefix.into());
        let names = Bounds { column: "name", from, below: Some(below.into()) };
        let query = Query {
            equals: vec![("grain", grain.clone())],
            within: vec![names, starts(asked)],
            limit: MOST_ROWS,
            ..Query::all(&FIGURES)
        };
        rows(records, query)
    });
    let mut sums = BTreeMap::<_, Sums>::new();
    for row in try_join_all(of_a_name).await?.into_iter().flatten() {
        let client = match &row.whose {
            Whose::All => continue,
            Whose::Nobody => None,
            Whose::Client(client) => Some(client.clone()),
        };
        sums.entry(client).or_default().note(row);
    }
    Ok(sums)
}

fn starts(asked: &Asked) -> Bounds {
    let bound = |at: chancery_domain::time::UnixTime| Some(Value::Int(at.seconds()));
    Bounds { column: "start", from: bound(asked.period.from), below: bound(asked.period.below) }
}

struct Row {
    name: Name,
    whose: Whose,
    sum: Sum,
}

async fn rows(records: &Records, query: Query) -> Result<Vec<Row>, AuditError> {
    let found = records.store.select(query).await?;
    found.into_iter().map(|values| read(values).map_err(AuditError::from)).collect()
}

fn read(values: Vec<Value>) -> Result<Row, StoreError> {
    let names = FIGURES.columns.iter().map(|(name, _)| *name);
    let row: BTreeMap<_, _> = names.zip(values).collect();
    let text = |column: &str| match row.get(column) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let corrupt = || {
        let key = text(FIGURES.key);
        StoreError::Corrupt(format!("the row {key} of figures can't be read: rebuild it"))
    };
    Ok(Row {
        name: text("name").parse().map_err(|_| corrupt())?,
        whose: text("whose").parse().map_err(|_| corrupt())?,
        sum: Sum::read(&row).map_err(|_| corrupt())?,
    })
}
