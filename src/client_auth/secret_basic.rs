//! `client_secret_basic` (RFC 6749 §2.3.1): identifier and secret, each
//! form-encoded, in the `Authorization` header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;

use super::{Method, Presented, Refusal, Sent, verify_secret};

pub(super) const METHOD: Method = Method {
    name: ClientAuthMethod::SecretBasic,
    find: |sent: &Sent<'_>| sent.authorization.and_then(find).transpose(),
    verify: |attempt| Box::pin(verify_secret(attempt)),
    algorithms: &[],
};

/// None: the header is of another scheme.
fn find(authorization: &str) -> Option<Result<Presented, Refusal>> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Some(read(credentials.trim()).ok_or(Refusal::MalformedHeader))
}

fn read(credentials: &str) -> Option<Presented> {
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    Some(Presented { client_id: form_decoded(client_id)?, credential: form_decoded(secret)? })
}

/// Undoes `application/x-www-form-urlencoded` for one value.
fn form_decoded(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    // The encoding leaves no '&' and no '=' in a value, so what it gives is one name.
    if text.contains(['&', '=']) {
        return None;
    }
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(credentials: &str) -> String {
        format!("bAsIc {}", STANDARD.encode(credentials))
    }

    /// RFC 6749 §2.3.1: both parts are form-encoded first.
    #[test]
    fn identifier_and_secret_are_form_decoded() {
        let found = find(&header("a%3Ab:c+d%25")).unwrap().unwrap();
        assert_eq!(found.client_id, "a:b");
        assert_eq!(found.credential, "c d%");
    }

    #[test]
    fn another_scheme_is_not_ours_and_nonsense_is_refused() {
        assert!(find("Bearer abc").is_none());
        assert!(find("Basic !!!").unwrap().is_err());
        assert!(find(&header("no colon")).unwrap().is_err());
    }
}
