//! The clients and the account that quickstart has.

use std::net::IpAddr;

use chancery_domain::client::{ClientMetadata, RegisteredClient};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use serde_json::{Map, json};
use url::{Host, Url};

use super::{ACCOUNT, CALLBACK, CLIENT_ID, CLIENT_SECRET, PASSWORD, PUBLIC_CLIENT_ID, SCOPE};
use crate::admin::{
    AdminError, Confidential, NewAccount, NewClient, Operation, find_account, perform,
};
use crate::services::Services;

/// Who it is in the events.
const OPERATOR: &str = "quickstart";

/// What there is to try with, and whether it is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    pub client: Found,
    pub public_client: Found,
    pub account: Found,
}

/// Whether something was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Made,
    /// It was there, and its redirect URIs were those of another address.
    Moved,
    There,
}

/// Makes what is missing, and lets the clients follow where the server listens.
/// What an operator has changed stays as it is.
pub async fn seed(services: &Services) -> Result<Seeded, AdminError> {
    let issuer = services.issuer();
    let callback = format!("{issuer}{CALLBACK}");
    let client = Template {
        id: CLIENT_ID,
        name: "Demo",
        secret: Some(CLIENT_SECRET),
        grant_types: vec![
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
        ],
        fixed_uris: &[],
        own_uri: &callback,
    };
    let root = format!("{issuer}/");
    let public_client = Template {
        id: PUBLIC_CLIENT_ID,
        name: "Demo without a secret",
        secret: None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        // Of any port (RFC 8252 §7.3).
        fixed_uris: &["http://127.0.0.1/callback", "http://[::1]/callback"],
        own_uri: &root,
    };
    Ok(Seeded {
        client: client.seed(services).await?,
        public_client: public_client.seed(services).await?,
        account: account(services).await?,
    })
}

async fn account(services: &Services) -> Result<Found, AdminError> {
    match find_account(services, ACCOUNT).await {
        Ok(_) => return Ok(Found::There),
        Err(AdminError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let claims = json!({
        "name": "Demo Person",
        "given_name": "Demo",
        "family_name": "Person",
        "preferred_username": ACCOUNT,
        "email": "demo@example.com",
        "email_verified": true,
    });
    let new = NewAccount {
        name: ACCOUNT.to_owned(),
        password: Confidential::new(PASSWORD.to_owned()),
        claims: claims.as_object().cloned().unwrap_or_default(),
        roles: std::collections::BTreeSet::new(),
    };
    perform(services, Operation::AddAccount(new), OPERATOR).await?;
    Ok(Found::Made)
}

/// A client as quickstart has it.
struct Template<'a> {
    id: &'static str,
    name: &'static str,
    secret: Option<&'static str>,
    grant_types: Vec<GrantType>,
    fixed_uris: &'a [&'a str],
    /// A page of this server's own: of the address that it listens on.
    own_uri: &'a str,
}

impl Template<'_> {
    async fn seed(&self, services: &Services) -> Result<Found, AdminError> {
        let client_id = ClientId::parse(self.id).map_err(failed)?;
        let folded = services.clients.fresh(client_id.as_str()).await?;
        let Some(client) = folded.state.registered() else {
            let secret = self.secret.map(|secret| Confidential::new(secret.to_owned()));
            let metadata = self.metadata()?.into();
            let new = NewClient { client_id: Some(client_id), secret, metadata };
            perform(services, Operation::AddClient(new), OPERATOR).await?;
            return Ok(Found::Made);
        };
        let Some(redirect_uris) = self.moved(client)? else { return Ok(Found::There) };
        let redirect_uris = serde_json::to_value(redirect_uris).map_err(failed)?;
        let changes = Map::from_iter([("redirect_uris".to_owned(), redirect_uris)]);
        perform(services, Operation::UpdateClient { client_id, changes }, OPERATOR).await?;
        Ok(Found::Moved)
    }

    fn metadata(&self) -> Result<ClientMetadata, AdminError> {
        let uris = self.fixed_uris.iter().chain(std::iter::once(&self.own_uri));
        let scope = format!("openid profile email offline_access {}", SCOPE.0);
        Ok(ClientMetadata {
            client_name: Some(self.name.to_owned()),
            redirect_uris: uris.map(|uri| uri.parse().map_err(failed)).collect::<Result<_, _>>()?,
            grant_types: self.grant_types.clone(),
            scope: Scope::parse(&scope).map_err(failed)?,
            token_endpoint_auth_method: match self.secret {
                Some(_) => ClientAuthMethod::SecretBasic,
                None => ClientAuthMethod::None,
            },
            ..ClientMetadata::default()
        })
    }

    /// The redirect URIs that it should have, if it has others: the server's
    /// own page in place of the same page at another address.
    fn moved(&self, client: &RegisteredClient) -> Result<Option<Vec<RedirectUri>>, AdminError> {
        let own: RedirectUri = self.own_uri.parse().map_err(failed)?;
        let registered = &client.metadata.redirect_uris;
        if registered.contains(&own) {
            return Ok(None);
        }
        let is_fixed = |uri: &RedirectUri| self.fixed_uris.contains(&uri.as_str());
        let others = registered
            .iter()
            .filter(|uri| is_fixed(uri) || !is_same_page(uri.as_str(), self.own_uri));
        Ok(Some(others.cloned().chain([own]).collect()))
    }
}

/// Are these the same page of this machine, but for the port?
fn is_same_page(one: &str, other: &str) -> bool {
    let page = |text: &str| {
        let url = Url::parse(text).ok()?;
        let is_here = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => IpAddr::from(address).is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        (is_here && url.scheme() == "http").then(|| (url.path().to_owned(), url.query().is_some()))
    };
    page(one).is_some_and(|one| Some(one) == page(other))
}

fn failed(error: impl std::fmt::Display) -> AdminError {
    AdminError::Failed(error.to_string())
}
