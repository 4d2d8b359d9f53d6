//! Request objects by reference (RFC 9101 §5.2, OpenID Connect Core §6.2).
//!
//! The browser brings the address, so only those that the client registered are
//! fetched, under the limits of all outgoing calls, and never from a host of the
//! operator's block list. While a slow server is waited for, nobody else waits:
//! each client has only so many fetches under way.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::authorization::RequestUriError;
use chancery_domain::client::{ClientMetadata, RegisteredClient};
use chancery_domain::ids::ClientId;
use chancery_domain::time::{Lifetime, UnixTime};
use lru::LruCache;
use url::Url;

use crate::config::Config;
use crate::oauth_error::OAuthError;
use crate::outbound::{Fetched, Outbound, OutboundError, OutboundSetupError};
use crate::services::Services;
use crate::telemetry::metrics as figures;

/// Objects that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(200).unwrap();

/// The longest that one is kept, in seconds. (Its own `exp` is looked at each
/// time.)
const LONGEST: u32 = 300;

/// No object is longer, in bytes.
const LARGEST: u32 = 128 * 1024;

/// How many of one client's objects may be on their way at once.
const UNDER_WAY: usize = 32;

const ACCEPT: &str = "application/oauth-authz-req+jwt, application/jwt;q=0.9";

/// The media types of an object: its own, and those of JWTs (RFC 7519 §10.3.1,
/// RFC 7515 §9.2.1). RFC 9101 §10.4.1.
const TYPES: [&str; 3] = ["application/oauth-authz-req+jwt", "application/jwt", "application/jose"];

/// Fetches request objects.
pub struct RequestUris {
    outbound: Outbound,
    kept: Mutex<LruCache<String, (Arc<str>, UnixTime)>>,
    under_way: Mutex<HashMap<ClientId, usize>>,
}

impl RequestUris {
    pub fn new(config: &Config, figures: figures::Outbound) -> Result<Self, OutboundSetupError> {
        let mut settings = config.outbound.clone();
        let blocked = &config.authorization.request_uri_blocked_hosts;
        settings.blocked_hosts.extend(blocked.iter().cloned());
        settings.largest_answer = settings.largest_answer.min(LARGEST);
        Ok(Self {
            outbound: Outbound::new(&settings, figures)?,
            kept: Mutex::new(LruCache::new(KEPT)),
            under_way: Mutex::default(),
        })
    }

    /// May a client register this URL?
    pub fn check(&self, url: &Url) -> Result<(), OutboundError> {
        self.outbound.check(url)
    }

    fn kept(&self, key: &str, now: UnixTime) -> Option<Arc<str>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(_, until)| now < *until).map(|(object, _)| Arc::clone(object))
    }

    fn keep(&self, key: String, object: &Arc<str>, until: UnixTime) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(key, (Arc::clone(object), until));
    }

    /// A place among the fetches of this client, until it is dropped.
    fn place(&self, client_id: &ClientId) -> Option<Place<'_>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(client_id.clone()).or_default();
        if *count >= UNDER_WAY {
            return None;
        }
        *count += 1;
        Some(Place { of: self, client_id: client_id.clone() })
    }
}

struct Place<'a> {
    of: &'a RequestUris,
    client_id: ClientId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.client_id) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.client_id);
            }
        }
    }
}

/// The object that stands at this address, signed by whomever.
///
/// The outer error is ours, the inner one the client's.
pub async fn fetch(
    services: &Services,
    client: &RegisteredClient,
    uri: &str,
) -> Result<Result<Arc<str>, RequestUriError>, OAuthError> {
    let Some((address, hash)) = registered(&client.metadata, uri) else {
        return Ok(Err(RequestUriError::NotRegistered));
    };
    let Ok(url) = Url::parse(address) else { return Ok(Err(RequestUriError::Unreachable)) };
    let (uris, now) = (&services.request_uris, services.now());
    let key = format!("{address}#{}", hash.unwrap_or_default());
    if let Some(object) = uris.kept(&key, now) {
        return Ok(Ok(object));
    }
    let _place = uris.place(&client.client_id).ok_or_else(OAuthError::busy)?;
    let fetched = match uris.outbound.get(&url, ACCEPT).await {
        Ok(fetched) => fetched,
        Err(error) => {
            let client_id = &client.client_id;
            tracing::warn!(client.id = %client_id, %error, "no request object: {error}");
            return Ok(Err(RequestUriError::Unreachable));
        }
    };
    let object = match object(&fetched, hash) {
        Ok(object) => object,
        Err(error) => return Ok(Err(error)),
    };
    // What its hash names can't change; else its server says how long it is good.
    let usual = if hash.is_some() { LONGEST } else { 0 };
    let lifetime = fetched.max_age.unwrap_or(usual).min(LONGEST);
    if lifetime > 0 {
        uris.keep(key, &object, now + Lifetime::from_seconds(lifetime));
    }
    Ok(Ok(object))
}

/// The address without its fragment, and the hash of what stands there, if the
/// client registered it: that of the request, or else that of the registration
/// (OpenID Connect Core §6.2: a new hash says that there is something new).
fn registered<'a>(
    metadata: &'a ClientMetadata,
    uri: &'a str,
) -> Option<(&'a str, Option<&'a str>)> {
    fn split(uri: &str) -> (&str, Option<&str>) {
        uri.split_once('#').map_or((uri, None), |(address, hash)| (address, Some(hash)))
    }
    let (address, hash) = split(uri);
    let mut known = metadata.request_uris.iter().map(|own| split(own));
    let (_, own_hash) = known.find(|(own, _)| *own == address)?;
    Some((address, hash.or(own_hash)))
}

fn object(fetched: &Fetched, hash: Option<&str>) -> Result<Arc<str>, RequestUriError> {
    let good_type = fetched.content_type.as_deref().is_none_or(|typ| TYPES.contains(&typ));
    if fetched.status != 200 || !good_type {
        return Err(RequestUriError::NoObject);
    }
    let own = URL_SAFE_NO_PAD.encode(digest(&SHA256, &fetched.body));
    if hash.is_some_and(|hash| hash != own) {
        return Err(RequestUriError::Hash);
    }
    let text = std::str::from_utf8(&fetched.body).map_err(|_| RequestUriError::NoObject)?;
    Ok(text.trim_ascii().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(uris: &[&str]) -> ClientMetadata {
        let request_uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        ClientMetadata { request_uris, ..ClientMetadata::default() }
    }

    /// OpenID Connect Core §6.2
    #[test]
    fn an_address_is_registered_whatever_its_hash() {
        let metadata = metadata(&["https://rp.example/a", "https://rp.example/b#one"]);
        let a = "https://rp.example/a";
        assert_eq!(registered(&metadata, a), Some((a, None)));
        assert_eq!(registered(&metadata, "https://rp.example/a#x"), Some((a, Some("x"))));
        let b = "https://rp.example/b";
        assert_eq!(registered(&metadata, b), Some((b, Some("one"))));
        assert_eq!(registered(&metadata, "https://rp.example/b#two"), Some((b, Some("two"))));
        for other in ["https://rp.example/a?x", "https://rp.example/a/", "http://rp.example/a", ""]
        {
            assert_eq!(registered(&metadata, other), None, "{other}");
        }
    }

    #[test]
    fn what_is_fetched_must_be_an_object_with_its_hash() {
        let fetched = |status, content_type: Option<&str>, body: &str| Fetched {
            status,
            content_type: content_type.map(str::to_owned),
            body: body.into(),
            max_age: None,
        };
        let jwt = Some("application/jwt");
        let good = fetched(200, jwt, "e.y.J\n");
        assert_eq!(object(&good, None).as_deref(), Ok("e.y.J"));
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"e.y.J\n"));
        assert_eq!(object(&good, Some(&hash)).as_deref(), Ok("e.y.J"));
        assert_eq!(object(&good, Some("")), Err(RequestUriError::Hash));
        assert_eq!(object(&fetched(200, None, "x"), None).as_deref(), Ok("x"));
        for bad in [fetched(302, jwt, "x"), fetched(200, Some("text/html"), "x")] {
            assert_eq!(object(&bad, None), Err(RequestUriError::NoObject));
        }
    }
}
