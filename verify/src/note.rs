//! Signed notes and checkpoints, as C2SP has them (signed-note, tlog-checkpoint),
//! with Ed25519 signatures.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::format::{Base64, Hex};
use crate::merkle::Tree;

/// No note is longer.
const MAX_LENGTH: usize = 256 * 1024;
/// No note has more signatures; C2SP asks for sixteen at least.
const MAX_SIGNATURES: usize = 64;
/// The signature type of Ed25519.
const ED25519: u8 = 1;

/// Why a text is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// A verifier key: who signs, and how it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads `name+id+key`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Malformed("a verifier key has the form NAME+ID+KEY"));
        };
        if !is_key_name(name) {
            return Err(Malformed("the name of a verifier key is empty or has spaces"));
        }
        let bytes = STANDARD.decode(key).map_err(|_| Malformed("the key is not Base64"))?;
        let Some((&ED25519, public)) = bytes.split_first() else {
            return Err(Malformed("the key is not an Ed25519 key of C2SP signed-note"));
        };
        let public: &[u8; 32] =
            public.try_into().map_err(|_| Malformed("an Ed25519 key has 32 bytes"))?;
        let key = VerifyingKey::from_bytes(public)
            .map_err(|_| Malformed("the key is no point of Ed25519"))?;
        let own = key_id(name, public);
        if id != format!("{:08x}", u32::from_be_bytes(own)) {
            return Err(Malformed("the id of the verifier key does not belong to its key"));
        }
        Ok(Self { name: name.to_owned(), id: own, key })
    }

    /// Its name: that of the log whose checkpoints it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the public key: to be compared by reading it aloud.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Hex(Sha256::digest(self.key.as_bytes()).into()).to_string()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(bytes))
    }
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(public)
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+')
}

/// A signed note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// What a key says of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It has signed it.
    Yes,
    /// There is no signature of it.
    No,
    /// There is one by its name and id that does not verify.
    Wrongly,
}

impl Note {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_LENGTH {
            return Err(Malformed("it is too long for a signed note"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| Malformed("it is not UTF-8"))?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(Malformed("it has control characters"));
        }
        let Some(end) = note.rfind("\n\n") else {
            return Err(Malformed("it has no signatures"));
        };
        let (text, signatures) = note.split_at(end + 1);
        let signatures = signatures.strip_prefix('\n').unwrap_or_default();
        let Some(signatures) = signatures.strip_suffix('\n') else {
            return Err(Malformed("its last line is cut off"));
        };
        let signatures: Vec<_> =
            signatures.split('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Malformed("it has too many signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Has this key signed it?
    #[must_use]
    pub fn signed_by(&self, key: &VerifierKey) -> Signed {
        let mut answer = Signed::No;
        for signature in &self.signatures {
            if signature.name != key.name || signature.id != key.id {
                continue;
            }
            let verifies = Signature::from_slice(&signature.bytes)
                .and_then(|bytes| key.key.verify_strict(self.text.as_bytes(), &bytes));
            if verifies.is_err() {
                return Signed::Wrongly;
            }
            answer = Signed::Yes;
        }
        answer
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed("a line of its signatures is malformed");
        let (name, signature) = line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or(MALFORMED)?;
        if !is_key_name(name) {
            return Err(MALFORMED);
        }
        let bytes = STANDARD.decode(signature).map_err(|_| MALFORMED)?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(MALFORMED)?;
        Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// A checkpoint of a log: a note that names a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Its tree.
    pub tree: Tree,
    /// The note.
    pub note: Note,
}

impl Checkpoint {
    /// Reads a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let note = Note::parse(bytes)?;
        let mut lines = note.text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(Malformed("a checkpoint has three lines: origin, size, root"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(Malformed("a line of the checkpoint is empty"));
        }
        let canonical = size == "0" || !size.starts_with('0');
        let size = Some(size)
            .filter(|text| canonical && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or(Malformed("the size of the checkpoint is not a number"))?;
        let root = Base64::parse(root).ok_or(Malformed("the root is not a hash in Base64"))?;
        let origin = origin.to_owned();
        Ok(Self { origin, tree: Tree { size, root: root.0 }, note })
    }

    /// Its root, as it is written.
    #[must_use]
    pub fn root(&self) -> String {
        Base64(self.tree.root).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // C2SP signed-note, "Example".
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    // C2SP tlog-checkpoint.
    const CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa \
        Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key = VerifierKey::parse(KEY).unwrap();
        assert_eq!(key.to_string(), KEY);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.signed_by(&key), Signed::Yes);
        let other = NOTE.replace("example message", "Example message");
        assert_eq!(Note::parse(other.as_bytes()).unwrap().signed_by(&key), Signed::Wrongly);
    }

    #[test]
    fn a_signature_under_another_name_is_none_of_the_key() {
        let key = VerifierKey::parse(KEY).unwrap();
        let other = NOTE.replace("\u{2014} example.com/foo", "\u{2014} example.com/bar");
        assert_eq!(Note::parse(other.as_bytes()).unwrap().signed_by(&key), Signed::No);
    }

    #[test]
    fn the_checkpoint_of_the_specification_is_read() {
        let checkpoint = Checkpoint::parse(CHECKPOINT.as_bytes()).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.tree.size, 20_852_163);
        assert_eq!(checkpoint.root(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for (from, to) in [
            ("20852163", "020852163"),
            ("20852163", "+20852163"),
            ("20852163", "99999999999999999999"),
            ("20852163", ""),
            ("CsUYapGG", "CsUYapG"),
            ("CsUYapGG", "CsUYapG_"),
            ("\u{2014} ", "- "),
            ("\n\n", "\n"),
            ("sofa\n2", "sofa\r\n2"),
            ("AYQ8=\n", "AYQ8="),
            ("AYQ8=\n", "AYQ8=\n\n"),
        ] {
            let text = CHECKPOINT.replacen(from, to, 1);
            assert!(Checkpoint::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_verifier_key_that_does_not_fit_together_is_refused() {
        for (from, to) in [
            ("530d903a", "530d903b"),
            ("530d903a", "530D903A"),
            ("foo", "bar"),
            ("foo", "f oo"),
            ("+Aeky", "+Bkky"),
            ("3U2k", "3U2"),
            ("+", ""),
        ] {
            assert!(VerifierKey::parse(&KEY.replacen(from, to, 1)).is_err(), "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
            let _ = Checkpoint::parse(&bytes);
            let _ = VerifierKey::parse(&text);
        }

        #[test]
        fn a_changed_byte_of_a_signed_text_is_found(at in 0_usize..27, to in 0x20_u8..0x7f) {
            let mut bytes = NOTE.as_bytes().to_vec();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let key = VerifierKey::parse(KEY).unwrap();
            prop_assert_ne!(Note::parse(&bytes).unwrap().signed_by(&key), Signed::Yes);
        }
    }
}
