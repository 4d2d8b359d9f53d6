//! `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9): an assertion that
//! the client signed by a key whose public part it registered.

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use super::{Attempt, Method, Presented, Refusal, Sent, find_assertion, verify_claims};
use crate::assertions::{Accepted, Claims};
use crate::client_keys::{self, NotTheClients};
use crate::oauth_error::OAuthError;

pub(super) const METHOD: Method = Method {
    name: ClientAuthMethod::PrivateKeyJwt,
    find,
    verify: |attempt| Box::pin(verify(attempt)),
    algorithms: SigningAlgorithm::ASYMMETRIC,
};

fn find(sent: &Sent<'_>) -> Result<Option<Presented>, Refusal> {
    find_assertion(sent, |algorithm| !algorithm.is_symmetric())
}

async fn verify(attempt: Attempt<'_>) -> Result<Option<Refusal>, OAuthError> {
    let Attempt { services, client, credential, .. } = attempt;
    let accepted = Accepted::of(&client.metadata, SigningAlgorithm::ASYMMETRIC);
    let accept = accepted.accept();
    match client_keys::verify::<Claims>(services, client, credential, &accept).await {
        Ok(claims) => verify_claims(&attempt, &claims).await,
        Err(NotTheClients::Keys(_)) => Ok(Some(Refusal::NoKeys)),
        Err(NotTheClients::Token(_)) => Ok(Some(Refusal::BadAssertion)),
    }
}
