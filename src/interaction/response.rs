//! Answers to browsers: pages, redirects, and the authorization response (RFC
//! 6749 §4.1.2, RFC 9207).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::response_mode::ResponseMode;
use url::Url;

use super::headers::{for_popups, form_action_source, script_page_headers};
use super::pages::Frame;
use super::session_state::SessionState;
use crate::oauth_error::OAuthError;
use crate::response_modes::{Carrier, Shown, carry};

/// A page.
#[must_use]
pub fn page(status: StatusCode, html: String, headers: &[(&'static str, String)]) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    for (name, value) in headers {
        answer.insert_header((*name, value.as_str()));
    }
    answer.body(html)
}

/// Sends the browser elsewhere by GET, whatever it came with (RFC 9700 §4.12).
#[must_use]
pub fn redirect(location: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// What the person knows the client by, in their language if the client has a
/// name in it (RFC 7591 §2.2).
#[must_use]
pub fn client_name<'a>(client: &'a RegisteredClient, locale: &str) -> &'a str {
    let metadata = &client.metadata;
    let name = metadata.localized("client_name", locale).or(metadata.client_name.as_deref());
    name.unwrap_or(client.client_id.as_str())
}

/// What a form must be allowed to lead to, for a redirect URI.
#[must_use]
pub fn form_action(redirect_uri: &RedirectUri) -> Option<String> {
    Url::parse(redirect_uri.as_str()).ok().as_ref().map(form_action_source)
}

/// Where an authorization response goes.
pub struct Target<'a> {
    pub frame: Frame<'a>,
    pub issuer: &'a str,
    pub client: &'a RegisteredClient,
    pub redirect_uri: &'a RedirectUri,
    pub mode: ResponseMode,
    pub state: Option<&'a str>,
    /// OpenID Connect Session Management §2
    pub session_state: Option<SessionState>,
}

impl Target<'_> {
    /// RFC 6749 §4.1.2
    #[must_use]
    pub fn code(&self, code: &str) -> HttpResponse {
        self.send(&[("code", code)])
    }

    /// RFC 6749 §4.1.2.1
    #[must_use]
    pub fn error(&self, error: &OAuthError) -> HttpResponse {
        self.send(&[
            ("error", error.code.as_str()),
            ("error_description", &error.description.replace(['"', '\\'], "'")),
        ])
    }

    fn send(&self, own: &[(&str, &str)]) -> HttpResponse {
        let mut parameters = own.to_vec();
        parameters.extend(self.state.map(|state| ("state", state)));
        parameters.push(("iss", self.issuer));
        let session_state = self.session_state.as_ref();
        let told = session_state
            .and_then(|state| state.parameter(&self.client.client_id, self.redirect_uri));
        parameters.extend(told.as_deref().map(|told| ("session_state", told)));
        let client_name = client_name(self.client, self.frame.t.lang);
        let shown = Shown { frame: self.frame, client_name };
        let mut answer = match carry(self.mode, self.redirect_uri, &parameters, &shown) {
            Carrier::Redirect(url) => redirect(url),
            Carrier::Page(html) => {
                let headers = script_page_headers(form_action(self.redirect_uri).as_deref());
                let headers = for_popups(headers);
                page(StatusCode::OK, html, &headers)
            }
        };
        if let Some(state) = session_state {
            state.give(&mut answer);
        }
        answer
    }
}
