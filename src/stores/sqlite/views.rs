//! The one connection that writes the read models, in a file of their own.
//!
//! `views.db` is written without waiting for the disk: it can be made again from the log. It is
//! thrown away when it can't be trusted: when it is missing, broken, of another schema, of
//! another log or ahead of it, or when the machine went down while it was open. (A process that
//! is killed loses nothing of what it has handed to the operating system.)

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_projections::{Change, Table};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, ffi, params};

use super::changes::Changes;
use super::folder::Folder;
use super::migrate::{self, Schema};
use super::rows::{integer, is_corrupt};
use super::{anew, erasure};
use crate::stores::{Checkpoint, Side, StoreError};

pub(super) struct Views {
    connection: Connection,
    changes: Changes,
    path: PathBuf,
    /// Held as long as the connection, and dropped after it.
    _lock: Arc<File>,
}

impl Views {
    /// Opens the views of this log, or makes them anew.
    pub(super) fn open(
        folder: &Folder,
        log_id: &str,
        last_position: u64,
        lock: Arc<File>,
    ) -> Result<Self, StoreError> {
        let path = folder.views();
        if path.exists() {
            match existing(&path, log_id, last_position) {
                Ok(Ok(connection)) => {
                    return Ok(Self { connection, changes: Changes::default(), path, _lock: lock });
                }
                Ok(Err(why)) => {
                    tracing::warn!(why, "the read models are made anew from the log: {why}");
                }
                Err(error) => {
                    tracing::warn!(%error, "the read models are made anew from the log: {error}");
                }
            }
        }
        Folder::remove(&path)?;
        Folder::touch(&path)?;
        let mut connection = connect(&path)?;
        migrate::apply(&mut connection, migrate::VIEWS, 0)?;
        mark(&connection, log_id, Some(&opened_here()))?;
        Ok(Self { connection, changes: Changes::default(), path, _lock: lock })
    }

    /// Applies changes and moves the checkpoint, if it stands where it should.
    pub(super) fn project(
        &mut self,
        model: (&str, Side),
        from: Option<&Checkpoint>,
        to: &Checkpoint,
        changes: Vec<Change>,
    ) -> Result<bool, StoreError> {
        let result = self.try_project(model, from, to, changes);
        self.discard_if_broken(result)
    }

    fn try_project(
        &mut self,
        (name, side): (&str, Side),
        from: Option<&Checkpoint>,
        to: &Checkpoint,
        changes: Vec<Change>,
    ) -> Result<bool, StoreError> {
        let name = &*side.checkpoint(name);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if checkpoint(&transaction, name)?.as_ref() != from {
            return Ok(false);
        }
        self.changes.apply(&transaction, side, changes)?;
        move_checkpoint(&transaction, name, to)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Empties tables and forgets the checkpoint.
    pub(super) fn reset(
        &mut self,
        name: &str,
        tables: &[&'static Table],
    ) -> Result<(), StoreError> {
        let result = self.try_reset(name, tables);
        self.discard_if_broken(result)
    }

    fn try_reset(&mut self, name: &str, tables: &[&'static Table]) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in tables {
            transaction.execute(&format!("DELETE FROM \"{}\"", table.name), [])?;
        }
        transaction.execute("DELETE FROM checkpoints WHERE name = ?1", [name])?;
        transaction.commit()?;
        Ok(())
    }

    /// Makes empty tables beside those that are there, and a checkpoint at the beginning.
    pub(super) fn begin_beside(
        &mut self,
        name: &str,
        version: u32,
        tables: &[&'static Table],
    ) -> Result<(), StoreError> {
        let result = anew::begin(&mut self.connection, name, version, tables);
        self.discard_if_broken(result)
    }

    /// Puts them in the place of the old ones, unless those are ahead.
    pub(super) fn take_place(
        &mut self,
        name: &str,
        from: &Checkpoint,
        tables: &[&'static Table],
    ) -> Result<bool, StoreError> {
        let result = anew::take_place(&mut self.connection, name, from, tables);
        self.discard_if_broken(result)
    }

    /// Brings everything to the disk and says so in the file.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        let log_id: String =
            self.connection.query_row("SELECT log_id FROM life", [], |row| row.get(0))?;
        Ok(mark(&self.connection, &log_id, None)?)
    }

    /// Leaves nothing in the write-ahead log.
    pub(super) fn empty_wal(&self) -> Result<(), StoreError> {
        erasure::empty_wal(&self.connection)
    }

    /// Takes a broken file away, so that the next start makes another.
    fn discard_if_broken<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Sqlite(error)) = &result
            && is_corrupt(error)
        {
            let path = self.path.display();
            tracing::error!(%path, "the read models are broken: restart to make them anew");
            Folder::remove(&self.path)?;
        }
        result
    }
}

/// How far a projection has come.
pub(super) fn checkpoint(
    connection: &Connection,
    name: &str,
) -> Result<Option<Checkpoint>, StoreError> {
    let found = connection
        .prepare_cached("SELECT version, position FROM checkpoints WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    Ok(found.map(|(version, position)| Checkpoint {
        version,
        position: u64::try_from(position).unwrap_or_default(),
    }))
}

/// Notes how far a projection has come.
pub(super) fn move_checkpoint(
    connection: &Connection,
    name: &str,
    to: &Checkpoint,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO checkpoints (name, version, position) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET
                 version = excluded.version, position = excluded.position",
        )?
        .execute(params![name, to.version, integer(to.position)])?;
    Ok(())
}

/// Why these views are not to be used for this log, if they are not.
pub(super) fn distrust(
    connection: &Connection,
    log_id: &str,
    last_position: u64,
) -> rusqlite::Result<Option<String>> {
    match migrate::schema(connection, migrate::VIEWS)? {
        Schema::Current => {}
        Schema::Behind(_) => return Ok(Some("their schema has changed".to_owned())),
        Schema::Unknown(why) => return Ok(Some(why)),
    }
    let life: Option<(String, Option<String>)> = connection
        .query_row("SELECT log_id, opened_in FROM life", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((of, opened_in)) = life else {
        return Ok(Some("they were never finished".to_owned()));
    };
    if of != log_id {
        return Ok(Some("they are of another log".to_owned()));
    }
    if opened_in.is_some() && opened_in != boot_id() {
        return Ok(Some("the machine went down while they were open".to_owned()));
    }
    let furthest: i64 =
        connection.query_row("SELECT coalesce(max(position), 0) FROM checkpoints", [], |row| {
            row.get(0)
        })?;
    if furthest > integer(last_position) {
        return Ok(Some("they are ahead of the log".to_owned()));
    }
    Ok(None)
}

/// The views that are there, open for writing, or why not to use them.
fn existing(
    path: &Path,
    log_id: &str,
    last_position: u64,
) -> rusqlite::Result<Result<Connection, String>> {
    let connection = connect(path)?;
    if let Some(why) = distrust(&connection, log_id, last_position)? {
        return Ok(Err(why));
    }
    mark(&connection, log_id, Some(&opened_here()))?;
    Ok(Ok(connection))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    super::settings(&connection)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;",
    )?;
    Ok(connection)
}

/// Notes durably where the views are open, or that they are closed, and flushes what was
/// written before.
fn mark(connection: &Connection, log_id: &str, opened_in: Option<&str>) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    // The mark must not be on the disk before what it speaks for, so what is there is flushed
    // first; and not in the write-ahead log only, which is reused without waiting afterwards.
    flush(connection)?;
    connection.execute(
        "INSERT INTO life (one, log_id, opened_in) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET log_id = excluded.log_id, opened_in = excluded.opened_in",
        params![log_id, opened_in],
    )?;
    flush(connection)?;
    connection.execute_batch("PRAGMA synchronous = OFF")
}

/// Brings all of the write-ahead log into the database, and both to the disk.
fn flush(connection: &Connection) -> rusqlite::Result<()> {
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))?;
    if busy {
        let code = ffi::Error::new(ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(code, None));
    }
    Ok(())
}

/// Names the time since the machine was started. Where it does not say, none is like another.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// The mark of views that are open.
fn opened_here() -> String {
    boot_id().unwrap_or_else(|| "unknown".to_owned())
}
