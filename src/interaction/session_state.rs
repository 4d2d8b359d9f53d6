//! Whether the same person is still logged in with a browser, for clients that
//! ask without a request (OpenID Connect Session Management 1.0).
//!
//! A cookie that scripts may read says so with a value that stands for the
//! session and tells nothing of it. `session_state` in the authorization response
//! is a salted digest of it, bound to the client and its origin; the page at
//! `/check_session`, in a frame of the client's, computes it again.
//!
//! Across sites this works over TLS only (`SameSite=None`), and in browsers that
//! send cookies to frames of other sites.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::{ClientId, SessionId};
use chancery_domain::protocol::redirect_uri::RedirectUri;
use url::Url;

use super::assets::CHECK_SESSION;
use super::context::Visit;
use super::cookies::Kind;
use super::headers::framed_page_headers;
use super::response::page;
use crate::http::oauth::metadata::ServerMetadata;

/// The state of a browser, as one authorization response tells it.
pub struct SessionState {
    /// What its cookie says, or will say.
    browser: String,
    salt: String,
    /// What it has to be given.
    news: Option<actix_web::cookie::Cookie<'static>>,
}

impl SessionState {
    /// With this session; or as the browser says it is. None: switched off.
    #[must_use]
    pub fn of(visit: &Visit, session: Option<SessionId>) -> Option<Self> {
        if !visit.config.features.session_management {
            return None;
        }
        let known = visit.cookie(Kind::BrowserState).filter(|value| is_ours(value));
        let browser = match session {
            Some(session) => visit.keys.get().browsers.tag(&[&session.to_string()]),
            None => known.clone().unwrap_or_default(),
        };
        let is_news = session.is_some() && known.as_ref() != Some(&browser);
        let news = is_news.then(|| Kind::BrowserState.set(visit.is_secure(), browser.clone()));
        let salt: [u8; 16] = visit.entropy.bytes();
        Some(Self { browser, salt: URL_SAFE_NO_PAD.encode(salt), news })
    }

    /// The parameter of the response (§2, §3.2). None: pages at this address have no
    /// origin.
    #[must_use]
    pub fn parameter(&self, client_id: &ClientId, redirect_uri: &RedirectUri) -> Option<String> {
        let origin = Url::parse(redirect_uri.as_str()).ok()?.origin();
        if !origin.is_tuple() {
            return None;
        }
        let origin = origin.ascii_serialization();
        let (browser, salt) = (&self.browser, &self.salt);
        let hash = digest(&SHA256, format!("{client_id} {origin} {browser} {salt}").as_bytes());
        Some(format!("{}.{salt}", URL_SAFE_NO_PAD.encode(hash)))
    }

    /// Tells the browser what it does not know.
    pub fn give(&self, answer: &mut HttpResponse) {
        if let Some(cookie) = &self.news {
            // Fails only for a cookie that is no header value; ours is base64url.
            let _ = answer.add_cookie(cookie);
        }
    }
}

/// The person has logged in with this session.
pub fn note_login(visit: &Visit, session: SessionId, answer: &mut HttpResponse) {
    if let Some(state) = SessionState::of(visit, Some(session)) {
        state.give(answer);
    }
}

/// Nobody is logged in with this browser any more.
pub fn note_logout(visit: &Visit, answer: &mut HttpResponse) {
    if visit.cookie(Kind::BrowserState).is_some() {
        // Fails only for a cookie that is no header value; this one is empty.
        let _ = answer.add_cookie(&Kind::BrowserState.clear(visit.is_secure()));
    }
}

/// A tag of ours has thirty-two bytes.
fn is_ours(value: &str) -> bool {
    URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32)
}

/// The page that a client puts into a frame (§3.2).
#[tracing::instrument(name = "interaction.check_session", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let base = visit.frame(&[]).base;
    let cookie = Kind::BrowserState.name(visit.is_secure());
    let script = &CHECK_SESSION.url;
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>Session</title>\n<script src=\"{base}{script}\" data-cookie=\"{cookie}\"></script>\n\
         </head>\n<body></body>\n</html>\n"
    );
    page(StatusCode::OK, html, &framed_page_headers())
}

/// §3.3
pub fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("check_session_iframe", "/check_session");
}
