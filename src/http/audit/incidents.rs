//! Was a code or a refresh token presented again, and what was revoked for it?

use actix_web::http::Method;
use chancery_domain::ids::{ClientId, GrantId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{When, fifty, part};
use crate::audit::incidents::{IncidentAnswer, IncidentKind, Which, incidents};
use crate::audit::{Records, StatedList};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Which genuine codes and refresh tokens were presented again, or by somebody \
                   else, and what was revoked for it? The newest first";
    vec![Endpoint::new(Method::GET, "/incidents", ("listIncidents", summary), list)]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    grant_id: Option<GrantId>,
    /// Who presented the credential.
    client_id: Option<ClientId>,
    kind: Option<IncidentKind>,
    /// That happened from the beginning of this day or moment on.
    since: Option<When>,
    /// That happened up to the end of this day or moment.
    until: Option<When>,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

async fn list(call: Call<Question, NoBody>) -> Result<StatedList<IncidentAnswer>, Problem> {
    let asked = &call.parameters;
    let which = Which {
        grant_id: asked.grant_id,
        client_id: asked.client_id.clone(),
        kind: asked.kind,
        since: asked.since.map(When::begins),
        until: asked.until.map(When::ends),
    };
    let part = part(asked.limit, asked.after.as_ref())?;
    Ok(incidents(&Records::of(&call.services.store), &which, part).await?)
}
