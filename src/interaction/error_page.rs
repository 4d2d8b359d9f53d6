//! The page for what can't be told to a relying party: there is none, it can't
//! be believed, or it can't be reached.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use chancery_domain::authorization::RequestError;
use chancery_domain::grant::GrantError;
use chancery_domain::ids::ClientId;

use super::context::Visit;
use super::headers::security_headers;
use super::pages::ErrorPage;
use super::response::page;
use super::texts::{EN, Pick};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::tally::What;

/// Something to tell the person.
#[derive(Debug)]
pub struct Problem(Box<Facts>);

#[derive(Debug)]
struct Facts {
    title: Pick,
    what: Pick,
    /// The technical cause, after `what`.
    because: Option<String>,
    remedy: Pick,
    error: Box<OAuthError>,
    /// As received.
    client_id: Option<String>,
    /// What it is counted as, and for which registered client.
    counted: Option<(&'static str, Option<ClientId>)>,
}

const START_AGAIN: Pick = |t| t.start_again;
const TELL_THEM: Pick = |t| t.tell_them;

impl Problem {
    fn of(facts: Facts) -> Self {
        Self(Box::new(facts))
    }

    /// RFC 6749 §4.1.2.1: nobody is redirected for an unknown client.
    #[must_use]
    pub fn unknown_client(client_id: Option<&str>) -> Self {
        let what: Pick = match client_id {
            Some(_) => |t| t.application_not_known,
            None => |t| t.application_not_said,
        };
        let error = match client_id {
            Some(_) => OAuthError::new(ErrorCode::InvalidClient, "the client is not known"),
            None => OAuthError::invalid_request("client_id is missing"),
        };
        let reason = if client_id.is_some() { "unknown_client" } else { "missing_client" };
        Self::of(Facts {
            title: |t| t.unknown_application,
            what,
            because: None,
            remedy: TELL_THEM,
            error: Box::new(OAuthError { status: Some(400), ..error }),
            client_id: client_id.map(|id| id.chars().take(ClientId::MAX_LENGTH).collect()),
            counted: Some((reason, None)),
        })
    }

    /// A request whose redirect URI can't be believed.
    #[must_use]
    pub fn bad_request(error: RequestError, client_id: Option<&ClientId>) -> Self {
        Self::of(Facts {
            title: |t| t.not_right,
            what: |t| t.cannot_answer,
            because: Some(error.to_string()),
            remedy: TELL_THEM,
            error: Box::new(error.into()),
            client_id: client_id.map(ToString::to_string),
            counted: Some(("no_redirect_target", client_id.cloned())),
        })
    }

    /// A `request_uri` that is not good, or not for this client.
    #[must_use]
    pub fn request_uri(error: GrantError, client_id: &ClientId) -> Self {
        let (what, reason): (Pick, _) = match error {
            GrantError::RequestUriExpired => (|t| t.request_expired, "request_uri_expired"),
            GrantError::RequestUriUsed | GrantError::Answered | GrantError::Revoked => {
                (|t| t.request_answered, "request_uri_used")
            }
            _ => (|t| t.request_not_known, "request_uri_unknown"),
        };
        Self::of(Facts {
            title: |t| t.not_good_any_more,
            what,
            because: None,
            remedy: START_AGAIN,
            error: Box::new(OAuthError::new(ErrorCode::InvalidRequestUri, what(&EN))),
            client_id: Some(client_id.to_string()),
            counted: Some((reason, Some(client_id.clone()))),
        })
    }

    /// What the browser carries from page to page is too old, or not ours.
    #[must_use]
    pub fn lost_interaction() -> Self {
        Self::of(Facts {
            title: |t| t.page_expired,
            what: |t| t.page_open_too_long,
            because: None,
            remedy: START_AGAIN,
            error: Box::new(OAuthError::invalid_request(EN.page_open_too_long)),
            client_id: None,
            counted: Some(("interaction_lost", None)),
        })
    }

    /// The interaction can't go on: answered in another tab, or expired.
    #[must_use]
    pub fn refused(error: GrantError, client_id: &ClientId) -> Self {
        let Self(facts) = Self::request_uri(error, client_id);
        Self::of(Facts { counted: None, ..*facts })
    }

    /// A logout that a client asks for, and that can't be answered as it wants: nobody is
    /// redirected (RP-Initiated Logout §3).
    #[must_use]
    pub fn bad_logout(what: &'static str, client_id: Option<&ClientId>) -> Self {
        Self::of(Facts {
            title: |t| t.not_right,
            what: |t| t.asked_to_sign_you_out,
            because: Some(what.to_owned()),
            remedy: |t| t.you_may_still_be_signed_in,
            error: Box::new(OAuthError::invalid_request(what)),
            client_id: client_id.map(ToString::to_string),
            counted: Some(("bad_logout", client_id.cloned())),
        })
    }

    /// The form is not one that we understand.
    #[must_use]
    pub fn bad_form(error: OAuthError) -> Self {
        Self::of(Facts {
            title: |t| t.not_right,
            what: |t| t.form_unreadable,
            because: None,
            remedy: START_AGAIN,
            error: Box::new(error),
            client_id: None,
            counted: Some(("malformed", None)),
        })
    }

    /// The page.
    #[must_use]
    pub fn answer(self, visit: &Visit) -> HttpResponse {
        let facts = *self.0;
        if let Some((reason, client)) = &facts.counted {
            visit.tallies.count(What::AuthorizationRequestRefused, *reason, client.as_ref());
        }
        let code = facts.error.code.as_str();
        tracing::info!(
            request.id = %visit.id,
            client.id = facts.client_id.as_deref(),
            error = code,
            "an error page was shown: {code}"
        );
        let frame = visit.frame(&[]);
        let what = (facts.what)(frame.t);
        let what = facts.because.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}."));
        let html = ErrorPage {
            frame,
            title: (facts.title)(frame.t),
            what: &what,
            remedy: (facts.remedy)(frame.t),
            code,
            client_id: facts.client_id.as_deref(),
            request_id: &visit.id,
        }
        .render();
        let status = StatusCode::from_u16(facts.error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut answer = page(status, html, &security_headers(None));
        if let Some(seconds) = facts.error.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }
}

/// Something of ours failed, or there is too much to do.
impl<E: Into<OAuthError>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        let busy = error.code == ErrorCode::TemporarilyUnavailable;
        Self::of(Facts {
            title: if busy { |t| t.too_much_to_do } else { |t| t.went_wrong },
            what: if busy { |t| t.cannot_answer_now } else { |t| t.server_failed },
            because: None,
            remedy: |t| t.try_again_shortly,
            error: Box::new(error),
            client_id: None,
            counted: None,
        })
    }
}
