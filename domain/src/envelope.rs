//! What stands beside an event's payload: who did it, when, and in the course
//! of what. Flat strings, short names, never a secret, never personal data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, CommandId, SessionId, SubjectId};

/// The metadata of an event; the same for all events of one command.
///
/// Stored as one flat JSON object of strings. What is absent is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The command that caused the event.
    pub command_id: CommandId,
    /// When the command was decided, by the clock of its node: RFC 3339, UTC,
    /// in milliseconds.
    pub occurred_at: String,
    /// Who acted.
    #[serde(flatten)]
    pub actor: Actor,
    /// The client concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The subject concerned: a pseudonym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// The browser session concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// The HTTP request, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The trace that the command belongs to, and its place there (W3C Trace Context): of the
    /// HTTP request, of the event that this one answers, or of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Ties together what belongs to one attempt (the grant's id, mostly).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The event that this command answers: `aggregate_type/aggregate_id/sequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The node that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Who acted: kind, and which one of the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// What kind of actor.
    #[serde(rename = "actor")]
    pub kind: ActorKind,
    /// Which one: a client id, a subject, an operator's name, a process's name.
    #[serde(rename = "actor_ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// For whom, if not for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// The kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A client at one of its endpoints.
    Client,
    /// A person at a page.
    Subject,
    /// An operator, by command line or administration.
    Operator,
    /// The server itself: rotation, cascades, counters.
    System,
}
