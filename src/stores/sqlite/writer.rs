//! The one connection that writes the log.

use std::fs::File;
use std::slice;
use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior, params};

use super::recent::Recent;
use super::rows::{Owner, OwnerText, integer, is_unique_violation};
use super::{erasure, packs};
use crate::stores::{
    Append, AppendError, Appended, NameChange, NewEvent, Rewrap, Snapshot, StoreError, StoredEvent,
    StreamId, Traces,
};

/// How many rows are taken at a time where there may be very many.
const CHUNK: usize = 1000;

/// After an append had to be undone: where there is one, there may be more.
const WARY_FOR: u32 = 64;

/// What of a batch can be undone while it is written. A savepoint for each append has SQLite copy
/// every page that it touches; appends that are refused are rare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    All,
    EachAppend,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    recent: Recent,
    /// The last batch could not be written: the next ping tries.
    failed: bool,
    /// For so many batches each append can be undone alone.
    wary: u32,
    /// Held as long as the connection, and dropped after it.
    _lock: Arc<File>,
}

/// Why an append is not in the transaction.
enum NotWritten {
    /// Its own fault: the others of the batch stand.
    Refused(AppendError),
    /// The store's: the batch has to be tried again.
    Failed(rusqlite::Error),
    /// A part of it is in the transaction, and can't be undone alone.
    InPart,
}

impl From<rusqlite::Error> for NotWritten {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sqlite(error) => Self::Failed(error),
            error => Self::Refused(AppendError::Unavailable(Arc::new(error))),
        }
    }
}

impl Writer {
    /// What is committed is told to `recent`.
    pub(super) fn new(connection: Connection, recent: Recent, lock: Arc<File>) -> Self {
        Self { connection, recent, failed: false, wary: 0, _lock: lock }
    }

    /// Writes a batch in one transaction; if that fails, each append in one of its own.
    pub(super) fn commit(&mut self, batch: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let results = match self.write(batch) {
            Ok(results) => results,
            Err(error) if batch.len() > 1 => {
                tracing::warn!(
                    %error,
                    appends = batch.len(),
                    "a batch could not be written ({error}): trying its appends one by one"
                );
                batch.iter().map(|append| self.write_one(append)).collect()
            }
            Err(error) => vec![Err(unavailable(error))],
        };
        self.failed =
            results.iter().any(|result| matches!(result, Err(AppendError::Unavailable(_))));
        results
    }

    fn write_one(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let mut results = self.write(slice::from_ref(append)).map_err(unavailable)?;
        results.pop().unwrap_or(Ok(Appended { last_position: 0 }))
    }

    fn write(&mut self, batch: &[Append]) -> rusqlite::Result<Vec<Result<Appended, AppendError>>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.wary = self.wary.saturating_sub(1);
        if self.wary == 0 {
            if let Some(results) = self.try_write(batch, Undo::All)? {
                return Ok(results);
            }
            self.wary = WARY_FOR;
        }
        Ok(self.try_write(batch, Undo::EachAppend)?.unwrap_or_default())
    }

    /// None, and nothing is written: an append was refused that can't be undone alone.
    fn try_write(
        &mut self,
        batch: &[Append],
        undo: Undo,
    ) -> rusqlite::Result<Option<Vec<Result<Appended, AppendError>>>> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(batch.len());
        let mut written = Vec::new();
        {
            let mut statements = Statements::prepare(&transaction, undo)?;
            for append in batch {
                let before = written.len();
                results.push(match statements.append(append, &mut written) {
                    Ok(appended) => Ok(appended),
                    Err(NotWritten::Refused(error)) => {
                        written.truncate(before);
                        Err(error)
                    }
                    Err(NotWritten::Failed(error)) => return Err(error),
                    Err(NotWritten::InPart) => return Ok(None),
                });
            }
        }
        // Where this fails, it may have been done all the same.
        transaction.commit().inspect_err(|_| self.recent.forget())?;
        self.recent.push(written);
        Ok(Some(results))
    }

    /// Wraps every key anew, in one transaction.
    pub(super) fn rewrap(&mut self, rewrap: &Rewrap) -> Result<u64, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut count = 0;
        let keys: Vec<(String, Vec<u8>)> = transaction
            .prepare("SELECT key_id, wrapped FROM wrapped_keys")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (key_id, wrapped) in keys {
            let wrapped = rewrap(&wrapped, &key_id).map_err(StoreError::Corrupt)?;
            transaction
                .prepare_cached("UPDATE wrapped_keys SET wrapped = ?2 WHERE key_id = ?1")?
                .execute(params![key_id, wrapped])?;
            count += 1;
        }
        let mut last = (String::new(), String::new());
        loop {
            let keys: Vec<(String, String, Vec<u8>)> = transaction
                .prepare_cached(
                    "SELECT owner_type, owner_id, wrapped FROM data_keys
                     WHERE (owner_type, owner_id) > (?1, ?2)
                     ORDER BY owner_type, owner_id LIMIT ?3",
                )?
                .query_map(params![last.0, Owner(&last.1), CHUNK], |row| {
                    Ok((row.get(0)?, row.get::<_, OwnerText>(1)?.0, row.get(2)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let Some((kind, id, _)) = keys.last() else { break };
            last = (kind.clone(), id.clone());
            for (kind, id, wrapped) in keys {
                let wrapped =
                    rewrap(&wrapped, &format!("{kind}/{id}")).map_err(StoreError::Corrupt)?;
                transaction
                    .prepare_cached(
                        "UPDATE data_keys SET wrapped = ?3
                         WHERE owner_type = ?1 AND owner_id = ?2",
                    )?
                    .execute(params![kind, Owner(&id), wrapped])?;
                count += 1;
            }
        }
        transaction.commit()?;
        Ok(count)
    }

    /// Destroys some of what is a person's.
    pub(super) fn destroy(&mut self, traces: &Traces) -> Result<erasure::Step, StoreError> {
        erasure::destroy(&mut self.connection, traces)
    }

    /// Leaves no byte of what was destroyed in the files.
    pub(super) fn scrub(&mut self) -> Result<(), StoreError> {
        erasure::scrub(&mut self.connection)
    }

    /// Keeps a snapshot, unless a later one of the same shape is there.
    pub(super) fn save_snapshot(
        &mut self,
        stream: &StreamId,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO snapshots
                     (aggregate_type, aggregate_id, state_version, sequence, digest, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET
                     state_version = excluded.state_version, sequence = excluded.sequence,
                     digest = excluded.digest, state = excluded.state
                 WHERE state_version <> excluded.state_version OR sequence <= excluded.sequence",
            )?
            .execute(params![
                stream.kind.as_str(),
                Owner(&stream.id),
                snapshot.state_version,
                integer(snapshot.head.sequence),
                snapshot.head.digest.as_bytes(),
                snapshot.state,
            ])?;
        Ok(())
    }

    /// Forgets some of what has expired; 0 when there is no more.
    pub(super) fn forget_expired(&mut self, now: i64) -> Result<u64, StoreError> {
        let count = self
            .connection
            .prepare_cached(
                "DELETE FROM used_once WHERE (space, key) IN
                     (SELECT space, key FROM used_once WHERE expires_at < ?1 LIMIT ?2)",
            )?
            .execute(params![now, CHUNK])?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Can this store write? After a failure only writing tells.
    pub(super) fn ping(&mut self) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.failed {
            transaction.execute("UPDATE log SET log_id = log_id", [])?;
        }
        transaction.commit()?;
        self.failed = false;
        Ok(())
    }

    /// Moves what stands in the write-ahead log into the database.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// The statements of the hot path, taken from the cache once a batch.
struct Statements<'t> {
    transaction: &'t Transaction<'t>,
    undo: Undo,
    insert_event: CachedStatement<'t>,
    digest_at: CachedStatement<'t>,
    /// The time of recording of the whole batch.
    recorded_at: i64,
}

impl<'t> Statements<'t> {
    fn prepare(transaction: &'t Transaction<'t>, undo: Undo) -> rusqlite::Result<Self> {
        let recorded_at = transaction
            .prepare_cached("SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER)")?
            .query_row([], |row| row.get(0))?;
        Ok(Self {
            transaction,
            undo,
            insert_event: transaction.prepare_cached(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                     event_version, payload, metadata, prev_digest, digest, recorded_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            digest_at: transaction.prepare_cached(
                "SELECT digest FROM events
                 WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = ?3",
            )?,
            recorded_at,
        })
    }

    /// Writes all of an append, or nothing of it. `stored` gets its events.
    fn append(
        &mut self,
        append: &Append,
        stored: &mut Vec<StoredEvent>,
    ) -> Result<Appended, NotWritten> {
        // A single statement that is refused leaves nothing to undo.
        if writes(append) <= 1 {
            return self.rows(append, stored);
        }
        if self.undo == Undo::All {
            let before = stored.len();
            let written = self.rows(append, stored);
            // Events come first: if the first of them is refused, there is nothing to undo.
            let in_part = append.events.is_empty() || stored.len() > before;
            return match written {
                Err(NotWritten::Refused(_)) if in_part => Err(NotWritten::InPart),
                written => written,
            };
        }
        self.execute("SAVEPOINT append")?;
        let written = self.rows(append, stored);
        if let Err(NotWritten::Refused(_)) = written {
            self.execute("ROLLBACK TO append")?;
        }
        if !matches!(written, Err(NotWritten::Failed(_))) {
            self.execute("RELEASE append")?;
        }
        written
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.transaction.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn rows(
        &mut self,
        append: &Append,
        stored: &mut Vec<StoredEvent>,
    ) -> Result<Appended, NotWritten> {
        let (mut previous, mut last_position) = (None, 0);
        for event in &append.events {
            self.event(event, previous)?;
            previous = Some(event);
            last_position = u64::try_from(self.transaction.last_insert_rowid()).unwrap_or_default();
            stored.push(StoredEvent {
                position: last_position,
                recorded_at_ms: self.recorded_at,
                event: event.clone(),
            });
        }
        for change in &append.names {
            self.name(change)?;
        }
        for used in &append.used_once {
            self.insert(
                "INSERT INTO used_once (space, key, expires_at) VALUES (?1, ?2, ?3)",
                params![used.space, used.key, used.expires_at],
                AppendError::AlreadyUsed,
            )?;
        }
        for row in &append.sealed {
            self.insert(
                "INSERT INTO sealed (aggregate_type, aggregate_id, sequence, ciphertext)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    row.stream.kind.as_str(),
                    Owner(&row.stream.id),
                    integer(row.sequence),
                    row.ciphertext
                ],
                AppendError::Conflict,
            )?;
        }
        for row in &append.data_keys {
            self.insert(
                "INSERT INTO data_keys (owner_type, owner_id, subject, wrapped)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    row.owner.kind.as_str(),
                    Owner(&row.owner.id),
                    row.subject.as_deref().map(Owner),
                    row.wrapped
                ],
                AppendError::Conflict,
            )?;
        }
        for (owner, subject) in &append.bind_data_keys {
            self.transaction
                .prepare_cached(
                    "UPDATE data_keys SET subject = ?3
                     WHERE owner_type = ?1 AND owner_id = ?2",
                )?
                .execute(params![owner.kind.as_str(), Owner(&owner.id), Owner(subject)])?;
        }
        for row in &append.wrapped_keys {
            self.insert(
                "INSERT INTO wrapped_keys (key_id, purpose, wrapped) VALUES (?1, ?2, ?3)",
                params![row.key_id, row.purpose, row.wrapped],
                AppendError::Conflict,
            )?;
        }
        Ok(Appended { last_position })
    }

    /// Writes an event if it continues the chain of its aggregate. `previous` is the event before
    /// it in the same append: where that is the one before it in the chain, nothing is looked up.
    fn event(&mut self, event: &NewEvent, previous: Option<&NewEvent>) -> Result<(), NotWritten> {
        let kind = event.stream.kind.as_str();
        let sequence = integer(event.sequence);
        let continues = if event.sequence <= 1 {
            event.prev_digest == Sha256Digest::ZERO
        } else if let Some(previous) = previous
            && previous.stream == event.stream
            && previous.sequence.checked_add(1) == Some(event.sequence)
        {
            previous.digest == event.prev_digest
        } else {
            match self.continues(event)? {
                Some(continues) => continues,
                // Old histories have no rows until they go on.
                None => {
                    packs::put_back(self.transaction, &event.stream)?
                        && self.continues(event)?.unwrap_or(false)
                }
            }
        };
        if !continues {
            return Err(NotWritten::Refused(AppendError::Conflict));
        }
        // Empty: that of the row before.
        let metadata = match previous {
            Some(previous) if previous.metadata == event.metadata => "",
            _ => &event.metadata,
        };
        self.insert_event
            .execute(params![
                kind,
                event.stream.id,
                sequence,
                event.event_type,
                event.event_version,
                event.payload,
                metadata,
                event.prev_digest.as_bytes(),
                event.digest.as_bytes(),
                self.recorded_at,
            ])
            .map(drop)
            .map_err(|error| refused(error, AppendError::Conflict))
    }

    /// Does it continue the event before it? None: there is no row of that.
    fn continues(&mut self, event: &NewEvent) -> rusqlite::Result<Option<bool>> {
        let stream = &event.stream;
        let before = integer(event.sequence.saturating_sub(1));
        let mut rows = self.digest_at.query(params![stream.kind.as_str(), stream.id, before])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let digest = row.get_ref(0)?;
        Ok(Some(digest.as_blob().is_ok_and(|digest| digest == event.prev_digest.as_bytes())))
    }

    fn name(&self, change: &NameChange) -> Result<(), NotWritten> {
        match change {
            NameChange::Reserve { space, name, owner } => {
                let taken = self
                    .transaction
                    .prepare_cached(
                        "INSERT INTO names (space, name, owner) VALUES (?1, ?2, ?3)
                         ON CONFLICT (space, name) DO UPDATE SET owner = excluded.owner
                         WHERE owner = excluded.owner",
                    )?
                    .execute(params![space, name, owner])?;
                if taken == 0 {
                    return Err(NotWritten::Refused(AppendError::NameTaken));
                }
            }
            NameChange::Release { space, name } => {
                self.transaction
                    .prepare_cached("DELETE FROM names WHERE space = ?1 AND name = ?2")?
                    .execute(params![space, name])?;
            }
        }
        Ok(())
    }

    fn insert(
        &self,
        sql: &str,
        row: &[&dyn rusqlite::ToSql],
        when_there: AppendError,
    ) -> Result<(), NotWritten> {
        self.transaction
            .prepare_cached(sql)?
            .execute(row)
            .map(drop)
            .map_err(|error| refused(error, when_there))
    }
}

fn writes(append: &Append) -> usize {
    let Append { events, sealed, data_keys, bind_data_keys, wrapped_keys, names, used_once } =
        append;
    events.len()
        + sealed.len()
        + data_keys.len()
        + bind_data_keys.len()
        + wrapped_keys.len()
        + names.len()
        + used_once.len()
}

fn refused(error: rusqlite::Error, when_there: AppendError) -> NotWritten {
    if is_unique_violation(&error) {
        NotWritten::Refused(when_there)
    } else {
        NotWritten::Failed(error)
    }
}

fn unavailable(error: rusqlite::Error) -> AppendError {
    AppendError::Unavailable(Arc::new(error.into()))
}
