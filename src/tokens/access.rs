//! Access tokens (RFC 9068, RFC 6750): their claims, and whether one is alive.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use chancery_domain::authorization::Authorization;
use chancery_domain::grant::{AccessTokenFacts, AccessTokenForm, Active, Grant, GrantError};
use chancery_domain::ids::{ClientId, GrantId};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::secret::AccessToken;
use chancery_domain::time::UnixTime;
use lru::LruCache;
use serde::{Deserialize, Serialize};

use crate::actors::grant::GrantFailure;
use crate::client_auth::{AuthenticatedClient, known_client};
use crate::handles::{DerivedHandle, TokenRef};
use crate::keys::{Keys, KeysError};
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// The claims of a JWT access token (RFC 9068 §2.2).
#[derive(Serialize, Deserialize)]
pub struct AccessTokenClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: UnixTime,
    iat: UnixTime,
    jti: String,
    client_id: ClientId,
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    /// RFC 9396 §9.1
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    authorization_details: AuthorizationDetails,
}

/// `aud`: one, or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// The audience of a token; the issuer where none is named.
    #[must_use]
    pub fn of(facts: &AccessTokenFacts, issuer: &str) -> Self {
        match facts.audience.as_slice() {
            [] => Self::One(issuer.to_owned()),
            [one] => Self::One(one.clone()),
            several => Self::Several(several.to_vec()),
        }
    }
}

impl Audience {
    /// The audience of an ID token: the client, and whoever else is registered
    /// (OpenID Connect Core §2).
    pub(super) fn of_id_token(client_id: &ClientId, others: &[String]) -> Self {
        if others.is_empty() {
            return Self::One(client_id.to_string());
        }
        let mut all = vec![client_id.to_string()];
        all.extend(others.iter().filter(|other| *other != client_id.as_str()).cloned());
        Self::Several(all)
    }

    /// The client that an ID token of ours with this audience was issued to.
    #[must_use]
    pub fn client<'a>(&'a self, azp: Option<&'a str>) -> Option<&'a str> {
        match (self, azp) {
            (_, Some(client)) => Some(client),
            (Self::One(client), None) => Some(client),
            (Self::Several(_), None) => None,
        }
    }
}

impl AccessTokenClaims {
    pub(super) fn new(
        issuer: &str,
        sub: &str,
        grant: GrantId,
        authorization: &Authorization,
        facts: &AccessTokenFacts,
    ) -> Self {
        let person = authorization.authentication.as_ref();
        Self {
            iss: issuer.to_owned(),
            sub: sub.to_owned(),
            aud: Audience::of(facts, issuer),
            exp: facts.expires_at,
            iat: facts.issued_at,
            jti: TokenRef { grant, number: facts.number }.encode(),
            client_id: authorization.client_id.clone(),
            scope: facts.scope.to_string(),
            auth_time: person.map(|person| person.auth_time),
            acr: person.map(|person| person.acr.clone()),
            amr: person.map(|person| person.amr.clone()).unwrap_or_default(),
            authorization_details: authorization.authorization_details.clone(),
        }
    }
}

/// An access token that is alive, and the grant that it is of.
pub struct LiveToken {
    pub grant_id: GrantId,
    pub grant: Box<Active>,
    pub facts: AccessTokenFacts,
    /// The client that it was issued to.
    pub client: AuthenticatedClient,
}

impl LiveToken {
    /// Its `jti`.
    #[must_use]
    pub fn jti(&self) -> String {
        TokenRef { grant: self.grant_id, number: self.facts.number }.encode()
    }
}

/// Why there is no live token.
#[derive(Debug)]
pub enum TokenRefusal {
    /// Unknown, forged, expired or revoked: nobody need know which.
    NotAlive,
    /// We could not find out.
    Failed(OAuthError),
}

impl From<GrantFailure> for TokenRefusal {
    fn from(failure: GrantFailure) -> Self {
        match failure {
            GrantFailure::Refused(GrantError::Unknown) => Self::NotAlive,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<KeysError> for TokenRefusal {
    fn from(error: KeysError) -> Self {
        Self::Failed(OAuthError::internal(&error))
    }
}

/// The access token with this text, if it is alive.
///
/// A JWT has to have our signature, whatever its grant says; an opaque token
/// has to be derived by our key. The grant then says whether it is revoked.
pub async fn find_access_token(services: &Services, text: &str) -> Result<LiveToken, TokenRefusal> {
    let now = services.now();
    let keys = services.keys.get_fresh(now).await?;
    let opaque = DerivedHandle::<AccessToken>::decode(text);
    let reference = match &opaque {
        Some(handle) => Some(TokenRef { grant: handle.grant, number: handle.number }),
        None => match jwt_reference(services, &keys, text) {
            Some(reference) => Some(reference),
            None => jwt_reference(services, &*services.keys.get_for(text, now).await?, text),
        },
    };
    let reference = reference.ok_or(TokenRefusal::NotAlive)?;
    let alive = |grant: &Grant| grant.tokens_out()?.access_token(reference.number, now).cloned();
    let grant = services.grants.look_for(reference.grant, |grant| alive(grant).is_some()).await?;
    let facts = alive(&grant).ok_or(TokenRefusal::NotAlive)?;
    let grant = grant.into_tokens_out().ok_or(TokenRefusal::NotAlive)?;
    let form_fits = match (&opaque, &facts.form) {
        (Some(handle), AccessTokenForm::Opaque) => {
            grant.seed.as_ref().is_some_and(|seed| keys.is_genuine(seed, handle))
        }
        (None, AccessTokenForm::Jwt(_)) => true,
        _ => false,
    };
    if !form_fits {
        return Err(TokenRefusal::NotAlive);
    }
    // A client's expiry is no event, so no cascade has ended its grants.
    let client = known_client(services, grant.authorization.client_id.as_str()).await;
    let client = client.map_err(TokenRefusal::Failed)?.ok_or(TokenRefusal::NotAlive)?;
    Ok(LiveToken { grant_id: reference.grant, grant, facts, client })
}

/// JWTs whose signature was found good, by their digest: a resource server asks
/// for the same one again and again. What can change about a token, its grant says;
/// what about the keys, whether they are those that it was verified with.
pub struct VerifiedTokens(Mutex<LruCache<[u8; 32], Verified>>);

#[derive(Clone)]
struct Verified {
    reference: TokenRef,
    expires_at: UnixTime,
    /// The keys of then.
    jwks: Arc<str>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(const { NonZeroUsize::new(10_000).unwrap() })))
    }
}

fn jwt_reference(services: &Services, keys: &Keys, text: &str) -> Option<TokenRef> {
    let verified = || services.verified_tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
    let digest: [u8; 32] = digest(&SHA256, text.as_bytes()).as_ref().try_into().ok()?;
    let known = verified().get(&digest).cloned();
    let known = known.filter(|known| Arc::ptr_eq(&known.jwks, &keys.jwks));
    let found = if let Some(known) = known {
        known
    } else {
        let claims: AccessTokenClaims = keys.verifier.verify(text, &["at+jwt"]).ok()?;
        if claims.iss != services.issuer() {
            return None;
        }
        let found = Verified {
            reference: TokenRef::decode(&claims.jti)?,
            expires_at: claims.exp,
            jwks: Arc::clone(&keys.jwks),
        };
        verified().put(digest, found.clone());
        found
    };
    (services.now() < found.expires_at).then_some(found.reference)
}
