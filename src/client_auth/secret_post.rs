//! `client_secret_post` (RFC 6749 §2.3.1): identifier and secret in the form.

use chancery_domain::authorization::Parameters;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;

use super::{Presented, Refusal};

pub(super) fn find(parameters: &Parameters<'_>) -> Result<Option<Presented>, Refusal> {
    let secret = parameters.once("client_secret").map_err(|_| Refusal::SeveralMethods)?;
    let Some(secret) = secret else { return Ok(None) };
    let client_id = parameters.get("client_id").ok_or(Refusal::Missing)?.to_owned();
    let method = ClientAuthMethod::SecretPost;
    Ok(Some(Presented { client_id, method, secret: Some(secret.to_owned()) }))
}
