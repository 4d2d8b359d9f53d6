//! `scope` (RFC 6749 §3.3): a set of names, in the order of their first mention.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of scope tokens. Cheap to clone.
#[derive(Clone, Default, Eq)]
pub struct Scope(Arc<str>);

/// A text is no list of scope tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "scope must be names of visible ASCII characters, without quotation marks and backslashes, \
     separated by spaces"
)]
pub struct InvalidScope;

impl Scope {
    /// `openid` (OpenID Connect Core §3.1.2.1).
    pub const OPENID: &'static str = "openid";
    /// `offline_access` (OpenID Connect Core §11).
    pub const OFFLINE_ACCESS: &'static str = "offline_access";

    /// The scopes of OpenID Connect (Core §3.1.2.1, §5.4, §11): each is about a person.
    pub const ABOUT_A_PERSON: [&'static str; 6] =
        [Self::OPENID, "profile", "email", "address", "phone", Self::OFFLINE_ACCESS];

    /// The scopes that reach beyond what one person grants: never a client's
    /// that registered itself.
    pub const PRIVILEGED: [&'static str; 5] =
        ["admin", "audit:read", "events:pii", "events:read", "pii:read"];

    /// Is this scope, or a part of it that follows on a colon, one of
    /// [`Self::PRIVILEGED`]?
    #[must_use]
    pub fn is_privileged(name: &str) -> bool {
        let part_of = |own: &str| name.strip_prefix(own).is_some_and(|rest| rest.starts_with(':'));
        Self::PRIVILEGED.into_iter().any(|own| name == own || part_of(own))
    }

    /// Reads a space-delimited list; repeated names count once.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let valid = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e | b' ');
        if !text.bytes().all(valid) {
            return Err(InvalidScope);
        }
        Ok(text.split(' ').filter(|name| !name.is_empty()).collect())
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|name| !name.is_empty())
    }

    /// Does it have this name?
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|own| own == name)
    }

    /// Has it no name?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Are all of its names in `other`?
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|name| other.contains(name))
    }

    /// Those of its names that are in `other` too.
    #[must_use]
    pub fn narrow(&self, other: &Self) -> Self {
        if self.is_within(other) {
            return self.clone();
        }
        self.iter().filter(|name| other.contains(name)).collect()
    }

    /// Its names and those of `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_within(self) {
            return self.clone();
        }
        self.iter().chain(other.iter()).collect()
    }

    /// Its names without this one.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        if self.contains(name) {
            return self.iter().filter(|own| *own != name).collect();
        }
        self.clone()
    }

    /// The space-delimited list.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut unique: Vec<&str> = Vec::new();
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        Self(unique.join(" ").into())
    }
}

/// Two scopes with the same names are the same, whatever their order.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.is_within(other) && other.is_within(self))
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_repetition_counts_once() {
        assert_eq!(Scope::parse("a b a").unwrap(), Scope::parse("b a").unwrap());
        assert_eq!(Scope::parse("a b a").unwrap().as_str(), "a b");
    }

    #[test]
    fn narrowing_keeps_what_both_have() {
        let wide = Scope::parse("openid email").unwrap();
        let asked = Scope::parse("email admin openid").unwrap();
        assert_eq!(asked.narrow(&wide).as_str(), "email openid");
    }

    #[test]
    fn a_name_outside_of_the_grammar_is_refused() {
        assert_eq!(Scope::parse("a\"b"), Err(InvalidScope));
        assert_eq!(Scope::parse("a\tb"), Err(InvalidScope));
        assert_eq!(Scope::parse("größe"), Err(InvalidScope));
    }
}
