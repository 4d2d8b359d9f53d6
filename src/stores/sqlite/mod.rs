//! The embedded store on SQLite: one folder, one writing process.
//!
//! `chancery.db` holds the log and what stands beside it, `views.db` the read
//! models, `chancery.lock` the right to write. In the process that holds it, one thread
//! owns the one connection that writes the log, one that of the read models;
//! all others are read-only and never checkpoint. (SQLite 3.46.0 can lose data
//! when two connections write or checkpoint at once.)

mod anew;
mod backup;
mod changes;
mod documents;
mod erasure;
mod folder;

mod migrate;
mod packs;
mod reader;
mod recent;
mod rows;
mod tiles;
mod views;
mod worker;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_domain::account::Destroyed;
use chancery_domain::ids::AggregateKind;
use chancery_projections::{Change, Table, Value};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};

pub use self::backup::Copied;
use self::folder::Folder;
use self::migrate::Schema;
use self::reader::{Reader, SqliteLog};
use self::recent::{Recent, RecentLog};
use self::views::Views;
use self::worker::Worker;
use self::writer::Writer;
use super::packs::Rest;
use super::{
    Append, AppendError, Appended, Checkpoint, Document, ListedHead, Loaded, LogCheckpoint,
    LogReader, LogTile, Packing, Query, Remains, Rewrap, Ripe, Scanned, Seal, SealedRow, Side,
    Snapshot, Store, StoreError, StoredEvent, StreamId, Traces, WrappedKeyRow,
};

/// How many threads read.
const READERS: usize = 4;

/// A store in a folder.
pub struct SqliteStore {
    folder: Folder,
    log_id: String,
    readers: Arc<Worker<Reader>>,
    /// None: opened for reading only.
    writers: Option<Writers>,
}

struct Writers {
    recent: Recent,
    log: Worker<Writer>,
    views: Worker<Views>,
}

impl SqliteStore {
    /// Opens the store in this folder for reading and writing; makes it if there is none, and
    /// brings it up to date. Refused while another has it open for writing.
    ///
    /// Blocks for some milliseconds.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_migrated(dir).map(|(store, _)| store)
    }

    /// Brings the store in this folder up to date, and says which migrations that took; makes it
    /// if there is none. Refused while another has it open for writing.
    pub async fn migrate(dir: &Path) -> Result<Vec<String>, StoreError> {
        let (store, applied) = Self::open_migrated(dir)?;
        store.close().await;
        Ok(applied)
    }

    fn open_migrated(dir: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let folder = Folder::new(dir);
        folder.create()?;
        let lock = Arc::new(folder.lock()?);
        Folder::touch(&folder.log())?;
        let mut log = Connection::open_with_flags(
            folder.log(),
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        settings(&log)?;
        log.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -8000;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        let applied = match migrate::schema(&log, migrate::LOG)? {
            Schema::Current => Vec::new(),
            Schema::Behind(from) => migrate::apply(&mut log, migrate::LOG, from)?,
            Schema::Unknown(why) => return Err(refused(&folder, &why)),
        };
        let log_id = log_id(&log)?;
        let last_position = reader::last_position(&log)?;
        let views = Views::open(&folder, &log_id, last_position, Arc::clone(&lock))?;
        let readers = (0..READERS)
            .map(|_| {
                let views = reader::connect(&folder.views())?;
                Ok(Reader::new(reader::connect(&folder.log())?, Some(views)))
            })
            .collect::<rusqlite::Result<_>>()?;
        let recent = Recent::default();
        let store = Self {
            log_id,
            readers: Arc::new(Worker::spawn("store-read", readers)?),
            writers: Some(Writers {
                recent: recent.clone(),
                log: Worker::spawn("store-write", vec![Writer::new(log, recent, lock)])?,
                views: Worker::spawn("store-views", vec![views])?,
            }),
            folder,
        };
        Ok((store, applied))
    }

    /// Copies the store in one folder to another, as it is at one moment, also while another
    /// writes to it. A folder that holds a store is refused.
    pub fn copy(from: &Path, to: &Path) -> Result<Copied, StoreError> {
        backup::copy(&Folder::new(from), &Folder::new(to))
    }

    /// How many bytes a copy has and will have, while it is made.
    #[must_use]
    pub fn copied(from: &Path, to: &Path) -> (u64, u64) {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        (bytes(&Folder::new(to).part()), bytes(&Folder::new(from).log()))
    }

    /// How many bytes the databases in this folder hold, as of the last commit, also while another
    /// writes to them: what their files come to when all that is committed has reached them.
    pub fn bytes(dir: &Path) -> Result<u64, StoreError> {
        let folder = Folder::new(dir);
        let bytes = |path: &Path| -> Result<u64, StoreError> {
            let database = reader::connect(path)?;
            let pages: u64 = database.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let size: u64 = database.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            Ok(pages * size)
        };
        Ok(bytes(&folder.log())? + bytes(&folder.views())?)
    }

    /// Opens the store in this folder for reading, also while another writes to it.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let folder = Folder::new(dir);
        if !folder.log().is_file() {
            return Err(missing(&folder));
        }
        let log = reader::connect(&folder.log())?;
        match migrate::schema(&log, migrate::LOG)? {
            Schema::Current => {}
            Schema::Behind(_) => {
                return Err(refused(&folder, "it is of an older version: run `chancery migrate`"));
            }
            Schema::Unknown(why) => return Err(refused(&folder, &why)),
        }
        let log_id = log_id(&log)?;
        let views = read_views(&folder, &log_id, reader::last_position(&log)?);
        Ok(Self {
            log_id,
            readers: Arc::new(Worker::spawn("store-read", vec![Reader::new(log, views)])?),
            writers: None,
            folder,
        })
    }

    fn writers(&self) -> Result<&Writers, StoreError> {
        self.writers.as_ref().ok_or_else(|| {
            StoreError::Closed(format!(
                "the store in {} is open for reading only",
                self.folder.path().display()
            ))
        })
    }

    fn project_on(
        &self,
        (name, side): (&str, Side),
        from: Option<Checkpoint>,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let name = name.to_owned();
        Box::pin(async move {
            let job =
                move |views: &mut Views| views.project((&name, side), from.as_ref(), &to, changes);
            self.writers()?.views.run(job).await
        })
    }

    fn log_after(&self, position: u64) -> SqliteLog {
        SqliteLog { readers: Arc::clone(&self.readers), position, rest: Rest::default() }
    }

    fn read<T, J>(&self, job: J) -> BoxFuture<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
        J: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(self.readers.run(move |reader| job(reader)))
    }
}

/// What every connection is set to.
fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")
}

fn log_id(log: &Connection) -> rusqlite::Result<String> {
    log.query_row("SELECT log_id FROM log", [], |row| row.get(0))
}

fn missing(folder: &Folder) -> StoreError {
    StoreError::Closed(format!(
        "there is no Chancery store in {}: name the data folder of one",
        folder.path().display()
    ))
}

fn refused(folder: &Folder, why: &str) -> StoreError {
    StoreError::Closed(format!("the store in {} can't be opened: {why}", folder.path().display()))
}

/// The views, if they are there and to be trusted; whoever opens for reading makes none.
fn read_views(folder: &Folder, log_id: &str, last_position: u64) -> Option<Connection> {
    let views = reader::connect(&folder.views()).ok()?;
    match views::distrust(&views, log_id, last_position) {
        Ok(None) => Some(views),
        Ok(Some(_)) | Err(_) => None,
    }
}

impl Store for SqliteStore {
    fn log_id(&self) -> &str {
        &self.log_id
    }

    fn commit(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        Box::pin(async move {
            let appends = batch.len();
            let written = match self.writers() {
                Ok(writers) => writers.log.run(move |writer| Ok(writer.commit(&batch))).await,
                Err(error) => Err(error),
            };
            written.unwrap_or_else(|error| {
                vec![Err(AppendError::Unavailable(Arc::new(error))); appends]
            })
        })
    }

    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after: u64,
    ) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        let stream = stream.clone();
        self.read(move |reader| reader.load(&stream, after))
    }

    fn history<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        let stream = stream.clone();
        self.read(move |reader| reader.history(&stream))
    }

    fn read_log(&self, after: u64) -> Box<dyn LogReader> {
        Box::new(self.log_after(after))
    }

    fn follow_log(&self, after: u64) -> Box<dyn LogReader> {
        match &self.writers {
            Some(writers) => {
                let (recent, log) = (writers.recent.clone(), self.log_after(after));
                Box::new(RecentLog { recent, log })
            }
            None => self.read_log(after),
        }
    }

    fn last_position(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(Reader::last_position)
    }

    fn sealed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<SealedRow>, StoreError>> {
        let stream = stream.clone();
        self.read(move |reader| reader.sealed(&stream))
    }

    fn data_key<'a>(
        &'a self,
        owner: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        let owner = owner.clone();
        self.read(move |reader| reader.data_key(&owner))
    }

    fn ids(&self, kind: AggregateKind) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.read(move |reader| reader.ids(kind))
    }

    fn wrapped_keys<'a>(
        &'a self,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Vec<WrappedKeyRow>, StoreError>> {
        let purpose = purpose.to_owned();
        self.read(move |reader| reader.wrapped_keys(&purpose))
    }

    fn rewrap(&self, rewrap: Rewrap) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.writers()?.log.run(move |writer| writer.rewrap(&rewrap)).await })
    }

    fn destroy<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Destroyed, StoreError>> {
        Box::pin(async move {
            let writers = self.writers()?;
            loop {
                let traces = traces.clone();
                let step = writers.log.run(move |writer| writer.destroy(&traces)).await?;
                if !step.more {
                    return Ok(step.total);
                }
            }
        })
    }

    fn remains<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Remains, StoreError>> {
        let traces = traces.clone();
        self.read(move |reader| reader.remains(&traces))
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let writers = self.writers()?;
            writers.log.run(Writer::scrub).await?;
            writers.views.run(|views| views.empty_wal()).await
        })
    }

    fn name_owner<'a>(
        &'a self,
        space: &'a str,
        name: &'a [u8; 32],
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let (space, name) = (space.to_owned(), *name);
        self.read(move |reader| reader.name_owner(&space, &name))
    }

    fn snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        let stream = stream.clone();
        self.read(move |reader| reader.snapshot(&stream))
    }

    fn save_snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let job = move |writer: &mut Writer| writer.save_snapshot(&stream, &snapshot);
            self.writers()?.log.run(job).await
        })
    }

    fn checkpoint<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, StoreError>> {
        let name = name.to_owned();
        self.read(move |reader| reader.checkpoint(&name))
    }

    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<(String, Checkpoint)>, StoreError>> {
        self.read(Reader::checkpoints)
    }

    fn project<'a>(
        &'a self,
        name: &'a str,
        from: Option<Checkpoint>,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.project_on((name, Side::Live), from, to, changes)
    }

    fn reset_projection<'a>(
        &'a self,
        name: &'a str,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let (name, tables) = (name.to_owned(), tables.to_vec());
        Box::pin(async move {
            self.writers()?.views.run(move |views| views.reset(&name, &tables)).await
        })
    }

    fn begin_beside<'a>(
        &'a self,
        name: &'a str,
        version: u32,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let (name, tables) = (name.to_owned(), tables.to_vec());
        Box::pin(async move {
            let job = move |views: &mut Views| views.begin_beside(&name, version, &tables);
            self.writers()?.views.run(job).await
        })
    }

    fn project_beside<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.project_on((name, Side::Anew), Some(from), to, changes)
    }

    fn take_place<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let (name, tables) = (name.to_owned(), tables.to_vec());
        Box::pin(async move {
            let job = move |views: &mut Views| views.take_place(&name, &from, &tables);
            self.writers()?.views.run(job).await
        })
    }

    fn select(&self, query: Query) -> BoxFuture<'_, Result<Vec<Vec<Value>>, StoreError>> {
        self.read(move |reader| reader.select(&query))
    }

    fn log_checkpoints(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<LogCheckpoint>, StoreError>> {
        self.read(move |reader| reader.log_checkpoints(before, limit))
    }

    fn log_tiles(&self, wanted: Vec<(u8, u64)>) -> BoxFuture<'_, Result<Vec<LogTile>, StoreError>> {
        self.read(move |reader| reader.log_tiles(&wanted))
    }

    fn log_tile_at(&self, position: u64) -> BoxFuture<'_, Result<Option<LogTile>, StoreError>> {
        self.read(move |reader| reader.log_tile_at(position))
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.writers()?.log.run(move |writer| writer.seal(&seal)).await })
    }

    fn scan(&self, after: i64, limit: usize) -> BoxFuture<'_, Result<Vec<Scanned>, StoreError>> {
        self.read(move |reader| reader.scan(after, limit))
    }

    fn pack(&self, ripe: Ripe) -> BoxFuture<'_, Result<Packing, StoreError>> {
        Box::pin(async move {
            let writers = self.writers()?;
            match self.read(move |reader| reader.ripe(ripe)).await? {
                Some(pack) => writers.log.run(move |writer| writer.pack(&pack)).await,
                None => Ok(Packing::Nothing),
            }
        })
    }

    fn packed_through(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(Reader::packed_through)
    }

    fn heads(
        &self,
        through: u64,
        after: (String, String),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ListedHead>, StoreError>> {
        self.read(move |reader| reader.heads(through, &after, limit))
    }

    fn document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        let key = key.to_owned();
        self.read(move |reader| reader.document(kind, key))
    }

    fn documents<'a>(
        &'a self,
        kind: &'static str,
        after: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Document>, StoreError>> {
        let after = after.to_owned();
        self.read(move |reader| reader.documents(kind, &after, limit))
    }

    fn put_document(&self, document: Document) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            self.writers()?.log.run(move |writer| writer.put_document(&document)).await
        })
    }

    fn delete_document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
        version: u64,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let key = key.to_owned();
        Box::pin(async move {
            let deleted = move |writer: &mut Writer| writer.delete_document(kind, &key, version);
            self.writers()?.log.run(deleted).await
        })
    }

    fn forget_expired(&self, now: i64) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let writers = self.writers()?;
            let mut count = 0;
            // Some at a time, so that appends get in between.
            loop {
                match writers.log.run(move |writer| writer.forget_expired(now)).await? {
                    0 => return Ok(count),
                    forgotten => count += forgotten,
                }
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if let Some(writers) = &self.writers {
                writers.log.run(Writer::ping).await?;
            }
            self.readers.run(|reader| reader.last_position()).await.map(drop)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Readers first: a checkpoint waits for them.
            self.readers.end().await;
            let Some(writers) = &self.writers else { return };
            // Neither failure loses anything: the next start reads the write-ahead log, and makes
            // the read models anew.
            if let Err(error) = writers.views.run(Views::finish).await {
                tracing::debug!(%error, "the read models were not closed in order: {error}");
            }
            writers.views.end().await;
            if let Err(error) = writers.log.run(Writer::checkpoint).await {
                tracing::debug!(%error, "the write-ahead log was not emptied: {error}");
            }
            writers.log.end().await;
        })
    }
}
