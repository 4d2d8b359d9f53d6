//! What a key is for: signing, or being encrypted to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::UnknownValue;
use crate::protocol::key_management_algorithm::KeyManagementAlgorithm;
use crate::protocol::signing_algorithm::SigningAlgorithm;

/// The `alg` of a key (RFC 7517 §4.4). The registry keeps the names of both
/// kinds apart, so the name alone tells which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// It signs.
    Signing(SigningAlgorithm),
    /// Others encrypt to it.
    KeyManagement(KeyManagementAlgorithm),
}

impl KeyAlgorithm {
    /// What a server can have keys of: those that sign, and the two kinds that
    /// others encrypt to.
    pub const OF_SERVERS: &'static [&'static str] = &[
        "ES256", "RS256", "EdDSA", "ES384", "ES512", "RS384", "RS512", "PS256", "PS384", "PS512",
        "ECDH-ES", "RSA-OAEP",
    ];

    /// What a key of this algorithm is kept under: a key that is encrypted to
    /// does for all algorithms of its kind, and is named by the first.
    #[must_use]
    pub const fn kind(self) -> Self {
        match self {
            Self::KeyManagement(
                KeyManagementAlgorithm::EcdhEsA128Kw | KeyManagementAlgorithm::EcdhEsA256Kw,
            ) => Self::KeyManagement(KeyManagementAlgorithm::EcdhEs),
            Self::KeyManagement(KeyManagementAlgorithm::RsaOaep256) => {
                Self::KeyManagement(KeyManagementAlgorithm::RsaOaep)
            }
            other => other,
        }
    }

    /// Its registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing(alg) => alg.as_str(),
            Self::KeyManagement(alg) => alg.as_str(),
        }
    }

    /// The signature algorithm, of a key that signs.
    #[must_use]
    pub const fn signing(self) -> Option<SigningAlgorithm> {
        match self {
            Self::Signing(alg) => Some(alg),
            Self::KeyManagement(_) => None,
        }
    }
}

impl From<SigningAlgorithm> for KeyAlgorithm {
    fn from(alg: SigningAlgorithm) -> Self {
        Self::Signing(alg)
    }
}

impl From<KeyManagementAlgorithm> for KeyAlgorithm {
    fn from(alg: KeyManagementAlgorithm) -> Self {
        Self::KeyManagement(alg)
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownValue;

    /// RFC 9864 §2.2 gives `EdDSA` by Ed25519, the one curve that is known here, a
    /// name of its own, which some write.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "Ed25519" {
            return Ok(SigningAlgorithm::EdDSA.into());
        }
        match text.parse() {
            Ok(alg) => Ok(Self::KeyManagement(alg)),
            Err(_) => text.parse().map(Self::Signing),
        }
    }
}

impl Serialize for KeyAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyAlgorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_keys_of_every_kind_that_needs_no_secret() {
        let signing = SigningAlgorithm::ASYMMETRIC.iter().map(|alg| KeyAlgorithm::from(*alg));
        let other = KeyManagementAlgorithm::ALL.iter().filter(|alg| !alg.is_symmetric());
        let mut kinds = Vec::new();
        for alg in signing.chain(other.map(|alg| KeyAlgorithm::from(*alg).kind())) {
            if !kinds.contains(&alg.as_str()) {
                kinds.push(alg.as_str());
            }
        }
        kinds.sort_unstable();
        let mut named = KeyAlgorithm::OF_SERVERS.to_vec();
        named.sort_unstable();
        assert_eq!(named, kinds);
    }

    #[test]
    fn every_name_is_read_as_it_was_written() {
        let signing = SigningAlgorithm::ALL.iter().map(|alg| KeyAlgorithm::from(*alg));
        let other = KeyManagementAlgorithm::ALL.iter().map(|alg| KeyAlgorithm::from(*alg));
        for alg in signing.chain(other) {
            let text = serde_json::to_string(&alg).unwrap();
            assert_eq!(text, format!("\"{alg}\""));
            assert_eq!(serde_json::from_str::<KeyAlgorithm>(&text).unwrap(), alg);
        }
        assert_eq!("Ed25519".parse(), Ok(KeyAlgorithm::from(SigningAlgorithm::EdDSA)));
        assert!("none".parse::<KeyAlgorithm>().is_err());
    }
}
