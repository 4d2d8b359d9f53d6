//! Proof Key for Code Exchange (RFC 7636): the method S256, and `plain` where that
//! is allowed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::digest::Sha256Digest;

/// Why PKCE parameters can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// `code_challenge_method` is `plain`, or missing, which means `plain`.
    #[error("code_challenge_method must be S256")]
    MethodNotS256,
    /// A method stands without a challenge.
    #[error("code_challenge_method needs a code_challenge")]
    ChallengeMissing,
    /// The challenge is no base64url SHA-256 digest.
    #[error("code_challenge must be 43 characters of base64url")]
    MalformedChallenge,
    /// The challenge of the method `plain` is no verifier.
    #[error("code_challenge must be 43 to 128 unreserved characters")]
    MalformedPlain,
    /// The verifier is not as RFC 7636 §4.1 has it.
    #[error("code_verifier must be 43 to 128 unreserved characters")]
    MalformedVerifier,
}

/// `code_challenge` of the method S256 (RFC 7636 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CodeChallenge(Sha256Digest);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method`.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, PkceError> {
        let Some(challenge) = challenge else {
            return if method.is_none() { Ok(None) } else { Err(PkceError::ChallengeMissing) };
        };
        if method != Some("S256") {
            return Err(PkceError::MethodNotS256);
        }
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(challenge, &mut bytes) {
            Ok(32) => Ok(Some(Self(Sha256Digest::from_bytes(bytes)))),
            _ => Err(PkceError::MalformedChallenge),
        }
    }

    /// The same where `plain` is allowed (RFC 7636 §4.3). There the challenge is
    /// the verifier, which is a secret: what is kept is its digest, which is the
    /// challenge that S256 makes of it.
    pub fn parse_or_plain(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Option<Self>, PkceError> {
        match (challenge, method) {
            (Some(challenge), None | Some("plain")) => {
                let verifier = CodeVerifier::parse(challenge);
                let verifier = verifier.map_err(|_| PkceError::MalformedPlain)?;
                Ok(Some(Self(Sha256Digest::from_bytes(verifier.hash()))))
            }
            _ => Self::parse(challenge, method),
        }
    }

    /// Was the challenge made from this verifier? (RFC 7636 §4.6)
    #[must_use]
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        self.0.as_bytes().ct_eq(&verifier.hash()).into()
    }
}

/// `code_verifier` (RFC 7636 §4.1): a secret, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeVerifier(Box<str>);

impl CodeVerifier {
    /// Reads a verifier.
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        let unreserved =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            return Ok(Self(text.into()));
        }
        Err(PkceError::MalformedVerifier)
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// RFC 7636 appendix B.
    #[test]
    fn the_example_of_the_standard_matches() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.matches(&CodeVerifier::parse(VERIFIER).unwrap()));
        let other = VERIFIER.replace('d', "e");
        assert!(!challenge.matches(&CodeVerifier::parse(&other).unwrap()));
    }

    #[test]
    fn plain_is_refused_said_or_unsaid() {
        let refused = Err(PkceError::MethodNotS256);
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), Some("plain")), refused);
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), None), refused);
    }

    #[test]
    fn plain_is_taken_where_it_is_allowed_and_not_kept_as_it_is() {
        for method in [Some("plain"), None] {
            let challenge = CodeChallenge::parse_or_plain(Some(VERIFIER), method).unwrap().unwrap();
            assert!(challenge.matches(&CodeVerifier::parse(VERIFIER).unwrap()));
            assert!(!challenge.matches(&CodeVerifier::parse(CHALLENGE).unwrap()));
            let kept = serde_json::to_string(&challenge).unwrap();
            assert_eq!(kept, format!("\"{CHALLENGE}\""));
            let short = CodeChallenge::parse_or_plain(Some("short"), method);
            assert_eq!(short, Err(PkceError::MalformedPlain));
        }
        let s256 = CodeChallenge::parse_or_plain(Some(CHALLENGE), Some("S256"));
        assert_eq!(s256, CodeChallenge::parse(Some(CHALLENGE), Some("S256")));
        assert_eq!(CodeChallenge::parse_or_plain(None, None), Ok(None));
        let unknown = CodeChallenge::parse_or_plain(Some(VERIFIER), Some("S512"));
        assert_eq!(unknown, Err(PkceError::MethodNotS256));
    }

    #[test]
    fn a_verifier_has_its_length_and_alphabet() {
        for bad in ["short", &"a".repeat(129), &"ä".repeat(50), &format!("{VERIFIER}+")] {
            assert_eq!(CodeVerifier::parse(bad), Err(PkceError::MalformedVerifier));
        }
    }
}
