//! Grants: which there are, what happened to one, and its end.

use actix_web::http::Method;
use chancery_domain::ids::{ClientId, GrantId, SessionId, SubjectId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::clients::Reason;
use super::history::{Happening, history};
use crate::admin::{GrantView, Operation, Outcome};
use crate::aggregates::Kept as _;
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, PartOfList};
use crate::http::api::problem::Problem;
use crate::lookups::{GrantFilter, GrantRow, Lookups};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/grants",
            ("listGrants", "List grants, the newest first"),
            list,
        ),
        Endpoint::new(Method::GET, "/grants/{grant_id}", ("getGrant", "Show a grant"), show),
        Endpoint::new(
            Method::GET,
            "/grants/{grant_id}/events",
            ("listGrantEvents", "Tell what happened to a grant, the oldest first"),
            events,
        ),
        Endpoint::new(
            Method::POST,
            "/grants/{grant_id}/revoke",
            ("revokeGrant", "End a grant, and everything that came of it"),
            revoke,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    subject: Option<SubjectId>,
    client_id: Option<ClientId>,
    session_id: Option<SessionId>,
    /// As in the answers: `active`, `revoked` and so on.
    #[schemars(length(max = 64))]
    state: Option<String>,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

fn fifty() -> u32 {
    50
}

#[derive(Deserialize, JsonSchema)]
struct One {
    grant_id: GrantId,
}

async fn list(call: Call<Filter, NoBody>) -> Result<List<GrantRow>, Problem> {
    let Filter { subject, client_id, session_id, state, limit, after } = call.parameters;
    if state.as_ref().is_some_and(|state| state.contains('\0')) {
        return Err(Problem::bad_request("state must be the name of one"));
    }
    let part = PartOfList { limit, after }.last_to_first()?;
    let filter = GrantFilter { subject, client_id, session_id, state };
    Ok(Lookups::new(call.services.store.clone()).grants(&filter, part).await?.into())
}

async fn show(call: Call<One, NoBody>) -> Result<GrantRow, Problem> {
    let id = call.parameters.grant_id;
    let found = Lookups::new(call.services.store.clone()).grant(id).await?;
    found.ok_or_else(|| Problem::not_found(format!("no such grant: {id}")))
}

async fn events(call: Call<One, NoBody>) -> Result<List<Happening>, Problem> {
    let stream = chancery_domain::grant::Grant::stream(&call.parameters.grant_id.to_string());
    history(&call.services, &stream, "grant").await
}

async fn revoke(call: Call<One, Json<Reason>>) -> Result<GrantView, Problem> {
    let (grant_id, reason) = (call.parameters.grant_id, call.body.0.text()?);
    match call.perform(Operation::RevokeGrant { grant_id, reason }).await? {
        Outcome::Grant(grant) => Ok(grant),
        other => Err(Problem::internal(&format!("an operation on a grant gave {other:?}"))),
    }
}
