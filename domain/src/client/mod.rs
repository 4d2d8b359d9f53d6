//! The client: who may ask for grants, how it proves itself, what it may have.
//!
//! RFC 7591 names its metadata. Secrets: a generated one of 256 bits is kept
//! as a digest in the event; one that a person chose is hashed slowly, and the hash
//! is sealed, since events go out of the house; one that is needed for MACs is
//! sealed itself.

mod metadata;
mod sector;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::metadata::{
    AccessTokenFormat, ApplicationType, ClientMetadata, InvalidMetadata, SecurityProfile,
    SubjectType,
};
pub use self::sector::Sector;
use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, ClientId, RegistrationTokenId};
use crate::protocol::client_auth_method::ClientAuthMethod;
use crate::protocol::scope::Scope;
use crate::secret::{ClientSecret, Digest, RegistrationAccessToken};
use crate::time::UnixTime;

events! {
    /// What has happened to a client.
    ClientEvent {
        ClientRegistered = "1",
        ClientMetadataReplaced = "1",
        ClientSecretRotated = "1",
        ClientDisabled = "1",
        ClientEnabled = "1",
        ClientDeleted = "1",
    }
}

/// A client was registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientRegistered {
    /// Its identifier.
    pub client_id: ClientId,
    /// What it is and may do.
    pub metadata: Box<ClientMetadata>,
    /// Its secret, if it is confidential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRecord>,
    /// When.
    pub at: UnixTime,
    /// How it registered itself; absent: an operator registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Box<Registration>>,
}

/// How a client registered itself (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// Who let it.
    pub by: Registrar,
    /// Who vouched for its software (RFC 7591 §2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_statement_issuer: Option<String>,
    /// What it looks after its registration with (RFC 7592 §1.2).
    pub access_token: Digest<RegistrationAccessToken>,
}

/// Who let a client register itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registrar {
    /// An operator, by this initial access token.
    InitialToken(RegistrationTokenId),
    /// Nobody: registration is open.
    Stranger,
}

/// All of a client's metadata was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientMetadataReplaced {
    /// What it is and may do from now on.
    pub metadata: Box<ClientMetadata>,
}

/// A client got a new secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecretRotated {
    /// The new one.
    pub secret: SecretRecord,
    /// Until when the one before is good too; absent: it ended at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<UnixTime>,
}

/// A client was switched off; its grants end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientDisabled {
    /// Why, in the operator's words.
    pub reason: String,
}

/// A client was switched on again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientEnabled {}

/// A client is no more; its grants end. (Its identifier is never given again.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientDeleted {
    /// When.
    pub at: UnixTime,
}

/// What is kept of a client secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretRecord {
    /// Generated, 256 bits: its digest.
    Generated(Digest<ClientSecret>),
    /// Chosen by a person: the commitment to its sealed argon2id hash.
    Chosen(Sha256Digest),
    /// Generated or chosen, and needed for MACs or encryption: the commitment to
    /// the sealed secret itself.
    Sealed(Sha256Digest),
}

/// A secret that is good until some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurrentSecret {
    /// What is kept of it.
    pub record: SecretRecord,
    /// The sequence of the event that brought it: where its sealed hash is found.
    pub sequence: u64,
    /// Until when; absent: for good.
    pub until: Option<UnixTime>,
}

/// A registered client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredClient {
    /// Its identifier.
    pub client_id: ClientId,
    /// What it is and may do.
    pub metadata: ClientMetadata,
    /// The newest secret first.
    pub secrets: Vec<CurrentSecret>,
    /// Has no operator switched it off? See [`Self::is_usable`].
    pub enabled: bool,
    /// When it was registered.
    pub registered_at: UnixTime,
    /// How it registered itself; absent: an operator registered it.
    #[serde(default)]
    pub registration: Option<Registration>,
    /// It is no more.
    #[serde(default)]
    pub deleted: bool,
    sequence: u64,
}

impl RegisteredClient {
    /// The secrets that are good now.
    pub fn secrets_at(&self, now: UnixTime) -> impl Iterator<Item = &CurrentSecret> {
        self.secrets.iter().filter(move |secret| secret.until.is_none_or(|until| now < until))
    }

    /// Is something of the client in need of a secret that the server can read,
    /// while of its present one only a digest is kept? It works once the secret
    /// is rotated.
    #[must_use]
    pub fn must_rotate_secret(&self) -> bool {
        let newest = self.secrets.first().map(|secret| &secret.record);
        self.metadata.needs_readable_secret() && !matches!(newest, Some(SecretRecord::Sealed(_)))
    }

    /// May it be used?
    #[must_use]
    pub fn is_usable(&self, now: UnixTime) -> bool {
        self.enabled && !self.deleted && self.metadata.client_expires_at.is_none_or(|end| now < end)
    }

    /// Did no operator register it?
    #[must_use]
    pub const fn is_self_registered(&self) -> bool {
        self.registration.is_some()
    }

    /// The scopes that it may have: of a client that registered itself none that
    /// is privileged, whatever its metadata say.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if !self.is_self_registered() || !self.metadata.scope.iter().any(Scope::is_privileged) {
            return self.metadata.scope.clone();
        }
        self.metadata.scope.iter().filter(|name| !Scope::is_privileged(name)).collect()
    }

    /// A client without credentials (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.metadata.token_endpoint_auth_method == ClientAuthMethod::None
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Client {
    /// No such client.
    #[default]
    Unknown,
    /// Registered, enabled or not.
    Registered(Box<RegisteredClient>),
}

/// What can be done to a client.
#[derive(Debug, Clone)]
pub enum ClientCommand {
    /// Registers it.
    Register {
        /// Its identifier.
        client_id: ClientId,
        /// What it is and may do.
        metadata: Box<ClientMetadata>,
        /// Its secret, where its method needs one.
        secret: Option<SecretRecord>,
        /// Now.
        now: UnixTime,
    },
    /// Registers it at its own wish (RFC 7591).
    RegisterItself {
        /// Its identifier.
        client_id: ClientId,
        /// What it is and may do.
        metadata: Box<ClientMetadata>,
        /// Its secret, where its method needs one.
        secret: Option<SecretRecord>,
        /// How.
        registration: Box<Registration>,
        /// Now.
        now: UnixTime,
    },
    /// Replaces its metadata.
    ReplaceMetadata(Box<ClientMetadata>),
    /// Gives it a new secret.
    RotateSecret {
        /// The new one.
        secret: SecretRecord,
        /// Until when the one before is good too.
        previous_until: Option<UnixTime>,
    },
    /// Switches it off.
    Disable {
        /// Why.
        reason: String,
    },
    /// Switches it on.
    Enable,
    /// Ends it for good (RFC 7592 §2.3).
    Delete {
        /// Now.
        now: UnixTime,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No client has this identifier.
    #[error("there is no such client")]
    Unknown,
    /// Another client has this identifier.
    #[error("a client with this client_id exists already")]
    Exists,
    /// The metadata contradict themselves.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// A client that registers itself asks for a scope that none such gets.
    #[error("the scope {0} is not for clients that register themselves")]
    PrivilegedScope(String),
    /// A confidential client was given no secret, or a public one was given one.
    #[error(
        "a client has a secret exactly if a method of its authentication or one of its algorithms \
         uses one"
    )]
    SecretMismatch,
}

impl Client {
    /// The client, if it was registered.
    #[must_use]
    pub fn registered(&self) -> Option<&RegisteredClient> {
        match self {
            Self::Unknown => None,
            Self::Registered(client) => Some(client),
        }
    }

    fn decide(&self, command: ClientCommand) -> Result<Vec<ClientEvent>, ClientError> {
        match (self, command) {
            (Self::Unknown, ClientCommand::Register { client_id, metadata, secret, now }) => {
                metadata.check()?;
                if metadata.needs_secret() != secret.is_some() {
                    return Err(ClientError::SecretMismatch);
                }
                let registration = None;
                let event = ClientRegistered { client_id, metadata, secret, at: now, registration };
                Ok(vec![event.into()])
            }
            (
                Self::Unknown,
                ClientCommand::RegisterItself { client_id, metadata, secret, registration, now },
            ) => {
                metadata.check()?;
                unprivileged(&metadata)?;
                if metadata.needs_secret() != secret.is_some() {
                    return Err(ClientError::SecretMismatch);
                }
                let registration = Some(registration);
                let event = ClientRegistered { client_id, metadata, secret, at: now, registration };
                Ok(vec![event.into()])
            }
            (
                Self::Registered(_),
                ClientCommand::Register { .. } | ClientCommand::RegisterItself { .. },
            ) => Err(ClientError::Exists),
            (Self::Registered(client), _) if client.deleted => Err(ClientError::Unknown),
            (Self::Unknown, _) => Err(ClientError::Unknown),
            (Self::Registered(client), ClientCommand::ReplaceMetadata(metadata)) => {
                metadata.check()?;
                if client.is_self_registered() {
                    unprivileged(&metadata)?;
                }
                if metadata.needs_secret() && client.secrets.is_empty() {
                    return Err(ClientError::SecretMismatch);
                }
                if *metadata == client.metadata {
                    return Ok(vec![]);
                }
                Ok(vec![ClientMetadataReplaced { metadata }.into()])
            }
            (Self::Registered(client), ClientCommand::RotateSecret { secret, previous_until }) => {
                if !client.metadata.needs_secret() {
                    return Err(ClientError::SecretMismatch);
                }
                Ok(vec![ClientSecretRotated { secret, previous_until }.into()])
            }
            (Self::Registered(client), ClientCommand::Disable { reason }) => {
                Ok(if client.enabled { vec![ClientDisabled { reason }.into()] } else { vec![] })
            }
            (Self::Registered(client), ClientCommand::Enable) => {
                Ok(if client.enabled { vec![] } else { vec![ClientEnabled {}.into()] })
            }
            (Self::Registered(_), ClientCommand::Delete { now }) => {
                Ok(vec![ClientDeleted { at: now }.into()])
            }
        }
    }

    fn assign(&mut self, event: ClientEvent) {
        if let ClientEvent::ClientRegistered(event) = event {
            let secrets = event.secret.into_iter();
            *self = Self::Registered(Box::new(RegisteredClient {
                client_id: event.client_id,
                metadata: *event.metadata,
                secrets: secrets
                    .map(|record| CurrentSecret { record, sequence: 1, until: None })
                    .collect(),
                enabled: true,
                registered_at: event.at,
                registration: event.registration.map(|registration| *registration),
                deleted: false,
                sequence: 1,
            }));
            return;
        }
        let Self::Registered(client) = self else { return };
        client.sequence += 1;
        match event {
            ClientEvent::ClientRegistered(_) => {}
            ClientEvent::ClientMetadataReplaced(event) => client.metadata = *event.metadata,
            ClientEvent::ClientSecretRotated(event) => {
                client.secrets.truncate(1);
                match event.previous_until {
                    None => client.secrets.clear(),
                    until => client.secrets.iter_mut().for_each(|secret| secret.until = until),
                }
                let sequence = client.sequence;
                let newest = CurrentSecret { record: event.secret, sequence, until: None };
                client.secrets.insert(0, newest);
            }
            ClientEvent::ClientDisabled(_) => client.enabled = false,
            ClientEvent::ClientEnabled(_) => client.enabled = true,
            ClientEvent::ClientDeleted(_) => {
                client.deleted = true;
                client.secrets.clear();
            }
        }
    }
}

fn unprivileged(metadata: &ClientMetadata) -> Result<(), ClientError> {
    match metadata.scope.iter().find(|name| Scope::is_privileged(name)) {
        Some(name) => Err(ClientError::PrivilegedScope(name.to_owned())),
        None => Ok(()),
    }
}

aggregate!(Client, AggregateKind::Client, ClientCommand, ClientEvent, ClientError);

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::protocol::redirect_uri::RedirectUri;

    fn metadata() -> ClientMetadata {
        ClientMetadata {
            redirect_uris: vec![RedirectUri::parse("https://rp.example/cb").unwrap()],
            ..ClientMetadata::default()
        }
    }

    fn record(byte: u8) -> SecretRecord {
        SecretRecord::Generated(Digest::of(&[byte; 32]))
    }

    fn registered() -> ClientEvent {
        ClientRegistered {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: metadata().into(),
            secret: Some(record(1)),
            at: UnixTime::from_seconds(1),
            registration: None,
        }
        .into()
    }

    #[test]
    fn a_confidential_client_without_a_secret_is_refused() {
        TestFramework::<Client>::with(())
            .given_no_previous_events()
            .when(ClientCommand::Register {
                client_id: ClientId::parse("rp").unwrap(),
                metadata: metadata().into(),
                secret: None,
                now: UnixTime::from_seconds(1),
            })
            .then_expect_error(ClientError::SecretMismatch);
    }

    #[test]
    fn an_identifier_is_given_once() {
        TestFramework::<Client>::with(())
            .given(vec![registered()])
            .when(ClientCommand::Register {
                client_id: ClientId::parse("rp").unwrap(),
                metadata: metadata().into(),
                secret: Some(record(1)),
                now: UnixTime::from_seconds(1),
            })
            .then_expect_error(ClientError::Exists);
    }

    #[test]
    fn disabling_twice_is_one_event() {
        let disabled = ClientDisabled { reason: "gone".to_owned() };
        TestFramework::<Client>::with(())
            .given(vec![registered(), disabled.into()])
            .when(ClientCommand::Disable { reason: "gone again".to_owned() })
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_rotated_secret_overlaps_until_its_end() {
        let mut client = Client::default();
        client.assign(registered());
        let until = Some(UnixTime::from_seconds(100));
        client.assign(ClientSecretRotated { secret: record(2), previous_until: until }.into());
        let client = client.registered().unwrap();
        let good = |at| client.secrets_at(UnixTime::from_seconds(at)).count();
        assert_eq!((good(99), good(100)), (2, 1));
        assert_eq!(client.secrets[0].record, record(2));
        assert_eq!(client.secrets[0].sequence, 2);
    }

    fn given(events: Vec<ClientEvent>) -> cqrs_es::test::AggregateTestExecutor<Client> {
        TestFramework::with(()).given(events)
    }

    fn public() -> ClientMetadata {
        ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..metadata() }
    }

    fn rotate(byte: u8) -> ClientCommand {
        ClientCommand::RotateSecret { secret: record(byte), previous_until: None }
    }

    #[test]
    fn nothing_is_done_to_a_client_that_is_not_there() {
        for command in [
            ClientCommand::ReplaceMetadata(metadata().into()),
            rotate(2),
            ClientCommand::Disable { reason: String::new() },
            ClientCommand::Enable,
        ] {
            given(vec![]).when(command).then_expect_error(ClientError::Unknown);
        }
    }

    #[test]
    fn a_public_client_has_no_secret() {
        let register = |secret| ClientCommand::Register {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: public().into(),
            secret,
            now: UnixTime::from_seconds(1),
        };
        given(vec![])
            .when(register(Some(record(1))))
            .then_expect_error(ClientError::SecretMismatch);

        let registered: ClientEvent = ClientRegistered {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: public().into(),
            secret: None,
            at: UnixTime::from_seconds(1),
            registration: None,
        }
        .into();
        given(vec![]).when(register(None)).then_expect_events(vec![registered.clone()]);
        given(vec![registered.clone()])
            .when(rotate(2))
            .then_expect_error(ClientError::SecretMismatch);
        given(vec![registered])
            .when(ClientCommand::ReplaceMetadata(metadata().into()))
            .then_expect_error(ClientError::SecretMismatch);
    }

    #[test]
    fn metadata_that_contradict_themselves_are_refused_first_and_later() {
        let wrong = ClientMetadata { redirect_uris: vec![], ..metadata() };
        let refused = ClientError::Metadata(InvalidMetadata::RedirectUriMissing);
        given(vec![])
            .when(ClientCommand::Register {
                client_id: ClientId::parse("rp").unwrap(),
                metadata: wrong.clone().into(),
                secret: Some(record(1)),
                now: UnixTime::from_seconds(1),
            })
            .then_expect_error(refused.clone());
        given(vec![registered()])
            .when(ClientCommand::ReplaceMetadata(wrong.into()))
            .then_expect_error(refused);
    }

    #[test]
    fn the_same_metadata_again_are_no_event() {
        given(vec![registered()])
            .when(ClientCommand::ReplaceMetadata(metadata().into()))
            .then_expect_events(vec![]);
        given(vec![registered()]).when(ClientCommand::Enable).then_expect_events(vec![]);
    }

    #[test]
    fn each_change_is_an_event() {
        let disabled = || ClientDisabled { reason: "gone".to_owned() }.into();
        given(vec![registered()])
            .when(ClientCommand::ReplaceMetadata(public().into()))
            .then_expect_events(vec![ClientMetadataReplaced { metadata: public().into() }.into()]);
        given(vec![registered()]).when(rotate(2)).then_expect_events(vec![
            ClientSecretRotated { secret: record(2), previous_until: None }.into(),
        ]);
        given(vec![registered()])
            .when(ClientCommand::Disable { reason: "gone".to_owned() })
            .then_expect_events(vec![disabled()]);
        given(vec![registered(), disabled()])
            .when(ClientCommand::Enable)
            .then_expect_events(vec![ClientEnabled {}.into()]);
    }

    #[test]
    fn a_client_is_disabled_until_it_is_enabled() {
        let mut client = Client::default();
        client.assign(registered());
        for (event, enabled) in [
            (ClientDisabled { reason: "gone".to_owned() }.into(), false),
            (ClientEnabled {}.into(), true),
        ] {
            client.assign(event);
            assert_eq!(client.registered().unwrap().enabled, enabled);
        }
    }

    #[test]
    fn a_secret_rotated_at_once_ends_at_once_and_only_the_last_two_overlap() {
        let mut client = Client::default();
        client.assign(registered());
        let until = Some(UnixTime::from_seconds(100));
        let good = |client: &Client| {
            let client = client.registered().unwrap();
            let good = client.secrets_at(UnixTime::from_seconds(1));
            good.map(|secret| secret.record.clone()).collect::<Vec<_>>()
        };
        for byte in [2, 3] {
            client
                .assign(ClientSecretRotated { secret: record(byte), previous_until: until }.into());
        }
        assert_eq!(good(&client), [record(3), record(2)]);
        client.assign(ClientSecretRotated { secret: record(4), previous_until: None }.into());
        assert_eq!(good(&client), [record(4)]);
    }

    fn itself(scope: &str) -> ClientCommand {
        ClientCommand::RegisterItself {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: scoped(scope).into(),
            secret: None,
            registration: registration().into(),
            now: UnixTime::from_seconds(1),
        }
    }

    fn scoped(scope: &str) -> ClientMetadata {
        ClientMetadata { scope: Scope::parse(scope).unwrap(), ..public() }
    }

    fn registration() -> Registration {
        Registration {
            by: Registrar::Stranger,
            software_statement_issuer: None,
            access_token: Digest::of(&[7; 32]),
        }
    }

    fn registered_itself(scope: &str) -> ClientEvent {
        ClientRegistered {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: scoped(scope).into(),
            secret: None,
            at: UnixTime::from_seconds(1),
            registration: Some(registration().into()),
        }
        .into()
    }

    #[test]
    fn who_registers_itself_never_gets_a_privileged_scope() {
        for scope in Scope::PRIVILEGED.into_iter().chain(["admin:clients"]) {
            let refused = || ClientError::PrivilegedScope(scope.to_owned());
            given(vec![]).when(itself(scope)).then_expect_error(refused());
            given(vec![registered_itself("openid")])
                .when(ClientCommand::ReplaceMetadata(scoped(scope).into()))
                .then_expect_error(refused());
            let mut client = Client::default();
            client.assign(registered_itself(&format!("openid {scope}")));
            assert_eq!(client.registered().unwrap().scope().as_str(), "openid");
        }
        given(vec![])
            .when(itself("openid administer"))
            .then_expect_events(vec![registered_itself("openid administer")]);
        let mut client = Client::default();
        let Ok(events) = client.decide(ClientCommand::Register {
            client_id: ClientId::parse("rp").unwrap(),
            metadata: scoped("admin").into(),
            secret: None,
            now: UnixTime::from_seconds(1),
        }) else {
            panic!("an operator may")
        };
        for event in events {
            client.assign(event);
        }
        assert_eq!(client.registered().unwrap().scope().as_str(), "admin");
    }

    #[test]
    fn a_deleted_client_is_gone_and_its_identifier_too() {
        let now = UnixTime::from_seconds(5);
        let deleted = || ClientDeleted { at: now }.into();
        given(vec![registered()])
            .when(ClientCommand::Delete { now })
            .then_expect_events(vec![deleted()]);
        for command in [ClientCommand::Enable, ClientCommand::Delete { now }, rotate(2)] {
            given(vec![registered(), deleted()])
                .when(command)
                .then_expect_error(ClientError::Unknown);
        }
        given(vec![registered(), deleted()])
            .when(itself("openid"))
            .then_expect_error(ClientError::Exists);
        let mut client = Client::default();
        for event in [registered(), deleted()] {
            client.assign(event);
        }
        assert!(!client.registered().unwrap().is_usable(now));
    }
}
