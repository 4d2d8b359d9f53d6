//! Answers: JSON that nobody keeps, and errors as their RFCs have them.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use crate::oauth_error::{ErrorCode, OAuthError};

/// JSON that must not be kept (RFC 6749 §5.1).
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> HttpResponse {
    uncached(status).json(value)
}

/// A JWT that must not be kept.
#[must_use]
pub fn jwt(media_type: &'static str, token: String) -> HttpResponse {
    uncached(StatusCode::OK).insert_header((CONTENT_TYPE, media_type)).body(token)
}

/// An answer that must not be kept.
#[must_use]
pub fn uncached(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    answer
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// An error of an endpoint that clients call (RFC 6749 §5.2).
pub fn error(request: &HttpRequest, error: &OAuthError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = uncached(status);
    if error.code == ErrorCode::InvalidClient && request.headers().contains_key(AUTHORIZATION) {
        let challenge = "Basic realm=\"chancery\", charset=\"UTF-8\"";
        answer.insert_header((WWW_AUTHENTICATE, challenge));
    }
    if let Some(seconds) = error.retry_after {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    answer.json(ErrorBody {
        error: error.code.as_str(),
        error_description: &error.plain_description(),
    })
}

/// An error of an endpoint that takes access tokens (RFC 6750 §3).
#[must_use]
pub fn bearer_error(error: Option<&OAuthError>) -> HttpResponse {
    let Some(error) = error else {
        // No token at all: no code either (RFC 6750 §3.1).
        let mut answer = uncached(StatusCode::UNAUTHORIZED);
        answer.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"chancery\""));
        return answer.finish();
    };
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let code = error.code.as_str();
    let challenge = format!(
        "Bearer realm=\"chancery\", error=\"{code}\", error_description=\"{}\"",
        error.plain_description()
    );
    let mut answer = uncached(status);
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        answer.insert_header((WWW_AUTHENTICATE, challenge));
    }
    if let Some(seconds) = error.retry_after {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    answer.json(ErrorBody { error: code, error_description: &error.plain_description() })
}
