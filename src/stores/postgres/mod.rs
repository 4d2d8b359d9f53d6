//! The store on PostgreSQL, for one node or many.
//!
//! One connection writes the log ([`append`]); a pool reads, and writes what
//! can be made again (read models, snapshots), without waiting for the disk.
//! Other nodes write to the same log: the primary key of `events` decides
//! between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_domain::account::Destroyed;
use chancery_domain::ids::AggregateKind;
use chancery_projections::{Change, Table, Value};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use postgres_es::PostgresEventRepository;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Postgres, Row as _, Transaction};

use self::append::Writer;
use self::log_reader::Reader;
use self::transient::retried;
use super::{
    Append, AppendError, Appended, Checkpoint, Document, Head, ListedHead, Loaded, LogCheckpoint,
    LogReader, LogTile, Packing, Pool, Query, Remains, Rewrap, Ripe, Scanned, Seal, SealedRow,
    Side, Snapshot, Store, StoreError, StoredEvent, StreamId, Traces, WrappedKeyRow,
};

mod anew;
mod append;
mod beside;
mod documents;
mod erasure;
mod insert;
mod keys;
mod load;
mod log_reader;
mod migrate;
mod packs;
mod plan;
mod rows;
mod tiles;
mod transient;
mod views;

/// How long a reader waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);

/// A store on PostgreSQL.
pub struct PostgresStore {
    log_id: String,
    pool: PgPool,
    options: PgConnectOptions,
    repository: PostgresEventRepository,
    writer: Writer,
    holes: Arc<AtomicU64>,
}

impl PostgresStore {
    /// Connects to a database whose schema is up to date: one connection that writes, and up to
    /// `readers` others.
    ///
    /// The URL is `postgres://user:password@host:port/database`, with the parameters that libpq
    /// knows (`sslmode`, `sslrootcert`, …). No error shows it.
    pub async fn connect(url: &str, readers: u32) -> Result<Self, StoreError> {
        let options = options(url)?;
        let mut first = options.connect().await?;
        migrate::check(&mut first).await?;
        let log_id = sqlx::query_scalar("SELECT log_id FROM log").fetch_one(&mut first).await?;
        first.close().await?;

        let pool = PgPoolOptions::new()
            .max_connections(readers.max(1))
            .acquire_timeout(ACQUIRE)
            // A read on a lost connection is tried again, which costs the others nothing.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().options([("synchronous_commit", "off")]));
        Ok(Self {
            log_id,
            repository: PostgresEventRepository::new(pool.clone()),
            pool,
            writer: Writer::new(&options),
            options,
            holes: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Brings the schema up to date, and says which migrations that took. Nodes that do so at
    /// once wait for each other. A newer schema is refused.
    pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
        migrate::migrate(&options(url)?).await
    }

    /// How many bytes the database holds, without the server's write-ahead log.
    pub async fn bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&self.pool)
            .await?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// How many positions the readers of this store have stepped over, because they will never
    /// be filled: appends rolled back, or refused.
    #[must_use]
    pub fn holes_stepped_over(&self) -> u64 {
        self.holes.load(Ordering::Relaxed)
    }
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error| StoreError::Closed(format!("that is no PostgreSQL URL: {error}")))?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("chancery"),
    };
    Ok(options.options([("jit", "off")]).disable_statement_logging())
}

impl PostgresStore {
    async fn project_on(
        &self,
        model: (&str, Side),
        from: Option<Checkpoint>,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> Result<bool, StoreError> {
        let mut transaction = retried(|| self.pool.begin()).await?;
        let moved = views::project(&mut transaction, model, from, &to, changes).await?;
        kept_if(moved, transaction).await
    }
}

/// Ends a transaction: it is kept if what it was for was done.
async fn kept_if(done: bool, transaction: Transaction<'_, Postgres>) -> Result<bool, StoreError> {
    if done {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(done)
}

impl Store for PostgresStore {
    fn log_id(&self) -> &str {
        &self.log_id
    }

    fn commit(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        async move { self.writer.commit(&batch).await }.boxed()
    }

    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after: u64,
    ) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        load::load(&self.repository, &self.pool, stream, after).boxed()
    }

    fn history<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        load::history(&self.pool, stream).boxed()
    }

    fn read_log(&self, after: u64) -> Box<dyn LogReader> {
        Box::new(Reader::new(self.pool.clone(), after, Arc::clone(&self.holes)))
    }

    fn last_position(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let last = retried(|| async {
                sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
                    .fetch_one(&self.pool)
                    .await
            })
            .await?;
            rows::unsigned(last)
        }
        .boxed()
    }

    fn sealed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<SealedRow>, StoreError>> {
        async move {
            let found: Vec<(i64, Vec<u8>)> = retried(|| async {
                sqlx::query_as(
                    "SELECT sequence, ciphertext FROM sealed
                     WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence",
                )
                .bind(stream.kind.as_str())
                .bind(&*stream.id)
                .fetch_all(&self.pool)
                .await
            })
            .await?;
            let row = |(sequence, ciphertext)| {
                let sequence = rows::unsigned(sequence)?;
                Ok(SealedRow { stream: stream.clone(), sequence, ciphertext })
            };
            found.into_iter().map(row).collect()
        }
        .boxed()
    }

    fn data_key<'a>(
        &'a self,
        owner: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        async move {
            let wrapped = retried(|| async {
                sqlx::query_scalar(
                    "SELECT wrapped FROM data_keys WHERE owner_type = $1 AND owner_id = $2",
                )
                .bind(owner.kind.as_str())
                .bind(&*owner.id)
                .fetch_optional(&self.pool)
                .await
            })
            .await?;
            Ok(wrapped)
        }
        .boxed()
    }

    fn ids(&self, kind: AggregateKind) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        async move {
            let ids: Vec<(String,)> = retried(|| async {
                sqlx::query_as(
                    "SELECT aggregate_id FROM events
                     WHERE aggregate_type = $1 AND sequence = 1 ORDER BY aggregate_id",
                )
                .bind(kind.as_str())
                .fetch_all(&self.pool)
                .await
            })
            .await?;
            Ok(ids.into_iter().map(|(id,)| id).collect())
        }
        .boxed()
    }

    fn wrapped_keys<'a>(
        &'a self,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Vec<WrappedKeyRow>, StoreError>> {
        async move {
            let found: Vec<(String, Vec<u8>)> = retried(|| async {
                sqlx::query_as(
                    "SELECT key_id, wrapped FROM wrapped_keys WHERE purpose = $1 ORDER BY key_id",
                )
                .bind(purpose)
                .fetch_all(&self.pool)
                .await
            })
            .await?;
            let row =
                |(key_id, wrapped)| WrappedKeyRow { key_id, purpose: purpose.to_owned(), wrapped };
            Ok(found.into_iter().map(row).collect())
        }
        .boxed()
    }

    fn rewrap(&self, rewrap: Rewrap) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let mut transaction = retried(|| self.pool.begin()).await?;
            let count = keys::rewrap(&mut transaction, rewrap).await?;
            transaction.commit().await?;
            Ok(count)
        }
        .boxed()
    }

    fn destroy<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Destroyed, StoreError>> {
        erasure::destroy(&self.pool, traces).boxed()
    }

    fn remains<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Remains, StoreError>> {
        erasure::remains(&self.pool, traces).boxed()
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        erasure::scrub(&self.options).boxed()
    }

    fn name_owner<'a>(
        &'a self,
        space: &'a str,
        name: &'a [u8; 32],
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        async move {
            let owner = retried(|| async {
                sqlx::query_scalar("SELECT owner FROM names WHERE space = $1 AND name = $2")
                    .bind(space)
                    .bind(name.as_slice())
                    .fetch_optional(&self.pool)
                    .await
            })
            .await?;
            Ok(owner)
        }
        .boxed()
    }

    fn snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        async move {
            let found = retried(|| async {
                sqlx::query(
                    "SELECT state_version, sequence, digest, state FROM snapshots
                     WHERE aggregate_type = $1 AND aggregate_id = $2",
                )
                .bind(stream.kind.as_str())
                .bind(&*stream.id)
                .fetch_optional(&self.pool)
                .await
            })
            .await?;
            let Some(row) = found else { return Ok(None) };
            Ok(Some(Snapshot {
                state_version: version(row.try_get(0)?)?,
                head: Head {
                    sequence: rows::unsigned(row.try_get(1)?)?,
                    digest: rows::digest(row.try_get(2)?)?,
                },
                state: row.try_get(3)?,
            }))
        }
        .boxed()
    }

    fn save_snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            // One who is late does not put an older one in place of a newer.
            retried(|| async {
                sqlx::query(
                    "INSERT INTO snapshots
                         (aggregate_type, aggregate_id, state_version, sequence, digest, state)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET
                         state_version = excluded.state_version, sequence = excluded.sequence,
                         digest = excluded.digest, state = excluded.state
                     WHERE snapshots.state_version <> excluded.state_version
                        OR snapshots.sequence <= excluded.sequence",
                )
                .bind(stream.kind.as_str())
                .bind(&*stream.id)
                .bind(i64::from(snapshot.state_version))
                .bind(rows::signed(snapshot.head.sequence))
                .bind(snapshot.head.digest.as_bytes().as_slice())
                .bind(&snapshot.state)
                .execute(&self.pool)
                .await
            })
            .await?;
            Ok(())
        }
        .boxed()
    }

    fn checkpoint<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, StoreError>> {
        async move {
            let found: Option<(i64, i64)> = retried(|| async {
                sqlx::query_as("SELECT version, position FROM checkpoints WHERE name = $1")
                    .bind(name)
                    .fetch_optional(&self.pool)
                    .await
            })
            .await?;
            found.map(checkpoint).transpose()
        }
        .boxed()
    }

    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<(String, Checkpoint)>, StoreError>> {
        async move {
            let found: Vec<(String, i64, i64)> = retried(|| async {
                sqlx::query_as("SELECT name, version, position FROM checkpoints ORDER BY name")
                    .fetch_all(&self.pool)
                    .await
            })
            .await?;
            let row = |(name, version, position)| Ok((name, checkpoint((version, position))?));
            found.into_iter().map(row).collect()
        }
        .boxed()
    }

    fn project<'a>(
        &'a self,
        name: &'a str,
        from: Option<Checkpoint>,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.project_on((name, Side::Live), from, to, changes).boxed()
    }

    fn reset_projection<'a>(
        &'a self,
        name: &'a str,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let mut transaction = retried(|| self.pool.begin()).await?;
            views::reset(&mut transaction, name, tables).await?;
            transaction.commit().await?;
            Ok(())
        }
        .boxed()
    }

    fn begin_beside<'a>(
        &'a self,
        name: &'a str,
        version: u32,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let mut transaction = retried(|| self.pool.begin()).await?;
            anew::begin(&mut transaction, name, version, tables).await?;
            transaction.commit().await?;
            Ok(())
        }
        .boxed()
    }

    fn project_beside<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.project_on((name, Side::Anew), Some(from), to, changes).boxed()
    }

    fn take_place<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let mut transaction = retried(|| self.pool.begin()).await?;
            let taken = anew::take_place(&mut transaction, name, &from, tables).await?;
            kept_if(taken, transaction).await
        }
        .boxed()
    }

    fn select(&self, query: Query) -> BoxFuture<'_, Result<Vec<Vec<Value>>, StoreError>> {
        async move { views::select(&self.pool, &query).await }.boxed()
    }

    fn log_checkpoints(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<LogCheckpoint>, StoreError>> {
        tiles::checkpoints(&self.pool, before, limit).boxed()
    }

    fn log_tiles(&self, wanted: Vec<(u8, u64)>) -> BoxFuture<'_, Result<Vec<LogTile>, StoreError>> {
        tiles::tiles(&self.pool, wanted).boxed()
    }

    fn log_tile_at(&self, position: u64) -> BoxFuture<'_, Result<Option<LogTile>, StoreError>> {
        tiles::tile_at(&self.pool, position).boxed()
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        tiles::seal(&self.pool, seal).boxed()
    }

    fn scan(&self, after: i64, limit: usize) -> BoxFuture<'_, Result<Vec<Scanned>, StoreError>> {
        tiles::scan(&self.pool, after, limit).boxed()
    }

    fn pack(&self, ripe: Ripe) -> BoxFuture<'_, Result<Packing, StoreError>> {
        packs::pack(&self.pool, ripe).boxed()
    }

    fn packed_through(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        packs::through(&self.pool).boxed()
    }

    fn heads(
        &self,
        through: u64,
        after: (String, String),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ListedHead>, StoreError>> {
        tiles::heads(&self.pool, through, after, limit).boxed()
    }

    fn document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        documents::document(&self.pool, kind, key).boxed()
    }

    fn documents<'a>(
        &'a self,
        kind: &'static str,
        after: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Document>, StoreError>> {
        documents::documents(&self.pool, kind, after, limit).boxed()
    }

    fn put_document(&self, document: Document) -> BoxFuture<'_, Result<bool, StoreError>> {
        documents::put(&self.pool, document).boxed()
    }

    fn delete_document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
        version: u64,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        documents::delete(&self.pool, kind, key, version).boxed()
    }

    fn forget_expired(&self, now: i64) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let forgotten = retried(|| async {
                sqlx::query("DELETE FROM used_once WHERE expires_at < $1")
                    .bind(now)
                    .execute(&self.pool)
                    .await
            })
            .await?;
            Ok(forgotten.rows_affected())
        }
        .boxed()
    }

    fn pool(&self) -> Option<Pool> {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        let in_use = self.pool.size().saturating_sub(idle);
        Some(Pool { idle, in_use, most: self.pool.options().get_max_connections() })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let read_only: String = retried(|| async {
                sqlx::query_scalar("SELECT current_setting('transaction_read_only')")
                    .fetch_one(&self.pool)
                    .await
            })
            .await?;
            if read_only == "on" {
                return Err(StoreError::Closed(
                    "the database is read-only: is it a standby, or full?".into(),
                ));
            }
            Ok(())
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.writer.close().await;
            self.pool.close().await;
        }
        .boxed()
    }
}

fn checkpoint((stored_version, position): (i64, i64)) -> Result<Checkpoint, StoreError> {
    Ok(Checkpoint { version: version(stored_version)?, position: rows::unsigned(position)? })
}

fn version(stored: i64) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| StoreError::Corrupt(format!("{stored} is no version")))
}
