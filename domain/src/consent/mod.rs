//! The consent: what one person allows one client, remembered. Its id follows
//! from the two ([`crate::ids::ConsentId::of`]).

use std::collections::BTreeSet;

use schemars::JsonSchema;
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentRecorded {
    /// Who.
    pub subject: SubjectId,
    /// Whom.
    pub client_id: ClientId,
    /// All that is allowed from now on.
    pub scope: Scope,
    /// All claims that are allowed by name (OpenID Connect Core §5.5), beside those
    /// that the scope brings.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claims: BTreeSet<String>,
    /// The grant whose consent page it was.
    pub grant_id: GrantId,
    /// When.
    pub at: UnixTime,
}

/// The person took it back; the client's grants of this person end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        /// And which claims, by name.
        #[serde(default)]
        claims: BTreeSet<String>,
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
        /// And which claims, by name.
        claims: BTreeSet<String>,
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

    /// Are these claims allowed by name?
    #[must_use]
    pub fn covers_claims(&self, asked: &BTreeSet<String>) -> bool {
        self.claims().map_or(asked.is_empty(), |claims| asked.is_subset(claims))
    }

    /// The claims allowed by name.
    #[must_use]
    pub fn claims(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::None => None,
            Self::Given { claims, .. } => Some(claims),
        }
    }

    fn decide(&self, command: ConsentCommand) -> Result<Vec<ConsentEvent>, ConsentError> {
        Ok(match (self, command) {
            (
                current,
                ConsentCommand::Record { subject, client_id, scope, claims, grant_id, now },
            ) => {
                let scope = current.scope().map_or_else(|| scope.clone(), |own| own.union(&scope));
                let claims: BTreeSet<String> =
                    current.claims().into_iter().flatten().cloned().chain(claims).collect();
                if current.scope() == Some(&scope) && current.claims() == Some(&claims) {
                    return Ok(vec![]);
                }
                let at = now;
                vec![ConsentRecorded { subject, client_id, scope, claims, grant_id, at }.into()]
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
                claims: event.claims,
            },
            ConsentEvent::ConsentWithdrawn(_) => Self::None,
        };
    }
}

aggregate!(Consent, AggregateKind::Consent, ConsentCommand, ConsentEvent, ConsentError);

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use super::*;
    use crate::ids::ConsentId;

    fn given(events: Vec<ConsentEvent>) -> AggregateTestExecutor<Consent> {
        TestFramework::with(()).given(events)
    }

    fn folded(events: Vec<ConsentEvent>) -> Consent {
        let mut consent = Consent::default();
        for event in events {
            consent.assign(event);
        }
        consent
    }

    fn subject() -> SubjectId {
        SubjectId::from_uuid(uuid::Uuid::from_u128(1))
    }

    fn client() -> ClientId {
        ClientId::parse("rp").unwrap()
    }

    fn grant() -> GrantId {
        GrantId::from_uuid(uuid::Uuid::from_u128(2))
    }

    fn scope(names: &str) -> Scope {
        Scope::parse(names).unwrap()
    }

    fn record(names: &str) -> ConsentCommand {
        ConsentCommand::Record {
            subject: subject(),
            client_id: client(),
            scope: scope(names),
            claims: BTreeSet::new(),
            grant_id: grant(),
            now: UnixTime::from_seconds(5),
        }
    }

    fn recorded(names: &str) -> ConsentEvent {
        ConsentRecorded {
            subject: subject(),
            client_id: client(),
            scope: scope(names),
            claims: BTreeSet::new(),
            grant_id: grant(),
            at: UnixTime::from_seconds(5),
        }
        .into()
    }

    fn withdraw() -> ConsentCommand {
        ConsentCommand::Withdraw { now: UnixTime::from_seconds(6) }
    }

    fn withdrawn() -> ConsentEvent {
        ConsentWithdrawn { subject: subject(), client_id: client(), at: UnixTime::from_seconds(6) }
            .into()
    }

    #[test]
    fn nothing_is_withdrawn_where_nothing_is_allowed() {
        given(vec![]).when(withdraw()).then_expect_events(vec![]);
        given(vec![recorded("openid"), withdrawn()]).when(withdraw()).then_expect_events(vec![]);
    }

    #[test]
    fn what_is_allowed_already_is_no_event() {
        for names in ["openid", "email openid", ""] {
            given(vec![recorded("openid email")]).when(record(names)).then_expect_events(vec![]);
        }
    }

    #[test]
    fn a_consent_covers_no_more_than_was_allowed() {
        assert!(!folded(vec![]).covers(&scope("")));
        let consent = folded(vec![recorded("openid email")]);
        assert!(consent.covers(&scope("email")));
        assert!(!consent.covers(&scope("email admin")));
        assert!(!folded(vec![recorded("openid"), withdrawn()]).covers(&scope("openid")));
    }

    /// OpenID Connect Core §5.5
    #[test]
    fn claims_are_allowed_by_name() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let command = |claims| match record("openid") {
            ConsentCommand::Record { subject, client_id, scope, grant_id, now, .. } => {
                ConsentCommand::Record { subject, client_id, scope, claims, grant_id, now }
            }
            other @ ConsentCommand::Withdraw { .. } => other,
        };
        let event = |claims| match recorded("openid") {
            ConsentEvent::ConsentRecorded(event) => ConsentRecorded { claims, ..event }.into(),
            other @ ConsentEvent::ConsentWithdrawn(_) => other,
        };
        let email = event(names(&["email"]));
        given(vec![recorded("openid")])
            .when(command(names(&["email"])))
            .then_expect_events(vec![email.clone()]);
        given(vec![email.clone()]).when(command(names(&["email"]))).then_expect_events(vec![]);
        given(vec![email.clone()])
            .when(command(names(&["name"])))
            .then_expect_events(vec![event(names(&["email", "name"]))]);
        let consent = folded(vec![email.clone()]);
        assert!(consent.covers_claims(&names(&["email"])) && consent.covers_claims(&names(&[])));
        assert!(!consent.covers_claims(&names(&["email", "name"])));
        assert!(folded(vec![]).covers_claims(&names(&[])));
        assert!(!folded(vec![email, withdrawn()]).covers_claims(&names(&["email"])));
    }

    #[test]
    fn a_first_consent_is_recorded() {
        given(vec![]).when(record("openid")).then_expect_events(vec![recorded("openid")]);
        given(vec![]).when(record("")).then_expect_events(vec![recorded("")]);
    }

    #[test]
    fn a_later_consent_adds_to_the_earlier_one() {
        given(vec![recorded("openid email")])
            .when(record("openid read"))
            .then_expect_events(vec![recorded("openid email read")]);
    }

    #[test]
    fn a_consent_taken_back_is_gone_as_a_whole() {
        given(vec![recorded("openid")]).when(withdraw()).then_expect_events(vec![withdrawn()]);
        given(vec![recorded("openid"), withdrawn()])
            .when(record("email"))
            .then_expect_events(vec![recorded("email")]);
    }

    #[test]
    fn a_consent_is_found_by_subject_and_client() {
        let id = ConsentId::of(subject(), &client());
        let other_person = SubjectId::from_uuid(uuid::Uuid::from_u128(3));
        assert_eq!(id, ConsentId::of(subject(), &client()));
        assert_ne!(id, ConsentId::of(other_person, &client()));
        assert_ne!(id, ConsentId::of(subject(), &ClientId::parse("rp2").unwrap()));
    }
}
