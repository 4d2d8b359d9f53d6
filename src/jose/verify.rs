//! Verifying signed tokens (RFC 7515 §5.2, RFC 8725 §3): the key decides the
//! algorithm, the caller decides the type, and nothing else is looked at. What
//! the claims say, times included, is for the caller to judge.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::signing_key::KeyAlgorithm;
use jsonwebtoken::{DecodingKey, crypto};
use serde::de::DeserializeOwned;

use super::compact::{Header, Parts};
use super::jwk::{Jwk, KeyUse, PublicParameters, RSA_BITS};
use super::peer::Types;
use super::{KeyError, KeyShape, suite};

/// Why a token is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Too long, not three parts of base64url, or the header is not what RFC 7515 wants.
    #[error("not a compact JWS")]
    Malformed,
    /// It has no `kid`, or one that is not in the set: who holds a copy of the
    /// set may want a new one.
    #[error("signed with a key that is not known")]
    UnknownKey,
    /// Its `alg` is not that of the key, `none` included.
    #[error("signed with another algorithm than the key is for")]
    WrongAlgorithm,
    /// Its `typ` is not one of those asked for, or is missing.
    #[error("of another type")]
    WrongType,
    /// It has `crit`: extensions that must be understood, and are not.
    #[error("has critical extensions")]
    CriticalExtension,
    /// The signature is not one of that key over these bytes.
    #[error("the signature is wrong")]
    WrongSignature,
    /// The secret is shorter than the hash of its algorithm (RFC 7518 §3.2).
    #[error("the secret is too short for this algorithm")]
    SecretTooShort,
    /// Signed all right, but the claims are not what was asked for.
    #[error("the claims are not what they should be")]
    Claims,
}

/// A public key, parsed once, and the one algorithm it verifies.
#[derive(Clone)]
pub struct PublicKey {
    alg: SigningAlgorithm,
    key: Key,
}

#[derive(Clone)]
enum Key {
    /// To `jsonwebtoken`.
    Known(DecodingKey),
    P521(UnparsedPublicKey<Vec<u8>>),
}

impl PublicKey {
    /// Reads a JWK. One without `alg` is taken for the algorithm that its type
    /// and curve belong to.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let alg = match jwk.alg {
            Some(KeyAlgorithm::Signing(alg)) => alg,
            Some(KeyAlgorithm::KeyManagement(_)) => return Err(KeyError::Unsupported),
            None => SigningAlgorithm::ALL
                .iter()
                .copied()
                .find(|alg| fits(&suite(*alg).key, &jwk.key))
                .ok_or(KeyError::Unsupported)?,
        };
        Self::of(&jwk.key, alg).ok_or(KeyError::NotAPublicKey(alg))
    }

    /// The key for this one algorithm, if it fits.
    pub(super) fn of(key: &PublicParameters, alg: SigningAlgorithm) -> Option<Self> {
        let suite = suite(alg);
        if !fits(&suite.key, key) {
            return None;
        }
        let known = match (suite.name, key) {
            (Some(_), PublicParameters::Ec { x, y, .. }) => DecodingKey::from_ec_components(x, y),
            (Some(_), PublicParameters::Okp { x, .. }) => DecodingKey::from_ed_components(x),
            (Some(_), PublicParameters::Rsa { n, e }) => DecodingKey::from_rsa_components(n, e),
            (None, key) => {
                let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, key.point()?);
                return Some(Self { alg, key: Key::P521(key) });
            }
        };
        Some(Self { alg, key: Key::Known(known.ok()?) })
    }

    /// The algorithm that it verifies.
    #[must_use]
    pub const fn alg(&self) -> SigningAlgorithm {
        self.alg
    }

    /// Verifies a token of one of the types of `typ` with this key, whatever
    /// its `kid` says, and reads its claims.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, typ: &[&str]) -> Result<C, VerifyError> {
        let parts = Parts::split(token)?;
        self.verify_parts(&parts, &parts.header()?, typ)
    }

    fn verify_parts<C: DeserializeOwned>(
        &self,
        parts: &Parts<'_>,
        header: &Header,
        typ: &[&str],
    ) -> Result<C, VerifyError> {
        if header.alg != self.alg.as_str() {
            return Err(VerifyError::WrongAlgorithm);
        }
        header.check(&Types::Required(typ))?;
        if !self.is_signature(parts.signature, parts.message) {
            return Err(VerifyError::WrongSignature);
        }
        parts.claims()
    }

    pub(super) fn is_signature(&self, signature: &str, message: &str) -> bool {
        match (&self.key, suite(self.alg).name) {
            (Key::Known(key), Some(name)) => {
                crypto::verify(signature, message.as_bytes(), key, name).unwrap_or(false)
            }
            (Key::P521(key), _) => URL_SAFE_NO_PAD
                .decode(signature)
                .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok()),
            (Key::Known(_), None) => false,
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.alg)
    }
}

/// Verifies tokens signed by any key of a set, found by its `kid`.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    keys: BTreeMap<String, PublicKey>,
}

impl Verifier {
    /// Takes the keys of a set that can verify and have a `kid`; the others
    /// are left out (RFC 7517 §5). Where two have the same `kid`, the first
    /// counts.
    #[must_use]
    pub fn new<'a>(jwks: impl IntoIterator<Item = &'a Jwk>) -> Self {
        let mut keys = BTreeMap::new();
        for jwk in jwks {
            let (Some(kid), Ok(key)) = (&jwk.kid, PublicKey::from_jwk(jwk)) else { continue };
            if jwk.key_use != Some(KeyUse::Encryption) {
                keys.entry(kid.clone()).or_insert(key);
            }
        }
        Self { keys }
    }

    /// The key with this `kid`.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.get(kid)
    }

    /// Does the token name a key that is not in the set?
    #[must_use]
    pub fn misses_the_key_of(&self, token: &str) -> bool {
        let header = Parts::split(token).and_then(|parts| parts.header());
        header.is_ok_and(|header| header.kid.is_some_and(|kid| self.key(&kid).is_none()))
    }

    /// Verifies a token of one of the types of `typ` with the key that its
    /// `kid` names, and reads its claims.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, typ: &[&str]) -> Result<C, VerifyError> {
        let parts = Parts::split(token)?;
        let header = parts.header()?;
        let kid = header.kid.as_deref().ok_or(VerifyError::UnknownKey)?;
        let key = self.keys.get(kid).ok_or(VerifyError::UnknownKey)?;
        key.verify_parts(&parts, &header, typ)
    }
}

fn fits(shape: &KeyShape, key: &PublicParameters) -> bool {
    let is_long = |text: &str, length: usize| {
        URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == length)
    };
    match (shape, key) {
        // RFC 7518 §6.2.1.2: coordinates have their full length.
        (KeyShape::Ec { curve, coordinate, .. }, PublicParameters::Ec { crv, x, y }) => {
            curve == crv && is_long(x, *coordinate) && is_long(y, *coordinate)
        }
        (KeyShape::Ed25519, PublicParameters::Okp { crv, x }) => crv == "Ed25519" && is_long(x, 32),
        // RFC 7518 §3.3
        (KeyShape::Rsa { .. }, PublicParameters::Rsa { .. }) => {
            key.modulus_bits().is_some_and(|bits| RSA_BITS.contains(&bits))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::super::PrivateKey;
    use super::*;

    const TYP: &str = "at+jwt";

    fn claims() -> Value {
        json!({"iss": "https://as.example", "sub": "s", "exp": 1})
    }

    fn signed_by(alg: SigningAlgorithm) -> (String, Verifier) {
        let key = PrivateKey::generate(alg).unwrap();
        (key.sign(TYP, &claims()).unwrap(), Verifier::new([&key.public_jwk()]))
    }

    fn key(jwk: &str) -> PublicKey {
        PublicKey::from_jwk(&serde_json::from_str(jwk).unwrap()).unwrap()
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(header), part(claims))
    }

    /// Every byte that can be changed, is.
    fn assert_a_changed_vector_fails(key: &PublicKey, message: &str, signature: &str) {
        assert!(key.is_signature(signature, message));
        assert!(!key.is_signature(signature, &format!("{message}A")));
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for index in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(!key.is_signature(&URL_SAFE_NO_PAD.encode(changed), message));
        }
        assert!(!key.is_signature("", message));
        assert!(!key.is_signature(&format!("{signature}="), message));
    }

    /// RFC 7515 appendix A.2.
    #[test]
    fn the_rfc_s_rs256_signature_is_right() {
        let key = key(concat!(
            r#"{"kty":"RSA","e":"AQAB","n":""#,
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx",
            "HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs",
            "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH",
            "SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV",
            "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8",
            r#"NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
        ));
        assert_eq!(key.alg(), SigningAlgorithm::RS256);
        let message = concat!(
            "eyJhbGciOiJSUzI1NiJ9.",
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        );
        let signature = concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7",
            "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4",
            "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K",
            "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv",
            "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB",
            "p0igcN_IoypGlUPQGe77Rw",
        );
        assert_a_changed_vector_fails(&key, message, signature);
    }

    const ES256_KEY: &str = r#"{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const ES256_MESSAGE: &str = concat!(
        "eyJhbGciOiJFUzI1NiJ9.",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    );
    const ES256_SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    /// RFC 7515 appendix A.3.
    #[test]
    fn the_rfc_s_es256_signature_is_right() {
        let key = key(ES256_KEY);
        assert_eq!(key.alg(), SigningAlgorithm::ES256);
        assert_a_changed_vector_fails(&key, ES256_MESSAGE, ES256_SIGNATURE);
    }

    /// The vector has neither `typ` nor `kid`: true, and still no token of any
    /// type that we ask for (RFC 8725 §3.11).
    #[test]
    fn a_true_signature_without_type_or_key_id_is_refused() {
        let token = format!("{ES256_MESSAGE}.{ES256_SIGNATURE}");
        assert_eq!(key(ES256_KEY).verify::<Value>(&token, &["JWT"]), Err(VerifyError::WrongType));
        let mut jwk: Jwk = serde_json::from_str(ES256_KEY).unwrap();
        jwk.kid = Some("k".to_owned());
        assert_eq!(
            Verifier::new([&jwk]).verify::<Value>(&token, &["JWT"]),
            Err(VerifyError::UnknownKey)
        );
    }

    /// RFC 8037 appendix A.4 and A.5; and as Ed25519 is deterministic, the
    /// signature made from the private key of A.1 must be the very same.
    #[test]
    fn the_rfc_s_eddsa_signature_is_right() {
        let key = key(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        );
        assert_eq!(key.alg(), SigningAlgorithm::EdDSA);
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = concat!(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt",
            "9g7sVvpAr_MuM0KAg",
        );
        assert_a_changed_vector_fails(&key, message, signature);
    }

    /// RFC 7515 appendix A.4.
    #[test]
    fn the_rfc_s_es512_signature_is_right() {
        let key = key(concat!(
            r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_"#,
            r#"NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1"#,
            r#"WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
        ));
        assert_eq!(key.alg(), SigningAlgorithm::ES512);
        let message = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA";
        let signature = concat!(
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZq",
            "wqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8Kp",
            "EHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        );
        assert_a_changed_vector_fails(&key, message, signature);
    }

    #[test]
    fn what_every_algorithm_signs_verifies_and_jsonwebtoken_agrees() {
        for alg in SigningAlgorithm::ASYMMETRIC {
            let (token, verifier) = signed_by(*alg);
            assert_eq!(verifier.verify::<Value>(&token, &[TYP]), Ok(claims()), "{alg}");

            let Some(name) = suite(*alg).name else { continue };
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!(header.typ.as_deref(), Some(TYP));
            let key = verifier.key(header.kid.as_deref().unwrap()).unwrap();
            let Key::Known(key) = &key.key else { panic!("not a key of jsonwebtoken") };
            let mut rules = jsonwebtoken::Validation::new(name);
            rules.validate_exp = false;
            let read = jsonwebtoken::decode::<Value>(&token, key, &rules).unwrap();
            assert_eq!(read.claims, claims(), "{alg}");
        }
    }

    #[test]
    fn a_key_survives_pkcs8_and_is_refused_as_another_algorithm_s() {
        let family = |alg: SigningAlgorithm| std::mem::discriminant(&suite(alg).key);
        for alg in SigningAlgorithm::ASYMMETRIC {
            let key = PrivateKey::generate(*alg).unwrap();
            let der = key.to_pkcs8().unwrap();
            let again = PrivateKey::from_pkcs8(*alg, &der).unwrap();
            assert_eq!(again.public_jwk(), key.public_jwk());
            assert_eq!(again.kid().as_str().len(), 16);
            let token = again.sign(TYP, &claims()).unwrap();
            let verifier = Verifier::new([&key.public_jwk()]);
            assert_eq!(verifier.verify::<Value>(&token, &[TYP]), Ok(claims()));

            // An RSA key serves every RSA algorithm; a curve, one.
            let is_rsa = matches!(suite(*alg).key, KeyShape::Rsa { .. });
            let is_other = |other: &&SigningAlgorithm| {
                *other != alg && !(is_rsa && family(**other) == family(*alg))
            };
            for other in SigningAlgorithm::ALL.iter().filter(is_other) {
                assert_eq!(
                    PrivateKey::from_pkcs8(*other, &der).unwrap_err(),
                    KeyError::NotAPrivateKey(*other)
                );
                let jwk = Jwk { alg: Some((*other).into()), ..key.public_jwk() };
                assert_eq!(PublicKey::from_jwk(&jwk).unwrap_err(), KeyError::NotAPublicKey(*other));
            }
        }
    }

    #[test]
    fn a_changed_token_is_refused_wherever_it_was_changed() {
        let (token, verifier) = signed_by(SigningAlgorithm::ES256);
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verifier.verify::<Value>(&changed, &[TYP]).is_err(), "{index}: {changed}");
        }
        for changed in [
            format!("{token}."),
            format!("{token}A"),
            format!("{token}="),
            format!("{token}\n"),
            format!(" {token}"),
            format!(".{token}"),
            token.replace('.', ".."),
            token[..token.len() - 1].to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(verifier.verify::<Value>(&changed, &[TYP]).is_err(), "{changed}");
        }
    }

    /// RFC 8725 §3.1: the algorithm is the key's, not the token's.
    #[test]
    fn only_the_algorithm_of_the_key_is_accepted() {
        let (good, verifier) = signed_by(SigningAlgorithm::ES256);
        let kid = verifier.keys.keys().next().unwrap();
        let (_, signature) = good.rsplit_once('.').unwrap();
        for alg in ["none", "None", "HS256", "RS256", "EdDSA", "ES384", "es256", ""] {
            let message = token(&json!({"alg": alg, "typ": TYP, "kid": kid}), &claims());
            for signature in [signature, ""] {
                assert_eq!(
                    verifier.verify::<Value>(&format!("{message}.{signature}"), &[TYP]),
                    Err(VerifyError::WrongAlgorithm),
                    "{alg}"
                );
            }
        }
    }

    #[test]
    fn a_header_that_can_t_be_trusted_is_refused() {
        let key = PrivateKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let verifier = Verifier::new([&key.public_jwk()]);
        let kid = key.kid().as_str();
        let cases = [
            (json!({"alg": "EdDSA", "typ": TYP}), VerifyError::UnknownKey),
            (
                json!({"alg": "EdDSA", "typ": TYP, "kid": "0000000000000000"}),
                VerifyError::UnknownKey,
            ),
            (json!({"alg": "EdDSA", "kid": kid}), VerifyError::WrongType),
            (json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), VerifyError::WrongType),
            (
                json!({"alg": "EdDSA", "typ": TYP, "kid": kid, "crit": ["b64"], "b64": false}),
                VerifyError::CriticalExtension,
            ),
            (
                json!({"alg": "EdDSA", "typ": TYP, "kid": kid, "crit": null}),
                VerifyError::CriticalExtension,
            ),
            (json!({"typ": TYP, "kid": kid}), VerifyError::Malformed),
            (json!([]), VerifyError::Malformed),
        ];
        for (header, error) in cases {
            let token = format!("{}.AAAA", token(&header, &claims()));
            assert_eq!(verifier.verify::<Value>(&token, &[TYP]), Err(error), "{header}");
        }
        let twice = format!(r#"{{"alg":"EdDSA","alg":"EdDSA","typ":"{TYP}","kid":"{kid}"}}"#);
        let token = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(twice));
        assert_eq!(verifier.verify::<Value>(&token, &[TYP]), Err(VerifyError::Malformed));
    }

    /// RFC 7515 §4.1.9
    #[test]
    fn the_type_is_compared_as_a_media_type() {
        let key = PrivateKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let verifier = Verifier::new([&key.public_jwk()]);
        for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "Application/at+JWT"] {
            let token = key.sign(typ, &claims()).unwrap();
            assert!(verifier.verify::<Value>(&token, &["JWT", TYP]).is_ok(), "{typ}");
        }
        for typ in ["jwt", "at+jw", "text/at+jwt", "application/", ""] {
            let token = key.sign(typ, &claims()).unwrap();
            assert_eq!(
                verifier.verify::<Value>(&token, &[TYP]),
                Err(VerifyError::WrongType),
                "{typ}"
            );
        }
    }

    /// An `exp` of 1970 is for the caller to judge, by the caller's clock.
    #[test]
    fn claims_are_read_and_not_judged() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Narrow {
            exp: i64,
        }
        let (token, verifier) = signed_by(SigningAlgorithm::EdDSA);
        assert_eq!(verifier.verify::<Narrow>(&token, &[TYP]), Ok(Narrow { exp: 1 }));
        assert_eq!(verifier.verify::<Vec<u8>>(&token, &[TYP]), Err(VerifyError::Claims));
    }

    #[test]
    fn a_key_for_encryption_verifies_nothing() {
        let key = PrivateKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let jwk = Jwk { key_use: Some(KeyUse::Encryption), ..key.public_jwk() };
        let token = key.sign(TYP, &claims()).unwrap();
        assert_eq!(
            Verifier::new([&jwk]).verify::<Value>(&token, &[TYP]),
            Err(VerifyError::UnknownKey)
        );
    }

    #[test]
    fn no_debug_output_shows_a_key() {
        let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
        assert_eq!(format!("{key:?}"), format!("PrivateKey(ES256 {})", key.kid()));
    }
}
