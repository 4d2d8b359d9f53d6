//! What would be issued to a client now: policy of server and client, keys of
//! now.

use chancery_domain::client::{AccessTokenFormat, ClientMetadata, RegisteredClient};
use chancery_domain::digest::Salt;
use chancery_domain::grant::{AccessTokenForm, HandleSeed, IdTokenKey, RefreshPolicy, TokenPlan};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use crate::keys::{Keys, KeysError};
use crate::services::Services;

/// The plan for this client.
pub fn plan(
    services: &Services,
    keys: &Keys,
    client: &ClientMetadata,
) -> Result<TokenPlan, KeysError> {
    let now = services.now();
    let config = &services.config.tokens;
    let default = services.config.keys.signing_algorithm;
    let form = client.access_token_format.unwrap_or(config.access_token_format);
    let access_form = match form {
        AccessTokenFormat::Jwt => {
            let algorithm = client.access_token_signing_alg.unwrap_or(default);
            AccessTokenForm::Jwt(keys.signing(algorithm, now)?.kid().clone())
        }
        AccessTokenFormat::Opaque => AccessTokenForm::Opaque,
    };
    let id_algorithm = client.id_token_signed_response_alg.unwrap_or(default);
    let refresh_lifetime = client
        .allows(GrantType::RefreshToken)
        .then(|| client.refresh_token_lifetime.unwrap_or(config.refresh_token_lifetime));
    Ok(TokenPlan {
        access_form,
        access_lifetime: client.access_token_lifetime.unwrap_or(config.access_token_lifetime),
        audience: client.access_token_audience.clone(),
        id_key: if id_algorithm.is_symmetric() {
            IdTokenKey::Secret(id_algorithm)
        } else {
            IdTokenKey::Key(keys.signing(id_algorithm, now)?.kid().clone())
        },
        id_audience: client.additional_audience.clone(),
        id_lifetime: client.id_token_lifetime.unwrap_or(config.id_token_lifetime),
        refresh_lifetime,
        refresh_needs_offline_access: config.refresh_only_with_offline_access,
        seed: HandleSeed {
            key: keys.handles.id().clone(),
            salt: Salt::from_bytes(services.entropy.salt()),
        },
        claims: None,
    })
}

/// What the use of a refresh token of this client does to it. One of a public
/// client is always replaced: nothing else would tell of its theft (RFC 9700
/// §2.2.2).
#[must_use]
pub fn refresh_policy(services: &Services, client: &RegisteredClient) -> RefreshPolicy {
    let config = &services.config.tokens;
    let chosen = client.metadata.refresh_token_rotation.unwrap_or(config.refresh_token_rotation);
    let longest = config.refresh_token_absolute_lifetime;
    RefreshPolicy {
        rotate: chosen || client.is_public(),
        extend: config.refresh_token_extension,
        grace: config.refresh_token_grace,
        absolute_lifetime: (longest.seconds() > 0).then_some(longest),
    }
}

/// The first member of the metadata that asks for a signature by a key that the
/// server does not have.
#[must_use]
pub fn unsupported_algorithm(keys: &Keys, client: &ClientMetadata) -> Option<&'static str> {
    let asked = [
        ("access_token_signing_alg", client.access_token_signing_alg),
        ("id_token_signed_response_alg", client.id_token_signed_response_alg),
    ];
    let lacks = |alg: SigningAlgorithm| !alg.is_symmetric() && !keys.signs_with(alg);
    asked.into_iter().find(|(_, alg)| alg.is_some_and(lacks)).map(|(name, _)| name)
}
