//! Errors of the APIs: problem details (RFC 9457), and the challenges of RFC 6750.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::AdminError;
use crate::http::render::uncached;
use crate::oauth_error::OAuthError;
use crate::stores::StoreError;

/// The media type of problem details (RFC 9457 §6.1).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which it may be tried again where the store does not answer.
const RETRY: u32 = 2;

/// Why there is no other answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    challenge: Option<String>,
    allow: Option<String>,
    /// In seconds.
    retry_after: Option<u32>,
}

/// Problem details (RFC 9457 §3.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Body {
    /// The status code of the answer.
    status: u16,
    /// What the status code means.
    title: String,
    /// What is wrong here, and what to do.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), challenge: None, allow: None, retry_after: None }
    }

    /// No token, or none that is good for an API that needs this scope (RFC 6750 §3.1).
    pub fn unauthorized(scope: &str, error: Option<&str>, detail: &str) -> Self {
        let challenge = match error {
            None => format!("Bearer realm=\"chancery\", scope=\"{scope}\""),
            Some(error) => format!(
                "Bearer realm=\"chancery\", scope=\"{scope}\", error=\"{error}\", \
                 error_description=\"{detail}\""
            ),
        };
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The token's owner may not do this, which needs this scope (RFC 6750 §3.1).
    pub fn forbidden(scope: &str, detail: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"chancery\", scope=\"{scope}\", error=\"insufficient_scope\", \
             error_description=\"{detail}\""
        );
        Self { challenge: Some(challenge), ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// Too much was asked for: again after so many seconds (RFC 6585 §4).
    pub fn too_many(detail: impl Into<String>, retry_after: u32) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub fn not_json() -> Self {
        let detail = "the body must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub fn method_not_allowed(allowed: String) -> Self {
        let detail = format!("this path answers {allowed}");
        Self { allow: Some(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// Another node answers, or this one when it is back.
    pub fn closing() -> Self {
        Self::try_again("the server stops: ask again in a moment")
    }

    fn try_again(detail: &str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { retry_after: Some(RETRY), ..problem }
    }

    /// The log says why.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "an API failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why")
    }

    pub fn into_response(self) -> HttpResponse {
        let mut answer = uncached(self.status);
        answer.content_type(MEDIA_TYPE);
        if let Some(seconds) = self.retry_after {
            answer.insert_header((RETRY_AFTER, seconds));
        }
        for (name, value) in [(WWW_AUTHENTICATE, self.challenge), (ALLOW, self.allow)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                answer.insert_header((name, value));
            }
        }
        let title = self.status.canonical_reason().unwrap_or_default().to_owned();
        let body = Body { status: self.status.as_u16(), title, detail: self.detail };
        // Written by hand, since `json` would set its own media type.
        answer.body(serde_json::to_string(&body).unwrap_or_default())
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let detail = error.to_string();
        match error {
            AdminError::NotFound { .. } => Self::not_found(detail),
            AdminError::Invalid(_) => Self::invalid(detail),
            AdminError::Refused(_) => Self::new(StatusCode::CONFLICT, detail),
            AdminError::Unavailable(_) => Self::unavailable(&detail),
            AdminError::Failed(_) => Self::internal(&detail),
        }
    }
}

impl Problem {
    fn unavailable(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%error, "an API can't answer: {error}");
        Self::try_again("the store does not answer: try again in a moment")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => Self::internal(&error),
            error => Self::unavailable(&error),
        }
    }
}

impl From<OAuthError> for Problem {
    fn from(error: OAuthError) -> Self {
        match error.status() {
            503 => Self::unavailable(&error.description),
            _ => Self::internal(&error.description),
        }
    }
}
