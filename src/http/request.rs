//! What every handler wants to know of a request.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use chancery_domain::authorization::Parameters;

use crate::aggregates::Origin;
use crate::client_auth::{AuthenticatedClient, Sent, authenticate};
use crate::config::rate_limits::Limited;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::telemetry::trace::{self, Hex};

/// Names the request that is served here in the log and in the events that it
/// causes: the id of its span.
#[must_use]
pub fn request_id(services: &Services) -> String {
    trace::request_id().unwrap_or_else(|| Hex(services.entropy.bytes::<8>()).to_string())
}

/// The address of whoever sent the request: the peer, or whom a trusted proxy
/// names.
#[must_use]
pub fn client_address(services: &Services, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    if !services.config.server.trusts(peer) {
        return Some(peer);
    }
    // The last entry that is no trusted proxy: earlier ones are the sender's own words.
    let forwarded = request.headers().get_all("x-forwarded-for");
    let entries = forwarded.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    let addresses: Vec<IpAddr> = entries.filter_map(|entry| entry.trim().parse().ok()).collect();
    let foreign = addresses.iter().rev().find(|address| !services.config.server.trusts(**address));
    Some(foreign.copied().unwrap_or(peer))
}

/// Does the request want this media type, by its own name, and at least as much
/// as another one (RFC 9110 §12.5.1)?
#[must_use]
pub fn prefers(request: &HttpRequest, media_type: &str, other: &str) -> bool {
    let accepted = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let accepted: Vec<&str> = accepted.flat_map(|value| value.split(',')).collect();
    let quality = |media_type| accepted.iter().filter_map(|range| quality(range, media_type)).max();
    quality(media_type).is_some_and(|own| own > 0 && Some(own) >= quality(other))
}

/// How much a range wants a media type, in thousandths; None: it is another's.
fn quality(range: &str, media_type: &str) -> Option<u16> {
    let mut parts = range.split(';').map(str::trim);
    parts.next().filter(|name| name.eq_ignore_ascii_case(media_type))?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let Some(weight) = weight else { return Some(1000) };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    match whole {
        "1" => Some(1000),
        "0" if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{fraction:0<3}").get(..3)?.parse().ok()
        }
        _ => Some(0),
    }
}

/// The form of a request whose parameters stand in its body (RFC 6749 appendix
/// B).
pub fn form<'a>(request: &HttpRequest, body: &'a [u8]) -> Result<Parameters<'a>, OAuthError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = content_type.is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !form {
        let text = "the body must be application/x-www-form-urlencoded";
        return Err(OAuthError::invalid_request(text));
    }
    Ok(Parameters::parse(body))
}

/// The client of a request to one of its endpoints, and the origin of what it
/// causes.
pub async fn client(
    services: &Services,
    request: &HttpRequest,
    parameters: &Parameters<'_>,
) -> Result<(AuthenticatedClient, Origin), OAuthError> {
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let path = request.match_pattern();
    let path = path.as_deref().unwrap_or_else(|| request.path());
    let base = services.config.server.issuer.path();
    let path = path.strip_prefix(base).unwrap_or(path);
    let client = authenticate(services, Sent { authorization, parameters, path }).await?;
    let mut origin = Origin::client(&client.client_id);
    origin.request_id = Some(request_id(services));
    Ok((client, origin))
}

/// May the client call this endpoint once more (`[rate_limits]`)? In the name of a public client
/// everybody can call.
pub fn admit(
    services: &Services,
    request: &HttpRequest,
    endpoint: Limited,
    client: &AuthenticatedClient,
) -> Result<(), OAuthError> {
    let network = client.is_public().then(|| client_address(services, request).into());
    services.admit(endpoint, &client.client_id, network)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// RFC 9110 §12.4.2, §12.5.1
    #[test]
    fn a_media_type_is_given_to_those_who_name_it() {
        for (accept, wanted) in [
            ("application/x+jwt", true),
            ("Application/X+JWT;q=0.5", true),
            ("text/html, application/x+jwt; q=0.1", true),
            ("application/json;q=0.2, application/x+jwt;q=0.3", true),
            ("application/json, application/x+jwt", true),
            ("application/json, application/x+jwt;q=0.999", false),
            ("application/x+jwt;q=0", false),
            ("application/x+jwt;q=0.000", false),
            ("application/x+jwt;q=x", false),
            ("*/*", false),
            ("application/*", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            let found = prefers(&request, "application/x+jwt", "application/json");
            assert_eq!(found, wanted, "{accept}");
        }
        let none = TestRequest::default().to_http_request();
        assert!(!prefers(&none, "application/x+jwt", "application/json"));
    }
}
