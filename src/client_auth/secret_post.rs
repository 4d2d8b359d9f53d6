//! `client_secret_post` (RFC 6749 §2.3.1): identifier and secret in the form.

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;

use super::{Method, Presented, Refusal, Sent, verify_secret};

pub(super) const METHOD: Method = Method {
    name: ClientAuthMethod::SecretPost,
    find,
    verify: |attempt| Box::pin(verify_secret(attempt)),
    algorithms: &[],
};

fn find(sent: &Sent<'_>) -> Result<Option<Presented>, Refusal> {
    let secret = sent.parameters.once("client_secret").map_err(|_| Refusal::SeveralMethods)?;
    let Some(secret) = secret else { return Ok(None) };
    let client_id = sent.parameters.get("client_id").ok_or(Refusal::Missing)?.to_owned();
    Ok(Some(Presented { client_id, credential: secret.to_owned() }))
}
