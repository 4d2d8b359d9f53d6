//! `/account/sessions`: where the person is signed in, and an end to it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::account::AccountCommand;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::SessionId;
use chancery_domain::session::{SessionCommand, SessionEndCause};

use super::{
    Csrf, Frame, Owner, Problem, Tab, Texts, Visit, done, login, moment, posted, request, show,
    tabs, was_done,
};
use crate::interaction::pages::html;
use crate::interaction::session::Circumstances;
use crate::lookups::{Lookups, Part};

/// How many are shown, the newest first.
const MOST: usize = 50;

/// Each form has `csrf`, and `session` (an id) or `action` (`end_others`).
#[derive(Template)]
#[template(path = "account/sessions.html", config = ".askama.toml")]
struct SessionsPage<'a> {
    frame: Frame<'a>,
    tabs: &'a [Tab],
    csrf: &'a str,
    done: bool,
    error: Option<&'a str>,
    sessions: &'a [Line],
}

struct Line {
    id: String,
    here: bool,
    device: String,
    address: Option<String>,
    since: String,
    last_password: String,
}

impl SessionsPage<'_> {
    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.here)
    }
}

#[tracing::instrument(name = "account.sessions_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match Owner::of(&visit).await {
        Ok(Some(owner)) => page(&visit, &owner, StatusCode::OK, None).await,
        Ok(None) => Ok(login::go_for(&visit, "sessions")),
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "account.end_session", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    posted!(visit, body, "sessions", end)
}

async fn end(
    visit: &Visit,
    owner: &Owner,
    fields: &Parameters<'_>,
) -> Result<HttpResponse, Problem> {
    if !owner.is_good(visit, "sessions", fields) {
        let error = visit.frame(&[]).t.expired;
        return page(visit, owner, StatusCode::BAD_REQUEST, Some(error)).await;
    }
    let (now, work) = (visit.now(), visit.work(owner.origin(visit))?);
    let subject = owner.session.authentication.subject;
    if fields.get("action") == Some("end_others") {
        let dismiss = AccountCommand::DismissSessions { but: Some(owner.session.id()), now };
        visit.accounts.execute(&subject.to_string(), vec![dismiss], work).await?;
        return Ok(done(visit, "sessions"));
    }
    let id: Option<SessionId> = fields.get("session").and_then(|id| id.parse().ok());
    if let Some(id) = id.map(|id| id.to_string()) {
        let session = visit.sessions.get(&id).await?;
        let own = |begun: &chancery_domain::session::Begun| begun.authentication.subject == subject;
        // What is another person's is as unknown as what never was.
        if session.state.begun().is_some_and(own) {
            let end = SessionCommand::End { cause: SessionEndCause::EndedByPerson, now };
            visit.sessions.execute(&id, vec![end], work).await?;
        }
    }
    Ok(done(visit, "sessions"))
}

async fn page(
    visit: &Visit,
    owner: &Owner,
    status: StatusCode,
    error: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let (frame, csrf) = (visit.frame(&[]), Csrf::of(visit));
    let sessions = lines(visit, owner, frame.t).await?;
    let html = html(&SessionsPage {
        frame,
        tabs: &tabs(frame, "sessions"),
        csrf: &owner.token(visit, &csrf, "sessions"),
        done: error.is_none() && was_done(visit),
        error,
        sessions: &sessions,
    });
    Ok(show(visit, &csrf, status, html))
}

/// This session first, the others from the newest on. Which there are, the
/// read model tells; what they are, they tell themselves.
async fn lines(visit: &Visit, owner: &Owner, t: &Texts) -> Result<Vec<Line>, Problem> {
    let own = owner.session.id();
    let subject = owner.session.authentication.subject;
    let lookups = Lookups::new(std::sync::Arc::clone(&visit.store));
    let mut ids = vec![own];
    let mut part = Part::last(200);
    // Those that ended are passed over, some pages deep at most.
    for _ in 0..5 {
        let found = lookups.sessions(subject, part.clone()).await?;
        let live = found.rows.iter().filter(|row| row.is_live(visit.now()));
        ids.extend(live.map(|row| row.session_id).filter(|id| *id != own));
        part.after = found.next;
        if part.after.is_none() || ids.len() >= MOST {
            break;
        }
    }
    let mut lines = Vec::new();
    for id in ids.into_iter().take(MOST) {
        let session = visit.sessions.get(&id.to_string()).await?;
        let Some(begun) = session.state.begun() else { continue };
        let authentication = &begun.authentication;
        let kept = owner
            .session
            .account()
            .is_some_and(|account| account.keeps_session(id, authentication.auth_time));
        if !begun.is_live(visit.now()) || !kept {
            continue;
        }
        let circumstances = Circumstances::of(visit, id, begun).await?;
        lines.push(Line {
            id: id.to_string(),
            here: id == own,
            device: device(circumstances.user_agent.as_deref(), t),
            address: circumstances.address,
            since: moment(began(id).unwrap_or(authentication.auth_time)),
            last_password: moment(authentication.auth_time),
        });
    }
    Ok(lines)
}

/// A session's id tells when it began (RFC 9562 §5.7).
fn began(id: SessionId) -> Option<chancery_domain::time::UnixTime> {
    let timestamp = uuid::Uuid::from_bytes(*id.as_bytes()).get_timestamp()?;
    let (seconds, _) = timestamp.to_unix();
    i64::try_from(seconds).ok().map(chancery_domain::time::UnixTime::from_seconds)
}

/// The browser and the system that a `User-Agent` names, as people call them.
fn device(user_agent: Option<&str>, t: &Texts) -> String {
    // In this order: most browsers name others too.
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let named = |names: &[(&str, &'static str)]| {
        let text = user_agent?;
        names.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} {} {system}", t.on_system),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => t.unknown_device.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::texts::EN;

    #[test]
    fn a_device_is_told_by_the_names_that_people_use() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.0", "Unknown device"),
        ] {
            assert_eq!(device(Some(user_agent), &EN), expected);
        }
        assert_eq!(device(None, &EN), "Unknown device");
    }
}
