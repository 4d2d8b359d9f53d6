//! The sealed log: which keys sign the checkpoints of the Merkle log over all
//! events, and, from time to time, where the chain of every aggregate ends.
//!
//! One aggregate for each origin (C2SP tlog-checkpoint): its id is the origin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, KeyId};
use crate::time::UnixTime;

events! {
    /// What has happened to a sealed log.
    SealedLogEvent {
        CheckpointKeyPublished = "1",
        CheckpointKeyRetired = "1",
        HeadsListed = "1",
    }
}

/// A key signs checkpoints from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointKeyPublished {
    /// Names it.
    pub key_id: KeyId,
    /// What verifies its signatures: a verifier key as C2SP signed-note has it.
    pub verifier: String,
    /// When.
    pub at: UnixTime,
}

/// A key was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointKeyRetired {
    /// Which.
    pub key_id: KeyId,
    /// Until when it signs beside its successor, so that whoever knows the old one
    /// learns to trust the new one.
    pub signs_until: UnixTime,
    /// When.
    pub at: UnixTime,
}

/// Where the chain of every aggregate ended: so that it shows when one is held
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadsListed {
    /// All events up to this position are looked at.
    pub through: u64,
    /// How many aggregates there were.
    pub aggregates: u64,
    /// The root of the Merkle tree (RFC 9162 §2.1) over their heads, in the order
    /// of type and id.
    pub root: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// A key that signs checkpoints, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointKey {
    /// Names it.
    pub key_id: KeyId,
    /// What verifies its signatures.
    pub verifier: String,
    /// When it was published.
    pub published_at: UnixTime,
    /// Until when it signs, once it is replaced.
    pub signs_until: Option<UnixTime>,
}

impl CheckpointKey {
    /// Does it sign?
    #[must_use]
    pub fn signs(&self, now: UnixTime) -> bool {
        self.signs_until.is_none_or(|until| now < until)
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SealedLog {
    /// Every key there ever was, the oldest first.
    pub keys: Vec<CheckpointKey>,
    /// The latest list of heads.
    pub heads: Option<HeadsListed>,
}

/// What can be done to a sealed log.
#[derive(Debug, Clone)]
pub enum SealedLogCommand {
    /// Lets a key sign in place of those before.
    PublishKey {
        /// Names it.
        key_id: KeyId,
        /// What verifies its signatures.
        verifier: String,
        /// Until when those before sign beside it.
        overlap_until: UnixTime,
        /// Now.
        now: UnixTime,
    },
    /// Notes a list of heads.
    ListHeads(HeadsListed),
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedLogError {
    /// There is such a key already.
    #[error("there is a checkpoint key with this id already")]
    KeyExists,
    /// A list reaches further.
    #[error("a later list of heads is there already")]
    Overtaken,
}

impl SealedLog {
    /// The keys that sign, the newest first.
    pub fn signing(&self, now: UnixTime) -> impl Iterator<Item = &CheckpointKey> {
        self.keys.iter().rev().filter(move |key| key.signs(now))
    }

    fn decide(&self, command: SealedLogCommand) -> Result<Vec<SealedLogEvent>, SealedLogError> {
        match command {
            SealedLogCommand::PublishKey { key_id, verifier, overlap_until, now } => {
                if self.keys.iter().any(|key| key.key_id == key_id) {
                    return Err(SealedLogError::KeyExists);
                }
                let retired = self.keys.iter().filter(|key| {
                    key.signs_until.is_none_or(|until| until > now && until > overlap_until)
                });
                let retired = retired.map(|key| {
                    let key_id = key.key_id.clone();
                    CheckpointKeyRetired { key_id, signs_until: overlap_until, at: now }.into()
                });
                let published = CheckpointKeyPublished { key_id, verifier, at: now };
                Ok(std::iter::once(published.into()).chain(retired).collect())
            }
            SealedLogCommand::ListHeads(list) => {
                if self.heads.as_ref().is_some_and(|own| own.through >= list.through) {
                    return Err(SealedLogError::Overtaken);
                }
                Ok(vec![list.into()])
            }
        }
    }

    fn assign(&mut self, event: SealedLogEvent) {
        match event {
            SealedLogEvent::CheckpointKeyPublished(event) => self.keys.push(CheckpointKey {
                key_id: event.key_id,
                verifier: event.verifier,
                published_at: event.at,
                signs_until: None,
            }),
            SealedLogEvent::CheckpointKeyRetired(event) => {
                for key in self.keys.iter_mut().filter(|key| key.key_id == event.key_id) {
                    key.signs_until = Some(event.signs_until);
                }
            }
            SealedLogEvent::HeadsListed(event) => self.heads = Some(event),
        }
    }
}

aggregate!(SealedLog, AggregateKind::Log, SealedLogCommand, SealedLogEvent, SealedLogError);

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn id(byte: u8) -> KeyId {
        KeyId::from_bytes([byte; 8])
    }

    fn published(byte: u8, at: i64) -> SealedLogEvent {
        let verifier = format!("example.com+{byte}");
        let at = UnixTime::from_seconds(at);
        CheckpointKeyPublished { key_id: id(byte), verifier, at }.into()
    }

    fn retired(byte: u8, until: i64, at: i64) -> SealedLogEvent {
        let (signs_until, at) = (UnixTime::from_seconds(until), UnixTime::from_seconds(at));
        CheckpointKeyRetired { key_id: id(byte), signs_until, at }.into()
    }

    fn publish(byte: u8, until: i64, now: i64) -> SealedLogCommand {
        SealedLogCommand::PublishKey {
            key_id: id(byte),
            verifier: format!("example.com+{byte}"),
            overlap_until: UnixTime::from_seconds(until),
            now: UnixTime::from_seconds(now),
        }
    }

    fn list(through: u64) -> HeadsListed {
        let at = UnixTime::from_seconds(5);
        HeadsListed { through, aggregates: 1, root: Sha256Digest::ZERO, at }
    }

    #[test]
    fn a_key_is_not_published_twice() {
        TestFramework::<SealedLog>::with(())
            .given(vec![published(1, 10)])
            .when(publish(1, 20, 20))
            .then_expect_error(SealedLogError::KeyExists);
    }

    #[test]
    fn an_older_list_is_refused() {
        TestFramework::<SealedLog>::with(())
            .given(vec![list(7).into()])
            .when(SealedLogCommand::ListHeads(list(7)))
            .then_expect_error(SealedLogError::Overtaken);
    }

    #[test]
    fn a_new_key_retires_the_one_before() {
        TestFramework::<SealedLog>::with(())
            .given(vec![published(1, 10)])
            .when(publish(2, 120, 20))
            .then_expect_events(vec![published(2, 20), retired(1, 120, 20)]);
    }

    #[test]
    fn a_key_that_signs_on_is_stopped_when_there_is_no_overlap() {
        TestFramework::<SealedLog>::with(())
            .given(vec![published(1, 10), published(2, 20), retired(1, 120, 20)])
            .when(publish(3, 30, 30))
            .then_expect_events(vec![published(3, 30), retired(1, 30, 30), retired(2, 30, 30)]);
    }

    #[test]
    fn the_newest_key_comes_first_among_those_that_sign() {
        let mut log = SealedLog::default();
        for event in [published(1, 10), published(2, 20), retired(1, 120, 20)] {
            log.assign(event);
        }
        let signing = |now| {
            let keys = log.signing(UnixTime::from_seconds(now));
            keys.map(|key| key.key_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(signing(119), [id(2), id(1)]);
        assert_eq!(signing(120), [id(2)]);
    }
}
