//! The consent: what one person allows one client, remembered. Its id follows
//! from the two ([`crate::ids::ConsentId::of`]).

use serde::{Deserialize, Serialize};

use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, ClientId, GrantId, SubjectId};
use crate::protocol::scope::Scope;
use crate::time::UnixTime;

events! {
    /// What has happened to a consent.
    ConsentEvent {
        ConsentRecorded = "1",
        ConsentWithdrawn = "1",
    }
}

/// The person allowed something, once or once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentRecorded {
    /// Who.
    pub subject: SubjectId,
    /// Whom.
    pub client_id: ClientId,
    /// All that is allowed from now on.
    pub scope: Scope,
    /// The grant whose consent page it was.
    pub grant_id: GrantId,
    /// When.
    pub at: UnixTime,
}

/// The person took it back; the client's grants of this person end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentWithdrawn {
    /// Who.
    pub subject: SubjectId,
    /// Whom.
    pub client_id: ClientId,
    /// When.
    pub at: UnixTime,
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Consent {
    /// Nothing is allowed.
    #[default]
    None,
    /// Something is allowed.
    Given {
        /// Who.
        subject: SubjectId,
        /// Whom.
        client_id: ClientId,
        /// What.
        scope: Scope,
    },
}

/// What can be done to a consent.
#[derive(Debug, Clone)]
pub enum ConsentCommand {
    /// Adds to it.
    Record {
        /// Who.
        subject: SubjectId,
        /// Whom.
        client_id: ClientId,
        /// What was allowed now.
        scope: Scope,
        /// The grant whose consent page it was.
        grant_id: GrantId,
        /// Now.
        now: UnixTime,
    },
    /// Takes it back.
    Withdraw {
        /// Now.
        now: UnixTime,
    },
}

/// Why a command was refused: it never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {}

impl Consent {
    /// What is allowed.
    #[must_use]
    pub fn covers(&self, asked: &Scope) -> bool {
        match self {
            Self::None => false,
            Self::Given { scope, .. } => asked.is_within(scope),
        }
    }

    /// The scope allowed, if any.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Self::None => None,
            Self::Given { scope, .. } => Some(scope),
        }
    }

    fn decide(&self, command: ConsentCommand) -> Result<Vec<ConsentEvent>, ConsentError> {
        Ok(match (self, command) {
            (current, ConsentCommand::Record { subject, client_id, scope, grant_id, now }) => {
                let all = current.scope().map_or_else(|| scope.clone(), |own| own.union(&scope));
                if current.scope() == Some(&all) {
                    return Ok(vec![]);
                }
                vec![ConsentRecorded { subject, client_id, scope: all, grant_id, at: now }.into()]
            }
            (Self::None, ConsentCommand::Withdraw { .. }) => vec![],
            (Self::Given { subject, client_id, .. }, ConsentCommand::Withdraw { now }) => {
                let (subject, client_id) = (*subject, client_id.clone());
                vec![ConsentWithdrawn { subject, client_id, at: now }.into()]
            }
        })
    }

    fn assign(&mut self, event: ConsentEvent) {
        *self = match event {
            ConsentEvent::ConsentRecorded(event) => Self::Given {
                subject: event.subject,
                client_id: event.client_id,
                scope: event.scope,
            },
            ConsentEvent::ConsentWithdrawn(_) => Self::None,
        };
    }
}

aggregate!(Consent, AggregateKind::Consent, ConsentCommand, ConsentEvent, ConsentError);
