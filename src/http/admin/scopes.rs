//! Scopes: what they mean.

use actix_web::http::Method;
use chancery_domain::scope_definition::Definition;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::admin::{Operation, Outcome, ScopeView};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, Nothing, PartOfList};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let list_summary = "List the scopes: the standard ones, those of the settings, and your own";
    let set_summary = "Change what a scope means (RFC 7396): null takes away. A standard scope, or \
                       one of the settings, is from then on what is said here";
    let remove_summary = "Take a definition back: a standard scope, or one of the settings, is as \
                          it was before; another one is no more";
    vec![
        Endpoint::new(Method::GET, "/scopes", ("listScopes", list_summary), list),
        Endpoint::new(Method::POST, "/scopes", ("addScope", "Define a scope"), add).creates(),
        Endpoint::new(Method::GET, "/scopes/{name}", ("getScope", "Show a scope"), show),
        Endpoint::new(Method::PATCH, "/scopes/{name}", ("updateScope", set_summary), update),
        Endpoint::new(Method::DELETE, "/scopes/{name}", ("removeScope", remove_summary), remove),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct One {
    #[schemars(length(min = 1, max = 128))]
    name: String,
}

/// A scope about to be defined.
#[derive(Deserialize, JsonSchema)]
struct AddScope {
    #[schemars(length(min = 1, max = 128))]
    name: String,
    #[serde(flatten)]
    definition: Definition,
}

async fn list(call: Call<PartOfList, NoBody>) -> Result<List<ScopeView>, Problem> {
    let table = call.services.scopes.get();
    let part = call.parameters.first_to_last()?;
    let mut names: Vec<&str> = table.names().collect();
    names.sort_unstable();
    let after = part.after.unwrap_or_default();
    let limit = usize::try_from(part.limit).unwrap_or(usize::MAX);
    let mut rest = names.into_iter().filter(|name| *name > after.as_str());
    let views = rest.by_ref().take(limit);
    let items: Vec<_> =
        views.filter_map(|name| Some(ScopeView::of(name, table.get(name)?))).collect();
    let more = rest.next().is_some();
    let next = items.last().filter(|_| more).map(|scope| scope.name.clone());
    Ok(List { items, next })
}

async fn add(call: Call<Nothing, Json<AddScope>>) -> Result<ScopeView, Problem> {
    let Json(AddScope { name, definition }) = &call.body;
    let (name, definition) = (name.clone(), definition.clone());
    scope(call.perform(Operation::AddScope { name, definition }).await?)
}

async fn show(call: Call<One, NoBody>) -> Result<ScopeView, Problem> {
    let name = &call.parameters.name;
    let table = call.services.scopes.get();
    let scope = table.get(name).map(|scope| ScopeView::of(name, scope));
    scope.ok_or_else(|| Problem::not_found(format!("no such scope: {name}")))
}

async fn update(call: Call<One, Json<Map<String, Value>>>) -> Result<ScopeView, Problem> {
    let name = call.parameters.name.clone();
    let changes = call.body.0.clone();
    scope(call.perform(Operation::UpdateScope { name, changes }).await?)
}

async fn remove(call: Call<One, NoBody>) -> Result<ScopeView, Problem> {
    let name = call.parameters.name.clone();
    scope(call.perform(Operation::RemoveScope { name }).await?)
}

fn scope(outcome: Outcome) -> Result<ScopeView, Problem> {
    match outcome {
        Outcome::Scope(scope) => Ok(*scope),
        other => Err(Problem::internal(&format!("an operation on a scope gave {other:?}"))),
    }
}
