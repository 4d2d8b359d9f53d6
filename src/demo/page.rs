//! The demo's page, and what its script expects of the server.
//!
//! | request | answer |
//! |---|---|
//! | `GET /demo` | [`DemoPage`] |
//! | `GET /demo/start` | pushes a request, redirects to the authorization endpoint |
//! | `GET /demo/callback` | takes the authorization response, redirects to `/demo` |
//! | `GET /demo/state` | [`DemoState`] as JSON |
//! | `POST /demo/refresh`, `userinfo`, `introspect`, `revoke`, `client-credentials` | does that, then the new [`DemoState`] |
//! | `GET /demo/events` | server-sent events, each a [`DemoEvent`] as JSON, its `id` the position |
//!
//! The stream of events begins with a comment line, sent at once, so that the
//! browser knows that it is connected. One that was broken off begins anew, with
//! all events: the script knows those that it has shown. The posts carry the
//! page's CSRF token in the header [`CSRF_HEADER`] and have no body. A refusal of the authorization server is an exchange like any other
//! and answers 200; only when the demo itself can't go on (no session, a wrong
//! CSRF token) does it answer 4xx.

use std::sync::LazyLock;

use askama::Template;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::interaction::assets::Asset;
use crate::interaction::pages::{Frame, html};

/// Where the script sends the page's CSRF token.
pub const CSRF_HEADER: &str = "X-CSRF-Token";

/// Shows tokens, calls and events; without it the page can start a login only.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::script("demo", include_str!("assets/demo.js")));

/// The page at `/demo`; sent with
/// [`script_page_headers`](crate::interaction::headers::script_page_headers).
#[derive(Template)]
#[template(path = "demo.html", config = ".askama.toml")]
pub struct DemoPage<'a> {
    pub frame: Frame<'a>,
    pub issuer: &'a str,
    pub csrf: &'a str,
    /// Whether this browser came back from a login and holds a grant.
    pub has_grant: bool,
    /// The data folder, for the command line: as a shell takes it.
    pub data: &'a str,
    /// What the authorization response said instead of a code.
    pub error: Option<DemoError<'a>>,
}

/// An error response that came to the demo's redirect URI.
#[derive(Debug, Clone, Copy)]
pub struct DemoError<'a> {
    /// `access_denied`
    pub code: &'a str,
    /// `error_description`
    pub description: Option<&'a str>,
}

impl DemoPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

pub(crate) fn script_url() -> &'static str {
    &SCRIPT.url
}

/// Everything that the demo knows of this browser's grant.
///
/// ```json
/// { "grant_id": "0198…", "revoked": false,
///   "tokens": { "access_token": "eyJ…", "id_token": "eyJ…", "refresh_token": "…",
///               "token_type": "Bearer", "scope": "openid profile", "expires_at": 1767225600 },
///   "exchanges": [ { "call": "push", "method": "POST", "url": "http://localhost:8080/par",
///                    "parameters": [["response_type", "code"]], "status": 201,
///                    "answer": { "request_uri": "…", "expires_in": 60 } } ] }
/// ```
///
/// It has no `Debug`, since it carries tokens.
#[derive(Serialize)]
pub struct DemoState {
    /// Null before the first login.
    pub grant_id: Option<String>,
    /// Whether the demo has revoked the grant.
    pub revoked: bool,
    /// The tokens of the last answer that brought any; null before.
    pub tokens: Option<DemoTokens>,
    /// What was said with the authorization server, oldest first; the demo may
    /// drop the oldest.
    pub exchanges: Vec<DemoExchange>,
}

/// The tokens, as the token endpoint gave them.
#[derive(Clone, Serialize)]
pub struct DemoTokens {
    pub access_token: String,
    pub id_token: Option<String>,
    pub refresh_token: Option<String>,
    pub token_type: String,
    pub scope: Option<String>,
    /// When the access token expires, in seconds since 1970.
    pub expires_at: i64,
}

/// One request of the demo's and its answer.
#[derive(Clone, Serialize)]
pub struct DemoExchange {
    pub call: DemoCall,
    /// `POST`
    pub method: &'static str,
    /// Where it went. For [`DemoCall::Authorize`] the URL the browser was sent
    /// to, parameters left out.
    pub url: String,
    /// The parameters sent, in their order. Client authentication is left out.
    pub parameters: Vec<(String, String)>,
    /// The status of the answer; null for [`DemoCall::Authorize`].
    pub status: Option<u16>,
    /// The JSON that came back; for [`DemoCall::Authorize`] an object of the
    /// response's parameters; null where the answer is empty.
    pub answer: Option<Box<RawValue>>,
}

/// What the request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DemoCall {
    /// RFC 9126
    Push,
    /// The browser went to the authorization endpoint and came back.
    Authorize,
    /// RFC 6749 §4.1.3, RFC 7636
    Redeem,
    /// RFC 6749 §6
    Refresh,
    /// OpenID Connect Core §5.3
    Userinfo,
    /// RFC 7662
    Introspect,
    /// RFC 7009
    Revoke,
    /// RFC 6749 §4.4
    ClientCredentials,
}

/// One event of the browser's grants (the one of the login, and those of client
/// credentials), as it happens; the stream begins with those that happened
/// already.
///
/// ```json
/// { "position": 17, "occurred_at": 1767225600, "grant_id": "0198…",
///   "event_type": "AuthorizationCodeRedeemed",
///   "summary": "The code was redeemed by demo", "actor": "client demo" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoEvent {
    /// Its place in the log; also the `id` of the server-sent event.
    pub position: u64,
    /// Seconds since 1970.
    pub occurred_at: i64,
    pub grant_id: String,
    pub event_type: String,
    /// One plain sentence.
    pub summary: String,
    /// Who did it: `client demo`, `subject 4f2a09c1…`.
    pub actor: String,
}
