//! `authorization_details` (RFC 9396): access that is described finer than by
//! scopes. Of the types that this server itself protects: what stands there is
//! no personal data, and may stand in events.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::ClientId;

/// The longest parameter that is read, in bytes.
const MAX_LENGTH: usize = 8192;

/// The most objects, and the most entries of a list in one.
const MAX_DETAILS: usize = 20;
const MAX_ENTRIES: usize = 100;

/// The longest name in a list, in bytes.
const MAX_NAME: usize = 255;

/// Why `authorization_details` can't be had (RFC 9396 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetailsError {
    /// No array of objects with a type, or too large a one.
    #[error("authorization_details must be a JSON array of objects with a type, and not too large")]
    Malformed,
    /// Nobody knows this type.
    #[error("authorization_details has an object of an unknown type")]
    UnknownType,
    /// The type has no such members, or they are something else.
    #[error("authorization_details has an object that is not as its type has it")]
    NotOfType,
    /// The client may have less.
    #[error("the client may not have all of these authorization_details")]
    TooWide,
}

/// What a client may do, in detail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct AuthorizationDetails(Vec<AuthorizationDetail>);

/// One kind of access. What an object allows and what another one allows is
/// both allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AuthorizationDetail {
    /// To the stream of events.
    #[serde(rename = "chancery_events")]
    Events(EventsAccess),
}

/// Which events may be read, and what of them. An empty list sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsAccess {
    /// Only events of these types, as `CodeRedeemed`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub event_types: BTreeSet<String>,
    /// Only events that concern these clients.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clients: BTreeSet<ClientId>,
    /// Only these attributes; `data` is all of an event's data, `data.scope` one
    /// member of it, `sealed` what is sealed beside it (for who has the scope `events:pii`). The
    /// attributes that make an event one are always there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<String>,
}

impl AuthorizationDetails {
    /// The types that are known.
    pub const TYPES: &'static [&'static str] = &["chancery_events"];

    /// Reads the parameter.
    pub fn parse(text: &str) -> Result<Self, DetailsError> {
        if text.len() > MAX_LENGTH {
            return Err(DetailsError::Malformed);
        }
        Self::read(&serde_json::from_str(text).map_err(|_| DetailsError::Malformed)?)
    }

    /// Reads a JSON value.
    pub fn read(value: &Value) -> Result<Self, DetailsError> {
        let objects = value.as_array().ok_or(DetailsError::Malformed)?;
        if !(1..=MAX_DETAILS).contains(&objects.len()) {
            return Err(DetailsError::Malformed);
        }
        objects.iter().map(AuthorizationDetail::read).collect::<Result<_, _>>().map(Self)
    }

    /// Does it say nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The objects.
    pub fn iter(&self) -> std::slice::Iter<'_, AuthorizationDetail> {
        self.0.iter()
    }

    /// What a client gets that asks for these (or for none), where so much is
    /// set down for it (or nothing).
    pub fn granted(asked: Option<Self>, set_down: &Self) -> Result<Self, DetailsError> {
        let Some(asked) = asked else { return Ok(set_down.clone()) };
        let within = |own: &AuthorizationDetail| {
            set_down.is_empty() || set_down.iter().any(|most| own.is_within(most))
        };
        if asked.iter().all(within) { Ok(asked) } else { Err(DetailsError::TooWide) }
    }

    /// The limits of access to the stream of events; none: none are set.
    pub fn events(&self) -> impl Iterator<Item = &EventsAccess> {
        self.iter().map(|AuthorizationDetail::Events(access)| access)
    }
}

/// Open, as RFC 9396 §2 has it: there will be other types.
impl JsonSchema for AuthorizationDetails {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuthorizationDetails".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "What a client may do, in detail (RFC 9396).",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": { "type": "string" },
                    "event_types": { "type": "array", "items": { "type": "string" } },
                    "clients": { "type": "array", "items": { "type": "string" } },
                    "fields": { "type": "array", "items": { "type": "string" } },
                },
                "required": ["type"],
            },
        })
    }
}

impl<'de> Deserialize<'de> for AuthorizationDetails {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Array(none) if none.is_empty() => Ok(Self::default()),
            value => Self::read(&value).map_err(serde::de::Error::custom),
        }
    }
}

impl<'a> IntoIterator for &'a AuthorizationDetails {
    type Item = &'a AuthorizationDetail;
    type IntoIter = std::slice::Iter<'a, AuthorizationDetail>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl AuthorizationDetail {
    fn read(value: &Value) -> Result<Self, DetailsError> {
        let name = value.get("type").and_then(Value::as_str).ok_or(DetailsError::Malformed)?;
        if !AuthorizationDetails::TYPES.contains(&name) {
            return Err(DetailsError::UnknownType);
        }
        let detail = Self::deserialize(value).map_err(|_| DetailsError::NotOfType)?;
        let Self::Events(access) = &detail;
        if access.is_good() { Ok(detail) } else { Err(DetailsError::NotOfType) }
    }

    /// Does another one allow all that this one does?
    fn is_within(&self, most: &Self) -> bool {
        let (Self::Events(own), Self::Events(most)) = (self, most);
        own.is_within(most)
    }
}

impl EventsAccess {
    fn is_good(&self) -> bool {
        let is_name = |name: &String| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(good)
        };
        let is_field = |name: &String| match name.strip_prefix("data.") {
            Some(member) => is_name(&member.to_owned()),
            None => is_name(name),
        };
        let fits = |length: usize| length <= MAX_ENTRIES;
        fits(self.event_types.len())
            && fits(self.clients.len())
            && fits(self.fields.len())
            && self.event_types.iter().all(is_name)
            && self.fields.iter().all(is_field)
    }

    fn is_within(&self, most: &Self) -> bool {
        fn within<T: Ord>(own: &BTreeSet<T>, most: &BTreeSet<T>) -> bool {
            most.is_empty() || (!own.is_empty() && own.is_subset(most))
        }
        let field = |name: &String| {
            most.fields.contains(name)
                || (name.starts_with("data.") && most.fields.contains("data"))
        };
        let fields =
            most.fields.is_empty() || (!self.fields.is_empty() && self.fields.iter().all(field));
        within(&self.event_types, &most.event_types)
            && within(&self.clients, &most.clients)
            && fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(text: &str) -> AuthorizationDetails {
        AuthorizationDetails::parse(text).unwrap()
    }

    #[test]
    fn what_is_read_is_written_again() {
        let text = r#"[{"type":"chancery_events","event_types":["CodeIssued"],"clients":["web"],"fields":["data.scope","sub"]}]"#;
        assert_eq!(serde_json::to_string(&details(text)).unwrap(), text);
        let text = r#"[{"type":"chancery_events"}]"#;
        assert_eq!(serde_json::to_string(&details(text)).unwrap(), text);
    }

    /// RFC 9396 §5
    #[test]
    fn what_is_not_as_its_type_has_it_is_refused() {
        use DetailsError::{Malformed, NotOfType, UnknownType};
        let many = format!(
            r#"[{{"type":"chancery_events","event_types":[{}]}}]"#,
            (0..101).map(|number| format!("\"T{number}\"")).collect::<Vec<_>>().join(",")
        );
        for (text, error) in [
            ("", Malformed),
            ("{}", Malformed),
            ("[]", Malformed),
            ("[1]", Malformed),
            ("[{}]", Malformed),
            (r#"[{"type":1}]"#, Malformed),
            (r#"[{"type":"payment_initiation"}]"#, UnknownType),
            (r#"[{"type":"chancery_events"},{"type":"x"}]"#, UnknownType),
            (r#"[{"type":"chancery_events","actions":["read"]}]"#, NotOfType),
            (r#"[{"type":"chancery_events","event_types":"CodeIssued"}]"#, NotOfType),
            (r#"[{"type":"chancery_events","event_types":[""]}]"#, NotOfType),
            (r#"[{"type":"chancery_events","fields":["data."]}]"#, NotOfType),
            (r#"[{"type":"chancery_events","fields":["a b"]}]"#, NotOfType),
            (&many, NotOfType),
            (&format!("[{}]", " ".repeat(9000)), Malformed),
        ] {
            assert_eq!(AuthorizationDetails::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_client_gets_what_is_set_down_for_it_or_less() {
        let most = details(
            r#"[{"type":"chancery_events","event_types":["A","B"],"fields":["data","sub"]},
                {"type":"chancery_events","clients":["web"]}]"#,
        );
        let granted = |asked: Option<&str>| {
            AuthorizationDetails::granted(asked.map(details), &most).map_err(|error| {
                assert_eq!(error, DetailsError::TooWide);
            })
        };
        assert_eq!(granted(None).as_ref(), Ok(&most));
        for (asked, may) in [
            (r#"[{"type":"chancery_events"}]"#, false),
            (r#"[{"type":"chancery_events","event_types":["A"]}]"#, false),
            (r#"[{"type":"chancery_events","event_types":["A"],"fields":["data.x"]}]"#, true),
            (r#"[{"type":"chancery_events","event_types":["A","C"],"fields":["sub"]}]"#, false),
            (r#"[{"type":"chancery_events","clients":["web"],"fields":["time"]}]"#, true),
            (r#"[{"type":"chancery_events","clients":["web","app"]}]"#, false),
        ] {
            assert_eq!(granted(Some(asked)).is_ok(), may, "{asked}");
        }
        let none = AuthorizationDetails::default();
        let asked = details(r#"[{"type":"chancery_events"}]"#);
        assert_eq!(AuthorizationDetails::granted(Some(asked.clone()), &none), Ok(asked));
    }
}
