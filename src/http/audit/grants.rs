//! The state of a grant at some moment, and what the person saw.

use actix_web::http::Method;
use chancery_domain::ids::GrantId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::Instant;
use crate::audit::grant::{At, Clock, GrantAt, grant_at};
use crate::audit::{Records, Stated};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "What was the state of that grant at some moment, and what had the person seen \
                   when they consented?";
    vec![Endpoint::new(Method::GET, "/grants/{grant_id}", ("getGrantAt", summary), show)]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    grant_id: GrantId,
    /// At this moment (inclusive); left out with `position`: now.
    at: Option<Instant>,
    /// By the store's clock (recorded) or by those of the nodes that decided (happened).
    #[serde(default)]
    clock: Clock,
    /// At this position of the log.
    position: Option<u64>,
}

async fn show(call: Call<Question, NoBody>) -> Result<Stated<GrantAt>, Problem> {
    let at = match (call.parameters.at, call.parameters.position) {
        (None, None) => At::Now,
        (None, Some(position)) => At::Position(position),
        (Some(Instant(at)), None) => At::Time(at, call.parameters.clock),
        (Some(_), Some(_)) => return Err(Problem::bad_request("give at or position, not both")),
    };
    Ok(grant_at(&Records::of(&call.services.store), call.parameters.grant_id, at).await?)
}
