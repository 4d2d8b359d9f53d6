//! The log as files for analysts: Parquet or NDJSON, a folder for each day, with a
//! manifest of what is in them ([their page](README.md)).
//!
//! Each file holds a run of the log without gaps, all of one day. Where files are
//! cut depends on the log alone; so however often a run is interrupted, and
//! however many runs it takes, what is there in the end is the same.

mod folder;
mod manifest;
mod part;
mod range;
mod row;
mod table;

use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use self::folder::Folder;
pub use self::manifest::{FileEntry, Manifest};
use self::part::Part;
pub use self::range::{Bound, Day};
use crate::clock::Clock;
use crate::feed::PatientLog;
use crate::stores::{Scanned, Store, StoreError};

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Parquet,
    Ndjson,
}

impl Format {
    /// How the names of the files end.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Ndjson => "ndjson",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Ndjson => "NDJSON",
        })
    }
}

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub format: Format,
    /// Absent: from the beginning of the log, or from where the folder begins.
    pub from: Option<Bound>,
    /// Absent: up to the end of the log.
    pub to: Option<Bound>,
    /// The most events in a file.
    pub events_per_file: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// How many events are there now that were not before.
    pub new_events: u64,
    /// How many files are new, or longer.
    pub new_files: u64,
    pub events: u64,
    pub files: usize,
    /// All events after this position …
    pub after: u64,
    /// … up to this one are there.
    pub through: u64,
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} could not be written: {_1}", _0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("event {_0} is not JSON: {_1}")]
    Unreadable(u64, #[source] serde_json::Error),
    #[error("{} has other things in it, and no manifest.json", _0.display())]
    NotOurs(PathBuf),
    #[error("{} is not the manifest of an export of events", _0.display())]
    NotAManifest(PathBuf),
    #[error("{} is of another kind ({_1}), which this version does not write", _0.display())]
    OtherManifest(PathBuf, String),
    #[error("{} holds events of another log: {held}, and this is {asked}", folder.display())]
    OtherLog { folder: PathBuf, held: String, asked: String },
    #[error("{} holds {_1} files", _0.display())]
    OtherFormat(PathBuf, Format),
    #[error("another export is writing to {}", _0.display())]
    InUse(PathBuf),
    #[error("{} holds what comes after position {held}, and not after {asked}", folder.display())]
    OtherBeginning { folder: PathBuf, held: u64, asked: u64 },
    #[error(
        "{} holds an event at position {position} that is not in the log: this is an older, or \
         another, state of it", folder.display()
    )]
    OtherHistory { folder: PathBuf, position: u64 },
}

/// The manifest of a folder with files, if it has one.
pub fn manifest(folder: &Path) -> Result<Option<Manifest>, FilesError> {
    Folder::read(folder)
}

/// Writes what is wanted of the log, and not yet there, into a folder. Says now and then how far
/// it is: at which position, from which one to which other.
pub async fn write(
    store: &dyn Store,
    folder: &Path,
    wanted: Wanted,
    clock: &dyn Clock,
    progress: impl Fn(u64, u64, u64),
) -> Result<Written, FilesError> {
    let mut folder = Folder::open(folder, store, wanted.format, clock)?;
    let before = folder.manifest().events;
    begin(store, &mut folder, wanted.from).await?;
    let end = store.last_position().await?;
    let end = match wanted.to {
        Some(bound) => bound.ends_with(store).await?.min(end),
        None => end,
    };
    // What is there stays there.
    let end = end.max(folder.manifest().through);
    let start = goes_on_after(store, &folder, end).await?;
    let mut log = PatientLog::new(store.read_log(start));
    let (mut part, mut new_files): (Option<Part>, u64) = (None, 0);
    while log.position() < end {
        for stored in log.next().await?.into_iter().take_while(|own| own.position <= end) {
            if let Some(full) = part.take_if(|own| !own.takes(&stored, wanted.events_per_file)) {
                folder.put(full.finish(true)?)?;
                new_files += 1;
            }
            let part = match &mut part {
                Some(part) => part,
                none => none.insert(Part::begin(folder.path(), wanted.format, &stored)?),
            };
            part.add(&stored)?;
        }
        progress(log.position().min(end), start, end);
    }
    if let Some(last) = part {
        folder.put(last.finish(false)?)?;
        new_files += 1;
    }
    let manifest = folder.manifest();
    Ok(Written {
        new_events: manifest.events - before.min(manifest.events),
        new_files,
        events: manifest.events,
        files: manifest.files.len(),
        after: manifest.after,
        through: manifest.through,
    })
}

/// Says where a new folder begins, and checks that of another.
async fn begin(
    store: &dyn Store,
    folder: &mut Folder<'_>,
    from: Option<Bound>,
) -> Result<(), FilesError> {
    let held = folder.manifest().after;
    let asked = match from {
        Some(bound) => Some(bound.begins_after(store).await?),
        None => None,
    };
    if folder.manifest().files.is_empty() {
        return folder.begin(asked.unwrap_or(held));
    }
    match asked.filter(|asked| *asked != held) {
        Some(asked) => {
            Err(FilesError::OtherBeginning { folder: folder.path().to_owned(), held, asked })
        }
        None => Ok(()),
    }
}

/// The position after which events are still to be written: after the last file, or before it if
/// it is not complete and there is more.
async fn goes_on_after(
    store: &dyn Store,
    folder: &Folder<'_>,
    end: u64,
) -> Result<u64, FilesError> {
    let manifest = folder.manifest();
    let Some(last) = manifest.files.last() else { return Ok(manifest.after) };
    let position = last.last_position;
    let before = i64::try_from(position).unwrap_or(i64::MAX).saturating_sub(1);
    let found = store.scan(before, 1).await?;
    let is_there = |own: &Scanned| {
        u64::try_from(own.position) == Ok(position) && own.digest.to_string() == last.last_digest
    };
    if !found.first().is_some_and(is_there) {
        return Err(FilesError::OtherHistory { folder: folder.path().to_owned(), position });
    }
    let goes_on = if position < end { last.complete } else { folder.last_file_fits() };
    Ok(if goes_on { position } else { last.first_position.saturating_sub(1) })
}
