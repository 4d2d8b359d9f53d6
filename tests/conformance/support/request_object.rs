//! Request objects, as clients write them (RFC 9101).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery::jose::PrivateKey;
use chancery_domain::client::ClientMetadata;
use serde_json::{Value, json};

use super::people::{confidential, good_request};
use super::server::BEGINNING;

/// A JWK Set of these keys.
pub fn jwks(keys: &[&PrivateKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() })
}

/// A web application that signs its requests.
pub fn signing(key: &PrivateKey) -> ClientMetadata {
    ClientMetadata { jwks: Some(jwks(&[key])), ..confidential() }
}

/// The claims of a good request object of `rp`, but for these changes; `null`
/// removes.
pub fn claims(issuer: &str, changes: &Value) -> Value {
    let now = BEGINNING.seconds();
    let mut claims = json!({
        "iss": "rp", "client_id": "rp", "aud": issuer, "nbf": now, "exp": now + 300,
    });
    for (name, value) in good_request() {
        claims[name] = value.into();
    }
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// Claims without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", message(header, claims))
}

/// Claims under another header, signed with ES256.
pub fn with_header(key: &PrivateKey, header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let key = jsonwebtoken::EncodingKey::from_ec_der(&key.to_pkcs8().unwrap());
    let alg = jsonwebtoken::Algorithm::ES256;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, alg).unwrap();
    format!("{message}.{signature}")
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
