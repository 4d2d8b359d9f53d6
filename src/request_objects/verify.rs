//! From a request object as it came to the claims that the client signed (RFC
//! 9101 §6.1, §6.2).

use chancery_domain::authorization::RequestObjectError;
use chancery_domain::client::{ClientMetadata, RegisteredClient, SecurityProfile};
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Map, Value};

use crate::client_auth::readable_secrets;
use crate::client_keys::{self, NotTheClients};
use crate::config::Config;
use crate::jose::jwe::{self, AcceptEncrypted, DecryptionKey};
use crate::jose::{Accept, Types, Unverified, VerifyError};
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// RFC 9101 §10.8: an explicit type, where there is one, is that of a request
/// object; many clients write none, or only that it is a JWT.
const TYPES: Types<'static> = Types::IfPresent(&["oauth-authz-req+jwt", "JWT"]);

/// The claims of an object that the client signed, for whomever and whenever.
///
/// The outer error is ours, the inner one the client's.
pub async fn verify(
    services: &Services,
    client: &RegisteredClient,
    object: &str,
) -> Result<Result<Map<String, Value>, RequestObjectError>, OAuthError> {
    if !jwe::is_encrypted(object) {
        return verify_signed(services, client, object).await;
    }
    match decrypt(services, client, object).await? {
        Ok(signed) => verify_signed(services, client, &signed).await,
        Err(error) => Ok(Err(error)),
    }
}

/// The algorithms by which clients may encrypt objects to us, or by their own
/// secret.
pub fn key_management_algorithms(config: &Config) -> Vec<KeyManagementAlgorithm> {
    let symmetric = KeyManagementAlgorithm::ALL.iter().copied().filter(|alg| alg.is_symmetric());
    config.keys.key_management_algorithms().into_iter().chain(symmetric).collect()
}

/// The signed object inside of an encrypted one.
async fn decrypt(
    services: &Services,
    client: &RegisteredClient,
    object: &str,
) -> Result<Result<String, RequestObjectError>, OAuthError> {
    let metadata = &client.metadata;
    let algorithms = match metadata.request_object_encryption_alg {
        Some(registered) => vec![registered],
        None => key_management_algorithms(&services.config),
    };
    let encryptions = match metadata.request_object_encryption_alg {
        Some(_) => {
            let registered = metadata.request_object_encryption_enc;
            vec![ClientMetadata::content_encryption(registered)]
        }
        None => ContentEncryption::ALL.to_vec(),
    };
    let secrets: Vec<_> =
        readable_secrets(services, client).await?.iter().map(DecryptionKey::from_shared).collect();
    let (keys, object) = (services.keys.get(), object.to_owned());
    // RSA takes a millisecond: not on the event loop.
    let decrypted = tokio::task::spawn_blocking(move || {
        let accept = AcceptEncrypted { algorithms: &algorithms, encryptions: &encryptions };
        jwe::decrypt(keys.decryption_keys().chain(&secrets), &object, &accept)
    });
    let decrypted = decrypted.await.map_err(|error| OAuthError::internal(&error))?;
    // RFC 7516 §11.5: no more than that.
    let signed = decrypted.ok().and_then(|decrypted| String::from_utf8(decrypted.payload).ok());
    Ok(signed.ok_or(RequestObjectError::Undecryptable))
}

async fn verify_signed(
    services: &Services,
    client: &RegisteredClient,
    object: &str,
) -> Result<Result<Map<String, Value>, RequestObjectError>, OAuthError> {
    let Ok(unverified) = Unverified::parse(object) else {
        return Ok(Err(RequestObjectError::Malformed));
    };
    let Some(alg) = unverified.alg().filter(|alg| may_sign(&client.metadata, *alg)) else {
        return Ok(Err(RequestObjectError::Algorithm));
    };
    let accept = Accept { algorithms: &[alg], types: TYPES };
    if !alg.is_symmetric() {
        let verified = client_keys::verify(services, client, object, &accept).await;
        return Ok(verified.map_err(|error| match error {
            NotTheClients::Keys(why) => {
                tracing::warn!(client.id = %client.client_id, %why, "no keys to verify by: {why}");
                RequestObjectError::NoKeys
            }
            NotTheClients::Token(error) => of_token(error),
        }));
    }
    let mut outcome = Err(RequestObjectError::NoKeys);
    for secret in readable_secrets(services, client).await? {
        outcome = secret.verify(object, &accept).map_err(of_token);
        if outcome.is_ok() {
            break;
        }
    }
    Ok(outcome)
}

/// OpenID Connect Registration §2: the algorithm that is registered, if one is;
/// FAPI 2.0 Security Profile §5.4.1.
fn may_sign(metadata: &ClientMetadata, alg: SigningAlgorithm) -> bool {
    let fapi = metadata.security_profile == SecurityProfile::Fapi2;
    metadata.request_object_signing_alg.is_none_or(|registered| registered == alg)
        && (!fapi || SigningAlgorithm::FAPI2.contains(&alg))
}

const fn of_token(error: VerifyError) -> RequestObjectError {
    match error {
        VerifyError::Malformed | VerifyError::CriticalExtension | VerifyError::Claims => {
            RequestObjectError::Malformed
        }
        VerifyError::WrongAlgorithm => RequestObjectError::Algorithm,
        VerifyError::WrongType => RequestObjectError::Type,
        VerifyError::SecretTooShort => RequestObjectError::NoKeys,
        VerifyError::UnknownKey | VerifyError::WrongSignature => RequestObjectError::Signature,
    }
}
