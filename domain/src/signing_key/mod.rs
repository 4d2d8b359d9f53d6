//! The signing key: published, used, retired. Its private part never comes
//! here. Keys that others encrypt to live the same life, under the same name.

mod algorithm;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, KeyId};
use crate::time::UnixTime;

pub use self::algorithm::KeyAlgorithm;

events! {
    /// What has happened to a signing key.
    SigningKeyEvent {
        KeyPublished = "1",
        KeyActivated = "1",
        KeyRetired = "1",
    }
}

/// The public key stands in the JWKS from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyPublished {
    /// `kid`
    pub key_id: KeyId,
    /// `alg`
    pub algorithm: KeyAlgorithm,
    /// The public key (RFC 7517).
    pub jwk: serde_json::Value,
    /// When.
    pub at: UnixTime,
}

/// The key signs from some time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyActivated {
    /// When: it may lie ahead, so that everybody has the key by then.
    pub at: UnixTime,
}

/// The key signs no more from some time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRetired {
    /// When: where another key takes its place, when that begins.
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
    pub algorithm: KeyAlgorithm,
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
    /// Does it stand in the JWKS? A key that others encrypt to goes as soon as
    /// it is retired, so that they take the new one (OpenID Connect Core
    /// §10.2.1).
    #[must_use]
    pub fn is_listed(&self, now: UnixTime) -> bool {
        match self.algorithm {
            KeyAlgorithm::Signing(_) => self.is_published(now),
            KeyAlgorithm::KeyManagement(_) => self.retired.is_none(),
        }
    }

    /// Is it still of use: to verify what it signed, to decrypt what was
    /// encrypted to it?
    #[must_use]
    pub fn is_published(&self, now: UnixTime) -> bool {
        self.retired.is_none_or(|(_, until)| now < until)
    }

    /// Does it sign, or will it as soon as everybody has it? Its predecessor signs until then.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.activated_at.is_some() && self.retired.is_none()
    }

    /// Is it the time to sign with it?
    #[must_use]
    pub fn is_in_use(&self, now: UnixTime) -> bool {
        let begun = self.activated_at.is_some_and(|at| at <= now);
        begun && self.retired.is_none_or(|(at, _)| now < at) && self.is_published(now)
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
        algorithm: KeyAlgorithm,
        /// The public key.
        jwk: serde_json::Value,
        /// Now.
        now: UnixTime,
    },
    /// Lets it sign, or lets it begin sooner.
    Activate {
        /// From then on.
        at: UnixTime,
    },
    /// Lets it sign no more. Of one that does not: lets it be published for a
    /// shorter time, never for a longer one.
    Retire {
        /// From then on.
        at: UnixTime,
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
            (Self::Published(key), SigningKeyCommand::Activate { at }) => {
                match (key.retired, key.activated_at) {
                    (Some(_), _) => Err(SigningKeyError::Retired),
                    (None, Some(before)) if before <= at => Ok(vec![]),
                    (None, _) => Ok(vec![KeyActivated { at }.into()]),
                }
            }
            (Self::Published(key), SigningKeyCommand::Retire { at, published_until }) => {
                let is_news = key.retired.is_none_or(|(_, until)| published_until < until);
                Ok(if is_news { vec![KeyRetired { at, published_until }.into()] } else { vec![] })
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
                let since = key.retired.map_or(event.at, |(since, _)| since.min(event.at));
                key.retired = Some((since, event.published_until));
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

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use super::*;
    use crate::protocol::key_management_algorithm::KeyManagementAlgorithm;
    use crate::protocol::signing_algorithm::SigningAlgorithm;

    fn given(events: Vec<SigningKeyEvent>) -> AggregateTestExecutor<SigningKey> {
        TestFramework::with(()).given(events)
    }

    fn folded(events: Vec<SigningKeyEvent>) -> PublishedKey {
        let mut key = SigningKey::default();
        for event in events {
            key.assign(event);
        }
        key.published().unwrap().clone()
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn publish() -> SigningKeyCommand {
        SigningKeyCommand::Publish {
            key_id: KeyId::parse("k1").unwrap(),
            algorithm: SigningAlgorithm::EdDSA.into(),
            jwk: serde_json::json!({ "kty": "OKP" }),
            now: at(1),
        }
    }

    fn published() -> SigningKeyEvent {
        KeyPublished {
            key_id: KeyId::parse("k1").unwrap(),
            algorithm: SigningAlgorithm::EdDSA.into(),
            jwk: serde_json::json!({ "kty": "OKP" }),
            at: at(1),
        }
        .into()
    }

    fn activate() -> SigningKeyCommand {
        SigningKeyCommand::Activate { at: at(2) }
    }

    fn activated() -> SigningKeyEvent {
        KeyActivated { at: at(2) }.into()
    }

    fn retire() -> SigningKeyCommand {
        SigningKeyCommand::Retire { at: at(3), published_until: at(100) }
    }

    fn retired() -> SigningKeyEvent {
        KeyRetired { at: at(3), published_until: at(100) }.into()
    }

    #[test]
    fn nothing_is_done_to_a_key_that_is_not_there() {
        given(vec![]).when(activate()).then_expect_error(SigningKeyError::Unknown);
        given(vec![]).when(retire()).then_expect_error(SigningKeyError::Unknown);
    }

    #[test]
    fn a_key_is_published_once() {
        for events in [vec![published()], vec![published(), activated(), retired()]] {
            given(events).when(publish()).then_expect_error(SigningKeyError::Exists);
        }
    }

    #[test]
    fn a_retired_key_never_signs_again() {
        for events in [vec![published(), retired()], vec![published(), activated(), retired()]] {
            given(events.clone()).when(activate()).then_expect_error(SigningKeyError::Retired);
            assert!(!folded(events).is_active());
        }
    }

    #[test]
    fn doing_it_again_is_no_event() {
        given(vec![published(), activated()]).when(activate()).then_expect_events(vec![]);
        given(vec![published(), retired()]).when(retire()).then_expect_events(vec![]);
    }

    #[test]
    fn a_key_may_begin_sooner_and_never_later() {
        let begins = |seconds| KeyActivated { at: at(seconds) }.into();
        let activate = |seconds| SigningKeyCommand::Activate { at: at(seconds) };
        let events = vec![published(), begins(60)];
        given(events.clone()).when(activate(61)).then_expect_events(vec![]);
        given(events.clone()).when(activate(9)).then_expect_events(vec![begins(9)]);
        assert!(folded([events, vec![begins(9)]].concat()).is_in_use(at(9)));
    }

    #[test]
    fn a_retired_key_may_go_sooner_and_never_later() {
        let events = vec![published(), activated(), retired()];
        let withdraw = |until| SigningKeyCommand::Retire { at: at(5), published_until: at(until) };
        let withdrawn = KeyRetired { at: at(5), published_until: at(5) };
        given(events.clone()).when(withdraw(101)).then_expect_events(vec![]);
        given(events.clone()).when(withdraw(5)).then_expect_events(vec![withdrawn.clone().into()]);
        let key = folded([events, vec![withdrawn.into()]].concat());
        assert_eq!(key.retired, Some((at(3), at(5))));
        assert!(!key.is_published(at(5)));
    }

    #[test]
    fn a_key_is_published_activated_and_retired() {
        given(vec![]).when(publish()).then_expect_events(vec![published()]);
        given(vec![published()]).when(activate()).then_expect_events(vec![activated()]);
        given(vec![published(), activated()]).when(retire()).then_expect_events(vec![retired()]);
        given(vec![published()]).when(retire()).then_expect_events(vec![retired()]);
    }

    #[test]
    fn a_key_signs_between_activation_and_retirement() {
        assert!(!folded(vec![published()]).is_active());
        assert!(folded(vec![published(), activated()]).is_active());
    }

    /// OpenID Connect Core §10.1.1
    #[test]
    fn a_key_is_in_use_from_its_time_until_that_of_its_successor() {
        assert!(!folded(vec![published()]).is_in_use(at(9)));
        let later = vec![published(), KeyActivated { at: at(60) }.into()];
        assert!(!folded(later.clone()).is_in_use(at(59)) && folded(later.clone()).is_active());
        assert!(folded(later.clone()).is_in_use(at(60)));
        let followed = KeyRetired { at: at(90), published_until: at(500) };
        let followed = [later, vec![followed.into()]].concat();
        assert!(folded(followed.clone()).is_in_use(at(89)));
        assert!(!folded(followed.clone()).is_in_use(at(90)));
        let withdrawn = KeyRetired { at: at(70), published_until: at(70) };
        let withdrawn = folded([followed, vec![withdrawn.into()]].concat());
        assert!(!withdrawn.is_in_use(at(70)) && !withdrawn.is_published(at(70)));
        assert_eq!(withdrawn.retired, Some((at(70), at(70))));
    }

    /// OpenID Connect Core §10.2.1
    #[test]
    fn a_retired_key_is_encrypted_to_no_more_and_still_decrypts() {
        let events = vec![published(), activated(), retired()];
        let key = PublishedKey {
            algorithm: KeyManagementAlgorithm::EcdhEs.into(),
            ..folded(events.clone())
        };
        assert!(!key.is_listed(at(99)) && key.is_published(at(99)));
        assert!(folded(events.clone()).is_listed(at(99)));
        assert!(!folded(events).is_listed(at(100)));
        assert!(PublishedKey { retired: None, ..key }.is_listed(at(99)));
    }

    /// OpenID Connect Core §10.1.1
    #[test]
    fn a_retired_key_stays_published_until_its_last_token_has_ended() {
        let key = folded(vec![published(), activated(), retired()]);
        assert!(key.is_published(at(99)));
        assert!(!key.is_published(at(100)));
        assert!(folded(vec![published()]).is_published(at(1_000_000)));
    }
}
