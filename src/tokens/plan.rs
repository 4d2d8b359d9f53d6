//! What would be issued to a client now: policy of server and client, keys of
//! now.

use chancery_domain::client::{AccessTokenFormat, ClientMetadata};
use chancery_domain::digest::Salt;
use chancery_domain::grant::{AccessTokenForm, HandleSeed, TokenPlan};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::time::Lifetime;

use crate::keys::{Keys, KeysError};
use crate::services::Services;

/// The plan for this client.
pub fn plan(
    services: &Services,
    keys: &Keys,
    client: &ClientMetadata,
) -> Result<TokenPlan, KeysError> {
    let config = &services.config.tokens;
    let default = services.config.keys.signing_algorithm;
    let form = client.access_token_format.unwrap_or(config.access_token_format);
    let access_form = match form {
        AccessTokenFormat::Jwt => AccessTokenForm::Jwt(keys.signing(default)?.kid().clone()),
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
        id_key: keys.signing(id_algorithm)?.kid().clone(),
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

/// How long a family of refresh tokens may go on, if there is an end.
#[must_use]
pub fn longest_refresh(services: &Services) -> Option<Lifetime> {
    let lifetime = services.config.tokens.refresh_token_absolute_lifetime;
    (lifetime.seconds() > 0).then_some(lifetime)
}
