//! `/account`: where the others are.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::{Csrf, Frame, Owner, Problem, Tab, Visit, login, show, tabs};
use crate::interaction::pages::html;

#[derive(Template)]
#[template(path = "account/overview.html", config = ".askama.toml")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    tabs: &'a [Tab],
    name: &'a str,
    username: &'a str,
}

#[tracing::instrument(name = "account.overview", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    page(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn page(visit: &Visit) -> Result<HttpResponse, Problem> {
    let Some(owner) = Owner::of(visit).await? else { return Ok(login::go_for(visit, "")) };
    let frame = visit.frame(&[]);
    let html = html(&OverviewPage {
        frame,
        tabs: &tabs(frame, ""),
        name: &owner.session.name(visit).await?,
        username: &owner.profile.username,
    });
    Ok(show(visit, &Csrf::of(visit), StatusCode::OK, html))
}
