//! Read models.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::{Operation, Outcome};
use crate::http::api::endpoint::{Call, Endpoint, Json, Nothing};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::POST,
            "/projections/rebuild",
            (
                "rebuildProjections",
                "Make read models anew from the log, beside those that are there",
            ),
            rebuild,
        )
        .finds(),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rebuild {
    /// Left out: all.
    names: Option<Vec<String>>,
}

/// The read models that are made anew: what is there meanwhile is what was there before.
#[derive(Serialize, JsonSchema)]
struct Rebuilding {
    names: Vec<String>,
}

async fn rebuild(call: Call<Nothing, Json<Rebuild>>) -> Result<Rebuilding, Problem> {
    let names = call.body.0.names.clone();
    match call.perform(Operation::RebuildProjections { names }).await? {
        Outcome::Projections { names } => Ok(Rebuilding { names }),
        other => Err(Problem::internal(&format!("an operation on read models gave {other:?}"))),
    }
}
