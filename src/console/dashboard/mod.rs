//! The figures of analysts as graphs, for a period and a client, with each number
//! in a table besides.
//!
//! The page needs no script: who wants to see it change lets it load itself
//! again and again, by a header.

mod cards;
pub mod numbers;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, REFRESH};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::ClientId;
use url::form_urlencoded::Serializer;

use self::cards::{Card, Tile};
use super::operator::{Operator, watched};
use super::page::{Chrome, Moment, Tab, answer};
use super::problem::Problem;
use crate::audit::Records;
use crate::events::figures::{Asked, Figures, Latest, figures};
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};

/// How often a page that is watched loads itself, in seconds.
const EVERY: &str = "10";

/// Fields of the form: `from`, `to`, `client`.
#[derive(Template)]
#[template(path = "console/dashboard.html", config = ".askama.toml")]
struct DashboardPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    question: &'a Question,
    ways: Vec<Way>,
    /// Where the page is that loads itself, or that does not any more.
    live: String,
    every: &'static str,
    shown: Option<Shown>,
}

/// What there is to see.
struct Shown {
    from: Moment,
    until: Moment,
    /// Where in the log it is true.
    told: String,
    tiles: Vec<Tile>,
    cards: Vec<Card>,
}

/// A period that is one click away.
struct Way {
    id: &'static str,
    name: &'static str,
    query: String,
    here: bool,
}

/// What was asked, as it was asked.
#[derive(Debug, Clone, Default)]
struct Question {
    latest: Latest,
    from: String,
    to: String,
    client: String,
    live: bool,
    wrong: Vec<&'static str>,
}

impl Question {
    fn of(parameters: &Parameters<'_>) -> Self {
        let text = |name| parameters.get(name).unwrap_or_default().trim().to_owned();
        let (period, live) = (text("period"), text("live") == "on");
        let latest = Latest::ALL.into_iter().find(|latest| latest.as_str() == period);
        Self {
            latest: latest.unwrap_or_default(),
            from: text("from"),
            to: text("to"),
            client: text("client"),
            live,
            wrong: Vec::new(),
        }
    }

    /// By days, rather than up to now?
    fn by_days(&self) -> bool {
        !self.from.is_empty() || !self.to.is_empty()
    }

    fn asked(&mut self, visit: &Visit) -> Option<Asked> {
        let client = ClientId::parse(&self.client).ok();
        if client.is_none() && !self.client.is_empty() {
            self.wrong.push("A client’s id has no spaces, and at most 255 characters.");
        }
        let now = visit.now();
        let asked = if self.by_days() {
            Asked::days((&self.from, &self.to), now, client)
        } else {
            Ok(Asked::latest(self.latest, now, client))
        };
        if asked.is_err() {
            self.wrong.push("A day is written like 2026-05-01.");
        }
        asked.ok().filter(|_| self.wrong.is_empty())
    }

    /// The query that asks this.
    fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        if self.by_days() {
            let days = [("from", &self.from), ("to", &self.to)];
            for (name, day) in days.into_iter().filter(|(_, day)| !day.is_empty()) {
                query.append_pair(name, day);
            }
        } else {
            query.append_pair("period", self.latest.as_str());
        }
        if !self.client.is_empty() {
            query.append_pair("client", &self.client);
        }
        if self.live {
            query.append_pair("live", "on");
        }
        query.finish()
    }

    /// Ways to the latest periods.
    fn ways(&self) -> Vec<Way> {
        let way = |latest: Latest| {
            let (id, name) = match latest {
                Latest::Hours24 => ("period-24h", "24 hours"),
                Latest::Days7 => ("period-7d", "7 days"),
                Latest::Days30 => ("period-30d", "30 days"),
                Latest::All => ("period-all", "All"),
            };
            let (from, to) = Default::default();
            let here = !self.by_days() && self.latest == latest;
            Way { id, name, query: Self { latest, from, to, ..self.clone() }.query(), here }
        };
        Latest::ALL.into_iter().map(way).collect()
    }
}

/// A page that loads itself is not a person who is there: see [`watched`].
#[tracing::instrument(name = "console.dashboard_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let question = Question::of(&parameters);
    let live = question.live;
    watched(&visit, live, async |operator| show(&visit, operator, question).await).await
}

async fn show(
    visit: &Visit,
    operator: &Operator,
    mut question: Question,
) -> Result<HttpResponse, Problem> {
    let asked = question.asked(visit);
    let shown = match &asked {
        Some(asked) => {
            let stated = figures(&Records::of(&visit.store), asked).await?;
            Some(Shown::of(asked, &stated.answer, stated.as_of.told()))
        }
        None => None,
    };
    let status = if shown.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let live = question.live && shown.is_some();
    let chrome = Chrome::of(visit, Some(operator), Tab::Dashboard);
    let html = html(&DashboardPage {
        frame: Chrome::frame(visit),
        chrome: &chrome,
        question: &question,
        ways: question.ways(),
        live: Question { live: !question.live, ..question.clone() }.query(),
        every: EVERY,
        shown,
    });
    let mut answer = answer(visit, &chrome, status, html);
    if live {
        answer.headers_mut().insert(REFRESH, HeaderValue::from_static(EVERY));
    }
    Ok(answer)
}

impl Shown {
    fn of(asked: &Asked, figures: &Figures, told: String) -> Self {
        let period = asked.period;
        Self {
            from: period.from.into(),
            until: period.below.into(),
            told,
            tiles: cards::tiles(figures),
            cards: cards::cards(asked, figures),
        }
    }
}
