//! `/account/password`: another password, for who knows the one until now.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;

use super::{
    Csrf, Frame, Owner, Problem, Tab, Visit, done, login, posted, request, show, status_of, tabs,
    was_done, weakness,
};
use crate::accounts;
use crate::interaction::pages::html;
use crate::passwords::{Password, check_new};

/// Fields of the form: `csrf`, `old_password`, `new_password`,
/// `new_password_again`, and `end_others` (`yes`, or left out).
#[derive(Template)]
#[template(path = "account/password.html", config = ".askama.toml")]
struct PasswordPage<'a> {
    frame: Frame<'a>,
    tabs: &'a [Tab],
    /// For password managers.
    username: &'a str,
    csrf: &'a str,
    done: bool,
    error: Option<&'a str>,
}

#[tracing::instrument(name = "account.password_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match Owner::of(&visit).await {
        Ok(Some(owner)) => Ok(page(&visit, &owner, StatusCode::OK, None)),
        Ok(None) => Ok(login::go_for(&visit, "password")),
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "account.password", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    posted!(visit, body, "password", change)
}

async fn change(
    visit: &Visit,
    owner: &Owner,
    fields: &Parameters<'_>,
) -> Result<HttpResponse, Problem> {
    let t = visit.frame(&[]).t;
    let refuse = |text: &str| Ok(page(visit, owner, StatusCode::BAD_REQUEST, Some(text)));
    if !owner.is_good(visit, "password", fields) {
        return refuse(t.expired);
    }
    let new = fields.get("new_password").unwrap_or_default();
    if fields.get("new_password_again") != Some(new) {
        return refuse(t.passwords_differ);
    }
    let password = Password::new(new);
    if let Err(weak) = check_new(&password, &owner.names()) {
        return refuse(weakness(weak, t));
    }
    let old = fields.get("old_password").unwrap_or_default();
    if let Err(failure) = owner.confirm(visit, old).await {
        return Ok(page(visit, owner, status_of(failure), Some(&failure.message(t))));
    }
    let hash = visit.passwords.hash(&password).await?;
    let subject = owner.session.authentication.subject;
    let work = visit.work(owner.origin(visit))?;
    if fields.get("end_others") == Some("yes") {
        accounts::change_password(visit, subject, &hash, owner.session.id(), &work).await?;
    } else {
        accounts::set_password(visit, subject, &hash, &work).await?;
    }
    Ok(done(visit, "password"))
}

fn page(visit: &Visit, owner: &Owner, status: StatusCode, error: Option<&str>) -> HttpResponse {
    let (frame, csrf) = (visit.frame(&[]), Csrf::of(visit));
    let html = html(&PasswordPage {
        frame,
        tabs: &tabs(frame, "password"),
        username: &owner.profile.username,
        csrf: &owner.token(visit, &csrf, "password"),
        done: error.is_none() && was_done(visit),
        error,
    });
    show(visit, &csrf, status, html)
}
