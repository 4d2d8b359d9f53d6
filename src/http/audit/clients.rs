//! Who changed a client, and what changes led to.

use actix_web::http::Method;
use chancery_domain::ids::ClientId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{fifty, part};
use crate::audit::cascade::{Cascade, cascade};
use crate::audit::client::{ClientChange, client_changes};
use crate::audit::{Records, Stated, StatedList};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/clients/{client_id}/changes",
            ("listClientChanges", "Who changed that client, how, and what did it lead to?"),
            changes,
        ),
        Endpoint::new(
            Method::GET,
            "/cascades",
            ("getCascade", "Which grants ended because of that event?"),
            led_to,
        )
        .finds(),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Changes {
    client_id: ClientId,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct OfEvent {
    /// `aggregate_type/aggregate_id/sequence`, as `because_of` and `reference` have it.
    #[schemars(length(min = 1, max = 400))]
    event: String,
    /// How many grants at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// The grants after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

async fn changes(call: Call<Changes, NoBody>) -> Result<StatedList<ClientChange>, Problem> {
    let Changes { client_id, limit, after } = &call.parameters;
    let part = part(*limit, after.as_ref())?;
    Ok(client_changes(&Records::of(&call.services.store), client_id, part).await?)
}

async fn led_to(call: Call<OfEvent, NoBody>) -> Result<Stated<Cascade>, Problem> {
    let OfEvent { event, limit, after } = &call.parameters;
    if event.contains('\0') {
        return Err(Problem::bad_request("event must be the name of one"));
    }
    let part = part(*limit, after.as_ref())?;
    Ok(cascade(&Records::of(&call.services.store), event, part).await?)
}
