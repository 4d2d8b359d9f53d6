//! What happened to one thing: its events in words, with who did it and why.

use actix_web::http::Method;
use chancery_domain::account::Account;
use chancery_domain::client::Client;
use chancery_domain::ids::{ClientId, SubjectId};
use chancery_projections::Undecodable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aggregates::Kept as _;
use crate::feed::decode;
use crate::http::api::endpoint::{Call, Endpoint, List, NoBody};
use crate::http::api::problem::Problem;
use crate::services::Services;
use crate::stores::StreamId;
use crate::timeline;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/clients/{client_id}/events",
            ("listClientEvents", "Tell what happened to a client, the oldest first"),
            of_client,
        ),
        Endpoint::new(
            Method::GET,
            "/accounts/{subject}/events",
            ("listAccountEvents", "Tell what happened to an account, the oldest first"),
            of_account,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct OneClient {
    client_id: ClientId,
}

#[derive(Deserialize, JsonSchema)]
struct OneAccount {
    subject: SubjectId,
}

/// One event, in words. Nothing of it is personal.
#[derive(Serialize, JsonSchema)]
pub(super) struct Happening {
    /// Its place in the log.
    position: u64,
    /// Its place in the history of what it happened to.
    sequence: u64,
    /// Milliseconds since 1970.
    recorded_at_ms: i64,
    /// RFC 3339, by the clock of the node that decided.
    occurred_at: String,
    event_type: String,
    summary: String,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// SHA-256 of the event, base64url.
    digest: String,
}

/// All that happened to it; `what` names it where there is no such thing.
pub(super) async fn history(
    services: &Services,
    stream: &StreamId,
    what: &str,
) -> Result<List<Happening>, Problem> {
    let stored = services.store.history(stream).await?;
    if stored.is_empty() {
        return Err(Problem::not_found(format!("no such {what}: {}", stream.id)));
    }
    let unreadable = |error: Undecodable| Problem::internal(&error);
    let mut items = Vec::with_capacity(stored.len());
    for stored in &stored {
        let recorded = decode(stored).map_err(unreadable)?;
        let envelope = recorded.envelope().map_err(unreadable)?;
        items.push(Happening {
            position: stored.position,
            sequence: stored.event.sequence,
            recorded_at_ms: stored.recorded_at_ms,
            occurred_at: envelope.occurred_at.clone(),
            event_type: stored.event.event_type.to_string(),
            summary: timeline::summary(&recorded.event),
            actor: timeline::actor(&envelope),
            reason: timeline::reason(&recorded.event, &envelope),
            digest: stored.event.digest.to_string(),
        });
    }
    Ok(List { items, next: None })
}

async fn of_client(call: Call<OneClient, NoBody>) -> Result<List<Happening>, Problem> {
    let stream = Client::stream(call.parameters.client_id.as_str());
    history(&call.services, &stream, "client").await
}

async fn of_account(call: Call<OneAccount, NoBody>) -> Result<List<Happening>, Problem> {
    let stream = Account::stream(&call.parameters.subject.to_string());
    history(&call.services, &stream, "account").await
}
