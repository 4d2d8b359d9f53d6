//! The three parts of a compact JWS (RFC 7515 §3.1), before and while it is
//! verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::signing_key::KeyAlgorithm;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::peer::Types;
use super::verify::VerifyError;

/// Longer tokens are not looked at: what holds a certificate chain and a rich
/// authorization request is far shorter.
const LONGEST: usize = 64 * 1024;

/// What a token says of itself. Anybody can have written it: it tells whose
/// keys to ask, and nothing else.
pub struct Unverified<'t> {
    parts: Parts<'t>,
    header: Header,
}

impl<'t> Unverified<'t> {
    /// Reads the header; the claims and the signature may be anything.
    pub fn parse(token: &'t str) -> Result<Self, VerifyError> {
        let parts = Parts::split(token)?;
        let header = parts.header()?;
        Ok(Self { parts, header })
    }

    /// The algorithm; nothing for `none` and what else we don't know.
    #[must_use]
    pub fn alg(&self) -> Option<SigningAlgorithm> {
        self.header.algorithm()
    }

    /// Does it say of itself that it is not signed (RFC 7518 §3.6)?
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        self.header.alg == "none"
    }

    /// Which key.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The type, as written.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// The claims, which nobody has vouched for.
    pub fn claims<C: DeserializeOwned>(&self) -> Result<C, VerifyError> {
        self.parts.claims()
    }
}

/// Shows nothing of the claims.
impl std::fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unverified(…)")
    }
}

/// Are these the same media type? RFC 7515 §4.1.9: case does not count, and
/// `application/` may be left out.
fn same_type(one: &str, other: &str) -> bool {
    bare_type(one).eq_ignore_ascii_case(bare_type(other))
}

fn bare_type(typ: &str) -> &str {
    match typ.split_once('/') {
        Some((top, bare)) if top.eq_ignore_ascii_case("application") => bare,
        _ => typ,
    }
}

pub(super) struct Parts<'a> {
    pub(super) message: &'a str,
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > LONGEST {
            return Err(VerifyError::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(VerifyError::Malformed)?;
        if claims.contains('.') {
            return Err(VerifyError::Malformed);
        }
        Ok(Self { message, header, claims, signature })
    }

    pub(super) fn header(&self) -> Result<Header, VerifyError> {
        let json = URL_SAFE_NO_PAD.decode(self.header).map_err(|_| VerifyError::Malformed)?;
        serde_json::from_slice(&json).map_err(|_| VerifyError::Malformed)
    }

    pub(super) fn claims<C: DeserializeOwned>(&self) -> Result<C, VerifyError> {
        let claims = URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| VerifyError::Malformed)?;
        serde_json::from_slice(&claims).map_err(|_| VerifyError::Claims)
    }
}

/// What of a header is looked at; a member that stands twice is refused
/// (RFC 7515 §4).
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) typ: Option<String>,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default, rename = "crit", deserialize_with = "present")]
    is_extended: bool,
}

impl Header {
    /// The algorithm, by whichever of its names ([`KeyAlgorithm`] knows them).
    pub(super) fn algorithm(&self) -> Option<SigningAlgorithm> {
        self.alg.parse().ok().and_then(KeyAlgorithm::signing)
    }

    /// Refuses extensions, and other types than asked for.
    pub(super) fn check(&self, types: &Types<'_>) -> Result<(), VerifyError> {
        if self.is_extended {
            return Err(VerifyError::CriticalExtension);
        }
        let is_one_of = |types: &[&str], typ: &str| types.iter().any(|t| same_type(t, typ));
        let good = match (types, self.typ.as_deref()) {
            (Types::Any, _) | (Types::IfPresent(_), None) => true,
            (Types::Required(types) | Types::IfPresent(types), Some(typ)) => is_one_of(types, typ),
            (Types::Required(_), None) => false,
        };
        if good { Ok(()) } else { Err(VerifyError::WrongType) }
    }
}

/// True for any value, even `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn token(header: &Value, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", part(&header.to_string()), part(claims))
    }

    #[test]
    fn a_token_says_of_itself_what_it_likes() {
        let text = token(&json!({"alg": "RS256", "kid": "k", "typ": "JWT"}), r#"{"iss":"me"}"#);
        let read = Unverified::parse(&text).unwrap();
        assert_eq!(read.alg(), Some(SigningAlgorithm::RS256));
        assert_eq!((read.kid(), read.typ(), read.is_unsigned()), (Some("k"), Some("JWT"), false));
        assert_eq!(read.claims::<Value>(), Ok(json!({"iss": "me"})));
        let text = token(&json!({"alg": "none"}), "no JSON");
        let read = Unverified::parse(&text).unwrap();
        assert_eq!((read.alg(), read.kid(), read.is_unsigned()), (None, None, true));
        assert_eq!(read.claims::<Value>(), Err(VerifyError::Claims));
    }

    #[test]
    fn a_token_without_end_is_not_looked_at() {
        let long = |length: usize| {
            let text = token(&json!({"alg": "RS256"}), "{}");
            format!("{text}{}", "A".repeat(length - text.len()))
        };
        assert!(Unverified::parse(&long(LONGEST)).is_ok());
        assert_eq!(Unverified::parse(&long(LONGEST + 1)).unwrap_err(), VerifyError::Malformed);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,100}", header in ".{0,60}", claims in ".{0,60}") {
            let _ = Unverified::parse(&text).map(|read| read.claims::<Value>());
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let text = format!("{}.{}.", part(&header), part(&claims));
            let _ = Unverified::parse(&text).map(|read| read.claims::<Value>());
        }
    }
}
