//! Secrets that all nodes share, and the keys for single purposes derived from
//! them.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::KeyId;

use super::{MasterKey, Prk, SealingFailed, TokenKey, UnwrapError, mac};
use crate::entropy::Entropy;
use crate::handles::HandleKey;

/// A secret of the server's own, kept wrapped by the master key. Used only to
/// derive keys from.
#[derive(Clone)]
pub struct ServerKey {
    id: KeyId,
    bytes: [u8; 32],
}

impl ServerKey {
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::from_bytes(entropy.bytes())
    }

    /// The key with these bytes; its id follows from them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"chancery server key v1\0");
        hash.update(&bytes);
        let mut id = [0; 8];
        for (byte, hashed) in id.iter_mut().zip(hash.finish().as_ref()) {
            *byte = *hashed;
        }
        Self { id: KeyId::from_bytes(id), bytes }
    }

    /// Names the key.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key as stored, bound to its id.
    pub fn wrap(
        &self,
        master: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFailed> {
        master.wrap(self.id.as_str(), &self.bytes, entropy)
    }

    /// Gives back the key stored under an id.
    pub fn unwrap(master: &MasterKey, id: &KeyId, wrapped: &[u8]) -> Result<Self, UnwrapError> {
        let bytes = master.unwrap(id.as_str(), wrapped)?;
        let bytes = bytes.try_into().map_err(|_| UnwrapError::Malformed)?;
        Ok(Self { id: id.clone(), bytes })
    }

    /// A key for one purpose; what becomes known of it tells nothing of the
    /// others.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        Prk::extract(b"chancery server key v1", &self.bytes).expand(purpose, b"")
    }

    /// For refresh tokens and opaque access tokens.
    #[must_use]
    pub fn handle_key(&self) -> HandleKey {
        HandleKey::new(self.id.clone(), &self.derive("handles"))
    }

    /// For sealed tokens of one purpose (`interaction`, `login cookie`, …).
    #[must_use]
    pub fn token_key(&self, purpose: &str) -> TokenKey {
        TokenKey::new(&self.derive(&format!("sealed tokens: {purpose}")))
    }

    /// For authenticating short texts of one purpose (`csrf`, …).
    #[must_use]
    pub fn mac_key(&self, purpose: &str) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, &self.derive(&format!("macs: {purpose}"))))
    }

    /// For account names.
    #[must_use]
    pub fn names_key(&self) -> NamesKey {
        NamesKey(hmac::Key::new(hmac::HMAC_SHA256, &self.derive("names")))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({})", self.id)
    }
}

/// Authenticates texts that are handed out and come back: CSRF tokens.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The tag of these texts, in base64url. No two lists of texts have the
    /// same.
    #[must_use]
    pub fn tag(&self, texts: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &framed(texts)))
    }

    /// Is this the tag of these texts? In constant time.
    #[must_use]
    pub fn is_tag(&self, texts: &[&str], tag: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(tag)
            .is_ok_and(|tag| hmac::verify(&self.0, &framed(texts), &tag).is_ok())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// Each text after its length, so that no byte can move to the next.
fn framed(texts: &[&str]) -> Vec<u8> {
    let mut framed = Vec::new();
    for text in texts {
        framed.extend_from_slice(&(text.len() as u64).to_be_bytes());
        framed.extend_from_slice(text.as_bytes());
    }
    framed
}

/// Turns account names into what the database may hold: equal names are found,
/// and nobody without the key can try out names.
#[derive(Clone)]
pub struct NamesKey(hmac::Key);

impl NamesKey {
    /// The digest of a name in its space; the caller has normalised it.
    #[must_use]
    pub fn name_digest(&self, space: &str, name: &str) -> [u8; 32] {
        mac(&self.0, &[&framed(&[space, name])])
    }
}

impl fmt::Debug for NamesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamesKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn key(byte: u8) -> ServerKey {
        ServerKey::from_bytes([byte; 32])
    }

    #[test]
    fn purposes_and_keys_have_nothing_in_common() {
        assert_eq!(key(1).derive("a"), key(1).derive("a"));
        assert_ne!(key(1).derive("a"), key(1).derive("b"));
        assert_ne!(key(1).derive("a"), key(2).derive("a"));
        assert_ne!(key(1).id(), key(2).id());
    }

    #[test]
    fn a_key_comes_back_under_its_own_id_only() {
        let entropy = &SeededEntropy::new(1);
        let master = MasterKey::generate(entropy);
        let wrapped = key(1).wrap(&master, entropy).unwrap();
        let again = ServerKey::unwrap(&master, key(1).id(), &wrapped).unwrap();
        assert_eq!(again.derive("a"), key(1).derive("a"));
        assert!(ServerKey::unwrap(&master, key(2).id(), &wrapped).is_err());
    }

    #[test]
    fn a_tag_is_of_its_texts_its_purpose_and_its_key_only() {
        let csrf = key(1).mac_key("csrf");
        let tag = csrf.tag(&["session", "form"]);
        assert!(csrf.is_tag(&["session", "form"], &tag));
        assert!(!csrf.is_tag(&["sessionf", "orm"], &tag));
        assert!(!csrf.is_tag(&["session"], &tag));
        assert!(!csrf.is_tag(&["session", "form"], ""));
        assert!(!csrf.is_tag(&["session", "form"], &tag[..42]));
        assert!(!csrf.is_tag(&["session", "form"], &format!("{tag}=")));
        assert!(!key(1).mac_key("other").is_tag(&["session", "form"], &tag));
        assert!(!key(2).mac_key("csrf").is_tag(&["session", "form"], &tag));
    }

    #[test]
    fn a_name_s_digest_belongs_to_its_space_and_its_key() {
        let names = key(1).names_key();
        let digest = names.name_digest("login", "alice");
        assert_eq!(names.name_digest("login", "alice"), digest);
        assert_ne!(names.name_digest("login", "bob"), digest);
        assert_ne!(names.name_digest("email", "alice"), digest);
        assert_ne!(names.name_digest("logina", "lice"), digest);
        assert_ne!(key(2).names_key().name_digest("login", "alice"), digest);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = key(1);
        assert_eq!(format!("{key:?}"), format!("ServerKey({})", key.id()));
        assert_eq!(format!("{:?}", key.mac_key("csrf")), "MacKey(…)");
        assert_eq!(format!("{:?}", key.names_key()), "NamesKey(…)");
        assert_eq!(format!("{:?}", key.token_key("x")), "TokenKey(…)");
    }
}
