//! Public keys as JSON (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). There is no
//! member for a private part, so none can be published.

use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde::{Deserialize, Deserializer, Serialize};

/// A public key and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key itself.
    #[serde(flatten)]
    pub key: PublicParameters,
    /// Which key of its set. Another's server may use any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<SigningAlgorithm>,
    /// What it is for.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub key_use: Option<KeyUse>,
}

/// What a public key consists of, by its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicParameters {
    /// RFC 7518 §6.2.1
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    /// RFC 8037 §2
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String },
    /// RFC 7518 §6.3.1
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

/// RFC 7517 §4.2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    #[serde(rename = "sig")]
    Signature,
    #[serde(rename = "enc")]
    Encryption,
}

/// A set of public keys. Keys that we can't use are left out when reading
/// (RFC 7517 §5), so that a peer may publish them beside those that we can.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    #[serde(deserialize_with = "known_keys")]
    pub keys: Vec<Jwk>,
}

fn known_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Jwk>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_part_is_dropped_on_reading() {
        let text = r#"{"kty":"OKP","crv":"Ed25519","d":"c2VjcmV0","x":"eA","kid":"k","use":"sig"}"#;
        let jwk: Jwk = serde_json::from_str(text).unwrap();
        let written = serde_json::to_value(&jwk).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": "eA", "kid": "k", "use": "sig"
            })
        );
    }

    /// RFC 7517 §5
    #[test]
    fn a_set_leaves_out_what_is_not_understood() {
        let text = r#"{"keys":[
            {"kty":"oct","k":"c2VjcmV0"},
            {"kty":"EC","crv":"P-521","x":"eA","y":"eQ","alg":"ES512"},
            {"kty":"RSA","n":"bg","e":"AQAB","kid":"good","alg":"RS256"}
        ]}"#;
        let set: JwkSet = serde_json::from_str(text).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(set.keys[0].kid.as_deref(), Some("good"));
    }
}
