//! Tokens made with a secret that we share with a client: its client secret, as
//! UTF-8 (OpenID Connect Core §10.1).

use std::fmt;

use aws_lc_rs::hmac;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use jsonwebtoken::{DecodingKey, crypto};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::compact::Parts;
use super::peer::Accept;
use super::sign::compact;
use super::verify::VerifyError;
use super::{KeyError, KeyShape, suite};

/// A secret that both sides know. Either can have made what it verifies.
#[derive(Clone)]
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// The bytes of a client secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    /// Is it long enough for this algorithm, and the algorithm one for secrets?
    /// RFC 7518 §3.2: a key has at least the size of the hash.
    #[must_use]
    pub fn suits(&self, alg: SigningAlgorithm) -> bool {
        self.mac(alg).is_ok()
    }

    /// Signs claims as a compact JWS of type `typ`.
    pub fn sign<C: Serialize + ?Sized>(
        &self,
        alg: SigningAlgorithm,
        typ: &str,
        claims: &C,
    ) -> Result<String, KeyError> {
        let key = hmac::Key::new(self.mac(alg)?, &self.0);
        let sign = |message: &[u8]| Some(hmac::sign(&key, message).as_ref().to_vec());
        compact(alg, typ, None, claims, 86, sign)
    }

    /// Verifies a token and reads its claims; its `kid` says nothing.
    pub fn verify<C: DeserializeOwned>(
        &self,
        token: &str,
        accept: &Accept<'_>,
    ) -> Result<C, VerifyError> {
        let parts = Parts::split(token)?;
        let header = parts.header()?;
        let alg: SigningAlgorithm = header.alg.parse().map_err(|_| VerifyError::WrongAlgorithm)?;
        if !accept.algorithms.contains(&alg) {
            return Err(VerifyError::WrongAlgorithm);
        }
        header.check(&accept.types)?;
        self.mac(alg).map_err(|error| match error {
            KeyError::SecretTooShort(_) => VerifyError::SecretTooShort,
            _ => VerifyError::WrongAlgorithm,
        })?;
        let name = suite(alg).name.ok_or(VerifyError::WrongAlgorithm)?;
        let key = DecodingKey::from_secret(&self.0);
        let good = crypto::verify(parts.signature, parts.message.as_bytes(), &key, name);
        if !good.unwrap_or(false) {
            return Err(VerifyError::WrongSignature);
        }
        parts.claims()
    }

    /// For the key that is derived from it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn mac(&self, alg: SigningAlgorithm) -> Result<hmac::Algorithm, KeyError> {
        let suite = suite(alg);
        let KeyShape::Secret { mac } = suite.key else {
            return Err(KeyError::NotAPrivateKey(alg));
        };
        if self.0.len() < suite.hash.output_len() {
            return Err(KeyError::SecretTooShort(alg));
        }
        Ok(mac)
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::super::{PrivateKey, Types};
    use super::*;

    const ANY: Accept<'static> = Accept { algorithms: SigningAlgorithm::ALL, types: Types::Any };
    const MACS: [(SigningAlgorithm, usize); 3] = [
        (SigningAlgorithm::HS256, 32),
        (SigningAlgorithm::HS384, 48),
        (SigningAlgorithm::HS512, 64),
    ];

    /// RFC 7515 appendix A.1: its message has line ends in its JSON, so that
    /// only the signature can be compared, not made again.
    #[test]
    fn the_rfc_s_hs256_signature_is_right() {
        let key = URL_SAFE_NO_PAD
            .decode(concat!(
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75",
                "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
            ))
            .unwrap();
        let token = concat!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.",
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        );
        let claims: Value = SharedSecret::new(&key).verify(token, &ANY).unwrap();
        assert_eq!(claims["iss"], "joe");
        let changed = token.replace("dBjf", "dBjg");
        assert_eq!(
            SharedSecret::new(&key).verify::<Value>(&changed, &ANY),
            Err(VerifyError::WrongSignature)
        );
    }

    #[test]
    fn what_a_secret_signs_only_the_same_secret_verifies() {
        for (alg, length) in MACS {
            let secret = SharedSecret::new(&vec![7; length]);
            let token = secret.sign(alg, "JWT", &json!({"sub": "s"})).unwrap();
            assert_eq!(secret.verify(&token, &ANY), Ok(json!({"sub": "s"})), "{alg}");
            let other = SharedSecret::new(&vec![8; length]);
            assert_eq!(other.verify::<Value>(&token, &ANY), Err(VerifyError::WrongSignature));
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!((Some(header.alg), header.kid), (suite(alg).name, None));
        }
    }

    /// RFC 7518 §3.2
    #[test]
    fn a_secret_shorter_than_the_hash_is_refused() {
        for (alg, length) in MACS {
            let (long, short) =
                (SharedSecret::new(&vec![7; length]), SharedSecret::new(&vec![7; length - 1]));
            assert!(long.suits(alg) && !short.suits(alg));
            assert_eq!(short.sign(alg, "JWT", &()), Err(KeyError::SecretTooShort(alg)));
            let token = long.sign(alg, "JWT", &json!({})).unwrap();
            assert_eq!(short.verify::<Value>(&token, &ANY), Err(VerifyError::SecretTooShort));
        }
    }

    #[test]
    fn a_secret_verifies_no_other_algorithm_and_none_that_was_not_asked_for() {
        let secret = SharedSecret::new(&[7; 64]);
        let token = secret.sign(SigningAlgorithm::HS512, "JWT", &json!({})).unwrap();
        let accept = Accept { algorithms: &[SigningAlgorithm::HS256], ..ANY };
        assert_eq!(secret.verify::<Value>(&token, &accept), Err(VerifyError::WrongAlgorithm));
        let key = PrivateKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let token = key.sign("JWT", &json!({})).unwrap();
        assert_eq!(secret.verify::<Value>(&token, &ANY), Err(VerifyError::WrongAlgorithm));
        assert!(!secret.suits(SigningAlgorithm::EdDSA));
        let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        assert_eq!(secret.verify::<Value>(&unsigned, &ANY), Err(VerifyError::WrongAlgorithm));
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        assert_eq!(format!("{:?}", SharedSecret::new(b"abc")), "SharedSecret(…)");
    }
}
