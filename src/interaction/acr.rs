//! Of which authentication context class a login is, for a request (OpenID
//! Connect Core §2, §5.5.1.1; Unmet Authentication Requirements).
//!
//! The settings list the classes that a login here meets, the weakest first. A
//! class that is essential, or the client's least, is met or the request fails;
//! nothing is pretended. What is only preferred is looked for, preferred first,
//! and otherwise the strongest is told.

use chancery_domain::authorization::AuthorizationRequest;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::claims::ClaimsRequest;

/// No login here is of a class that was demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmet;

/// The class to tell the client, of those that a login meets.
pub fn choose<'a>(
    met: &'a [String],
    client: &ClientMetadata,
    request: &AuthorizationRequest,
    claims: Option<&ClaimsRequest>,
) -> Result<&'a str, Unmet> {
    let least = match &client.minimum_acr {
        None => 0,
        Some(least) => met.iter().position(|own| own == least).ok_or(Unmet)?,
    };
    let enough = met.get(least..).unwrap_or_default();
    let may_ask = |name: &str| {
        let allowed = &client.authorized_acr_values;
        allowed.is_empty() || allowed.iter().any(|own| own == name)
    };
    let find =
        |name: &str| enough.iter().find(|own| *own == name && may_ask(name)).map(String::as_str);
    let (by_claim, must) = claims.map(ClaimsRequest::acr).unzip();
    let mut by_claim = by_claim.into_iter().flatten();
    if must == Some(true) {
        return by_claim.find_map(find).ok_or(Unmet);
    }
    let mut asked = request.acr_values.iter().map(String::as_str).chain(by_claim).peekable();
    let found = if asked.peek().is_some() {
        asked.find_map(find)
    } else {
        client.default_acr_values.iter().find_map(|name| find(name))
    };
    found.or(enough.last().map(String::as_str)).ok_or(Unmet)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::demands::tests::request;
    use super::*;

    struct Case {
        acr_values: &'static [&'static str],
        claims: Value,
        client: ClientMetadata,
    }

    impl Default for Case {
        fn default() -> Self {
            Self { acr_values: &[], claims: json!({}), client: ClientMetadata::default() }
        }
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Of a server whose logins are of the classes `low`, `middle` and `high`.
    fn chosen(case: &Case) -> Result<String, Unmet> {
        let met = owned(&["low", "middle", "high"]);
        let mut request = request("", None);
        request.acr_values = owned(case.acr_values);
        let claims = ClaimsRequest::parse(&case.claims.to_string()).unwrap();
        choose(&met, &case.client, &request, Some(&claims)).map(str::to_owned)
    }

    fn told(name: &str) -> Result<String, Unmet> {
        Ok(name.to_owned())
    }

    fn essential(values: Value) -> Value {
        json!({ "id_token": { "acr": { "essential": true, "values": values } } })
    }

    #[test]
    fn what_is_preferred_is_looked_for_in_its_order() {
        for (acr_values, expected) in [
            (&[][..], "high"),
            (&["middle", "low"], "middle"),
            (&["unknown", "low"], "low"),
            (&["unknown"], "high"),
        ] {
            assert_eq!(chosen(&Case { acr_values, ..Case::default() }), told(expected));
        }
        let claims = json!({ "id_token": { "acr": { "values": ["unknown", "middle"] } } });
        assert_eq!(chosen(&Case { claims, ..Case::default() }), told("middle"));
    }

    /// OpenID Connect Core §5.5.1.1
    #[test]
    fn what_is_essential_is_met_or_fails() {
        let with = |claims| chosen(&Case { claims, acr_values: &["high"], ..Case::default() });
        assert_eq!(with(essential(json!(["unknown", "low"]))), told("low"));
        assert_eq!(with(essential(json!(["unknown"]))), Err(Unmet));
        assert_eq!(with(essential(json!([1]))), Err(Unmet));
        assert_eq!(with(json!({ "id_token": { "acr": { "essential": true } } })), told("high"));
    }

    #[test]
    fn nothing_weaker_than_the_clients_least_is_told() {
        let client = |least: &str| ClientMetadata {
            minimum_acr: Some(least.to_owned()),
            ..ClientMetadata::default()
        };
        let with = |least: &str, acr_values, claims| {
            chosen(&Case { acr_values, claims, client: client(least) })
        };
        assert_eq!(with("middle", &["low", "middle"], json!({})), told("middle"));
        assert_eq!(with("middle", &["low"], json!({})), told("high"));
        assert_eq!(with("unknown", &[], json!({})), Err(Unmet));
        assert_eq!(with("middle", &[], essential(json!(["low"]))), Err(Unmet));
    }

    #[test]
    fn a_client_asks_for_no_more_than_it_may() {
        let client = ClientMetadata {
            authorized_acr_values: owned(&["low"]),
            default_acr_values: owned(&["middle", "low"]),
            ..ClientMetadata::default()
        };
        let with =
            |acr_values, claims| chosen(&Case { acr_values, claims, client: client.clone() });
        assert_eq!(with(&[], json!({})), told("low"));
        assert_eq!(with(&["middle"], json!({})), told("high"));
        assert_eq!(with(&[], essential(json!(["middle"]))), Err(Unmet));
        assert_eq!(with(&[], essential(json!(["middle", "low"]))), told("low"));
    }

    /// OpenID Connect Registration §2
    #[test]
    fn a_default_counts_where_nothing_is_asked() {
        let client =
            ClientMetadata { default_acr_values: owned(&["low"]), ..ClientMetadata::default() };
        let with =
            |acr_values| chosen(&Case { acr_values, client: client.clone(), ..Case::default() });
        assert_eq!(with(&[]), told("low"));
        assert_eq!(with(&["middle"]), told("middle"));
    }
}
