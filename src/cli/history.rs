//! What happened to one thing, who did it and why: `client history`, `account
//! history`, and part of `grant show`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::access::Access;
use super::exit::CliError;
use super::output::{self, Format};
use crate::clock::rfc3339_ms;
use crate::feed::decode;
use crate::stores::{StoredEvent, StreamId};
use crate::timeline;

/// One event, in words and as stored.
#[derive(Debug, Serialize)]
pub struct Happening {
    pub position: u64,
    sequence: u64,
    recorded_at: String,
    occurred_at: String,
    event_type: String,
    summary: String,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    payload: Box<RawValue>,
    metadata: Box<RawValue>,
    digest: String,
}

impl Happening {
    pub fn of(stored: &StoredEvent) -> Result<Self, CliError> {
        let recorded = decode(stored).map_err(unreadable)?;
        let envelope = recorded.envelope().map_err(unreadable)?;
        let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(CliError::failed);
        Ok(Self {
            position: stored.position,
            sequence: stored.event.sequence,
            recorded_at: rfc3339_ms(stored.recorded_at_ms),
            occurred_at: envelope.occurred_at.clone(),
            event_type: stored.event.event_type.to_string(),
            summary: timeline::summary(&recorded.event),
            actor: timeline::actor(&envelope),
            reason: timeline::reason(&recorded.event, &envelope),
            payload: raw(&stored.event.payload)?,
            metadata: raw(&stored.event.metadata)?,
            digest: stored.event.digest.to_string(),
        })
    }
}

/// An event that this program can't read.
#[must_use]
pub fn unreadable(error: chancery_projections::Undecodable) -> CliError {
    CliError::failed(error).hint("was it written by a newer version? `chancery replay` says more")
}

/// Prints events for people.
pub fn table(events: Vec<Happening>) -> std::io::Result<()> {
    let headings = ["position", "time", "what happened", "who", "why"];
    let row = |event: Happening| {
        [
            event.position.to_string(),
            event.recorded_at,
            event.summary,
            event.actor,
            event.reason.unwrap_or_default(),
        ]
    };
    output::table(headings, events.into_iter().map(row))
}

/// All that happened to a client or an account.
pub async fn read(
    access: &Access,
    stream: &StreamId,
    what: &str,
) -> Result<Vec<Happening>, CliError> {
    let stored = access.store().history(stream).await?;
    if stored.is_empty() {
        return Err(CliError::not_found(what, &stream.id));
    }
    stored.iter().map(Happening::of).collect()
}

/// Prints it.
pub fn print(events: Vec<Happening>, format: Format) -> Result<(), CliError> {
    Ok(if format.json { output::json(&events) } else { table(events) }?)
}
