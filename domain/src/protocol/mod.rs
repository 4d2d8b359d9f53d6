//! Protocol values, one parameter a file: parse, check, narrow.

pub mod authorization_details;
pub mod claims;
pub mod client_auth_method;
pub mod content_encryption;
pub mod grant_type;
pub mod key_management_algorithm;
pub mod pkce;
pub mod prompt;
pub mod redirect_uri;
pub mod redirect_uri_pattern;
pub mod response_mode;
pub mod response_type;
pub mod scope;
pub mod signing_algorithm;

/// Declares an enum of the values of a protocol parameter, with its names.
///
/// Gives `ALL`, `as_str`, `Display`, `FromStr` and serde by name.
macro_rules! parameter_values {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every value that this server knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The names of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($text,)*];

            /// The value as it stands in a request or in metadata.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::protocol::UnknownValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::protocol::UnknownValue {
                        parameter: $what,
                        known: Self::NAMES,
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::NAMES })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use parameter_values;

/// A value that this server does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownValue {
    /// The parameter.
    pub parameter: &'static str,
    /// The values that it may have.
    pub known: &'static [&'static str],
}

impl std::fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown {}; known are {}", self.parameter, self.known.join(", "))
    }
}

impl std::error::Error for UnknownValue {}
