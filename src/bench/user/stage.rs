//! What all virtual users know: the server, clients, people.

use std::sync::Arc;

use crate::bench::SetupError;
use crate::bench::client::{Account, Client};
use crate::bench::form::FieldNames;
use crate::bench::provider::Provider;
use crate::bench::scenario::Scenario;

/// What all virtual users know.
pub struct Stage {
    pub provider: Provider,
    pub clients: Vec<Arc<Client>>,
    pub accounts: Vec<Account>,
    pub fields: FieldNames,
    /// Further parameters of every authorization request.
    pub parameters: Vec<(String, String)>,
    /// The server gives no new refresh token at a refresh.
    pub keeps_refresh_tokens: bool,
}

impl Stage {
    /// Is everything there for this scenario?
    pub fn check(&self, scenario: Scenario) -> Result<(), SetupError> {
        if let Some(need) = self.provider.lacks(scenario) {
            return Err(SetupError::NoEndpoint { scenario, member: need.member() });
        }
        for part in scenario.parts() {
            let is_there = match part {
                Scenario::ClientCredentials => self.direct(0).is_some(),
                Scenario::Introspect => self.direct(0).is_some() || self.web(0).is_some(),
                _ => self.web(0).is_some(),
            };
            if !is_there {
                return Err(SetupError::NoClient { scenario, grant_type: grant_type(part) });
            }
            let web = self.web(0).filter(|_| part.acts_for_a_person() || part == Scenario::Par);
            if let Some(client) = web.filter(|client| client.redirect_uri.is_none()) {
                return Err(SetupError::NoRedirectUri { client: client.id.clone() });
            }
            if part.acts_for_a_person() && self.accounts.is_empty() {
                return Err(SetupError::NoAccount { scenario });
            }
        }
        Ok(())
    }

    /// The client by which this user gets tokens for the client itself.
    pub(super) fn direct(&self, number: usize) -> Option<&Arc<Client>> {
        share(&self.clients, number, |client| {
            client.may(grant_type(Scenario::ClientCredentials)) && client.is_confidential()
        })
    }

    /// The client by which this user logs in.
    pub(super) fn web(&self, number: usize) -> Option<&Arc<Client>> {
        share(&self.clients, number, |client| client.may(grant_type(Scenario::Code)))
    }

    /// The person that this user is.
    pub(super) fn account(&self, number: usize) -> Option<&Account> {
        self.accounts.get(number.checked_rem(self.accounts.len())?)
    }
}

/// Each user's own of those that fit, in turn.
fn share(
    clients: &[Arc<Client>],
    number: usize,
    fits: impl Fn(&Client) -> bool,
) -> Option<&Arc<Client>> {
    let fitting: Vec<_> = clients.iter().filter(|client| fits(client)).collect();
    fitting.get(number.checked_rem(fitting.len())?).copied()
}

const fn grant_type(part: Scenario) -> &'static str {
    match part {
        Scenario::ClientCredentials | Scenario::Introspect => "client_credentials",
        _ => "authorization_code",
    }
}
