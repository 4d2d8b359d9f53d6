//! The initial access token (RFC 7591 §3): an operator's word that somebody may
//! register clients, so many and so long.
//!
//! Each registration is an event here, in one append with the client's own: the
//! store decides between two who use the last one at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, ClientId, RegistrationTokenId};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::secret::{Digest, InitialAccessToken};
use crate::time::UnixTime;

events! {
    /// What has happened to an initial access token.
    RegistrationTokenEvent {
        RegistrationTokenIssued = "1",
        RegistrationTokenUsed = "1",
        RegistrationTokenRevoked = "1",
    }
}

/// An operator made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationTokenIssued {
    /// Its identifier.
    pub token_id: RegistrationTokenId,
    /// The digest of its secret.
    pub secret: Digest<InitialAccessToken>,
    /// What it is for, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many clients it registers; absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// When it ends by itself; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
    /// What its clients may have.
    #[serde(default, skip_serializing_if = "Constraints::are_none")]
    pub constraints: Constraints,
    /// When.
    pub at: UnixTime,
}

/// A client was registered by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationTokenUsed {
    /// Which.
    pub client_id: ClientId,
    /// When.
    pub at: UnixTime,
}

/// An operator ended it. Its clients stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationTokenRevoked {
    /// When.
    pub at: UnixTime,
}

/// What the clients of a token may have, where it is not what all may have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RegistrationConstraints")]
pub struct Constraints {
    /// The scopes; absent: those of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The grant types; empty: those of the settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types: Vec<GrantType>,
    /// Metadata (RFC 7591 §2) that they have whatever they ask for.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fixed: Map<String, Value>,
}

impl Constraints {
    /// Are there none?
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum RegistrationToken {
    /// No such token.
    #[default]
    Unknown,
    /// Issued, whether it is good still or not.
    Issued(Box<IssuedToken>),
}

/// A token, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// As it was issued.
    pub issued: RegistrationTokenIssued,
    /// How many clients were registered by it.
    pub used: u32,
    /// Has an operator ended it?
    pub revoked: bool,
}

/// What can be done to a token.
#[derive(Debug, Clone)]
pub enum RegistrationTokenCommand {
    /// Makes it.
    Issue(Box<RegistrationTokenIssued>),
    /// Registers a client by it.
    Use {
        /// Of the secret that was presented.
        secret: Digest<InitialAccessToken>,
        /// The client.
        client_id: ClientId,
        /// Now.
        now: UnixTime,
    },
    /// Ends it.
    Revoke {
        /// Now.
        now: UnixTime,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationTokenError {
    /// There is none with this identifier and secret.
    #[error("there is no such token")]
    Unknown,
    /// There is one with this identifier already.
    #[error("there is a token with this id already")]
    Exists,
    /// Nobody could use it.
    #[error("a token must be good for one client at least, and for some time")]
    Useless,
    /// An operator has ended it.
    #[error("the token was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It has registered as many clients as it may.
    #[error("the token has been used as often as it may be")]
    UsedUp,
}

impl IssuedToken {
    /// May it register another client?
    pub fn check(&self, now: UnixTime) -> Result<(), RegistrationTokenError> {
        if self.revoked {
            return Err(RegistrationTokenError::Revoked);
        }
        if self.issued.expires_at.is_some_and(|end| now >= end) {
            return Err(RegistrationTokenError::Expired);
        }
        if self.issued.uses.is_some_and(|uses| self.used >= uses) {
            return Err(RegistrationTokenError::UsedUp);
        }
        Ok(())
    }
}

impl RegistrationToken {
    /// The token, if it was issued.
    #[must_use]
    pub fn issued(&self) -> Option<&IssuedToken> {
        match self {
            Self::Unknown => None,
            Self::Issued(token) => Some(token),
        }
    }

    /// The token that this is the secret of, if it is good now.
    pub fn good(
        &self,
        secret: &Digest<InitialAccessToken>,
        now: UnixTime,
    ) -> Result<&IssuedToken, RegistrationTokenError> {
        let token = self.issued().filter(|token| token.issued.secret == *secret);
        let token = token.ok_or(RegistrationTokenError::Unknown)?;
        token.check(now)?;
        Ok(token)
    }

    fn decide(
        &self,
        command: RegistrationTokenCommand,
    ) -> Result<Vec<RegistrationTokenEvent>, RegistrationTokenError> {
        match (self, command) {
            (Self::Unknown, RegistrationTokenCommand::Issue(issued)) => {
                let over = issued.expires_at.is_some_and(|end| issued.at >= end);
                if issued.uses == Some(0) || over {
                    return Err(RegistrationTokenError::Useless);
                }
                Ok(vec![(*issued).into()])
            }
            (Self::Issued(_), RegistrationTokenCommand::Issue(_)) => {
                Err(RegistrationTokenError::Exists)
            }
            (_, RegistrationTokenCommand::Use { secret, client_id, now }) => {
                self.good(&secret, now)?;
                Ok(vec![RegistrationTokenUsed { client_id, at: now }.into()])
            }
            (Self::Unknown, RegistrationTokenCommand::Revoke { .. }) => {
                Err(RegistrationTokenError::Unknown)
            }
            (Self::Issued(token), RegistrationTokenCommand::Revoke { now }) => {
                let event = RegistrationTokenRevoked { at: now };
                Ok(if token.revoked { vec![] } else { vec![event.into()] })
            }
        }
    }

    fn assign(&mut self, event: RegistrationTokenEvent) {
        match (self, event) {
            (state, RegistrationTokenEvent::RegistrationTokenIssued(issued)) => {
                *state = Self::Issued(Box::new(IssuedToken { issued, used: 0, revoked: false }));
            }
            (Self::Issued(token), RegistrationTokenEvent::RegistrationTokenUsed(_)) => {
                token.used = token.used.saturating_add(1);
            }
            (Self::Issued(token), RegistrationTokenEvent::RegistrationTokenRevoked(_)) => {
                token.revoked = true;
            }
            (Self::Unknown, _) => {}
        }
    }
}

aggregate!(
    RegistrationToken,
    AggregateKind::RegistrationToken,
    RegistrationTokenCommand,
    RegistrationTokenEvent,
    RegistrationTokenError
);

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn digest(byte: u8) -> Digest<InitialAccessToken> {
        Digest::of(&[byte; 32])
    }

    fn issued() -> RegistrationTokenIssued {
        RegistrationTokenIssued {
            token_id: "0198f3a2c4d57e0fa1b2c3d4e5f60718".parse().unwrap(),
            secret: digest(1),
            label: None,
            uses: Some(1),
            expires_at: Some(at(100)),
            constraints: Constraints::default(),
            at: at(1),
        }
    }

    fn used() -> RegistrationTokenUsed {
        RegistrationTokenUsed { client_id: ClientId::parse("rp").unwrap(), at: at(2) }
    }

    fn usage(byte: u8, now: i64) -> RegistrationTokenCommand {
        let client_id = ClientId::parse("rp").unwrap();
        RegistrationTokenCommand::Use { secret: digest(byte), client_id, now: at(now) }
    }

    fn given(
        events: Vec<RegistrationTokenEvent>,
    ) -> cqrs_es::test::AggregateTestExecutor<RegistrationToken> {
        TestFramework::with(()).given(events)
    }

    #[test]
    fn a_token_that_is_no_good_registers_nobody() {
        given(vec![]).when(usage(1, 2)).then_expect_error(RegistrationTokenError::Unknown);
        let issued = || issued().into();
        given(vec![issued()]).when(usage(2, 2)).then_expect_error(RegistrationTokenError::Unknown);
        given(vec![issued()])
            .when(usage(1, 100))
            .then_expect_error(RegistrationTokenError::Expired);
        given(vec![issued(), used().into()])
            .when(usage(1, 3))
            .then_expect_error(RegistrationTokenError::UsedUp);
        given(vec![issued(), RegistrationTokenRevoked { at: at(2) }.into()])
            .when(usage(1, 3))
            .then_expect_error(RegistrationTokenError::Revoked);
    }

    #[test]
    fn a_good_token_counts_each_client() {
        given(vec![issued().into()]).when(usage(1, 2)).then_expect_events(vec![used().into()]);
        let unlimited = RegistrationTokenIssued { uses: None, ..issued() };
        given(vec![unlimited.into(), used().into(), used().into()])
            .when(usage(1, 2))
            .then_expect_events(vec![used().into()]);
    }

    #[test]
    fn a_token_that_nobody_could_use_is_not_made() {
        for useless in [
            RegistrationTokenIssued { uses: Some(0), ..issued() },
            RegistrationTokenIssued { expires_at: Some(at(1)), ..issued() },
        ] {
            given(vec![])
                .when(RegistrationTokenCommand::Issue(useless.into()))
                .then_expect_error(RegistrationTokenError::Useless);
        }
        given(vec![])
            .when(RegistrationTokenCommand::Issue(issued().into()))
            .then_expect_events(vec![issued().into()]);
    }

    #[test]
    fn revoking_twice_is_one_event() {
        let revoke = || RegistrationTokenCommand::Revoke { now: at(2) };
        let revoked = RegistrationTokenRevoked { at: at(2) };
        given(vec![]).when(revoke()).then_expect_error(RegistrationTokenError::Unknown);
        given(vec![issued().into()])
            .when(revoke())
            .then_expect_events(vec![revoked.clone().into()]);
        given(vec![issued().into(), revoked.into()]).when(revoke()).then_expect_events(vec![]);
    }
}
