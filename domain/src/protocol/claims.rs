//! `claims` (OpenID Connect Core §5.5): which claims a request asks for by name,
//! where they shall come, and what they shall be.
//!
//! The names stand in events; what a claim shall be is somebody's data, and is
//! sealed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest parameter that is read, in bytes.
const MAX_LENGTH: usize = 8192;

/// The most claims of one place.
const MAX_CLAIMS: usize = 100;

/// The longest name, in bytes.
const MAX_NAME: usize = 128;

/// The most values of one claim.
const MAX_VALUES: usize = 100;

/// How deep a value may be nested: an address is an object of texts.
const MAX_DEPTH: usize = 4;

/// A `claims` parameter that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("claims must be a JSON object as in OpenID Connect Core section 5.5, and not too large")]
pub struct MalformedClaims;

/// What is asked of one claim.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The client can't do without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// It shall be one of these, preferred first; none: anything (`value` is a
    /// list of one).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// Claims by name.
type Claims = BTreeMap<String, ClaimRequest>;

/// A `claims` parameter. It has no `Debug`, since values are somebody's data.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// Those that shall come in the ID token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: Claims,
    /// Those that shall come from the userinfo endpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: Claims,
}

impl ClaimsRequest {
    /// Reads the parameter. What is not known of it is ignored, and a `null`
    /// asks for a claim as it is.
    pub fn parse(text: &str) -> Result<Self, MalformedClaims> {
        if text.len() > MAX_LENGTH {
            return Err(MalformedClaims);
        }
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| MalformedClaims)?;
        Ok(Self {
            id_token: claims_at(&object, "id_token")?,
            userinfo: claims_at(&object, "userinfo")?,
        })
    }

    /// The names alone.
    #[must_use]
    pub fn names(&self) -> ClaimNames {
        let names = |claims: &Claims| claims.keys().cloned().collect();
        ClaimNames { id_token: names(&self.id_token), userinfo: names(&self.userinfo) }
    }

    /// Does it say more than names?
    #[must_use]
    pub fn says_more(&self) -> bool {
        let mut claims = self.id_token.values().chain(self.userinfo.values());
        claims.any(|claim| *claim != ClaimRequest::default())
    }

    /// May the answer be about a person whom the client knows by this `sub`?
    /// None: no `sub` is asked for (OpenID Connect Core §3.1.2.2).
    #[must_use]
    pub fn admits(&self, sub: &str) -> Option<bool> {
        let asked = [&self.id_token, &self.userinfo].map(|claims| claims.get("sub"));
        let mut asked =
            asked.into_iter().flatten().filter(|claim| !claim.values.is_empty()).peekable();
        asked.peek()?;
        Some(asked.all(|claim| claim.values.iter().any(|value| value == sub)))
    }

    /// The authentication context classes asked for, and whether one of them
    /// must be met (OpenID Connect Core §5.5.1.1).
    pub fn acr(&self) -> (impl Iterator<Item = &str>, bool) {
        let asked = self.id_token.get("acr");
        let values = asked.map(|claim| claim.values.as_slice()).unwrap_or_default();
        let must = asked.is_some_and(|claim| claim.essential && !claim.values.is_empty());
        (values.iter().filter_map(Value::as_str), must)
    }
}

impl ClaimRequest {
    /// Is this value as good as any, or one of those asked for?
    #[must_use]
    pub fn fits(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

fn claims_at(object: &Map<String, Value>, place: &str) -> Result<Claims, MalformedClaims> {
    let claims = match object.get(place) {
        None | Some(Value::Null) => return Ok(Claims::new()),
        Some(Value::Object(claims)) if claims.len() <= MAX_CLAIMS => claims,
        Some(_) => return Err(MalformedClaims),
    };
    let read = |(name, asked): (&String, &Value)| {
        let is_name = (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
        if is_name { Ok((name.clone(), claim(asked)?)) } else { Err(MalformedClaims) }
    };
    claims.iter().map(read).collect()
}

fn claim(asked: &Value) -> Result<ClaimRequest, MalformedClaims> {
    let asked = match asked {
        Value::Null => return Ok(ClaimRequest::default()),
        Value::Object(asked) => asked,
        _ => return Err(MalformedClaims),
    };
    let essential = match asked.get("essential") {
        None => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(MalformedClaims),
    };
    let values = match (asked.get("value"), asked.get("values")) {
        (None, None) => vec![],
        (Some(value), None) => vec![value.clone()],
        (None, Some(Value::Array(values))) if (1..=MAX_VALUES).contains(&values.len()) => {
            values.clone()
        }
        _ => return Err(MalformedClaims),
    };
    if values.iter().any(|value| !is_shallow(value, MAX_DEPTH)) {
        return Err(MalformedClaims);
    }
    Ok(ClaimRequest { essential, values })
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Array(values) => values.iter().all(|value| is_shallow(value, below)),
        Value::Object(members) => members.values().all(|value| is_shallow(value, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// The names of claims, by the place where they come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClaimNames {
    /// Those of the ID token.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<String>,
    /// Those of the userinfo endpoint.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<String>,
}

impl ClaimNames {
    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// Are these among the others, each at its place?
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        self.id_token.is_subset(&others.id_token) && self.userinfo.is_subset(&others.userinfo)
    }

    /// All names, wherever they come; some may come twice.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.id_token.iter().chain(&self.userinfo).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(claims: &Value) -> Result<ClaimsRequest, MalformedClaims> {
        ClaimsRequest::parse(&claims.to_string())
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// OpenID Connect Core §5.5
    #[test]
    fn the_example_of_the_standard_is_read() {
        let claims = parsed(&json!({
            "userinfo": {
                "given_name": { "essential": true },
                "nickname": null,
                "email": { "essential": true },
                "http://example.info/claims/groups": null,
            },
            "id_token": {
                "auth_time": { "essential": true },
                "acr": { "values": ["urn:mace:incommon:iap:silver"] },
            },
            "who_knows": 1,
        }));
        let claims = claims.unwrap();
        assert_eq!(claims.names().id_token, names(&["acr", "auth_time"]));
        assert_eq!(claims.names().userinfo.len(), 4);
        assert!(claims.userinfo["email"].essential && !claims.userinfo["nickname"].essential);
        assert!(claims.says_more());
        let (values, must) = claims.acr();
        assert_eq!(
            (values.collect::<Vec<_>>(), must),
            (vec!["urn:mace:incommon:iap:silver"], false)
        );
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let deep = json!([[[[1]]]]);
        let many: Map<_, _> = (0..=MAX_CLAIMS).map(|n| (n.to_string(), Value::Null)).collect();
        for claims in [
            json!([]),
            json!("x"),
            json!({ "id_token": [] }),
            json!({ "userinfo": "email" }),
            json!({ "userinfo": { "email": true } }),
            json!({ "userinfo": { "email": { "essential": "yes" } } }),
            json!({ "userinfo": { "email": { "values": "a" } } }),
            json!({ "userinfo": { "email": { "values": [] } } }),
            json!({ "userinfo": { "email": { "value": 1, "values": [1] } } }),
            json!({ "userinfo": { "email": { "value": deep } } }),
            json!({ "userinfo": { "": null } }),
            json!({ "userinfo": { "a\nb": null } }),
            json!({ "userinfo": { "a".repeat(MAX_NAME + 1): null } }),
            json!({ "userinfo": many }),
            json!({ "other": "x".repeat(MAX_LENGTH) }),
        ] {
            assert!(parsed(&claims).is_err(), "{claims}");
        }
        for text in ["", "{", "{}x", "null"] {
            assert!(ClaimsRequest::parse(text).is_err(), "{text}");
        }
        assert!(ClaimsRequest::parse(&"[".repeat(5000)).is_err());
    }

    /// OpenID Connect Core §5.5: members that are not understood are ignored.
    #[test]
    fn names_alone_say_no_more() {
        for claims in [
            json!({}),
            json!({ "id_token": null }),
            json!({ "userinfo": { "email": null, "name": {}, "age": { "max": 3 } } }),
        ] {
            assert!(!parsed(&claims).unwrap().says_more(), "{claims}");
        }
    }

    /// OpenID Connect Core §3.1.2.2
    #[test]
    fn a_sub_that_is_asked_for_admits_nobody_else() {
        let admits = |claims: Value, sub| parsed(&claims).unwrap().admits(sub);
        assert_eq!(admits(json!({ "id_token": { "sub": null } }), "a"), None);
        for place in ["id_token", "userinfo"] {
            let one = json!({ place: { "sub": { "value": "a" } } });
            assert_eq!(admits(one.clone(), "a"), Some(true));
            assert_eq!(admits(one, "b"), Some(false));
            let many = json!({ place: { "sub": { "values": ["a", "b"] } } });
            assert_eq!(admits(many, "b"), Some(true));
        }
        let both = json!({ "id_token": { "sub": { "value": "a" } },
            "userinfo": { "sub": { "value": "b" } } });
        assert_eq!(admits(both, "a"), Some(false));
        assert_eq!(admits(json!({ "id_token": { "sub": { "value": 1 } } }), "1"), Some(false));
    }

    #[test]
    fn an_essential_acr_must_be_one_of_its_values() {
        let must = |claims: Value| parsed(&claims).unwrap().acr().1;
        assert!(must(json!({ "id_token": { "acr": { "essential": true, "value": "a" } } })));
        assert!(!must(json!({ "id_token": { "acr": { "essential": true } } })));
        assert!(!must(json!({ "id_token": { "acr": { "value": "a" } } })));
        assert!(!must(json!({ "userinfo": { "acr": { "essential": true, "value": "a" } } })));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,200}") {
            let _ = ClaimsRequest::parse(&text);
        }

        #[test]
        fn what_was_read_is_kept_whole(essential: bool, values in proptest::collection::vec(".{0,9}", 1..4)) {
            let claims = json!({ "id_token": { "acr": { "essential": essential, "values": values } } });
            let read = parsed(&claims).unwrap();
            let kept = serde_json::to_value(&read).unwrap();
            prop_assert!(serde_json::from_value::<ClaimsRequest>(kept).unwrap() == read);
        }
    }
}
