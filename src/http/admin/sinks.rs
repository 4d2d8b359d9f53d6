//! Sinks: how far each is, and what it refused.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::rfc3339_ms;
use crate::config::sinks::Sink;
use crate::events::groups::GroupError;
use crate::events::sinks::dead_letters::DeadLetter;
use crate::events::sinks::{deliver_again, groups};
use crate::http::api::endpoint::{Call, Endpoint, List, NoBody, Nothing, fifty};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/sinks",
            ("listSinks", "List the sinks of events, and how far they are"),
            list,
        ),
        Endpoint::new(
            Method::GET,
            "/sinks/{name}/dead-letters",
            ("listDeadLetters", "List the events that a sink refused too often"),
            dead_letters,
        ),
        Endpoint::new(
            Method::POST,
            "/sinks/{name}/dead-letters/{position}/send",
            ("sendDeadLetter", "Send an event again that was put aside"),
            send,
        ),
        Endpoint::new(
            Method::DELETE,
            "/sinks/{name}/dead-letters/{position}",
            ("forgetDeadLetter", "Forget an event that was put aside"),
            forget,
        ),
    ]
}

/// A sink of events.
#[derive(Serialize, JsonSchema)]
struct EventSink {
    /// As the settings call it.
    name: String,
    /// What it is: `webhook` or `nats`.
    to: &'static str,
    /// Where it is, without what may be secret in the URL.
    place: String,
    /// Everything up to this position of the log has been delivered.
    position: u64,
    /// By how many positions of the log it is behind.
    lag: u64,
    /// The node that delivers; absent: none just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// An event that a sink refused too often.
#[derive(Serialize, JsonSchema)]
struct PutAside {
    /// The event's place in the log.
    position: u64,
    /// The event's id.
    id: String,
    /// How often it was tried.
    attempts: u32,
    /// Why it was refused last.
    reason: String,
    /// When it was put aside (RFC 3339).
    since: String,
}

/// Dead letters of which sink.
#[derive(Deserialize, JsonSchema)]
struct OfSink {
    /// As the settings call it.
    name: String,
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// Those after this position: `next` of the list before.
    after: Option<u64>,
}

/// Which dead letter.
#[derive(Deserialize, JsonSchema)]
struct One {
    /// The sink, as the settings call it.
    name: String,
    /// The event's place in the log.
    position: u64,
}

async fn list(call: Call<Nothing, NoBody>) -> Result<List<EventSink>, Problem> {
    let services = &call.services;
    let end = services.feed.end().await?;
    let mut items = Vec::new();
    for (name, config) in &services.config.sinks {
        let (position, node) = match groups(services).get(name).await {
            Ok(group) => (group.state.position(), group.state.members.into_keys().next()),
            Err(GroupError::NotFound(_)) => (0, None),
            Err(error) => return Err(error.into()),
        };
        items.push(EventSink {
            name: name.clone(),
            to: config.to.as_str(),
            place: config.url.place(),
            position,
            lag: end.saturating_sub(position),
            node,
        });
    }
    Ok(List { items, next: None })
}

fn sink<'a>(call: &'a Call<impl Sized, NoBody>, name: &str) -> Result<&'a Sink, Problem> {
    let found = call.services.config.sinks.get(name);
    found.ok_or_else(|| Problem::not_found("there is no such sink in the settings"))
}

async fn dead_letters(call: Call<OfSink, NoBody>) -> Result<List<PutAside>, Problem> {
    let OfSink { name, limit, after } = &call.parameters;
    sink(&call, name)?;
    if !(1..=1000).contains(limit) {
        return Err(Problem::bad_request("limit must be from 1 to 1000"));
    }
    let store = &*call.services.store;
    let found = DeadLetter::list(store, name, after.unwrap_or(0), limit + 1).await?;
    let list = List::of(found, *limit, |letter| letter.position.to_string());
    Ok(list.map(PutAside::from))
}

async fn send(call: Call<One, NoBody>) -> Result<PutAside, Problem> {
    let letter = letter(&call).await?;
    let One { name, .. } = &call.parameters;
    let store = &*call.services.store;
    let event = letter.event(store).await?;
    let event = event.ok_or_else(|| Problem::internal(&"the event is not in the log"))?;
    let services = call.services.clone().into_inner();
    deliver_again(&services, sink(&call, name)?, event)
        .await
        .map_err(|error| Problem::conflict(format!("it was not taken: {error}")))?;
    letter.forget(store, name).await?;
    Ok(letter.into())
}

async fn forget(call: Call<One, NoBody>) -> Result<PutAside, Problem> {
    let letter = letter(&call).await?;
    letter.forget(&*call.services.store, &call.parameters.name).await?;
    Ok(letter.into())
}

async fn letter(call: &Call<One, NoBody>) -> Result<DeadLetter, Problem> {
    let One { name, position } = &call.parameters;
    sink(call, name)?;
    let found = DeadLetter::get(&*call.services.store, name, *position).await?;
    found.ok_or_else(|| Problem::not_found("nothing of that position was put aside"))
}

impl From<DeadLetter> for PutAside {
    fn from(letter: DeadLetter) -> Self {
        let since = rfc3339_ms(letter.put_aside_at_ms);
        let DeadLetter { position, id, attempts, reason, .. } = letter;
        Self { position, id, attempts, reason, since }
    }
}
