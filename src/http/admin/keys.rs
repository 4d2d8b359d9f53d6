//! Signing keys.

use actix_web::http::Method;
use chancery_domain::ids::KeyId;
use chancery_domain::signing_key::KeyAlgorithm;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::{KeyView, Operation, Outcome};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, Nothing, PartOfList};
use crate::http::api::problem::Problem;
use crate::lookups::{Lookups, SigningKeyRow};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/keys", ("listKeys", "List the server's public keys"), list),
        Endpoint::new(
            Method::POST,
            "/keys/rotate",
            ("rotateKey", "Put a new key in place of the one that signs with an algorithm"),
            rotate,
        ),
        Endpoint::new(
            Method::POST,
            "/keys/{kid}/withdraw",
            (
                "withdrawKey",
                "End a key that others may know, at once, with all that it signed; a new one \
                 takes the place of one in use",
            ),
            withdraw,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RotateKey {
    /// Left out: that of the settings (`keys.signing_algorithm`).
    algorithm: Option<KeyAlgorithm>,
}

#[derive(Deserialize, JsonSchema)]
struct One {
    kid: KeyId,
}

async fn list(call: Call<PartOfList, NoBody>) -> Result<List<SigningKeyRow>, Problem> {
    let part = call.parameters.first_to_last()?;
    Ok(Lookups::new(call.services.store.clone()).signing_keys(part).await?.into())
}

async fn rotate(call: Call<Nothing, Json<RotateKey>>) -> Result<KeyView, Problem> {
    let algorithm = call.body.0.algorithm;
    if let Some(algorithm) = algorithm
        && !call.services.config.keys.all_algorithms().contains(&algorithm.kind())
    {
        let detail = format!(
            "the server has no key for {algorithm}; keys.extra_algorithms and \
             keys.encryption_algorithms say which it has"
        );
        return Err(Problem::invalid(detail));
    }
    key(call.perform(Operation::RotateKey { algorithm }).await?)
}

async fn withdraw(call: Call<One, NoBody>) -> Result<KeyView, Problem> {
    let key_id = call.parameters.kid.clone();
    key(call.perform(Operation::WithdrawKey { key_id }).await?)
}

fn key(outcome: Outcome) -> Result<KeyView, Problem> {
    match outcome {
        Outcome::Key(key) => Ok(key),
        other => Err(Problem::internal(&format!("an operation on a key gave {other:?}"))),
    }
}
