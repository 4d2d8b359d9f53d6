//! Claims asked for by name (OpenID Connect Core §5.5): which of them the client
//! may know, and which need a consent of their own.
//!
//! A client may know by name what some scope releases that it is registered for.
//! What the scope of the request releases anyway needs no more consent than the
//! scope does; any other claim is a thing of its own on the consent page.

use std::collections::{BTreeMap, BTreeSet};

use chancery_domain::authorization::Authorization;
use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::claims::{ClaimNames, ClaimRequest, ClaimsRequest};
use chancery_domain::protocol::scope::Scope;
use serde_json::{Map, Value};

use super::values::without_language;
use super::{Person, scopes};
use crate::accounts::AccountFailure;
use crate::services::Services;

/// Those of these names that a client may know which is registered for this
/// scope.
#[must_use]
pub fn that_may_be_known(
    services: &Services,
    registered: &Scope,
    asked: &ClaimNames,
) -> ClaimNames {
    let scopes = scopes(services);
    let released = scopes.claims_of(registered);
    let may_know = |names: &BTreeSet<String>| {
        let names = names.iter().filter(|name| released.contains(&without_language(name)));
        names.cloned().collect()
    };
    ClaimNames { id_token: may_know(&asked.id_token), userinfo: may_know(&asked.userinfo) }
}

/// Those of these names that this scope does not release, without languages.
#[must_use]
pub fn beyond(services: &Services, scope: &Scope, asked: &ClaimNames) -> BTreeSet<String> {
    let scopes = scopes(services);
    let released = scopes.claims_of(scope);
    let names = asked.all().map(without_language).filter(|name| !released.contains(name));
    names.map(str::to_owned).collect()
}

/// Without those that shall have another value than the account has: who asks
/// for Ada's address learns nothing of Bob's.
#[must_use]
pub fn that_fit(person: &Person, asked: ClaimNames, values: &ClaimsRequest) -> ClaimNames {
    let keep = |names: BTreeSet<String>, values: &BTreeMap<String, ClaimRequest>| {
        let fits = |name: &String| match (values.get(name), person.claim(name)) {
            (Some(asked), Some(value)) => asked.fits(&value),
            _ => true,
        };
        names.into_iter().filter(fits).collect()
    };
    ClaimNames {
        id_token: keep(asked.id_token, &values.id_token),
        userinfo: keep(asked.userinfo, &values.userinfo),
    }
}

/// The claims that were granted by name for the ID token.
pub async fn in_id_token(
    services: &Services,
    client: &RegisteredClient,
    authorization: &Authorization,
) -> Result<Map<String, Value>, AccountFailure> {
    let names = &authorization.claims.id_token;
    let Some(subject) = authorization.subject().filter(|_| !names.is_empty()) else {
        return Ok(Map::new());
    };
    let Some(person) = Person::of(services, subject).await? else { return Ok(Map::new()) };
    let names = names.iter().map(String::as_str);
    Ok(person.by_name(&scopes(services), &client.scope(), names))
}
