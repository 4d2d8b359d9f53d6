//! Clients that can decrypt, and those whose secret the server can read.

use chancery::admin::{NewClient, Operation, Outcome, perform};
use chancery::jose::jwe::{AcceptEncrypted, DecryptionKey, decrypt};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde_json::{Value, json};

use super::{RelyingParty, TestServer};

impl TestServer {
    /// Registers a client as the command line does: with a secret that the server
    /// can read, if it needs to.
    pub async fn register_by_operator(
        &self,
        client_id: &str,
        metadata: ClientMetadata,
    ) -> RelyingParty {
        let method = metadata.token_endpoint_auth_method;
        let client_id = Some(client_id.parse().unwrap());
        let new = NewClient { client_id, secret: None, metadata: metadata.into() };
        let operation = Operation::AddClient(new);
        let outcome = self
            .act(|services| async move { perform(&services, operation, "test").await.unwrap() })
            .await;
        let Outcome::Client(client) = outcome else { panic!("{outcome:?}") };
        let party = RelyingParty::new(&self.address, client.client_id.as_str(), method);
        #[expect(clippy::disallowed_methods, reason = "this is its owner")]
        match client.client_secret {
            Some(secret) => party.with_secret(secret.expose()),
            None => party,
        }
    }
}

/// The JWK Set of a client with this key.
pub fn jwks_of(key: &DecryptionKey) -> Value {
    json!({ "keys": [key.public_jwk().unwrap()] })
}

/// What is in a token that is encrypted so: what it says that it is, and its
/// content.
#[track_caller]
pub fn decrypted(
    key: &DecryptionKey,
    token: &str,
    alg: KeyManagementAlgorithm,
    enc: ContentEncryption,
) -> (Option<String>, String) {
    let accept = AcceptEncrypted { algorithms: &[alg], encryptions: &[enc] };
    let decrypted = decrypt([key], token, &accept).unwrap();
    (decrypted.cty, String::from_utf8(decrypted.payload).unwrap())
}
