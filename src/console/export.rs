//! Evidence to take away: all that belongs to a grant or a person, in one file
//! that is checked offline by `chancery-verify`.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use super::operator::guarded;
use super::problem::Problem;
use crate::audit::export::{Downloaded, Question, download};
use crate::http::render::uncached;
use crate::http::request::form;
use crate::interaction::context::Visit;

#[tracing::instrument(name = "console.export_grant", skip_all)]
pub async fn of_grant(visit: Visit, id: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let question = id.parse().map(|grant_id| Question::Grant { grant_id });
    let question = question.map_err(|_| Problem::not_found("grant"));
    export(&visit, question, &about("grant", &id), &body).await
}

#[tracing::instrument(name = "console.export_person", skip_all)]
pub async fn of_person(visit: Visit, id: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let question = id.parse().map(|subject| Question::Subject { subject });
    let question = question.map_err(|_| Problem::not_found("person"));
    export(&visit, question, &about("person", &id), &body).await
}

/// What the form of an export is about.
#[must_use]
pub fn about(what: &str, id: &str) -> String {
    format!("export {what} {id}")
}

async fn export(
    visit: &Visit,
    question: Result<Question, Problem>,
    about: &str,
    body: &[u8],
) -> HttpResponse {
    guarded(visit, async |operator| {
        let question = question?;
        let fields = form(&visit.request, body)?;
        if !operator.is_good(visit, about, fields.get("csrf")) {
            return Err(Problem::stale_form());
        }
        let Downloaded { exported, zip } =
            download(visit, &operator.reference(), question, None).await?;
        let name = format!("attachment; filename=\"evidence-{}.zip\"", exported.position);
        Ok(uncached(actix_web::http::StatusCode::OK)
            .insert_header((CONTENT_TYPE, "application/zip"))
            .insert_header((CONTENT_DISPOSITION, name))
            .body(zip))
    })
    .await
}
