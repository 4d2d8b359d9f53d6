//! `/password/forgot` and `/password/reset`: a new password by a one-time link.
//!
//! The answer to a request for a link is the same whether there is such an
//! account or not, and takes as long: whether there is one is looked up after
//! it was answered.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::account::AccountError;
use chancery_domain::authorization::Parameters;
use chancery_domain::secret::PasswordResetToken;
use serde_json::Value;

use super::{Csrf, Frame, Problem, Visit, request, show, weakness};
use crate::accounts::{self, AccountFailure};
use crate::handles::Handle;
use crate::interaction::pages::html;
use crate::interaction::throttle::{Attempt, Network, Wait};
use crate::mail::Job;
use crate::passwords::{Password, check_new};
use crate::telemetry::trace;

/// Fields of the form: `csrf`, `interaction` (what waits, if something does)
/// and `username`.
#[derive(Template)]
#[template(path = "account/forgot.html", config = ".askama.toml")]
struct ForgotPage<'a> {
    frame: Frame<'a>,
    csrf: &'a str,
    interaction: &'a str,
    sent: bool,
    error: Option<&'a str>,
}

/// Fields of the form: `csrf`, `token`, `new_password`, `new_password_again`.
#[derive(Template)]
#[template(path = "account/reset.html", config = ".askama.toml")]
struct ResetPage<'a> {
    frame: Frame<'a>,
    stage: Stage<'a>,
    error: Option<&'a str>,
}

enum Stage<'a> {
    Choose { token: &'a str, csrf: &'a str, username: &'a str },
    Done,
    NotGood,
}

#[tracing::instrument(name = "password.forgot_page", skip_all)]
pub async fn forgot(visit: Visit) -> HttpResponse {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let interaction = parameters.get("i").unwrap_or_default();
    forgot_page(&visit, StatusCode::OK, interaction, None)
}

#[tracing::instrument(name = "password.forgot", skip_all)]
pub async fn send(visit: Visit, body: web::Bytes) -> HttpResponse {
    match request::form(&visit.request, &body) {
        Ok(fields) => send_link(&visit, &fields),
        Err(error) => Problem::bad_form(error).answer(&visit),
    }
}

fn send_link(visit: &Visit, fields: &Parameters<'_>) -> HttpResponse {
    let interaction = fields.get("interaction").unwrap_or_default();
    let t = visit.frame(&[]).t;
    if !Csrf::of(visit).is_good(visit, &["forgot"], fields.get("csrf")) {
        return forgot_page(visit, StatusCode::BAD_REQUEST, interaction, Some(t.expired));
    }
    let username = fields.get("username").unwrap_or_default();
    let attempt = Attempt {
        account: accounts::name_digest(&visit.keys.get().names, username),
        network: Network::from(visit.address),
        device: None,
    };
    if let Err(Wait(wait)) = visit.requests.admit(&attempt, visit.now()) {
        let text = t.wait(wait.seconds());
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut answer = forgot_page(visit, status, interaction, Some(&text));
        answer.headers_mut().insert(RETRY_AFTER, wait.seconds().into());
        return answer;
    }
    let job = Job::ForgottenPassword {
        username: username.to_owned(),
        origin: Box::new(visit.origin(None, None)),
        trace: trace::current(),
        texts: t,
    };
    if !visit.mail.is_there() || !visit.mail.take(job) {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return forgot_page(visit, status, interaction, Some(t.unavailable));
    }
    let frame = visit.frame(&[]);
    let html = html(&ForgotPage { frame, csrf: "", interaction, sent: true, error: None });
    show(visit, &Csrf::of(visit), StatusCode::OK, html)
}

fn forgot_page(
    visit: &Visit,
    status: StatusCode,
    interaction: &str,
    error: Option<&str>,
) -> HttpResponse {
    let (frame, csrf) = (visit.frame(&[]), Csrf::of(visit));
    let token = csrf.token(visit, &["forgot"]);
    let html = html(&ForgotPage { frame, csrf: &token, interaction, sent: false, error });
    show(visit, &csrf, status, html)
}

/// Looks at the link, and does not use it up.
#[tracing::instrument(name = "password.reset_page", skip_all)]
pub async fn choose(visit: Visit) -> HttpResponse {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let token = parameters.get("token").unwrap_or_default();
    let answer = match names(&visit, token).await {
        Ok(Some(names)) => Ok(choose_page(&visit, StatusCode::OK, token, &names, None)),
        Ok(None) => Ok(reset_page(&visit, StatusCode::BAD_REQUEST, Stage::NotGood)),
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "password.reset", skip_all)]
pub async fn reset(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match request::form(&visit.request, &body) {
        Ok(fields) => set_password(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn set_password(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let not_good = || Ok(reset_page(visit, StatusCode::BAD_REQUEST, Stage::NotGood));
    let token = fields.get("token").unwrap_or_default();
    let Some(names) = names(visit, token).await? else { return not_good() };
    let Some(link) = Handle::<PasswordResetToken>::decode(token) else { return not_good() };
    let t = visit.frame(&[]).t;
    let again = |text| Ok(choose_page(visit, StatusCode::BAD_REQUEST, token, &names, Some(text)));
    if !Csrf::of(visit).is_good(visit, &["reset", token], fields.get("csrf")) {
        return again(t.expired);
    }
    let new = fields.get("new_password").unwrap_or_default();
    if fields.get("new_password_again") != Some(new) {
        return again(t.passwords_differ);
    }
    let password = Password::new(new);
    let own: Vec<_> = names.iter().map(String::as_str).collect();
    if let Err(weak) = check_new(&password, &own) {
        return again(weakness(weak, t));
    }
    let hash = visit.passwords.hash(&password).await?;
    let mut origin = visit.origin(None, None);
    origin.actor.reference = Some(link.owner.to_string());
    origin.subject = Some(link.owner);
    match accounts::reset_password(visit, &link, &hash, &visit.work(origin)?).await {
        Ok(()) => Ok(reset_page(visit, StatusCode::OK, Stage::Done)),
        Err(AccountFailure::Refused(AccountError::ResetRefused | AccountError::Unknown)) => {
            not_good()
        }
        Err(error) => Err(error.into()),
    }
}

/// The names of the person whose link this is, if it is good.
async fn names(visit: &Visit, token: &str) -> Result<Option<Vec<String>>, Problem> {
    let Some(link) = Handle::<PasswordResetToken>::decode(token) else { return Ok(None) };
    let (id, digest) = (link.owner.to_string(), link.secret.digest());
    // Another node may have made it a moment ago, or used it.
    let folded = visit.accounts.fresh(&id).await?;
    let account = folded.state.registered();
    let Some(account) = account.filter(|account| account.is_reset_by(&digest, visit.now())) else {
        return Ok(None);
    };
    let profile = accounts::profile(&visit.vault, account).await?;
    let email = profile.claims.get("email").and_then(Value::as_str).map(str::to_owned);
    Ok(Some(std::iter::once(profile.username).chain(email).collect()))
}

fn choose_page(
    visit: &Visit,
    status: StatusCode,
    token: &str,
    names: &[String],
    error: Option<&str>,
) -> HttpResponse {
    let csrf = Csrf::of(visit);
    let tag = csrf.token(visit, &["reset", token]);
    let username = names.first().map(String::as_str).unwrap_or_default();
    let stage = Stage::Choose { token, csrf: &tag, username };
    let html = html(&ResetPage { frame: visit.frame(&[]), stage, error });
    show(visit, &csrf, status, html)
}

fn reset_page(visit: &Visit, status: StatusCode, stage: Stage<'_>) -> HttpResponse {
    let html = html(&ResetPage { frame: visit.frame(&[]), stage, error: None });
    show(visit, &Csrf::of(visit), status, html)
}
