//! Which claims of a person are released (OpenID Connect Core §5): by scope
//! (§5.4), and by name (§5.5).

mod asked;
mod profiles;
mod scopes;
mod values;

use std::sync::Arc;

use chancery_domain::account::Profile;
use chancery_domain::ids::SubjectId;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::UnixTime;
use serde_json::{Map, Value};

pub use self::asked::{beyond, in_id_token, that_fit, that_may_be_known};
pub use self::profiles::Profiles;
pub use self::scopes::{KnownScope, ScopeTable, Scopes, Source, scopes};
pub use self::values::{InvalidClaim, check, is_text};
use self::values::{OF_TOKENS, without_language};
use crate::accounts::AccountFailure;
use crate::services::Services;

/// A person who may be told of: their account exists and is neither locked nor erased.
///
/// It has no `Debug`, since it is about somebody.
pub struct Person {
    pub subject: SubjectId,
    profile: Arc<Profile>,
    updated_at: UnixTime,
}

impl Person {
    /// None: the account is locked, erased or gone.
    pub async fn of(
        services: &Services,
        subject: SubjectId,
    ) -> Result<Option<Self>, AccountFailure> {
        let folded = services.accounts.get(&subject.to_string()).await?;
        let account = folded.state.registered().filter(|account| account.is_usable());
        let Some(account) = account else { return Ok(None) };
        let profile = Profiles::of(services, account).await?;
        Ok(Some(Self { subject, profile, updated_at: account.profile_set_at() }))
    }

    /// The claims that this scope releases, as far as the account has them. `sub`
    /// is not among them.
    #[must_use]
    pub fn by_scope(&self, scopes: &Scopes, scope: &Scope) -> Map<String, Value> {
        self.having(scopes.claims_of(scope))
    }

    /// The claims with these names, as far as the account has them and the client
    /// may know them: those that a scope releases which it is registered for
    /// (`allowed`). A name may have a language (`name#de`, OpenID Connect Core
    /// §5.2).
    #[must_use]
    pub fn by_name<'n>(
        &self,
        scopes: &Scopes,
        allowed: &Scope,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Map<String, Value> {
        let released = scopes.claims_of(allowed);
        let may_know = |name: &&'n str| released.contains(&without_language(name));
        self.having(names.into_iter().filter(may_know))
    }

    /// The value of one claim, whoever may know it.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Value> {
        match (name, self.profile.claims.get(name)) {
            ("updated_at", _) => Some(self.updated_at.seconds().into()),
            _ if OF_TOKENS.contains(&name) => None,
            (_, Some(value)) => Some(value.clone()),
            ("preferred_username", None) => Some(self.profile.username.clone().into()),
            (_, None) => None,
        }
    }

    fn having<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Map<String, Value> {
        let claims =
            names.into_iter().filter_map(|name| Some((name.to_owned(), self.claim(name)?)));
        claims.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::config::scopes::ScopeText;

    fn alice() -> Person {
        let claims = json!({
            "sub": "not-me", "name": "Alice", "name#de": "Alis", "email": "alice@example.com",
            "email_verified": true, "salary": 1000, "department": "x",
        });
        let Value::Object(claims) = claims else { unreachable!() };
        let subject = SubjectId::from_uuid(uuid::Uuid::from_u128(1));
        let profile = Arc::new(Profile { username: "alice".to_owned(), claims });
        Person { subject, profile, updated_at: UnixTime::from_seconds(7) }
    }

    fn own() -> BTreeMap<String, ScopeText> {
        let text = |claims: &[&str]| ScopeText {
            description: "see".to_owned(),
            claims: claims.iter().map(|&claim| claim.to_owned()).collect(),
            privileged: false,
        };
        BTreeMap::from([("work".to_owned(), text(&["department", "sub"]))])
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn names(claims: &Map<String, Value>) -> Vec<&str> {
        claims.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_scope_releases_its_claims_and_no_others() {
        let own = own();
        let scopes = Scopes::new(&own, []);
        let released = |text| alice().by_scope(&scopes, &scope(text));
        assert_eq!(released("openid"), Map::new());
        assert_eq!(names(&released("openid email")), ["email", "email_verified"]);
        assert_eq!(names(&released("work phone")), ["department"]);
        let profile = released("profile");
        assert_eq!(profile["preferred_username"], "alice");
        assert_eq!(profile["updated_at"], 7, "a number (Core §5.1)");
    }

    #[test]
    fn by_name_a_client_learns_what_it_may_ask_for_by_scope() {
        let own = own();
        let scopes = Scopes::new(&own, []);
        let asked = ["email", "department", "salary", "name#de", "sub", "phone_number"];
        let released = |allowed| alice().by_name(&scopes, &scope(allowed), asked);
        assert_eq!(released("openid"), Map::new());
        assert_eq!(names(&released("openid email phone")), ["email"]);
        assert_eq!(names(&released("work profile")), ["department", "name#de"]);
    }
}
