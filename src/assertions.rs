//! Client assertions (RFC 7521 §4.2, RFC 7523 §3, OpenID Connect Core §9): what
//! a JWT must say by which a client authenticates, however it is signed.

use aws_lc_rs::digest::{Context, SHA256};
use chancery_domain::client::{ClientMetadata, SecurityProfile};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::time::UnixTime;
use serde::{Deserialize, Deserializer};

use crate::jose::{Accept, Types};
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::stores::{Append, AppendError, UsedOnce};

/// Clocks differ: a time so far ahead is taken for now.
const AHEAD: i64 = 30;

/// The longest that an assertion may be good for: so long its `jti` is kept.
const LONGEST: i64 = 3_600;

/// `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const SPACE: &str = "client_assertion";

/// An explicit type, where there is one, is of such an assertion: what a client
/// signs for another purpose is no proof of who sends it (RFC 8725 §3.11).
const TYPES: &[&str] = &["JWT", "client-authentication+jwt"];

/// The claims.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "numeric_date")]
    exp: Option<i64>,
    #[serde(default, deserialize_with = "numeric_date")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "numeric_date")]
    iat: Option<i64>,
    jti: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// RFC 7519 §2: seconds, perhaps with a fraction.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    #[expect(clippy::cast_possible_truncation, reason = "a time out of range becomes the last one")]
    let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64));
    Ok(seconds)
}

/// What is wrong with an assertion that is signed well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `iss` or `sub` is not the client.
    Client,
    /// It was made for another server, or names it in another way than the
    /// client's profile wants.
    Audience,
    /// `exp` is missing, past or too far away; `nbf` or `iat` is ahead.
    Time,
    /// `jti` is missing.
    NoId,
    /// It has been used before.
    Replayed,
}

/// Where an assertion has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The URL of the endpoint that was called.
    pub endpoint: &'a str,
    pub now: UnixTime,
}

/// Which of a method's algorithms this client may use, and which types.
pub struct Accepted(Vec<SigningAlgorithm>);

impl Accepted {
    #[must_use]
    pub fn of(metadata: &ClientMetadata, method: &[SigningAlgorithm]) -> Self {
        let fapi = metadata.security_profile == SecurityProfile::Fapi2;
        let good = |alg: &&SigningAlgorithm| {
            metadata.token_endpoint_auth_signing_alg.is_none_or(|registered| registered == **alg)
                && (!fapi || SigningAlgorithm::FAPI2.contains(alg))
        };
        Self(method.iter().filter(good).copied().collect())
    }

    #[must_use]
    pub fn accept(&self) -> Accept<'_> {
        Accept { algorithms: &self.0, types: Types::IfPresent(TYPES) }
    }
}

impl Claims {
    /// Whom it says that it is of; nobody has vouched for it.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.sub.as_deref().or(self.iss.as_deref())
    }

    /// Looks at everything but whether it was used before.
    pub fn check(
        &self,
        services: &Services,
        client_id: &ClientId,
        profile: SecurityProfile,
        arrival: Arrival<'_>,
    ) -> Result<(), Fault> {
        let is_client = |claim: &Option<String>| claim.as_deref() == Some(client_id.as_str());
        if !is_client(&self.iss) || !is_client(&self.sub) {
            return Err(Fault::Client);
        }
        let issuer = services.issuer();
        let token_endpoint = services.config.server.issuer.endpoint("/token");
        let is_meant =
            |aud: &str| aud == issuer || aud == token_endpoint || aud == arrival.endpoint;
        let is_good = match (&self.aud, profile) {
            (None, _) | (Some(Audience::Many(_)), SecurityProfile::Fapi2) => false,
            (Some(Audience::One(aud)), SecurityProfile::Fapi2) => aud == issuer,
            (Some(Audience::One(aud)), SecurityProfile::Standard) => is_meant(aud),
            (Some(Audience::Many(all)), SecurityProfile::Standard) => {
                all.iter().any(|aud| is_meant(aud))
            }
        };
        if !is_good {
            return Err(Fault::Audience);
        }
        let now = arrival.now.seconds();
        let is_ahead = |time: Option<i64>| time.is_some_and(|time| time > now + AHEAD);
        if is_ahead(self.nbf) || is_ahead(self.iat) {
            return Err(Fault::Time);
        }
        if !self.exp.is_some_and(|exp| now < exp && exp <= now + LONGEST + AHEAD) {
            return Err(Fault::Time);
        }
        if self.jti.as_ref().is_none_or(String::is_empty) {
            return Err(Fault::NoId);
        }
        Ok(())
    }

    /// Uses it up, on all nodes.
    pub async fn use_up(
        &self,
        services: &Services,
        client_id: &ClientId,
    ) -> Result<Result<(), Fault>, OAuthError> {
        let jti = self.jti.as_deref().unwrap_or_default();
        // No client identifier holds a zero byte.
        let mut hash = Context::new(&SHA256);
        for part in [client_id.as_str(), "\0", jti] {
            hash.update(part.as_bytes());
        }
        let key = hash.finish().as_ref().try_into().unwrap_or_default();
        // Another node's clock may be behind.
        let expires_at = self.exp.unwrap_or_default().saturating_add(AHEAD);
        let used = UsedOnce { space: SPACE, key, expires_at };
        let append = Append { used_once: vec![used], ..Append::default() };
        match services.committer.append(append).await {
            Ok(_) => Ok(Ok(())),
            Err(AppendError::AlreadyUsed) => Ok(Err(Fault::Replayed)),
            Err(error) => Err(error.into()),
        }
    }
}
