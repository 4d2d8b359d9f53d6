//! The headers that every page is sent with.
//!
//! `Referrer-Policy` is `same-origin`, not `no-referrer`: under `no-referrer` a
//! browser sends our own forms with `Origin: null`, and the check of the origin
//! could no longer tell them from a stranger's. Nothing is sent to other sites
//! with either.

use url::{Host, Url};

/// Header names and values, ready to be set.
pub type Headers = [(&'static str, String); 8];

/// For pages without script.
///
/// Chromium applies `form-action` also to the redirect that answers a form, so
/// `form_action` names where the relying party is sent to afterwards (make it
/// with [`form_action_source`]).
#[must_use]
pub fn security_headers(form_action: Option<&str>) -> Headers {
    headers(policy("", form_action))
}

/// For the pages that an application may show in a window that it opened. Any
/// other value than `unsafe-none` would take the window from it for good, and
/// its own page could not tell it the outcome afterwards.
#[must_use]
pub fn popup_headers(form_action: Option<&str>) -> Headers {
    for_popups(security_headers(form_action))
}

/// The same headers, for a page that may stand in such a window.
#[must_use]
pub fn for_popups(headers: Headers) -> Headers {
    headers.map(|(name, value)| match name {
        "Cross-Origin-Opener-Policy" => (name, "unsafe-none".to_owned()),
        _ => (name, value),
    })
}

/// For the page that posts an authorization response, and the demo: pages that
/// load one script of ours, which may call this server and nobody else.
#[must_use]
pub fn script_page_headers(form_action: Option<&str>) -> Headers {
    headers(policy("script-src 'self'; connect-src 'self'; ", form_action))
}

/// For the page that loads pages of clients in frames, from these sources only (make them with
/// [`frame`](crate::logout::frontchannel::frame)).
#[must_use]
pub fn frame_page_headers<'a>(sources: impl IntoIterator<Item = &'a str>) -> Headers {
    let mut sources: Vec<&str> = sources.into_iter().filter(|source| is_source(source)).collect();
    sources.sort_unstable();
    sources.dedup();
    if sources.is_empty() {
        return security_headers(None);
    }
    headers(policy(&format!("frame-src {}; ", sources.join(" ")), None))
}

/// For the page that clients put into frames of theirs: one script of ours, and
/// nothing to see or to press.
#[must_use]
pub fn framed_page_headers() -> Vec<(&'static str, String)> {
    let policy = "default-src 'none'; script-src 'self'; form-action 'none'; base-uri 'none'; \
                  frame-ancestors http: https:";
    let own = headers(policy.to_owned()).into_iter();
    own.filter(|(name, _)| *name != "X-Frame-Options")
        .map(|(name, value)| match name {
            "Cross-Origin-Resource-Policy" => (name, "cross-origin".to_owned()),
            _ => (name, value),
        })
        .collect()
}

/// The `form-action` source that covers a redirect URI: its origin; the bare
/// scheme of an app's own scheme, and of an IPv6 address, which the policy's
/// grammar can't name.
#[must_use]
pub fn form_action_source(redirect_uri: &Url) -> String {
    let origin = redirect_uri.origin();
    match redirect_uri.host() {
        Some(Host::Domain(_) | Host::Ipv4(_)) if origin.is_tuple() => origin.ascii_serialization(),
        _ => format!("{}:", redirect_uri.scheme()),
    }
}

fn policy(scripts: &str, form_action: Option<&str>) -> String {
    let form_action = match form_action.filter(|source| is_source(source)) {
        Some(source) => format!("'self' {source}"),
        None => "'self'".to_owned(),
    };
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; {scripts}\
         form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    )
}

/// A source can't bring a second directive, nor a keyword, along.
fn is_source(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b':' | b'/' | b'_')
        })
}

fn headers(policy: String) -> Headers {
    [
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("X-Frame-Options", "DENY".to_owned()),
        ("Referrer-Policy", "same-origin".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Cross-Origin-Opener-Policy", "same-origin".to_owned()),
        ("Cross-Origin-Resource-Policy", "same-origin".to_owned()),
        (
            "Permissions-Policy",
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()".to_owned(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csp(headers: &Headers) -> &str {
        &headers.iter().find(|(name, _)| *name == "Content-Security-Policy").unwrap().1
    }

    #[test]
    fn a_form_may_lead_to_the_relying_party_and_nowhere_else() {
        assert_eq!(
            csp(&security_headers(Some("https://rp.example"))),
            "default-src 'none'; style-src 'self'; img-src 'self' data:; \
             form-action 'self' https://rp.example; frame-ancestors 'none'; base-uri 'none'"
        );
    }

    #[test]
    fn a_page_without_script_allows_no_script() {
        assert!(!csp(&security_headers(None)).contains("script-src"));
        assert!(
            csp(&script_page_headers(None)).contains("; script-src 'self'; connect-src 'self'")
        );
    }

    #[test]
    fn frames_come_from_the_named_clients_only() {
        assert!(!csp(&frame_page_headers([])).contains("frame-src"));
        let sources = ["https://b.example", "https://a.example:8443", "https://b.example", "*"];
        assert!(
            csp(&frame_page_headers(sources))
                .contains("; frame-src https://a.example:8443 https://b.example; form-action")
        );
    }

    /// OpenID Connect Session Management §3.2
    #[test]
    fn one_page_may_stand_in_any_frame_and_do_nothing_else() {
        let headers = framed_page_headers();
        let policy =
            &headers.iter().find(|(name, _)| *name == "Content-Security-Policy").unwrap().1;
        assert!(policy.contains("frame-ancestors http: https:"));
        assert!(policy.contains("default-src 'none'; script-src 'self'; form-action 'none'"));
        assert!(headers.iter().all(|(name, _)| *name != "X-Frame-Options"));
    }

    #[test]
    fn a_source_can_not_smuggle_a_directive() {
        for hostile in
            ["https://a; script-src *", "https://a https://b", "*", "'unsafe-inline'", "a,b", ""]
        {
            assert!(csp(&security_headers(Some(hostile))).contains("form-action 'self';"));
        }
    }

    #[test]
    fn every_kind_of_redirect_uri_has_a_source() {
        for (uri, source) in [
            ("https://rp.example/cb?x=1", "https://rp.example"),
            ("http://127.0.0.1:4000/cb", "http://127.0.0.1:4000"),
            ("http://localhost:4000/cb", "http://localhost:4000"),
            ("http://[::1]:4000/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("com.example.app://host/cb", "com.example.app:"),
        ] {
            let found = form_action_source(&Url::parse(uri).unwrap());
            assert_eq!(found, source);
            assert!(is_source(&found), "{found}");
        }
    }
}
