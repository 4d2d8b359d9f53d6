//! Finding grants: by person, client, state and time, and by what ended them;
//! the newest first.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::{AggregateKind, ClientId, GrantId, SubjectId};
use chancery_domain::time::UnixTime;
use chancery_projections::Value;
use chancery_projections::grants::{GRANTS, made_from};
use url::form_urlencoded::Serializer;

use super::operator::{Operator, guarded};
use super::page::{Chrome, Link, Moment, Tab, answer, from_day, until_day};
use super::problem::Problem;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::interaction::response::redirect;
use crate::lookups::{GrantRow, Lookups, Part};
use crate::stores::{Bounds, Query};

/// How many are on a page.
const ON_A_PAGE: u32 = 50;

/// As `Grant::stage` has them, and what they are called.
const STATES: [(&str, &str); 8] = [
    ("active", "active"),
    ("revoked", "revoked"),
    ("declined", "declined"),
    ("code_issued", "code issued"),
    ("pushed", "pushed"),
    ("requested", "requested"),
    ("authenticated", "authenticated"),
    ("consented", "consented"),
];

/// Fields of the form: `grant`, `subject`, `client`, `state`, `from`, `to`; and `ended_by`, the
/// event that a cascade ended them for.
#[derive(Template)]
#[template(path = "console/grants.html", config = ".askama.toml")]
struct GrantsPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    asked: &'a Asked,
    states: &'static [(&'static str, &'static str)],
    rows: &'a [Found],
    /// The query of the next page.
    next: Option<&'a str>,
    /// The query of the first page, if this is another.
    first: Option<String>,
}

/// What was typed, as it was typed.
#[derive(Default)]
pub struct Asked {
    pub subject: String,
    pub client: String,
    pub state: String,
    /// Days in which they began.
    pub from: String,
    pub to: String,
    /// The event that ended them.
    pub ended_by: String,
    /// What can't be looked for, and why not.
    pub wrong: Vec<&'static str>,
}

impl Asked {
    fn of(parameters: &Parameters<'_>) -> Self {
        let text = |name| parameters.get(name).unwrap_or_default().trim().to_owned();
        Self {
            subject: text("subject"),
            client: text("client"),
            state: text("state"),
            from: text("from"),
            to: text("to"),
            ended_by: text("ended_by"),
            wrong: Vec::new(),
        }
    }

    /// The question to the read model.
    fn rows(&mut self) -> Query {
        let subject: Option<SubjectId> = self.subject.parse().ok();
        if subject.is_none() && !self.subject.is_empty() {
            self.wrong.push("A subject has 32 letters and digits, as in events and tokens.");
        }
        let client = ClientId::parse(&self.client).ok();
        if client.is_none() && !self.client.is_empty() {
            self.wrong.push("A client’s id has no spaces, and at most 255 characters.");
        }
        if !self.ended_by.is_empty() && Link::to_event(&self.ended_by).path.is_none() {
            self.wrong.push("An event is named by type, id and sequence, like client/web/4.");
        }
        let (from, to) = (from_day(&self.from), until_day(&self.to));
        if from.is_err() || to.is_err() {
            self.wrong.push("A day is written like 2026-05-01.");
        }
        let state = STATES.iter().find(|(state, _)| *state == self.state);
        let ended_by = Some(&self.ended_by).filter(|event| !event.is_empty());
        let by = [
            ended_by.map(|event| ("ended_by", Value::from(event.as_str()))),
            subject.map(|subject| ("subject", Value::from(subject.to_string()))),
            client.map(|client| ("client_id", Value::from(client.as_str()))),
            state.map(|(state, _)| ("state", Value::from(*state))),
        ];
        // Ids begin with the time at which they were made.
        let bound = |time: Result<Option<UnixTime>, _>| time.ok().flatten().map(made_from);
        let (from, below) = (bound(from).map(Value::from), bound(to).map(Value::from));
        let made = (from.is_some() || below.is_some()).then_some(Bounds {
            column: GRANTS.key,
            from,
            below,
        });
        Query { within: made.into_iter().collect(), ..Query::by(&GRANTS, by) }
    }

    fn query(&self, after: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("subject", &self.subject),
            ("client", &self.client),
            ("state", &self.state),
            ("from", &self.from),
            ("to", &self.to),
            ("ended_by", &self.ended_by),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        query.finish()
    }
}

/// A grant of a list.
pub struct Found {
    pub id: String,
    pub state: String,
    pub client: Link,
    pub subject: Option<String>,
    pub scope: String,
    pub since: Moment,
    pub cause: Option<String>,
}

impl From<GrantRow> for Found {
    fn from(row: GrantRow) -> Self {
        Self {
            id: row.grant_id.to_string(),
            state: row.state.replace('_', " "),
            client: Link::to(AggregateKind::Client, row.client_id.as_str()),
            subject: row.subject.map(|subject| subject.to_string()),
            scope: row.scope.to_string(),
            since: row.created_at.into(),
            cause: row.cause.map(|cause| cause.replace('_', " ")),
        }
    }
}

impl Found {
    /// The state as a style.
    pub fn class(&self) -> &'static str {
        class_of(&self.state)
    }
}

/// How a state looks.
#[must_use]
pub fn class_of(state: &str) -> &'static str {
    match state {
        "active" | "enabled" => "badge",
        "revoked" | "declined" | "disabled" | "deleted" => "badge bad",
        _ => "badge plain",
    }
}

#[tracing::instrument(name = "console.grants_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| find(&visit, operator).await).await
}

async fn find(visit: &Visit, operator: &Operator) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    // Whoever has an id wants the grant itself.
    if let Some(id) = parameters.get("grant").map(str::trim).filter(|id| !id.is_empty()) {
        let id: GrantId = id.parse().map_err(|_| Problem::not_found("grant"))?;
        return Ok(redirect(visit.config.server.issuer.endpoint(&format!("/console/grants/{id}"))));
    }
    let mut asked = Asked::of(&parameters);
    let query = asked.rows();
    let after = parameters.get("after").and_then(|after| after.parse::<GrantId>().ok());
    let mut rows = Vec::new();
    let mut next = None;
    if asked.wrong.is_empty() {
        let part = Part { after: after.map(|id| id.to_string()), ..Part::last(ON_A_PAGE) };
        let page = Lookups::new(visit.store.clone()).grants_by(query, part).await?;
        rows = page.rows.into_iter().map(Found::from).collect();
        next = page.next.map(|next| asked.query(Some(&next)));
    }
    let (frame, chrome) = (Chrome::frame(visit), Chrome::of(visit, Some(operator), Tab::Grants));
    let status = if asked.wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let html = html(&GrantsPage {
        frame,
        chrome: &chrome,
        asked: &asked,
        states: &STATES,
        rows: &rows,
        next: next.as_deref(),
        first: after.map(|_| asked.query(None)),
    });
    Ok(answer(visit, &chrome, status, html))
}
