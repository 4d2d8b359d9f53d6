//! What the server's use cases work with: put together once, in `app.rs`.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use chancery_domain::account::Account;
use chancery_domain::client::Client;
use chancery_domain::consent::Consent;
use chancery_domain::ids::{ClientId, GrantId};
use chancery_domain::registration_token::RegistrationToken;
use chancery_domain::scope_definition::ScopeDefinition;
use chancery_domain::session::Session;
use chancery_domain::time::UnixTime;
use ipnet::IpNet;
use tokio::sync::watch;

use crate::actors::committer::Committer;
use crate::actors::router::Grants;
use crate::aggregates::{Aggregates, Origin, Vault, Work};
use crate::claims::{Profiles, ScopeTable};
use crate::client_auth::UnsealedSecrets;
use crate::client_keys::ClientKeys;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::rate_limits::Limited;
use crate::entropy::Entropy;
use crate::events::readers::Readers;
use crate::events::schemas::Schemas;
use crate::feed::Feed;
use crate::freshness::Freshness;
use crate::hooks::Hooks;
use crate::interaction::throttle::{Network, Throttle};
use crate::keys::{KeyRing, Rotation, lead};
use crate::mail::Outbox;
use crate::oauth_error::OAuthError;
use crate::outbound::Outbound;
use crate::passwords::Passwords;
use crate::policy::Budget;
use crate::rate_limits::{Caller, RateLimits};
use crate::request_objects::RequestUris;
use crate::sealing::MasterKey;
use crate::stores::{Store, StoreError};
use crate::tally::Tallies;
use crate::telemetry::metrics::Metrics;
use crate::tls::Certificates;
use crate::tokens::{AddedClaims, VerifiedTokens};

/// Everything that a node works with.
pub struct Services {
    pub config: Config,
    /// Names this node in events.
    pub node: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub store: Arc<dyn Store>,
    pub committer: Committer,
    pub master: MasterKey,
    pub vault: Arc<Vault>,
    pub keys: KeyRing,
    pub clients: Aggregates<Client>,
    pub accounts: Aggregates<Account>,
    pub sessions: Aggregates<Session>,
    pub consents: Aggregates<Consent>,
    /// Initial access tokens.
    pub registration_tokens: Aggregates<RegistrationToken>,
    pub scope_definitions: Aggregates<ScopeDefinition>,
    /// What scopes mean, as it is now.
    pub scopes: ScopeTable,
    pub grants: Grants,
    pub passwords: Passwords,
    pub unsealed_secrets: UnsealedSecrets,
    /// What clients sign by.
    pub client_keys: ClientKeys,
    pub verified_tokens: VerifiedTokens,
    pub added_claims: AddedClaims,
    /// Of whom resource servers and clients are told.
    pub profiles: Profiles,
    pub tallies: Tallies,
    /// Figures for the operator's monitoring.
    pub metrics: Metrics,
    /// How often clients may call.
    pub rate_limits: RateLimits,
    /// What public clients may push.
    pub push_budget: Budget,
    /// What may be registered from one network.
    pub registration_budget: Budget<IpNet>,
    /// Slows down who guesses passwords.
    pub throttle: Throttle,
    /// Slows down who asks for mail and for accounts.
    pub requests: Throttle,
    pub mail: Outbox,
    /// The server metadata, ready to be sent.
    pub metadata: Published,
    pub feed: Feed,
    /// Whether what is kept in memory of others' doings may be an answer.
    pub fresh: Arc<Freshness>,
    /// Who reads events from outside.
    pub readers: Readers,
    /// What each of them may ask.
    pub event_budget: Budget<String>,
    /// What events look like; made when somebody asks first.
    pub event_schemas: OnceLock<Schemas>,
    /// Ends answers that would go on for ever.
    pub closing: Closing,
    /// Calls to others' servers.
    pub outbound: Outbound,
    /// Scripts and webhooks of the operator.
    pub hooks: Hooks,
    /// Request objects that clients keep elsewhere.
    pub request_uris: RequestUris,
    /// What this server shows to those who connect by TLS.
    pub certificates: Option<Arc<Certificates>>,
}

/// Whether the server is about to stop.
pub struct Closing(watch::Sender<bool>);

impl Default for Closing {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Closing {
    /// The server stops: whoever waits for that is told.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the server is about to stop.
    pub async fn told(&self) {
        // The sender is here: the wait can't fail.
        let _ = self.0.subscribe().wait_for(|closing| *closing).await;
    }
}

/// A text for all who ask, put together anew when something in it changes.
#[derive(Default)]
pub struct Published(RwLock<Arc<str>>);

impl Published {
    /// As it is now.
    #[must_use]
    pub fn get(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is this.
    pub fn set(&self, text: Arc<str>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Services {
    /// Now, as tokens count it.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// May this client call the endpoint once more? `network`: where it calls from, unless it has
    /// proved to be that client.
    pub fn admit(
        &self,
        endpoint: Limited,
        client_id: &ClientId,
        network: Option<Network>,
    ) -> Result<(), OAuthError> {
        self.rate_limits.admit(endpoint, Caller { client_id, network }, self.clock.now_ms())
    }

    /// Work for one command, decided now.
    pub fn work(&self, origin: Origin) -> Result<Work, StoreError> {
        Work::new(origin, &self.node, &*self.clock, &*self.entropy)
    }

    /// An id for a grant that is about to begin.
    #[must_use]
    pub fn new_grant_id(&self) -> GrantId {
        GrantId::from_uuid(self.entropy.uuid_v7(self.clock.now_ms()))
    }

    /// The issuer identifier (RFC 8414 §2).
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.config.server.issuer.as_str()
    }

    /// What events look like.
    pub fn schemas(&self) -> &Schemas {
        self.event_schemas.get_or_init(|| Schemas::of(self.issuer()))
    }

    /// What key rotation works with.
    #[must_use]
    pub fn rotation(&self) -> Rotation<'_> {
        Rotation {
            store: &*self.store,
            committer: &self.committer,
            master: &self.master,
            clock: &*self.clock,
            entropy: &*self.entropy,
            node: &self.node,
            lead: lead(self.config.metadata.cache_lifetime),
        }
    }
}
