//! Groups of readers: a named cursor that the server keeps, in partitions that
//! its members share.

mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::state::{GroupState, Leased, Partition};
use super::filter::{Filter, FilterError};
use super::page::Patience;
use super::schemas::Schemas;
use crate::feed::{Feed, FeedEvent};
use crate::stores::{Document, Store, StoreError};

/// How often a write is tried while others write too.
const TRIES: u32 = 100;

/// The groups of a store.
#[derive(Clone, Copy)]
pub struct Groups<'a> {
    store: &'a dyn Store,
    /// What they are called among documents.
    kind: &'static str,
}

/// A group, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub state: GroupState,
    version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error("there is no group {0}; make it with PUT")]
    NotFound(String),
    #[error("there is a group {0} already, and it is another: delete it, or choose another name")]
    Differs(String),
    /// Others write all the time.
    #[error("the group is changed by others all the time: try again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a member asks for.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub filter: Filter,
    pub limit: usize,
    pub wait: Duration,
}

/// Events of the partitions that a member has.
#[derive(Debug)]
pub struct Fetched {
    /// In order.
    pub events: Vec<Arc<FeedEvent>>,
    /// All of these partitions was looked at up to here.
    pub through: u64,
}

impl<'a> Groups<'a> {
    #[must_use]
    pub const fn of(store: &'a dyn Store) -> Self {
        Self { store, kind: "event_group" }
    }

    /// The sinks of a store: groups of nodes.
    #[must_use]
    pub const fn of_sinks(store: &'a dyn Store) -> Self {
        Self { store, kind: "event_sink" }
    }

    /// Makes a group. One that is the same already, but for how far it is, is left as it is.
    pub async fn create(&self, name: &str, state: GroupState) -> Result<Group, GroupError> {
        for _ in 0..TRIES {
            if let Some(there) = self.find(name).await? {
                let same = there.state.owner == state.owner
                    && there.state.types == state.types
                    && there.state.clients == state.clients
                    && there.state.partitions.len() == state.partitions.len();
                return if same { Ok(there) } else { Err(GroupError::Differs(name.to_owned())) };
            }
            let group = Group { name: name.to_owned(), state: state.clone(), version: 0 };
            if self.store.put_document(group.document(self.kind)?).await? {
                return Ok(Group { version: 1, ..group });
            }
        }
        Err(GroupError::Busy)
    }

    /// A group.
    pub async fn get(&self, name: &str) -> Result<Group, GroupError> {
        self.find(name).await?.ok_or_else(|| GroupError::NotFound(name.to_owned()))
    }

    async fn find(&self, name: &str) -> Result<Option<Group>, StoreError> {
        self.store.document(self.kind, name).await?.map(Group::read).transpose()
    }

    /// Groups in the order of their names, those after one.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<Group>, StoreError> {
        let documents = self.store.documents(self.kind, after, limit).await?;
        documents.into_iter().map(Group::read).collect()
    }

    /// Changes a group. The change may be made more than once.
    pub async fn change<T>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut GroupState) -> T,
    ) -> Result<(Group, T), GroupError> {
        for _ in 0..TRIES {
            let mut group = self.get(name).await?;
            let before = group.state.clone();
            let result = change(&mut group.state);
            if group.state == before || self.store.put_document(group.document(self.kind)?).await? {
                return Ok((group, result));
            }
        }
        Err(GroupError::Busy)
    }

    /// Deletes a group.
    pub async fn delete(&self, name: &str) -> Result<(), GroupError> {
        for _ in 0..TRIES {
            let group = self.get(name).await?;
            if self.store.delete_document(self.kind, name, group.version).await? {
                return Ok(());
            }
        }
        Err(GroupError::Busy)
    }
}

impl Group {
    fn read(document: Document) -> Result<Self, StoreError> {
        let state = serde_json::from_str(&document.body).map_err(|error| {
            StoreError::Corrupt(format!("the group {} can't be read: {error}", document.key))
        })?;
        Ok(Self { name: document.key, state, version: document.version })
    }

    fn document(&self, kind: &'static str) -> Result<Document, StoreError> {
        let body = serde_json::to_string(&self.state)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Document { kind, key: self.name.clone(), version: self.version, body })
    }
}

impl GroupState {
    /// The events that the group is for.
    pub fn filter(&self, schemas: &Schemas) -> Result<Filter, FilterError> {
        let text = String::as_str;
        Filter::new(schemas, self.types.iter().map(text), self.clients.iter().map(text))
    }

    /// Reads the events that a member has not taken yet. Where there is none, waits for the
    /// first.
    pub async fn fetch(
        &self,
        feed: &Feed,
        leased: &Leased,
        fetch: &Fetch,
    ) -> Result<Fetched, StoreError> {
        let positions: BTreeMap<u16, u64> =
            leased.iter().map(|(number, (_, position))| (*number, *position)).collect();
        let Some(start) = positions.values().min().copied() else {
            // Nothing is its own yet: it is worth asking again before long.
            tokio::time::sleep(fetch.wait.min(Duration::from_secs(1))).await;
            return Ok(Fetched { events: vec![], through: 0 });
        };
        let mut log = feed.subscribe(start);
        let mut fetched = Fetched { events: vec![], through: start };
        let patience = Patience::new(fetch.wait);
        loop {
            let (from, has_some) = ((feed, fetched.through), !fetched.events.is_empty());
            let Some(batch) = patience.next(&mut log, from, has_some).await? else {
                return Ok(fetched);
            };
            for event in &batch {
                let stored = &event.stored.event;
                let own = positions.get(&self.partition_of(&stored.stream.id));
                if own.is_some_and(|taken| event.position() > *taken) && fetch.filter.takes(stored)
                {
                    if fetched.events.len() >= fetch.limit {
                        return Ok(fetched);
                    }
                    fetched.events.push(Arc::clone(event));
                }
                fetched.through = event.position();
            }
        }
    }
}
