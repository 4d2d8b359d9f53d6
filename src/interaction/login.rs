//! The login page: for a relying party that waits, or for the person's own
//! account.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use chancery_domain::authorization::Parameters;
use chancery_domain::grant::DeclineReason;
use chancery_domain::ids::SubjectId;

use super::authorize::LONGEST_URL;
use super::context::Visit;
use super::cookies::Kind;
use super::credentials::{Failure, attempt, judge};
use super::csrf::Csrf;
use super::device::Device;
use super::error_page::Problem;
use super::headers::popup_headers;
use super::pages::{LoginError, LoginPage};
use super::pending::{Pending, Who};
use super::response::{client_name, form_action, page, redirect};
use super::session::{LiveSession, Login};
use super::throttle::Wait;
use crate::http::request::form;
use crate::passwords::Password;

/// Sends a browser to the login page; shows it at once where the URL would be
/// too long.
pub fn go(visit: &Visit, pending: &Pending) -> Result<HttpResponse, Problem> {
    let interaction = pending.for_login(visit)?;
    if let Some(redirect) = to_page(visit, "/login", &interaction) {
        return Ok(redirect);
    }
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    let place = Place::Client { pending, interaction: &interaction };
    Ok(Shown { place, username }.page(visit, None))
}

/// Sends a browser to a page with the request that waits, if the URL is not too
/// long for that.
#[must_use]
pub fn to_page(visit: &Visit, path: &str, interaction: &str) -> Option<HttpResponse> {
    let url = visit.config.server.issuer.endpoint(&format!("{path}?i={interaction}"));
    (url.len() <= LONGEST_URL).then(|| redirect(url))
}

/// Sends a browser to the login page of the account's own pages, to come back to this one.
#[must_use]
pub fn go_for(visit: &Visit, to: &str) -> HttpResponse {
    redirect(visit.config.server.issuer.endpoint(&format!("/login?to={to}")))
}

#[tracing::instrument(name = "interaction.login_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    show(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn show(visit: &Visit) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let Some(interaction) = parameters.get("i") else {
        let to = own_page(parameters.get("to"));
        if LiveSession::of(visit).await?.is_some() {
            return Ok(redirect(own_url(visit, to)));
        }
        return Ok(Shown { place: Place::Own { to }, username: "" }.page(visit, None));
    };
    let (pending, _) = Pending::carried(visit, interaction).await?;
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    let place = Place::Client { pending: &pending, interaction };
    Ok(Shown { place, username }.page(visit, None))
}

#[tracing::instrument(name = "interaction.login", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => log_in(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn log_in(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let carried;
    let place = match fields.get("interaction") {
        None => Place::Own { to: own_page(fields.get("to")) },
        Some(interaction) => {
            (carried, _) = Pending::carried(visit, interaction).await?;
            Place::Client { pending: &carried, interaction }
        }
    };
    let username = fields.get("username").unwrap_or_default();
    let shown = Shown { place, username };
    let about = ["login", place.interaction()];
    if !Csrf::of(visit).is_good(visit, &about, fields.get("csrf")) {
        return Ok(shown.page(visit, Some(LoginError::Expired)));
    }
    if let (Some("cancel"), Place::Client { pending, .. }) = (fields.get("action"), place) {
        return pending.decline(visit, DeclineReason::LoginCancelled, None).await;
    }
    let device = Device::of(visit);
    let attempt = attempt(visit, &device, username);
    let password = Password::new(fields.get("password").unwrap_or_default());
    let subject = match judge(visit, &attempt, username, &password).await {
        Ok(subject) => subject,
        Err(failure) => {
            failure.count(visit, place.client().map(|pending| &pending.client.client_id));
            return Ok(shown.page(visit, Some(error(failure))));
        }
    };
    enter(visit, place, subject, &device.with(&attempt.account)).await
}

/// Lets a person in who has just shown who they are, and sends them where they
/// were going.
pub async fn enter(
    visit: &Visit,
    place: Place<'_>,
    subject: SubjectId,
    device: &Device,
) -> Result<HttpResponse, Problem> {
    let current = LiveSession::of(visit).await?;
    let login = Login::new(visit, subject, current.as_ref());
    let mut answer = match place {
        Place::Client { pending, .. } => pending.go_on(visit, &Who::Login(Box::new(login))).await?,
        Place::Own { to } => {
            let mut answer = redirect(own_url(visit, to));
            login.record(visit).await?;
            // Fails only for a cookie that is no header value; ours are base64url.
            let _ = answer.add_cookie(&login.cookie(visit.is_secure()));
            answer
        }
    };
    let cookie = device.seal(visit)?;
    // Fails only for a cookie that is no header value; ours are base64url.
    let _ = answer.add_cookie(&Kind::Device.set(visit.is_secure(), cookie));
    Ok(answer)
}

const fn error(failure: Failure) -> LoginError {
    match failure {
        Failure::UnknownAccount | Failure::Locked | Failure::WrongPassword => {
            LoginError::WrongCredentials
        }
        Failure::SlowedDown(Wait(wait)) => LoginError::SlowDown { seconds: wait.seconds() },
        Failure::Unavailable => LoginError::Unavailable,
    }
}

/// The account's page that a login may lead to: one of ours by name, never a
/// URL that somebody else wrote.
#[must_use]
pub fn own_page(name: Option<&str>) -> Option<&'static str> {
    super::account::PAGES.iter().copied().find(|page| Some(*page) == name)
}

fn own_url(visit: &Visit, to: Option<&str>) -> String {
    let to = to.map_or_else(String::new, |to| format!("/{to}"));
    visit.config.server.issuer.endpoint(&format!("/account{to}"))
}

/// Where a login leads.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// To a client that waits.
    Client { pending: &'a Pending, interaction: &'a str },
    /// To the person's own account.
    Own { to: Option<&'static str> },
}

impl<'a> Place<'a> {
    /// The handle of the request that waits; empty: none does.
    pub const fn interaction(self) -> &'a str {
        match self {
            Self::Client { interaction, .. } => interaction,
            Self::Own { .. } => "",
        }
    }

    /// The request that waits.
    pub const fn client(self) -> Option<&'a Pending> {
        match self {
            Self::Client { pending, .. } => Some(pending),
            Self::Own { .. } => None,
        }
    }

    /// The account's page that it leads to.
    pub const fn to(self) -> Option<&'static str> {
        match self {
            Self::Own { to } => to,
            Self::Client { .. } => None,
        }
    }
}

/// The login page.
struct Shown<'a> {
    place: Place<'a>,
    username: &'a str,
}

impl Shown<'_> {
    fn page(&self, visit: &Visit, error: Option<LoginError>) -> HttpResponse {
        let csrf = Csrf::of(visit);
        let pending = self.place.client();
        let interaction = self.place.interaction();
        let frame = pending.map_or_else(|| visit.frame(&[]), |pending| pending.frame(visit));
        // Back to here, with the request that waits.
        let query =
            if interaction.is_empty() { String::new() } else { format!("?i={interaction}") };
        let html = LoginPage {
            frame,
            client_name: pending.map(|pending| client_name(&pending.client, frame.t.lang)),
            client_uri: pending.and_then(|pending| pending.client.metadata.client_uri.as_deref()),
            interaction,
            csrf: &csrf.token(visit, &["login", interaction]),
            username: self.username,
            to: self.place.to(),
            forgot: visit.mail.is_there().then_some(&*query),
            create: visit.config.accounts.self_registration.then_some(&*query),
            error,
        }
        .render();
        let status = match error {
            None => StatusCode::OK,
            Some(LoginError::WrongCredentials | LoginError::Expired) => StatusCode::BAD_REQUEST,
            Some(LoginError::SlowDown { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Some(LoginError::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let leads_to = pending.and_then(|pending| form_action(&pending.request.redirect_uri));
        let mut answer = page(status, html, &popup_headers(leads_to.as_deref()));
        if let Some(LoginError::SlowDown { seconds }) = error {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        csrf.give(visit, &mut answer);
        answer
    }
}
