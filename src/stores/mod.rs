//! Where the log and everything beside it is kept.
//!
//! One interface, two implementations ([`sqlite`], [`postgres`]), one contract
//! suite (`tests/stores.rs`). The log is the truth: everything else here is a
//! secret kept out of it (sealed values, wrapped keys), a fact with a time
//! limit (used once), derived from it (snapshots, read models), or no
//! history at all (documents).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use chancery_domain::account::Destroyed;
use chancery_domain::digest::{EventFacts, Sha256Digest};
use chancery_domain::ids::AggregateKind;
use chancery_projections::{Change, Table, Value};
use futures_util::future::BoxFuture;

mod documents;
mod ids;
mod packs;
pub mod postgres;
pub mod sqlite;
mod tiles;

pub use self::documents::Document;
pub use self::packs::{Packed, Packing, Ripe};
pub use self::tiles::{ListedHead, LogCheckpoint, LogTile, Scanned, Seal};

/// Which aggregate: its kind and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// `aggregate_type`
    pub kind: AggregateKind,
    /// `aggregate_id`
    pub id: Arc<str>,
}

/// `aggregate_type/aggregate_id`
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// An event about to be stored: exactly the bytes that were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub stream: StreamId,
    /// 1 for the first event of an aggregate.
    pub sequence: u64,
    pub event_type: Cow<'static, str>,
    pub event_version: Cow<'static, str>,
    /// JSON.
    pub payload: Box<str>,
    /// JSON: a flat object of strings; shared by the events of one command.
    pub metadata: Arc<str>,
    pub prev_digest: Sha256Digest,
    pub digest: Sha256Digest,
}

impl NewEvent {
    /// What the digest covers.
    #[must_use]
    pub fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            kind: self.stream.kind.as_str(),
            id: &self.stream.id,
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: self.payload.as_bytes(),
            metadata: self.metadata.as_bytes(),
            prev_digest: self.prev_digest,
        }
    }
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of the whole log; grows, may have holes.
    pub position: u64,
    /// When the store took it, by the store's clock: milliseconds since 1970.
    pub recorded_at_ms: i64,
    pub event: NewEvent,
}

impl StoredEvent {
    /// Where its history stands with it.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { sequence: self.event.sequence, digest: self.event.digest }
    }
}

/// Where the chain of one aggregate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the last event; 0 where there is none.
    pub sequence: u64,
    /// Its digest; zero where there is none.
    pub digest: Sha256Digest,
}

impl Head {
    /// Before the first event.
    pub const START: Self = Self { sequence: 0, digest: Sha256Digest::ZERO };
}

/// One event of an aggregate, as far as folding it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedEvent {
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    /// JSON.
    pub payload: String,
}

/// The events of one aggregate after some sequence, and its head. `head` always
/// belongs to the last event of `events` (or is the sequence asked after, with its digest, when
/// there are none; [`Head::START`] for an unknown aggregate).
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub events: Vec<LoadedEvent>,
    pub head: Head,
}

/// A sealed value beside the event that holds its commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    pub stream: StreamId,
    pub sequence: u64,
    /// Nonce, ciphertext and tag; the salt is inside of the ciphertext.
    pub ciphertext: Vec<u8>,
}

/// The wrapped data key of one owner (a grant or an account).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKeyRow {
    pub owner: StreamId,
    /// The account it is erased with, once that is known.
    pub subject: Option<Arc<str>>,
    pub wrapped: Vec<u8>,
}

/// A key of the server's own (signing, handles, …), wrapped by the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeyRow {
    pub key_id: String,
    /// What it is for: `signing`, `handle`, `names`, …
    pub purpose: String,
    pub wrapped: Vec<u8>,
}

/// A change to the unique names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChange {
    /// Takes the name for the owner; [`AppendError::NameTaken`] if another owner has it.
    Reserve { space: &'static str, name: [u8; 32], owner: Arc<str> },
    /// Gives it back.
    Release { space: &'static str, name: [u8; 32] },
}

/// A fact with a time limit: this key has been used. (RFC 7523 jti, nonces.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedOnce {
    pub space: &'static str,
    pub key: [u8; 32],
    /// Seconds since 1970; may be forgotten after.
    pub expires_at: i64,
}

/// What one command writes: all of it, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Append {
    /// May span aggregates; in order within each.
    pub events: Vec<NewEvent>,
    pub sealed: Vec<SealedRow>,
    pub data_keys: Vec<DataKeyRow>,
    /// Binds the data key of an owner to the account that it is erased with.
    pub bind_data_keys: Vec<(StreamId, Arc<str>)>,
    pub wrapped_keys: Vec<WrappedKeyRow>,
    pub names: Vec<NameChange>,
    pub used_once: Vec<UsedOnce>,
}

/// An append that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of its last event; 0 for an append without events.
    pub last_position: u64,
}

/// Why an append was not written. In every case nothing of it is in the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    #[error("another writer has appended to this aggregate")]
    Conflict,
    #[error("that name is taken")]
    NameTaken,
    #[error("that has been used before")]
    AlreadyUsed,
    /// The queue before the store is full: try again later.
    #[error("the store has more to write than it can")]
    Overloaded,
    #[error("the store could not write: {0}")]
    Unavailable(Arc<StoreError>),
}

/// The store failed; nothing is known about the data.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What is stored is not what this version can read.
    #[error("{0}")]
    Corrupt(String),
    /// Another process has the right to write; says which and what to do.
    #[error("{0}")]
    InUse(String),
    /// The store is closed, or can't be opened; says why and what to do.
    #[error("{0}")]
    Closed(String),
}

/// A question to a read model: rows of one table.
#[derive(Debug, Clone)]
pub struct Query {
    pub table: &'static Table,
    /// Each column equals its value.
    pub equals: Vec<(&'static str, Value)>,
    /// The same of columns that are looked at in the rows found by the others, and not looked up:
    /// SQLite has no statistics, and takes the index of a client for that of a person.
    pub besides: Vec<(&'static str, Value)>,
    /// Each column is within its bounds.
    pub within: Vec<Bounds>,
    /// Rows after the row with this key in the order asked for (exclusive), to page on. Unless
    /// ordered by the key, that row has to be there still: an error if it is not, since nobody
    /// knows its place.
    pub after: Option<Value>,
    /// Order by this column, then by the key in the same direction; text by its bytes, NULL
    /// before all values (last when descending).
    pub order_by: &'static str,
    pub descending: bool,
    pub limit: u32,
}

impl Query {
    /// All rows of a table, by its key.
    #[must_use]
    pub const fn all(table: &'static Table) -> Self {
        Self {
            table,
            equals: Vec::new(),
            besides: Vec::new(),
            within: Vec::new(),
            after: None,
            order_by: table.key,
            descending: false,
            limit: u32::MAX,
        }
    }

    /// Rows whose columns equal what is given of these: what the fewest rows have comes first, and
    /// the first that is given is looked up.
    #[must_use]
    pub fn by(
        table: &'static Table,
        equals: impl IntoIterator<Item = Option<(&'static str, Value)>>,
    ) -> Self {
        let mut given = equals.into_iter().flatten();
        let equals = given.next().into_iter().collect();
        Self { equals, besides: given.collect(), ..Self::all(table) }
    }
}

/// Between which values a column stands. NULL is within no bounds.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub column: &'static str,
    /// From this value on (inclusive).
    pub from: Option<Value>,
    /// Up to this value (exclusive).
    pub below: Option<Value>,
}

/// How far a projection has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub version: u32,
    pub position: u64,
}

/// A kept state of an aggregate, to be folded on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the state's shape; another is as good as none.
    pub state_version: u32,
    pub head: Head,
    /// JSON.
    pub state: String,
}

/// What is a person's beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The person: everything whose data key is bound to them is theirs.
    pub subject: Arc<str>,
    /// Aggregates that are theirs besides, unless their data key is bound to somebody else.
    pub owners: Vec<StreamId>,
}

/// How much is left of a person beside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remains {
    pub data_keys: u64,
    pub sealed_values: u64,
    pub snapshots: u64,
    pub names: u64,
}

/// The name of the checkpoint of a read model that is being made anew.
#[must_use]
pub fn beside(name: &str) -> String {
    format!("{name} (anew)")
}

/// Which of a read model's tables: those that are looked at, or those that are to take their
/// place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Live,
    Anew,
}

impl Side {
    fn checkpoint(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Live => name.into(),
            Self::Anew => beside(name).into(),
        }
    }

    fn table(self, table: &Table) -> Cow<'static, str> {
        match self {
            Self::Live => table.name.into(),
            Self::Anew => format!("{}_anew", table.name).into(),
        }
    }
}

/// A store: the log, and what stands beside it.
///
/// Object safe; futures are boxed because a call is rare beside what it costs
/// (hot paths batch their appends, and keep their aggregates).
pub trait Store: Send + Sync + 'static {
    /// Names this life of the database; another after a restore.
    fn log_id(&self) -> &str;

    /// Writes a batch in one transaction, durable when it returns, one result for each append in
    /// order. An append in conflict is left out alone; a batch that fails for another reason is
    /// tried again one append at a time. (The first event of a history is taken if none has a row:
    /// ids of grants and sessions, which may be in packs, are never used twice.)
    ///
    /// Called by the committer only, one batch at a time.
    fn commit(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>>;

    /// The events of an aggregate with a sequence above `after`, to fold.
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after: u64,
    ) -> BoxFuture<'a, Result<Loaded, StoreError>>;

    /// The whole history of an aggregate, as stored.
    fn history<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>>;

    /// The ids of all aggregates of a kind: for kinds of which there are few, and none in packs
    /// alone.
    fn ids(&self, kind: AggregateKind) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// Reads the log on from a position (exclusive), in order, without ever passing an event
    /// that is still being written.
    fn read_log(&self, after: u64) -> Box<dyn LogReader>;

    /// The same for whoever goes on behind the end of the log, and need not see the bytes as they
    /// stand in the database: this process may know what it has committed.
    fn follow_log(&self, after: u64) -> Box<dyn LogReader> {
        self.read_log(after)
    }

    /// The highest position in the log just now (0: empty). Not gap-safe: for progress bars.
    fn last_position(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// The sealed rows of an aggregate, in order.
    fn sealed<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Vec<SealedRow>, StoreError>>;

    /// The wrapped data key of an owner.
    fn data_key<'a>(
        &'a self,
        owner: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// All wrapped keys of a purpose, by key id.
    fn wrapped_keys<'a>(
        &'a self,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Vec<WrappedKeyRow>, StoreError>>;

    /// Replaces every wrapped key and data key by what `rewrap` makes of it, in one transaction.
    /// The second argument of `rewrap` is the text bound to the key: the key id of a wrapped key, `kind/id` of
    /// the owner for a data key.
    fn rewrap(&self, rewrap: Rewrap) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Destroys data keys, sealed values, snapshots and names of a person. Gives all that was
    /// ever destroyed of them: each transaction counts what it does. Bytes may stay in the files
    /// until [`Store::scrub`].
    fn destroy<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Destroyed, StoreError>>;

    /// How much is left of a person.
    fn remains<'a>(&'a self, traces: &'a Traces) -> BoxFuture<'a, Result<Remains, StoreError>>;

    /// Writes the tables that hold secrets anew, so that no byte of what was destroyed is left in
    /// the store's files. Takes a while where they are large, and whoever needs them waits.
    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Who has a name.
    fn name_owner<'a>(
        &'a self,
        space: &'a str,
        name: &'a [u8; 32],
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// The latest snapshot of an aggregate.
    fn snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>>;

    /// Keeps a snapshot in place of an older one.
    fn save_snapshot<'a>(
        &'a self,
        stream: &'a StreamId,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// How far a projection (or another consumer of the log) has come.
    fn checkpoint<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, StoreError>>;

    /// All checkpoints by name.
    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<(String, Checkpoint)>, StoreError>>;

    /// Applies row changes and moves the checkpoint from `from` to `to`, in one transaction, if
    /// it still stands at `from` (`None`: there is none yet). False: somebody else moved it.
    fn project<'a>(
        &'a self,
        name: &'a str,
        from: Option<Checkpoint>,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Empties the tables of a projection and forgets its checkpoint, in one transaction.
    fn reset_projection<'a>(
        &'a self,
        name: &'a str,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Begins to make a read model anew beside the one that is there: empty tables, and a
    /// checkpoint at the beginning under the name [`beside`]. What was begun before is thrown
    /// away.
    fn begin_beside<'a>(
        &'a self,
        name: &'a str,
        version: u32,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// As [`Store::project`], for the read model that is being made anew.
    fn project_beside<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        to: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Puts the read model that was made anew in the place of the old one, rows and checkpoint
    /// at once, if it stands at `from` still and the old one is not ahead of it. Whoever looks
    /// something up sees the one or the other.
    fn take_place<'a>(
        &'a self,
        name: &'a str,
        from: Checkpoint,
        tables: &'a [&'static Table],
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Rows of a read model: the values of all columns of the table, in its order.
    fn select(&self, query: Query) -> BoxFuture<'_, Result<Vec<Vec<Value>>, StoreError>>;

    /// The last checkpoint of the Merkle log.
    fn log_checkpoint(&self) -> BoxFuture<'_, Result<Option<LogCheckpoint>, StoreError>> {
        Box::pin(async move { Ok(self.log_checkpoints(None, 1).await?.pop()) })
    }

    /// The checkpoints of the Merkle log that are kept, the last first; those with a lower serial
    /// than `before`.
    fn log_checkpoints(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<LogCheckpoint>, StoreError>>;

    /// The tiles with these levels and indexes, in order, as far as they are there.
    fn log_tiles(&self, wanted: Vec<(u8, u64)>) -> BoxFuture<'_, Result<Vec<LogTile>, StoreError>>;

    /// The tile of level 0 in which the event with this position is, if it is in one.
    fn log_tile_at(&self, position: u64) -> BoxFuture<'_, Result<Option<LogTile>, StoreError>>;

    /// Writes tiles and their checkpoint in one transaction, durable when it returns. False:
    /// another node was first.
    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The events with a position above `after` in order, to be checked. Knows of no gaps: whoever
    /// needs the end of the log reads it by [`Store::read_log`].
    fn scan(&self, after: i64, limit: usize) -> BoxFuture<'_, Result<Vec<Scanned>, StoreError>>;

    /// Packs the oldest events that stand in no pack yet, if there are as many as a pack takes and
    /// all of them are ripe; whole histories of grants and sessions that end there leave their
    /// rows. Everything is read as before.
    ///
    /// Programs of before packs can't work with the database afterwards.
    fn pack(&self, ripe: Ripe) -> BoxFuture<'_, Result<Packing, StoreError>>;

    /// Every event at or before this position is in a pack; 0: none is.
    fn packed_through(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Where the chains of aggregates end, as of a position: those after one
    /// (`aggregate_type`, `aggregate_id`) in the order of bytes.
    fn heads(
        &self,
        through: u64,
        after: (String, String),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ListedHead>, StoreError>>;

    /// A document that is kept beside the log.
    fn document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Document>, StoreError>>;

    /// Documents of a kind in the order of their keys, those after one.
    fn documents<'a>(
        &'a self,
        kind: &'static str,
        after: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Document>, StoreError>>;

    /// Writes a document in place of the one with its version (0: there is none), durable when
    /// it returns. False: somebody else has written it.
    fn put_document(&self, document: Document) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Deletes the document with this version. False: somebody else has written it.
    fn delete_document<'a>(
        &'a self,
        kind: &'static str,
        key: &'a str,
        version: u64,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets what has expired by `now` (seconds since 1970): used-once facts. Returns how many.
    fn forget_expired(&self, now: i64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Is the store reachable and writable? For `/health/ready`.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The connections to a database server, where there is one.
    fn pool(&self) -> Option<Pool> {
        None
    }

    /// Waits for what is being written, then closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Connections that are kept to a database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub idle: u32,
    pub in_use: u32,
    /// How many there may be.
    pub most: u32,
}

/// Turns a wrapped key into the same key wrapped otherwise.
pub type Rewrap = Box<dyn Fn(&[u8], &str) -> Result<Vec<u8>, String> + Send>;

/// Reads the log in order. Remembers what it waits for at a hole.
pub trait LogReader: Send {
    /// The next events, at most `limit`; none when there is nothing safe to read now.
    fn next(&mut self, limit: usize) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>>;

    /// The position up to which everything has been read, holes included.
    fn position(&self) -> u64;
}
