//! The scopes that there are, and the claims that each releases (OpenID Connect
//! Core §5.4): the standard ones and the operator's own.

use std::collections::BTreeMap;

use chancery_domain::protocol::scope::Scope;

use crate::config::scopes::ScopeText;
use crate::services::Services;

const STANDARD: &[(&str, &[&str])] = &[
    (Scope::OPENID, &[]),
    (Scope::OFFLINE_ACCESS, &[]),
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// The table of scopes, as it is now.
pub struct Scopes<'a> {
    own: &'a BTreeMap<String, ScopeText>,
}

/// Everyone who asks what a scope means asks here.
#[must_use]
pub fn scopes(services: &Services) -> Scopes<'_> {
    Scopes::new(&services.config.scopes)
}

impl<'a> Scopes<'a> {
    pub(super) const fn new(own: &'a BTreeMap<String, ScopeText>) -> Self {
        Self { own }
    }

    /// The names of all scopes, the standard ones first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.own.keys().map(String::as_str);
        let is_standard = |name: &str| STANDARD.iter().any(|(standard, _)| *standard == name);
        STANDARD.iter().map(|(name, _)| *name).chain(own.filter(move |name| !is_standard(name)))
    }

    /// The claims that a scope with these names releases, each once.
    #[must_use]
    pub fn claims_of(&self, scope: &Scope) -> Vec<&str> {
        self.claims_where(|name| scope.contains(name))
    }

    /// Every claim that some scope releases, each once.
    #[must_use]
    pub fn claims(&self) -> Vec<&str> {
        self.claims_where(|_| true)
    }

    /// What the operator says that a scope allows.
    #[must_use]
    pub fn description(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(|text| text.description.as_str())
    }

    fn claims_where(&self, asked: impl Fn(&str) -> bool) -> Vec<&str> {
        let standard = STANDARD.iter().filter(|(name, _)| asked(name));
        let standard = standard.flat_map(|(_, claims)| claims.iter().copied());
        let own = self.own.iter().filter(|(name, _)| asked(name));
        let own = own.flat_map(|(_, text)| text.claims.iter().map(String::as_str));
        let mut claims: Vec<&str> = Vec::new();
        for claim in standard.chain(own) {
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
        claims
    }
}
