//! Sealed values: written beside the event that commits to them, read back
//! with their owner's key.

use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;

use crate::entropy::Entropy;
use crate::sealing::{
    DataKey, MasterKey, OpenError, SealingFailed, UnwrapError, owner_text, place_text,
};
use crate::stores::{Append, DataKeyRow, SealedRow, Store, StoreError, StreamId};

/// Seals and opens the values of grants, accounts and clients.
pub struct Vault {
    master: MasterKey,
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
}

/// A value that is sealed, for whichever event commits to it.
#[derive(Debug, Clone)]
pub struct Apart {
    pub commitment: Sha256Digest,
    ciphertext: Vec<u8>,
    data_keys: Vec<DataKeyRow>,
    made: Option<DataKey>,
}

impl Apart {
    /// The owner's data key, where it was made for this value: whatever else the
    /// same append seals is sealed with it.
    #[must_use]
    pub const fn made_key(&self) -> Option<&DataKey> {
        self.made.as_ref()
    }

    /// Puts it beside the event with this sequence.
    pub fn place(self, append: &mut Append, stream: &StreamId, sequence: u64) {
        append.data_keys.extend(self.data_keys);
        let ciphertext = self.ciphertext;
        append.sealed.push(SealedRow { stream: stream.clone(), sequence, ciphertext });
    }
}

/// Why a sealed value can't be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a data key can't be unwrapped: {0}")]
    Key(#[from] UnwrapError),
    #[error("a sealed value can't be opened: {0}")]
    Value(#[from] OpenError),
    #[error(transparent)]
    Sealing(#[from] SealingFailed),
    /// The row or its key is gone: erased, or served its time.
    #[error("the sealed value is not there any more")]
    Gone,
}

impl Vault {
    #[must_use]
    pub fn new(master: MasterKey, store: Arc<dyn Store>, entropy: Arc<dyn Entropy>) -> Self {
        Self { master, store, entropy }
    }

    /// Makes an owner's data key, as part of this append.
    pub fn new_key(
        &self,
        append: &mut Append,
        owner: &StreamId,
        subject: Option<Arc<str>>,
    ) -> Result<DataKey, VaultError> {
        let key = DataKey::generate(&*self.entropy);
        let text = owner_text(owner.kind, &owner.id);
        let wrapped = key.wrap(&self.master, &text, &*self.entropy)?;
        append.data_keys.push(DataKeyRow { owner: owner.clone(), subject, wrapped });
        Ok(key)
    }

    /// An owner's data key.
    pub async fn key(&self, owner: &StreamId) -> Result<DataKey, VaultError> {
        let wrapped = self.store.data_key(owner).await?.ok_or(VaultError::Gone)?;
        let text = owner_text(owner.kind, &owner.id);
        Ok(DataKey::unwrap(&self.master, &text, &wrapped)?)
    }

    /// Seals a value beside the event with this sequence; gives the commitment
    /// for that event.
    pub fn seal(
        &self,
        append: &mut Append,
        key: &DataKey,
        stream: &StreamId,
        sequence: u64,
        value: &[u8],
    ) -> Result<Sha256Digest, VaultError> {
        let place = place_text(stream.kind, &stream.id, sequence);
        let sealed = key.seal_value(&place, value, &*self.entropy)?;
        append.sealed.push(SealedRow {
            stream: stream.clone(),
            sequence,
            ciphertext: sealed.ciphertext,
        });
        Ok(sealed.commitment)
    }

    /// Seals a value for an event whose sequence is not known yet: that it is
    /// the event's, the commitment alone says. Makes the owner's data key, if
    /// there is none.
    pub async fn seal_apart(
        &self,
        owner: &StreamId,
        subject: Option<Arc<str>>,
        value: &[u8],
    ) -> Result<Apart, VaultError> {
        let mut made = Append::default();
        let (key, is_new) = match self.key(owner).await {
            Ok(key) => (key, false),
            Err(VaultError::Gone) => (self.new_key(&mut made, owner, subject)?, true),
            Err(error) => return Err(error),
        };
        let place = owner_text(owner.kind, &owner.id);
        let sealed = key.seal_value(&place, value, &*self.entropy)?;
        Ok(Apart {
            commitment: sealed.commitment,
            ciphertext: sealed.ciphertext,
            data_keys: made.data_keys,
            made: is_new.then_some(key),
        })
    }

    /// Opens a value that was sealed so.
    pub async fn open_apart(
        &self,
        owner: &StreamId,
        commitment: Sha256Digest,
    ) -> Result<Vec<u8>, VaultError> {
        let rows = self.store.sealed(owner).await?;
        let key = self.key(owner).await?;
        let place = owner_text(owner.kind, &owner.id);
        // What is asked for is mostly what was written last.
        let mut found = rows
            .iter()
            .rev()
            .filter_map(|row| key.open_value(&place, &row.ciphertext, commitment).ok());
        found.next().ok_or(VaultError::Gone)
    }

    /// Opens the value beside the event with this sequence.
    pub async fn open(
        &self,
        stream: &StreamId,
        sequence: u64,
        commitment: Sha256Digest,
    ) -> Result<Vec<u8>, VaultError> {
        let rows = self.store.sealed(stream).await?;
        let row = rows.iter().find(|row| row.sequence == sequence).ok_or(VaultError::Gone)?;
        let key = self.key(stream).await?;
        let place = place_text(stream.kind, &stream.id, sequence);
        Ok(key.open_value(&place, &row.ciphertext, commitment)?)
    }
}
