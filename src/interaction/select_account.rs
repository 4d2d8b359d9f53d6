//! The page that asks which account to use (OpenID Connect Core §3.1.2.1,
//! `prompt=select_account`). A browser has one session: there is its account,
//! and another one, by a login.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::grant::DeclineReason;

use super::context::Visit;
use super::csrf::Csrf;
use super::demands::{Next, once_chosen};
use super::error_page::Problem;
use super::headers::popup_headers;
use super::login;
use super::pages::{Frame, html};
use super::pending::{Pending, Who};
use super::response::{client_name, form_action, page};
use super::session::LiveSession;
use crate::http::request::form;

/// Posts to `/select_account`. Fields of the form: `interaction`, `csrf`, and
/// `action` (`current`, `another` or `cancel`).
#[derive(Template)]
#[template(path = "select_account.html", config = ".askama.toml")]
struct SelectPage<'a> {
    frame: Frame<'a>,
    client_name: &'a str,
    subject_name: &'a str,
    interaction: &'a str,
    csrf: &'a str,
    expired: bool,
}

/// Sends a browser to the page; shows it at once where the URL would be too
/// long.
pub async fn go(visit: &Visit, pending: &Pending) -> Result<HttpResponse, Problem> {
    let interaction = pending.for_login(visit)?;
    match login::to_page(visit, "/select_account", &interaction) {
        Some(redirect) => Ok(redirect),
        None => show(visit, pending, &interaction).await,
    }
}

#[tracing::instrument(name = "interaction.select_account_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    open(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn open(visit: &Visit) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let interaction = parameters.get("i").ok_or_else(Problem::lost_interaction)?;
    let (pending, _) = Pending::carried(visit, interaction).await?;
    show(visit, &pending, interaction).await
}

async fn show(
    visit: &Visit,
    pending: &Pending,
    interaction: &str,
) -> Result<HttpResponse, Problem> {
    match LiveSession::of(visit).await? {
        Some(session) => {
            let asked = Asked { pending, interaction, session: &session };
            asked.page(visit, StatusCode::OK).await
        }
        // Nobody is logged in any more: there is nothing to choose from.
        None => login::go(visit, pending),
    }
}

#[tracing::instrument(name = "interaction.select_account", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => choose(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn choose(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let interaction = fields.get("interaction").ok_or_else(Problem::lost_interaction)?;
    let (pending, _) = Pending::carried(visit, interaction).await?;
    let Some(session) = LiveSession::of(visit).await? else { return login::go(visit, &pending) };
    let asked = Asked { pending: &pending, interaction, session: &session };
    let token = fields.get("csrf");
    if !Csrf::of(visit).is_good(visit, &asked.about(&session.id().to_string()), token) {
        return asked.page(visit, StatusCode::BAD_REQUEST).await;
    }
    match fields.get("action") {
        Some("current") => {
            let (request, client) = (&pending.request, &pending.client.metadata);
            let current = Some(&session.authentication);
            let hint = pending.hint(visit, Some(session.authentication.subject));
            match once_chosen(request, client, hint, current, visit.now()) {
                Next::Proceed => pending.go_on(visit, &Who::Session(Box::new(session))).await,
                Next::Decline(reason) => pending.decline(visit, reason, None).await,
                Next::Login | Next::Select | Next::Create => login::go(visit, &pending),
            }
        }
        Some("another") => login::go(visit, &pending),
        Some("cancel") => pending.decline(visit, DeclineReason::LoginCancelled, None).await,
        _ => asked.page(visit, StatusCode::BAD_REQUEST).await,
    }
}

/// What a person is asked.
struct Asked<'a> {
    pending: &'a Pending,
    interaction: &'a str,
    session: &'a LiveSession,
}

impl Asked<'_> {
    /// The choice is between this session and another: a page for one person is
    /// not answered by the next.
    fn about<'b>(&'b self, session: &'b str) -> [&'b str; 3] {
        ["select_account", self.interaction, session]
    }

    async fn page(&self, visit: &Visit, status: StatusCode) -> Result<HttpResponse, Problem> {
        let (csrf, frame) = (Csrf::of(visit), self.pending.frame(visit));
        let html = html(&SelectPage {
            frame,
            client_name: client_name(&self.pending.client, frame.t.lang),
            subject_name: &self.session.name(visit).await?,
            interaction: self.interaction,
            csrf: &csrf.token(visit, &self.about(&self.session.id().to_string())),
            expired: status != StatusCode::OK,
        });
        let leads_to = form_action(&self.pending.request.redirect_uri);
        let mut answer = page(status, html, &popup_headers(leads_to.as_deref()));
        csrf.give(visit, &mut answer);
        Ok(answer)
    }
}
