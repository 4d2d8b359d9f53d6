//! JWTs for one client: signed as it is registered, and encrypted for it where
//! it is registered so (OpenID Connect Core §10).

use std::sync::Arc;

use chancery_domain::client::{ClientMetadata, RegisteredClient};
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::client_auth::readable_secrets;
use crate::client_keys;
use crate::jose::jwe::{self, EncryptionKey};
use crate::jose::{PrivateKey, SharedSecret};
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// How a client wants a kind of JWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The `typ` of what is signed.
    pub typ: &'static str,
    /// Absent: encrypted only.
    pub signed: Option<SigningAlgorithm>,
    /// Absent: signed only.
    pub encrypted: Option<Encryption>,
}

/// How something is encrypted for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    pub alg: KeyManagementAlgorithm,
    pub enc: ContentEncryption,
}

impl Encryption {
    /// As the client registered it; `enc` has a default.
    #[must_use]
    pub fn registered(
        alg: Option<KeyManagementAlgorithm>,
        enc: Option<ContentEncryption>,
    ) -> Option<Self> {
        Some(Self { alg: alg?, enc: ClientMetadata::content_encryption(enc) })
    }
}

/// What JWTs for clients can be signed with: the server's keys, and the secrets
/// of clients.
#[must_use]
pub fn signing_algorithms(services: &Services) -> Vec<SigningAlgorithm> {
    let mut algorithms = services.config.keys.algorithms();
    for algorithm in services.keys.get().algorithms() {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms.extend(SigningAlgorithm::ALL.iter().filter(|alg| alg.is_symmetric()));
    algorithms
}

/// Makes a JWT for this client: signed, then encrypted (RFC 7519 §11.2).
pub async fn jwt<C: Serialize>(
    services: &Services,
    client: &RegisteredClient,
    shape: &Shape,
    claims: &C,
) -> Result<String, OAuthError> {
    let signed = match shape.signed {
        Some(alg) => {
            let signer = Signer::of(services, client, alg).await?;
            Some(signer.sign(shape.typ, claims).await?)
        }
        None => None,
    };
    match (signed, shape.encrypted) {
        (Some(token), None) => Ok(token),
        (Some(token), Some(how)) => encrypted(services, client, how, Content::Token(&token)).await,
        (None, Some(how)) => {
            let claims =
                serde_json::to_vec(claims).map_err(|error| OAuthError::internal(&error))?;
            encrypted(services, client, how, Content::Claims(&claims)).await
        }
        (None, None) => Err(OAuthError::internal(&"a JWT that is neither signed nor encrypted")),
    }
}

/// What signs a JWT for a client.
pub enum Signer {
    /// A key of the server's.
    Key(Arc<PrivateKey>),
    /// The client's secret (OpenID Connect Core §10.1).
    Secret(SigningAlgorithm, SharedSecret),
}

impl Signer {
    /// What signs with this algorithm for the client now.
    pub async fn of(
        services: &Services,
        client: &RegisteredClient,
        alg: SigningAlgorithm,
    ) -> Result<Self, OAuthError> {
        if alg.is_symmetric() {
            return Ok(Self::Secret(alg, secret(services, client).await?));
        }
        let keys = services.keys.get();
        let key =
            keys.signing(alg, services.now()).map_err(|error| OAuthError::internal(&error))?;
        Ok(Self::Key(Arc::clone(key)))
    }

    /// What it signs with.
    #[must_use]
    pub fn alg(&self) -> SigningAlgorithm {
        match self {
            Self::Key(key) => key.alg(),
            Self::Secret(alg, _) => *alg,
        }
    }

    /// Signs; with RSA off the event loop.
    pub async fn sign<C: Serialize>(
        &self,
        typ: &'static str,
        claims: &C,
    ) -> Result<String, OAuthError> {
        let key = match self {
            Self::Secret(alg, secret) => return Ok(secret.sign(*alg, typ, claims)?),
            Self::Key(key) if !key.is_slow() => return Ok(key.sign(typ, claims)?),
            Self::Key(key) => Arc::clone(key),
        };
        let claims = to_raw_value(claims).map_err(|error| OAuthError::internal(&error))?;
        let signed = tokio::task::spawn_blocking(move || key.sign(typ, &claims)).await;
        Ok(signed.map_err(|error| OAuthError::internal(&error))??)
    }
}

/// What is encrypted.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// A signed token (RFC 7519 §5.2: its `cty` is `JWT`).
    Token(&'a str),
    /// Bare claims.
    Claims(&'a [u8]),
}

/// Encrypts for this client: to its public key, or by its secret (OpenID
/// Connect Core §10.2).
pub async fn encrypted(
    services: &Services,
    client: &RegisteredClient,
    how: Encryption,
    content: Content<'_>,
) -> Result<String, OAuthError> {
    Encrypter::of(services, client, how).await?.encrypt(content)
}

/// What encrypts for a client, its key at hand.
pub struct Encrypter {
    key: EncryptionKey,
    how: Encryption,
}

impl Encrypter {
    /// Gets the client's key.
    pub async fn of(
        services: &Services,
        client: &RegisteredClient,
        how: Encryption,
    ) -> Result<Self, OAuthError> {
        if how.alg.is_symmetric() {
            let key = EncryptionKey::from_shared(&secret(services, client).await?);
            return Ok(Self { key, how });
        }
        let keys = client_keys::keys_of(services, client).await.map_err(|error| {
            tracing::warn!(client.id = %client.client_id, %error, "nothing to encrypt to: {error}");
            OAuthError::invalid_request("the client's keys, to encrypt the answer to, can't be had")
        })?;
        let key = EncryptionKey::choose(&keys.keys, how.alg).ok_or_else(|| {
            let text = format!("the client has no key to encrypt the answer to with {}", how.alg);
            tracing::warn!(client.id = %client.client_id, "{text}");
            OAuthError::invalid_request(text)
        })?;
        Ok(Self { key, how })
    }

    /// Encrypts.
    pub fn encrypt(&self, content: Content<'_>) -> Result<String, OAuthError> {
        let (cty, payload) = match content {
            Content::Token(token) => (Some("JWT"), token.as_bytes()),
            Content::Claims(claims) => (None, claims),
        };
        let Encryption { alg, enc } = self.how;
        let how = jwe::Encryption { alg, enc, cty, typ: Some("JWT") };
        jwe::encrypt(&self.key, &how, payload).map_err(|error| OAuthError::internal(&error))
    }
}

/// The newest of the client's secrets.
async fn secret(
    services: &Services,
    client: &RegisteredClient,
) -> Result<SharedSecret, OAuthError> {
    let secrets = readable_secrets(services, client).await?;
    secrets.into_iter().next().ok_or_else(|| {
        OAuthError::invalid_request("the client has no secret that a JWT can be made with")
    })
}
