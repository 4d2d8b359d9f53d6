//! The scopes that there are, what each allows, and the claims that it releases
//! (OpenID Connect Core §5.4): the standard ones, those of the settings, and
//! those that operators have defined while the server ran. A definition made at
//! run time counts before the settings, and these before the standard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use chancery_domain::ids::AggregateKind;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::scope_definition::{Definition, ScopeDefinition};
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aggregates::{Folded, Kept as _, LoadError};
use crate::config::scopes::ScopeText;
use crate::services::Services;
use crate::stores::Store;

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

/// Who says what a scope means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// OpenID Connect.
    Standard,
    /// `[scopes.NAME]`
    Settings,
    /// An operator, while the server ran.
    Defined,
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownScope {
    pub source: Source,
    pub definition: Definition,
    /// Where an operator defined it.
    pub defined_at: Option<UnixTime>,
}

/// The table of scopes, as it is now.
#[derive(Debug, Clone, Default)]
pub struct Scopes {
    /// The standard ones first.
    names: Vec<String>,
    known: BTreeMap<String, KnownScope>,
}

/// Everyone who asks what a scope means asks here.
#[must_use]
pub fn scopes(services: &Services) -> Arc<Scopes> {
    services.scopes.get()
}

impl Scopes {
    /// The table out of these parts.
    #[must_use]
    pub fn new(
        settings: &BTreeMap<String, ScopeText>,
        defined: impl IntoIterator<Item = (String, Definition, UnixTime)>,
    ) -> Self {
        let mut table = Self::default();
        for (name, claims) in STANDARD {
            let claims = claims.iter().map(|claim| (*claim).to_owned()).collect();
            let definition = Definition { claims, ..Definition::default() };
            table.put(name, Source::Standard, definition, None);
        }
        for (name, text) in settings {
            // What the settings say of a standard scope comes on top of the standard.
            let mut claims = table.known.get(name).map_or(vec![], |s| s.definition.claims.clone());
            claims.extend(
                text.claims
                    .iter()
                    .filter(|claim| !claims.contains(claim))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            let definition = Definition {
                description: Some(text.description.clone()),
                claims,
                privileged: text.privileged,
                ..Definition::default()
            };
            table.put(name, Source::Settings, definition, None);
        }
        for (name, definition, at) in defined {
            table.put(&name, Source::Defined, definition, Some(at));
        }
        table
    }

    fn put(
        &mut self,
        name: &str,
        source: Source,
        definition: Definition,
        defined_at: Option<UnixTime>,
    ) {
        let known = KnownScope { source, definition, defined_at };
        if self.known.insert(name.to_owned(), known).is_none() {
            self.names.push(name.to_owned());
        }
    }

    /// The names of all scopes, the standard ones first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The scope of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&KnownScope> {
        self.known.get(name)
    }

    /// The claims that a scope with these names releases, each once.
    #[must_use]
    pub fn claims_of(&self, scope: &Scope) -> Vec<&str> {
        self.claims_where(scope.iter())
    }

    /// Every claim that some scope releases, each once.
    #[must_use]
    pub fn claims(&self) -> Vec<&str> {
        self.claims_where(self.names())
    }

    /// What the operator says that a scope allows, in this language or else in
    /// that of the description.
    #[must_use]
    pub fn description(&self, name: &str, language: &str) -> Option<&str> {
        let definition = &self.get(name)?.definition;
        let is_it = |tag: &&String| tag.eq_ignore_ascii_case(language);
        let base = |tag: &&String| {
            let first = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            first(tag) == first(language)
        };
        let tags = || definition.localized.keys();
        let tag = tags().find(is_it).or_else(|| tags().find(base));
        let localized = tag.and_then(|tag| definition.localized.get(tag));
        localized.or(definition.description.as_ref()).map(String::as_str)
    }

    /// Does this scope reach beyond what one person grants?
    #[must_use]
    pub fn is_privileged(&self, name: &str) -> bool {
        Scope::is_privileged(name) || self.get(name).is_some_and(|s| s.definition.privileged)
    }

    /// Those of these scopes that are not privileged.
    #[must_use]
    pub fn unprivileged(&self, scope: &Scope) -> Scope {
        scope.iter().filter(|name| !self.is_privileged(name)).collect()
    }

    /// The scopes that operators have opened to clients that register themselves.
    #[must_use]
    pub fn open(&self) -> Scope {
        let open = |name: &&str| self.get(name).is_some_and(|scope| scope.definition.open);
        self.names().filter(open).collect()
    }

    fn claims_where<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<&str> {
        let mut claims: Vec<&str> = Vec::new();
        for scope in names.filter_map(|name| self.get(name)) {
            for claim in &scope.definition.claims {
                if !claims.contains(&claim.as_str()) {
                    claims.push(claim);
                }
            }
        }
        claims
    }
}

/// The table as this node keeps it: the feed brings what others have changed.
#[derive(Default)]
pub struct ScopeTable {
    now: RwLock<Arc<Scopes>>,
    /// Of two who read the store at once, the later one must not be overwritten.
    reading: tokio::sync::Mutex<()>,
}

impl ScopeTable {
    /// The table as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<Scopes> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads all definitions from the store.
    pub async fn reload(
        &self,
        store: &dyn Store,
        settings: &BTreeMap<String, ScopeText>,
    ) -> Result<(), LoadError> {
        let _reading = self.reading.lock().await;
        let mut defined = Vec::new();
        for name in store.ids(AggregateKind::ScopeDefinition).await? {
            let stream = ScopeDefinition::stream(&name);
            let folded = Folded::<ScopeDefinition>::load(store, &stream).await?;
            if let ScopeDefinition::Defined { definition, at } = folded.state {
                defined.push((name, definition, at));
            }
        }
        let table = Arc::new(Scopes::new(settings, defined));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(name: &str, claims: &[&str]) -> (String, Definition, UnixTime) {
        let definition = Definition {
            description: Some("see".to_owned()),
            claims: claims.iter().map(|&claim| claim.to_owned()).collect(),
            ..Definition::default()
        };
        (name.to_owned(), definition, UnixTime::from_seconds(1))
    }

    fn settings(name: &str, claims: &[&str]) -> BTreeMap<String, ScopeText> {
        let claims = claims.iter().map(|&claim| claim.to_owned()).collect();
        let text = ScopeText { description: "set".to_owned(), claims, privileged: false };
        BTreeMap::from([(name.to_owned(), text)])
    }

    #[test]
    fn what_is_defined_at_run_time_counts_before_the_settings_and_the_standard() {
        let table = Scopes::new(
            &settings("work", &["a"]),
            [defined("work", &["b"]), defined("email", &["email"])],
        );
        let claims = |name: &str| table.get(name).unwrap().definition.claims.clone();
        assert_eq!(claims("work"), ["b"]);
        assert_eq!(claims("email"), ["email"]);
        assert_eq!(table.get("email").unwrap().source, Source::Defined);
        assert_eq!(table.names().filter(|name| *name == "work").count(), 1);
    }

    #[test]
    fn the_settings_add_to_a_standard_scope() {
        let table = Scopes::new(&settings("email", &["department", "email"]), []);
        let claims = &table.get("email").unwrap().definition.claims;
        assert_eq!(claims, &["email", "email_verified", "department"]);
    }

    #[test]
    fn a_description_is_given_in_the_page_s_language_where_it_is_there() {
        let (name, mut definition, at) = defined("work", &[]);
        definition.localized = [("de-DE".to_owned(), "sehen".to_owned())].into();
        let table = Scopes::new(&BTreeMap::new(), [(name, definition, at)]);
        for (language, text) in [("de", "sehen"), ("DE-de", "sehen"), ("en", "see"), ("", "see")] {
            assert_eq!(table.description("work", language), Some(text), "{language}");
        }
        assert_eq!(table.description("email", "de"), None);
    }

    #[test]
    fn what_is_privileged_by_its_name_stays_so() {
        let (name, mut definition, at) = defined("payroll", &[]);
        definition.privileged = true;
        let table = Scopes::new(&BTreeMap::new(), [(name, definition, at), defined("a", &[])]);
        let scope = Scope::parse("openid admin payroll a events:read").unwrap();
        assert_eq!(table.unprivileged(&scope).as_str(), "openid a");
    }
}
