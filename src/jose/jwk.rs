//! Public keys as JSON (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). There is no
//! member for a private part, so none can be published.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::signing_key::KeyAlgorithm;
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
    pub alg: Option<KeyAlgorithm>,
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

/// The lengths of RSA keys that are accepted: RFC 7518 §3.3 sets the lower end,
/// the library, so that nobody has us compute for long, the upper.
pub(super) const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

impl PublicParameters {
    /// How many bits the modulus of an RSA key has.
    pub(super) fn modulus_bits(&self) -> Option<usize> {
        let Self::Rsa { n, .. } = self else { return None };
        let bytes = URL_SAFE_NO_PAD.decode(n).ok()?;
        let first = bytes.iter().position(|byte| *byte != 0)?;
        let zeros = usize::try_from(bytes.get(first)?.leading_zeros()).ok()?;
        Some((bytes.len() - first) * 8 - zeros)
    }

    /// The point of an elliptic curve, uncompressed: 4, x, y (SEC 1 §2.3.3).
    pub(super) fn point(&self) -> Option<Vec<u8>> {
        let Self::Ec { x, y, .. } = self else { return None };
        let (x, y) = (URL_SAFE_NO_PAD.decode(x).ok()?, URL_SAFE_NO_PAD.decode(y).ok()?);
        Some([&[4], &*x, &*y].concat())
    }
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
            {"kty":"EC","crv":"secp256k1","x":"eA","y":"eQ","alg":"ES256K"},
            {"kty":"RSA","n":"bg","e":"AQAB","kid":"good","alg":"RS256"}
        ]}"#;
        let set: JwkSet = serde_json::from_str(text).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(set.keys[0].kid.as_deref(), Some("good"));
    }
}
