//! JWK thumbprints (RFC 7638) and the key ids made of them.

use aws_lc_rs::digest;
use chancery_domain::ids::KeyId;

use super::PublicParameters;

impl PublicParameters {
    /// The SHA-256 thumbprint: over the required members only, in the order of
    /// their names, without white space. RFC 7638 §3.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        // Members are base64url or registered names once a key has been read,
        // yet a foreign JWK may hold anything: JSON strings are written as such.
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let canonical = match self {
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#, json(crv), json(x), json(y))
            }
            Self::Okp { crv, x } => {
                format!(r#"{{"crv":{},"kty":"OKP","x":{}}}"#, json(crv), json(x))
            }
            Self::Rsa { n, e } => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, json(e), json(n)),
        };
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        bytes
    }

    /// The `kid` that Chancery gives the key: the first 16 hexadecimal digits
    /// of its thumbprint.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut first = [0; 8];
        for (byte, hashed) in first.iter_mut().zip(self.thumbprint()) {
            *byte = hashed;
        }
        KeyId::from_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::super::Jwk;

    fn thumbprint(jwk: &str) -> String {
        let jwk: Jwk = serde_json::from_str(jwk).unwrap();
        URL_SAFE_NO_PAD.encode(jwk.key.thumbprint())
    }

    /// RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_of_the_rfc_s_rsa_key() {
        let jwk = concat!(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAt"#,
            "VT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6",
            "4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FD",
            "W2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9",
            "1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINH",
            r#"aQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","#,
            r#""alg":"RS256","kid":"2011-04-29"}"#,
        );
        assert_eq!(thumbprint(jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let jwk: Jwk = serde_json::from_str(jwk).unwrap();
        assert_eq!(jwk.key.key_id().as_str(), "3736cbb1787cb830");
    }

    /// RFC 8037 appendix A.3.
    #[test]
    fn the_thumbprint_of_the_rfc_s_ed25519_key() {
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(thumbprint(jwk), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 7638 §3.3: strings are compared and hashed as JSON writes them, so
    /// that a member can't smuggle in another.
    #[test]
    fn a_quote_in_a_member_stays_inside_of_it() {
        let one = r#"{"kty":"OKP","crv":"A","x":"B\",\"y\":\"C"}"#;
        let two = r#"{"kty":"OKP","crv":"A","x":"B"}"#;
        assert_ne!(thumbprint(one), thumbprint(two));
    }
}
