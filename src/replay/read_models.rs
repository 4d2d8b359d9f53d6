//! Every read model folded anew, and compared row by row.
//!
//! A server may go on writing meanwhile: each read model is folded as far as
//! its checkpoint, and where rows differ because that has moved, both are
//! brought on and looked at again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chancery_projections::figures::{Counted, Fold};
use chancery_projections::{Change, ColumnType, ReadModel as Kept, Recorded, Table, Value};
use serde::Serialize;

use super::{LOOK, LOOKS, Part, Report};
use crate::actors::figures::recall;
use crate::feed::{PatientLog, decode};
use crate::stores::{Query, Store, StoreError};

/// How many rows are read at once.
const PAGE: u32 = 1000;

/// What came of comparing a read model.
#[derive(Debug, Serialize)]
pub struct ReadModel {
    pub name: &'static str,
    /// How far it has been compared.
    pub position: u64,
    pub rows: u64,
    pub verdict: Verdict,
}

/// What a read model is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of its rows follow from the log.
    Matches,
    Differs,
    /// There is none yet, or it is being made anew.
    NotBuilt,
    /// Another version of Chancery made it; a server of this one makes it anew.
    OtherVersion,
    /// It moved on so fast that it could not be compared.
    Moving,
}

type Key = (&'static str, String);
type Columns = BTreeMap<&'static str, Value>;

/// The rows of a part, of all read models.
pub(super) struct ReadModels {
    models: Vec<Model>,
}

struct Model {
    kept: Kept,
    part: Part,
    /// How far it stood when the pass began; none: not to be compared.
    target: Result<u64, Verdict>,
    /// How far it is folded.
    position: u64,
    rows: HashMap<Key, Columns>,
    changes: Vec<Change>,
    figures: Figures,
}

/// What the figures are counted by.
#[derive(Default)]
struct Figures {
    fold: Fold,
    /// Not in the rows yet.
    counted: Counted,
    since: usize,
}

/// How many events are counted before rows are made of them.
const COUNTED: usize = 5000;

impl ReadModels {
    pub(super) async fn new(store: &dyn Store, part: Part) -> Result<Self, StoreError> {
        let mut models = Vec::new();
        for model in chancery_projections::ALL {
            let target = stands(store, model).await?;
            models.push(Model {
                kept: model,
                part,
                target,
                position: 0,
                rows: HashMap::new(),
                changes: Vec::new(),
                figures: Figures::default(),
            });
        }
        Ok(Self { models })
    }

    /// Takes the next event.
    pub(super) async fn see(
        &mut self,
        store: &dyn Store,
        recorded: &Recorded,
    ) -> Result<(), StoreError> {
        for model in &mut self.models {
            if model.target.is_ok_and(|target| recorded.position <= target) {
                model.fold(store, recorded).await?;
            }
        }
        Ok(())
    }

    /// Compares all rows of the part.
    pub(super) async fn compare(
        self,
        store: &dyn Store,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        for mut model in self.models {
            let verdict = match model.target {
                Ok(target) => {
                    model.position = model.position.max(target);
                    model.compare(store, report).await?
                }
                Err(verdict) => verdict,
            };
            note(report, &model, verdict);
        }
        Ok(())
    }
}

/// Adds up what the passes found.
fn note(report: &mut Report, model: &Model, verdict: Verdict) {
    let (name, rows) = (model.kept.name(), model.rows.len() as u64);
    let position = model.position;
    let Some(told) = report.projections.iter_mut().find(|told| told.name == name) else {
        report.projections.push(ReadModel { name, position, rows, verdict });
        return;
    };
    told.rows += rows;
    told.position = told.position.max(position);
    if verdict != Verdict::Matches && told.verdict != Verdict::Differs {
        told.verdict = verdict;
    }
}

/// How far a read model of this version stands.
async fn stands(store: &dyn Store, model: Kept) -> Result<Result<u64, Verdict>, StoreError> {
    Ok(match store.checkpoint(model.name()).await? {
        None => Err(Verdict::NotBuilt),
        Some(stands) if stands.version != model.version() => Err(Verdict::OtherVersion),
        Some(stands) => Ok(stands.position),
    })
}

impl Model {
    async fn fold(&mut self, store: &dyn Store, recorded: &Recorded) -> Result<(), StoreError> {
        self.position = recorded.position;
        if !self.kept.reads().contains(&recorded.kind) {
            return Ok(());
        }
        match self.kept {
            Kept::Folded(projection) => {
                projection.project(recorded, &mut self.changes);
            }
            Kept::Figures => {
                let figures = &mut self.figures;
                if figures.fold.wants(recorded) {
                    recall(store, &mut figures.fold, recorded).await?;
                }
                figures.fold.count(recorded, &mut figures.counted);
                figures.since += 1;
                if figures.since >= COUNTED {
                    self.add_counted()?;
                }
            }
        }
        self.make_changes()
    }

    /// Adds what was counted to the rows.
    fn add_counted(&mut self) -> Result<(), StoreError> {
        self.figures.since = 0;
        self.changes.extend(std::mem::take(&mut self.figures.counted).changes());
        self.make_changes()
    }

    fn make_changes(&mut self) -> Result<(), StoreError> {
        for change in self.changes.drain(..) {
            match change {
                Change::Put { table, key, set } if self.part.has(&key) => {
                    table.set(self.rows.entry((table.name, key)).or_default(), set);
                }
                Change::Remove { table, key } if self.part.has(&key) => {
                    self.rows.remove(&(table.name, key));
                }
                Change::Add(addition) if self.part.has(&addition.key) => {
                    let key = (addition.table.name, addition.key.clone());
                    let set = addition.onto(self.rows.get(&key));
                    if let Some(set) =
                        set.map_err(|error| StoreError::Corrupt(error.to_string()))?
                    {
                        addition.table.set(self.rows.entry(key).or_default(), set);
                    }
                }
                Change::Put { .. } | Change::Remove { .. } | Change::Add(_) => {}
            }
        }
        Ok(())
    }

    async fn compare(
        &mut self,
        store: &dyn Store,
        report: &mut Report,
    ) -> Result<Verdict, StoreError> {
        let mut suspects: Option<BTreeSet<Key>> = None;
        for _ in 0..LOOKS {
            let before = match stands(store, self.kept).await? {
                Ok(before) => before,
                Err(verdict) => return Ok(verdict),
            };
            if before < self.position {
                return Ok(Verdict::NotBuilt);
            }
            self.advance(store, before).await?;
            self.add_counted()?;
            let differing = match &suspects {
                None => self.all_that_differ(store).await?,
                Some(suspects) => self.those_that_differ(store, suspects).await?,
            };
            if differing.is_empty() {
                return Ok(Verdict::Matches);
            }
            if stands(store, self.kept).await? == Ok(before) {
                for (place, what) in differing.into_values() {
                    report.differs(None, place, what);
                }
                return Ok(Verdict::Differs);
            }
            suspects = Some(differing.into_keys().collect());
            tokio::time::sleep(LOOK).await;
        }
        report.differs(None, self.kept.name().to_owned(), "moves on too fast to be compared");
        Ok(Verdict::Moving)
    }

    /// Folds on, up to a position.
    async fn advance(&mut self, store: &dyn Store, to: u64) -> Result<(), StoreError> {
        if to <= self.position {
            return Ok(());
        }
        let mut log = PatientLog::new(store.read_log(self.position));
        'log: while log.position() < to {
            for stored in log.next().await? {
                if stored.position > to {
                    break 'log;
                }
                if let Ok(recorded) = decode(&stored) {
                    self.fold(store, &recorded).await?;
                }
            }
        }
        self.position = to;
        Ok(())
    }

    async fn all_that_differ(
        &self,
        store: &dyn Store,
    ) -> Result<BTreeMap<Key, (String, String)>, StoreError> {
        let mut differing = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for table in self.kept.tables() {
            let mut after = None;
            loop {
                let rows = select(store, table, vec![], after.take()).await?;
                let full = rows.len() >= PAGE as usize;
                for row in rows {
                    let Some(Value::Text(key)) = row.first().cloned() else { continue };
                    after = Some(Value::Text(key.clone()));
                    if !self.part.has(&key) {
                        continue;
                    }
                    let key = (table.name, key);
                    if let Some(what) = self.difference(table, &key, Some(&row)) {
                        differing.insert(key.clone(), (place(&key), what));
                    }
                    seen.insert(key);
                }
                if !full {
                    break;
                }
            }
        }
        for key in self.rows.keys().filter(|key| !seen.contains(*key)) {
            differing.insert(key.clone(), (place(key), "is missing".to_owned()));
        }
        Ok(differing)
    }

    async fn those_that_differ(
        &self,
        store: &dyn Store,
        suspects: &BTreeSet<Key>,
    ) -> Result<BTreeMap<Key, (String, String)>, StoreError> {
        let mut differing = BTreeMap::new();
        for key in suspects {
            let tables = self.kept.tables();
            let Some(table) = tables.iter().find(|table| table.name == key.0) else { continue };
            let equals = vec![(table.key, Value::Text(key.1.clone()))];
            let row = select(store, table, equals, None).await?.into_iter().next();
            if let Some(what) = self.difference(table, key, row.as_deref()) {
                differing.insert(key.clone(), (place(key), what));
            }
        }
        Ok(differing)
    }

    /// What is other in a row than in the fold.
    fn difference(&self, table: &Table, key: &Key, row: Option<&[Value]>) -> Option<String> {
        let (folded, row) = match (self.rows.get(key), row) {
            (None, None) => return None,
            (None, Some(_)) => {
                return Some("is there, and does not follow from the log".to_owned());
            }
            (Some(_), None) => return Some("is missing".to_owned()),
            (Some(folded), Some(row)) => (folded, row),
        };
        let own_key = Value::Text(key.1.clone());
        // What the store makes of other columns needs no looking at.
        let columns = table.columns.iter().zip(row);
        let columns = columns.filter(|((_, of), _)| *of != ColumnType::Derived);
        let other = columns.filter_map(|((name, _), found)| {
            let expected = match folded.get(name) {
                _ if *name == table.key => &own_key,
                Some(expected) => expected,
                None => &Value::Null,
            };
            (expected != found)
                .then(|| format!("{name} is {}, and {} by the log", shown(found), shown(expected)))
        });
        let other: Vec<_> = other.collect();
        (!other.is_empty()).then(|| other.join("; "))
    }
}

async fn select(
    store: &dyn Store,
    table: &'static Table,
    equals: Vec<(&'static str, Value)>,
    after: Option<Value>,
) -> Result<Vec<Vec<Value>>, StoreError> {
    store.select(Query { equals, after, limit: PAGE, ..Query::all(table) }).await
}

fn place((table, key): &Key) -> String {
    format!("{table}/{key}")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
    }
}
