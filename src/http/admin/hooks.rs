//! Hooks: where they are asked, and how they stand on this node.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::hooks::{Hook, HookState};
use crate::http::api::endpoint::{Call, Endpoint, List, NoBody, Nothing};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/hooks",
            ("listHooks", "List the hooks, and how they stand on this node since its start"),
            list,
        ),
        Endpoint::new(Method::GET, "/hooks/{name}", ("getHook", "Show a hook"), show),
    ]
}

/// Which hook.
#[derive(Deserialize, JsonSchema)]
struct Named {
    /// As the settings call it.
    name: String,
}

async fn list(call: Call<Nothing, NoBody>) -> Result<List<HookState>, Problem> {
    Ok(List { items: call.services.hooks.iter().map(Hook::state).collect(), next: None })
}

async fn show(call: Call<Named, NoBody>) -> Result<HookState, Problem> {
    let hook = call.services.hooks.get(&call.parameters.name);
    hook.map(Hook::state).ok_or_else(|| Problem::not_found("there is no such hook"))
}
