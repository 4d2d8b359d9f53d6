//! Where the tests of the feed keep their events: an embedded store.

use std::path::Path;
use std::sync::Arc;

use chancery::feed::Polling;
use chancery::stores::Store;
use chancery::stores::sqlite::SqliteStore;
use tempfile::TempDir;

pub struct Place {
    dir: TempDir,
    store: Arc<dyn Store>,
}

impl Place {
    pub const POLLING: Polling = Polling::ALONE;

    #[expect(clippy::unused_async, reason = "other places have to wait")]
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
        Self { dir, store }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The store as another node has it: here there is but one.
    #[expect(clippy::unused_async, reason = "other places have to wait")]
    pub async fn another(&self) -> Arc<dyn Store> {
        self.store()
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}
