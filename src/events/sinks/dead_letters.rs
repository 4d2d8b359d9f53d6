//! Events that a sink refused too often: put aside, to be looked at and sent
//! again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::events::at;
use crate::feed::FeedEvent;
use crate::stores::{Document, Store, StoreError};

/// What they are called among documents.
const KIND: &str = "dead_letter";

/// An event that was put aside. The event itself is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub position: u64,
    /// The event's digest.
    pub id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was refused last.
    pub reason: String,
    /// Milliseconds since 1970.
    pub put_aside_at_ms: i64,
    #[serde(skip)]
    version: u64,
}

impl DeadLetter {
    pub(super) fn new(event: &FeedEvent, attempts: u32, reason: String, now_ms: i64) -> Self {
        let id = event.stored.event.digest.to_string();
        let position = event.position();
        Self { position, id, attempts, reason, put_aside_at_ms: now_ms, version: 0 }
    }

    /// In the order of positions.
    fn key(sink: &str, position: u64) -> String {
        format!("{sink}/{position:020}")
    }

    /// Writes it, unless it was written already.
    pub(super) async fn write(&self, store: &dyn Store, sink: &str) -> Result<(), StoreError> {
        let body =
            serde_json::to_string(self).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let key = Self::key(sink, self.position);
        store.put_document(Document { kind: KIND, key, version: 0, body }).await.map(drop)
    }

    fn read(document: &Document) -> Result<Self, StoreError> {
        let letter: Self = serde_json::from_str(&document.body)
            .map_err(|error| StoreError::Corrupt(format!("{}: {error}", document.key)))?;
        Ok(Self { version: document.version, ..letter })
    }

    /// Those of a sink, after a position.
    pub async fn list(
        store: &dyn Store,
        sink: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError> {
        let beginning = format!("{sink}/");
        let found = store.documents(KIND, &Self::key(sink, after), limit).await?;
        found.iter().take_while(|own| own.key.starts_with(&beginning)).map(Self::read).collect()
    }

    /// One of them.
    pub async fn get(
        store: &dyn Store,
        sink: &str,
        position: u64,
    ) -> Result<Option<Self>, StoreError> {
        let found = store.document(KIND, &Self::key(sink, position)).await?;
        found.as_ref().map(Self::read).transpose()
    }

    /// The event, as it stands in the log.
    pub async fn event(&self, store: &dyn Store) -> Result<Option<Arc<FeedEvent>>, StoreError> {
        Ok(at(store, self.position).await?.map(|own| Arc::new(own.into())))
    }

    /// It needs no looking at any more.
    pub async fn forget(&self, store: &dyn Store, sink: &str) -> Result<(), StoreError> {
        let key = Self::key(sink, self.position);
        store.delete_document(KIND, &key, self.version).await.map(drop)
    }
}
