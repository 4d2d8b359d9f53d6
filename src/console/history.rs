//! The history of whatever has no page of its own: an account, a session, a
//! consent, a key.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::ids::AggregateKind;

use super::events::{Line, history, look_at_seals};
use super::operator::guarded;
use super::page::{Chrome, Tab, answer};
use super::problem::Problem;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::interaction::response::redirect;
use crate::stores::StreamId;

/// So many events, the latest, are compared with their seals.
const MOST_PROVED: usize = 50;

#[derive(Template)]
#[template(path = "console/history.html", config = ".askama.toml")]
struct HistoryPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    what: &'a str,
    id: &'a str,
    is_account: bool,
    lines: &'a [Line],
}

#[tracing::instrument(name = "console.history_page", skip_all)]
pub async fn get(visit: Visit, path: web::Path<(String, String)>) -> HttpResponse {
    guarded(&visit, async |operator| {
        let (kind, id) = path.as_ref();
        let kind: AggregateKind = kind.parse().map_err(|_| Problem::no_such_page())?;
        if matches!(kind, AggregateKind::Grant | AggregateKind::Client) {
            let path = super::page::path_of(kind, id);
            return Ok(redirect(visit.config.server.issuer.endpoint(&format!("/console{path}"))));
        }
        let what = kind.as_str().replace('_', " ");
        // No id of ours has a control character, and PostgreSQL takes no NUL.
        let plain = id.len() <= 512 && !id.chars().any(char::is_control);
        let stream = StreamId { kind, id: id.as_str().into() };
        let mut lines = if plain { history(&visit, &stream).await? } else { vec![] };
        if lines.is_empty() {
            return Err(Problem::not_found(&what));
        }
        look_at_seals(&visit, lines.iter_mut().rev().take(MOST_PROVED)).await?;
        let chrome = Chrome::of(&visit, Some(operator), Tab::None);
        let html = html(&HistoryPage {
            frame: Chrome::frame(&visit),
            chrome: &chrome,
            what: &what,
            id,
            is_account: kind == AggregateKind::Account,
            lines: &lines,
        });
        Ok(answer(&visit, &chrome, StatusCode::OK, html))
    })
    .await
}
