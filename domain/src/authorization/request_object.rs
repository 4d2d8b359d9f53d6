//! What a request object must say (RFC 9101 §4, §6.3), and the parameters that
//! it holds. That it is the client's own, by its signature, is known before.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::checks::RequestError;
use super::request::{Parameters, Source};
use crate::client::SecurityProfile;
use crate::ids::ClientId;
use crate::time::UnixTime;

/// Clocks differ: a time so far ahead is taken for now.
const AHEAD: i64 = 30;

/// How long an object may be good, and how old it may be (FAPI 2.0 Message
/// Signing §5.3.1).
const FAPI_LONGEST: i64 = 3_600;

/// The claims that are about the object and are no parameters (RFC 7519 §4.1).
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// What is wrong with a request object. Follows on "the request object".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestObjectError {
    /// It can't be read, or has extensions.
    #[error("is not a JWT as RFC 9101 wants it")]
    Malformed,
    /// It is encrypted by what is not accepted, to another key, or wrongly.
    #[error("can't be decrypted")]
    Undecryptable,
    /// `alg` is `none`, or not one that the client may use.
    #[error("is not signed with an algorithm that this client may use")]
    Algorithm,
    /// It says that it is something else (RFC 9101 §10.8).
    #[error("has the typ of something else")]
    Type,
    /// The client has no keys or secret, or they can't be had.
    #[error("can't be verified: the client's keys or secret can't be had")]
    NoKeys,
    /// It is signed by a key that is not the client's, or changed.
    #[error("is not signed by this client")]
    Signature,
    /// `request` or `request_uri` inside of it (RFC 9101 §4).
    #[error("must not contain request or request_uri")]
    Recursive,
    /// `client_id` is missing or another client's (RFC 9101 §6.3).
    #[error("must have the client_id of the request")]
    ClientId,
    /// `iss` is not the client.
    #[error("must have the client_id as its iss")]
    Issuer,
    /// It was made for another server.
    #[error("must have the issuer of this server in its aud")]
    Audience,
    /// `exp`, `nbf` or `iat` is no number.
    #[error("has an exp, nbf or iat that is no number")]
    Time,
    /// `exp` is past.
    #[error("has expired")]
    Expired,
    /// `nbf` or `iat` is ahead.
    #[error("is not good yet")]
    Early,
    /// It is good for longer than the client's profile wants.
    #[error("needs nbf and exp at most 60 minutes apart, and an nbf not longer ago than that")]
    Lifetime,
}

/// Whom a request object is from, and for.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// This server.
    pub issuer: &'a str,
    /// The client that signed it.
    pub client_id: &'a ClientId,
    /// The client's rules.
    pub profile: SecurityProfile,
    /// Now.
    pub now: UnixTime,
}

/// The parameters of a request object that the client signed: they alone count
/// (RFC 9101 §6.3). Where its claims are not good, the parameters still say
/// where the client is told.
#[must_use]
pub fn read_request_object(
    claims: &Map<String, Value>,
    addressee: &Addressee<'_>,
) -> Parameters<'static> {
    let source = match check(claims, addressee) {
        Ok(()) => Source::RequestObject,
        Err(error) => Source::Faulty(RequestError::RequestObject(error)),
    };
    let pairs = claims
        .iter()
        .filter(|(name, _)| !REGISTERED.contains(&name.as_str()))
        .map(|(name, value)| (Cow::Owned(name.clone()), Cow::Owned(text(value))));
    Parameters::of(pairs, source)
}

/// As the value would stand in a query (OpenID Connect Core §6.1): numbers and
/// objects are JSON there, too. `null` is as good as nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn check(claims: &Map<String, Value>, addressee: &Addressee<'_>) -> Result<(), RequestObjectError> {
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err(RequestObjectError::Recursive);
    }
    let is_client =
        |name: &str| claims.get(name).and_then(Value::as_str) == Some(addressee.client_id.as_str());
    if !is_client("client_id") {
        return Err(RequestObjectError::ClientId);
    }
    if !is_client("iss") {
        return Err(RequestObjectError::Issuer);
    }
    let is_here = |value: &Value| value.as_str() == Some(addressee.issuer);
    let meant = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_here),
        Some(one) => is_here(one),
        None => false,
    };
    if !meant {
        return Err(RequestObjectError::Audience);
    }
    check_times(claims, addressee)
}

fn check_times(
    claims: &Map<String, Value>,
    addressee: &Addressee<'_>,
) -> Result<(), RequestObjectError> {
    let now = addressee.now.seconds();
    let [exp, nbf, iat] = ["exp", "nbf", "iat"].map(|name| numeric_date(claims.get(name)));
    let (exp, nbf, iat) = (exp?, nbf?, iat?);
    if exp.is_some_and(|exp| exp <= now) {
        return Err(RequestObjectError::Expired);
    }
    let is_ahead = |time: Option<i64>| time.is_some_and(|time| time > now.saturating_add(AHEAD));
    if is_ahead(nbf) || is_ahead(iat) {
        return Err(RequestObjectError::Early);
    }
    if addressee.profile == SecurityProfile::Standard {
        return Ok(());
    }
    match (nbf, exp) {
        (Some(nbf), Some(exp))
            if now.saturating_sub(nbf) <= FAPI_LONGEST
                && exp.saturating_sub(nbf) <= FAPI_LONGEST =>
        {
            Ok(())
        }
        _ => Err(RequestObjectError::Lifetime),
    }
}

/// RFC 7519 §2: seconds, perhaps with a fraction.
fn numeric_date(value: Option<&Value>) -> Result<Option<i64>, RequestObjectError> {
    let Some(value) = value else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a time out of range becomes the last one")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    seconds.map(Some).ok_or(RequestObjectError::Time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// Good claims, but for these changes; `null` removes.
    fn read(changes: &Value, profile: SecurityProfile) -> Parameters<'static> {
        let mut claims = json!({
            "iss": "rp", "aud": "https://as.example", "client_id": "rp",
            "nbf": NOW, "exp": NOW + 300, "state": "s",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object_mut().unwrap();
        claims.retain(|_, value| !value.is_null());
        let addressee = Addressee {
            issuer: "https://as.example",
            client_id: &ClientId::parse("rp").unwrap(),
            profile,
            now: UnixTime::from_seconds(NOW),
        };
        read_request_object(claims, &addressee)
    }

    fn standard(changes: &Value) -> Source {
        read(changes, SecurityProfile::Standard).source()
    }

    fn fapi(changes: &Value) -> Source {
        read(changes, SecurityProfile::Fapi2).source()
    }

    const fn faulty(error: RequestObjectError) -> Source {
        Source::Faulty(RequestError::RequestObject(error))
    }

    /// RFC 9101 §4, §6.3
    #[test]
    fn each_fault_has_its_name() {
        use RequestObjectError as E;
        for (changes, error) in [
            (json!({"request": "x"}), E::Recursive),
            (json!({"request_uri": "x"}), E::Recursive),
            (json!({"client_id": null}), E::ClientId),
            (json!({"client_id": "other"}), E::ClientId),
            (json!({"client_id": 7}), E::ClientId),
            (json!({"iss": null}), E::Issuer),
            (json!({"iss": "other"}), E::Issuer),
            (json!({"aud": null}), E::Audience),
            (json!({"aud": []}), E::Audience),
            (json!({"aud": "https://as.example/"}), E::Audience),
            (json!({"aud": ["https://other.example"]}), E::Audience),
            (json!({"exp": "soon"}), E::Time),
            (json!({"nbf": [NOW]}), E::Time),
            (json!({"exp": NOW}), E::Expired),
            (json!({"exp": -1.0e300}), E::Expired),
            (json!({"nbf": NOW + 31}), E::Early),
            (json!({"iat": NOW + 31}), E::Early),
        ] {
            assert_eq!(standard(&changes), faulty(error), "{changes}");
            assert_eq!(fapi(&changes), faulty(error), "{changes}");
        }
    }

    #[test]
    fn good_ones_pass() {
        for changes in [
            json!({}),
            json!({"nbf": NOW + 30, "iat": NOW + 30}),
            json!({"nbf": NOW - 3_600, "exp": NOW.saturating_sub(3_600) + 3_601}),
            json!({"exp": 1_800_000_001.5}),
            json!({"aud": ["https://other.example", "https://as.example"]}),
        ] {
            assert_eq!(standard(&changes), Source::RequestObject, "{changes}");
        }
        assert_eq!(standard(&json!({"nbf": null, "exp": null})), Source::RequestObject);
    }

    /// FAPI 2.0 Message Signing §5.3.1
    #[test]
    fn a_profile_wants_objects_that_are_short_lived() {
        assert_eq!(fapi(&json!({"exp": NOW + 3_600})), Source::RequestObject);
        assert_eq!(fapi(&json!({"nbf": NOW - 3_500, "exp": NOW + 100})), Source::RequestObject);
        for changes in [
            json!({"nbf": null}),
            json!({"exp": null}),
            json!({"exp": NOW + 3_601}),
            json!({"nbf": NOW - 3_601, "exp": NOW + 1}),
        ] {
            assert_eq!(fapi(&changes), faulty(RequestObjectError::Lifetime), "{changes}");
        }
    }

    /// OpenID Connect Core §6.1
    #[test]
    fn values_become_what_they_would_be_in_a_query() {
        let changes = json!({
            "max_age": 86_400, "claims": {"userinfo": {"email": null}}, "flag": true,
            "empty": "", "jti": "1", "iat": NOW, "sub": "x",
        });
        let parameters = read(&changes, SecurityProfile::Standard);
        assert_eq!(parameters.get("max_age"), Some("86400"));
        assert_eq!(parameters.get("claims"), Some(r#"{"userinfo":{"email":null}}"#));
        assert_eq!(parameters.get("flag"), Some("true"));
        assert_eq!(parameters.get("state"), Some("s"));
        for left_out in REGISTERED.into_iter().chain(["empty"]) {
            assert_eq!(parameters.get(left_out), None, "{left_out}");
        }
    }
}
