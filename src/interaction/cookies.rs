//! The cookies that a browser keeps for us.
//!
//! Over TLS they have the `__Host-` prefix, so that no other host of the same
//! site can set them. All but one are `HttpOnly` and `SameSite=Lax`: a form that
//! another site posts comes without them.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

/// One of our cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The session, until the browser is closed or the session ends.
    Session,
    /// When the session was last used here, where idle sessions end.
    LastUse,
    /// What form tokens are bound to.
    Csrf,
    /// The accounts that have logged in with this browser.
    Device,
    /// Whether the same person is still logged in, for scripts to read, also in a
    /// frame of another site: it opens nothing.
    BrowserState,
}

impl Kind {
    pub(super) const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-chancery-session",
            (Self::Session, false) => "chancery-session",
            (Self::LastUse, true) => "__Host-chancery-last-use",
            (Self::LastUse, false) => "chancery-last-use",
            (Self::Csrf, true) => "__Host-chancery-csrf",
            (Self::Csrf, false) => "chancery-csrf",
            (Self::Device, true) => "__Host-chancery-device",
            (Self::Device, false) => "chancery-device",
            (Self::BrowserState, true) => "__Host-chancery-browser",
            (Self::BrowserState, false) => "chancery-browser",
        }
    }

    /// The value that the browser sent.
    #[must_use]
    pub fn read(self, request: &HttpRequest, secure: bool) -> Option<String> {
        Some(request.cookie(self.name(secure))?.value().to_owned())
    }

    /// The cookie with this value. Secure: the issuer is https.
    #[must_use]
    pub fn set(self, secure: bool, value: String) -> Cookie<'static> {
        let mut cookie = Cookie::new(self.name(secure), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(secure);
        cookie.set_same_site(SameSite::Lax);
        if self == Self::BrowserState {
            cookie.set_http_only(false);
            // Browsers take `None` over TLS only.
            cookie.set_same_site(if secure { SameSite::None } else { SameSite::Lax });
        }
        if self == Self::Device {
            cookie.set_max_age(Duration::days(180));
        }
        cookie
    }

    /// Tells the browser to forget the cookie.
    #[must_use]
    pub fn clear(self, secure: bool) -> Cookie<'static> {
        let mut cookie = self.set(secure, String::new());
        cookie.make_removal();
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_over_tls_is_of_this_host_only() {
        assert_eq!(
            Kind::Session.set(true, "x".to_owned()).to_string(),
            "__Host-chancery-session=x; HttpOnly; SameSite=Lax; Secure; Path=/"
        );
        assert_eq!(
            Kind::Session.set(false, "x".to_owned()).to_string(),
            "chancery-session=x; HttpOnly; SameSite=Lax; Path=/"
        );
        assert!(Kind::Device.set(true, "x".to_owned()).to_string().contains("Max-Age=15552000"));
    }

    /// OpenID Connect Session Management §3.2
    #[test]
    fn one_cookie_is_for_scripts_in_frames_of_other_sites() {
        let browser = |secure| Kind::BrowserState.set(secure, "x".to_owned()).to_string();
        assert_eq!(browser(true), "__Host-chancery-browser=x; SameSite=None; Secure; Path=/");
        assert_eq!(browser(false), "chancery-browser=x; SameSite=Lax; Path=/");
    }

    #[test]
    fn a_removal_has_the_attributes_of_what_it_removes() {
        let text = Kind::Session.clear(true).to_string();
        assert!(
            text.starts_with(
                "__Host-chancery-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"
            ),
            "{text}"
        );
    }
}
