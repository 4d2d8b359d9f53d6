//! Who had access to what, and by which consent?

use actix_web::http::Method;
use chancery_domain::ids::{ClientId, SubjectId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{When, fifty, part};
use crate::audit::access::{Access, Whose, access};
use crate::audit::{Records, StatedList};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new(
        Method::GET,
        "/access",
        ("listAccess", "Who had access to what on that day, and by which consent?"),
        list,
    )]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// A day (all of it, in UTC), or a moment.
    on: When,
    client_id: Option<ClientId>,
    subject: Option<SubjectId>,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

async fn list(call: Call<Question, NoBody>) -> Result<StatedList<Access>, Problem> {
    let asked = &call.parameters;
    let whose =
        Whose { during: asked.on.0, client_id: asked.client_id.clone(), subject: asked.subject };
    let part = part(asked.limit, asked.after.as_ref())?;
    Ok(access(&Records::of(&call.services.store), &whose, part).await?)
}
