//! What a folder of files holds: `manifest.json`. Written after what it tells of.

use serde::{Deserialize, Serialize};

use super::Format;

/// The name of the file.
pub const MANIFEST: &str = "manifest.json";

/// What kind of file it is; another number when a reader of the old could be misled.
pub const KIND: &str = "chancery-events/1";

/// A folder of files with events, and where in the log it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`KIND`]
    pub manifest: String,
    /// Which life of which database.
    pub log_id: String,
    pub format: Format,
    /// When it was written last: RFC 3339, UTC.
    pub written_at: String,
    /// By what: `chancery 0.1.0`.
    pub written_by: String,
    /// The files hold all events after this position …
    pub after: u64,
    /// … up to this one.
    pub through: u64,
    pub events: u64,
    /// In the order of the log.
    pub files: Vec<FileEntry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// From the folder on, with `/`.
    pub path: String,
    /// On which all its events were recorded, in UTC.
    pub day: String,
    pub first_position: u64,
    pub last_position: u64,
    pub events: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Nothing is added any more. The last file is written anew, longer, when
    /// there are further events of its day.
    pub complete: bool,
    /// The digest of its last event: the log that it came from has it still.
    pub last_digest: String,
}

/// As much as tells what a manifest is.
#[derive(Debug, Deserialize)]
struct Kind {
    manifest: String,
}

/// Why a manifest is not one of ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    NotOne,
    OtherKind(String),
}

impl Manifest {
    pub fn read(bytes: &[u8]) -> Result<Self, Unread> {
        let kind: Kind = serde_json::from_slice(bytes).map_err(|_| Unread::NotOne)?;
        if kind.manifest != KIND {
            return Err(Unread::OtherKind(kind.manifest));
        }
        serde_json::from_slice(bytes).map_err(|_| Unread::NotOne)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Adds a file, in place of the last if it is that one, longer.
    pub fn put(&mut self, file: FileEntry) {
        self.files.retain(|own| own.first_position != file.first_position);
        self.through = file.last_position;
        self.files.push(file);
        self.events = self.files.iter().map(|file| file.events).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_of_file_is_told_from_one_that_is_none() {
        assert_eq!(Manifest::read(b"[]"), Err(Unread::NotOne));
        assert_eq!(Manifest::read(br#"{"format":"chancery-evidence/1"}"#), Err(Unread::NotOne));
        assert_eq!(Manifest::read(br#"{"manifest":"chancery-events/1"}"#), Err(Unread::NotOne));
        let other = br#"{"manifest":"chancery-events/2","log":"x"}"#;
        assert_eq!(Manifest::read(other), Err(Unread::OtherKind("chancery-events/2".to_owned())));
    }
}
