//! What a relying party must check of an ID token (OpenID Connect Core
//! §3.1.3.7, §12.2).

use chancery_domain::time::UnixTime;
use serde::Deserialize;

use crate::jose::{JwkSet, Verifier, VerifyError};

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub subject: Subject<'a>,
    pub now: UnixTime,
}

/// Whom an ID token must be about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Whoever logged in when the request with this nonce was made.
    Nonce(&'a str),
    /// The same person as before, as a refresh tells of them.
    Same(&'a str),
}

/// Why an ID token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("the ID token is not the server's: {0}")]
    Signature(#[from] VerifyError),
    #[error("the ID token is of another issuer")]
    Issuer,
    #[error("the ID token is for somebody else")]
    Audience,
    #[error("the ID token does not answer this request: its nonce is another")]
    Nonce,
    #[error("the ID token has expired")]
    Expired,
    #[error("the ID token is about somebody else than before")]
    Subject,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nonce: Option<String>,
}

/// RFC 7519 §4.1.3
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// For this client and, since it trusts nobody else, for it alone.
    fn is_only(&self, client_id: &str) -> bool {
        match self {
            Self::One(one) => one == client_id,
            Self::Several(several) => matches!(several.as_slice(), [one] if one == client_id),
        }
    }
}

/// Checks an ID token by the keys that the issuer publishes; whom it is about.
pub fn check(token: &str, keys: &JwkSet, expected: Expected<'_>) -> Result<String, IdTokenError> {
    let claims: Claims = Verifier::new(&keys.keys).verify(token, &["JWT"])?;
    if claims.iss != expected.issuer {
        return Err(IdTokenError::Issuer);
    }
    if !claims.aud.is_only(expected.client_id) {
        return Err(IdTokenError::Audience);
    }
    if claims.exp <= expected.now.seconds() {
        return Err(IdTokenError::Expired);
    }
    match expected.subject {
        Subject::Nonce(nonce) if claims.nonce.as_deref() != Some(nonce) => Err(IdTokenError::Nonce),
        Subject::Same(subject) if claims.sub != subject => Err(IdTokenError::Subject),
        _ => Ok(claims.sub),
    }
}

#[cfg(test)]
mod tests {
    use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::PrivateKey;

    const EXPECTED: Expected<'static> = Expected {
        issuer: "http://localhost:8080",
        client_id: "demo",
        subject: Subject::Nonce("n"),
        now: UnixTime::from_seconds(100),
    };

    /// Checks good claims with these ones in place of theirs.
    fn check_with(expected: Expected<'_>, other: &Value) -> Result<String, IdTokenError> {
        let mut claims = json!({
            "iss": "http://localhost:8080", "sub": "s", "aud": "demo", "exp": 101, "nonce": "n",
        });
        for (name, value) in other.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
        let keys = JwkSet { keys: vec![key.public_jwk()] };
        check(&key.sign("JWT", &claims).unwrap(), &keys, expected)
    }

    /// OpenID Connect Core §3.1.3.7
    #[test]
    fn an_id_token_that_is_not_for_this_request_is_refused() {
        assert_eq!(check_with(EXPECTED, &json!({})).unwrap(), "s");
        assert_eq!(check_with(EXPECTED, &json!({ "aud": ["demo"] })).unwrap(), "s");
        let refused = [
            (json!({ "iss": "http://localhost:8081" }), IdTokenError::Issuer),
            (json!({ "aud": "demo-public" }), IdTokenError::Audience),
            (json!({ "aud": ["demo", "other"] }), IdTokenError::Audience),
            (json!({ "exp": 100 }), IdTokenError::Expired),
            (json!({ "nonce": "m" }), IdTokenError::Nonce),
            (json!({ "nonce": null }), IdTokenError::Nonce),
        ];
        for (claims, error) in refused {
            assert_eq!(check_with(EXPECTED, &claims), Err(error), "{claims}");
        }
    }

    /// OpenID Connect Core §12.2
    #[test]
    fn a_refresh_tells_of_the_same_person() {
        let expected = Expected { subject: Subject::Same("s"), ..EXPECTED };
        assert!(check_with(expected, &json!({ "nonce": null })).is_ok());
        assert_eq!(check_with(expected, &json!({ "sub": "t" })), Err(IdTokenError::Subject));
    }

    #[test]
    fn a_key_that_is_not_published_signs_nothing() {
        let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
        let token = key.sign("JWT", &json!({})).unwrap();
        let error = check(&token, &JwkSet::default(), EXPECTED).unwrap_err();
        assert_eq!(error, IdTokenError::Signature(VerifyError::UnknownKey));
    }
}
