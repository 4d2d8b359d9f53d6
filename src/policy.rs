//! What the configuration demands of requests, in the domain's terms; and the
//! budgets of those whom nobody vouches for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use chancery_domain::authorization::{PkcePolicy, RequestPolicy};
use chancery_domain::ids::ClientId;
use chancery_domain::time::{Lifetime, UnixTime};

use crate::config::authorization::RequirePkce;
use crate::services::Services;

/// What is demanded of authorization requests.
#[must_use]
pub fn request_policy(services: &Services) -> RequestPolicy<'_> {
    let config = &services.config.authorization;
    RequestPolicy {
        response_types: &config.response_types,
        require_pushed: config.require_par,
        require_signed: config.require_signed_request_object,
        pkce: match config.require_pkce {
            RequirePkce::None => PkcePolicy::Optional,
            RequirePkce::Public => PkcePolicy::PublicClients,
            RequirePkce::All => PkcePolicy::Everybody,
        },
        account_creation: services.config.accounts.self_registration,
    }
}

/// So many a minute, for each registered client (or network), on each node.
pub struct Budget<K = ClientId> {
    minutes: Mutex<HashMap<K, (i64, u32)>>,
}

impl<K> Default for Budget<K> {
    fn default() -> Self {
        Self { minutes: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash> Budget<K> {
    const MINUTE: i64 = 60;

    /// How many are remembered; who comes on top within a minute gets nothing.
    const REMEMBERED: usize = 100_000;

    /// Takes one of `limit`; or says how long to wait.
    pub fn take(&self, client: &K, limit: u32, now: UnixTime) -> Result<(), Lifetime> {
        let minute = now.seconds().div_euclid(Self::MINUTE);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = Self::MINUTE - now.seconds().rem_euclid(Self::MINUTE);
        let wait = Lifetime::from_seconds(u32::try_from(wait).unwrap_or(1));
        if minutes.len() >= Self::REMEMBERED && !minutes.contains_key(client) {
            minutes.retain(|_, (own, _)| *own == minute);
            if minutes.len() >= Self::REMEMBERED {
                return Err(wait);
            }
        }
        let (own, used) = minutes.entry(client.clone()).or_insert((minute, 0));
        if *own != minute {
            (*own, *used) = (minute, 0);
        }
        if *used < limit {
            *used += 1;
            return Ok(());
        }
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_comes_back_with_the_next_minute() {
        let budget = Budget::default();
        let client = ClientId::parse("app").unwrap();
        let at = |seconds| UnixTime::from_seconds(seconds);
        assert!(budget.take(&client, 2, at(130)).is_ok());
        assert!(budget.take(&client, 2, at(140)).is_ok());
        assert_eq!(budget.take(&client, 2, at(150)), Err(Lifetime::from_seconds(30)));
        assert!(budget.take(&ClientId::parse("other").unwrap(), 2, at(150)).is_ok());
        assert!(budget.take(&client, 2, at(180)).is_ok());
    }
}
