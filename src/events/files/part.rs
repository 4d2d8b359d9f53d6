//! One file with events of one day, which gets its name when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use chancery_domain::digest::Sha256Digest;
use sha2::{Digest as _, Sha256};

use super::manifest::FileEntry;
use super::range::Day;
use super::row::row;
use super::table::Table;
use super::{FilesError, Format};
use crate::events::line::Line;
use crate::stores::StoredEvent;

/// What the names of files that are not whole end with.
pub const UNFINISHED: &str = ".part";

/// A file that is being written.
pub struct Part {
    /// From the folder on.
    name: String,
    day: Day,
    path: PathBuf,
    writer: Writer,
    first: u64,
    last: u64,
    last_digest: Sha256Digest,
    events: u64,
}

enum Writer {
    Lines(BufWriter<Hashed>),
    Table(Box<Table<Hashed>>),
}

impl Part {
    /// Begins the file that this event is the first of.
    pub fn begin(folder: &Path, format: Format, first: &StoredEvent) -> Result<Self, FilesError> {
        let day = Day::of(first.recorded_at_ms);
        let position = first.position;
        // The names are in the order of the log.
        let name = format!("day={day}/events-{position:012}.{}", format.extension());
        let path = folder.join(&name);
        let out = path.parent().map_or(Ok(()), make).and_then(|()| File::create(unfinished(&path)));
        let out = out.map(Hashed::new).and_then(|out| {
            Ok(match format {
                Format::Ndjson => Writer::Lines(BufWriter::new(out)),
                Format::Parquet => Writer::Table(Box::new(Table::begin(out)?)),
            })
        });
        let writer = out.map_err(|error| FilesError::Write(path.clone(), error))?;
        let last_digest = first.event.digest;
        Ok(Self {
            name,
            day,
            path,
            writer,
            first: position,
            last: position,
            last_digest,
            events: 0,
        })
    }

    /// Is this event one for this file?
    pub fn takes(&self, stored: &StoredEvent, most: u64) -> bool {
        self.events < most && self.day == Day::of(stored.recorded_at_ms)
    }

    pub fn add(&mut self, stored: &StoredEvent) -> Result<(), FilesError> {
        let unreadable = |error| FilesError::Unreadable(stored.position, error);
        let written = match &mut self.writer {
            Writer::Lines(out) => {
                let line = Line::of(stored).and_then(|line| serde_json::to_string(&line));
                let mut line = line.map_err(unreadable)?;
                line.push('\n');
                out.write_all(line.as_bytes())
            }
            Writer::Table(table) => table.add(row(stored).map_err(unreadable)?),
        };
        written.map_err(|error| FilesError::Write(self.path.clone(), error))?;
        self.events += 1;
        self.last = stored.position;
        self.last_digest = stored.event.digest;
        Ok(())
    }

    /// Gives it its name, durably.
    pub fn finish(self, complete: bool) -> Result<FileEntry, FilesError> {
        let out = match self.writer {
            Writer::Lines(out) => out.into_inner().map_err(IntoInnerError::into_error),
            Writer::Table(table) => table.finish(),
        };
        let done = out.and_then(|out| {
            out.file.sync_all()?;
            rename(&unfinished(&self.path), &self.path)?;
            Ok((out.bytes, Sha256Digest::from_bytes(out.hash.finalize().into())))
        });
        let (bytes, sha256) = done.map_err(|error| FilesError::Write(self.path.clone(), error))?;
        Ok(FileEntry {
            path: self.name,
            day: self.day.to_string(),
            first_position: self.first,
            last_position: self.last,
            events: self.events,
            bytes,
            sha256: sha256.to_string(),
            complete,
            last_digest: self.last_digest.to_string(),
        })
    }
}

/// Its name until it is whole: what looks for files by their ending does not see it.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Renames a file, and sees to it that this outlives a power cut.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync)
}

/// Makes a folder below one that is there; the same goes for it.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir(folder)?;
    folder.parent().map_or(Ok(()), sync)
}

/// Writes to the disk what a folder has in it.
fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere, folders can't be opened.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A file that is hashed on the way.
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self { file, hash: Sha256::new(), bytes: 0 }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let (done, _) = bytes.split_at(written);
        self.hash.update(done);
        self.bytes += done.len() as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
