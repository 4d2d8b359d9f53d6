//! `client_secret_jwt` (OpenID Connect Core §9): an assertion with a MAC by the
//! client's secret.

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use super::{
    Attempt, Method, Presented, Refusal, Sent, find_assertion, readable_secrets, verify_claims,
};
use crate::assertions::{Accepted, Claims};
use crate::jose::VerifyError;
use crate::oauth_error::OAuthError;

pub(super) const METHOD: Method = Method {
    name: ClientAuthMethod::SecretJwt,
    find,
    verify: |attempt| Box::pin(verify(attempt)),
    algorithms: ALGORITHMS,
};

const ALGORITHMS: &[SigningAlgorithm] =
    &[SigningAlgorithm::HS256, SigningAlgorithm::HS384, SigningAlgorithm::HS512];

fn find(sent: &Sent<'_>) -> Result<Option<Presented>, Refusal> {
    find_assertion(sent, |algorithm| ALGORITHMS.contains(algorithm))
}

async fn verify(attempt: Attempt<'_>) -> Result<Option<Refusal>, OAuthError> {
    let accepted = Accepted::of(&attempt.client.metadata, ALGORITHMS);
    let secrets = readable_secrets(attempt.services, attempt.client).await?;
    if secrets.is_empty() {
        return Ok(Some(Refusal::UnreadableSecret));
    }
    let signed: Option<Claims> = secrets.iter().find_map(|secret| {
        let claims: Result<_, VerifyError> = secret.verify(attempt.credential, &accepted.accept());
        claims.ok()
    });
    match signed {
        Some(claims) => verify_claims(&attempt, &claims).await,
        None => Ok(Some(Refusal::BadAssertion)),
    }
}
