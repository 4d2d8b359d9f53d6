//! The console's own login page, and the way out.
//!
//! Attempts are judged, slowed down and counted as those at the login page of
//! everybody; so is the attempt of a person whose account has no role.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::session::SessionEndCause;

use super::operator::{Operator, has_role, no_cookie};
use super::page::{Chrome, Tab, answer, escaped};
use super::problem::Problem;
use crate::http::request::form;
use crate::interaction::context::Visit;
use crate::interaction::cookies::Kind;
use crate::interaction::csrf::Csrf;
use crate::interaction::device::Device;
use crate::interaction::pages::{Frame, html};
use crate::interaction::response::redirect;
use crate::interaction::throttle::Wait;
use crate::interaction::{Failure, attempt, judge};
use crate::passwords::Password;
use crate::tally::What;

/// The longest address that a login leads back to.
const LONGEST: usize = 2000;

/// Fields of the form: `to`, `csrf`, `username`, `password`.
#[derive(Template)]
#[template(path = "console/login.html", config = ".askama.toml")]
struct LoginPage<'a> {
    frame: Frame<'a>,
    csrf: &'a str,
    to: &'a str,
    username: &'a str,
    error: Option<&'a str>,
    /// The browser came by a link from another site, and so without its cookie.
    came_from_elsewhere: bool,
}

/// Why somebody is asked again.
enum Refusal {
    Failed(Failure),
    Expired,
    NoRole,
}

impl Refusal {
    fn message(&self, visit: &Visit) -> String {
        let t = Chrome::frame(visit).t;
        match self {
            Self::Failed(Failure::UnknownAccount | Failure::Locked | Failure::WrongPassword) => {
                t.wrong_credentials.to_owned()
            }
            Self::Failed(failure) => failure.message(t),
            Self::Expired => t.login_expired.to_owned(),
            Self::NoRole => "This account has no role here. An administrator can give it the \
                             role auditor: chancery account roles NAME --set auditor."
                .to_owned(),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NoRole => StatusCode::FORBIDDEN,
            Self::Failed(Failure::SlowedDown(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed(Failure::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) | Self::Expired => StatusCode::BAD_REQUEST,
        }
    }
}

/// Sends a browser to the login page, to come back to where it wanted to go.
#[must_use]
pub fn go(visit: &Visit) -> HttpResponse {
    let uri = visit.request.uri();
    let path = uri.path_and_query().map_or_else(|| uri.path(), |both| both.as_str());
    // A proxy may have taken the issuer's path away, or not.
    let path = path.strip_prefix(visit.frame(&[]).base).unwrap_or(path);
    let to = path.strip_prefix("/console").filter(|to| is_ours(to)).unwrap_or_default();
    let query = if to.is_empty() { String::new() } else { format!("?to={}", escaped(to)) };
    redirect(visit.config.server.issuer.endpoint(&format!("/console/login{query}")))
}

/// Is this a page of ours, as it follows upon `/console`?
fn is_ours(to: &str) -> bool {
    let plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let begins = to.is_empty() || to.starts_with('/') || to.starts_with('?');
    plain && begins && to.len() <= LONGEST && !to.contains("..") && !to.starts_with("/log")
}

fn target(visit: &Visit, to: Option<&str>) -> String {
    let to = to.filter(|to| is_ours(to)).unwrap_or_default();
    visit.config.server.issuer.endpoint(&format!("/console{to}"))
}

#[tracing::instrument(name = "console.login_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let to = parameters.get("to");
    match Operator::of(&visit).await {
        Ok(Some(_)) => redirect(target(&visit, to)),
        Ok(None) => show(&visit, to, "", None),
        Err(problem) => problem.page(&visit, None),
    }
}

#[tracing::instrument(name = "console.login", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => log_in(&visit, &fields).await,
        Err(error) => Err(error.into()),
    };
    answer.unwrap_or_else(|problem| problem.page(&visit, None))
}

async fn log_in(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let (to, username) = (fields.get("to"), fields.get("username").unwrap_or_default());
    let again = |refusal: &Refusal| Ok(show(visit, to, username, Some(refusal)));
    if !Csrf::of(visit).is_good(visit, &["console login"], fields.get("csrf")) {
        return again(&Refusal::Expired);
    }
    let device = Device::of(visit);
    let attempt = attempt(visit, &device, username);
    let password = Password::new(fields.get("password").unwrap_or_default());
    let subject = match judge(visit, &attempt, username, &password).await {
        Ok(subject) => subject,
        Err(failure) => {
            failure.count(visit, None);
            return again(&Refusal::Failed(failure));
        }
    };
    if !has_role(visit, subject).await? {
        visit.tallies.count(What::LoginFailed, "no_role", None);
        return again(&Refusal::NoRole);
    }
    if let Some(before) = Operator::of(visit).await? {
        before.end(visit, SessionEndCause::Replaced).await?;
    }
    let session = Operator::begin(visit, subject).await?;
    let device = device.with(&attempt.account).seal(visit)?;
    let mut answer = redirect(target(visit, to));
    // These fail only for a cookie that is no header value; ours are base64url.
    let _ = answer.add_cookie(&session);
    let _ = answer.add_cookie(&Kind::Device.set(visit.is_secure(), device));
    Ok(answer)
}

fn show(
    visit: &Visit,
    to: Option<&str>,
    username: &str,
    refusal: Option<&Refusal>,
) -> HttpResponse {
    let chrome = Chrome::of(visit, None, Tab::None);
    let error = refusal.map(|refusal| refusal.message(visit));
    let html = html(&LoginPage {
        frame: Chrome::frame(visit),
        csrf: &chrome.csrf.token(visit, &["console login"]),
        to: to.filter(|to| is_ours(to)).unwrap_or_default(),
        username,
        error: error.as_deref(),
        came_from_elsewhere: refusal.is_none() && visit.comes_from_elsewhere(),
    });
    let status = refusal.map_or(StatusCode::OK, Refusal::status);
    let mut answer = answer(visit, &chrome, status, html);
    if let Some(Refusal::Failed(Failure::SlowedDown(Wait(wait)))) = refusal {
        answer.headers_mut().insert(RETRY_AFTER, wait.seconds().into());
    }
    answer
}

/// Ends the session, in the log and in the browser.
#[tracing::instrument(name = "console.logout", skip_all)]
pub async fn leave(visit: Visit, body: web::Bytes) -> HttpResponse {
    let operator = match Operator::of(&visit).await {
        Ok(Some(operator)) => operator,
        Ok(None) => return redirect(target(&visit, None)),
        Err(problem) => return problem.page(&visit, None),
    };
    match end(&visit, &operator, &body).await {
        Ok(answer) => answer,
        Err(problem) => problem.page(&visit, Some(&operator)),
    }
}

async fn end(visit: &Visit, operator: &Operator, body: &[u8]) -> Result<HttpResponse, Problem> {
    let fields = form(&visit.request, body)?;
    if !operator.is_good(visit, "logout", fields.get("csrf")) {
        return Err(Problem::stale_form());
    }
    operator.end(visit, SessionEndCause::LoggedOut).await?;
    let mut answer = redirect(visit.config.server.issuer.endpoint("/console/login"));
    // Fails only for a cookie that is no header value; ours is empty.
    let _ = answer.add_cookie(&no_cookie(visit));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_the_console_only() {
        for to in ["", "/grants", "/grants/0198?at=3", "/clients/a%2Fb", "?x=1"] {
            assert!(is_ours(to), "{to}");
        }
        for to in ["x", "@evil.example", ".evil.example", "/../authorize", "/\\evil", "/a b", "/\n"]
        {
            assert!(!is_ours(to), "{to}");
        }
        assert!(!is_ours(&format!("/{}", "x".repeat(LONGEST))));
    }
}
