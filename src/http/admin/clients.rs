//! Clients.

use actix_web::http::Method;
use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::ClientId;
use chancery_domain::time::Lifetime;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::admin::{ClientView, Confidential, NewClient, Operation, Outcome};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, PartOfList};
use crate::http::api::problem::Problem;
use crate::lookups::{ClientRow, Lookups};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/clients", ("listClients", "List the clients"), list),
        Endpoint::new(Method::POST, "/clients", ("addClient", "Register a client"), add).creates(),
        Endpoint::new(
            Method::GET,
            "/clients/{client_id}",
            ("getClient", "Show a client's metadata"),
            show,
        ),
        Endpoint::new(
            Method::PATCH,
            "/clients/{client_id}",
            ("updateClient", "Change some of a client's metadata (RFC 7396): null takes away"),
            update,
        ),
        Endpoint::new(
            Method::DELETE,
            "/clients/{client_id}",
            ("deleteClient", "End a client for good, with its grants; its name is not given again"),
            delete,
        ),
        Endpoint::new(
            Method::POST,
            "/clients/{client_id}/secret",
            ("rotateClientSecret", "Give a client a new secret, which is shown once"),
            rotate_secret,
        ),
        Endpoint::new(
            Method::POST,
            "/clients/{client_id}/disable",
            ("disableClient", "Refuse a client's requests and revoke its grants"),
            disable,
        ),
        Endpoint::new(
            Method::POST,
            "/clients/{client_id}/enable",
            ("enableClient", "Let a client be used again; what was revoked stays revoked"),
            enable,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct One {
    client_id: ClientId,
}

/// A client about to be registered: its metadata (RFC 7591 §2), and what
/// follows.
#[derive(Deserialize, JsonSchema)]
struct AddClient {
    /// Left out: generated.
    client_id: Option<ClientId>,
    /// Left out: generated with 256 bits, if the client has one.
    #[schemars(length(min = 1, max = 256))]
    client_secret: Option<Confidential>,
    #[serde(flatten)]
    metadata: Box<ClientMetadata>,
}

/// A new secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RotateClientSecret {
    /// Left out: generated with 256 bits.
    #[schemars(length(min = 1, max = 256))]
    client_secret: Option<Confidential>,
    /// How long the one before stays good too; left out: not at all.
    keep_previous_for: Option<Lifetime>,
}

/// Why something is done. Kept in the log, so it names nobody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    #[schemars(length(max = 1000))]
    #[serde(default)]
    reason: String,
}

impl Reason {
    pub(super) fn text(&self) -> Result<String, Problem> {
        if self.reason.chars().count() > 1000 || self.reason.contains('\0') {
            return Err(Problem::invalid("a reason has up to 1000 characters"));
        }
        Ok(self.reason.clone())
    }
}

async fn list(call: Call<PartOfList, NoBody>) -> Result<List<ClientRow>, Problem> {
    let part = call.parameters.first_to_last()?;
    Ok(Lookups::new(call.services.store.clone()).clients(part).await?.into())
}

async fn add(
    call: Call<crate::http::api::endpoint::Nothing, Json<AddClient>>,
) -> Result<ClientView, Problem> {
    let Json(AddClient { client_id, client_secret, metadata }) = &call.body;
    let secret = checked(client_secret.as_ref())?;
    let new = NewClient { client_id: client_id.clone(), secret, metadata: metadata.clone() };
    client(call.perform(Operation::AddClient(new)).await?)
}

async fn show(call: Call<One, NoBody>) -> Result<ClientView, Problem> {
    let id = &call.parameters.client_id;
    let folded = call.services.clients.get(id.as_str()).await;
    let folded = folded.map_err(|error| Problem::internal(&error))?;
    let client = folded.state.registered();
    client.map(ClientView::of).ok_or_else(|| Problem::not_found(format!("no such client: {id}")))
}

async fn update(call: Call<One, Json<Map<String, Value>>>) -> Result<ClientView, Problem> {
    let client_id = call.parameters.client_id.clone();
    let changes = call.body.0.clone();
    client(call.perform(Operation::UpdateClient { client_id, changes }).await?)
}

async fn delete(call: Call<One, NoBody>) -> Result<ClientView, Problem> {
    let client_id = call.parameters.client_id.clone();
    client(call.perform(Operation::DeleteClient { client_id }).await?)
}

async fn rotate_secret(call: Call<One, Json<RotateClientSecret>>) -> Result<ClientView, Problem> {
    let client_id = call.parameters.client_id.clone();
    let Json(RotateClientSecret { client_secret, keep_previous_for }) = &call.body;
    let secret = checked(client_secret.as_ref())?;
    let keep_previous_for = *keep_previous_for;
    let operation = Operation::RotateClientSecret { client_id, secret, keep_previous_for };
    client(call.perform(operation).await?)
}

async fn disable(call: Call<One, Json<Reason>>) -> Result<ClientView, Problem> {
    let client_id = call.parameters.client_id.clone();
    let reason = call.body.0.text()?;
    client(call.perform(Operation::DisableClient { client_id, reason }).await?)
}

async fn enable(call: Call<One, NoBody>) -> Result<ClientView, Problem> {
    let client_id = call.parameters.client_id.clone();
    client(call.perform(Operation::EnableClient { client_id }).await?)
}

fn client(outcome: Outcome) -> Result<ClientView, Problem> {
    match outcome {
        Outcome::Client(client) => Ok(*client),
        other => Err(Problem::internal(&format!("an operation on a client gave {other:?}"))),
    }
}

fn checked(secret: Option<&Confidential>) -> Result<Option<Confidential>, Problem> {
    match secret {
        Some(secret) if !secret.is_client_secret() => {
            Err(Problem::invalid("client_secret must have 1 to 256 visible ASCII characters"))
        }
        secret => Ok(secret.cloned()),
    }
}
