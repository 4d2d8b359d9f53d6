//! Telling clients by the browser that a session has ended: pages of theirs in
//! frames of ours (OpenID Connect Front-Channel Logout 1.0).

use chancery_domain::client::RegisteredClient;
use url::{Host, Url};

/// The page of a client that ends its own session when a browser loads it (§2), if it has one.
#[must_use]
pub fn frame(client: &RegisteredClient, issuer: &str, sid: &str) -> Option<Frame> {
    let text = client.metadata.frontchannel_logout_uri.as_deref()?;
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    if client.metadata.frontchannel_logout_session_required {
        url.query_pairs_mut().append_pair("iss", issuer).append_pair("sid", sid);
    }
    let source = match url.host()? {
        Host::Domain(_) | Host::Ipv4(_) => url.origin().ascii_serialization(),
        // The grammar of the policy can't name it.
        Host::Ipv6(_) => format!("{}:", url.scheme()),
    };
    Some(Frame { url: url.into(), source })
}

/// A page to be loaded in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub url: String,
    /// What the `frame-src` of our page has to allow.
    pub source: String,
}
