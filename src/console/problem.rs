//! What can't be shown: a page in plain words, with what to do.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use askama::Template;
use chancery_projections::Undecodable;

use super::operator::{Operator, guarded};
use super::page::{Chrome, Tab, answer};
use crate::audit::AuditError;
use crate::audit::export::ExportError;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::transparency::proofs::ProofError;

/// Something to tell the operator.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    what: String,
    remedy: &'static str,
    retry_after: Option<u32>,
}

#[derive(Template)]
#[template(path = "console/problem.html", config = ".askama.toml")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    title: &'static str,
    what: &'a str,
    remedy: &'static str,
    request_id: &'a str,
}

impl Problem {
    fn of(status: StatusCode, title: &'static str, what: String, remedy: &'static str) -> Self {
        Self { status, title, what, remedy, retry_after: None }
    }

    /// `what` is a noun: “grant”.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        let what = format!("There is no such {what} in the log.");
        let remedy = "Check the id for missing or added characters, or search for it.";
        Self::of(StatusCode::NOT_FOUND, "Not found", what, remedy)
    }

    /// The address names nothing.
    #[must_use]
    pub fn no_such_page() -> Self {
        let what = "There is no page at this address.".to_owned();
        let remedy = "Start from the overview, or search for a grant.";
        Self::of(StatusCode::NOT_FOUND, "Not found", what, remedy)
    }

    /// The form was made for somebody else, or long ago.
    #[must_use]
    pub fn stale_form() -> Self {
        let what = "The form was open for too long, or came from elsewhere.".to_owned();
        let remedy = "Go back, load the page again, and send it once more.";
        Self::of(StatusCode::BAD_REQUEST, "Nothing was done", what, remedy)
    }

    /// What is in the database is not what was sealed there.
    #[must_use]
    pub fn broken(error: &ProofError) -> Self {
        tracing::error!(%error, "a checkpoint does not verify: {error}");
        let what = format!("The seal of the log does not verify: {error}.");
        let remedy =
            "Change nothing, and run chancery audit verify: it says what differs, and where.";
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "The seal is broken", what, remedy)
    }

    /// An operation failed.
    #[must_use]
    pub fn failed(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "an operation of the console failed: {error}");
        OAuthError::internal(&error).into()
    }

    /// The page, in the console's frame.
    #[must_use]
    pub fn page(self, visit: &Visit, operator: Option<&Operator>) -> HttpResponse {
        let (frame, chrome) = (Chrome::frame(visit), Chrome::of(visit, operator, Tab::None));
        let html = html(&ProblemPage {
            frame,
            chrome: &chrome,
            title: self.title,
            what: &self.what,
            remedy: self.remedy,
            request_id: &visit.id,
        });
        let mut answer = answer(visit, &chrome, self.status, html);
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Audit(error) => error.into(),
            ExportError::Store(error) | ExportError::Proof(ProofError::Store(error)) => {
                error.into()
            }
            ExportError::Proof(ProofError::NothingSealed) => {
                let what = "Nothing is sealed yet.".to_owned();
                let remedy = "Wait a second, and try again.";
                Self::of(StatusCode::CONFLICT, "Nothing was exported", what, remedy)
            }
            ExportError::Proof(error) => Self::broken(&error),
            ExportError::TooLarge(_) => {
                let remedy = "Use the command chancery audit export, which takes more.";
                let what = error.to_string();
                Self::of(StatusCode::BAD_REQUEST, "That is too much for a page", what, remedy)
            }
            error => Self::failed(&error),
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::NotFound { what, .. } => Self::not_found(what),
            AuditError::Invalid(what) => {
                let remedy = "Go back, and ask for something else.";
                Self::of(StatusCode::BAD_REQUEST, "That can’t be asked", what, remedy)
            }
            AuditError::Store(error) => error.into(),
            AuditError::Unreadable(error) => error.into(),
        }
    }
}

/// An event that this version can't read: replay says more than a page can.
impl From<Undecodable> for Problem {
    fn from(error: Undecodable) -> Self {
        tracing::error!(%error, "an event can't be read: {error}");
        let what = format!("An event can't be read: {error}.");
        let remedy = "Was it written by a newer version? The command chancery replay says more.";
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", what, remedy)
    }
}

/// Something of ours failed, or there is too much to do.
impl<E: Into<OAuthError>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        let status = StatusCode::from_u16(error.status());
        let remedy = "Please try again shortly. If it stays so, the server's log says why.";
        let (title, what) = if error.code == ErrorCode::TemporarilyUnavailable {
            ("Too much to do", "The server can't answer at the moment.")
        } else {
            ("Something went wrong", "The server could not make this page.")
        };
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let status = if status.is_server_error() { status } else { StatusCode::BAD_REQUEST };
        Self { retry_after: error.retry_after, ..Self::of(status, title, what.to_owned(), remedy) }
    }
}

/// Every other address below the console.
pub async fn lost(visit: Visit) -> HttpResponse {
    guarded(&visit, async |_| Err(Problem::no_such_page())).await
}
