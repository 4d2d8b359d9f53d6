//! The data folder: its files, who may read them, and the lock of its one
//! writer.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::stores::StoreError;

/// A data folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(dir: &Path) -> Self {
        Self(dir.to_path_buf())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The log, and what stands beside it.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("chancery.db")
    }

    /// A log that is being copied.
    pub(super) fn part(&self) -> PathBuf {
        self.0.join("chancery.db.part")
    }

    /// The read models.
    pub(super) fn views(&self) -> PathBuf {
        self.0.join("views.db")
    }

    /// Makes the folder, for its owner alone, if it is not there.
    pub(super) fn create(&self) -> io::Result<()> {
        if self.0.is_dir() {
            return Ok(());
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)?;
        // The folder outlives a power cut as what is written in it does.
        #[cfg(unix)]
        if let Some(parent) = self.0.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    /// Takes the lock of the one writer; held until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let mut file = private_file().truncate(false).open(self.0.join("chancery.lock"))?;
        match file.try_lock() {
            Ok(()) => {
                // For the message below only; the lock is what decides.
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(file)
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder =
                    if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                Err(StoreError::InUse(format!(
                    "the data folder {} is in use by another Chancery{holder}: only one may write \
                     to it; stop that one first, or choose another folder",
                    self.0.display()
                )))
            }
        }
    }

    /// Makes the file, for its owner alone, if it is not there. SQLite gives the files that it
    /// makes beside it the same permissions.
    pub(super) fn touch(path: &Path) -> io::Result<()> {
        match private_file().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map(drop),
        }
    }

    /// Removes a database with the files beside it.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
