//! Who saw personal data and why, and was somebody erased everywhere?

use actix_web::http::Method;
use chancery_domain::ids::SubjectId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{When, fifty, part};
use crate::audit::erasure::{ErasureAnswer, erasure};
use crate::audit::reads::{Read, Which, reads};
use crate::audit::{Records, Stated, StatedList};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/reads",
            ("listReads", "Who saw what is known of people, and why? The newest first"),
            list,
        ),
        Endpoint::new(
            Method::GET,
            "/subjects/{subject}/erasure",
            ("getErasure", "Was a person erased everywhere, and what is left of them?"),
            erased,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// Whose data was seen.
    subject: Option<SubjectId>,
    /// Which operator saw it.
    #[schemars(length(min = 1, max = 128))]
    by: Option<String>,
    /// From the beginning of this day or moment on.
    from: Option<When>,
    /// Up to the end of this day or moment.
    to: Option<When>,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct One {
    subject: SubjectId,
}

async fn list(call: Call<Question, NoBody>) -> Result<StatedList<Read>, Problem> {
    let asked = &call.parameters;
    if asked.by.as_ref().is_some_and(|by| by.contains('\0')) {
        return Err(Problem::bad_request("by must be the name of an operator"));
    }
    let which = Which {
        subject: asked.subject,
        reader: asked.by.clone(),
        since: asked.from.map(When::begins),
        until: asked.to.map(When::ends),
    };
    let part = part(asked.limit, asked.after.as_ref())?;
    Ok(reads(&Records::of(&call.services.store), &which, part).await?)
}

async fn erased(call: Call<One, NoBody>) -> Result<Stated<ErasureAnswer>, Problem> {
    let records = Records::of(&call.services.store);
    Ok(erasure(&records, call.parameters.subject, call.services.now()).await?)
}
