//! Rows in memory, for the tests of the folds: events come in as the log has them.

use std::collections::BTreeMap;

use crate::{Change, Projection, RawEvent, Recorded, Value};

pub const SUBJECT: &str = "0190c0ffee00700080000000000000b1";
pub const SESSION: &str = "0190c0ffee00700080000000000000c1";
/// SHA-256 of something, in base64url.
pub const DIGEST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub const AUTHENTICATION: &str = r#"{"subject":"0190c0ffee00700080000000000000b1",
    "session_id":"0190c0ffee00700080000000000000c1","auth_time":15,"acr":"1","amr":["pwd"]}"#;

type Row = BTreeMap<&'static str, Value>;

/// What a projection has made of the events that it saw.
pub struct Rows {
    projection: &'static dyn Projection,
    position: u64,
    found: BTreeMap<(&'static str, String), Row>,
}

impl Rows {
    pub fn of(projection: &'static dyn Projection) -> Self {
        Self { projection, position: 0, found: BTreeMap::new() }
    }

    /// Shows it an event of the aggregate `kind/id` — twice, since seeing one again must do no
    /// harm.
    pub fn see(&mut self, aggregate: &str, event_type: &str, payload: &str) {
        self.see_beside(aggregate, (event_type, payload), "{}");
    }

    /// The same with this envelope; gives its position.
    pub fn see_beside(
        &mut self,
        aggregate: &str,
        (event_type, payload): (&str, &str),
        envelope: &str,
    ) -> u64 {
        let (kind, id) = aggregate.split_once('/').unwrap();
        self.position += 1;
        let event = Recorded::decode(RawEvent {
            position: self.position,
            recorded_at_ms: 1_000_000,
            kind: kind.parse().unwrap(),
            id: &id.into(),
            sequence: self.position,
            event_type,
            event_version: "1",
            payload,
            metadata: &envelope.into(),
        })
        .unwrap();
        assert!(self.projection.reads().contains(&event.kind), "it is not shown {aggregate}");
        for _ in 0..2 {
            let mut changes = Vec::new();
            self.projection.project(&event, &mut changes);
            for change in changes {
                self.apply(change);
            }
        }
        self.position
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn apply(&mut self, change: Change) {
        let (table, key) = match &change {
            Change::Put { table, key, .. } | Change::Remove { table, key } => (*table, key.clone()),
            Change::Add(addition) => panic!("seen twice, it is added twice: {addition:?}"),
        };
        assert!(self.projection.tables().contains(&table), "{} is not its table", table.name);
        let Change::Put { set, .. } = change else {
            self.found.remove(&(table.name, key));
            return;
        };
        let row = self.found.entry((table.name, key.clone())).or_insert_with(|| {
            let mut row: Row =
                table.columns.iter().map(|(column, _)| (*column, Value::Null)).collect();
            row.insert(table.key, Value::Text(key));
            row
        });
        for column in set.keys() {
            assert!(row.contains_key(column), "{} has no column {column}", table.name);
            assert_ne!(*column, table.key, "the key is not set twice");
        }
        table.set(row, set);
    }

    pub fn has(&self, table: &'static str, key: &str) -> bool {
        self.found.contains_key(&(table, key.to_owned()))
    }

    pub fn row(&self, table: &'static str, key: &str) -> &Row {
        &self.found[&(table, key.to_owned())]
    }
}
