//! The pages of a person's own account, each at its own URL below `/account`.
//!
//! They need a session and nothing else: no relying party. What takes an
//! account over (another password, another address) asks for the password,
//! unless it was entered a moment ago.

mod applications;
mod claims;
pub(super) mod confirm_email;
mod forgotten;
mod overview;
mod password;
mod profile;
mod sessions;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chancery_domain::account::Profile;
use chancery_domain::authorization::Parameters;
use chancery_domain::time::Lifetime;

use super::context::Visit;
use super::credentials::{Failure, attempt, judge};
use super::csrf::Csrf;
use super::device::Device;
use super::error_page::Problem;
use super::form;
use super::headers::security_headers;
use super::login;
use super::pages::Frame;
use super::response::{page, redirect};
use super::session::LiveSession;
use super::texts::Texts;
use crate::accounts;
use crate::aggregates::Origin;
use crate::http::request;
use crate::passwords::{Password, Weakness};

/// The pages below `/account` that a login may lead to.
pub const PAGES: &[&str] = &["profile", "password", "sessions", "applications"];

/// For this long after a login, the password is not asked for again.
const RECENT: Lifetime = Lifetime::from_seconds(600);

/// The pages.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(form("/account").route(web::get().to(overview::get)))
        .service(
            form("/account/profile")
                .route(web::get().to(profile::get))
                .route(web::post().to(profile::post)),
        )
        .service(
            form("/account/password")
                .route(web::get().to(password::get))
                .route(web::post().to(password::post)),
        )
        .service(
            form("/account/sessions")
                .route(web::get().to(sessions::get))
                .route(web::post().to(sessions::post)),
        )
        .service(
            form("/account/applications")
                .route(web::get().to(applications::get))
                .route(web::post().to(applications::post)),
        )
        .service(form("/account/confirm-email").route(web::post().to(confirm_email::send)))
        .service(
            form("/email/confirm")
                .route(web::get().to(confirm_email::get))
                .route(web::post().to(confirm_email::post)),
        )
        .service(
            form("/password/forgot")
                .route(web::get().to(forgotten::forgot))
                .route(web::post().to(forgotten::send)),
        )
        .service(
            form("/password/reset")
                .route(web::get().to(forgotten::choose))
                .route(web::post().to(forgotten::reset)),
        );
}

/// Whose account it is, and what every page of it needs.
struct Owner {
    session: LiveSession,
    profile: Profile,
}

impl Owner {
    /// The person of this browser's session; nobody if there is none.
    async fn of(visit: &Visit) -> Result<Option<Self>, Problem> {
        let Some(session) = LiveSession::of(visit).await? else { return Ok(None) };
        let Some(account) = session.account() else { return Ok(None) };
        let profile = accounts::profile(&visit.vault, account).await?;
        Ok(Some(Self { session, profile }))
    }

    /// What is done here is done by this person.
    fn origin(&self, visit: &Visit) -> Origin {
        let subject = self.session.authentication.subject;
        let mut origin = visit.origin(None, None);
        origin.actor.reference = Some(subject.to_string());
        origin.subject = Some(subject);
        origin.session_id = Some(self.session.id());
        origin
    }

    /// What a form's token is about: this page, for this session.
    fn token(&self, visit: &Visit, csrf: &Csrf, about: &str) -> String {
        csrf.token(visit, &["account", about, &self.session.id().to_string()])
    }

    fn is_good(&self, visit: &Visit, about: &str, fields: &Parameters<'_>) -> bool {
        let id = self.session.id().to_string();
        Csrf::of(visit).is_good(visit, &["account", about, &id], fields.get("csrf"))
    }

    /// Was the password entered a moment ago?
    fn is_recent(&self, visit: &Visit) -> bool {
        visit.now().since(self.session.authentication.auth_time) <= RECENT
    }

    /// Is this their password? Counted and slowed down as at the login page.
    async fn confirm(&self, visit: &Visit, password: &str) -> Result<(), Failure> {
        let username = &self.profile.username;
        let attempt = attempt(visit, &Device::of(visit), username);
        let judged = judge(visit, &attempt, username, &Password::new(password)).await;
        let judged = judged.and_then(|subject| {
            // The name is another person's by now.
            let own = self.session.authentication.subject;
            if subject == own { Ok(()) } else { Err(Failure::UnknownAccount) }
        });
        judged.inspect_err(|failure| failure.count(visit, None))
    }

    /// The names that a password must not be.
    fn names(&self) -> Vec<&str> {
        let email = self.profile.claims.get("email").and_then(serde_json::Value::as_str);
        std::iter::once(self.profile.username.as_str()).chain(email).collect()
    }
}

/// The status of a page that is shown again because of a failure.
const fn status_of(failure: Failure) -> StatusCode {
    match failure {
        Failure::UnknownAccount | Failure::Locked | Failure::WrongPassword => {
            StatusCode::BAD_REQUEST
        }
        Failure::SlowedDown(_) => StatusCode::TOO_MANY_REQUESTS,
        Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Why a new password is not taken.
pub const fn weakness(weakness: Weakness, t: &'static Texts) -> &'static str {
    match weakness {
        Weakness::TooShort => t.password_too_short,
        Weakness::TooLong => t.password_too_long,
        Weakness::HasName => t.password_has_name,
        Weakness::TooSimple => t.password_too_simple,
    }
}

/// One of the tabs, and whether it is the page that is shown.
pub struct Tab {
    id: &'static str,
    path: &'static str,
    name: &'static str,
    here: bool,
}

/// The way between the account's pages.
fn tabs(frame: Frame<'_>, here: &str) -> Vec<Tab> {
    let t = frame.t;
    [
        ("nav-overview", "", t.overview),
        ("nav-profile", "/profile", t.profile),
        ("nav-password", "/password", t.password),
        ("nav-sessions", "/sessions", t.sessions),
        ("nav-applications", "/applications", t.applications),
    ]
    .map(|(id, path, name)| Tab { id, path, name, here: path.trim_start_matches('/') == here })
    .into()
}

/// A page with forms: sent with the browser's part of their tokens.
fn show(visit: &Visit, csrf: &Csrf, status: StatusCode, html: String) -> HttpResponse {
    let mut answer = page(status, html, &security_headers(None));
    csrf.give(visit, &mut answer);
    answer
}

/// Back to a page of the account, to be shown anew with a word of what was done.
fn done(visit: &Visit, path: &str) -> HttpResponse {
    redirect(visit.config.server.issuer.endpoint(&format!("/account/{path}?done=1")))
}

/// Does the URL say that something was done? It chooses one fixed sentence.
fn was_done(visit: &Visit) -> bool {
    Parameters::parse(visit.request.query_string().as_bytes()).get("done") == Some("1")
}

/// A moment, as every language has it.
fn moment(at: chancery_domain::time::UnixTime) -> String {
    time::OffsetDateTime::from_unix_timestamp(at.seconds()).map_or_else(
        |_| at.seconds().to_string(),
        |at| {
            format!(
                "{}-{:02}-{:02} {:02}:{:02} UTC",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute()
            )
        },
    )
}

/// Answers a POST of the account's owner.
macro_rules! posted {
    ($visit:expr, $body:expr, $page:literal, $act:path) => {{
        let answer = match request::form(&$visit.request, &$body) {
            Err(error) => Err(Problem::bad_form(error)),
            Ok(fields) => match Owner::of(&$visit).await {
                Ok(Some(owner)) => $act(&$visit, &owner, &fields).await,
                Ok(None) => Ok(login::go_for(&$visit, $page)),
                Err(problem) => Err(problem),
            },
        };
        answer.unwrap_or_else(|problem| problem.answer(&$visit))
    }};
}
use posted;
