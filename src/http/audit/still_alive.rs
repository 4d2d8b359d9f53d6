//! Tokens that are still alive after they were revoked.

use actix_web::http::Method;
use chancery_domain::ids::GrantId;
use chancery_domain::time::{Lifetime, UnixTime};
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{Instant, When, fifty, part};
use crate::audit::still_alive::{StillAlive, StillAliveList, of_grant, still_alive};
use crate::audit::{Period, Records, Stated};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let list_summary = "Which revoked tokens are still alive at resource servers that do not ask?";
    let one_summary = "Which tokens of that grant are still alive although they were revoked?";
    vec![
        Endpoint::new(Method::GET, "/still-alive", ("listStillAlive", list_summary), list),
        Endpoint::new(
            Method::GET,
            "/grants/{grant_id}/still-alive",
            ("getStillAlive", one_summary),
            show,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// Alive at this moment; left out: now.
    at: Option<Instant>,
    /// Revoked from the beginning of this day or moment on; left out: from
    /// the beginning.
    since: Option<When>,
    /// Revoked up to the end of this day or moment; left out: up to `at`.
    until: Option<When>,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct OfGrant {
    grant_id: GrantId,
    /// At this moment; left out: now.
    at: Option<Instant>,
}

async fn list(call: Call<Question, NoBody>) -> Result<Stated<StillAliveList>, Problem> {
    let asked = &call.parameters;
    let at = asked.at.map_or_else(|| call.services.now(), |at| at.0);
    let revoked = Period {
        from: asked.since.map_or(UnixTime::from_seconds(0), |since| since.0.from),
        below: asked.until.map_or(at + Lifetime::from_seconds(1), |until| until.0.below),
    };
    let part = part(asked.limit, asked.after.as_ref())?;
    Ok(still_alive(&Records::of(&call.services.store), (revoked, at), part).await?)
}

async fn show(call: Call<OfGrant, NoBody>) -> Result<Stated<StillAlive>, Problem> {
    let at = call.parameters.at.map_or_else(|| call.services.now(), |at| at.0);
    Ok(of_grant(&Records::of(&call.services.store), call.parameters.grant_id, at).await?)
}
