//! The key that wraps every other key in the database, and is never in it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::{Cipher, Prk, SealingFailed};
use crate::entropy::Entropy;
use crate::stores::Rewrap;

/// The version of the format of wrapped keys: the version, the master key's id
/// (4 bytes), nonce (12), ciphertext, tag (16). The first five are part of what
/// is authenticated.
const VERSION: u8 = 1;
const HEADER: usize = 1 + 4;

/// Names a master key without telling anything of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId([u8; 4]);

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeyId({self})")
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("a master key is 32 bytes, written as 64 hexadecimal digits or in base64")]
    Malformed,
    /// The file is there, and holds something else.
    #[error("{} does not hold a master key (32 bytes, written as 64 hexadecimal digits or in base64)", .0.display())]
    NotInFile(PathBuf),
    #[error("the master key file {}: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Why a wrapped key can't be had back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    #[error("not a wrapped key of this version")]
    Malformed,
    #[error("wrapped by master key {needed}, and this is {given}")]
    OtherMasterKey { needed: MasterKeyId, given: MasterKeyId },
    #[error("wrapped by master key {0}, but damaged or not the key of this place")]
    Damaged(MasterKeyId),
}

/// The key outside of the database that wraps the keys in it.
#[derive(Clone)]
pub struct MasterKey {
    id: MasterKeyId,
    bytes: [u8; 32],
    prk: Prk,
}

impl MasterKey {
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"chancery master key v1\0");
        hash.update(&bytes);
        let mut id = [0; 4];
        for (byte, hashed) in id.iter_mut().zip(hash.finish().as_ref()) {
            *byte = *hashed;
        }
        Self { id: MasterKeyId(id), bytes, prk: Prk::extract(b"", &bytes) }
    }

    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::from_bytes(entropy.bytes())
    }

    /// Reads the key from a file.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => MasterKeyError::NotInFile(path.to_owned()),
            _ => MasterKeyError::File { path: path.to_owned(), source },
        })?;
        text.parse().map_err(|_| MasterKeyError::NotInFile(path.to_owned()))
    }

    /// Makes a new key in a new file that its owner alone may read; durable
    /// when it returns. Never replaces a file: whoever loses a master key
    /// loses what it wraps.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        let key = Self::generate(entropy);
        key.write_new(path)
            .map_err(|source| MasterKeyError::File { path: path.to_owned(), source })?;
        Ok(key)
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", URL_SAFE_NO_PAD.encode(self.bytes))?;
        file.sync_all()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Names the key, in messages and in what it wrapped.
    #[must_use]
    pub const fn id(&self) -> MasterKeyId {
        self.id
    }

    /// Wraps a key, bound to `text`: the id of a server's key, `kind/id` of the
    /// owner of a data key.
    pub fn wrap(
        &self,
        text: &str,
        key: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFailed> {
        let [a, b, c, d] = self.id.0;
        let header = [VERSION, a, b, c, d];
        self.cipher(text)?.seal(&header, &aad(&header, text), key, entropy)
    }

    /// Gives back the key that was wrapped, bound to the same text.
    pub fn unwrap(&self, text: &str, wrapped: &[u8]) -> Result<Vec<u8>, UnwrapError> {
        let needed = wrapped_by(wrapped).ok_or(UnwrapError::Malformed)?;
        if needed != self.id {
            return Err(UnwrapError::OtherMasterKey { needed, given: self.id });
        }
        let (header, sealed) = wrapped.split_at_checked(HEADER).ok_or(UnwrapError::Malformed)?;
        self.cipher(text)
            .ok()
            .and_then(|cipher| cipher.open(&aad(header, text), sealed))
            .ok_or(UnwrapError::Damaged(self.id))
    }

    /// A key of its own for each text: there is one wrapped key for each grant,
    /// more than random nonces under one key allow.
    fn cipher(&self, text: &str) -> Result<Cipher, SealingFailed> {
        Cipher::new(&self.prk.expand("chancery wrap v1", text.as_bytes()))
    }
}

fn aad(header: &[u8], text: &str) -> Vec<u8> {
    [header, text.as_bytes()].concat()
}

/// Which master key wrapped this.
fn wrapped_by(wrapped: &[u8]) -> Option<MasterKeyId> {
    match wrapped {
        [VERSION, a, b, c, d, ..] => Some(MasterKeyId([*a, *b, *c, *d])),
        _ => None,
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    /// Reads 64 hexadecimal digits, or base64 in either alphabet; white space
    /// around does not count.
    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let bytes = hex(text).or_else(|| {
            [URL_SAFE_NO_PAD, URL_SAFE, STANDARD_NO_PAD, STANDARD]
                .iter()
                .find_map(|engine| engine.decode(text).ok()?.try_into().ok())
        });
        bytes.map(Self::from_bytes).ok_or(MasterKeyError::Malformed)
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// What `Store::rewrap` wants, to change the master key from `old` to `new`.
/// What is wrapped by `new` already stays as it is.
#[must_use]
pub fn rewrap(old: MasterKey, new: MasterKey, entropy: Arc<dyn Entropy>) -> Rewrap {
    Box::new(move |wrapped, text| {
        if wrapped_by(wrapped) == Some(new.id) && new.unwrap(text, wrapped).is_ok() {
            return Ok(wrapped.to_vec());
        }
        let key =
            old.unwrap(text, wrapped).map_err(|error| format!("the key {text} is {error}"))?;
        new.wrap(text, &key, &*entropy).map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    static ENTROPY: SeededEntropy = SeededEntropy::new(1);

    #[test]
    fn what_was_wrapped_comes_back_for_the_same_text_only() {
        let wrapped = key(1).wrap("grant/a", b"a data key", &ENTROPY).unwrap();
        assert_eq!(key(1).unwrap("grant/a", &wrapped).unwrap(), b"a data key");
        assert_eq!(key(1).unwrap("grant/b", &wrapped), Err(UnwrapError::Damaged(key(1).id())));
    }

    #[test]
    fn another_master_key_is_told_which_one_is_needed() {
        let wrapped = key(1).wrap("k", b"key", &ENTROPY).unwrap();
        let error = key(2).unwrap("k", &wrapped).unwrap_err();
        assert_eq!(error, UnwrapError::OtherMasterKey { needed: key(1).id(), given: key(2).id() });
        assert!(error.to_string().contains(&key(1).id().to_string()));
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let wrapped = key(1).wrap("k", b"key", &ENTROPY).unwrap();
        for index in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[index] ^= 1;
            assert!(key(1).unwrap("k", &damaged).is_err(), "{index}");
            assert!(key(1).unwrap("k", &wrapped[..index]).is_err(), "{index}");
        }
        assert_eq!(key(1).unwrap("k", &[2, 0, 0, 0, 0]), Err(UnwrapError::Malformed));
    }

    #[test]
    fn the_same_key_is_never_wrapped_alike_twice() {
        let wrap = || key(1).wrap("k", b"key", &ENTROPY).unwrap();
        assert_ne!(wrap(), wrap());
    }

    #[test]
    fn a_key_reads_from_hex_and_from_base64_of_either_alphabet() {
        let bytes = [0xfb; 32];
        let expected = MasterKey::from_bytes(bytes).id();
        let texts = [
            "fb".repeat(32),
            "FB".repeat(32),
            format!("  {}\n", "fb".repeat(32)),
            URL_SAFE_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
        ];
        for text in texts {
            assert_eq!(text.parse::<MasterKey>().unwrap().id(), expected, "{text}");
        }
        for text in ["", "fb", &"fb".repeat(31), &"fb".repeat(33), &"+b".repeat(32), "ä"] {
            assert!(text.parse::<MasterKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_file_is_its_owner_s_alone_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let created = MasterKey::create(&path, &ENTROPY).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(MasterKey::load(&path).unwrap().id(), created.id());

        let again = MasterKey::create(&path, &ENTROPY).unwrap_err();
        let MasterKeyError::File { source, .. } = again else { panic!("{again:?}") };
        assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(MasterKey::load(&path).unwrap().id(), created.id());
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(MasterKey::load(&path), Err(MasterKeyError::File { .. })));
        for content in [&b""[..], b"hello", b"\xff\xfe"] {
            std::fs::write(&path, content).unwrap();
            let error = MasterKey::load(&path).unwrap_err();
            assert!(matches!(error, MasterKeyError::NotInFile(_)), "{error:?}");
        }
    }

    #[test]
    fn rewrapping_changes_the_master_key_and_nothing_else() {
        let rewrap = rewrap(key(1), key(2), Arc::new(SeededEntropy::new(2)));
        let wrapped = key(1).wrap("grant/a", b"key", &ENTROPY).unwrap();
        let again = rewrap(&wrapped, "grant/a").unwrap();
        assert_eq!(key(2).unwrap("grant/a", &again).unwrap(), b"key");
        assert_eq!(rewrap(&again, "grant/a").unwrap(), again);

        let foreign = key(3).wrap("grant/a", b"key", &ENTROPY).unwrap();
        let error = rewrap(&foreign, "grant/a").unwrap_err();
        assert!(error.contains(&key(3).id().to_string()), "{error}");
        assert!(rewrap(&wrapped, "grant/b").is_err());
    }

    #[test]
    fn debug_shows_the_id_alone() {
        assert_eq!(format!("{:?}", key(1)), format!("MasterKey({})", key(1).id()));
        assert_eq!(key(1).id().to_string().len(), 8);
    }
}
