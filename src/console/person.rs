//! A person, by pseudonym. Who they are is shown to an operator who says why,
//! once it stands in the log that it was shown, to whom and why.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::ids::SubjectId;
use serde_json::Value;

use super::export;
use super::operator::{Operator, guarded};
use super::page::{Chrome, Moment, Tab, answer};
use super::problem::Problem;
use crate::admin::{AccountView, AdminError, Operation, Outcome, perform};
use crate::http::request::form;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};

/// Fields of the form: `csrf`, `reason`.
#[derive(Template)]
#[template(path = "console/person.html", config = ".askama.toml")]
struct PersonPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    subject: &'a str,
    state: &'a str,
    since: Moment,
    csrf: &'a str,
    /// The token of the form that exports it.
    export_csrf: &'a str,
    error: Option<&'a str>,
    shown: Option<&'a Shown>,
}

impl PersonPage<'_> {
    fn class(&self) -> &'static str {
        match self.state {
            "active" => "badge",
            _ => "badge bad",
        }
    }
}

/// Who the person is, and that it was noted.
struct Shown {
    reason: String,
    claims: Vec<(String, String)>,
}

/// What is done with the form.
struct Asked<'a> {
    subject: SubjectId,
    error: Option<&'a str>,
    shown: Option<&'a Shown>,
}

#[tracing::instrument(name = "console.person_page", skip_all)]
pub async fn get(visit: Visit, id: web::Path<String>) -> HttpResponse {
    guarded(&visit, async |operator| {
        let subject = id.parse().map_err(|_| Problem::not_found("person"))?;
        show(&visit, operator, Asked { subject, error: None, shown: None }).await
    })
    .await
}

#[tracing::instrument(name = "console.read_person", skip_all)]
pub async fn post(visit: Visit, id: web::Path<String>, body: web::Bytes) -> HttpResponse {
    guarded(&visit, async |operator| {
        let subject: SubjectId = id.parse().map_err(|_| Problem::not_found("person"))?;
        let fields = form(&visit.request, &body)?;
        if !operator.is_good(&visit, &format!("person {subject}"), fields.get("csrf")) {
            return Err(Problem::stale_form());
        }
        let reason = fields.get("reason").unwrap_or_default().trim().to_owned();
        let operation =
            Operation::ReadAccount { account: subject.to_string(), reason: reason.clone() };
        let outcome = perform(&visit, operation, &operator.reference()).await;
        let (error, shown) = match outcome {
            Ok(Outcome::Account(view)) => (None, Some(Shown::of(*view, reason))),
            Ok(_) => return Err(Problem::no_such_page()),
            Err(AdminError::Invalid(error)) => (Some(error), None),
            Err(AdminError::NotFound { .. }) => return Err(Problem::not_found("person")),
            Err(error) => return Err(Problem::failed(&error)),
        };
        let asked = Asked { subject, error: error.as_deref(), shown: shown.as_ref() };
        show(&visit, operator, asked).await
    })
    .await
}

impl Shown {
    fn of(view: AccountView, reason: String) -> Self {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let name = view.username.map(|name| ("user name".to_owned(), name));
        let claims = view.claims.into_iter().map(|(name, value)| (name, text(value)));
        Self { reason, claims: name.into_iter().chain(claims).collect() }
    }
}

async fn show(
    visit: &Visit,
    operator: &Operator,
    asked: Asked<'_>,
) -> Result<HttpResponse, Problem> {
    let subject = asked.subject.to_string();
    let folded = visit.accounts.get(&subject).await?;
    let Some(account) = folded.state.registered() else {
        return Err(Problem::not_found("person"));
    };
    let state = AccountView::pseudonym(account).state;
    let chrome = Chrome::of(visit, Some(operator), Tab::None);
    let csrf = operator.token(visit, &chrome.csrf, &format!("person {subject}"));
    let about = export::about("person", &subject);
    let html = html(&PersonPage {
        export_csrf: &operator.token(visit, &chrome.csrf, &about),
        frame: Chrome::frame(visit),
        chrome: &chrome,
        subject: &subject,
        state: &state,
        since: account.registered_at.into(),
        csrf: &csrf,
        error: asked.error,
        shown: asked.shown,
    });
    let status = if asked.error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(answer(visit, &chrome, status, html))
}
