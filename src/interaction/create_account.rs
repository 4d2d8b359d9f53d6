//! The page where people make their accounts themselves (Initiating User
//! Registration via OpenID Connect, `prompt=create`), where the settings allow
//! it.
//!
//! Somebody who chooses a name has to learn that it can't be had. They learn no
//! more than that, it takes as long as making an account, and who asks often is
//! slowed down: by name, by address of mail, and by network.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::account::Profile;
use chancery_domain::authorization::Parameters;
use chancery_domain::grant::DeclineReason;
use chancery_domain::time::Lifetime;
use serde_json::Map;

use super::account::{confirm_email, weakness};
use super::context::Visit;
use super::csrf::Csrf;
use super::device::Device;
use super::error_page::Problem;
use super::headers::popup_headers;
use super::login::{self, Place};
use super::pages::{Frame, html};
use super::pending::Pending;
use super::response::{client_name, form_action, page};
use super::throttle::{Attempt, Network, Wait};
use crate::accounts::{self, AccountFailure};
use crate::admin::is_account_name;
use crate::http::request::form;
use crate::mail;
use crate::passwords::{Password, check_new};
use crate::stores::AppendError;

/// Posts to `/create_account`. Fields of the form: `interaction` or `to`, `csrf`,
/// `username`, `email` (may be left out), `new_password`, `new_password_again`,
/// and `action` (`create` or `cancel`).
#[derive(Template)]
#[template(path = "create_account.html", config = ".askama.toml")]
struct CreatePage<'a> {
    frame: Frame<'a>,
    /// None: for the person's own account.
    client_name: Option<&'a str>,
    interaction: &'a str,
    to: Option<&'a str>,
    csrf: &'a str,
    username: &'a str,
    /// None: people don't say their address themselves.
    email: Option<&'a str>,
    error: Option<&'a str>,
}

/// Sends a browser to the page; shows it at once where the URL would be too
/// long.
pub fn go(visit: &Visit, pending: &Pending) -> Result<HttpResponse, Problem> {
    let interaction = pending.for_login(visit)?;
    if let Some(redirect) = login::to_page(visit, "/create_account", &interaction) {
        return Ok(redirect);
    }
    let place = Place::Client { pending, interaction: &interaction };
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    Ok(Shown { place, username, email: "" }.page(visit, None))
}

#[tracing::instrument(name = "interaction.create_account_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    if !visit.config.accounts.self_registration {
        return HttpResponse::NotFound().finish();
    }
    open(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn open(visit: &Visit) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let Some(interaction) = parameters.get("i") else {
        let place = Place::Own { to: login::own_page(parameters.get("to")) };
        return Ok(Shown { place, username: "", email: "" }.page(visit, None));
    };
    let (pending, _) = Pending::carried(visit, interaction).await?;
    let place = Place::Client { pending: &pending, interaction };
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    Ok(Shown { place, username, email: "" }.page(visit, None))
}

#[tracing::instrument(name = "interaction.create_account", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    if !visit.config.accounts.self_registration {
        return HttpResponse::NotFound().finish();
    }
    let answer = match form(&visit.request, &body) {
        Ok(fields) => create(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn create(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let carried;
    let place = match fields.get("interaction") {
        None => Place::Own { to: login::own_page(fields.get("to")) },
        Some(interaction) => {
            (carried, _) = Pending::carried(visit, interaction).await?;
            Place::Client { pending: &carried, interaction }
        }
    };
    let username = fields.get("username").unwrap_or_default().trim();
    let email = fields.get("email").filter(|_| takes_email(visit)).unwrap_or_default().trim();
    let shown = Shown { place, username, email };
    let again = |text: &str| Ok(shown.page(visit, Some(Refusal::of(text))));
    let t = shown.frame(visit).t;
    let about = ["create_account", place.interaction()];
    if !Csrf::of(visit).is_good(visit, &about, fields.get("csrf")) {
        return again(t.expired);
    }
    if let (Some("cancel"), Place::Client { pending, .. }) = (fields.get("action"), place) {
        return pending.decline(visit, DeclineReason::LoginCancelled, None).await;
    }
    if !is_account_name(username) {
        return again(t.name_rule);
    }
    if !email.is_empty() && !mail::is_address(email) {
        return again(t.bad_email);
    }
    let new = fields.get("new_password").unwrap_or_default();
    if fields.get("new_password_again") != Some(new) {
        return again(t.passwords_differ);
    }
    let password = Password::new(new);
    if let Err(weak) = check_new(&password, &[username, email]) {
        return again(weakness(weak, t));
    }
    if let Err(Wait(wait)) = admit(visit, username, email) {
        let refusal = Refusal { text: &t.wait(wait.seconds()), wait: Some(wait) };
        return Ok(shown.page(visit, Some(refusal)));
    }
    // Before anything is known of the name: it takes its time in any case.
    let hash = visit.passwords.hash(&password).await?;
    let mut claims = Map::new();
    if !email.is_empty() {
        claims.insert("email".to_owned(), email.into());
        claims.insert("email_verified".to_owned(), false.into());
    }
    let profile = Profile { username: username.to_owned(), claims };
    let origin = visit.origin(None, place.client().map(|pending| &pending.client.client_id));
    let subject = match accounts::create(visit, &profile, &hash, origin).await {
        Err(AccountFailure::Append(AppendError::NameTaken)) => return again(t.name_not_free),
        other => other?,
    };
    if !email.is_empty() && visit.mail.is_there() {
        // What does not go out now, they can ask for at their account.
        let _ = confirm_email::send_to(visit, subject, email, t)?;
    }
    let name = accounts::name_digest(&visit.keys.get().names, username);
    login::enter(visit, place, subject, &Device::of(visit).with(&name)).await
}

/// Each name, each address of mail and each network only so often.
fn admit(visit: &Visit, username: &str, email: &str) -> Result<(), Wait> {
    let names = [username, email];
    names.into_iter().filter(|name| !name.is_empty()).try_for_each(|name| {
        let account = accounts::name_digest(&visit.keys.get().names, name);
        let network = Network::from(visit.address);
        visit.requests.admit(&Attempt { account, network, device: None }, visit.now())
    })
}

/// Is an address of mail among what people say of themselves?
fn takes_email(visit: &Visit) -> bool {
    visit.config.accounts.editable_claims.iter().any(|claim| claim == "email")
}

/// Why the page is shown again.
struct Refusal<'a> {
    text: &'a str,
    wait: Option<Lifetime>,
}

impl<'a> Refusal<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, wait: None }
    }
}

/// The page, with what was typed before.
struct Shown<'a> {
    place: Place<'a>,
    username: &'a str,
    email: &'a str,
}

impl Shown<'_> {
    fn frame<'v>(&self, visit: &'v Visit) -> Frame<'v> {
        self.place.client().map_or_else(|| visit.frame(&[]), |pending| pending.frame(visit))
    }

    fn page(&self, visit: &Visit, refusal: Option<Refusal<'_>>) -> HttpResponse {
        let (csrf, frame) = (Csrf::of(visit), self.frame(visit));
        let pending = self.place.client();
        let interaction = self.place.interaction();
        let html = html(&CreatePage {
            frame,
            client_name: pending.map(|pending| client_name(&pending.client, frame.t.lang)),
            interaction,
            to: self.place.to(),
            csrf: &csrf.token(visit, &["create_account", interaction]),
            username: self.username,
            email: takes_email(visit).then_some(self.email),
            error: refusal.as_ref().map(|refusal| refusal.text),
        });
        let status = match &refusal {
            None => StatusCode::OK,
            Some(Refusal { wait: None, .. }) => StatusCode::BAD_REQUEST,
            Some(Refusal { wait: Some(_), .. }) => StatusCode::TOO_MANY_REQUESTS,
        };
        let leads_to = pending.and_then(|pending| form_action(&pending.request.redirect_uri));
        let mut answer = page(status, html, &popup_headers(leads_to.as_deref()));
        if let Some(wait) = refusal.and_then(|refusal| refusal.wait) {
            answer.headers_mut().insert(RETRY_AFTER, wait.seconds().into());
        }
        csrf.give(visit, &mut answer);
        answer
    }
}
