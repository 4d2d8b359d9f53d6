//! An event as a message: in structured mode its body is all of it, in binary
//! mode its body is the data, and the attributes stand in headers.

use std::fmt::Write as _;

use serde_json::Value;

use super::envelope::{CloudEvents, Unreadable};
use crate::config::sinks::Mode;
use crate::stores::StoredEvent;

/// The type of the content in structured mode (`CloudEvents` 1.0, JSON format §3).
pub const STRUCTURED: &str = "application/cloudevents+json";

/// An event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The attributes, as `ce-…`; none in structured mode. (HTTP has `datacontenttype` in
    /// `Content-Type`, NATS in its own header like the others.)
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// Writes an event.
    pub fn of(events: &CloudEvents, stored: &StoredEvent, mode: Mode) -> Result<Self, Unreadable> {
        if mode == Mode::Structured {
            let body = events.text(stored)?.into_bytes();
            return Ok(Self { headers: Vec::new(), body });
        }
        let attributes = events.attributes(stored)?;
        let header = |(name, value): (String, Value)| {
            let value = value.as_str().map(encoded)?;
            Some((format!("ce-{name}"), value))
        };
        let headers = attributes.into_iter().filter_map(header).collect();
        Ok(Self { headers, body: stored.event.payload.as_bytes().to_vec() })
    }
}

/// A value as it stands in a header (`CloudEvents` 1.0, HTTP binding §3.1.3.2).
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_can_not_hold_is_percent_encoded() {
        assert_eq!(encoded("https://as.example/%"), "https://as.example/%25");
        assert_eq!(encoded("Euro \u{20ac} \u{1f600}\""), "Euro%20%E2%82%AC%20%F0%9F%98%80%22");
    }
}
