//! Puts the server together: the only file that sees everything.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle, Service as _};
use actix_web::{App, HttpResponse, HttpServer, web};
use chancery_domain::client::Client;
use chancery_domain::grant::{GrantCommand, RevocationCause, Revoke};
use chancery_domain::ids::{AggregateKind, ClientId, GrantId, SessionId};
use chancery_domain::session::{SessionCommand, SessionEndCause};
use chancery_domain::time::Lifetime;
use futures_util::future::{BoxFuture, Either};

use crate::actors::committer::Committer;
use crate::actors::grant::{GrantCore, GrantFailure};
use crate::actors::process_manager::{Cascade, CascadeError, ProcessManager, ReadModels};
use crate::actors::projector::Projectors;
use crate::actors::router::Grants;
use crate::actors::service::{Handle, Service};
use crate::actors::{feed_reader, packer};
use crate::admin::socket;
use crate::aggregates::{Aggregates, ExecuteError, Kept, LoadError, Origin, Vault};
use crate::claims::{Profiles, ScopeTable};
use crate::client_auth::UnsealedSecrets;
use crate::client_keys::ClientKeys;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::master_key::MasterKeyError;
use crate::config::server::Listen;
use crate::config::store::Location;
use crate::entropy::Entropy;
use crate::erasure::{self, Company, Eraser};
use crate::events::readers::Readers;
use crate::events::sinks;
use crate::feed::{Feed, Polling};
use crate::freshness::Freshness;
use crate::hooks::{HookSetupError, Hooks};
use crate::http::{Closed, Observed, Patience};
use crate::interaction::throttle::Throttle;
use crate::keys::{KeyRing, KeysError, Rotation, bootstrap, lead, rotate_old_keys};
use crate::logout::backchannel;
use crate::mail::{MailError, Outbox};
use crate::outbound::{Outbound, OutboundSetupError};
use crate::passwords::{PasswordError, Passwords};
use crate::policy::Budget;
use crate::rate_limits::RateLimits;
use crate::request_objects::RequestUris;
use crate::sealing::MasterKey;
use crate::services::{Closing, Published, Services};
use crate::stores::postgres::PostgresStore;
use crate::stores::sqlite::SqliteStore;
use crate::stores::{Store, StoreError};
use crate::tally::{self, Tallies};
use crate::telemetry::metrics::Metrics;
use crate::tls::{self, Certificates, TlsError};
use crate::tokens::{AddedClaims, VerifiedTokens};
use crate::transparency::sealer;
use crate::{console, http, interaction};

/// How many clients, accounts, sessions and consents are kept, each.
const KEPT: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// How often keys are looked at, and what has expired is forgotten.
const TIDY: Duration = Duration::from_secs(60);

/// How long a server waits for an embedded store that no server serves.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Outbound(#[from] OutboundSetupError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Hooks(#[from] HookSetupError),
    #[error("can't listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("can't serve: {0}")]
    Serve(std::io::Error),
}

/// A store, open for reading and writing.
pub struct OpenStore {
    pub store: Arc<dyn Store>,
    /// Can other processes write to it at the same time?
    pub shared: bool,
}

/// Opens the store that the settings name; brings it up to date if they say so.
pub async fn open_store(config: &Config) -> Result<OpenStore, StartError> {
    match config.store.location() {
        Location::Sqlite(folder) => {
            let store = take_over(&folder).await?;
            Ok(OpenStore { store: Arc::new(store), shared: false })
        }
        Location::Postgres(url) => {
            #[expect(clippy::disallowed_methods, reason = "PostgreSQL asks for the password")]
            let url = url.expose();
            if config.store.migrate_at_start {
                PostgresStore::migrate(url).await?;
            }
            let store = PostgresStore::connect(url, config.store.pool_size.into()).await?;
            Ok(OpenStore { store: Arc::new(store), shared: true })
        }
    }
}

/// Opens an embedded store. Another server keeps it for itself; a command, or a
/// server that is ending, is waited for.
async fn take_over(folder: &Path) -> Result<SqliteStore, StoreError> {
    let deadline = tokio::time::Instant::now() + TAKE_OVER;
    loop {
        match SqliteStore::open(folder) {
            Err(StoreError::InUse(_))
                if tokio::time::Instant::now() < deadline
                    && !socket::is_listened_on(folder).await =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return opened,
        }
    }
}

/// The master key that the settings name.
pub async fn master_key(config: &Config) -> Result<MasterKey, StartError> {
    let bytes = config.master_key.obtain().await?;
    #[expect(clippy::disallowed_methods, reason = "this is what it was read for")]
    let key = MasterKey::from_bytes(*bytes.expose());
    Ok(key)
}

/// A node: its services, and what keeps them up to date.
pub struct Node {
    pub services: Arc<Services>,
    shared: bool,
    committing: tokio::task::JoinHandle<()>,
}

impl Node {
    /// Puts a node together. Makes the first keys, if there are none.
    pub async fn assemble(
        config: Config,
        open: OpenStore,
        master: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        let OpenStore { store, shared } = open;
        let fresh = Arc::new(if shared { Freshness::among_others() } else { Freshness::alone() });
        let node = config.server.node.as_ref().map_or_else(
            || format!("node-{}", hex(&entropy.bytes::<4>())),
            |name| name.as_str().to_owned(),
        );
        let feed = Feed::new(Arc::clone(&store));
        let notify = feed.clone();
        let metrics = Metrics::new(&*clock);
        let (committer, committing) =
            Committer::start(Arc::clone(&store), metrics.commits.clone(), move || notify.notify());
        let rotation = Rotation {
            store: &*store,
            committer: &committer,
            master: &master,
            clock: &*clock,
            entropy: &*entropy,
            node: &node,
            lead: lead(config.metadata.cache_lifetime),
        };
        bootstrap(&rotation, &config.keys.all_algorithms()).await?;
        let keys =
            KeyRing::load(Arc::clone(&store), master.clone(), clock.now(), Arc::clone(&fresh))
                .await?;
        let scopes = ScopeTable::default();
        scopes.reload(&*store, &config.scopes).await?;
        let vault = Arc::new(Vault::new(master.clone(), Arc::clone(&store), Arc::clone(&entropy)));
        let resident = usize::try_from(config.server.grants_in_memory).unwrap_or(usize::MAX);
        let threads = NonZeroUsize::new(config.server.worker_count()).unwrap_or(NonZeroUsize::MIN);
        let core = GrantCore {
            store: Arc::clone(&store),
            committer: committer.clone(),
            vault: Arc::clone(&vault),
            fresh: Arc::clone(&fresh),
        };
        let services = Services {
            node,
            keys,
            vault,
            clients: kept(&store, &committer, &fresh),
            accounts: kept(&store, &committer, &fresh),
            sessions: kept(&store, &committer, &fresh),
            consents: kept(&store, &committer, &fresh),
            registration_tokens: kept(&store, &committer, &fresh),
            scope_definitions: kept(&store, &committer, &fresh),
            scopes,
            grants: Grants::start(Arc::new(core), threads, resident),
            passwords: Passwords::new(threads, Arc::clone(&entropy))?,
            unsealed_secrets: UnsealedSecrets::default(),
            client_keys: ClientKeys::default(),
            verified_tokens: VerifiedTokens::default(),
            added_claims: AddedClaims::default(),
            profiles: Profiles::default(),
            tallies: Tallies::new(metrics.refusals.clone()),
            readers: Readers::default(),
            event_budget: Budget::default(),
            event_schemas: OnceLock::new(),
            closing: Closing::default(),
            rate_limits: RateLimits::new(config.rate_limits.values()),
            push_budget: Budget::default(),
            registration_budget: Budget::default(),
            throttle: Throttle::new(&config.login),
            requests: Throttle::for_requests(),
            mail: Outbox::new(&config.mail)?,
            metadata: Published::default(),
            outbound: Outbound::new(&config.outbound, metrics.outbound.clone())?,
            hooks: Hooks::new(&config.hooks)?,
            request_uris: RequestUris::new(&config, metrics.outbound.clone())?,
            certificates: Certificates::load(&config.tls).await?.map(Arc::new),
            metrics,
            config,
            clock,
            entropy,
            store,
            committer,
            master,
            feed,
            fresh,
        };
        http::oauth::metadata::refresh(&services);
        Ok(Self { services: Arc::new(services), shared, committing })
    }

    /// Starts what keeps a serving node up to date: the feed and all that
    /// listens to it, and what happens by the clock.
    #[must_use]
    pub fn keep_up(&self) -> Background {
        let services = &self.services;
        let polling = if self.shared { Polling::SHARED } else { Polling::ALONE };
        let projectors = Projectors::start(&services.feed, &chancery_projections::ALL);
        let mut handles = vec![
            feed_reader::start(&services.feed, polling),
            start("news", services, |services| Box::pin(spread_news(services))),
            start("freshness", services, |services| {
                Box::pin(async move { services.fresh.keep(&*services.store).await })
            }),
            start("tally", services, |services| Box::pin(count_windows(services))),
            start("mail", services, |services| Box::pin(Outbox::work(services))),
            start("sealer", services, |services| Box::pin(sealer::run(services))),
            start("packer", services, |services| Box::pin(packer::run(services))),
            start("tidy", services, |services| Box::pin(tidy(services))),
            start("certificates", services, |services| Box::pin(renew_certificates(services))),
            start("hooks", services, |services| Box::pin(renew_hooks(services))),
        ];
        if let (Some(grants), Some(sessions)) =
            (projectors.progress("grants"), projectors.progress("sessions"))
        {
            let reads = ReadModels { grants: grants.clone(), sessions: sessions.clone() };
            let cascade: Arc<dyn Cascade> = Arc::new(Cascades(Arc::clone(services)));
            let (handle, progress) = ProcessManager::start(&services.feed, cascade, reads);
            services.metrics.watch_consumer(handle.name(), &progress);
            handles.push(handle);
        }
        if let (Some(grants), Some(sessions), Some(consents)) = (
            projectors.progress("grants"),
            projectors.progress("sessions"),
            projectors.progress("consents"),
        ) {
            let [grants, sessions, consents] = [grants, sessions, consents].map(Clone::clone);
            let reads = erasure::ReadModels { grants, sessions, consents };
            let company = if self.shared { Company::Nodes } else { Company::Requests };
            let (handle, progress) = Eraser::start(services, reads, company);
            services.metrics.watch_consumer(handle.name(), &progress);
            handles.push(handle);
        }
        if let Some(owed) = projectors.progress("backchannel_logouts") {
            handles.push(backchannel::start(services, owed));
        }
        for name in services.config.sinks.keys() {
            let (services, name) = (Arc::clone(services), name.clone());
            let run = move || -> BoxFuture<'static, ()> {
                Box::pin(sinks::run(Arc::clone(&services), name.clone()))
            };
            handles.push(Service::start("sink", Arc::new(run)));
        }
        for (name, progress) in projectors.all() {
            services.metrics.watch_consumer(name, progress);
        }
        for handle in handles.iter().chain(projectors.handles()) {
            services.metrics.watch_service(handle.name(), handle.vitals());
        }
        Background { handles, projectors }
    }

    /// Writes what is left to write, and closes the store.
    pub async fn close(self) {
        self.services.committer.close();
        if let Err(error) = self.committing.await {
            tracing::error!(%error, "the committer died: {error}");
        }
        self.services.grants.stop();
        self.services.store.close().await;
    }
}

/// What goes on beside the requests.
pub struct Background {
    handles: Vec<Handle>,
    pub projectors: Projectors,
}

impl Background {
    /// Ends all of it.
    pub async fn stop(&self) {
        for handle in &self.handles {
            handle.stop().await;
        }
        self.projectors.stop().await;
    }
}

fn start(
    name: &'static str,
    services: &Arc<Services>,
    work: fn(Arc<Services>) -> BoxFuture<'static, ()>,
) -> Handle {
    let services = Arc::clone(services);
    Service::start(name, Arc::new(move || work(Arc::clone(&services))))
}

/// How soon the feed is read again, or what follows from it loaded, after that has failed.
const AGAIN: Duration = Duration::from_millis(200);

fn kept<A: Kept>(
    store: &Arc<dyn Store>,
    committer: &Committer,
    fresh: &Arc<Freshness>,
) -> Aggregates<A> {
    Aggregates::new(KEPT, Arc::clone(store), committer.clone(), Arc::clone(fresh))
}

/// Tells what is kept in memory about events that came from elsewhere.
async fn spread_news(services: Arc<Services>) {
    // A grant's own actor knows what this node appended to it.
    let of_this_node = format!("\"node\":\"{}\"", services.node);
    loop {
        // Started again, it goes on where it was: what is in memory does not know more.
        let news = match services.fresh.heard() {
            Some(position) => Ok(services.feed.subscribe(position)),
            None => services.feed.subscribe_from_now().await,
        };
        let mut news = match news {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(%error, "the feed can't be read: {error}");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        services.fresh.heard_up_to(news.position());
        // They were loaded before this began to listen.
        let mut keys_changed = true;
        let mut scopes_changed = true;
        loop {
            // What could not be loaded again is tried again, news or not.
            let limit = if keys_changed || scopes_changed { AGAIN } else { Duration::MAX };
            let batch = match tokio::time::timeout(limit, news.next()).await {
                Ok(Ok(batch)) => Some(batch),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the feed can't be read: {error}");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(_) => None,
            };
            for event in batch.iter().flat_map(|batch| batch.iter()) {
                let event = &event.stored.event;
                let (id, sequence) = (&*event.stream.id, event.sequence);
                match event.stream.kind {
                    AggregateKind::Grant if event.metadata.contains(&of_this_node) => {}
                    AggregateKind::Grant => {
                        if let Ok(grant) = id.parse() {
                            services.grants.note(grant, sequence);
                        }
                    }
                    AggregateKind::Client => services.clients.note(id, sequence),
                    AggregateKind::Account => {
                        services.accounts.note(id, sequence);
                        if let Ok(subject) = id.parse() {
                            services.profiles.forget(subject);
                        }
                        if event.event_type == "ErasureRequested" {
                            // Whose they are is not known.
                            services.added_claims.forget_all();
                        }
                    }
                    AggregateKind::Session => services.sessions.note(id, sequence),
                    AggregateKind::Consent => services.consents.note(id, sequence),
                    AggregateKind::SigningKey => keys_changed = true,
                    AggregateKind::RegistrationToken => {
                        services.registration_tokens.note(id, sequence);
                    }
                    AggregateKind::ScopeDefinition => {
                        services.scope_definitions.note(id, sequence);
                        scopes_changed = true;
                    }
                    AggregateKind::Tally | AggregateKind::Log => {}
                }
            }
            if let Some(batch) = batch {
                services.fresh.heard_up_to(batch.through());
            }
            if keys_changed {
                keys_changed = !reload_keys(&services).await;
            }
            if scopes_changed {
                scopes_changed = !reload_scopes(&services).await;
            }
        }
    }
}

/// Gives whether it could be done.
async fn reload_keys(services: &Services) -> bool {
    let loaded = services.keys.reload(services.now()).await;
    match &loaded {
        Ok(()) => http::oauth::metadata::refresh(services),
        Err(error) => tracing::error!(%error, "the keys could not be loaded again: {error}"),
    }
    loaded.is_ok()
}

/// Gives whether it could be done.
async fn reload_scopes(services: &Services) -> bool {
    let loaded = services.scopes.reload(&*services.store, &services.config.scopes).await;
    match &loaded {
        Ok(()) => http::oauth::metadata::refresh(services),
        Err(error) => tracing::error!(%error, "the scopes could not be loaded again: {error}"),
    }
    loaded.is_ok()
}

async fn count_windows(services: Arc<Services>) {
    loop {
        let from = services.now();
        tokio::time::sleep(Duration::from_secs(tally::WINDOW.seconds().into())).await;
        tally::close_window(&services, from).await;
    }
}

/// Rotates old keys, lets retired ones leave the JWKS, forgets what has
/// expired.
async fn tidy(services: Arc<Services>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let days = u32::from(services.config.keys.rotate_after_days);
        if days > 0 {
            let age = Lifetime::from_seconds(days.saturating_mul(86_400));
            let rotated = rotate_old_keys(&services.rotation(), &services.keys.get(), age).await;
            if let Err(error) = rotated {
                tracing::error!(%error, "keys could not be rotated: {error}");
            }
        }
        reload_keys(&services).await;
        reload_scopes(&services).await;
        if let Err(error) = services.store.forget_expired(services.now().seconds()).await {
            tracing::warn!(%error, "what has expired could not be forgotten: {error}");
        }
    }
}

/// Takes certificates that were replaced.
async fn renew_certificates(services: Arc<Services>) {
    let Some(certificates) = &services.certificates else { return std::future::pending().await };
    certificates.follow().await;
}

/// Takes scripts that were changed.
async fn renew_hooks(services: Arc<Services>) {
    services.hooks.follow(|| http::oauth::metadata::refresh(&services)).await;
}

/// Carries the process manager's commands to their aggregates.
struct Cascades(Arc<Services>);

impl Cascades {
    fn origin(causation: String) -> Origin {
        Origin { causation_id: Some(causation), ..Origin::system("process manager") }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> CascadeError {
    CascadeError::Unavailable(error.to_string())
}

impl Cascade for Cascades {
    fn revoke_grant(
        &self,
        grant: GrantId,
        cause: RevocationCause,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        Box::pin(async move {
            let services = &self.0;
            let work = services.work(Self::origin(causation)).map_err(|e| unavailable(&e))?;
            let command = GrantCommand::Revoke(Revoke { cause, now: services.now() });
            match services.grants.execute(grant, vec![command], work).await {
                Ok(_) => Ok(()),
                Err(GrantFailure::Refused(error)) => Err(CascadeError::Refused(error.to_string())),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn end_session(
        &self,
        session: SessionId,
        cause: SessionEndCause,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        Box::pin(async move {
            let services = &self.0;
            let work = services.work(Self::origin(causation)).map_err(|e| unavailable(&e))?;
            let command = SessionCommand::End { cause, now: services.now() };
            match services.sessions.execute(&session.to_string(), vec![command], work).await {
                Ok(_) => Ok(()),
                Err(ExecuteError::Refused(error)) => Err(CascadeError::Refused(error.to_string())),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn announce_logout(
        &self,
        session: SessionId,
        clients: BTreeSet<ClientId>,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        Box::pin(async move {
            let services = &self.0;
            let mut told = Vec::new();
            for client in clients {
                let folded = services.clients.get(client.as_str()).await;
                if wants_backchannel_logout(&folded.map_err(|e| unavailable(&e))?.state) {
                    told.push(client);
                }
            }
            if told.is_empty() {
                return Ok(());
            }
            let work = services.work(Self::origin(causation)).map_err(|e| unavailable(&e))?;
            let now = services.now();
            let command = SessionCommand::RequestBackchannelLogout { clients: told, now };
            match services.sessions.execute(&session.to_string(), vec![command], work).await {
                Ok(_) => Ok(()),
                Err(ExecuteError::Refused(error)) => Err(CascadeError::Refused(error.to_string())),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn logout_ends_offline_access(&self) -> bool {
        self.0.config.sessions.logout_ends_offline_access
    }
}

/// Does this client want to be told by its server that people have logged out?
fn wants_backchannel_logout(client: &Client) -> bool {
    client.registered().is_some_and(|client| client.metadata.backchannel_logout_uri.is_some())
}

/// Routes beside those that every server has.
pub trait Routes: Fn(&mut web::ServiceConfig) + Clone + Send + 'static {}

impl<T: Fn(&mut web::ServiceConfig) + Clone + Send + 'static> Routes for T {}

/// The HTTP server, listening.
pub struct Listening {
    pub addresses: Vec<SocketAddr>,
    /// Where figures are served.
    pub metrics: Vec<SocketAddr>,
    pub handle: ServerHandle,
    server: Server,
    figures: Option<Server>,
}

impl Listening {
    /// Serves until it is stopped by its handle.
    pub async fn run(self) -> Result<(), StartError> {
        // Figures are there until the last request is answered.
        let figures = self.figures.map(|figures| (figures.handle(), actix::spawn(figures)));
        let served = self.server.await;
        if let Some((handle, _)) = figures {
            handle.stop(false).await;
        }
        served.map_err(StartError::Serve)
    }
}

/// What every server answers. Paths are tried in this order, those with a variable in them by a
/// regular expression: what has none comes first.
pub fn endpoints(service: &mut web::ServiceConfig) {
    service.configure(interaction::configure).configure(http::configure);
    service.configure(console::configure);
}

/// Listens on the configured addresses; `extra` adds routes of its own (the
/// demo's).
pub fn listen(services: &Arc<Services>, extra: impl Routes) -> Result<Listening, StartError> {
    let config = &services.config;
    let limit = usize::try_from(config.http.max_body_bytes).unwrap_or(usize::MAX);
    let timeout = Duration::from_secs(config.http.request_timeout.seconds().into());
    let data = web::Data::from(Arc::clone(services));
    let issuer_path = config.server.issuer.path().to_owned();
    let closed = Closed::of(config);
    let mut server = HttpServer::new(move || {
        Grants::live_here();
        let everything = |service: &mut web::ServiceConfig| {
            service.configure(endpoints).configure(&extra);
        };
        // Below an issuer's path all is there twice: a proxy may take it away, or not.
        let below_issuer = |service: &mut web::ServiceConfig| {
            if !issuer_path.is_empty() {
                service.configure(|service| http::well_known(service, &issuer_path));
                service.service(web::scope(&issuer_path).configure(everything));
            }
        };
        let (closed, observing) = (closed.clone(), data.clone());
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(limit))
            .configure(below_issuer)
            .configure(everything)
            .wrap_fn(move |mut request, app| {
                let observed = Observed::of(&observing, &request);
                let patience = Patience::with(&mut request, timeout);
                let next = if closed.covers(&request) {
                    Either::Left(request.into_response(HttpResponse::NotFound().finish()))
                } else {
                    Either::Right(app.call(request))
                };
                observed.answered(async move {
                    match next {
                        Either::Left(not_found) => Ok(not_found.map_into_boxed_body()),
                        Either::Right(answer) => Ok(patience.judged(answer.await?)),
                    }
                })
            })
    })
    .workers(config.server.worker_count())
    .max_connections(connections_of_a_worker(config))
    .client_request_timeout(timeout)
    .shutdown_timeout(config.server.shutdown_grace.seconds().into())
    .disable_signals();
    let addresses = addresses(&config.server.listen);
    if addresses.len() < config.server.addresses().len() {
        tracing::warn!("this machine has no IPv6: localhost is 127.0.0.1 only");
    }
    for address in addresses {
        let bound = match &services.certificates {
            None => server.bind(address),
            Some(certificates) => {
                let tls = tls::server_config(certificates, config.tls.min_version)?;
                server.bind_rustls_0_23(address, tls)
            }
        };
        server = bound.map_err(|source| StartError::Listen { address, source })?;
    }
    let addresses = server.addrs();
    let (metrics, figures) = listen_for_figures(services)?;
    let server = server.run();
    Ok(Listening { addresses, metrics, handle: server.handle(), server, figures })
}

fn connections_of_a_worker(config: &Config) -> usize {
    let all = usize::try_from(config.http.max_connections).unwrap_or(usize::MAX);
    all.div_ceil(config.server.worker_count().max(1))
}

/// Serves figures, if they are to be served.
fn listen_for_figures(
    services: &Arc<Services>,
) -> Result<(Vec<SocketAddr>, Option<Server>), StartError> {
    let addresses = addresses(&services.config.metrics.listen);
    if addresses.is_empty() {
        return Ok((addresses, None));
    }
    let data = web::Data::from(Arc::clone(services));
    let mut server = HttpServer::new(move || {
        App::new().app_data(data.clone()).configure(http::metrics::configure)
    })
    .workers(1)
    .disable_signals();
    for address in addresses {
        let bound = server.bind(address);
        server = bound.map_err(|source| StartError::Listen { address, source })?;
    }
    Ok((server.addrs(), Some(server.run())))
}

/// Can all the configured addresses be listened on just now? For those who want
/// to know before they begin something.
pub fn check_addresses(config: &Config) -> Result<(), StartError> {
    let all = [&config.server.listen, &config.metrics.listen];
    all.into_iter().flat_map(|listen| addresses(listen)).try_for_each(|address| {
        let listener = TcpListener::bind(address);
        listener.map(drop).map_err(|source| StartError::Listen { address, source })
    })
}

/// The configured addresses; of the two of `localhost` only the first on a
/// machine without IPv6.
fn addresses(listen: &[Listen]) -> Vec<SocketAddr> {
    let mut addresses = Listen::addresses(listen);
    let both = |port| {
        [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
            .map(|address: SocketAddr| addresses.contains(&address))
            == [true, true]
    };
    let without: Vec<_> = addresses
        .iter()
        .filter(|address| address.ip() == Ipv6Addr::LOCALHOST && both(address.port()))
        .copied()
        .collect();
    if !without.is_empty() && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        addresses.retain(|address| !without.contains(address));
    }
    addresses
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + format!("{byte:02x}").as_str())
}
