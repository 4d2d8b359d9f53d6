//! ID tokens of ours that come back as hints (OpenID Connect Core §3.1.2.1,
//! RP-Initiated Logout §2): believed whatever their age, if we signed them for
//! the client that sends them. It may have encrypted them to us.

use std::borrow::Cow;

use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client_auth::readable_secrets;
use crate::jose::jwe::{self, AcceptEncrypted};
use crate::jose::{Accept, Types, Unverified};
use crate::keys::Keys;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::tokens::Audience;

const TYPE: &[&str] = &["JWT"];

/// A hint, in the clear.
pub struct IdTokenHint<'a>(Cow<'a, str>);

#[derive(Deserialize)]
struct IssuedTo {
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
}

impl<'a> IdTokenHint<'a> {
    /// Decrypts it, if it is encrypted; None: not for us.
    #[must_use]
    pub fn open(services: &Services, text: &'a str) -> Option<Self> {
        if !jwe::is_encrypted(text) {
            return Some(Self(text.into()));
        }
        let accept = AcceptEncrypted {
            algorithms: KeyManagementAlgorithm::ALL,
            encryptions: ContentEncryption::ALL,
        };
        let opened = jwe::decrypt(services.keys.get().decryption_keys(), text, &accept).ok()?;
        Some(Self(String::from_utf8(opened.payload).ok()?.into()))
    }

    /// Whose it says to be; to be verified as that client's.
    #[must_use]
    pub fn client(&self) -> Option<String> {
        let issued_to = Unverified::parse(&self.0).ok()?.claims::<IssuedTo>().ok()?;
        issued_to.aud.client(issued_to.azp.as_deref()).map(str::to_owned)
    }

    /// What it says, if a key of ours signed it.
    #[must_use]
    pub fn signed_by<C: DeserializeOwned>(&self, keys: &Keys) -> Option<C> {
        keys.verifier.verify(&self.0, TYPE).ok()
    }

    /// What it says, if we signed it: by a key of ours, or by the secret of a
    /// client whose ID tokens are signed so.
    pub async fn claims<C: DeserializeOwned>(
        &self,
        services: &Services,
        client: &RegisteredClient,
    ) -> Result<Option<C>, OAuthError> {
        let alg = client.metadata.id_token_signed_response_alg;
        let Some(alg) = alg.filter(|alg| alg.is_symmetric()) else {
            let keys = services.keys.get_for(&self.0, services.now()).await;
            let keys = keys.map_err(|error| OAuthError::internal(&error))?;
            return Ok(self.signed_by(&keys));
        };
        let accept = Accept { algorithms: &[alg], types: Types::Required(TYPE) };
        let secrets = readable_secrets(services, client).await?;
        Ok(secrets.iter().find_map(|secret| secret.verify(&self.0, &accept).ok()))
    }
}
