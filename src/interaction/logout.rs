//! The logout page: ends the session of this browser.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chancery_domain::authorization::Parameters;
use chancery_domain::session::{SessionCommand, SessionEndCause};

use super::context::Visit;
use super::cookies::Kind;
use super::csrf::Csrf;
use super::error_page::Problem;
use super::headers::security_headers;
use super::pages::{LoggedOutPage, LogoutPage};
use super::response::{page, redirect};
use super::session::LiveSession;
use crate::http::request::form;

#[tracing::instrument(name = "interaction.logout_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match LiveSession::of(&visit).await {
        Ok(Some(session)) => ask(&visit, &session, StatusCode::OK).await,
        Ok(None) => Ok(logged_out(&visit)),
        Err(error) => Err(error.into()),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "interaction.logout", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => log_out(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn log_out(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let Some(session) = LiveSession::of(visit).await? else { return Ok(logged_out(visit)) };
    let id = session.id().to_string();
    if !Csrf::of(visit).is_good(visit, &["logout", &id], fields.get("csrf")) {
        return ask(visit, &session, StatusCode::BAD_REQUEST).await;
    }
    match fields.get("action") {
        Some("logout") => {}
        // There is nowhere to go back to: the page says who is signed in.
        Some("cancel") => return Ok(redirect(visit.config.server.issuer.endpoint("/logout"))),
        _ => return ask(visit, &session, StatusCode::BAD_REQUEST).await,
    }
    let subject = session.authentication.subject;
    let mut origin = visit.origin(None, None);
    origin.actor.reference = Some(subject.to_string());
    origin.subject = Some(subject);
    origin.session_id = Some(session.id());
    let end = SessionCommand::End { cause: SessionEndCause::LoggedOut, now: visit.now() };
    visit.sessions.execute(&id, vec![end], visit.work(origin)?).await?;
    Ok(logged_out(visit))
}

async fn ask(
    visit: &Visit,
    session: &LiveSession,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let csrf = Csrf::of(visit);
    let name = session.name(visit).await?;
    let html = LogoutPage {
        frame: visit.frame(&[]),
        client_name: None,
        subject_name: Some(&name),
        interaction: None,
        csrf: &csrf.token(visit, &["logout", &session.id().to_string()]),
    }
    .render();
    let mut answer = page(status, html, &security_headers(None));
    csrf.give(visit, &mut answer);
    Ok(answer)
}

fn logged_out(visit: &Visit) -> HttpResponse {
    let mut answer = page(
        StatusCode::OK,
        LoggedOutPage { frame: visit.frame(&[]) }.render(),
        &security_headers(None),
    );
    if visit.cookie(Kind::Session).is_some() {
        // Fails only for a cookie that is no header value; this one is empty.
        let _ = answer.add_cookie(&Kind::Session.clear(visit.is_secure()));
    }
    answer
}
