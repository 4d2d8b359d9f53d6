//! The log as a product of its own: for those who read it from outside, in
//! order and whole.

pub mod cursor;
pub mod envelope;
pub mod figures;
pub mod files;
pub mod filter;
pub mod groups;
pub mod limits;
pub mod line;
pub mod message;
pub mod page;
pub mod queries;
pub mod readers;
pub mod schemas;
pub mod sealed;
pub mod sinks;

use crate::stores::{Store, StoreError, StoredEvent};

/// The event at a position of the log, if there is one.
pub async fn at(store: &dyn Store, position: u64) -> Result<Option<StoredEvent>, StoreError> {
    let mut log = store.read_log(position.saturating_sub(1));
    let found = log.next(1).await?.into_iter().next();
    Ok(found.filter(|own| own.position == position))
}
