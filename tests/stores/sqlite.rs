//! The contract on SQLite, and what only the embedded store promises.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery::stores::sqlite::SqliteStore;
use chancery::stores::{AppendError, Checkpoint, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{Chain, Fixture, append, committed};
use crate::merkle_log::merkle_log;
use crate::packs::packs;

struct SqliteFixture {
    dir: TempDir,
    store: Arc<dyn Store>,
}

const WIDGETS: &str = "
    CREATE TABLE widgets (id TEXT PRIMARY KEY, colour TEXT, weight INTEGER, reach INTEGER) STRICT;
    CREATE INDEX widgets_by_weight ON widgets (weight, id) WHERE weight IS NOT NULL;";

impl Fixture for SqliteFixture {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        SqliteStore::open(dir.path()).unwrap().close().await;
        Connection::open(dir.path().join("views.db")).unwrap().execute_batch(WIDGETS).unwrap();
        let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
        Self { dir, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn another(&self) -> Arc<dyn Store> {
        self.store()
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(SqliteStore::open(self.dir.path()).unwrap());
    }

    async fn sql(&self, statement: &str) -> Result<(), String> {
        let database = Connection::open(self.dir.path().join("chancery.db")).unwrap();
        database.execute_batch(statement).map_err(|error| error.to_string())
    }

    fn statement<'a>(sqlite: &'a str, _: &'a str) -> &'a str {
        sqlite
    }

    async fn break_on(&self, event_type: &str) {
        self.sql(&format!(
            "CREATE TRIGGER broken BEFORE INSERT ON events WHEN NEW.event_type = '{event_type}'
             BEGIN SELECT RAISE(ROLLBACK, 'broken'); END"
        ))
        .await
        .unwrap();
    }
}

contract!(SqliteFixture);
merkle_log!(SqliteFixture);
packs!(SqliteFixture);

fn open(dir: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(dir).unwrap())
}

fn refusal(opened: Result<SqliteStore, StoreError>) -> String {
    match opened {
        Err(StoreError::InUse(why) | StoreError::Closed(why)) => why,
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

/// The files of a store, as a copy or a power cut finds them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_second_writer_is_refused_and_told_why() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path());
    let second = SqliteStore::open(dir.path());
    assert!(matches!(second, Err(StoreError::InUse(_))), "told apart from what can't be opened");
    let why = refusal(second);
    assert!(why.contains(&dir.path().display().to_string()), "{why}");
    assert!(why.contains("in use"), "{why}");
    assert!(why.contains(&std::process::id().to_string()), "{why}");
    assert!(why.contains("stop"), "{why}");
    committed(&first, append(vec![Chain::grant("g").next("A")])).await;
    first.close().await;
    open(dir.path()).close().await;
}

#[tokio::test]
async fn a_reader_beside_the_writer_sees_new_commits_and_writes_nothing() {
    let dir = TempDir::new().unwrap();
    let writer = open(dir.path());
    let mut chain = Chain::grant("g");
    committed(&writer, append(vec![chain.next("A")])).await;

    let reader: Arc<dyn Store> = Arc::new(SqliteStore::open_read_only(dir.path()).unwrap());
    assert_eq!(reader.log_id(), writer.log_id());
    let mut log = reader.read_log(0);
    assert_eq!(log.next(10).await.unwrap().len(), 1);
    let at = Checkpoint { version: 1, position: 1 };
    assert!(writer.project("p", None, at.clone(), Vec::new()).await.unwrap());
    committed(&writer, append(vec![chain.next("B")])).await;
    assert_eq!(log.next(10).await.unwrap().len(), 1);
    assert_eq!(reader.load(&chain.stream, 0).await.unwrap().head, chain.head);
    assert_eq!(reader.checkpoint("p").await.unwrap(), Some(at.clone()));
    reader.ping().await.unwrap();

    let results = reader.commit(vec![append(vec![chain.peek("C")])]).await;
    assert!(matches!(results.as_slice(), [Err(AppendError::Unavailable(_))]), "{results:?}");
    assert!(
        reader
            .project("p", Some(at), Checkpoint { version: 1, position: 2 }, vec![])
            .await
            .is_err()
    );
    assert!(reader.forget_expired(0).await.is_err());

    // The writer may close first.
    writer.close().await;
    assert_eq!(reader.load(&chain.stream, 0).await.unwrap().head, chain.head);
    reader.close().await;
    assert!(SqliteStore::open(dir.path()).is_ok());
}

#[tokio::test]
async fn a_store_at_rest_can_be_read() {
    let dir = TempDir::new().unwrap();
    let writer = open(dir.path());
    let mut chain = Chain::grant("g");
    committed(&writer, append(vec![chain.next("A")])).await;
    writer.close().await;
    let reader = SqliteStore::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.load(&chain.stream, 0).await.unwrap().head, chain.head);
}

#[tokio::test]
async fn reading_makes_no_store() {
    let dir = TempDir::new().unwrap();
    let why = refusal(SqliteStore::open_read_only(dir.path()));
    assert!(why.contains("no Chancery store"), "{why}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn closing_leaves_one_whole_file() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let mut chain = Chain::grant("g");
    committed(&store, append(vec![chain.next("A")])).await;
    // Not left to SQLite, which would keep the log apart as long as somebody reads.
    let reader = SqliteStore::open_read_only(dir.path()).unwrap();
    store.close().await;
    let alone = TempDir::new().unwrap();
    fs::copy(dir.path().join("chancery.db"), alone.path().join("chancery.db")).unwrap();
    let moved = open(alone.path());
    assert_eq!(moved.load(&chain.stream, 0).await.unwrap().head, chain.head);
    assert_eq!(moved.log_id(), reader.log_id());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("deep").join("data");
    let store = open(&folder);
    committed(&store, append(vec![Chain::grant("g").next("A")])).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Opens the folder again: is the checkpoint of `p` still there?
async fn views_survive(dir: &Path) -> bool {
    let store = open(dir);
    let survived = store.checkpoint("p").await.unwrap().is_some();
    // Whatever was there, it works now.
    let from = store.checkpoint("p").await.unwrap();
    let to = Checkpoint { version: 1, position: 1 };
    assert!(store.project("p", from, to, Vec::new()).await.unwrap());
    store.close().await;
    survived
}

async fn store_with_views() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    committed(&store, append(vec![Chain::grant("g").next("A")])).await;
    store.close().await;
    assert!(!views_survive(dir.path()).await);
    assert!(views_survive(dir.path()).await);
    dir
}

#[tokio::test]
async fn views_that_are_missing_or_broken_are_made_anew() {
    let dir = store_with_views().await;
    fs::remove_file(dir.path().join("views.db")).unwrap();
    assert!(!views_survive(dir.path()).await);

    fs::write(dir.path().join("views.db"), [7; 8192]).unwrap();
    assert!(!views_survive(dir.path()).await);

    fs::write(dir.path().join("views.db"), []).unwrap();
    assert!(!views_survive(dir.path()).await);
    assert!(views_survive(dir.path()).await);
}

#[tokio::test]
async fn views_of_another_log_or_ahead_of_it_are_made_anew() {
    let dir = store_with_views().await;
    let other = store_with_views().await;
    fs::copy(other.path().join("views.db"), dir.path().join("views.db")).unwrap();
    assert!(!views_survive(dir.path()).await);

    let store = open(dir.path());
    let from = store.checkpoint("p").await.unwrap();
    let ahead = Checkpoint { version: 1, position: 1000 };
    assert!(store.project("p", from, ahead, Vec::new()).await.unwrap());
    store.close().await;
    assert!(!views_survive(dir.path()).await);
}

#[tokio::test]
async fn views_of_another_schema_are_made_anew() {
    let dir = store_with_views().await;
    let views = Connection::open(dir.path().join("views.db")).unwrap();
    views.execute("UPDATE schema_migrations SET statements = 'other'", []).unwrap();
    drop(views);
    assert!(!views_survive(dir.path()).await);
}

/// What is in the operating system's hands outlives the process, not the machine.
#[tokio::test]
async fn views_left_open_are_kept_after_a_kill_and_made_anew_after_a_power_cut() {
    let dir = store_with_views().await;
    let running = open(dir.path());
    let killed = TempDir::new().unwrap();
    copy(dir.path(), killed.path());
    assert!(views_survive(killed.path()).await);

    let cut = TempDir::new().unwrap();
    copy(dir.path(), cut.path());
    running.close().await;
    let views = Connection::open(cut.path().join("views.db")).unwrap();
    let marked = views
        .execute("UPDATE life SET opened_in = 'an earlier boot' WHERE opened_in IS NOT NULL", [])
        .unwrap();
    assert_eq!(marked, 1);
    drop(views);
    assert!(!views_survive(cut.path()).await);

    // Once closed, they may be opened in any boot.
    let open_somewhere: bool = Connection::open(dir.path().join("views.db"))
        .unwrap()
        .query_row("SELECT opened_in IS NOT NULL FROM life", [], |row| row.get(0))
        .unwrap();
    assert!(!open_somewhere);
}

#[tokio::test]
async fn a_reader_uses_no_views_that_it_cannot_trust() {
    let dir = store_with_views().await;
    let other = store_with_views().await;
    fs::copy(other.path().join("views.db"), dir.path().join("views.db")).unwrap();
    let reader = SqliteStore::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.checkpoint("p").await.unwrap(), None);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).close().await;
    Connection::open(dir.path().join("chancery.db"))
        .unwrap()
        .execute(
            "INSERT INTO schema_migrations (number, name, statements)
             VALUES (9000, '9000_later', '')",
            [],
        )
        .unwrap();
    for why in
        [refusal(SqliteStore::open(dir.path())), refusal(SqliteStore::open_read_only(dir.path()))]
    {
        assert!(why.contains("newer version"), "{why}");
        assert!(why.contains("9000_later"), "{why}");
        assert!(why.contains(&dir.path().display().to_string()), "{why}");
    }
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("chancery.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE birds (name TEXT)").unwrap();
    let why = refusal(SqliteStore::open(dir.path()));
    assert!(why.contains("not a database of Chancery's"), "{why}");
    let tables: u32 = Connection::open(&file)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

/// A write-ahead log that ends anywhere gives whole appends, and a beginning of them.
#[tokio::test]
async fn wherever_the_write_ahead_log_is_torn_appends_are_whole() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).close().await;
    let store = open(dir.path());
    let wal = dir.path().join("chancery.db-wal");
    let mut one = Chain::grant("one");
    let mut two = Chain::grant("two");
    let mut lengths = Vec::new();
    for _ in 0..6 {
        committed(&store, append(vec![one.next("A"), two.next("A"), one.next("B")])).await;
        lengths.push(fs::metadata(&wal).unwrap().len());
    }
    let full = *lengths.last().unwrap();
    for cut in (0..=full).step_by(3001).chain([full - 1, full]) {
        let torn = TempDir::new().unwrap();
        copy(dir.path(), torn.path());
        let file =
            OpenOptions::new().write(true).open(torn.path().join("chancery.db-wal")).unwrap();
        file.set_len(cut).unwrap();
        let survivor = open(torn.path());
        let appends =
            u64::try_from(lengths.iter().filter(|length| **length <= cut).count()).unwrap();
        let heads = [
            survivor.load(&one.stream, 0).await.unwrap().head.sequence,
            survivor.load(&two.stream, 0).await.unwrap().head.sequence,
        ];
        assert_eq!(heads, [2 * appends, appends], "cut at {cut} of {lengths:?}");
        survivor.close().await;
    }
}

#[tokio::test]
async fn a_panic_in_a_job_is_an_error_and_the_store_goes_on() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let keys = chancery::stores::Append {
        wrapped_keys: vec![chancery::stores::WrappedKeyRow {
            key_id: "k".to_owned(),
            purpose: "signing".to_owned(),
            wrapped: vec![1],
        }],
        ..Default::default()
    };
    committed(&store, keys).await;
    assert!(store.rewrap(Box::new(|_, _| panic!("on purpose"))).await.is_err());
    committed(&store, append(vec![Chain::grant("g").next("A")])).await;
    assert_eq!(store.wrapped_keys("signing").await.unwrap()[0].wrapped, [1]);
}
