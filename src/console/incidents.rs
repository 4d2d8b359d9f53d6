//! Credentials that were presented when, or by whom, they should not be; and
//! what was revoked for it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::{AggregateKind, ClientId};
use url::form_urlencoded::Serializer;

use super::operator::{Operator, guarded};
use super::page::{Chrome, Link, Moment, Tab, answer, from_day, until_day};
use super::problem::Problem;
use crate::audit::incidents::{IncidentAnswer, IncidentKind, RevokedForIt, Which, incidents};
use crate::audit::{Part, Records};
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};

/// How many are on a page.
const ON_A_PAGE: u32 = 30;

/// Fields of the form: `client`, `kind`, `from`, `to`.
#[derive(Template)]
#[template(path = "console/incidents.html", config = ".askama.toml")]
struct IncidentsPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    asked: &'a Asked,
    kinds: &'a [(&'static str, &'static str)],
    rows: &'a [Row],
    /// Where in the log the answer is true.
    told: &'a str,
    next: Option<&'a str>,
    is_first: bool,
}

/// What was typed, as it was typed.
struct Asked {
    client: String,
    kind: String,
    from: String,
    to: String,
    wrong: Vec<&'static str>,
}

/// An incident of a list.
pub struct Row {
    pub grant: String,
    pub sequence: u64,
    pub what: &'static str,
    pub generation: Option<u32>,
    pub by: Link,
    pub subject: Option<String>,
    pub happened: Moment,
    pub revoked: Option<String>,
}

impl From<IncidentAnswer> for Row {
    fn from(answer: IncidentAnswer) -> Self {
        let IncidentAnswer { incident, grant_id, subject, revoked, .. } = answer;
        Self {
            grant: grant_id.to_string(),
            sequence: incident.at.sequence,
            what: told(incident.kind),
            generation: incident.generation,
            by: Link::to(AggregateKind::Client, incident.presented_by.as_str()),
            subject: subject.map(|subject| subject.to_string()),
            happened: Moment::of_exact(incident.at.happened_at.to_string()),
            revoked: revoked.as_ref().map(ended),
        }
    }
}

/// What was refused, in words.
const fn told(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::CodeReplayed => "a code was presented again",
        IncidentKind::RefreshTokenReused => "a replaced refresh token was presented",
        IncidentKind::PkceMismatch => "the code_verifier is missing or not the challenge’s",
        IncidentKind::PkceUnexpected => "a code_verifier came without a challenge before it",
        IncidentKind::WrongClient => "another client presented the credential",
        IncidentKind::RedirectUriMismatch => "the redirect_uri is not that of the request",
    }
}

fn ended(revoked: &RevokedForIt) -> String {
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("one {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [
        counted(revoked.access_tokens.len(), "access token"),
        counted(revoked.refresh_tokens.len(), "refresh token"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "the grant, of which nothing was good any more".to_owned();
    }
    format!("the grant, with {}", parts.join(" and "))
}

impl Asked {
    fn of(parameters: &Parameters<'_>) -> Self {
        let text = |name| parameters.get(name).unwrap_or_default().trim().to_owned();
        let (client, kind) = (text("client"), text("kind"));
        Self { client, kind, from: text("from"), to: text("to"), wrong: Vec::new() }
    }

    fn which(&mut self) -> Which {
        let client_id = ClientId::parse(&self.client).ok();
        if client_id.is_none() && !self.client.is_empty() {
            self.wrong.push("A client’s id has no spaces, and at most 255 characters.");
        }
        let (since, until) = (from_day(&self.from), until_day(&self.to));
        if since.is_err() || until.is_err() {
            self.wrong.push("A day is written like 2026-05-01.");
        }
        Which {
            grant_id: None,
            client_id,
            kind: IncidentKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind),
            since: since.ok().flatten().map(Into::into),
            until: until.ok().flatten().map(Into::into),
        }
    }

    fn query(&self, after: &str) -> String {
        let mut query = Serializer::new(String::new());
        let own = [
            ("client", &self.client),
            ("kind", &self.kind),
            ("from", &self.from),
            ("to", &self.to),
        ];
        for (name, value) in own.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.append_pair("after", after).finish()
    }
}

#[tracing::instrument(name = "console.incidents_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| find(&visit, operator).await).await
}

async fn find(visit: &Visit, operator: &Operator) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let mut asked = Asked::of(&parameters);
    let which = asked.which();
    // The id of an incident: sixteen hexadecimal digits.
    let after = parameters
        .get("after")
        .filter(|after| after.len() == 16 && after.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_first = after.is_none();
    let (mut rows, mut next, mut told) = (Vec::new(), None, String::new());
    if asked.wrong.is_empty() {
        let part = Part { after: after.map(str::to_owned), limit: ON_A_PAGE };
        let found = incidents(&Records::of(&visit.store), &which, part).await?;
        rows = found.items.into_iter().map(Row::from).collect();
        next = found.next.map(|next| asked.query(&next));
        told = found.as_of.told();
    }
    let status = if asked.wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let kinds = IncidentKind::ALL.map(|kind| (kind.as_str(), self::told(kind)));
    let chrome = Chrome::of(visit, Some(operator), Tab::Incidents);
    let html = html(&IncidentsPage {
        frame: Chrome::frame(visit),
        chrome: &chrome,
        asked: &asked,
        kinds: &kinds,
        rows: &rows,
        told: &told,
        next: next.as_deref(),
        is_first,
    });
    Ok(answer(visit, &chrome, status, html))
}

/// The latest few, for the overview.
pub async fn latest(visit: &Visit, count: u32) -> Result<Vec<Row>, Problem> {
    let part = Part { after: None, limit: count };
    let found = incidents(&Records::of(&visit.store), &Which::default(), part).await?;
    Ok(found.items.into_iter().map(Row::from).collect())
}
