//! The format of events: names, versions, JSON.
//!
//! An event is stored as its type, its version and the JSON of its fields. The
//! format is public and forever: fields are added with a default, a change of
//! meaning is a new version. What was written in an earlier version stays as it
//! is, for everybody to read: its struct is kept as `…V1`, with the `From` that
//! makes it the event of today ([`events!`]).

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::ids::AggregateKind;

/// An enum of events, with its stored format.
pub trait EventFormat: cqrs_es::DomainEvent {
    /// The event's type, as stored.
    fn name(&self) -> &'static str;

    /// The version of its format, as stored.
    fn version(&self) -> &'static str;

    /// The JSON of its fields.
    fn to_json(&self) -> Result<String, serde_json::Error>;

    /// Reads an event as stored, of any version that ever was.
    fn from_json(name: &str, version: &str, payload: &str) -> Result<Self, DecodeError>;

    /// What is written of each event, in every version that ever was.
    fn schemas(kind: AggregateKind) -> Vec<EventSchema>;
}

/// What is written of an event, for those who read it elsewhere.
#[derive(Debug, Clone)]
pub struct EventSchema {
    /// `aggregate_type`
    pub kind: AggregateKind,
    /// `event_type`
    pub name: &'static str,
    /// `event_version`
    pub version: &'static str,
    /// Is it the version that is written now? The others stand in older logs.
    pub is_current: bool,
    /// Of the payload (JSON Schema 2020-12). Members that it does not name may
    /// come at any time.
    pub schema: Schema,
}

/// All events that there are, in every version that ever was.
#[must_use]
pub fn schemas() -> Vec<EventSchema> {
    let of = |kind| match kind {
        AggregateKind::Grant => crate::grant::GrantEvent::schemas(kind),
        AggregateKind::Client => crate::client::ClientEvent::schemas(kind),
        AggregateKind::Account => crate::account::AccountEvent::schemas(kind),
        AggregateKind::Session => crate::session::SessionEvent::schemas(kind),
        AggregateKind::Consent => crate::consent::ConsentEvent::schemas(kind),
        AggregateKind::SigningKey => crate::signing_key::SigningKeyEvent::schemas(kind),
        AggregateKind::Tally => crate::tally::TallyEvent::schemas(kind),
        AggregateKind::RegistrationToken => {
            crate::registration_token::RegistrationTokenEvent::schemas(kind)
        }
        AggregateKind::ScopeDefinition => {
            crate::scope_definition::ScopeDefinitionEvent::schemas(kind)
        }
        AggregateKind::Log => crate::sealed_log::SealedLogEvent::schemas(kind),
    };
    AggregateKind::ALL.into_iter().flat_map(of).collect()
}

/// The schema of what stands beside an event's payload.
#[must_use]
pub fn metadata_schema() -> Schema {
    written::<crate::envelope::Envelope>()
}

/// The schema of what is written of a value.
pub(crate) fn written<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

/// What an event is called outside: `chancery.grant.CodeRedeemed.v1`
/// (CloudEvents 1.0 §3.1.1: `type`).
#[must_use]
pub fn type_name(kind: AggregateKind, name: &str, version: &str) -> String {
    format!("chancery.{kind}.{name}.v{version}")
}

/// Why a stored event can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type is not known: a newer version of Chancery wrote it.
    #[error("unknown event {name} version {version}: was it written by a newer version?")]
    Unknown {
        /// The event's type.
        name: String,
        /// Its version.
        version: String,
    },
    /// The fields are not what the type has.
    #[error("event {name} can't be read: {source}")]
    Malformed {
        /// The event's type.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Declares the enum of an aggregate's events: each variant carries the struct
/// of the same name. The literal is the current version of its format. Earlier
/// versions follow with their structs, of which it is made by `From`:
/// `CodeIssued = "2" ("1" CodeIssuedV1)`.
macro_rules! events {
    ($(#[$doc:meta])* $enum:ident {
        $($event:ident = $version:literal $(($($earlier:literal $was:ident),+))?,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $enum {
            $(#[doc = concat!("See [`", stringify!($event), "`].")] $event($event),)*
        }

        $(impl From<$event> for $enum {
            fn from(event: $event) -> Self {
                Self::$event(event)
            }
        })*

        impl cqrs_es::DomainEvent for $enum {
            fn event_type(&self) -> String {
                $crate::event::EventFormat::name(self).to_owned()
            }

            fn event_version(&self) -> String {
                $crate::event::EventFormat::version(self).to_owned()
            }
        }

        impl $crate::event::EventFormat for $enum {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => stringify!($event),)*
                }
            }

            fn version(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => $version,)*
                }
            }

            fn to_json(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$event(event) => serde_json::to_string(event),)*
                }
            }

            fn schemas(kind: $crate::ids::AggregateKind) -> Vec<$crate::event::EventSchema> {
                let of = |name, version, is_current, schema| $crate::event::EventSchema {
                    kind, name, version, is_current, schema,
                };
                vec![$(
                    $($(of(
                        stringify!($event), $earlier, false, $crate::event::written::<$was>(),
                    ),)+)?
                    of(stringify!($event), $version, true, $crate::event::written::<$event>()),
                )*]
            }

            fn from_json(
                name: &str,
                version: &str,
                payload: &str,
            ) -> Result<Self, $crate::event::DecodeError> {
                let read = match (name, version) {
                    $(
                        (stringify!($event), $version) => {
                            serde_json::from_str(payload).map(Self::$event)
                        }
                        $($((stringify!($event), $earlier) => {
                            serde_json::from_str::<$was>(payload)
                                .map(|was| Self::$event(was.into()))
                        })+)?
                    )*
                    _ => return Err($crate::event::DecodeError::Unknown {
                        name: name.to_owned(),
                        version: version.to_owned(),
                    }),
                };
                read.map_err(|source| $crate::event::DecodeError::Malformed {
                    name: name.to_owned(),
                    source,
                })
            }
        }
    };
}
pub(crate) use events;

/// Gives an aggregate its cqrs-es face: decide, write, apply.
macro_rules! aggregate {
    ($aggregate:ty, $kind:expr, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = $kind.as_str();
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.assign(event);
            }
        }
    };
}
pub(crate) use aggregate;

/// An event of any aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// Of a grant.
    Grant(crate::grant::GrantEvent),
    /// Of a client.
    Client(crate::client::ClientEvent),
    /// Of an account.
    Account(crate::account::AccountEvent),
    /// Of a session.
    Session(crate::session::SessionEvent),
    /// Of a consent.
    Consent(crate::consent::ConsentEvent),
    /// Of a signing key.
    SigningKey(crate::signing_key::SigningKeyEvent),
    /// Of a tally.
    Tally(crate::tally::TallyEvent),
    /// Of an initial access token.
    RegistrationToken(crate::registration_token::RegistrationTokenEvent),
    /// Of the definition of a scope.
    ScopeDefinition(crate::scope_definition::ScopeDefinitionEvent),
    /// Of the sealed log.
    Log(crate::sealed_log::SealedLogEvent),
}

impl AnyEvent {
    /// Reads an event as stored.
    pub fn from_json(
        kind: AggregateKind,
        name: &str,
        version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        Ok(match kind {
            AggregateKind::Grant => Self::Grant(EventFormat::from_json(name, version, payload)?),
            AggregateKind::Client => Self::Client(EventFormat::from_json(name, version, payload)?),
            AggregateKind::Account => {
                Self::Account(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::Session => {
                Self::Session(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::Consent => {
                Self::Consent(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::SigningKey => {
                Self::SigningKey(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::Tally => Self::Tally(EventFormat::from_json(name, version, payload)?),
            AggregateKind::RegistrationToken => {
                Self::RegistrationToken(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::ScopeDefinition => {
                Self::ScopeDefinition(EventFormat::from_json(name, version, payload)?)
            }
            AggregateKind::Log => Self::Log(EventFormat::from_json(name, version, payload)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;

    /// Told in seconds, then in milliseconds, then with who did it.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Rung {
        at_ms: u64,
        by: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct RungV2 {
        at_ms: u64,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct RungV1 {
        at: u64,
    }

    impl From<RungV2> for Rung {
        fn from(was: RungV2) -> Self {
            Self { at_ms: was.at_ms, by: "somebody".to_owned() }
        }
    }

    impl From<RungV1> for Rung {
        fn from(was: RungV1) -> Self {
            RungV2 { at_ms: was.at * 1000 }.into()
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Cast {}

    events! {
        /// What happens to a bell.
        BellEvent {
            Cast = "1",
            Rung = "3" ("1" RungV1, "2" RungV2),
        }
    }

    fn read(version: &str, payload: &Value) -> Result<BellEvent, DecodeError> {
        BellEvent::from_json("Rung", version, &payload.to_string())
    }

    #[test]
    fn an_event_of_an_earlier_version_is_read_as_that_of_today() {
        let rung = |by: &str| BellEvent::Rung(Rung { at_ms: 5000, by: by.to_owned() });
        assert_eq!(read("1", &json!({ "at": 5 })).unwrap(), rung("somebody"));
        assert_eq!(read("2", &json!({ "at_ms": 5000 })).unwrap(), rung("somebody"));
        assert_eq!(read("3", &json!({ "at_ms": 5000, "by": "me" })).unwrap(), rung("me"));
    }

    #[test]
    fn only_the_current_version_is_written() {
        let event = read("1", &json!({ "at": 5 })).unwrap();
        assert_eq!(event.version(), "3");
        assert_eq!(event.to_json().unwrap(), r#"{"at_ms":5000,"by":"somebody"}"#);
    }

    #[test]
    fn each_version_has_its_own_form() {
        for (version, payload) in [("1", json!({ "at_ms": 5 })), ("3", json!({ "at": 5 }))] {
            let error = read(version, &payload).unwrap_err();
            assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
        }
        let error = read("4", &json!({ "at_ms": 5, "by": "me" })).unwrap_err();
        assert!(matches!(error, DecodeError::Unknown { .. }), "{error}");
    }

    #[test]
    fn the_schemas_of_earlier_versions_are_told() {
        let all = BellEvent::schemas(AggregateKind::Tally);
        let told: Vec<_> =
            all.iter().map(|event| (event.name, event.version, event.is_current)).collect();
        assert_eq!(
            told,
            [("Cast", "1", true), ("Rung", "1", false), ("Rung", "2", false), ("Rung", "3", true)]
        );
        let schema = |n: usize| all.get(n).unwrap().schema.as_value().clone();
        assert!(schema(1)["properties"]["at"].is_object());
        assert!(schema(3)["properties"]["by"].is_object());
    }
}
