//! `response_mode=query`: in the query component (RFC 6749 §4.1.2).

use chancery_domain::protocol::redirect_uri::RedirectUri;

use super::{Parameters, encode};

/// What the redirect URI has of a query stays as it is (RFC 6749 §3.1.2).
pub(super) fn url(redirect_uri: &RedirectUri, parameters: &Parameters<'_>) -> String {
    let own = redirect_uri.as_str();
    let separator = match own.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{own}{separator}{}", encode(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_redirect_uri_is_kept() {
        for (own, expected) in [
            ("https://rp.example/cb", "https://rp.example/cb?code=a+b%26c&iss=https%3A%2F%2Fas"),
            ("https://rp.example", "https://rp.example?code=a+b%26c&iss=https%3A%2F%2Fas"),
            (
                "https://rp.example/cb?x=%20y",
                "https://rp.example/cb?x=%20y&code=a+b%26c&iss=https%3A%2F%2Fas",
            ),
            ("https://rp.example/cb?", "https://rp.example/cb?code=a+b%26c&iss=https%3A%2F%2Fas"),
            ("com.example.app:/cb", "com.example.app:/cb?code=a+b%26c&iss=https%3A%2F%2Fas"),
        ] {
            let own = RedirectUri::parse(own).unwrap();
            assert_eq!(url(&own, &[("code", "a b&c"), ("iss", "https://as")]), expected);
        }
    }
}
