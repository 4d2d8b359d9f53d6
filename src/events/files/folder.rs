//! The folder that files are written to: whose it is, and what it holds already.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chancery_domain::digest::Sha256Digest;
use sha2::{Digest as _, Sha256};

use super::manifest::{FileEntry, KIND, MANIFEST, Manifest, Unread};
use super::part::{UNFINISHED, rename, unfinished};
use super::{FilesError, Format};
use crate::clock::{Clock, rfc3339_ms};
use crate::stores::Store;

/// What writes.
const WRITER: &str = concat!("chancery ", env!("CARGO_PKG_VERSION"));

/// Held by whoever writes to the folder.
const LOCK: &str = ".lock";

/// A folder, locked, with what its manifest says.
pub struct Folder<'a> {
    path: &'a Path,
    manifest: Manifest,
    clock: &'a dyn Clock,
    _lock: File,
}

impl<'a> Folder<'a> {
    /// Opens the folder for files of this log in this format, and makes it if it is not there.
    /// What an interrupted run left is removed.
    pub fn open(
        path: &'a Path,
        store: &dyn Store,
        format: Format,
        clock: &'a dyn Clock,
    ) -> Result<Self, FilesError> {
        fs::create_dir_all(path).map_err(|error| FilesError::Write(path.to_owned(), error))?;
        let manifest = Self::read(path)?;
        if let Some(manifest) = &manifest {
            if manifest.log_id != store.log_id() {
                return Err(FilesError::OtherLog {
                    folder: path.to_owned(),
                    held: manifest.log_id.clone(),
                    asked: store.log_id().to_owned(),
                });
            }
            if manifest.format != format {
                return Err(FilesError::OtherFormat(path.to_owned(), manifest.format));
            }
        } else if !is_empty(path).map_err(|error| FilesError::Write(path.to_owned(), error))? {
            return Err(FilesError::NotOurs(path.to_owned()));
        }
        let lock = lock(path)?;
        // What stands there now that nobody else can write.
        let manifest = Self::read(path)?.unwrap_or_else(|| Manifest {
            manifest: KIND.to_owned(),
            log_id: store.log_id().to_owned(),
            format,
            written_at: String::new(),
            written_by: String::new(),
            after: 0,
            through: 0,
            events: 0,
            files: vec![],
        });
        let folder = Self { path, manifest, clock, _lock: lock };
        folder.clean().map_err(|error| FilesError::Write(path.to_owned(), error))?;
        Ok(folder)
    }

    /// The manifest of a folder, if it has one.
    pub fn read(path: &Path) -> Result<Option<Manifest>, FilesError> {
        let path = path.join(MANIFEST);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FilesError::Write(path, error)),
            Ok(bytes) => Manifest::read(&bytes).map(Some).map_err(|unread| match unread {
                Unread::NotOne => FilesError::NotAManifest(path),
                Unread::OtherKind(kind) => FilesError::OtherManifest(path, kind),
            }),
        }
    }

    pub fn path(&self) -> &Path {
        self.path
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Says where in the log it begins; for a folder without files.
    pub fn begin(&mut self, after: u64) -> Result<(), FilesError> {
        (self.manifest.after, self.manifest.through) = (after, after);
        self.save()
    }

    /// Takes up a file that is there by now.
    pub fn put(&mut self, file: FileEntry) -> Result<(), FilesError> {
        self.manifest.put(file);
        self.save()
    }

    fn save(&mut self) -> Result<(), FilesError> {
        self.manifest.written_at = rfc3339_ms(self.clock.now_ms());
        self.manifest.written_by = WRITER.into();
        let path = self.path.join(MANIFEST);
        let written = self.manifest.to_bytes().map_err(io::Error::from).and_then(|bytes| {
            let mut file = File::create(unfinished(&path))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            rename(&unfinished(&path), &path)
        });
        written.map_err(|error| FilesError::Write(path, error))
    }

    /// Is the last file the one that the manifest tells of? A run that ended between the two may
    /// have left a longer one.
    pub fn last_file_fits(&self) -> bool {
        let Some(last) = self.manifest.files.last() else { return true };
        let digest = File::open(self.path.join(&last.path)).and_then(|mut file| {
            let mut hash = Sha256::new();
            io::copy(&mut file, &mut hash)?;
            Ok(Sha256Digest::from_bytes(hash.finalize().into()).to_string())
        });
        digest.is_ok_and(|digest| digest == last.sha256)
    }

    /// Removes files of ours that the manifest does not tell of.
    fn clean(&self) -> io::Result<()> {
        for day in fs::read_dir(self.path)? {
            let day = day?;
            let name = day.file_name().to_string_lossy().into_owned();
            if name == format!("{MANIFEST}{UNFINISHED}") {
                fs::remove_file(day.path())?;
            }
            if !name.starts_with("day=") {
                continue;
            }
            for file in fs::read_dir(day.path())? {
                let file = file?;
                let path = format!("{name}/{}", file.file_name().to_string_lossy());
                let known = self.manifest.files.iter().any(|own| own.path == path);
                if path.contains("/events-") && !known {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }
}

fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lock(path: &Path) -> Result<File, FilesError> {
    let lock: PathBuf = path.join(LOCK);
    let file = File::create(&lock).map_err(|error| FilesError::Write(lock.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FilesError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(FilesError::Write(lock, error)),
    }
}
