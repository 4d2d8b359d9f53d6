//! Makes the tokens of an answer from the facts that were committed (RFC 6749
//! §5.1, RFC 9068, OpenID Connect Core §2).

use std::sync::Arc;

use chancery_domain::authorization::Authorization;
use chancery_domain::grant::{AccessTokenForm, HandleSeed, IdTokenFacts, IssuedTokens};
use chancery_domain::ids::{ClientId, GrantId, KeyId};
use chancery_domain::secret::{AccessToken, RefreshToken};
use chancery_domain::time::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::access::{AccessTokenClaims, Audience};
use super::added::{Added, AddedClaims, With};
use crate::claims;
use crate::jose::{PrivateKey, left_half_hash};
use crate::keys::Keys;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::subjects::{session_for, subject_for};

/// The answer of the token endpoint.
///
/// It has no `Debug`, since it carries tokens.
#[derive(Serialize)]
pub struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    /// Seconds from now.
    expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds from now; where the settings want it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    scope: String,
}

/// The claims of an ID token.
#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: Audience,
    /// The client, where it is not the only audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a ClientId>,
    exp: UnixTime,
    iat: UnixTime,
    auth_time: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: &'a [String],
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// Claims granted by name (OpenID Connect Core §5.5): none of the above.
    #[serde(flatten)]
    by_name: Map<String, Value>,
}

/// Makes the tokens of one answer of a grant.
///
/// `seed` is the one that the grant's derived tokens come from; `nonce` that of
/// the request.
pub async fn render(
    services: &Services,
    grant: GrantId,
    authorization: &Authorization,
    tokens: &IssuedTokens,
    seed: Option<&HandleSeed>,
    nonce: Option<&str>,
) -> Result<TokenResponse, OAuthError> {
    let keys = services.keys.get();
    let issuer = services.issuer();
    let known_as = KnownAs::of(services, &keys, authorization).await?;
    let facts = &tokens.access;
    let access_token = match &facts.form {
        AccessTokenForm::Jwt(key_id) => {
            let claims = AccessTokenClaims::new(issuer, &known_as.sub, grant, authorization, facts);
            let added = AddedClaims::of(services, grant, facts.claims).await?;
            sign(&keys, key_id, "at+jwt", With { own: claims, added: &added.access }).await?
        }
        AccessTokenForm::Opaque => {
            let (key, salt) = handle_key(&keys, seed)?;
            key.derive::<AccessToken>(grant, facts.number, salt).encode()
        }
    };
    let refresh_token = match &tokens.refresh {
        None => None,
        Some(refresh) => {
            let (key, salt) = handle_key(&keys, seed)?;
            Some(key.derive::<RefreshToken>(grant, refresh.generation, salt).encode())
        }
    };
    let id_token = match (&tokens.id, &authorization.authentication) {
        (Some(id), Some(_)) => {
            let added = AddedClaims::of(services, grant, id.claims).await?;
            let id = (id, &*added);
            Some(id_token(&keys, issuer, known_as, authorization, id, &access_token, nonce).await?)
        }
        _ => None,
    };
    let now = services.now();
    let said = services.config.tokens.refresh_token_expires_in;
    let refresh = tokens.refresh.as_ref().filter(|_| said);
    let refresh_token_expires_in = refresh.map(|facts| facts.expires_at.since(now).seconds());
    Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: facts.expires_at.since(now).seconds(),
        refresh_token,
        refresh_token_expires_in,
        id_token,
        scope: facts.scope.to_string(),
    })
}

/// What the client knows a person and their session by; and what its ID tokens
/// tell of the person besides.
struct KnownAs {
    sub: String,
    sid: Option<String>,
    by_name: Map<String, Value>,
}

impl KnownAs {
    async fn of(
        services: &Services,
        keys: &Keys,
        authorization: &Authorization,
    ) -> Result<Self, OAuthError> {
        let Some(person) = &authorization.authentication else {
            // RFC 9068 §2.2: the client, where it acts for itself.
            let sub = authorization.client_id.to_string();
            return Ok(Self { sub, sid: None, by_name: Map::new() });
        };
        let client = services.clients.get(authorization.client_id.as_str()).await?;
        let client = client.state.registered();
        let client = client.ok_or_else(|| OAuthError::internal(&"a grant of an unknown client"))?;
        let sub = subject_for(keys, client, person.subject);
        let sid = person.session_id.map(|id| session_for(keys, client, id));
        let by_name = claims::in_id_token(services, client, authorization).await?;
        Ok(Self { sub, sid, by_name })
    }
}

async fn id_token(
    keys: &Arc<Keys>,
    issuer: &str,
    known_as: KnownAs,
    authorization: &Authorization,
    (facts, added): (&IdTokenFacts, &Added),
    access_token: &str,
    nonce: Option<&str>,
) -> Result<String, OAuthError> {
    let key = private(keys, &facts.key)?;
    let Some(authentication) = &authorization.authentication else {
        return Err(OAuthError::internal(&"an ID token needs a person"));
    };
    let claims = IdTokenClaims {
        iss: issuer,
        sub: known_as.sub,
        aud: Audience::of_id_token(&authorization.client_id, &facts.audience),
        azp: (!facts.audience.is_empty()).then_some(&authorization.client_id),
        exp: facts.expires_at,
        iat: facts.issued_at,
        auth_time: authentication.auth_time,
        nonce,
        acr: &authentication.acr,
        amr: &authentication.amr,
        at_hash: left_half_hash(key.alg(), access_token),
        sid: known_as.sid,
        by_name: known_as.by_name,
    };
    sign_with(key, "JWT", With { own: claims, added: &added.id }).await
}

fn handle_key<'a>(
    keys: &'a Keys,
    seed: Option<&'a HandleSeed>,
) -> Result<(&'a crate::handles::HandleKey, &'a [u8; 16]), OAuthError> {
    let seed = seed.ok_or_else(|| OAuthError::internal(&"a grant has no seed for its handles"))?;
    let key = keys.handle_key(&seed.key);
    let key = key.ok_or_else(|| OAuthError::internal(&format!("no handle key {}", seed.key)))?;
    Ok((key, seed.salt.as_bytes()))
}

fn private<'a>(keys: &'a Keys, key_id: &KeyId) -> Result<&'a Arc<PrivateKey>, OAuthError> {
    let key = keys.private(key_id);
    key.ok_or_else(|| OAuthError::internal(&format!("signing key {key_id} is not there any more")))
}

async fn sign<C: Serialize>(
    keys: &Arc<Keys>,
    key_id: &KeyId,
    typ: &'static str,
    claims: C,
) -> Result<String, OAuthError> {
    sign_with(private(keys, key_id)?, typ, claims).await
}

/// RSA signatures are made off the event loop.
async fn sign_with<C: Serialize>(
    key: &Arc<PrivateKey>,
    typ: &'static str,
    claims: C,
) -> Result<String, OAuthError> {
    if !key.is_slow() {
        return Ok(key.sign(typ, &claims)?);
    }
    let key = Arc::clone(key);
    let claims =
        serde_json::value::to_raw_value(&claims).map_err(|error| OAuthError::internal(&error))?;
    let signed = tokio::task::spawn_blocking(move || key.sign(typ, &claims)).await;
    Ok(signed.map_err(|error| OAuthError::internal(&error))??)
}
