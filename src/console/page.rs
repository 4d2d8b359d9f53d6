//! What all pages of the console have in common.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chancery_domain::ids::AggregateKind;
use chancery_domain::time::UnixTime;
use url::form_urlencoded::byte_serialize;

use super::operator::Operator;
use crate::audit::period;
use crate::clock::rfc3339_ms;
use crate::interaction::context::Visit;
use crate::interaction::csrf::Csrf;
use crate::interaction::headers::security_headers;
use crate::interaction::pages::Frame;
use crate::interaction::response::page;
use crate::interaction::texts::EN;

/// A part of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Overview,
    Dashboard,
    Grants,
    Incidents,
    Clients,
    Keys,
    Checkpoints,
    /// A page of none of them.
    None,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Overview, "", "Overview"),
        (Self::Dashboard, "/dashboard", "Dashboard"),
        (Self::Grants, "/grants", "Grants"),
        (Self::Incidents, "/incidents", "Incidents"),
        (Self::Clients, "/clients", "Clients"),
        (Self::Checkpoints, "/checkpoints", "Checkpoints"),
        (Self::Keys, "/keys", "Keys"),
    ];
}

/// One of the ways through the console, and whether it is where we are.
pub struct Way {
    pub id: String,
    pub path: &'static str,
    pub name: &'static str,
    pub here: bool,
}

/// What stands around every page: who is here, and where else to go.
pub struct Chrome {
    pub operator: Option<Who>,
    pub ways: Vec<Way>,
    /// What the tokens of the page's forms are bound to.
    pub csrf: Csrf,
}

/// Whose console it is.
pub struct Who {
    pub name: String,
    pub role: &'static str,
    /// The token of the form to log out by.
    pub leave: String,
}

impl Chrome {
    /// For a page of this part.
    #[must_use]
    pub fn of(visit: &Visit, operator: Option<&Operator>, tab: Tab) -> Self {
        let csrf = Csrf::of(visit);
        let operator = operator.map(|operator| Who {
            name: operator.name.clone(),
            role: operator.role(),
            leave: operator.token(visit, &csrf, "logout"),
        });
        let ways = Tab::ALL.into_iter().map(|(own, path, name)| Way {
            id: format!("nav-{}", path.strip_prefix('/').unwrap_or("overview")),
            path,
            name,
            here: own == tab,
        });
        Self { operator, ways: ways.collect(), csrf }
    }

    /// The console speaks English only.
    #[must_use]
    pub fn frame(visit: &Visit) -> Frame<'_> {
        Frame { t: &EN, ..visit.frame(&[]) }
    }
}

/// Sends a page: kept by nobody, and with what its forms need.
#[must_use]
pub fn answer(visit: &Visit, chrome: &Chrome, status: StatusCode, html: String) -> HttpResponse {
    let mut answer = page(status, html, &security_headers(None));
    chrome.csrf.give(visit, &mut answer);
    answer
}

/// Something, and the page that tells more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub text: String,
    /// Below `/console`; absent: there is no page of it.
    pub path: Option<String>,
}

impl Link {
    /// Words without a page.
    #[must_use]
    pub fn none(text: impl Into<String>) -> Self {
        Self { text: text.into(), path: None }
    }

    /// An aggregate, by its id.
    #[must_use]
    pub fn to(kind: AggregateKind, id: &str) -> Self {
        Self { text: id.to_owned(), path: Some(path_of(kind, id)) }
    }

    /// An event, by its reference: `aggregate_type/aggregate_id/sequence`.
    #[must_use]
    pub fn to_event(reference: &str) -> Self {
        let path = || {
            let (kind, rest) = reference.split_once('/')?;
            let (id, sequence) = rest.rsplit_once('/')?;
            let (kind, sequence) = (kind.parse().ok()?, sequence.parse::<u64>().ok()?);
            Some(format!("{}#event-{sequence}", path_of(kind, id)))
        };
        Self { text: reference.to_owned(), path: path() }
    }
}

/// The page of an aggregate, below `/console`.
#[must_use]
pub fn path_of(kind: AggregateKind, id: &str) -> String {
    let id = escaped(id);
    match kind {
        AggregateKind::Grant => format!("/grants/{id}"),
        AggregateKind::Client => format!("/clients/{id}"),
        _ => format!("/history/{kind}/{id}"),
    }
}

/// For a path or a query. (Our ids have no spaces, which would become a plus.)
#[must_use]
pub fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// A moment, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339
    pub exact: String,
    /// `2026-05-01 09:30:00`
    pub text: String,
}

impl Moment {
    /// By a clock that counts milliseconds.
    #[must_use]
    pub fn of_ms(ms: i64) -> Self {
        Self::of_exact(rfc3339_ms(ms))
    }

    /// As an envelope has it.
    #[must_use]
    pub fn of_exact(exact: String) -> Self {
        let text = exact.get(..19).unwrap_or(&exact).replace('T', " ");
        Self { exact, text }
    }

    /// To the millisecond.
    pub fn precise(&self) -> String {
        self.exact.trim_end_matches('Z').replace('T', " ")
    }
}

impl From<UnixTime> for Moment {
    fn from(at: UnixTime) -> Self {
        Self::of_ms(at.seconds().saturating_mul(1000))
    }
}

/// When a day begins, in UTC; nothing where none is given.
pub fn from_day(text: &str) -> Result<Option<UnixTime>, String> {
    if text.is_empty() { Ok(None) } else { period(text).map(|day| Some(day.from)) }
}

/// When a day is over.
pub fn until_day(text: &str) -> Result<Option<UnixTime>, String> {
    if text.is_empty() { Ok(None) } else { period(text).map(|day| Some(day.below)) }
}

/// How long, in the largest unit that fits and the next: `2 d 3 h`.
#[must_use]
pub fn duration(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(index) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0 s".to_owned();
    };
    let mut rest = seconds;
    let parts: Vec<String> = UNITS
        .iter()
        .skip(index)
        .take(2)
        .filter_map(|(unit, name)| {
            let count = rest / unit;
            rest %= unit;
            (count > 0).then(|| format!("{count} {name}"))
        })
        .collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_that_is_named_has_a_page() {
        for (reference, path) in [
            ("client/web/4", "/clients/web#event-4"),
            ("client/https://a/b/2", "/clients/https%3A%2F%2Fa%2Fb#event-2"),
            ("grant/0198f3a2/1", "/grants/0198f3a2#event-1"),
            ("account/0198f3a2/12", "/history/account/0198f3a2#event-12"),
        ] {
            assert_eq!(Link::to_event(reference).path.as_deref(), Some(path));
        }
        for nonsense in ["", "client", "client/web", "client/web/x", "weather/web/1"] {
            assert_eq!(Link::to_event(nonsense), Link::none(nonsense));
        }
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        for (seconds, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3661, "1 h 1 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        let moment = Moment::of_ms(1_735_689_599_007);
        assert_eq!(moment.text, "2024-12-31 23:59:59");
        assert_eq!(moment.exact, "2024-12-31T23:59:59.007Z");
        assert_eq!(moment.precise(), "2024-12-31 23:59:59.007");
    }
}
