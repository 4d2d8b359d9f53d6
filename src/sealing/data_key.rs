//! Data keys: one for each grant or account, so that destroying one destroys
//! what it sealed.

use std::fmt;

use chancery_domain::digest::{Sha256Digest, commitment};

use super::{Cipher, MasterKey, SealingFailed, UnwrapError};
use crate::entropy::Entropy;

/// Seals the values of one grant or account.
#[derive(Clone)]
pub struct DataKey([u8; 32]);

/// A value as it is stored: what the event holds of it, and what stands beside
/// the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// For the event.
    pub commitment: Sha256Digest,
    /// For the row beside it: nonce, then salt and value encrypted, then tag.
    pub ciphertext: Vec<u8>,
}

/// Why a sealed value can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("damaged, or not sealed with this key for this place")]
    Damaged,
    /// It decrypts, yet it is not the value that the event speaks of.
    #[error("not the value that was committed to")]
    NotCommitted,
}

impl DataKey {
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// Wraps the key for its owner: [`super::owner_text`].
    pub fn wrap(
        &self,
        master: &MasterKey,
        owner: &str,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFailed> {
        master.wrap(owner, &self.0, entropy)
    }

    /// Gives back an owner's key.
    pub fn unwrap(master: &MasterKey, owner: &str, wrapped: &[u8]) -> Result<Self, UnwrapError> {
        let bytes = master.unwrap(owner, wrapped)?;
        bytes.try_into().map(Self).map_err(|_| UnwrapError::Malformed)
    }

    /// Seals a value for its place: [`super::place_text`].
    pub fn seal_value(
        &self,
        place: &str,
        value: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<SealedValue, SealingFailed> {
        let salt = entropy.salt();
        let ciphertext =
            Cipher::new(&self.0)?.seal(&[], place.as_bytes(), &[&salt, value].concat(), entropy)?;
        Ok(SealedValue { commitment: commitment(&salt, value), ciphertext })
    }

    /// Opens the value of a place, and makes sure that it is the one committed
    /// to.
    pub fn open_value(
        &self,
        place: &str,
        ciphertext: &[u8],
        committed: Sha256Digest,
    ) -> Result<Vec<u8>, OpenError> {
        let cipher = Cipher::new(&self.0).map_err(|_| OpenError::Damaged)?;
        let mut salted = cipher.open(place.as_bytes(), ciphertext).ok_or(OpenError::Damaged)?;
        let (salt, value) = salted.split_first_chunk::<16>().ok_or(OpenError::Damaged)?;
        if commitment(salt, value) != committed {
            return Err(OpenError::NotCommitted);
        }
        salted.drain(..16);
        Ok(salted)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use chancery_domain::ids::AggregateKind;

    use super::super::{owner_text, place_text};
    use super::*;
    use crate::entropy::SeededEntropy;

    static ENTROPY: SeededEntropy = SeededEntropy::new(5);

    #[test]
    fn a_value_opens_in_its_place_with_its_key_only() {
        let key = DataKey::generate(&ENTROPY);
        let place = place_text(AggregateKind::Grant, "a", 1);
        let sealed = key.seal_value(&place, b"state", &ENTROPY).unwrap();
        let open = |key: &DataKey, place: &str| {
            key.open_value(place, &sealed.ciphertext, sealed.commitment)
        };
        assert_eq!(open(&key, &place).unwrap(), b"state");
        let elsewhere = place_text(AggregateKind::Grant, "a", 2);
        assert_eq!(open(&key, &elsewhere), Err(OpenError::Damaged));
        assert_eq!(open(&DataKey::generate(&ENTROPY), &place), Err(OpenError::Damaged));
    }

    #[test]
    fn a_value_other_than_the_committed_one_is_refused() {
        let key = DataKey::generate(&ENTROPY);
        let one = key.seal_value("p", b"state", &ENTROPY).unwrap();
        let two = key.seal_value("p", b"state", &ENTROPY).unwrap();
        assert_ne!(one.commitment, two.commitment, "commitments are salted");
        assert_eq!(
            key.open_value("p", &one.ciphertext, two.commitment),
            Err(OpenError::NotCommitted)
        );
    }

    #[test]
    fn the_value_can_t_be_seen_in_what_is_stored() {
        let key = DataKey::generate(&ENTROPY);
        let sealed = key.seal_value("p", b"alice@example.com", &ENTROPY).unwrap();
        assert!(!sealed.ciphertext.windows(5).any(|window| window == b"alice"));
    }

    #[test]
    fn a_wrapped_key_opens_what_the_key_sealed() {
        let master = MasterKey::generate(&ENTROPY);
        let owner = owner_text(AggregateKind::Account, "b");
        let key = DataKey::generate(&ENTROPY);
        let sealed = key.seal_value("p", b"claims", &ENTROPY).unwrap();
        let wrapped = key.wrap(&master, &owner, &ENTROPY).unwrap();
        let again = DataKey::unwrap(&master, &owner, &wrapped).unwrap();
        assert_eq!(
            again.open_value("p", &sealed.ciphertext, sealed.commitment).unwrap(),
            b"claims"
        );

        let short = master.wrap(&owner, b"short", &ENTROPY).unwrap();
        assert_eq!(DataKey::unwrap(&master, &owner, &short).unwrap_err(), UnwrapError::Malformed);
        assert_eq!(format!("{key:?}"), "DataKey(…)");
    }
}
