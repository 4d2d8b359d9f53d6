//! Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1): what a key signs with
//! and what stands in `alg`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that names no signature algorithm of Chancery's. `none` is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a supported signature algorithm")]
pub struct UnknownAlgorithm;

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $jose:literal;)*) => {
        /// A signature algorithm, written by its JOSE name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SigningAlgorithm {
            $($(#[$doc])* $name,)*
        }

        impl SigningAlgorithm {
            /// Every algorithm, the preferred one first.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the IANA registry of JOSE algorithms.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $jose,)*
                }
            }
        }
    };
}

algorithms! {
    /// ECDSA on P-256 with SHA-256: the default.
    ES256 = "ES256";
    /// Ed25519.
    EdDSA = "EdDSA";
    /// RSASSA-PKCS1-v1_5 with SHA-256, which OpenID Connect Core §15.1 wants
    /// every provider to have.
    RS256 = "RS256";
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    /// Names are case-sensitive (RFC 7515 §4.1.1).
    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.iter().copied().find(|alg| alg.as_str() == text).ok_or(UnknownAlgorithm)
    }
}

impl Serialize for SigningAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SigningAlgorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for alg in SigningAlgorithm::ALL {
            assert_eq!(alg.to_string().parse(), Ok(*alg));
            let json = serde_json::to_string(alg).unwrap();
            assert_eq!(serde_json::from_str::<SigningAlgorithm>(&json).unwrap(), *alg);
        }
    }

    /// RFC 7515 §4.1.1: case-sensitive; RFC 7518 §3.6: `none` signs nothing.
    #[test]
    fn none_and_names_in_another_case_are_unknown() {
        for text in ["none", "None", "es256", "eddsa", "HS256", ""] {
            assert_eq!(text.parse::<SigningAlgorithm>(), Err(UnknownAlgorithm), "{text}");
        }
    }
}
