//! What the standard claims look like (OpenID Connect Core §5.1): a client that
//! reads `email_verified` must not find a text there.

pub(super) use chancery_domain::scope_definition::OWN_CLAIMS as OF_TOKENS;
use serde_json::Value;

const TEXTS: &[&str] = &[
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
];

const FLAGS: &[&str] = &["email_verified", "phone_number_verified"];

/// Why a value can't be a claim of an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    #[error("the claim {0} is the server's own")]
    Reserved(String),
    #[error("the claim {0} must be a string")]
    NotText(String),
    #[error("the claim {0} must be true or false")]
    NotFlag(String),
    #[error("the claim {0} must be an object of strings (OpenID Connect Core §5.1.1)")]
    NotAddress(String),
}

/// Is the value of this standard claim a text? (A name may have a language,
/// OpenID Connect Core §5.2.)
#[must_use]
pub fn is_text(name: &str) -> bool {
    TEXTS.contains(&without_language(name))
}

/// Refuses what an account can't have under this name; null is nothing.
pub fn check(name: &str, value: &Value) -> Result<(), InvalidClaim> {
    let base = without_language(name);
    // When something of a person changed last, the server knows.
    if base == "updated_at" || OF_TOKENS.contains(&base) {
        return Err(InvalidClaim::Reserved(name.to_owned()));
    }
    if value.is_null() {
        return Ok(());
    }
    if TEXTS.contains(&base) && !value.is_string() {
        return Err(InvalidClaim::NotText(name.to_owned()));
    }
    if FLAGS.contains(&base) && !value.is_boolean() {
        return Err(InvalidClaim::NotFlag(name.to_owned()));
    }
    let is_address = || value.as_object().is_some_and(|parts| parts.values().all(Value::is_string));
    if base == "address" && !is_address() {
        return Err(InvalidClaim::NotAddress(name.to_owned()));
    }
    Ok(())
}

pub(super) fn without_language(name: &str) -> &str {
    name.split_once('#').map_or(name, |(claim, _)| claim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_standard_claim_has_the_type_of_the_standard() {
        for (name, good, bad) in [
            ("name", json!("Ada"), json!(1)),
            ("name#de", json!("Ada"), json!(["Ada"])),
            ("birthdate", json!("1815"), json!(1815)),
            ("email_verified", json!(false), json!("false")),
            ("phone_number_verified", json!(true), json!(1)),
            ("address", json!({ "locality": "London" }), json!("London")),
            ("address", json!({}), json!({ "locality": 1 })),
        ] {
            assert_eq!(check(name, &good), Ok(()), "{name}");
            assert!(check(name, &bad).is_err(), "{name}");
            assert_eq!(check(name, &Value::Null), Ok(()), "{name}");
        }
        assert_eq!(check("department", &json!([1, { "a": true }])), Ok(()));
    }

    #[test]
    fn what_the_server_says_nobody_else_does() {
        for name in ["sub", "iss", "nonce", "acr", "sid", "updated_at", "sub#de"] {
            let refused = Err(InvalidClaim::Reserved(name.to_owned()));
            assert_eq!(check(name, &json!("x")), refused);
            assert_eq!(check(name, &Value::Null), refused);
        }
    }
}
