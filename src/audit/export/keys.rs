//! The lists of keys in a bundle: what its events say of them.

use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::sealed_log::SealedLogEvent;
use chancery_domain::signing_key::SigningKeyEvent;
use chancery_domain::time::UnixTime;
use chancery_projections::Undecodable;
use serde::Serialize;
use serde_json::Value;

use crate::feed::decode;
use crate::stores::StoredEvent;

/// `keys/checkpoint-keys.json` and `keys/signing-keys.json`.
#[derive(Debug, Default)]
pub struct Keys {
    pub checkpoint_keys: Vec<CheckpointKey>,
    pub signing_keys: Vec<SigningKey>,
}

/// A key that signs checkpoints.
#[derive(Debug, Serialize)]
pub struct CheckpointKey {
    key_id: String,
    vkey: String,
    published: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_until: Option<UnixTime>,
}

/// A key that tokens are signed by, or encrypted to.
#[derive(Debug, Serialize)]
pub struct SigningKey {
    kid: String,
    alg: String,
    jwk: Value,
    published: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_until: Option<UnixTime>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Moment {
    position: u64,
    at: UnixTime,
}

impl Keys {
    /// Those that these events tell of.
    pub fn of(events: &[StoredEvent]) -> Result<Self, Undecodable> {
        let mut keys = Self::default();
        for stored in events {
            let stream = &stored.event.stream;
            if !matches!(stream.kind, AggregateKind::Log | AggregateKind::SigningKey) {
                continue;
            }
            match decode(stored)?.event {
                AnyEvent::Log(event) => keys.checkpoint(event, stored.position),
                AnyEvent::SigningKey(event) => keys.signing(event, &stream.id, stored.position),
                _ => {}
            }
        }
        Ok(keys)
    }

    fn checkpoint(&mut self, event: SealedLogEvent, position: u64) {
        match event {
            SealedLogEvent::CheckpointKeyPublished(event) => {
                self.checkpoint_keys.push(CheckpointKey {
                    key_id: event.key_id.to_string(),
                    vkey: event.verifier,
                    published: Moment { position, at: event.at },
                    retired: None,
                    signs_until: None,
                });
            }
            SealedLogEvent::CheckpointKeyRetired(event) => {
                let id = event.key_id.to_string();
                for key in self.checkpoint_keys.iter_mut().filter(|key| key.key_id == id) {
                    key.retired = Some(Moment { position, at: event.at });
                    key.signs_until = Some(event.signs_until);
                }
            }
            SealedLogEvent::HeadsListed(_) => {}
        }
    }

    fn signing(&mut self, event: SigningKeyEvent, id: &str, position: u64) {
        let own = self.signing_keys.iter_mut().find(|key| key.kid == id);
        match (event, own) {
            (SigningKeyEvent::KeyPublished(event), None) => self.signing_keys.push(SigningKey {
                kid: id.to_owned(),
                alg: event.algorithm.as_str().to_owned(),
                jwk: event.jwk,
                published: Moment { position, at: event.at },
                activated: None,
                retired: None,
                published_until: None,
            }),
            (SigningKeyEvent::KeyActivated(event), Some(key)) => {
                key.activated = Some(Moment { position, at: event.at });
            }
            (SigningKeyEvent::KeyRetired(event), Some(key)) => {
                key.retired = Some(Moment { position, at: event.at });
                key.published_until = Some(event.published_until);
            }
            _ => {}
        }
    }
}
