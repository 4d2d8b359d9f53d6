//! Signed checkpoints: C2SP tlog-checkpoint in a C2SP signed-note, by Ed25519.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::KeyId;
use signed_note::{Note, StandardSigner, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::Checkpoint;

use super::{digest, hash};
use crate::entropy::Entropy;

/// The kind of signature: Ed25519, as C2SP signed-note numbers it.
const ED25519: u8 = 1;

/// Why a checkpoint can't be signed, read or trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is no signed checkpoint")]
    Malformed,
    /// The name of the log, or the key, can't be one.
    #[error("{0} can't name a log: no spaces and no + are allowed")]
    Name(String),
    #[error("that is no verifier key: {0}")]
    Key(String),
    /// By none of the keys that are known.
    #[error("it is signed by no key that is known here, but by {0}")]
    UnknownKey(String),
    #[error("its signature is wrong: it was changed, or somebody else signed it")]
    WrongSignature,
    #[error("it could not be signed")]
    Signing,
}

/// Signs checkpoints of one log.
pub struct CheckpointSigner {
    signer: StandardSigner,
    verifier: String,
}

impl CheckpointSigner {
    /// A new key, as it is wrapped.
    #[must_use]
    pub fn new_seed(entropy: &dyn Entropy) -> [u8; 32] {
        entropy.bytes()
    }

    /// Signs with this key for the log of this origin.
    pub fn from_seed(origin: &str, seed: &[u8]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Signing)?;
        let public = [&[ED25519], pair.public_key().as_ref()].concat();
        if !signed_note::is_key_name_valid(origin) {
            return Err(NoteError::Name(origin.to_owned()));
        }
        let id = signed_note::key_id(origin, &public);
        let secret = STANDARD.encode([&[ED25519], seed].concat());
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{origin}+{id:08x}+{secret}"))
            .map_err(|_| NoteError::Signing)?;
        let verifier = format!("{origin}+{id:08x}+{}", STANDARD.encode(public));
        Ok(Self { signer, verifier })
    }

    /// What verifies its signatures, as C2SP signed-note writes it.
    #[must_use]
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Names the key in the log: from the digest of the public one.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let hashed =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier.as_bytes());
        let mut id = [0; 8];
        for (byte, hashed) in id.iter_mut().zip(hashed.as_ref()) {
            *byte = *hashed;
        }
        KeyId::from_bytes(id)
    }
}

impl fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointSigner({})", self.verifier)
    }
}

/// The keys by which checkpoints are believed.
pub struct Verifiers {
    list: VerifierList,
}

impl Verifiers {
    /// These keys, as C2SP signed-note writes them.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, NoteError> {
        let mut list: Vec<Box<dyn signed_note::Verifier>> = Vec::new();
        let mut seen = Vec::new();
        for key in keys {
            let verifier = StandardVerifier::new(key.trim())
                .map_err(|error| NoteError::Key(error.to_string()))?;
            let name = (verifier.name().to_owned(), verifier.key_id());
            if !seen.contains(&name) {
                seen.push(name);
                list.push(Box::new(verifier));
            }
        }
        Ok(Self { list: VerifierList::new(list) })
    }
}

/// A checkpoint, with its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    pub origin: String,
    pub size: u64,
    pub root: Sha256Digest,
    pub note: String,
}

impl SignedCheckpoint {
    /// Signs a root.
    pub fn sign(
        origin: &str,
        size: u64,
        root: Sha256Digest,
        signers: &[&CheckpointSigner],
    ) -> Result<Self, NoteError> {
        let name = || NoteError::Name(origin.to_owned());
        let text = Checkpoint::new(origin, size, hash(root), "").map_err(|_| name())?.to_bytes();
        let mut note = Note::new(&text, &[]).map_err(|_| name())?;
        let signers: Vec<_> =
            signers.iter().map(|own| &own.signer as &dyn signed_note::Signer).collect();
        note.add_sigs(&signers).map_err(|_| NoteError::Signing)?;
        let note = String::from_utf8(note.to_bytes()).map_err(|_| NoteError::Signing)?;
        Ok(Self { origin: origin.to_owned(), size, root, note })
    }

    /// Reads a checkpoint without believing it.
    pub fn read(note: &str) -> Result<Self, NoteError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| NoteError::Malformed)?;
        let checkpoint = Checkpoint::from_bytes(parsed.text()).map_err(|_| NoteError::Malformed)?;
        Ok(Self {
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.size(),
            root: digest(*checkpoint.hash()),
            note: note.to_owned(),
        })
    }

    /// Is it signed by one of these keys?
    pub fn verify(&self, verifiers: &Verifiers) -> Result<(), NoteError> {
        let parsed = Note::from_bytes(self.note.as_bytes()).map_err(|_| NoteError::Malformed)?;
        match parsed.verify(&verifiers.list) {
            Ok(_) => Ok(()),
            Err(signed_note::NoteError::UnverifiedNote) => {
                Err(NoteError::UnknownKey(self.signatures().join(", ")))
            }
            Err(_) => Err(NoteError::WrongSignature),
        }
    }

    /// The names of those who signed, as far as the note says.
    fn signatures(&self) -> Vec<String> {
        let (_, signatures) = self.note.rsplit_once("\n\n").unwrap_or_default();
        let names = signatures.lines().filter_map(|line| {
            let mut words = line.strip_prefix("\u{2014} ")?.split(' ');
            let (name, bytes) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
            let (id, _) = bytes.split_first_chunk()?;
            Some(format!("{name}+{:08x}", u32::from_be_bytes(*id)))
        });
        names.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(byte: u8) -> CheckpointSigner {
        CheckpointSigner::from_seed("as.example/audit/log", &[byte; 32]).unwrap()
    }

    fn signed(by: &[&CheckpointSigner]) -> SignedCheckpoint {
        let root = Sha256Digest::from_bytes([3; 32]);
        SignedCheckpoint::sign("as.example/audit/log", 7, root, by).unwrap()
    }

    fn verify(checkpoint: &SignedCheckpoint, keys: &[&CheckpointSigner]) -> Result<(), NoteError> {
        let keys = Verifiers::new(keys.iter().map(|key| key.verifier())).unwrap();
        checkpoint.verify(&keys)
    }

    #[test]
    fn a_checkpoint_is_believed_by_its_key_only() {
        let (one, two) = (signer(1), signer(2));
        let checkpoint = signed(&[&one]);
        assert_eq!(SignedCheckpoint::read(&checkpoint.note).unwrap(), checkpoint);
        assert_eq!(verify(&checkpoint, &[&two, &one]), Ok(()));
        let unknown = verify(&checkpoint, &[&two]).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            format!(
                "it is signed by no key that is known here, but by {}",
                one.verifier().rsplit_once('+').unwrap().0
            )
        );
    }

    #[test]
    fn a_new_key_signs_beside_the_old_one() {
        let (one, two) = (signer(1), signer(2));
        let checkpoint = signed(&[&two, &one]);
        assert_eq!(verify(&checkpoint, &[&one]), Ok(()));
        assert_eq!(verify(&checkpoint, &[&two]), Ok(()));
    }

    #[test]
    fn a_changed_checkpoint_is_not_believed() {
        let key = signer(1);
        let checkpoint = signed(&[&key]);
        let changed = SignedCheckpoint::read(&checkpoint.note.replace("\n7\n", "\n8\n")).unwrap();
        assert_eq!(changed.size, 8);
        assert_eq!(verify(&changed, &[&key]), Err(NoteError::WrongSignature));
        for bad in ["", "x", "as.example\n7\n", &checkpoint.note.replace('\u{2014}', "-")] {
            assert_eq!(SignedCheckpoint::read(bad), Err(NoteError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_log_is_named_without_spaces() {
        let error = CheckpointSigner::from_seed("as example", &[1; 32]).unwrap_err();
        assert_eq!(error, NoteError::Name("as example".to_owned()));
        assert!(!format!("{:?}", signer(1)).contains(&STANDARD.encode([1; 32])));
    }
}
