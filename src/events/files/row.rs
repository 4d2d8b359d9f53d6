//! An event as a row of a table: which columns there are, and what stands in
//! them. Names are those of the lines of `chancery events` and of the metadata in
//! them.

use std::borrow::Cow;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stores::StoredEvent;

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Integer,
    /// Milliseconds since 1970, UTC.
    Time,
    /// Of few different values, or such that come again.
    Name,
    /// No two alike.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// May it be empty?
    pub optional: bool,
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn perhaps(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

/// All columns, in the order of [`row`].
pub const COLUMNS: [Column; 24] = [
    always("position", Kind::Integer),
    always("recorded_at", Kind::Time),
    perhaps("occurred_at", Kind::Time),
    always("aggregate_type", Kind::Name),
    always("aggregate_id", Kind::Name),
    always("sequence", Kind::Integer),
    always("event_type", Kind::Name),
    always("event_version", Kind::Name),
    perhaps("client_id", Kind::Name),
    perhaps("subject", Kind::Name),
    perhaps("session_id", Kind::Name),
    perhaps("request_id", Kind::Name),
    perhaps("trace_id", Kind::Name),
    perhaps("actor", Kind::Name),
    perhaps("actor_ref", Kind::Name),
    perhaps("on_behalf_of", Kind::Name),
    perhaps("command_id", Kind::Name),
    perhaps("correlation_id", Kind::Name),
    perhaps("causation_id", Kind::Name),
    perhaps("node", Kind::Name),
    always("payload", Kind::Text),
    always("metadata", Kind::Text),
    always("prev_digest", Kind::Text),
    always("digest", Kind::Text),
];

/// What stands in one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    Empty,
    Integer(i64),
    Text(Cow<'a, str>),
}

/// An event's metadata, as far as they have columns. Whatever an event has not
/// is an empty field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Beside<'a> {
    #[serde(borrow)]
    occurred_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    actor_ref: Option<Cow<'a, str>>,
    #[serde(borrow)]
    on_behalf_of: Option<Cow<'a, str>>,
    #[serde(borrow)]
    command_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    causation_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
}

/// The fields of an event, in the order of [`COLUMNS`].
pub fn row(stored: &StoredEvent) -> Result<[Field<'_>; COLUMNS.len()], serde_json::Error> {
    let event = &stored.event;
    let beside: Beside<'_> = serde_json::from_str(&event.metadata)?;
    Ok([
        number(stored.position),
        Field::Integer(stored.recorded_at_ms),
        beside.occurred_at.as_deref().and_then(moment).map_or(Field::Empty, Field::Integer),
        text(event.stream.kind.as_str()),
        text(&event.stream.id),
        number(event.sequence),
        text(&event.event_type),
        text(&event.event_version),
        perhaps_text(beside.client_id),
        perhaps_text(beside.subject),
        perhaps_text(beside.session_id),
        perhaps_text(beside.request_id),
        perhaps_text(beside.traceparent.as_deref().and_then(trace_id).map(Cow::Owned)),
        perhaps_text(beside.actor),
        perhaps_text(beside.actor_ref),
        perhaps_text(beside.on_behalf_of),
        perhaps_text(beside.command_id),
        perhaps_text(beside.correlation_id),
        perhaps_text(beside.causation_id),
        perhaps_text(beside.node),
        text(&event.payload),
        text(&event.metadata),
        Field::Text(event.prev_digest.to_string().into()),
        Field::Text(event.digest.to_string().into()),
    ])
}

fn number(number: u64) -> Field<'static> {
    Field::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn text(text: &str) -> Field<'_> {
    Field::Text(Cow::Borrowed(text))
}

fn perhaps_text(text: Option<Cow<'_, str>>) -> Field<'_> {
    text.map_or(Field::Empty, Field::Text)
}

/// RFC 3339 as milliseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// W3C Trace Context §3.2.2: `version-trace_id-parent_id-flags`.
fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_milliseconds_whatever_its_offset() {
        assert_eq!(moment("1970-01-01T00:00:01.250Z"), Some(1250));
        assert_eq!(moment("1970-01-01T01:00:01.250+01:00"), Some(1250));
        assert_eq!(moment("1969-12-31T23:59:59.999Z"), Some(-1));
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn a_trace_is_known_by_its_second_field() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(parent).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trace_id("nonsense"), None);
    }
}
