//! Form tokens: a form counts only if this browser got it from us for this very
//! purpose.
//!
//! The token is a MAC over a random cookie and what the form is about; another
//! site can neither read it nor make one.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::context::Visit;
use super::cookies::Kind;

/// The browser's part of the form tokens.
pub struct Csrf {
    value: String,
    is_new: bool,
}

impl Csrf {
    /// As the browser has it, or a new one.
    #[must_use]
    pub fn of(visit: &Visit) -> Self {
        if let Some(value) = visit.cookie(Kind::Csrf).filter(|value| is_ours(value)) {
            return Self { value, is_new: false };
        }
        let bytes: [u8; 32] = visit.entropy.bytes();
        Self { value: URL_SAFE_NO_PAD.encode(bytes), is_new: true }
    }

    /// The token of a form about these things.
    #[must_use]
    pub fn token(&self, visit: &Visit, about: &[&str]) -> String {
        visit.keys.get().csrf.tag(&self.over(about))
    }

    /// Did this browser get the form from us?
    #[must_use]
    pub fn is_good(&self, visit: &Visit, about: &[&str], token: Option<&str>) -> bool {
        !self.is_new
            && visit.is_from_our_page()
            && token.is_some_and(|token| visit.keys.get().csrf.is_tag(&self.over(about), token))
    }

    /// Gives the browser its part, unless it has it.
    pub fn give(&self, visit: &Visit, answer: &mut HttpResponse) {
        if self.is_new {
            // Fails only for a cookie that is no header value; ours is base64url.
            let _ = answer.add_cookie(&Kind::Csrf.set(visit.is_secure(), self.value.clone()));
        }
    }

    fn over<'a>(&'a self, about: &[&'a str]) -> Vec<&'a str> {
        std::iter::once(self.value.as_str()).chain(about.iter().copied()).collect()
    }
}

/// Thirty-two bytes: what somebody else set in our cookie's name is not taken
/// for ours by accident.
fn is_ours(value: &str) -> bool {
    URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32)
}
