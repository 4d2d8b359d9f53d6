//! The authorization request, kept whole in events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::RequestError;
use crate::digest::Sha256Digest;
use crate::ids::ClientId;
use crate::protocol::claims::{ClaimNames, ClaimsRequest};
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::prompt::Prompts;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::response_mode::ResponseMode;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::time::Lifetime;

/// An authorization request that passed every check (RFC 6749 §4.1.1, OpenID
/// Connect Core §3.1.2.1). Its clear part; [`SealedParameters`] is the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the response goes.
    pub redirect_uri: RedirectUri,
    /// The request did not name it: then the token request need not either
    /// (RFC 6749 §4.1.3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect_uri_by_default: bool,
    /// What is asked for.
    pub response_type: ResponseType,
    /// How the response travels; absent: as the response type has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<ResponseMode>,
    /// The scope asked for, as far as the client is registered for it.
    pub scope: Scope,
    /// PKCE (RFC 7636).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<CodeChallenge>,
    /// What the person shall, or shall not, be asked.
    #[serde(default, skip_serializing_if = "Prompts::is_empty")]
    pub prompt: Prompts,
    /// The oldest authentication that is good enough, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Lifetime>,
    /// Claims asked for by name (OpenID Connect Core §5.5).
    #[serde(default, skip_serializing_if = "ClaimNames::is_empty")]
    pub claims: ClaimNames,
    /// Authentication context classes, preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// Languages, preferred first (BCP 47).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui_locales: Vec<String>,
    /// The commitment to the sealed part; absent when that is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sha256Digest>,
}

impl AuthorizationRequest {
    /// Is this an OpenID Connect request?
    #[must_use]
    pub fn is_openid(&self) -> bool {
        self.scope.contains(Scope::OPENID)
    }

    /// How the response travels: never as [`ResponseMode::Jwt`], which is
    /// another word for one of the others (JARM §2.3.4).
    #[must_use]
    pub fn response_mode(&self) -> ResponseMode {
        let front = self.response_type.is_front_channel();
        match self.response_mode {
            None if front => ResponseMode::Fragment,
            None => ResponseMode::Query,
            Some(ResponseMode::Jwt) if front => ResponseMode::FragmentJwt,
            Some(ResponseMode::Jwt) => ResponseMode::QueryJwt,
            Some(mode) => mode,
        }
    }
}

/// The parameters that are the client's or the person's own business: kept
/// encrypted beside the log, and gone when they have served.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SealedParameters {
    /// Comes back with the response (RFC 6749 §4.1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Comes back in the ID token (OpenID Connect Core §3.1.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Whom the client expects to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// An ID token of whom the client expects to be logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<String>,
    /// Parameters that no standard knows and the settings allow, for hooks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, String>,
    /// `claims`, where it says more than names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimsRequest>,
}

impl SealedParameters {
    /// Is there nothing to keep?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Debug for SealedParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedParameters(…)")
    }
}

/// The name of a parameter that no standard knows, and that is kept with the
/// request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomParameter(String);

/// Why a name is not that of a custom parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCustom {
    /// RFC 6749 appendix A.
    #[error("is not the name of a parameter")]
    Malformed,
    /// The server knows what to do with it, or that it has nothing to do with it.
    #[error("is a parameter of the standards")]
    Standard,
}

impl CustomParameter {
    /// The parameters of requests, responses and clients' authentication in the
    /// registry of OAuth (RFC 6749 §11.2), and the claims of a JWT.
    #[rustfmt::skip]
    const STANDARD: &'static [&'static str] = &[
        "access_token", "acr_values", "assertion", "aud", "authorization_details", "claims",
        "claims_locales", "client_assertion", "client_assertion_type", "client_id",
        "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier",
        "display", "dpop_jkt", "error", "exp", "expires_in", "grant_type", "iat", "id_token",
        "id_token_hint", "iss", "jti", "login_hint", "max_age", "nbf", "nonce", "prompt",
        "redirect_uri", "refresh_token", "registration", "request", "request_uri", "resource",
        "response", "response_mode", "response_type", "scope", "session_state", "state", "sub",
        "token_type", "ui_locales",
    ];

    /// Reads a name: letters, digits, and what namespaces are written with.
    pub fn parse(name: &str) -> Result<Self, NotCustom> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        if !(1..=100).contains(&name.len()) || !name.bytes().all(good) {
            return Err(NotCustom::Malformed);
        }
        if Self::STANDARD.contains(&name) {
            return Err(NotCustom::Standard);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parameters as they came, in order: from a query, a form or an object.
#[derive(Clone, Default)]
pub struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    source: Source,
}

/// What stands behind parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// A query or a form: whoever sent the browser may have written them.
    #[default]
    Plain,
    /// A request object that the client signed (RFC 9101).
    RequestObject,
    /// A request object that is not good, or what stands beside one: they only
    /// say where the error goes.
    Faulty(RequestError),
}

/// A parameter stands there more than once (RFC 6749 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Parameters<'a> {
    /// Reads `application/x-www-form-urlencoded` bytes (RFC 6749 appendix B).
    ///
    /// A parameter without a value counts as left out (RFC 6749 §3.1).
    #[must_use]
    pub fn parse(encoded: &'a [u8]) -> Self {
        let pairs = url::form_urlencoded::parse(encoded);
        Self::of(pairs, Source::Plain)
    }

    /// Takes pairs; as [`Self::parse`] does, without those that have no value.
    pub(super) fn of(
        pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
        source: Source,
    ) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self { pairs: pairs.collect(), source }
    }

    /// The same where the request object beside them is not good.
    #[must_use]
    pub fn beside_faulty(self, error: RequestError) -> Self {
        Self { source: Source::Faulty(error), ..self }
    }

    /// What stands behind them.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The value of a parameter that may stand there once.
    pub fn once(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values =
            self.pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value);
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    /// The value of a parameter, where repetition has been looked for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// A name that stands there more than once.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let names = || self.pairs.iter().map(|(name, _)| &**name);
        names()
            .enumerate()
            .find(|(index, name)| names().take(*index).any(|own| own == *name))
            .map(|(_, name)| name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// As [`Parameters::parse`], a parameter without a value counts as left out.
impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Parameters<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self::of(pairs, Source::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_as_forms_are() {
        let parameters = Parameters::parse(b"scope=openid+email&state=a%26b%3D&x");
        assert_eq!(parameters.get("scope"), Some("openid email"));
        assert_eq!(parameters.get("state"), Some("a&b="));
        assert_eq!(parameters.len(), 2);
    }

    /// RFC 6749 §3.1
    #[test]
    fn a_parameter_without_a_value_is_left_out_wherever_it_comes_from() {
        assert!(Parameters::parse(b"state=&nonce").is_empty());
        assert!(Parameters::from_iter([("state", "")]).is_empty());
    }

    #[test]
    fn repetition_is_seen() {
        let parameters = Parameters::parse(b"a=1&b=2&a=1");
        assert_eq!(parameters.repeated(), Some("a"));
        assert_eq!(parameters.once("a"), Err(Repeated));
        assert_eq!(parameters.once("b"), Ok(Some("2")));
        assert_eq!(parameters.once("c"), Ok(None));
        assert_eq!(Parameters::parse(b"a=1&b=1&a=").repeated(), None);
    }

    #[test]
    fn a_custom_parameter_is_no_standard_one() {
        for good in ["tenant", "org.example:tenant", "X-1"] {
            assert_eq!(CustomParameter::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a&b", "ä", &"a".repeat(101)] {
            assert_eq!(CustomParameter::parse(bad), Err(NotCustom::Malformed));
        }
        for standard in ["state", "request", "client_assertion", "exp"] {
            assert_eq!(CustomParameter::parse(standard), Err(NotCustom::Standard));
        }
    }

    #[test]
    fn debug_never_shows_what_is_sealed() {
        let sealed =
            SealedParameters { state: Some("secret".to_owned()), ..SealedParameters::default() };
        assert_eq!(format!("{sealed:?}"), "SealedParameters(…)");
        assert!(!sealed.is_empty() && SealedParameters::default().is_empty());
    }
}
