//! Answers to browsers: pages, redirects, and the authorization response (RFC
//! 6749 §4.1.2, §4.2.2, RFC 9207, JARM).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
};
use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::response_mode::ResponseMode;
use url::Url;

use super::headers::{for_popups, form_action_source, script_page_headers};
use super::pages::Frame;
use super::session_state::SessionState;
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::response_modes::{Carrier, Sealer, Shown, carry};
use crate::services::Services;

/// When to come again, in seconds, where nobody knows better (RFC 9110 §15.6.4).
const SHORTLY: u32 = 5;

/// A page.
#[must_use]
pub fn page(status: StatusCode, html: String, headers: &[(&'static str, String)]) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((RETRY_AFTER, SHORTLY));
    }
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
    pub services: &'a Services,
    pub frame: Frame<'a>,
    pub client: &'a RegisteredClient,
    pub redirect_uri: &'a RedirectUri,
    pub mode: ResponseMode,
    pub state: Option<&'a str>,
    /// OpenID Connect Session Management §2
    pub session_state: Option<SessionState>,
}

/// What a response needs that may be missing: had before anything is committed
/// that the response tells.
pub struct Envelope(Option<Sealer>);

impl Target<'_> {
    /// Gets what the response needs. Without it, not even an error could be
    /// told: it would have to travel the same way (JARM §2.1).
    pub async fn envelope(&self) -> Result<Envelope, OAuthError> {
        let sealer = if self.mode.is_jwt() {
            // The request is right; what its answer needs can't be had.
            let failed = |error| OAuthError { code: ErrorCode::ServerError, ..error };
            Some(Sealer::of(self.services, self.client).await.map_err(failed)?)
        } else {
            None
        };
        Ok(Envelope(sealer))
    }

    /// RFC 6749 §4.1.2.1
    pub async fn error(&self, error: &OAuthError) -> Result<HttpResponse, OAuthError> {
        let description = error.plain_description();
        let own = [("error", error.code.as_str()), ("error_description", &*description)];
        self.send(&self.envelope().await?, &own).await
    }

    /// Sends these parameters, and those that every response has.
    pub async fn send(
        &self,
        envelope: &Envelope,
        own: &[(&str, &str)],
    ) -> Result<HttpResponse, OAuthError> {
        let mut parameters = own.to_vec();
        parameters.extend(self.state.map(|state| ("state", state)));
        let session_state = self.session_state.as_ref();
        let told = session_state
            .and_then(|state| state.parameter(&self.client.client_id, self.redirect_uri));
        parameters.extend(told.as_deref().map(|told| ("session_state", told)));
        let issuer = self.services.issuer();
        let Envelope(Some(sealer)) = envelope else {
            parameters.push(("iss", issuer));
            return Ok(self.carry(&parameters));
        };
        let now = self.services.now();
        let jwt = sealer.seal(&parameters, issuer, self.client, now).await?;
        Ok(self.carry(&[("response", &jwt)]))
    }

    fn carry(&self, parameters: &[(&str, &str)]) -> HttpResponse {
        let client_name = client_name(self.client, self.frame.t.lang);
        let shown = Shown { frame: self.frame, client_name };
        let mut answer = match carry(self.mode, self.redirect_uri, parameters, &shown) {
            Carrier::Redirect(url) => redirect(url),
            Carrier::Page(html) => {
                let headers = script_page_headers(form_action(self.redirect_uri).as_deref());
                let headers = for_popups(headers);
                page(StatusCode::OK, html, &headers)
            }
        };
        if let Some(state) = &self.session_state {
            state.give(&mut answer);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §15.6.4.
    #[test]
    fn a_page_that_is_not_there_now_says_when_to_come_again() {
        let header = |status| page(status, String::new(), &[]).headers().get(RETRY_AFTER).cloned();
        assert_eq!(header(StatusCode::SERVICE_UNAVAILABLE).unwrap(), "5");
        assert_eq!(header(StatusCode::OK), None);
    }
}
