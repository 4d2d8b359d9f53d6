//! Where the tests of the feed keep their events: a PostgreSQL database.

use std::sync::Arc;

use chancery::feed::Polling;
use chancery::stores::Store;

use crate::database::Database;

pub struct Place {
    store: Arc<dyn Store>,
    // Dropped last: nobody may use it any more.
    database: Database,
}

impl Place {
    pub const POLLING: Polling = Polling::SHARED;

    pub async fn new() -> Self {
        let database = Database::migrated().await;
        Self { store: Arc::new(database.store().await), database }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The store as another node has it: with connections of its own.
    pub async fn another(&self) -> Arc<dyn Store> {
        Arc::new(self.database.store().await)
    }
}
