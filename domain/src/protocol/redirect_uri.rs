//! `redirect_uri` (RFC 6749 §3.1.2), compared as strings (RFC 9700 §4.1.3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// A redirect URI, exactly as it was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectUri(Arc<str>);

/// Why a text can't be a redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// It is relative, or no URI at all.
    #[error("a redirect URI must be absolute")]
    NotAbsolute,
    /// It has a fragment.
    #[error("a redirect URI must not have a fragment")]
    HasFragment,
    /// It has a scheme that a browser would run, or characters that have no
    /// place in a URI.
    #[error("that scheme or character is not allowed in a redirect URI")]
    NotAllowed,
    /// It is longer than 2000 bytes.
    #[error("a redirect URI must not be longer than 2000 bytes")]
    TooLong,
}

impl RedirectUri {
    /// Reads a redirect URI.
    pub fn parse(text: &str) -> Result<Self, InvalidRedirectUri> {
        if text.len() > 2000 {
            return Err(InvalidRedirectUri::TooLong);
        }
        // RFC 3986 §2 has no others; a backslash is a slash to browsers only.
        let of_a_uri = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
        if !text.bytes().all(of_a_uri) {
            return Err(InvalidRedirectUri::NotAllowed);
        }
        if text.contains('#') {
            return Err(InvalidRedirectUri::HasFragment);
        }
        let url = Url::parse(text).map_err(|_| InvalidRedirectUri::NotAbsolute)?;
        if matches!(url.scheme(), "javascript" | "data" | "vbscript" | "blob" | "about" | "file") {
            return Err(InvalidRedirectUri::NotAllowed);
        }
        let web = matches!(url.scheme(), "http" | "https");
        if web && !names_a_plain_host(text) {
            return Err(InvalidRedirectUri::NotAllowed);
        }
        Ok(Self(text.into()))
    }

    /// The URI as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does a registered URI allow this one?
    ///
    /// They must be the same string; only the port of a loopback IP literal
    /// may differ (RFC 8252 §7.3).
    #[must_use]
    pub fn allows(&self, requested: &Self) -> bool {
        self == requested
            || self.without_loopback_port().is_some_and(|own| {
                requested.without_loopback_port().is_some_and(|other| own == other)
            })
    }

    /// Scheme, host and port, for a page's content security policy. None for
    /// a scheme that has no host.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        match url.scheme() {
            "http" | "https" => Some(url.origin().ascii_serialization()),
            scheme => Some(format!("{scheme}:")),
        }
    }

    fn without_loopback_port(&self) -> Option<(String, String)> {
        let url = Url::parse(&self.0).ok()?;
        let loopback = match url.host()? {
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
            Host::Domain(_) => false,
        };
        if url.scheme() != "http" || !loopback {
            return None;
        }
        let (_, after_scheme) = self.0.split_once("://")?;
        let end = after_scheme.find(['/', '?']).unwrap_or(after_scheme.len());
        let rest = after_scheme.get(end..)?;
        Some((url.host_str()?.to_owned(), rest.to_owned()))
    }
}

/// Has a web address `://`, then a host at once, and no user before it? `Url`
/// mends what is written otherwise, but what is written is what is sent.
fn names_a_plain_host(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        scheme.bytes().all(|b| b.is_ascii_alphabetic())
            && !authority.is_empty()
            && !authority.contains('@')
    })
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        Self::parse(text)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectUri({})", self.0)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[test]
    fn only_the_same_string_is_allowed() {
        let registered = uri("https://rp.example/cb?a=1");
        assert!(registered.allows(&uri("https://rp.example/cb?a=1")));
        for other in [
            "https://rp.example/cb",
            "https://rp.example/cb?a=1&b=2",
            "https://rp.example/cb/?a=1",
            "https://rp.example:8443/cb?a=1",
            "https://RP.example/cb?a=1",
            "http://rp.example/cb?a=1",
        ] {
            assert!(!registered.allows(&uri(other)), "{other}");
        }
    }

    /// RFC 8252 §7.3
    #[test]
    fn the_port_of_a_loopback_address_may_differ() {
        let registered = uri("http://127.0.0.1/cb");
        assert!(registered.allows(&uri("http://127.0.0.1:50123/cb")));
        assert!(!registered.allows(&uri("http://127.0.0.1:50123/other")));
        assert!(!registered.allows(&uri("http://[::1]:50123/cb")));
        assert!(!registered.allows(&uri("http://127.0.0.1.evil.example/cb")));
        assert!(!uri("http://localhost/cb").allows(&uri("http://localhost:1/cb")));
    }

    #[test]
    fn dangerous_or_relative_ones_are_refused() {
        for (text, why) in [
            ("/cb", InvalidRedirectUri::NotAbsolute),
            ("https://rp.example/cb#x", InvalidRedirectUri::HasFragment),
            ("javascript:alert(1)", InvalidRedirectUri::NotAllowed),
            ("https://user:pw@rp.example/", InvalidRedirectUri::NotAllowed),
            ("https://@rp.example/", InvalidRedirectUri::NotAllowed),
            ("https:rp.example/", InvalidRedirectUri::NotAllowed),
            ("https:///rp.example/", InvalidRedirectUri::NotAllowed),
            ("https://rp.example\\@evil.example/", InvalidRedirectUri::NotAllowed),
            ("https://rp.example/<script>", InvalidRedirectUri::NotAllowed),
            ("DATA:text/html,x", InvalidRedirectUri::NotAllowed),
            ("https://rp.example/\r\nX: y", InvalidRedirectUri::NotAllowed),
        ] {
            assert_eq!(RedirectUri::parse(text), Err(why), "{text}");
        }
        assert!(RedirectUri::parse("com.example.app:/cb").is_ok());
        assert!(RedirectUri::parse("http://[::1]:8080/cb?a=b@c").is_ok());
        let long = format!("https://rp.example/{}", "a".repeat(2000));
        assert_eq!(RedirectUri::parse(&long), Err(InvalidRedirectUri::TooLong));
    }

    /// What a browser mends, another reads as another host.
    #[test]
    fn a_loopback_address_is_not_what_a_parser_makes_of_it() {
        for trick in [r"http://127.0.0.1\@evil.example/cb", "http:127.0.0.1/cb"] {
            assert_eq!(RedirectUri::parse(trick), Err(InvalidRedirectUri::NotAllowed), "{trick}");
        }
    }

    #[test]
    fn a_page_allows_the_origin_only() {
        assert_eq!(uri("https://rp.example/cb?a").origin().unwrap(), "https://rp.example");
        assert_eq!(uri("http://[::1]:81/cb").origin().unwrap(), "http://[::1]:81");
        assert_eq!(uri("com.example.app:/cb").origin().unwrap(), "com.example.app:");
    }
}
