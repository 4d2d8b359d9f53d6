//! Clients: which there are, what one is, and who changed what of it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::client::{Client, ClientEvent, ClientMetadata};
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, ClientId};
use serde_json::Value;

use super::diff::{Difference, differences};
use super::events::{Line, history, look_at_seals};
use super::grants::class_of;
use super::operator::{Operator, guarded};
use super::page::{Chrome, Link, Moment, Tab, answer, escaped};
use super::problem::Problem;
use crate::aggregates::Kept as _;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::lookups::{Lookups, Part};

const ON_A_PAGE: u32 = 100;

/// So many changes, the latest, are compared with their seals.
const MOST_PROVED: usize = 50;

#[derive(Template)]
#[template(path = "console/clients.html", config = ".askama.toml")]
struct ClientsPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    rows: &'a [Row],
    next: Option<&'a str>,
}

struct Row {
    link: Link,
    name: String,
    state: String,
    scope: String,
    changed: Moment,
}

impl Row {
    fn class(&self) -> &'static str {
        class_of(&self.state)
    }
}

#[derive(Template)]
#[template(path = "console/client.html", config = ".askama.toml")]
struct ClientPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    id: &'a str,
    /// The id as it stands in a query.
    escaped: &'a str,
    name: &'a str,
    state: &'static str,
    members: &'a [(String, String)],
    changes: &'a [Change],
}

impl ClientPage<'_> {
    fn class(&self) -> &'static str {
        class_of(self.state)
    }
}

/// An event, and what of the metadata it changed.
struct Change {
    line: Line,
    differences: Vec<Difference>,
}

#[tracing::instrument(name = "console.clients_page", skip_all)]
pub async fn list(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| {
        let parameters = Parameters::parse(visit.request.query_string().as_bytes());
        let after = parameters.get("after").and_then(|after| ClientId::parse(after).ok());
        let part = Part { after: after.map(|id| id.to_string()), ..Part::first(ON_A_PAGE) };
        let page = Lookups::new(visit.store.clone()).clients(part).await?;
        let rows: Vec<_> = page
            .rows
            .into_iter()
            .map(|row| Row {
                link: Link::to(AggregateKind::Client, row.client_id.as_str()),
                name: row.metadata.client_name.clone().unwrap_or_default(),
                state: row.state,
                scope: row.metadata.scope.to_string(),
                changed: row.updated_at.into(),
            })
            .collect();
        let next = page.next.map(|next| escaped(&next));
        let chrome = Chrome::of(&visit, Some(operator), Tab::Clients);
        let html = html(&ClientsPage {
            frame: Chrome::frame(&visit),
            chrome: &chrome,
            rows: &rows,
            next: next.as_deref(),
        });
        Ok(answer(&visit, &chrome, StatusCode::OK, html))
    })
    .await
}

#[tracing::instrument(name = "console.client_page", skip_all)]
pub async fn get(visit: Visit, id: web::Path<String>) -> HttpResponse {
    guarded(&visit, async |operator| {
        let id = ClientId::parse(&id).map_err(|_| Problem::not_found("client"))?;
        let mut lines = history(&visit, &Client::stream(id.as_str())).await?;
        if lines.is_empty() {
            return Err(Problem::not_found("client"));
        }
        look_at_seals(&visit, lines.iter_mut().rev().take(MOST_PROVED)).await?;
        Ok(show(&visit, operator, &id, lines))
    })
    .await
}

fn show(visit: &Visit, operator: &Operator, id: &ClientId, lines: Vec<Line>) -> HttpResponse {
    let mut metadata = Value::Null;
    let mut state = "enabled";
    let mut changes = Vec::with_capacity(lines.len());
    for line in lines {
        let before = metadata.clone();
        if let AnyEvent::Client(event) = &line.event {
            match event {
                ClientEvent::ClientRegistered(event) => metadata = json(&event.metadata),
                ClientEvent::ClientMetadataReplaced(event) => metadata = json(&event.metadata),
                ClientEvent::ClientDisabled(_) => state = "disabled",
                ClientEvent::ClientEnabled(_) => state = "enabled",
                ClientEvent::ClientDeleted(_) => state = "deleted",
                ClientEvent::ClientSecretRotated(_) => {}
            }
        }
        // With the first event all is new: it stands above.
        let differences = if before.is_null() { vec![] } else { differences(&before, &metadata) };
        changes.push(Change { line, differences });
    }
    changes.reverse();
    let members: Vec<_> = metadata.as_object().into_iter().flatten().collect();
    let members: Vec<_> =
        members.into_iter().map(|(name, value)| (name.clone(), readable(value))).collect();
    let name = metadata.get("client_name").and_then(Value::as_str).unwrap_or_default();
    let chrome = Chrome::of(visit, Some(operator), Tab::Clients);
    let html = html(&ClientPage {
        frame: Chrome::frame(visit),
        chrome: &chrome,
        id: id.as_str(),
        escaped: &escaped(id.as_str()),
        name,
        state,
        members: &members,
        changes: &changes,
    });
    answer(visit, &chrome, StatusCode::OK, html)
}

fn json(metadata: &ClientMetadata) -> Value {
    serde_json::to_value(metadata).unwrap_or_default()
}

/// A value as people write it: lists without brackets.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(readable).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}
