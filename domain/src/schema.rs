//! JSON Schemas of values that are written as texts or numbers (JSON Schema
//! 2020-12), for documents that describe what others read and write.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::digest::{Salt, Sha256Digest};
use crate::ids::{
    ClientId, CommandId, ConsentId, GrantId, KeyId, RegistrationTokenId, SessionId, SubjectId,
};
use crate::protocol::key_management_algorithm::KeyManagementAlgorithm;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;
use crate::protocol::signing_algorithm::SigningAlgorithm;
use crate::secret::Digest;
use crate::signing_key::KeyAlgorithm;
use crate::time::{Lifetime, UnixTime};

/// The schema of a value by its own members: `{ "type": … }`.
macro_rules! schema {
    ($($type:ident: $schema:tt,)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schema! {
    GrantId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    SubjectId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    SessionId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    ConsentId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    RegistrationTokenId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    ClientId: { "type": "string", "pattern": "^[!-~]{1,255}$" },
    KeyId: { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
    UnixTime: {
        "type": "integer",
        "format": "int64",
        "description": "Seconds since 1970-01-01T00:00:00Z (NumericDate, RFC 7519 §2).",
    },
    Lifetime: {
        "type": "integer",
        "minimum": 0,
        "maximum": 4_294_967_295_u32,
        "description": "Seconds.",
    },
    Scope: {
        "type": "string",
        "pattern": "^([!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*)?$",
        "description": "Scope tokens with a space between (RFC 6749 §3.3).",
    },
    KeyAlgorithm: {
        "type": "string",
        "enum": ([SigningAlgorithm::NAMES, KeyManagementAlgorithm::NAMES].concat()),
    },
    RedirectUri: { "type": "string", "format": "uri" },
    CommandId: { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    Sha256Digest: {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{43}$",
        "description": "A SHA-256 digest, base64url without padding.",
    },
    Salt: {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{22}$",
        "description": "Sixteen bytes, base64url without padding.",
    },
}

/// The digest of a secret: of which kind, the member's name says.
impl<K> JsonSchema for Digest<K> {
    fn schema_name() -> Cow<'static, str> {
        "SecretDigest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{43}$",
            "description": "The SHA-256 digest of a secret, base64url without padding.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_stands_under_its_type_s_name() {
        let schema = schemars::schema_for!(Vec<GrantId>).to_value();
        assert_eq!(schema["items"]["$ref"], "#/$defs/GrantId");
        assert_eq!(schema["$defs"]["GrantId"]["pattern"], "^[0-9a-f]{32}$");
    }
}
