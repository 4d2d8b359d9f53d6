//! Events as CloudEvents 1.0: each a JSON object in structured mode.
//!
//! What stands beside an event's payload in the log becomes extension
//! attributes: the same names without `_`, but `sub` for the subject, which
//! CloudEvents calls something else. `data` is the payload, byte for byte. An
//! event's id is its digest, the one that the sealed log is made of: it stays
//! the same wherever the event is read, and no other event has it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_domain::event::type_name;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::cursor::Cursors;
use super::limits::{Limits, Shown, narrow};
use crate::clock::rfc3339_ms;
use crate::services::Services;
use crate::stores::{Store, StoredEvent};

/// The type of an event's data.
pub const DATA: &str = "application/json";

/// Writes the events of one server as CloudEvents.
#[derive(Debug, Clone)]
pub struct CloudEvents {
    issuer: Box<str>,
    cursors: Cursors,
    limits: Arc<Limits>,
}

/// What stands in the log can't be read as JSON.
#[derive(Debug, thiserror::Error)]
#[error("event {position} can't be read: {source}")]
pub struct Unreadable {
    pub position: u64,
    source: serde_json::Error,
}

/// One event (CloudEvents 1.0 §3).
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: String,
    /// The aggregate.
    subject: String,
    /// When it was decided.
    time: Cow<'a, str>,
    datacontenttype: &'static str,
    dataschema: String,
    /// The extension `sequence` is a text.
    sequence: String,
    /// When the store took it (the extension Recorded Time).
    recordedtime: String,
    /// What is in order among itself (the extension Partitioning).
    partitionkey: &'a str,
    cursor: String,
    #[serde(flatten)]
    beside: Beside<'a>,
    data: &'a RawValue,
}

/// What stands beside the payload in the log, under the names of attributes.
#[derive(Serialize, Deserialize)]
struct Beside<'a> {
    #[serde(borrow, rename(deserialize = "command_id", serialize = "commandid"))]
    command_id: Cow<'a, str>,
    #[serde(borrow, skip_serializing)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow, default, rename(deserialize = "actor_ref", serialize = "actorref"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_ref: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "on_behalf_of", serialize = "onbehalfof"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "client_id", serialize = "clientid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "subject", serialize = "sub"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "session_id", serialize = "sessionid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "request_id", serialize = "requestid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "correlation_id", serialize = "correlationid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename(deserialize = "causation_id", serialize = "causationid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node: Option<Cow<'a, str>>,
}

impl CloudEvents {
    /// Of this server.
    #[must_use]
    pub fn of(services: &Services) -> Self {
        Self::from_issuer(services.issuer(), &*services.store)
    }

    /// Of the server with this issuer.
    #[must_use]
    pub fn from_issuer(issuer: &str, store: &dyn Store) -> Self {
        Self { issuer: issuer.into(), cursors: Cursors::of(store), limits: Arc::default() }
    }

    /// The same, with no more in them than may be seen.
    #[must_use]
    pub fn within(self, limits: &Arc<Limits>) -> Self {
        Self { limits: Arc::clone(limits), ..self }
    }

    /// The cursors that stand in them.
    #[must_use]
    pub fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    /// Appends an event as one line of JSON, without its end.
    pub fn write(&self, stored: &StoredEvent, to: &mut Vec<u8>) -> Result<(), Unreadable> {
        let written = match self.limits.shown(&stored.event) {
            Shown::All => self.event(stored).and_then(|event| serde_json::to_writer(to, &event)),
            Shown::Fields(fields) => self.narrowed(stored, &fields, to),
            Shown::Nothing => self.narrowed(stored, &BTreeSet::new(), to),
        };
        written.map_err(|source| Unreadable { position: stored.position, source })
    }

    fn narrowed(
        &self,
        stored: &StoredEvent,
        fields: &BTreeSet<&str>,
        to: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let mut event = serde_json::to_value(self.event(stored)?)?;
        if let Some(members) = event.as_object_mut() {
            narrow(members, fields);
        }
        serde_json::to_writer(to, &event)
    }

    /// An event as JSON.
    pub fn text(&self, stored: &StoredEvent) -> Result<String, Unreadable> {
        let mut text = Vec::new();
        self.write(stored, &mut text)?;
        String::from_utf8(text).map_err(|error| Unreadable {
            position: stored.position,
            source: serde::ser::Error::custom(error),
        })
    }

    /// The attributes of an event by name: all but its data. Their values are texts.
    pub(super) fn attributes(
        &self,
        stored: &StoredEvent,
    ) -> Result<Map<String, Value>, Unreadable> {
        let event = self
            .event(stored)
            .and_then(|event| serde_json::to_value(CloudEvent { data: RawValue::NULL, ..event }));
        let event = event.map_err(|source| Unreadable { position: stored.position, source })?;
        let Value::Object(mut attributes) = event else { return Ok(Map::new()) };
        attributes.remove("data");
        Ok(attributes)
    }

    fn event<'a>(&'a self, stored: &'a StoredEvent) -> Result<CloudEvent<'a>, serde_json::Error> {
        let event = &stored.event;
        let (kind, name) = (event.stream.kind.as_str(), &event.event_type);
        let (id, version) = (&*event.stream.id, &event.event_version);
        let mut beside: Beside<'a> = serde_json::from_str(&event.metadata)?;
        Ok(CloudEvent {
            specversion: "1.0",
            id: event.digest.to_string(),
            source: &self.issuer,
            r#type: type_name(event.stream.kind, name, version),
            subject: format!("{kind}/{id}"),
            time: std::mem::take(&mut beside.occurred_at),
            datacontenttype: DATA,
            dataschema: format!("{}/schemas/{kind}/{name}/{version}", self.issuer),
            sequence: event.sequence.to_string(),
            recordedtime: rfc3339_ms(stored.recorded_at_ms),
            partitionkey: id,
            cursor: self.cursors.at(stored.position),
            beside,
            data: serde_json::from_str(&event.payload)?,
        })
    }
}
