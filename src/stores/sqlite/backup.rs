//! A copy of the log's database, made while another writes to it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::folder::Folder;
use super::{migrate, reader};
use crate::stores::StoreError;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The last event in it.
    pub position: u64,
    pub bytes: u64,
}

/// Copies the store in one folder to another, as it is at one moment, durable when this returns.
/// The read models are not copied: they are made again. A folder that holds a store is refused.
///
/// It reads in one transaction: meanwhile the write-ahead log of a store that is written to grows.
pub(super) fn copy(from: &Folder, to: &Folder) -> Result<Copied, StoreError> {
    if !from.log().is_file() {
        return Err(super::missing(from));
    }
    to.create().map_err(|error| {
        let text = format!("the folder {} can't be made: {error}", to.path().display());
        io::Error::new(error.kind(), text)
    })?;
    if to.log().exists() {
        let error = format!("{} is there already", to.log().display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, error).into());
    }
    let part = to.part();
    Folder::remove(&part)?;
    // It is nobody else's from the beginning.
    Folder::touch(&part)?;
    let written = write(from, &part);
    if written.is_err() {
        Folder::remove(&part)?;
    }
    let copied = written?;
    fs::rename(&part, to.log())?;
    #[cfg(unix)]
    File::open(to.path())?.sync_all()?;
    Ok(copied)
}

fn write(from: &Folder, part: &Path) -> Result<Copied, StoreError> {
    let log = reader::connect(&from.log())?;
    if let migrate::Schema::Unknown(why) = migrate::schema(&log, migrate::LOG)? {
        return Err(super::refused(from, &why));
    }
    // The connection can't write to its own database, but must to the copy.
    log.execute_batch("PRAGMA query_only = OFF")?;
    let name = part.to_str().ok_or_else(|| {
        let error = format!("SQLite can't write to {}: the name is no UTF-8", part.display());
        io::Error::new(io::ErrorKind::InvalidInput, error)
    })?;
    log.execute("VACUUM INTO ?1", [name])?;
    let file = File::open(part)?;
    file.sync_all()?;
    let position = reader::last_position(&reader::connect(part)?)?;
    Ok(Copied { position, bytes: file.metadata()?.len() })
}
