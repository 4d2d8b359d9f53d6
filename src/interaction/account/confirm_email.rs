//! A link by mail shows that an address is the person's own.
//!
//! The link carries account and address, sealed: it is good for a day, for
//! this address only, and changes nothing when it comes again.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::SubjectId;
use chancery_domain::time::Lifetime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Csrf, Frame, Owner, Problem, Visit, login, posted, request, show};
use crate::accounts;
use crate::interaction::pages::html;
use crate::interaction::response::redirect;
use crate::interaction::texts::Texts;
use crate::interaction::throttle::{Attempt, Network, Wait};
use crate::mail::{self, Job};

const CONTEXT: &str = "confirm_email";
const LIFETIME: Lifetime = Lifetime::from_seconds(86_400);

#[derive(Serialize, Deserialize)]
struct Link {
    subject: SubjectId,
    email: String,
}

/// Fields of the form: `csrf` and `token`.
#[derive(Template)]
#[template(path = "account/confirm_email.html", config = ".askama.toml")]
struct ConfirmPage<'a> {
    frame: Frame<'a>,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Ask {
        email: &'a str,
        token: &'a str,
        csrf: &'a str,
    },
    /// A link was sent; or why not.
    Sent,
    Wait(String),
    Confirmed,
    NotGood,
}

#[tracing::instrument(name = "account.send_confirmation", skip_all)]
pub async fn send(visit: Visit, body: web::Bytes) -> HttpResponse {
    posted!(visit, body, "profile", send_link)
}

async fn send_link(
    visit: &Visit,
    owner: &Owner,
    fields: &Parameters<'_>,
) -> Result<HttpResponse, Problem> {
    if !owner.is_good(visit, "confirm-email", fields) || !visit.mail.is_there() {
        return Ok(redirect(visit.config.server.issuer.endpoint("/account/profile")));
    }
    let email = owner.profile.claims.get("email").and_then(Value::as_str).unwrap_or_default();
    let attempt = Attempt {
        account: accounts::name_digest(&visit.keys.get().names, &owner.profile.username),
        network: Network::from(visit.address),
        device: None,
    };
    if let Err(Wait(wait)) = visit.requests.admit(&attempt, visit.now()) {
        let text = visit.frame(&[]).t.wait(wait.seconds());
        return Ok(page(visit, StatusCode::TOO_MANY_REQUESTS, Stage::Wait(text)));
    }
    let t = visit.frame(&[]).t;
    if !send_to(visit, owner.session.authentication.subject, email, t)? {
        let text = t.unavailable.to_owned();
        return Ok(page(visit, StatusCode::SERVICE_UNAVAILABLE, Stage::Wait(text)));
    }
    Ok(page(visit, StatusCode::OK, Stage::Sent))
}

/// Sends a link to an address, for whoever reads there to confirm it; says
/// whether there was room for it.
pub fn send_to(
    visit: &Visit,
    subject: SubjectId,
    email: &str,
    t: &'static Texts,
) -> Result<bool, Problem> {
    let link = Link { subject, email: email.to_owned() };
    let until = visit.now() + LIFETIME;
    let token = visit.keys.get().interactions.seal(CONTEXT, until, &link, &*visit.entropy)?;
    let url = visit.config.server.issuer.endpoint(&format!("/email/confirm?token={token}"));
    let letter = mail::confirmation_letter(link.email, &url, t);
    Ok(visit.mail.take(Job::Send(letter)))
}

/// Only a form confirms: what opens links before the person does, does not.
#[tracing::instrument(name = "account.confirm_email_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let token = parameters.get("token").unwrap_or_default();
    let Some(link) = open(&visit, token) else {
        return page(&visit, StatusCode::BAD_REQUEST, Stage::NotGood);
    };
    let csrf = Csrf::of(&visit);
    let tag = csrf.token(&visit, &["confirm-email", token]);
    let stage = Stage::Ask { email: &link.email, token, csrf: &tag };
    let mut answer = page(&visit, StatusCode::OK, stage);
    csrf.give(&visit, &mut answer);
    answer
}

#[tracing::instrument(name = "account.confirm_email", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match request::form(&visit.request, &body) {
        Ok(fields) => confirm(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn confirm(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let not_good = || Ok(page(visit, StatusCode::BAD_REQUEST, Stage::NotGood));
    let token = fields.get("token").unwrap_or_default();
    let Some(link) = open(visit, token) else { return not_good() };
    if !Csrf::of(visit).is_good(visit, &["confirm-email", token], fields.get("csrf")) {
        return not_good();
    }
    let folded = visit.accounts.fresh(&link.subject.to_string()).await?;
    let Some(account) = folded.state.registered().filter(|account| account.is_usable()) else {
        return not_good();
    };
    let profile = accounts::profile(&visit.vault, account).await?;
    if profile.claims.get("email").and_then(Value::as_str) != Some(&*link.email) {
        return not_good();
    }
    if profile.claims.get("email_verified") != Some(&Value::Bool(true)) {
        let mut origin = visit.origin(None, None);
        origin.actor.reference = Some(link.subject.to_string());
        origin.subject = Some(link.subject);
        let changes = Map::from_iter([("email_verified".to_owned(), true.into())]);
        accounts::change_claims(visit, link.subject, &changes, &visit.work(origin)?).await?;
    }
    Ok(page(visit, StatusCode::OK, Stage::Confirmed))
}

fn open(visit: &Visit, token: &str) -> Option<Link> {
    visit.keys.get().interactions.open(CONTEXT, token, visit.now()).ok()
}

fn page(visit: &Visit, status: StatusCode, stage: Stage<'_>) -> HttpResponse {
    let html = html(&ConfirmPage { frame: visit.frame(&[]), stage });
    show(visit, &Csrf::of(visit), status, html)
}
