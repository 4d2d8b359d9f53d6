//! The zip of a bundle, read as if somebody wanted to harm us: names, sizes and
//! counts are bounded before anything is unpacked, nothing is written anywhere,
//! and every file is hashed as it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::merkle::Hash;

/// No bundle has more files.
pub const MAX_FILES: usize = 64;
/// No bundle is larger than this, unpacked.
pub const MAX_UNPACKED: u64 = 4 << 30;
/// No file that is read at once is larger.
pub const MAX_SMALL: u64 = 64 << 20;
/// No line is longer.
pub const MAX_LINE: usize = 4 << 20;

/// The record that ends a zip, without a comment (APPNOTE 4.3.16).
const END: usize = 22;
/// The directory of a bundle fits into this.
const MAX_DIRECTORY: u64 = 64 * 1024;

/// Why an archive is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(format!("the archive cannot be read: {error}"))
    }
}

impl From<ZipError> for Refused {
    fn from(error: ZipError) -> Self {
        Self(format!("the archive cannot be read: {error}"))
    }
}

/// What was read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub length: u64,
    pub sha256: Hash,
}

/// An archive that is being read.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    names: Vec<String>,
    seen: BTreeMap<String, Seen>,
    unpacked: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive, unless it is one that nobody writes in good faith.
    pub fn open(mut reader: R) -> Result<Self, Refused> {
        check_end(&mut reader)?;
        let mut zip = ZipArchive::new(reader)?;
        if zip.has_duplicate_names() {
            return Err(Refused("two files of the archive have the same name".to_owned()));
        }
        let mut names = Vec::with_capacity(zip.len());
        let mut declared = 0_u64;
        for index in 0..zip.len() {
            let file = zip.by_index_data(index)?;
            let Some(name) = std::str::from_utf8(file.name_raw()).ok().filter(|n| is_plain(n))
            else {
                let name = String::from_utf8_lossy(file.name_raw()).into_owned();
                return Err(Refused(format!("the archive has a file with a strange name: {name}")));
            };
            if file.encrypted() || !file.is_file() {
                return Err(Refused(format!("{name} is not a plain file")));
            }
            declared = declared.saturating_add(file.size());
            names.push(name.to_owned());
        }
        if declared > MAX_UNPACKED {
            return Err(too_large());
        }
        zip.validate_header_consistency()?;
        Ok(Self { zip, names, seen: BTreeMap::new(), unpacked: 0 })
    }

    /// The names of the files.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What was read of the files so far.
    #[must_use]
    pub fn seen(&self) -> &BTreeMap<String, Seen> {
        &self.seen
    }

    /// Reads a small file at once.
    pub fn small(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let mut all = Vec::new();
        let found = self.read(name, |bytes| {
            if (all.len() + bytes.len()) as u64 > MAX_SMALL {
                return Err(Refused(format!("{name} is larger than a bundle has it")));
            }
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(found.then_some(all))
    }

    /// Reads a file line by line, each with its number. Whether there is one.
    pub fn lines(&mut self, name: &str, mut each: impl FnMut(u64, &[u8])) -> Result<bool, Refused> {
        let (mut number, mut rest) = (0, Vec::new());
        let found = self.read(name, |mut bytes| {
            while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let (line, after) = bytes.split_at(end);
                bytes = after.get(1..).unwrap_or_default();
                number += 1;
                if rest.is_empty() {
                    each(number, line);
                } else {
                    rest.extend_from_slice(line);
                    each(number, &rest);
                    rest.clear();
                }
            }
            if rest.len() + bytes.len() > MAX_LINE {
                return Err(Refused(format!("line {} of {name} is too long", number + 1)));
            }
            rest.extend_from_slice(bytes);
            Ok(())
        })?;
        if !rest.is_empty() {
            each(number + 1, &rest);
        }
        Ok(found)
    }

    /// Reads what was not read yet, for its hash.
    pub fn rest(&mut self) -> Result<(), Refused> {
        for name in self.names.clone() {
            if !self.seen.contains_key(&name) {
                self.read(&name, |_| Ok(()))?;
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        name: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Refused>,
    ) -> Result<bool, Refused> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(false) };
        let mut file = self.zip.by_index(index)?;
        let (mut hash, mut length) = (Sha256::new(), 0_u64);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refused(format!("{name} cannot be unpacked: {error}"))),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            length += read as u64;
            self.unpacked += read as u64;
            if self.unpacked > MAX_UNPACKED {
                return Err(too_large());
            }
            hash.update(bytes);
            each(bytes)?;
        }
        let seen = Seen { length, sha256: hash.finalize().into() };
        self.seen.insert(name.to_owned(), seen);
        Ok(true)
    }
}

/// Looks at the end of the file, so that a directory of millions of entries is
/// refused before it is read.
fn check_end<R: Read + Seek>(reader: &mut R) -> Result<(), Refused> {
    let length = reader.seek(SeekFrom::End(0))?;
    let Some(start) = length.checked_sub(END as u64) else {
        return Err(Refused("it is too short for a zip archive".to_owned()));
    };
    reader.seek(SeekFrom::Start(start))?;
    let mut end = [0; END];
    reader.read_exact(&mut end)?;
    let number = |at: usize, bytes: usize| {
        let field = end.iter().skip(at).take(bytes).rev();
        field.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
    };
    if !end.starts_with(b"PK\x05\x06") || number(20, 2) != 0 {
        let why = "it does not end as a zip archive does: it is cut off, or something was added";
        return Err(Refused(why.to_owned()));
    }
    let (files, size, offset) = (number(10, 2), number(12, 4), number(16, 4));
    if files > MAX_FILES as u64 || size > MAX_DIRECTORY {
        return Err(Refused(format!("the archive has more than {MAX_FILES} files")));
    }
    if number(4, 4) != 0 || number(8, 2) != files || offset + size != start {
        return Err(Refused("the directory of the archive is not where it should be".to_owned()));
    }
    Ok(())
}

/// One folder level, and nothing that means something to a file system.
fn is_plain(name: &str) -> bool {
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
    };
    name.len() <= 100
        && match name.split_once('/') {
            Some((folder, file)) => good(folder) && good(file),
            None => good(name),
        }
}

fn too_large() -> Refused {
    Refused(format!("the archive is larger than {} GiB, unpacked", MAX_UNPACKED >> 30))
}
