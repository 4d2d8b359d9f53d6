//! Where the parameters of an authorization request come from: as they stand,
//! or in a request object that the client signed (RFC 9101, OpenID Connect Core
//! §6).
//!
//! Where there is an object, nothing that stands beside it counts but
//! `client_id`. One that can't be verified says nothing: the error goes where an
//! error of the parameters beside it would go, which is a redirect URI of the
//! client's or else a page. One that can be verified says itself where the error
//! goes.

mod verify;

use chancery_domain::authorization::{
    Addressee, Parameters, RequestError, Via, read_request_object,
};
use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use crate::http::oauth::metadata::ServerMetadata;
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// The parameters that count of a request of this client.
///
/// What is switched off, or not for this endpoint, stays among them, for the
/// checks to refuse.
pub async fn assemble<'a>(
    services: &Services,
    client: &RegisteredClient,
    outer: Parameters<'a>,
    via: Via,
) -> Result<Parameters<'a>, OAuthError> {
    let settings = &services.config.authorization;
    let (Ok(value), Ok(reference)) = (outer.once("request"), outer.once("request_uri")) else {
        return Ok(outer);
    };
    let object = match (value, reference) {
        (Some(_), Some(_)) if via == Via::Authorize => Err(RequestError::TwoRequestObjects),
        (Some(object), None) if settings.request_parameter => {
            let verified = verify::verify(services, client, object).await?;
            verified.map_err(RequestError::RequestObject)
        }
        _ => return Ok(outer),
    };
    match object {
        Ok(claims) => {
            let addressee = Addressee {
                issuer: services.issuer(),
                client_id: &client.client_id,
                profile: client.metadata.security_profile,
                now: services.now(),
            };
            Ok(read_request_object(&claims, &addressee))
        }
        Err(error) => {
            tracing::info!(client.id = %client.client_id, %error, "no request object: {error}");
            Ok(outer.beside_faulty(error))
        }
    }
}

/// RFC 9101 §9.2, OpenID Connect Discovery §3
pub fn describe(metadata: &mut ServerMetadata<'_>) {
    let settings = &metadata.config().authorization;
    let by_value = settings.request_parameter;
    let required = settings.require_signed_request_object;
    metadata.set("request_parameter_supported", &by_value);
    metadata.set("request_uri_parameter_supported", &false);
    metadata.set("require_signed_request_object", &required);
    if by_value {
        metadata.set("request_object_signing_alg_values_supported", SigningAlgorithm::ALL);
        let algorithms = verify::key_management_algorithms(metadata.config());
        metadata.set("request_object_encryption_alg_values_supported", &algorithms);
        metadata.set("request_object_encryption_enc_values_supported", ContentEncryption::ALL);
    }
}
