//! The grants whose tokens a key signed.

use actix_web::http::Method;
use chancery_domain::ids::{ClientId, KeyId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{fifty, part};
use crate::audit::signed_by::{SignedBy, signed_by};
use crate::audit::{Records, Stated};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Which grants (of a client, or of all) have tokens that this key signed?";
    vec![Endpoint::new(Method::GET, "/keys/{kid}/grants", ("listGrantsSignedBy", summary), list)]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    kid: KeyId,
    client_id: Option<ClientId>,
    /// How many grants at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// The grants after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

async fn list(call: Call<Question, NoBody>) -> Result<Stated<SignedBy>, Problem> {
    let Question { kid, client_id, limit, after } = &call.parameters;
    let part = part(*limit, after.as_ref())?;
    Ok(signed_by(&Records::of(&call.services.store), kid, client_id.as_ref(), part).await?)
}
