//! A grant: what it is, or was after one of its events; its history as a
//! picture and as a list; what the person saw when they consented.

use std::collections::BTreeSet;
use std::ops::Range;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, Active, Grant, GrantEvent, Presented,
};
use chancery_domain::ids::{AggregateKind, GrantId};
use chancery_domain::time::UnixTime;
use cqrs_es::Aggregate as _;

use super::chart::{Caption, Chart};
use super::drawing::{Drawing, Entry, View, runs};
use super::events::{Line, history, look_at_seals};
use super::export;
use super::operator::{Operator, guarded};
use super::page::{Chrome, Link, Moment, Tab, answer};
use super::problem::Problem;
use crate::aggregates::Kept as _;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};

/// So many events of a run are listed; the others have their pages.
const MOST_IN_A_RUN: usize = 200;

/// So many events are compared with their seals for one page.
const MOST_PROVED: usize = 60;

#[derive(Template)]
#[template(path = "console/grant.html", config = ".askama.toml")]
struct GrantPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    id: &'a str,
    state: &'static str,
    /// After which event, if not the last; and by when.
    at: Option<&'a Line>,
    before: Option<u64>,
    next: Option<u64>,
    facts: &'a [Fact],
    presented: Option<&'a Presented>,
    incidents: &'a [&'a Line],
    chart: &'a str,
    drawn_in_full: bool,
    folded: usize,
    count: usize,
    groups: &'a [Group<'a>],
    /// The token of the form that exports it.
    csrf: &'a str,
}

/// Something known of the grant.
struct Fact {
    name: &'static str,
    values: Vec<Link>,
}

impl Fact {
    fn new(name: &'static str, value: Link) -> Self {
        Self { name, values: vec![value] }
    }

    fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Link::none(text))
    }
}

/// Lines of the list that are shown or hidden together.
struct Group<'a> {
    lines: &'a [Line],
    /// How many more there are.
    left_out: usize,
}

impl Group<'_> {
    fn is_run(&self) -> bool {
        self.lines.len() > 1
    }

    fn count(&self) -> usize {
        self.lines.len() + self.left_out
    }

    fn first(&self) -> u64 {
        self.lines.first().map_or(0, |line| line.sequence)
    }

    fn last(&self) -> u64 {
        self.first() + u64::try_from(self.count()).unwrap_or_default().saturating_sub(1)
    }
}

#[tracing::instrument(name = "console.grant_page", skip_all)]
pub async fn get(visit: Visit, id: web::Path<String>) -> HttpResponse {
    guarded(&visit, async |operator| {
        let id: GrantId = id.parse().map_err(|_| Problem::not_found("grant"))?;
        let mut lines = history(&visit, &Grant::stream(&id.to_string())).await?;
        if lines.is_empty() {
            return Err(Problem::not_found("grant"));
        }
        let view = View::of(&visit, &lines)?;
        prove(&visit, &mut lines, view).await?;
        Ok(show(&visit, operator, id, (&lines, view)))
    })
    .await
}

impl View {
    /// What the address asks for.
    fn of(visit: &Visit, lines: &[Line]) -> Result<Self, Problem> {
        let parameters = Parameters::parse(visit.request.query_string().as_bytes());
        let selected = match parameters.get("at") {
            None => None,
            Some(text) => {
                let wanted: Option<u64> = text.parse().ok();
                let found = lines.iter().find(|line| Some(line.sequence) == wanted);
                Some(found.ok_or_else(|| Problem::not_found("event of this grant"))?.sequence)
            }
        };
        let all = parameters.get("all") == Some("1");
        Ok(Self { selected, all, now_ms: visit.clock.now_ms() })
    }
}

/// Compares those events with their seals that are shown one by one.
async fn prove(visit: &Visit, lines: &mut [Line], view: View) -> Result<(), Problem> {
    let events: Vec<_> = lines.iter().filter_map(event).collect();
    let shown = runs(&events, view).into_iter().filter(|range| range.len() == 1);
    let mut shown: BTreeSet<usize> = shown.take(MOST_PROVED).map(|range| range.start).collect();
    // Whatever is looked at, and the end of the history.
    shown.extend(lines.iter().position(|line| Some(line.sequence) == view.selected));
    shown.extend(lines.len().checked_sub(1));
    let wanted = lines.iter_mut().enumerate().filter(|(index, _)| shown.contains(index));
    look_at_seals(visit, wanted.map(|(_, line)| line)).await
}

fn show(
    visit: &Visit,
    operator: &Operator,
    id: GrantId,
    (lines, view): (&[Line], View),
) -> HttpResponse {
    let shown = lines.iter().find(|line| Some(line.sequence) == view.selected);
    let known = Known::of(lines, view);
    let drawing = draw(lines, view);
    let caption = Caption { title: &format!("History of grant {id}"), selected: view.selected };
    let events: Vec<_> = lines.iter().filter_map(event).collect();
    let incidents: Vec<_> = lines.iter().filter(|line| is_incident(line)).collect();
    let ranges = runs(&events, view);
    let groups: Vec<_> = ranges.into_iter().map(|range| group(lines, range)).collect();
    let last = lines.last().map_or(0, |line| line.sequence);
    let here = view.selected.unwrap_or(last);
    let (frame, chrome) = (Chrome::frame(visit), Chrome::of(visit, Some(operator), Tab::Grants));
    let about = export::about("grant", &id.to_string());
    let html = html(&GrantPage {
        csrf: &operator.token(visit, &chrome.csrf, &about),
        frame,
        chrome: &chrome,
        id: &id.to_string(),
        state: known.grant.stage(),
        at: shown,
        before: here.checked_sub(1).filter(|before| *before > 0),
        next: view.selected.map(|at| at + 1).filter(|next| *next <= last),
        facts: &known.facts(),
        presented: known.presented,
        incidents: &incidents,
        chart: &Chart::of(&drawing, caption).svg(),
        drawn_in_full: view.all,
        folded: drawing.folded,
        count: lines.len(),
        groups: &groups,
    });
    answer(visit, &chrome, StatusCode::OK, html)
}

fn event(line: &Line) -> Option<(u64, &GrantEvent)> {
    match &line.event {
        AnyEvent::Grant(event) => Some((line.sequence, event)),
        _ => None,
    }
}

/// Was a genuine credential presented when, or by whom, it should not be?
fn is_incident(line: &Line) -> bool {
    event(line).is_some_and(|(_, event)| event.refusal().is_some())
}

fn group(lines: &[Line], range: Range<usize>) -> Group<'_> {
    let lines = lines.get(range).unwrap_or_default();
    let shown = lines.get(..MOST_IN_A_RUN).unwrap_or(lines);
    Group { lines: shown, left_out: lines.len() - shown.len() }
}

fn draw(lines: &[Line], view: View) -> Drawing {
    let entries: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let (sequence, event) = event(line)?;
            let cause = line.envelope.causation_id.as_deref();
            let at_ms = line.recorded_at_ms;
            Some(Entry { sequence, at_ms, event, summary: &line.summary, cause })
        })
        .collect();
    Drawing::of(&entries, view)
}

/// What is known of a grant after one of its events.
struct Known<'a> {
    grant: Grant,
    /// Just before the event.
    before: Grant,
    line: Option<&'a Line>,
    presented: Option<&'a Presented>,
    /// The moment that is looked at: now, or when the event was recorded.
    at: UnixTime,
    asked: Option<String>,
}

impl<'a> Known<'a> {
    fn of(lines: &'a [Line], view: View) -> Self {
        let mut known = Self {
            grant: Grant::default(),
            before: Grant::default(),
            line: None,
            presented: None,
            at: UnixTime::from_seconds(view.now_ms.div_euclid(1000)),
            asked: None,
        };
        let wanted = |line: &&Line| view.selected.is_none_or(|at| line.sequence <= at);
        for line in lines.iter().take_while(wanted) {
            let Some((_, event)) = event(line) else { continue };
            if let GrantEvent::ConsentGiven(given) = event {
                known.presented = given.presented.as_ref();
            }
            known.before = known.grant.clone();
            known.grant.apply(event.clone());
            if let Some(request) = known.grant.request_made() {
                known.asked = Some(request.scope.to_string());
            }
            known.line = Some(line);
            if view.selected.is_some() {
                known.at = UnixTime::from_seconds(line.recorded_at_ms.div_euclid(1000));
            }
        }
        known
    }

    fn facts(&self) -> Vec<Fact> {
        let grant = &self.grant;
        let mut facts = Vec::new();
        if let Some(client) = grant.client_id() {
            facts.push(Fact::new("Client", Link::to(AggregateKind::Client, client.as_str())));
        }
        if let Some(subject) = grant.subject() {
            let path = Some(format!("/people/{subject}"));
            facts.push(Fact::new("Subject", Link { text: subject.to_string(), path }));
        }
        if let Some(asked) = self.asked.as_ref().filter(|asked| !asked.is_empty()) {
            facts.push(Fact::text("Asked for", asked));
        }
        if let Some(request) = grant.request_made() {
            facts.push(Fact::text("Redirect URI", request.redirect_uri.as_str()));
        }
        match grant {
            Grant::Pushed(stage) => facts.push(Fact::text("Ends", ends(stage.expires_at, self.at))),
            Grant::Authenticated(stage) => {
                facts.extend(session(stage.authentication.session_id.as_ref()));
            }
            Grant::CodeIssued(stage) => {
                facts.push(Fact::text("Granted", stage.authorization.scope.to_string()));
                facts.push(Fact::text("Code ends", ends(stage.expires_at, self.at)));
                if let Some(front) = &stage.front {
                    facts.extend(tokens(front, self.at));
                }
            }
            Grant::Active(stage) => {
                facts.push(Fact::text("Granted", stage.authorization.scope.to_string()));
                let authentication = stage.authorization.authentication.as_ref();
                facts.extend(session(authentication.and_then(|who| who.session_id.as_ref())));
                facts.extend(tokens(stage, self.at));
            }
            Grant::Revoked(stage) => {
                facts.push(Fact::text("Ended", Moment::from(stage.at).text));
                facts.extend(self.ended());
            }
            Grant::Absent | Grant::Requested { .. } | Grant::Consented(_) | Grant::Declined(_) => {}
        }
        facts
    }

    /// Why the grant ended, and what ended with it.
    fn ended(&self) -> Vec<Fact> {
        let Some(line) = self.line else { return vec![] };
        let mut facts: Vec<_> = line.reason.iter().map(|why| Fact::text("Because", why)).collect();
        facts.extend(line.cause.clone().map(|cause| Fact::new("Answers", cause)));
        let at = UnixTime::from_seconds(line.recorded_at_ms.div_euclid(1000));
        let Some(out) = self.before.tokens_out() else { return facts };
        let alive: Vec<_> = out.access.iter().filter(|token| at < token.expires_at).collect();
        let mut ended = last_of(alive.iter().map(|token| access(token)).collect());
        ended.extend(
            out.refresh
                .as_ref()
                .filter(|family| at < family.expires_at)
                .map(|family| Link::none(format!("refresh token {}", family.generation))),
        );
        if ended.is_empty() {
            ended.push(Link::none("nothing that was still good"));
        }
        facts.push(Fact { name: "Ended with it", values: ended });
        let unasked = alive.iter().filter(|token| matches!(token.form, AccessTokenForm::Jwt(_)));
        if let Some(until) = unasked.map(|token| token.expires_at).max() {
            let text = format!(
                "Resource servers that read JWTs without asking may have believed them until {}",
                Moment::from(until).text
            );
            facts.push(Fact::text("Mind", text));
        }
        facts
    }
}

fn session(id: Option<&chancery_domain::ids::SessionId>) -> Option<Fact> {
    Some(Fact::new("Session", Link::to(AggregateKind::Session, &id?.to_string())))
}

fn tokens(stage: &Active, at: UnixTime) -> Vec<Fact> {
    let alive = stage.access.iter().filter(|token| at < token.expires_at);
    let until = |token: &AccessTokenFacts| {
        let until = Moment::from(token.expires_at).text;
        format!("access token {} until {until}, {}", token.number, form(token))
    };
    let mut access = last_of(alive.map(until).collect());
    if access.is_empty() {
        access.push(Link::none("none is good"));
    }
    let mut facts = vec![Fact { name: "Access tokens", values: access }];
    if let Some(family) = &stage.refresh {
        let text = format!("number {}, {}", family.generation, ends(family.expires_at, at));
        facts.push(Fact::text("Refresh token", text));
    }
    facts
}

/// Of many only the last few by name.
fn last_of(mut texts: Vec<String>) -> Vec<Link> {
    const MOST: usize = 5;
    let others = texts.len().saturating_sub(MOST);
    let named = texts.split_off(others);
    let more = (others > 0).then(|| format!("{others} older access tokens, and"));
    more.into_iter().chain(named).map(Link::none).collect()
}

/// “access token 2, JWT by key k”
fn access(token: &AccessTokenFacts) -> String {
    format!("access token {}, {}", token.number, form(token))
}

fn form(token: &AccessTokenFacts) -> String {
    match &token.form {
        AccessTokenForm::Jwt(key) => format!("JWT by key {key}"),
        AccessTokenForm::Opaque => "opaque".to_owned(),
    }
}

fn ends(expires_at: UnixTime, at: UnixTime) -> String {
    let text = Moment::from(expires_at).text;
    if at < expires_at { format!("good until {text}") } else { format!("expired {text}") }
}
