//! What must be true of every answer, whatever was asked.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;
use url::Url;

/// Nobody's page may have this in it as it stands: it is in the dictionary.
const MARK: &str = "<x-fuzz";

/// Where answers may go to, besides this server: what is registered.
const REGISTERED: [&str; 3] =
    ["https://app.example/cb", "https://app.example/out", "http://127.0.0.1"];

/// An answer, read to its end.
pub struct Answer {
    pub path: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &actix_web::http::header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, if it says that it is.
    pub fn json(&self) -> Option<Value> {
        let is_json = self.header(&CONTENT_TYPE).is_some_and(|it| {
            let it = it.split(';').next().unwrap_or_default();
            it.ends_with("/json") || it.ends_with("+json")
        });
        is_json.then(|| serde_json::from_slice(&self.body).expect("JSON that is none"))
    }

    /// Panics if the answer is one that nobody may get.
    pub fn check(&self) {
        assert!(
            !self.status.is_server_error() || self.has_too_many_letters(),
            "{} for {}: {}",
            self.status,
            self.path,
            self.text()
        );
        self.goes_home();
        self.is_escaped();
        self.names_its_error();
    }

    /// Nobody takes the letters of this world, so there is room for no more of them at some time.
    fn has_too_many_letters(&self) -> bool {
        let sends = ["/password/forgot", "/account/confirm-email"].contains(&&*self.path);
        sends && self.status == 503 && self.header(&RETRY_AFTER).is_some()
    }

    /// RFC 9700 §4.11: no open redirector.
    fn goes_home(&self) {
        let Some(location) = self.header(&LOCATION) else { return };
        let issuer = Url::parse(crate::world::ISSUER).expect("the issuer");
        let to = issuer.join(location).expect("a place to go to");
        let plain = &to[..url::Position::AfterPath];
        let home = to.origin() == issuer.origin();
        let registered = REGISTERED.iter().any(|uri| {
            let uri = Url::parse(uri).expect("a registered URI");
            // RFC 8252 §7.3: the port of a loopback address may be another.
            let same_host = to.scheme() == uri.scheme() && to.host_str() == uri.host_str();
            plain == uri.as_str() || (uri.scheme() == "http" && same_host)
        });
        assert!(home || registered, "{} sends people to {location}", self.path);
    }

    fn is_escaped(&self) {
        let is_page = self.header(&CONTENT_TYPE).is_some_and(|it| it.starts_with("text/html"));
        if is_page {
            let page = self.text();
            assert!(!page.contains(MARK), "{} writes what it was sent: {page}", self.path);
        }
    }

    /// RFC 6749 §5.2, RFC 9126 §2.3, RFC 7662 §2.3, RFC 7009 §2.2.1: which error, in characters
    /// that it may have.
    fn names_its_error(&self) {
        const OAUTH: [&str; 5] = ["/token", "/par", "/introspect", "/revoke", "/register"];
        let refused = [400, 401, 403].contains(&self.status.as_u16());
        if !refused || !OAUTH.contains(&self.path.as_str()) {
            return;
        }
        let error =
            self.json().unwrap_or_else(|| panic!("{} names no error: {}", self.path, self.text()));
        let allowed = |text: &str| {
            text.bytes().all(|it| matches!(it, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        for (name, required) in [("error", true), ("error_description", false)] {
            let text = error[name].as_str();
            assert!(text.is_some() || !required, "{} names no error: {error}", self.path);
            assert!(text.is_none_or(allowed), "{}: RFC 6749 §5.2 forbids {error}", self.path);
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
