//! One command's work: what it will append, with one envelope for all.

use std::borrow::Cow;
use std::sync::Arc;

use chancery_domain::envelope::{Actor, ActorKind, Envelope};
use chancery_domain::event::EventFormat;
use chancery_domain::grant::GrantEvent;
use chancery_domain::ids::{ClientId, CommandId, SessionId, SubjectId};

use super::vault::Apart;
use crate::clock::{Clock, rfc3339_ms};
use crate::entropy::Entropy;
use crate::stores::{Append, Head, NewEvent, StoreError, StreamId};
use crate::telemetry::trace;

/// Who asks for a command, and in the course of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub actor: Actor,
    pub client_id: Option<ClientId>,
    pub subject: Option<SubjectId>,
    pub session_id: Option<SessionId>,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
    pub causation_id: Option<String>,
}

impl Origin {
    /// An actor, and nothing else yet.
    #[must_use]
    pub fn of(kind: ActorKind, reference: Option<String>) -> Self {
        Self {
            actor: Actor { kind, reference, on_behalf_of: None },
            client_id: None,
            subject: None,
            session_id: None,
            request_id: None,
            correlation_id: None,
            causation_id: None,
        }
    }

    /// The server itself, in one of its functions.
    #[must_use]
    pub fn system(function: &str) -> Self {
        Self::of(ActorKind::System, Some(function.to_owned()))
    }

    /// A client at one of its endpoints.
    #[must_use]
    pub fn client(client_id: &ClientId) -> Self {
        let origin = Self::of(ActorKind::Client, Some(client_id.to_string()));
        Self { client_id: Some(client_id.clone()), ..origin }
    }

    /// A person at a page.
    #[must_use]
    pub fn subject(subject: SubjectId) -> Self {
        let origin = Self::of(ActorKind::Subject, Some(subject.to_string()));
        Self { subject: Some(subject), ..origin }
    }
}

/// What a command appends: grows aggregate by aggregate.
#[derive(Debug, Clone)]
pub struct Work {
    pub append: Append,
    /// Is written only if an event commits to it.
    pub apart: Option<Apart>,
    metadata: Arc<str>,
}

impl Work {
    /// Work of one command, decided now on this node. Which trace it belongs to,
    /// and which request, the task knows that makes it.
    pub fn new(
        origin: Origin,
        node: &str,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let now_ms = clock.now_ms();
        let command_id = CommandId::from_uuid(entropy.uuid_v7(now_ms));
        let envelope = Envelope {
            command_id,
            occurred_at: rfc3339_ms(now_ms),
            actor: origin.actor,
            client_id: origin.client_id,
            subject: origin.subject,
            session_id: origin.session_id,
            request_id: origin.request_id.or_else(trace::request_id),
            traceparent: Some(trace::of_command(command_id).to_string()),
            correlation_id: origin.correlation_id,
            causation_id: origin.causation_id,
            node: Some(node.to_owned()),
        };
        let metadata = serde_json::to_string(&envelope).map_err(|error| unwritable(&error))?;
        Ok(Self { append: Append::default(), apart: None, metadata: metadata.into() })
    }

    /// Adds an aggregate's new events behind its head; gives the new head.
    pub fn add<E: EventFormat>(
        &mut self,
        stream: &StreamId,
        head: Head,
        events: &[E],
    ) -> Result<Head, StoreError> {
        let mut head = head;
        for event in events {
            let mut new = NewEvent {
                stream: stream.clone(),
                sequence: head.sequence + 1,
                event_type: Cow::Borrowed(event.name()),
                event_version: Cow::Borrowed(event.version()),
                payload: event.to_json().map_err(|error| unwritable(&error))?.into(),
                metadata: Arc::clone(&self.metadata),
                prev_digest: head.digest,
                digest: head.digest,
            };
            new.digest = new.facts().digest();
            head = Head { sequence: new.sequence, digest: new.digest };
            self.append.events.push(new);
        }
        Ok(head)
    }

    /// Puts what was sealed apart beside the event that commits to it, if one of
    /// these does. They stand behind this head.
    pub fn place_apart(&mut self, stream: &StreamId, before: Head, events: &[GrantEvent]) {
        let Some(apart) = &self.apart else { return };
        let commits = |event: &GrantEvent| event.added_claims() == Some(apart.commitment);
        let sequence = (before.sequence + 1..).zip(events).find(|(_, event)| commits(event));
        if let (Some((sequence, _)), Some(apart)) = (sequence, self.apart.take()) {
            apart.place(&mut self.append, stream, sequence);
        }
    }

    /// Is there anything to append?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.append == Append::default()
    }
}

fn unwritable(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("an event could not be written as JSON: {error}"))
}
