//! Verifying what others have signed: client assertions (RFC 7523), request
//! objects (RFC 9101), software statements (RFC 7591 §2.3).
//!
//! Their keys are as they like to publish them (RFC 7517): without `kid`,
//! without `alg`, several with the same `kid`. So the caller says which
//! algorithms are good, the key's type which of them it can verify, and its
//! `alg` and `use`, where it has them, must agree (RFC 8725 §3.1).

use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde::de::DeserializeOwned;

use super::compact::Parts;
use super::jwk::{Jwk, KeyUse};
use super::verify::{PublicKey, VerifyError};

/// A token without `kid` is tried with so many keys: each costs a signature's
/// verification.
const MOST_TRIED: usize = 8;

/// What a caller accepts.
#[derive(Debug, Clone, Copy)]
pub struct Accept<'a> {
    /// The algorithms.
    pub algorithms: &'a [SigningAlgorithm],
    /// The types.
    pub types: Types<'a>,
}

/// The values of `typ` that a caller accepts (RFC 8725 §3.11).
#[derive(Debug, Clone, Copy)]
pub enum Types<'a> {
    /// One of these.
    Required(&'a [&'a str]),
    /// One of these, or none at all: for tokens from before explicit typing.
    IfPresent(&'a [&'a str]),
    /// Whatever it says: where the standard leaves the type to the writer.
    Any,
}

/// The keys of somebody else.
#[derive(Debug, Clone, Default)]
pub struct PeerKeys {
    keys: Vec<Jwk>,
}

impl PeerKeys {
    /// Takes those that can verify; RSA keys shorter than 2048 bits (RFC 7518
    /// §3.3) and keys for encryption are left out.
    #[must_use]
    pub fn new<'a>(jwks: impl IntoIterator<Item = &'a Jwk>) -> Self {
        let signs = |jwk: &&Jwk| {
            jwk.key_use != Some(KeyUse::Encryption) && PublicKey::from_jwk(jwk).is_ok()
        };
        Self { keys: jwks.into_iter().filter(signs).cloned().collect() }
    }

    /// Is there no key to verify with?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies a token and reads its claims.
    ///
    /// The keys with the token's `kid` are tried; where there are none, those
    /// that have no `kid`; where the token has none, all that fit its
    /// algorithm. [`VerifyError::UnknownKey`] says that none was found, and
    /// that a fresh copy of the keys may have it.
    pub fn verify<C: DeserializeOwned>(
        &self,
        token: &str,
        accept: &Accept<'_>,
    ) -> Result<C, VerifyError> {
        let parts = Parts::split(token)?;
        let header = parts.header()?;
        let alg = header.algorithm().ok_or(VerifyError::WrongAlgorithm)?;
        if alg.is_symmetric() || !accept.algorithms.contains(&alg) {
            return Err(VerifyError::WrongAlgorithm);
        }
        header.check(&accept.types)?;
        let kid = header.kid.as_deref();
        let mut named = self.keys.iter().filter(|jwk| jwk.kid.as_deref() == kid).peekable();
        if kid.is_some() && named.peek().is_some() {
            let keys = named.filter_map(|jwk| usable(jwk, alg));
            return match signed_by_one_of(keys, &parts) {
                // Named, and for another algorithm.
                None => Err(VerifyError::WrongAlgorithm),
                Some(true) => parts.claims(),
                Some(false) => Err(VerifyError::WrongSignature),
            };
        }
        let may_be = |jwk: &&Jwk| kid.is_none() || jwk.kid.is_none();
        let keys = self.keys.iter().filter(may_be).filter_map(|jwk| usable(jwk, alg));
        match signed_by_one_of(keys, &parts) {
            Some(true) => parts.claims(),
            Some(false) if kid.is_none() => Err(VerifyError::WrongSignature),
            Some(false) | None => Err(VerifyError::UnknownKey),
        }
    }
}

/// The key, if it can verify this algorithm and is not for another.
fn usable(jwk: &Jwk, alg: SigningAlgorithm) -> Option<PublicKey> {
    if jwk.alg.is_some_and(|other| other != alg.into()) {
        return None;
    }
    PublicKey::of(&jwk.key, alg)
}

/// Nothing if there is no key.
fn signed_by_one_of(keys: impl Iterator<Item = PublicKey>, parts: &Parts<'_>) -> Option<bool> {
    let mut found = None;
    for key in keys.take(MOST_TRIED) {
        if key.is_signature(parts.signature, parts.message) {
            return Some(true);
        }
        found = Some(false);
    }
    found
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::super::{JwkSet, PrivateKey, SharedSecret};
    use super::*;

    const ANY: Accept<'static> = Accept { algorithms: SigningAlgorithm::ALL, types: Types::Any };

    fn key(alg: SigningAlgorithm) -> PrivateKey {
        PrivateKey::generate(alg).unwrap()
    }

    fn claims() -> Value {
        json!({"iss": "client"})
    }

    fn signed(key: &PrivateKey) -> String {
        key.sign("JWT", &claims()).unwrap()
    }

    /// As a peer would that says as little as possible.
    fn bare(key: &PrivateKey) -> Jwk {
        Jwk { kid: None, alg: None, key_use: None, ..key.public_jwk() }
    }

    /// The same claims, under another header.
    fn with_header(key: &PrivateKey, header: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(&claims()));
        let signature = key.signature(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(keys: &[Jwk], token: &str) -> Result<Value, VerifyError> {
        PeerKeys::new(keys).verify(token, &ANY)
    }

    #[test]
    fn every_algorithm_verifies_by_keys_that_say_little() {
        let keys: Vec<_> =
            SigningAlgorithm::ASYMMETRIC.iter().map(|alg| (key(*alg), *alg)).collect();
        let set: Vec<_> = keys.iter().map(|(key, _)| bare(key)).collect();
        for (key, alg) in &keys {
            let token = with_header(key, &json!({"alg": alg}));
            assert_eq!(verify(&set, &token), Ok(claims()), "{alg}");
            // RS256 and PS256 of one key: the token's algorithm counts.
            assert_eq!(verify(&[bare(key)], &token), Ok(claims()), "{alg}");
        }
    }

    #[test]
    fn one_rsa_key_without_alg_verifies_every_rsa_algorithm() {
        let first = key(SigningAlgorithm::RS256);
        let der = first.to_pkcs8().unwrap();
        for alg in SigningAlgorithm::ASYMMETRIC {
            let Ok(same) = PrivateKey::from_pkcs8(*alg, &der) else { continue };
            assert_eq!(verify(&[bare(&first)], &signed(&same)), Ok(claims()), "{alg}");
            let only = Jwk { alg: Some(SigningAlgorithm::RS256.into()), ..bare(&first) };
            let outcome = verify(&[only], &with_header(&same, &json!({"alg": alg})));
            let is_right = *alg == SigningAlgorithm::RS256;
            assert_eq!(outcome.is_ok(), is_right, "{alg}");
        }
    }

    #[test]
    fn the_key_id_picks_the_key_and_an_unknown_one_is_told_apart() {
        let (one, two) = (key(SigningAlgorithm::ES256), key(SigningAlgorithm::ES256));
        let named = |key: &PrivateKey, kid: &str| Jwk { kid: Some(kid.to_owned()), ..bare(key) };
        let set = [named(&one, "1"), named(&two, "2")];
        let says = |key, kid: &str| with_header(key, &json!({"alg": "ES256", "kid": kid}));
        assert_eq!(verify(&set, &says(&one, "1")), Ok(claims()));
        assert_eq!(verify(&set, &says(&two, "2")), Ok(claims()));
        assert_eq!(verify(&set, &says(&one, "2")), Err(VerifyError::WrongSignature));
        assert_eq!(verify(&set, &says(&one, "3")), Err(VerifyError::UnknownKey));
        assert_eq!(verify(&[], &says(&one, "1")), Err(VerifyError::UnknownKey));
        // Two of the same name.
        assert_eq!(verify(&[named(&one, "x"), named(&two, "x")], &says(&two, "x")), Ok(claims()));
        // A key without a name may be the one; nobody else's is.
        assert_eq!(verify(&[bare(&one)], &says(&one, "3")), Ok(claims()));
        assert_eq!(verify(&[bare(&two)], &says(&one, "3")), Err(VerifyError::UnknownKey));
    }

    #[test]
    fn a_named_key_for_another_algorithm_is_not_used() {
        let mine = key(SigningAlgorithm::ES256);
        let token = with_header(&mine, &json!({"alg": "ES384", "kid": "1"}));
        let set = [Jwk { kid: Some("1".to_owned()), ..bare(&mine) }];
        assert_eq!(verify(&set, &token), Err(VerifyError::WrongAlgorithm));
    }

    #[test]
    fn a_token_without_key_id_is_tried_with_what_fits_and_not_without_end() {
        let mine = key(SigningAlgorithm::ES256);
        let token = with_header(&mine, &json!({"alg": "ES256"}));
        let other = || bare(&key(SigningAlgorithm::ES256));
        let mut set: Vec<_> = (1..MOST_TRIED).map(|_| other()).collect();
        set.push(bare(&mine));
        assert_eq!(verify(&set, &token), Ok(claims()));
        set.insert(0, other());
        assert_eq!(verify(&set, &token), Err(VerifyError::WrongSignature));
        let no_fit = [bare(&key(SigningAlgorithm::EdDSA))];
        assert_eq!(verify(&no_fit, &token), Err(VerifyError::UnknownKey));
    }

    /// RFC 8725 §3.1, §3.2
    #[test]
    fn only_what_the_caller_accepts_is_accepted_and_none_never() {
        let mine = key(SigningAlgorithm::ES256);
        let keys = PeerKeys::new([&mine.public_jwk()]);
        let accept = Accept { algorithms: &[SigningAlgorithm::RS256], ..ANY };
        assert_eq!(keys.verify::<Value>(&signed(&mine), &accept), Err(VerifyError::WrongAlgorithm));
        for alg in ["none", "None", "nOnE", "", "ES256K", "HS256"] {
            let header = json!({"alg": alg});
            let token = with_header(&mine, &header);
            let (message, _) = token.rsplit_once('.').unwrap();
            for token in [&token, &format!("{message}.")] {
                assert_eq!(
                    keys.verify::<Value>(token, &ANY),
                    Err(VerifyError::WrongAlgorithm),
                    "{alg}"
                );
            }
        }
    }

    /// RFC 8725 §2.1: a public key is no secret.
    #[test]
    fn a_public_key_taken_for_a_secret_verifies_nothing() {
        let mine = key(SigningAlgorithm::RS256);
        let public = serde_json::to_vec(&mine.public_jwk()).unwrap();
        let secret = SharedSecret::new(&public);
        let token = secret.sign(SigningAlgorithm::HS256, "JWT", &claims()).unwrap();
        assert_eq!(verify(&[bare(&mine)], &token), Err(VerifyError::WrongAlgorithm));
    }

    /// RFC 7518 §3.3
    #[test]
    fn a_short_rsa_key_is_left_out() {
        let rsa = |bytes: usize, first: u8| {
            let mut n = vec![0xff; bytes];
            n[0] = first;
            let n = URL_SAFE_NO_PAD.encode(n);
            JwkSet {
                keys: serde_json::from_value(json!([{"kty": "RSA", "n": n, "e": "AQAB"}])).unwrap(),
            }
        };
        for (bytes, first, is_taken) in [
            (256, 0x80, true),
            (1024, 0x80, true),
            (256, 0x7f, false),
            (257, 0, true),
            (128, 0x80, false),
            (1025, 1, false),
        ] {
            let keys = PeerKeys::new(&rsa(bytes, first).keys);
            assert_eq!(!keys.is_empty(), is_taken, "{bytes} {first}");
        }
    }

    #[test]
    fn a_key_for_encryption_is_left_out() {
        let mine = key(SigningAlgorithm::ES256);
        let jwk = Jwk { key_use: Some(KeyUse::Encryption), ..bare(&mine) };
        assert_eq!(verify(&[jwk], &signed(&mine)), Err(VerifyError::UnknownKey));
    }

    /// A key or a certificate in the header is not looked at: anybody can put
    /// one there (RFC 8725 §3.5).
    #[test]
    fn a_key_in_the_header_is_ignored() {
        let (mine, known) = (key(SigningAlgorithm::ES256), key(SigningAlgorithm::ES256));
        let header = json!({"alg": "ES256", "jwk": mine.public_jwk(), "x5c": ["AAAA"]});
        let token = with_header(&mine, &header);
        assert_eq!(verify(&[bare(&known)], &token), Err(VerifyError::WrongSignature));
        assert_eq!(verify(&[bare(&mine)], &token), Ok(claims()));
    }

    #[test]
    fn the_type_is_as_the_caller_wants_it() {
        let mine = key(SigningAlgorithm::EdDSA);
        let keys = PeerKeys::new([&mine.public_jwk()]);
        let mut typed = json!({"alg": "EdDSA", "typ": "application/x+jwt"});
        let with = with_header(&mine, &typed);
        typed["typ"] = json!("y+jwt");
        let other = with_header(&mine, &typed);
        let without = with_header(&mine, &json!({"alg": "EdDSA"}));
        for (types, good) in [
            (Types::Required(&["x+jwt"]), [true, false, false]),
            (Types::IfPresent(&["x+jwt"]), [true, false, true]),
            (Types::Any, [true, true, true]),
        ] {
            for (token, good) in [&with, &other, &without].into_iter().zip(good) {
                let outcome = keys.verify::<Value>(token, &Accept { types, ..ANY });
                let expected = if good { Ok(claims()) } else { Err(VerifyError::WrongType) };
                assert_eq!(outcome, expected, "{types:?}");
            }
        }
    }

    /// RFC 9864 §2.2
    #[test]
    fn ed25519_is_known_by_its_own_name_too() {
        let mine = key(SigningAlgorithm::EdDSA);
        let token = with_header(&mine, &json!({"alg": "Ed25519"}));
        assert_eq!(verify(&[bare(&mine)], &token), Ok(claims()));
        let mut named = serde_json::to_value(mine.public_jwk()).unwrap();
        named["alg"] = json!("Ed25519");
        let named: Jwk = serde_json::from_value(named).unwrap();
        assert_eq!(verify(&[named], &with_header(&mine, &json!({"alg": "EdDSA"}))), Ok(claims()));
    }

    #[test]
    fn critical_extensions_are_refused() {
        let mine = key(SigningAlgorithm::EdDSA);
        let token = with_header(&mine, &json!({"alg": "EdDSA", "crit": ["b64"], "b64": true}));
        assert_eq!(verify(&[bare(&mine)], &token), Err(VerifyError::CriticalExtension));
    }
}
