//! The signing key: published, used, retired. Its private part never comes
//! here.

use serde::{Deserialize, Serialize};

use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, KeyId};
use crate::protocol::signing_algorithm::SigningAlgorithm;
use crate::time::UnixTime;

events! {
    /// What has happened to a signing key.
    SigningKeyEvent {
        KeyPublished = "1",
        KeyActivated = "1",
        KeyRetired = "1",
    }
}

/// The public key stands in the JWKS from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPublished {
    /// `kid`
    pub key_id: KeyId,
    /// `alg`
    pub algorithm: SigningAlgorithm,
    /// The public key (RFC 7517).
    pub jwk: serde_json::Value,
    /// When.
    pub at: UnixTime,
}

/// The key signs from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyActivated {
    /// When.
    pub at: UnixTime,
}

/// The key signs no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRetired {
    /// When.
    pub at: UnixTime,
    /// Until when it stays published: the end of the last token it signed.
    pub published_until: UnixTime,
}

/// A key that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// `kid`
    pub key_id: KeyId,
    /// `alg`
    pub algorithm: SigningAlgorithm,
    /// The public key.
    pub jwk: serde_json::Value,
    /// When it was published.
    pub published_at: UnixTime,
    /// Since when it signs.
    pub activated_at: Option<UnixTime>,
    /// Since when it signs no more, and until when it stays published.
    pub retired: Option<(UnixTime, UnixTime)>,
}

impl PublishedKey {
    /// Does it stand in the JWKS?
    #[must_use]
    pub fn is_published(&self, now: UnixTime) -> bool {
        self.retired.is_none_or(|(_, until)| now < until)
    }

    /// Does it sign?
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.activated_at.is_some() && self.retired.is_none()
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum SigningKey {
    /// No such key.
    #[default]
    Unknown,
    /// It exists.
    Published(Box<PublishedKey>),
}

/// What can be done to a signing key.
#[derive(Debug, Clone)]
pub enum SigningKeyCommand {
    /// Publishes it.
    Publish {
        /// `kid`
        key_id: KeyId,
        /// `alg`
        algorithm: SigningAlgorithm,
        /// The public key.
        jwk: serde_json::Value,
        /// Now.
        now: UnixTime,
    },
    /// Lets it sign.
    Activate {
        /// Now.
        now: UnixTime,
    },
    /// Lets it sign no more.
    Retire {
        /// Now.
        now: UnixTime,
        /// Until when it stays published.
        published_until: UnixTime,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// It exists already.
    #[error("this key exists already")]
    Exists,
    /// It has been retired: it never signs again.
    #[error("this key has been retired")]
    Retired,
}

impl SigningKey {
    /// The key, if it exists.
    #[must_use]
    pub fn published(&self) -> Option<&PublishedKey> {
        match self {
            Self::Unknown => None,
            Self::Published(key) => Some(key),
        }
    }

    fn decide(&self, command: SigningKeyCommand) -> Result<Vec<SigningKeyEvent>, SigningKeyError> {
        match (self, command) {
            (Self::Unknown, SigningKeyCommand::Publish { key_id, algorithm, jwk, now }) => {
                Ok(vec![KeyPublished { key_id, algorithm, jwk, at: now }.into()])
            }
            (Self::Published(_), SigningKeyCommand::Publish { .. }) => Err(SigningKeyError::Exists),
            (Self::Unknown, _) => Err(SigningKeyError::Unknown),
            (Self::Published(key), SigningKeyCommand::Activate { now }) => {
                match (key.retired, key.activated_at) {
                    (Some(_), _) => Err(SigningKeyError::Retired),
                    (None, Some(_)) => Ok(vec![]),
                    (None, None) => Ok(vec![KeyActivated { at: now }.into()]),
                }
            }
            (Self::Published(key), SigningKeyCommand::Retire { now, published_until }) => {
                let first = key.retired.is_none();
                Ok(if first {
                    vec![KeyRetired { at: now, published_until }.into()]
                } else {
                    vec![]
                })
            }
        }
    }

    fn assign(&mut self, event: SigningKeyEvent) {
        match (&mut *self, event) {
            (_, SigningKeyEvent::KeyPublished(event)) => {
                *self = Self::Published(Box::new(PublishedKey {
                    key_id: event.key_id,
                    algorithm: event.algorithm,
                    jwk: event.jwk,
                    published_at: event.at,
                    activated_at: None,
                    retired: None,
                }));
            }
            (Self::Published(key), SigningKeyEvent::KeyActivated(event)) => {
                key.activated_at = Some(event.at);
            }
            (Self::Published(key), SigningKeyEvent::KeyRetired(event)) => {
                key.retired = Some((event.at, event.published_until));
            }
            (Self::Unknown, _) => {}
        }
    }
}

aggregate!(
    SigningKey,
    AggregateKind::SigningKey,
    SigningKeyCommand,
    SigningKeyEvent,
    SigningKeyError
);
