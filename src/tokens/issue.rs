//! Makes the tokens of an answer from the facts that were committed (RFC 6749
//! §4.2.2, §5.1, RFC 9068, OpenID Connect Core §2).

use std::sync::Arc;

use chancery_domain::authorization::Authorization;
use chancery_domain::client::RegisteredClient;
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, FrontChannelTokens, HandleSeed, IdTokenFacts, IdTokenKey,
    IssuedTokens,
};
use chancery_domain::ids::{ClientId, GrantId, KeyId};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::secret::{AccessToken, RefreshToken};
use chancery_domain::time::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::access::{AccessTokenClaims, Audience};
use super::added::{AddedClaims, With};
use super::for_client::{Content, Encrypter, Encryption, Signer};
use crate::claims;
use crate::jose::{PrivateKey, left_half_hash};
use crate::keys::Keys;
use crate::oauth_error::{ErrorCode, OAuthError};
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
    /// RFC 9396 §7
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    authorization_details: AuthorizationDetails,
}

/// What comes by the browser, as parameters of the authorization response.
///
/// It has no `Debug`, since it carries tokens.
pub struct BrowserTokens {
    pub access: Option<BrowserAccessToken>,
    pub id_token: Option<String>,
}

/// RFC 6749 §4.2.2
pub struct BrowserAccessToken {
    pub text: String,
    pub expires_in: u32,
    pub scope: String,
}

/// What stands beside an ID token in an authorization response.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
}

/// What encrypts the ID tokens of a client, if they are encrypted: at hand
/// before anything is committed, so that nothing is issued that can't be given.
#[derive(Default)]
pub struct IdTokenEncryption(Option<Encrypter>);

impl IdTokenEncryption {
    /// For tokens of this scope.
    pub async fn of(
        services: &Services,
        client: &RegisteredClient,
        scope: &Scope,
    ) -> Result<Self, OAuthError> {
        let metadata = &client.metadata;
        let secret = metadata.id_token_signed_response_alg.filter(|alg| alg.is_symmetric());
        if let Some(alg) = secret.filter(|_| scope.contains(Scope::OPENID)) {
            // The secret is there, and long enough.
            Signer::of(services, client, alg).await?;
        }
        let (alg, enc) =
            (metadata.id_token_encrypted_response_alg, metadata.id_token_encrypted_response_enc);
        match Encryption::registered(alg, enc) {
            Some(how) if scope.contains(Scope::OPENID) => {
                let encrypter = Encrypter::of(services, client, how).await;
                // The request is right; what it needs can't be had.
                let failed = |error| OAuthError { code: ErrorCode::ServerError, ..error };
                Ok(Self(Some(encrypter.map_err(failed)?)))
            }
            _ => Ok(Self(None)),
        }
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// What is told of the person: none of the above.
    #[serde(flatten)]
    person: Map<String, Value>,
}

/// A grant that answers, and what its answer is made of beside the facts.
pub struct Issuer<'a> {
    pub services: &'a Services,
    /// Whose grant it is.
    pub client: &'a RegisteredClient,
    pub grant: GrantId,
    pub authorization: &'a Authorization,
    /// Where the grant's derived tokens come from.
    pub seed: Option<&'a HandleSeed>,
    /// That of the request.
    pub nonce: Option<&'a str>,
    pub encryption: &'a IdTokenEncryption,
    /// Claims about the person that stand in the ID token.
    pub released: &'a Map<String, Value>,
}

impl Issuer<'_> {
    /// Makes the tokens of one answer of the token endpoint.
    pub async fn render(&self, tokens: &IssuedTokens) -> Result<TokenResponse, OAuthError> {
        let keys = self.services.keys.get();
        let access_token = self.access_token(&keys, &tokens.access).await?;
        let refresh_token = match &tokens.refresh {
            None => None,
            Some(refresh) => {
                let (key, salt) = self.handle_key(&keys)?;
                let handle = key.derive::<RefreshToken>(self.grant, refresh.generation, salt);
                Some(handle.encode())
            }
        };
        let id_token = match (&tokens.id, &self.authorization.authentication) {
            (Some(facts), Some(_)) => {
                let beside = Beside::default();
                Some(self.id_token(&keys, facts, Some(&access_token), beside).await?)
            }
            _ => None,
        };
        Ok(TokenResponse {
            access_token,
            token_type: "Bearer",
            expires_in: self.expires_in(&tokens.access),
            refresh_token,
            refresh_token_expires_in: self.refresh_expires_in(tokens),
            id_token,
            scope: tokens.access.scope.to_string(),
            authorization_details: self.authorization.authorization_details.clone(),
        })
    }

    /// Makes what comes by the browser (OpenID Connect Core §3.2.2.5,
    /// §3.3.2.5).
    pub async fn render_for_browser(
        &self,
        tokens: &FrontChannelTokens,
        beside: Beside<'_>,
    ) -> Result<BrowserTokens, OAuthError> {
        let keys = self.services.keys.get();
        let access = match &tokens.access {
            None => None,
            Some(facts) => Some(BrowserAccessToken {
                text: self.access_token(&keys, facts).await?,
                expires_in: self.expires_in(facts),
                scope: facts.scope.to_string(),
            }),
        };
        let id_token = match &tokens.id {
            None => None,
            Some(facts) => {
                let access_token = access.as_ref().map(|access| access.text.as_str());
                Some(self.id_token(&keys, facts, access_token, beside).await?)
            }
        };
        Ok(BrowserTokens { access, id_token })
    }

    /// None where the settings don't want it said.
    fn refresh_expires_in(&self, tokens: &IssuedTokens) -> Option<u32> {
        let said = self.services.config.tokens.refresh_token_expires_in;
        let facts = tokens.refresh.as_ref().filter(|_| said)?;
        Some(facts.expires_at.since(self.services.now()).seconds())
    }

    fn expires_in(&self, facts: &AccessTokenFacts) -> u32 {
        facts.expires_at.since(self.services.now()).seconds()
    }

    async fn access_token(
        &self,
        keys: &Arc<Keys>,
        facts: &AccessTokenFacts,
    ) -> Result<String, OAuthError> {
        match &facts.form {
            AccessTokenForm::Jwt(key_id) => {
                let issuer = self.services.issuer();
                let sub = match &self.authorization.authentication {
                    Some(person) => subject_for(keys, self.client, person.subject),
                    // RFC 9068 §2.2: the client, where it acts for itself.
                    None => self.authorization.client_id.to_string(),
                };
                let (grant, authorization) = (self.grant, self.authorization);
                let claims = AccessTokenClaims::new(issuer, &sub, grant, authorization, facts);
                let added = AddedClaims::of(self.services, grant, facts.claims).await?;
                let claims = With { own: claims, added: &added.access };
                sign(private(keys, key_id)?, "at+jwt", claims).await
            }
            AccessTokenForm::Opaque => {
                let (key, salt) = self.handle_key(keys)?;
                Ok(key.derive::<AccessToken>(self.grant, facts.number, salt).encode())
            }
        }
    }

    /// Hashes of what comes along bind it to the token (OpenID Connect Core
    /// §3.1.3.6, §3.3.2.11; FAPI 1.0 Part 2 §5.1.1).
    async fn id_token(
        &self,
        keys: &Arc<Keys>,
        facts: &IdTokenFacts,
        access_token: Option<&str>,
        beside: Beside<'_>,
    ) -> Result<String, OAuthError> {
        let signer = match &facts.signed_by {
            IdTokenKey::Key(key_id) => Signer::Key(Arc::clone(private(keys, key_id)?)),
            IdTokenKey::Secret(alg) => Signer::of(self.services, self.client, *alg).await?,
        };
        let Some(authentication) = &self.authorization.authentication else {
            return Err(OAuthError::internal(&"an ID token needs a person"));
        };
        // What the scope releases, and what was granted by name (§5.5).
        let mut person = self.released.clone();
        person.extend(claims::in_id_token(self.services, self.client, self.authorization).await?);
        let hash = |text: &str| left_half_hash(signer.alg(), text);
        let claims = IdTokenClaims {
            iss: self.services.issuer(),
            sub: subject_for(keys, self.client, authentication.subject),
            aud: Audience::of_id_token(&self.authorization.client_id, &facts.audience),
            azp: (!facts.audience.is_empty()).then_some(&self.authorization.client_id),
            exp: facts.expires_at,
            iat: facts.issued_at,
            auth_time: authentication.auth_time,
            nonce: self.nonce,
            acr: &authentication.acr,
            amr: &authentication.amr,
            at_hash: access_token.map(hash),
            c_hash: beside.code.map(hash),
            s_hash: beside.code.and(beside.state).map(hash),
            sid: authentication.session_id.map(|id| session_for(keys, self.client, id)),
            person,
        };
        let added = AddedClaims::of(self.services, self.grant, facts.claims).await?;
        let all = With { own: claims, added: &added.id };
        let token = signer.sign("JWT", &all).await?;
        match &self.encryption.0 {
            Some(encrypter) => encrypter.encrypt(Content::Token(&token)),
            None => Ok(token),
        }
    }

    fn handle_key<'k>(
        &self,
        keys: &'k Keys,
    ) -> Result<(&'k crate::handles::HandleKey, &[u8; 16]), OAuthError> {
        let seed = self.seed;
        let seed =
            seed.ok_or_else(|| OAuthError::internal(&"a grant has no seed for its handles"))?;
        let key = keys.handle_key(&seed.key);
        let key =
            key.ok_or_else(|| OAuthError::internal(&format!("no handle key {}", seed.key)))?;
        Ok((key, seed.salt.as_bytes()))
    }
}

fn private<'a>(keys: &'a Keys, key_id: &KeyId) -> Result<&'a Arc<PrivateKey>, OAuthError> {
    let key = keys.private(key_id);
    key.ok_or_else(|| OAuthError::internal(&format!("signing key {key_id} is not there any more")))
}

/// RSA signatures are made off the event loop.
async fn sign<C: Serialize>(
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
