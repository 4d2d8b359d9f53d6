//! What hooks add to tokens: their claims, kept sealed beside the event that
//! issues the tokens, so that an answer that is given again says the same, and
//! introspection can tell them.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_domain::authorization::Authorization;
use chancery_domain::client::RegisteredClient;
use chancery_domain::digest::Sha256Digest;
use chancery_domain::grant::{Grant, TokenPlan};
use chancery_domain::ids::GrantId;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::Lifetime;
use lru::LruCache;
use serde::{Deserialize, Serialize, Serializer, ser};
use serde_json::{Map, Value};

use crate::aggregates::{Apart, Kept as _};
use crate::claims::{self, Person};
use crate::config::hooks::Point;
use crate::hooks::Sight;
use crate::hooks::answers::TokenAnswer;
use crate::hooks::input::{self, AboutTokens, Frame, Lifetimes};
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// The claims that hooks added to the tokens of one answer.
///
/// It has no `Debug`, since they may be about somebody.
#[derive(Default, Serialize, Deserialize)]
pub struct Added {
    /// To the access token.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub access: Map<String, Value>,
    /// To the ID token.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub id: Map<String, Value>,
}

/// Those of the last answers, by their commitments: they are wanted right after
/// they were sealed.
pub struct AddedClaims(Mutex<LruCache<Sha256Digest, Arc<Added>>>);

impl Default for AddedClaims {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(const { NonZeroUsize::new(1024).unwrap() })))
    }
}

impl AddedClaims {
    /// The claims with this commitment, of this grant.
    pub async fn of(
        services: &Services,
        grant: GrantId,
        commitment: Option<Sha256Digest>,
    ) -> Result<Arc<Added>, OAuthError> {
        let Some(commitment) = commitment else { return Ok(Arc::default()) };
        if let Some(known) = services.added_claims.cache().get(&commitment) {
            return Ok(Arc::clone(known));
        }
        let stream = Grant::stream(&grant.to_string());
        let bytes = services.vault.open_apart(&stream, commitment).await?;
        let added: Arc<Added> = serde_json::from_slice(&bytes)
            .map(Arc::new)
            .map_err(|_| OAuthError::internal(&"added claims can't be read"))?;
        services.added_claims.cache().put(commitment, Arc::clone(&added));
        Ok(added)
    }

    /// Forgets them: they can be read again, as long as they are there.
    pub fn forget_all(&self) {
        self.cache().clear();
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, LruCache<Sha256Digest, Arc<Added>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokens that are about to be issued.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub client: &'a RegisteredClient,
    pub grant_type: &'a str,
    pub grant: GrantId,
    pub authorization: &'a Authorization,
    /// Of the access token.
    pub scope: &'a Scope,
}

/// Asks the hooks about tokens. They may refuse, change lifetimes in the plan, and
/// add claims: those are what is given, to be written with the tokens' event.
pub async fn ask_hooks(
    services: &Services,
    about: About<'_>,
    plan: &mut TokenPlan,
) -> Result<Option<Apart>, OAuthError> {
    let About { client, grant_type, grant, authorization, scope } = about;
    let Some(asked) = services.hooks.at(Point::Token, Some(client)) else { return Ok(None) };
    let claims = match authorization.subject() {
        Some(subject) if asked.sees_claims() => {
            let person = Person::of(services, subject).await?;
            let scopes = claims::scopes(services);
            person.map(|person| person.by_scope(&scopes, scope))
        }
        _ => None,
    };
    let lifetimes = Lifetimes {
        access: plan.access_lifetime,
        id: plan.id_lifetime,
        refresh: plan.refresh_lifetime,
    };
    let frame = Frame::of(services, Some(client));
    let input = |sight| {
        let claims = claims.as_ref().filter(|_| sight == Sight::Claims);
        let audience = &plan.audience;
        let grant = Some(grant);
        let tokens =
            AboutTokens { grant_type, grant, authorization, scope, audience, lifetimes, claims };
        input::token(frame, tokens)
    };
    let answer: TokenAnswer = asked.ask(services, input).await?;
    let or = |said: Option<u32>, own| said.map_or(own, Lifetime::from_seconds);
    plan.access_lifetime = or(answer.access_token_lifetime, plan.access_lifetime);
    plan.id_lifetime = or(answer.id_token_lifetime, plan.id_lifetime);
    plan.refresh_lifetime = plan.refresh_lifetime.map(|own| or(answer.refresh_token_lifetime, own));
    if !answer.has_claims() {
        return Ok(None);
    }
    let added = Added { access: answer.access_token_claims, id: answer.id_token_claims };
    let value = serde_json::to_vec(&added).map_err(|error| OAuthError::internal(&error))?;
    let stream = Grant::stream(&grant.to_string());
    let subject = authorization.subject().map(|subject| subject.to_string().into());
    let apart = services.vault.seal_apart(&stream, subject, &value).await?;
    services.added_claims.cache().put(apart.commitment, Arc::new(added));
    plan.claims = Some(apart.commitment);
    Ok(Some(apart))
}

/// Claims of a token together with those that were added: they are none of the
/// server's own.
pub(super) struct With<'a, C> {
    pub own: C,
    pub added: &'a Map<String, Value>,
}

impl<C: Serialize> Serialize for With<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.added.is_empty() {
            return self.own.serialize(serializer);
        }
        let mut all = serde_json::to_value(&self.own).map_err(ser::Error::custom)?;
        if let Value::Object(all) = &mut all {
            all.extend(self.added.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        all.serialize(serializer)
    }
}
