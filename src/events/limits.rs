//! What a reader may see: which events, and what of them (RFC 9396, the type
//! `chancery_events`).

use std::collections::BTreeSet;

use chancery_domain::ids::ClientId;
use chancery_domain::protocol::authorization_details::{AuthorizationDetails, EventsAccess};
use serde_json::{Map, Value};

use super::filter::{Filter, FilterError};
use super::schemas::Schemas;
use crate::stores::NewEvent;

/// What makes an event one (`CloudEvents` 1.0 §3), and what it is read on by: shown to everybody
/// who is shown the event.
const ALWAYS: [&str; 5] = ["specversion", "id", "source", "type", "cursor"];

/// What one reader may see. What one limit allows and what another one allows is both allowed.
#[derive(Debug, Clone, Default)]
pub struct Limits(Vec<Limit>);

#[derive(Debug, Clone)]
struct Limit {
    events: Filter,
    /// Empty: all.
    fields: BTreeSet<String>,
}

/// How much of an event may be seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    Nothing,
    /// These fields, and those of all events.
    Fields(BTreeSet<&'a str>),
    All,
}

/// Does this access speak of events that there are?
pub fn check(access: &EventsAccess, schemas: &Schemas) -> Result<(), FilterError> {
    filter(access, schemas).map(drop)
}

fn filter(access: &EventsAccess, schemas: &Schemas) -> Result<Filter, FilterError> {
    let types = access.event_types.iter().map(String::as_str);
    Filter::new(schemas, types, access.clients.iter().map(ClientId::as_str))
}

impl Limits {
    /// Those of a token with these details; without any, there are none.
    pub fn of(details: &AuthorizationDetails, schemas: &Schemas) -> Result<Self, FilterError> {
        let limit = |access: &EventsAccess| {
            Ok(Limit { events: filter(access, schemas)?, fields: access.fields.clone() })
        };
        details.events().map(limit).collect::<Result<_, _>>().map(Self)
    }

    /// Is there anything that may not be seen?
    #[must_use]
    pub fn are_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// May this event be seen at all?
    #[must_use]
    pub fn admit(&self, event: &NewEvent) -> bool {
        self.0.is_empty() || self.0.iter().any(|limit| limit.events.takes(event))
    }

    /// How much of this event may be seen.
    #[must_use]
    pub fn shown(&self, event: &NewEvent) -> Shown<'_> {
        if self.0.is_empty() {
            return Shown::All;
        }
        let mut shown = Shown::Nothing;
        for limit in self.0.iter().filter(|limit| limit.events.takes(event)) {
            if limit.fields.is_empty() {
                return Shown::All;
            }
            let more = limit.fields.iter().map(String::as_str);
            shown = match shown {
                Shown::Fields(fields) => Shown::Fields(fields.into_iter().chain(more).collect()),
                Shown::Nothing | Shown::All => Shown::Fields(more.collect()),
            };
        }
        shown
    }
}

/// Leaves of an event only these fields, and those of all events.
pub(super) fn narrow(event: &mut Map<String, Value>, fields: &BTreeSet<&str>) {
    event.retain(|name, value| match (name.as_str(), value) {
        ("data", Value::Object(members)) if !fields.contains("data") => {
            members.retain(|member, _| fields.contains(&*format!("data.{member}")));
            !members.is_empty()
        }
        (name, _) => ALWAYS.contains(&name) || fields.contains(name),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_listed_is_not_there() {
        let event = json!({
            "specversion": "1.0", "id": "i", "source": "s", "type": "t", "cursor": "c",
            "sub": "p", "clientid": "web", "data": { "scope": "read", "at": 1 },
        });
        let narrowed = |fields: &[&str]| {
            let mut event = event.as_object().unwrap().clone();
            narrow(&mut event, &fields.iter().copied().collect());
            event.retain(|name, _| !ALWAYS.contains(&name.as_str()));
            Value::from(event)
        };
        assert_eq!(narrowed(&["sub"]), json!({ "sub": "p" }));
        assert_eq!(narrowed(&["data.scope"]), json!({ "data": { "scope": "read" } }));
        assert_eq!(narrowed(&["data"]), json!({ "data": { "scope": "read", "at": 1 } }));
        assert_eq!(narrowed(&["data.none", "clientid"]), json!({ "clientid": "web" }));
    }
}
