//! Identifiers of aggregates and of what they own.
//!
//! Aggregates made by the server are named by UUIDs (RFC 9562, version 7), written as
//! thirty-two lower-case hexadecimal digits: in order of creation, free of
//! punctuation, safe in a URL, on a command line and in a file name. Ids are
//! not secret; nothing may be decided by knowing one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(&'static str);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The identifier with these sixteen bytes.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Its sixteen bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId($what))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id!(
    /// Names one grant: everything that happens because of one authorization
    /// request or one direct token request.
    GrantId,
    "grant id"
);
uuid_id!(
    /// Names one account. It is also the `sub` that relying parties see and the
    /// pseudonym that events carry: random, and without meaning outside of
    /// Chancery.
    SubjectId,
    "subject"
);
uuid_id!(
    /// Names one browser session of one subject.
    SessionId,
    "session id"
);
uuid_id!(
    /// Names what one subject has consented to for one client.
    ConsentId,
    "consent id"
);
uuid_id!(
    /// Names one initial access token (RFC 7591 §1.2).
    RegistrationTokenId,
    "registration token id"
);
uuid_id!(
    /// Names one command, and so everything that was committed for it.
    CommandId,
    "command id"
);

impl ConsentId {
    /// The consent of this subject for this client: derived, so that it is
    /// found without a look-up and can exist only once.
    #[must_use]
    pub fn of(subject: SubjectId, client: &ClientId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"chancery consent\0");
        hash.update(subject.as_bytes());
        hash.update(client.as_str().as_bytes());
        let mut bytes = [0; 16];
        for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
            *byte = hashed;
        }
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// A client identifier (RFC 6749 §2.2): 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The longest client identifier, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// Reads a client identifier.
    ///
    /// RFC 6749 appendix A.1 allows spaces inside; Chancery does not.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if ok { Ok(Self(text.into())) } else { Err(InvalidId("client_id")) }
    }

    /// The identifier as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.0)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Names a key: the `kid` of a signing key (RFC 7517 §4.5), or the id of a
/// symmetric key of the server's own. 1 to 64 letters, digits, `-`, `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Reads a key id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if ok { Ok(Self(text.into())) } else { Err(InvalidId("key id")) }
    }

    /// The key id of these bytes: sixteen lower-case hexadecimal digits.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)).into())
    }

    /// The id as published.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Which aggregate an event belongs to: the `aggregate_type` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateKind {
    /// [`crate::grant::Grant`]
    Grant,
    /// [`crate::client::Client`]
    Client,
    /// [`crate::account::Account`]
    Account,
    /// [`crate::session::Session`]
    Session,
    /// [`crate::consent::Consent`]
    Consent,
    /// [`crate::signing_key::SigningKey`]
    SigningKey,
    /// [`crate::tally::Tally`]
    Tally,
    /// [`crate::registration_token::RegistrationToken`]
    RegistrationToken,
    /// [`crate::scope_definition::ScopeDefinition`]
    ScopeDefinition,
    /// [`crate::sealed_log::SealedLog`]
    Log,
}

impl AggregateKind {
    /// Every kind, in the order of the declaration.
    pub const ALL: [Self; 10] = [
        Self::Grant,
        Self::Client,
        Self::Account,
        Self::Session,
        Self::Consent,
        Self::SigningKey,
        Self::Tally,
        Self::RegistrationToken,
        Self::ScopeDefinition,
        Self::Log,
    ];

    /// The name stored with each event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Client => "client",
            Self::Account => "account",
            Self::Session => "session",
            Self::Consent => "consent",
            Self::SigningKey => "signing_key",
            Self::Tally => "tally",
            Self::RegistrationToken => "registration_token",
            Self::ScopeDefinition => "scope",
            Self::Log => "log",
        }
    }
}

impl fmt::Display for AggregateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AggregateKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(InvalidId("aggregate type"))
    }
}
