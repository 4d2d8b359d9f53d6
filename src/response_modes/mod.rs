//! How authorization responses travel to the redirect URI (OAuth 2.0 Multiple
//! Response Type Encoding Practices §2.1). One file for each mode.

mod form_post;
mod fragment;
mod jwt;
mod query;

use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::response_mode::ResponseMode;

pub use self::jwt::Sealer;
use crate::interaction::pages::Frame;

/// The parameters of a response, in the order in which they are sent.
pub type Parameters<'a> = [(&'a str, &'a str)];

/// What makes the browser carry a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// It is sent to this URL.
    Redirect(String),
    /// It posts the form of this page.
    Page(String),
}

/// What a person may see of it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub frame: Frame<'a>,
    pub client_name: &'a str,
}

/// Puts a response on its way. In the modes with a JWT, that is the only
/// parameter.
#[must_use]
pub fn carry(
    mode: ResponseMode,
    redirect_uri: &RedirectUri,
    parameters: &Parameters<'_>,
    shown: &Shown<'_>,
) -> Carrier {
    match mode {
        ResponseMode::Query | ResponseMode::QueryJwt => {
            Carrier::Redirect(query::url(redirect_uri, parameters))
        }
        // Requests name what `jwt` stands for; the fragment is no place to leak from.
        ResponseMode::Fragment | ResponseMode::FragmentJwt | ResponseMode::Jwt => {
            Carrier::Redirect(fragment::url(redirect_uri, parameters))
        }
        ResponseMode::FormPost | ResponseMode::FormPostJwt => {
            Carrier::Page(form_post::page(redirect_uri, parameters, shown))
        }
    }
}

fn encode(parameters: &Parameters<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}
