//! One visit of a browser: the request, and what it brought along.

use std::net::IpAddr;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderName, ORIGIN, USER_AGENT};
use actix_web::{FromRequest, HttpRequest, web};
use chancery_domain::envelope::ActorKind;
use chancery_domain::ids::{ClientId, GrantId};
use futures_util::future::{Ready, ready};

use super::cookies::Kind;
use super::pages::Frame;
use super::texts;
use crate::aggregates::Origin;
use crate::http::request::{client_address, request_id};
use crate::services::Services;

/// A request of a browser, and the server that it came to.
pub struct Visit {
    services: web::Data<Services>,
    pub request: HttpRequest,
    /// Names the request in the log, in events and on error pages.
    pub id: String,
    pub address: Option<IpAddr>,
}

impl Visit {
    /// Is the issuer https, so that cookies are too?
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.services.config.server.issuer.is_https()
    }

    /// What a page for this person has in common with all others.
    #[must_use]
    pub fn frame(&self, ui_locales: &[String]) -> Frame<'_> {
        let base = self.services.config.server.issuer.url().path().trim_end_matches('/');
        Frame { t: texts::choose(ui_locales, self.header(ACCEPT_LANGUAGE)), base }
    }

    /// What the browser says that it is, cut where no honest one goes on.
    #[must_use]
    pub fn user_agent(&self) -> Option<String> {
        self.header(USER_AGENT).map(|text| text.chars().take(512).collect())
    }

    /// The cookie that the browser sent.
    #[must_use]
    pub fn cookie(&self, kind: Kind) -> Option<String> {
        kind.read(&self.request, self.is_secure())
    }

    /// What is done here is done by a person, whoever it is.
    #[must_use]
    pub fn origin(&self, grant: Option<GrantId>, client: Option<&ClientId>) -> Origin {
        let mut origin = Origin::of(ActorKind::Subject, None);
        origin.client_id = client.cloned();
        origin.request_id = Some(self.id.clone());
        origin.correlation_id = grant.map(|id| id.to_string());
        origin
    }

    /// Did one of our own pages send this form, as far as the browser tells?
    /// Old ones tell nothing; the form's token decides then.
    #[must_use]
    pub fn is_from_our_page(&self) -> bool {
        let own = self.services.config.server.issuer.url().origin().ascii_serialization();
        let site = HeaderName::from_static("sec-fetch-site");
        self.header(ORIGIN).is_none_or(|origin| origin == own)
            && self.header(site).is_none_or(|site| matches!(site, "same-origin" | "none"))
    }

    /// Did a page of another site lead here, as far as the browser tells? Then it
    /// left the strict cookies at home.
    #[must_use]
    pub fn comes_from_elsewhere(&self) -> bool {
        let site = HeaderName::from_static("sec-fetch-site");
        self.header(site).is_some_and(|site| matches!(site, "cross-site" | "same-site"))
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        // What is no text is not what was looked for, but it was there.
        self.request.headers().get(name).map(|value| value.to_str().unwrap_or_default())
    }
}

impl FromRequest for Visit {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let services = web::Data::<Services>::from_request(request, payload).into_inner();
        ready(services.map(|services| Self {
            id: request_id(&services),
            address: client_address(&services, request),
            request: request.clone(),
            services,
        }))
    }
}

impl Deref for Visit {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
