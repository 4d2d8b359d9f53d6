//! An event of the log, read into types.

use std::sync::Arc;

use chancery_domain::envelope::Envelope;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, ClientId};

use crate::Value;

/// An event as it stands in the log, before anybody has read it.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    pub position: u64,
    pub recorded_at_ms: i64,
    pub kind: AggregateKind,
    pub id: &'a Arc<str>,
    pub sequence: u64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    /// JSON.
    pub payload: &'a str,
    /// JSON.
    pub metadata: &'a Arc<str>,
}

/// An event that has been recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the order of the whole log.
    pub position: u64,
    /// When the store took it: milliseconds since 1970.
    pub recorded_at_ms: i64,
    /// `aggregate_type`
    pub kind: AggregateKind,
    /// `aggregate_id`
    pub id: Arc<str>,
    /// Its place in the history of the aggregate, from 1.
    pub sequence: u64,
    /// What happened.
    pub event: AnyEvent,
    metadata: Arc<str>,
}

/// A stored event that this version can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position} ({kind}/{id}/{sequence}): {why}")]
pub struct Undecodable {
    pub position: u64,
    pub kind: AggregateKind,
    pub id: Arc<str>,
    pub sequence: u64,
    pub why: String,
}

impl Recorded {
    /// Reads an event as stored, of any version that ever was.
    pub fn decode(raw: RawEvent<'_>) -> Result<Self, Undecodable> {
        let event = AnyEvent::from_json(raw.kind, raw.event_type, raw.event_version, raw.payload)
            .map_err(|error| Undecodable {
            position: raw.position,
            kind: raw.kind,
            id: Arc::clone(raw.id),
            sequence: raw.sequence,
            why: error.to_string(),
        })?;
        Ok(Self {
            position: raw.position,
            recorded_at_ms: raw.recorded_at_ms,
            kind: raw.kind,
            id: Arc::clone(raw.id),
            sequence: raw.sequence,
            event,
            metadata: Arc::clone(raw.metadata),
        })
    }

    /// What stands beside the event; read when asked for, since folds seldom ask.
    pub fn envelope(&self) -> Result<Envelope, Undecodable> {
        serde_json::from_str(&self.metadata).map_err(|error| Undecodable {
            position: self.position,
            kind: self.kind,
            id: Arc::clone(&self.id),
            sequence: self.sequence,
            why: format!("the metadata can't be read: {error}"),
        })
    }

    /// When the store took it, in seconds since 1970.
    #[must_use]
    pub fn recorded_at(&self) -> i64 {
        self.recorded_at_ms.div_euclid(1000)
    }

    /// When it was decided, by the clock of its node, in seconds since 1970; when it was taken,
    /// if the envelope doesn't say.
    #[must_use]
    pub fn happened_at(&self) -> i64 {
        self.happened_at_ms().div_euclid(1000)
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn happened_at_ms(&self) -> i64 {
        self.member("occurred_at").and_then(milliseconds).unwrap_or(self.recorded_at_ms)
    }

    /// The client concerned, as the envelope has it.
    #[must_use]
    pub fn client(&self) -> Option<ClientId> {
        self.member("client_id")?.parse().ok()
    }

    /// A member of the envelope, found without reading the whole: what comes of each event asks
    /// for one or two. (Quotes inside of a text are escaped, so nothing else looks like a member.
    /// What we ask for has no escapes in it.)
    fn member(&self, name: &str) -> Option<&str> {
        let mut rest: &str = &self.metadata;
        loop {
            let (before, after) = rest.split_once(name)?;
            rest = after;
            let value = after.strip_prefix('"').filter(|_| before.ends_with('"'));
            let value = value.map(str::trim_ascii_start).and_then(|text| text.strip_prefix(':'));
            let value = value.map(str::trim_ascii_start).and_then(|text| text.strip_prefix('"'));
            if let Some(value) = value {
                return value.split('"').next();
            }
        }
    }

    pub(crate) fn position_value(&self) -> Value {
        i64::try_from(self.position).unwrap_or(i64::MAX).into()
    }

    /// The event's name, as causation ids have it: `aggregate_type/aggregate_id/sequence`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}/{}", self.kind, self.id, self.sequence)
    }
}

/// The time of an envelope (`2024-02-29T23:59:59.999Z`) in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    // Years begin in March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469;
    Some(((days * 24 + part(11, 13)?) * 60 + part(14, 16)?) * 60 + part(17, 19)?)
}

/// The same in milliseconds.
fn milliseconds(time: &str) -> Option<i64> {
    let fraction = time.get(20..23).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    Some(seconds(time)? * 1000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(metadata: &str) -> Recorded {
        Recorded::decode(RawEvent {
            position: 1,
            recorded_at_ms: 5,
            kind: AggregateKind::Grant,
            id: &"0190c0ffee00700080000000000000aa".into(),
            sequence: 1,
            event_type: "ConsentGiven",
            event_version: "1",
            payload: r#"{"scope":"openid"}"#,
            metadata: &metadata.into(),
        })
        .unwrap()
    }

    #[test]
    fn the_client_and_the_time_are_found_in_the_envelope() {
        for metadata in [
            r#"{"occurred_at":"1970-01-01T00:00:01.234Z","actor":"client","client_id":"rp"}"#,
            r#"{ "occurred_at" : "1970-01-01T00:00:01.234Z", "actor_ref": "client_id",
                "client_id": "rp" }"#,
            r#"{"request_id":"\"client_id\":\"no\"","client_id":"rp",
                "occurred_at":"1970-01-01T00:00:01.234Z"}"#,
        ] {
            let event = beside(metadata);
            assert_eq!(event.client().unwrap().as_str(), "rp", "{metadata}");
            assert_eq!(event.happened_at_ms(), 1234, "{metadata}");
            assert_eq!(event.happened_at(), 1);
        }
        let silent =
            beside(r#"{"actor_ref":"client_id","own_client_id":"x","request_id":"occurred_at"}"#);
        assert_eq!((silent.client(), silent.happened_at_ms()), (None, 5));
    }

    #[test]
    fn times_of_envelopes_are_read() {
        for (time, expected) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199),
            ("2024-03-01T00:00:00.000Z", 1_709_251_200),
            ("2000-12-31T12:30:15.001Z", 978_265_815),
            ("1969-12-31T23:59:59.000Z", -1),
        ] {
            assert_eq!(seconds(time), Some(expected), "{time}");
        }
        for wrong in ["", "yesterday", "2024-02-29", "2024-xx-29T23:59:59.999Z"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
