//! `response_mode=fragment`: in the fragment component, which no server sees.

use chancery_domain::protocol::redirect_uri::RedirectUri;

use super::{Parameters, encode};

/// A redirect URI has no fragment of its own (RFC 6749 §3.1.2).
pub(super) fn url(redirect_uri: &RedirectUri, parameters: &Parameters<'_>) -> String {
    format!("{redirect_uri}#{}", encode(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_stand_behind_the_query() {
        let own = RedirectUri::parse("https://rp.example/cb?x=1").unwrap();
        assert_eq!(
            url(&own, &[("error", "access_denied"), ("state", "#&")]),
            "https://rp.example/cb?x=1#error=access_denied&state=%23%26"
        );
    }
}
