//! The format of events: names, versions, JSON.
//!
//! An event is stored as its type, its version and the JSON of its fields. The
//! format is public and forever: fields are added with a default, a change of
//! meaning is a new version with an upcaster beside the event.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

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
    fn from_json(name: &str, version: &str, payload: Value) -> Result<Self, DecodeError>;

    /// The JSON Schema of each event's fields, with its type and version.
    fn schemas() -> Vec<(&'static str, &'static str, Schema)>;
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
    /// Of the payload (JSON Schema 2020-12). Members that it does not name may
    /// come at any time.
    pub schema: Schema,
}

/// All events that there are, as they are written now.
#[must_use]
pub fn schemas() -> Vec<EventSchema> {
    fn of<E: EventFormat>(kind: AggregateKind) -> impl Iterator<Item = EventSchema> {
        let schemas = E::schemas().into_iter();
        schemas.map(move |(name, version, schema)| EventSchema { kind, name, version, schema })
    }
    let mut all = Vec::new();
    for kind in AggregateKind::ALL {
        match kind {
            AggregateKind::Grant => all.extend(of::<crate::grant::GrantEvent>(kind)),
            AggregateKind::Client => all.extend(of::<crate::client::ClientEvent>(kind)),
            AggregateKind::Account => all.extend(of::<crate::account::AccountEvent>(kind)),
            AggregateKind::Session => all.extend(of::<crate::session::SessionEvent>(kind)),
            AggregateKind::Consent => all.extend(of::<crate::consent::ConsentEvent>(kind)),
            AggregateKind::SigningKey => {
                all.extend(of::<crate::signing_key::SigningKeyEvent>(kind));
            }
            AggregateKind::Tally => all.extend(of::<crate::tally::TallyEvent>(kind)),
            AggregateKind::RegistrationToken => {
                all.extend(of::<crate::registration_token::RegistrationTokenEvent>(kind));
            }
            AggregateKind::ScopeDefinition => {
                all.extend(of::<crate::scope_definition::ScopeDefinitionEvent>(kind));
            }
            AggregateKind::Log => all.extend(of::<crate::sealed_log::SealedLogEvent>(kind)),
        }
    }
    all
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
/// of the same name. The literal is the current version of its format.
macro_rules! events {
    ($(#[$doc:meta])* $enum:ident { $($event:ident = $version:literal,)* }) => {
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

            fn schemas() -> Vec<(&'static str, &'static str, schemars::Schema)> {
                vec![$((stringify!($event), $version, $crate::event::written::<$event>()),)*]
            }

            fn from_json(
                name: &str,
                version: &str,
                payload: serde_json::Value,
            ) -> Result<Self, $crate::event::DecodeError> {
                match (name, version) {
                    $((stringify!($event), $version) => serde_json::from_value(payload)
                        .map(Self::$event)
                        .map_err(|source| $crate::event::DecodeError::Malformed {
                            name: name.to_owned(),
                            source,
                        }),)*
                    _ => Err($crate::event::DecodeError::Unknown {
                        name: name.to_owned(),
                        version: version.to_owned(),
                    }),
                }
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
        payload: Value,
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
