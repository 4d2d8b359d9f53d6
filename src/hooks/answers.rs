//! What a hook may answer, point by point. Whatever else it says is refused:
//! a word that is misspelt must not pass for one that was never said.

use std::collections::BTreeSet;

use chancery_domain::protocol::scope::Scope;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::config::hooks::Point;

/// All that a hook adds to one answer, as JSON, in bytes.
const LONGEST: usize = 16_384;

/// The longest reason of a refusal, in characters.
const LONGEST_REASON: usize = 200;

/// The longest lifetime that a hook may give, in seconds: ten years.
const LONGEST_LIFETIME: u32 = 315_360_000;

/// Claims of tokens that are the server's own to say (RFC 7519 §4.1, RFC 9068
/// §2.2, RFC 7662 §2.2, OpenID Connect Core §2).
const OWN_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "cnf",
    "client_id",
    "scope",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "act",
    "may_act",
    "events",
    "authorization_details",
    "active",
    "token_type",
    "username",
    "token_introspection",
];

/// Members of the answer to a push that are the server's own (RFC 9126 §2.2).
const OWN_OF_PAR: &[&str] = &["request_uri", "expires_in", "error", "error_description"];

/// Metadata that no hook may change: what the server is found and believed by
/// (RFC 8414 §2).
const OWN_METADATA: &[&str] =
    &["issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "signed_metadata"];

/// Members of a registration that are the server's own (RFC 7591 §3.2.1, RFC
/// 7592 §3).
const OWN_OF_REGISTRATION: &[&str] = &[
    "client_id",
    "client_secret",
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
    "software_statement",
];

/// What the hooks of one point answer, all together.
pub trait Answer: Default + for<'de> Deserialize<'de> {
    const POINT: Point;

    /// Is something in it that may not be said?
    fn check(&self) -> Result<(), String>;

    /// Takes what a later hook says besides.
    fn join(&mut self, later: Self);

    /// Why the request is refused, if it is.
    fn denial(&self) -> Option<&str> {
        None
    }
}

/// Reads what a hook said; nothing (`()` or `null`) changes nothing.
pub fn read<A: Answer>(value: Value) -> Result<A, String> {
    if value.is_null() {
        return Ok(A::default());
    }
    if !value.is_object() {
        return Err("its answer is no map".to_owned());
    }
    // The message of serde may quote a value; its names are enough.
    let answer: A = serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        match text.split_once('`') {
            Some((start, rest)) if start.starts_with("unknown field") => {
                format!("unknown member {}", rest.split('`').next().unwrap_or_default())
            }
            _ => "a member has another type than it should".to_owned(),
        }
    })?;
    if answer.denial().is_some_and(|reason| reason.trim().is_empty()) {
        return Err("deny is empty: give a reason".to_owned());
    }
    answer.check()?;
    Ok(answer)
}

/// Is this what a hook may say at this point?
pub fn check(point: Point, value: Value) -> Result<(), String> {
    match point {
        Point::Authorization => read::<AuthorizationAnswer>(value).map(drop),
        Point::PostAuthentication => read::<PostAuthenticationAnswer>(value).map(drop),
        Point::Consent => read::<ConsentAnswer>(value).map(drop),
        Point::Par => read::<ParAnswer>(value).map(drop),
        Point::Token => read::<TokenAnswer>(value).map(drop),
        Point::Userinfo => read::<UserinfoAnswer>(value).map(drop),
        Point::Introspection => read::<IntrospectionAnswer>(value).map(drop),
        Point::Discovery => read::<DiscoveryAnswer>(value).map(drop),
        Point::Registration => read::<RegistrationAnswer>(value).map(drop),
    }
}

/// A reason as it may stand in an answer (RFC 6749 §5.2).
#[must_use]
pub fn reason(text: &str) -> String {
    let good = |letter: char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    let letters = text.chars().map(|letter| if good(letter) { letter } else { '?' });
    letters.take(LONGEST_REASON).collect()
}

/// At [`Point::Authorization`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
    /// The person has to log in, though they are.
    pub require_login: bool,
    /// The person has to be asked, though they have consented.
    pub require_consent: bool,
    /// No more than this of what was asked for.
    #[serde(deserialize_with = "scope")]
    pub scope: Option<Scope>,
}

/// At [`Point::PostAuthentication`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostAuthenticationAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
}

/// At [`Point::Consent`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
    /// Ask, or do not; as the consents have it where nothing is said.
    pub consent: Option<Asking>,
    /// No more than this of what was asked for.
    #[serde(deserialize_with = "scope")]
    pub scope: Option<Scope>,
}

/// Is a person asked?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    /// Not even where they have not consented before.
    Skip,
    /// Even where they have.
    Require,
}

/// At [`Point::Par`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
    /// How long the `request_uri` lasts, in seconds.
    pub expires_in: Option<u32>,
    /// Further members of the answer.
    pub members: Map<String, Value>,
}

/// At [`Point::Token`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenAnswer {
    /// Issue nothing, for this reason.
    pub deny: Option<String>,
    /// Further claims of the access token.
    pub access_token_claims: Map<String, Value>,
    /// Further claims of the ID token.
    pub id_token_claims: Map<String, Value>,
    /// In seconds, as the two below.
    pub access_token_lifetime: Option<u32>,
    pub id_token_lifetime: Option<u32>,
    pub refresh_token_lifetime: Option<u32>,
}

/// At [`Point::Userinfo`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserinfoAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
    /// Claims that are added or changed; `null` takes one away.
    pub claims: Map<String, Value>,
}

/// At [`Point::Introspection`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntrospectionAnswer {
    /// Say that the token is not active.
    pub inactive: bool,
    /// Further members of the answer.
    pub members: Map<String, Value>,
}

/// At [`Point::Discovery`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryAnswer {
    /// Metadata that are added or changed; `null` takes one away.
    pub members: Map<String, Value>,
}

/// At [`Point::Registration`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationAnswer {
    /// Refuse, for this reason.
    pub deny: Option<String>,
    /// Metadata that are added or changed; `null` takes one away.
    pub metadata: Map<String, Value>,
}

impl Answer for AuthorizationAnswer {
    const POINT: Point = Point::Authorization;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn join(&mut self, later: Self) {
        self.require_login |= later.require_login;
        self.require_consent |= later.require_consent;
        narrow(&mut self.scope, later.scope);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl Answer for PostAuthenticationAnswer {
    const POINT: Point = Point::PostAuthentication;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn join(&mut self, _: Self) {}

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl Answer for ConsentAnswer {
    const POINT: Point = Point::Consent;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Who wants the person to be asked has the last word.
    fn join(&mut self, later: Self) {
        if self.consent != Some(Asking::Require) {
            self.consent = later.consent.or(self.consent);
        }
        narrow(&mut self.scope, later.scope);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl Answer for ParAnswer {
    const POINT: Point = Point::Par;

    fn check(&self) -> Result<(), String> {
        lifetime("expires_in", self.expires_in, 3600)?;
        members("members", &self.members, OWN_OF_PAR)
    }

    fn join(&mut self, later: Self) {
        self.expires_in = later.expires_in.or(self.expires_in);
        self.members.extend(later.members);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl TokenAnswer {
    /// Are there claims to be kept for the tokens?
    #[must_use]
    pub fn has_claims(&self) -> bool {
        !self.access_token_claims.is_empty() || !self.id_token_claims.is_empty()
    }
}

impl Answer for TokenAnswer {
    const POINT: Point = Point::Token;

    fn check(&self) -> Result<(), String> {
        lifetime("access_token_lifetime", self.access_token_lifetime, LONGEST_LIFETIME)?;
        lifetime("id_token_lifetime", self.id_token_lifetime, LONGEST_LIFETIME)?;
        lifetime("refresh_token_lifetime", self.refresh_token_lifetime, LONGEST_LIFETIME)?;
        members("access_token_claims", &self.access_token_claims, OWN_CLAIMS)?;
        members("id_token_claims", &self.id_token_claims, OWN_CLAIMS)
    }

    fn join(&mut self, later: Self) {
        self.access_token_claims.extend(later.access_token_claims);
        self.id_token_claims.extend(later.id_token_claims);
        self.access_token_lifetime = later.access_token_lifetime.or(self.access_token_lifetime);
        self.id_token_lifetime = later.id_token_lifetime.or(self.id_token_lifetime);
        self.refresh_token_lifetime = later.refresh_token_lifetime.or(self.refresh_token_lifetime);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl Answer for UserinfoAnswer {
    const POINT: Point = Point::Userinfo;

    fn check(&self) -> Result<(), String> {
        members("claims", &self.claims, OWN_CLAIMS)
    }

    fn join(&mut self, later: Self) {
        self.claims.extend(later.claims);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

impl Answer for IntrospectionAnswer {
    const POINT: Point = Point::Introspection;

    fn check(&self) -> Result<(), String> {
        members("members", &self.members, OWN_CLAIMS)
    }

    fn join(&mut self, later: Self) {
        self.inactive |= later.inactive;
        self.members.extend(later.members);
    }
}

impl Answer for DiscoveryAnswer {
    const POINT: Point = Point::Discovery;

    fn check(&self) -> Result<(), String> {
        members("members", &self.members, OWN_METADATA)
    }

    fn join(&mut self, later: Self) {
        self.members.extend(later.members);
    }
}

impl Answer for RegistrationAnswer {
    const POINT: Point = Point::Registration;

    fn check(&self) -> Result<(), String> {
        members("metadata", &self.metadata, OWN_OF_REGISTRATION)
    }

    fn join(&mut self, later: Self) {
        self.metadata.extend(later.metadata);
    }

    fn denial(&self) -> Option<&str> {
        self.deny.as_deref()
    }
}

/// Carries changes out: what is `null` goes, all else is set.
pub fn change(values: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            values.remove(&name);
        } else {
            values.insert(name, value);
        }
    }
}

fn narrow(scope: &mut Option<Scope>, later: Option<Scope>) {
    *scope = match (scope.take(), later) {
        (Some(one), Some(other)) => Some(one.narrow(&other)),
        (one, other) => one.or(other),
    };
}

fn lifetime(name: &str, seconds: Option<u32>, most: u32) -> Result<(), String> {
    match seconds {
        Some(seconds) if !(1..=most).contains(&seconds) => {
            Err(format!("{name} is not from 1 to {most} seconds"))
        }
        _ => Ok(()),
    }
}

fn members(name: &str, members: &Map<String, Value>, own: &[&str]) -> Result<(), String> {
    if let Some(taken) = members.keys().find(|member| own.contains(&member.as_str())) {
        return Err(format!("{name} has {taken}, which is the server's own to say"));
    }
    if members.keys().any(String::is_empty) {
        return Err(format!("{name} has a member without a name"));
    }
    let length = serde_json::to_string(members).map_or(usize::MAX, |text| text.len());
    if length > LONGEST {
        return Err(format!("{name} is longer than {LONGEST} bytes"));
    }
    Ok(())
}

/// A scope as a list of names or as a text with blanks.
fn scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scope>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Names(BTreeSet<String>),
    }
    let text = match Option::<Written>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Written::Text(text)) => text,
        Some(Written::Names(names)) => names.into_iter().collect::<Vec<_>>().join(" "),
    };
    if text.is_empty() {
        return Ok(Some(Scope::default()));
    }
    Scope::parse(&text).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_changes_nothing() {
        assert_eq!(read::<TokenAnswer>(Value::Null), Ok(TokenAnswer::default()));
        assert_eq!(read::<TokenAnswer>(json!({})), Ok(TokenAnswer::default()));
    }

    #[test]
    fn what_a_point_does_not_take_is_refused() {
        for (value, why) in [
            (json!({ "denny": "x" }), "unknown member denny"),
            (json!("deny"), "no map"),
            (json!([]), "no map"),
            (json!({ "deny": 1 }), "another type"),
            (json!({ "deny": " " }), "give a reason"),
            (json!({ "access_token_lifetime": 0 }), "access_token_lifetime is not from 1"),
            (json!({ "access_token_lifetime": -5 }), "another type"),
            (json!({ "id_token_claims": { "x": "y".repeat(20_000) } }), "longer than"),
            (json!({ "id_token_claims": { "": 1 } }), "without a name"),
        ] {
            let found = read::<TokenAnswer>(value.clone()).unwrap_err();
            assert!(found.contains(why), "{value}: {found}");
        }
        let found = read::<TokenAnswer>(json!({ "deny": ["alice@example.com"] })).unwrap_err();
        assert!(!found.contains("alice"));
    }

    #[test]
    fn what_is_the_server_s_own_is_nobody_else_s_to_say() {
        for claim in
            ["iss", "sub", "aud", "exp", "iat", "nonce", "cnf", "jti", "client_id", "scope"]
        {
            for place in ["access_token_claims", "id_token_claims"] {
                let found = read::<TokenAnswer>(json!({ place: { claim: "x" } })).unwrap_err();
                assert!(found.contains(claim), "{found}");
            }
            assert!(read::<UserinfoAnswer>(json!({ "claims": { claim: null } })).is_err());
            assert!(read::<IntrospectionAnswer>(json!({ "members": { claim: 1 } })).is_err());
        }
        assert!(read::<ParAnswer>(json!({ "members": { "request_uri": "x" } })).is_err());
        assert!(read::<DiscoveryAnswer>(json!({ "members": { "issuer": "x" } })).is_err());
        assert!(read::<RegistrationAnswer>(json!({ "metadata": { "client_id": "x" } })).is_err());
    }

    #[test]
    fn a_scope_only_ever_narrows() {
        let answer = |value: Value| read::<ConsentAnswer>(json!({ "scope": value })).unwrap();
        let mut first = answer(json!("openid email"));
        first.join(answer(json!(["email", "phone"])));
        assert_eq!(first.scope, Scope::parse("email").ok());
        first.join(answer(json!(null)));
        assert_eq!(first.scope, Scope::parse("email").ok());
        first.join(answer(json!([])));
        assert_eq!(first.scope, Some(Scope::default()));
    }

    #[test]
    fn who_wants_the_person_asked_has_the_last_word() {
        let answer = |text: &str| read::<ConsentAnswer>(json!({ "consent": text })).unwrap();
        for (one, other) in [("skip", "require"), ("require", "skip")] {
            let mut joined = answer(one);
            joined.join(answer(other));
            assert_eq!(joined.consent, Some(Asking::Require));
        }
    }

    #[test]
    fn a_reason_can_stand_in_a_header() {
        assert_eq!(reason("no \"x\"\r\nü"), "no ?x????");
        assert_eq!(reason(&"x".repeat(1000)).len(), LONGEST_REASON);
    }
}
