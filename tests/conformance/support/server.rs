//! A node, put together as `chancery serve` does it, but for its clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::ArbiterHandle;
use actix_web::dev::ServerHandle;
use chancery::app::{Node, listen, open_store};
use chancery::clock::FixedClock;
use chancery::config::{Config, Sources};
use chancery::entropy::SystemEntropy;
use chancery::sealing::MasterKey;
use chancery::services::Services;
use chancery::stores::StoredEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::time::{Lifetime, UnixTime};
use sqlx::Executor as _;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{StoreKind, until};
use crate::postgres_database::Database;

/// When every test begins.
pub const BEGINNING: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// A server of its own for a test; ends with it.
pub struct TestServer {
    /// Where it listens, and the issuer unless it is a second node.
    pub address: String,
    pub issuer: String,
    pub clock: Arc<FixedClock>,
    settings: String,
    running: Running,
    // After what runs in it.
    home: Arc<Home>,
}

enum Home {
    Sqlite(TempDir),
    Postgres(Box<Database>),
}

impl Home {
    async fn new(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => Self::Sqlite(TempDir::new().unwrap()),
            StoreKind::Postgres => Self::Postgres(Box::new(Database::empty().await)),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

/// What runs in a thread of its own.
struct Running {
    services: Arc<Services>,
    arbiter: ArbiterHandle,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// With the default settings.
    pub async fn start(kind: StoreKind) -> Self {
        Self::with_settings(kind, "").await
    }

    /// With further settings, as they stand in the configuration file; those before its first
    /// table are the server's.
    pub async fn with_settings(kind: StoreKind, settings: &str) -> Self {
        let home = Arc::new(Home::new(kind).await);
        let clock = Arc::new(FixedClock::at(BEGINNING));
        let address = free_address();
        let issuer = format!("http://{address}");
        Self::on(home, clock, address, issuer, settings).await
    }

    /// The same, speaking TLS by the certificate that the settings name.
    pub async fn over_tls(kind: StoreKind, settings: &str) -> Self {
        let home = Arc::new(Home::new(kind).await);
        let clock = Arc::new(FixedClock::at(BEGINNING));
        let address = free_address();
        let issuer = format!("https://{address}");
        let mut server = Self::on(home, clock, address, issuer.clone(), settings).await;
        server.address = issuer;
        server
    }

    /// With an issuer that has a path.
    pub async fn below(kind: StoreKind, path: &str, settings: &str) -> Self {
        let home = Arc::new(Home::new(kind).await);
        let clock = Arc::new(FixedClock::at(BEGINNING));
        let address = free_address();
        let issuer = format!("http://{address}{path}");
        Self::on(home, clock, address, issuer, settings).await
    }

    /// Another node of the same server, on the same PostgreSQL.
    pub async fn second_node(&self) -> Self {
        assert!(matches!(*self.home, Home::Postgres(_)), "SQLite has one node only");
        let (home, clock) = (Arc::clone(&self.home), Arc::clone(&self.clock));
        Self::on(home, clock, free_address(), self.issuer.clone(), &self.settings).await
    }

    async fn on(
        home: Arc<Home>,
        clock: Arc<FixedClock>,
        address: String,
        issuer: String,
        settings: &str,
    ) -> Self {
        let tables = if settings.starts_with('[') { 0 } else { settings.find("\n[").unwrap_or(0) };
        let (own, tables) = settings.split_at(tables);
        let file = format!(
            "[server]\nissuer = \"{issuer}\"\nlisten = [\"{address}\"]\nworkers = 2\n{own}\n\
             [store]\nurl = \"{}\"\npool_size = 4\n[master_key]\nenv = \"NOT_ASKED\"\n{tables}",
            home.url()
        );
        let config = Config::load(&Sources::of_text("test.toml", file));
        let config = config.unwrap_or_else(|problems| panic!("{problems}")).config;
        let running = Running::start(config, Arc::clone(&clock)).await;
        let address = format!("http://{address}");
        Self { address, issuer, clock, settings: settings.to_owned(), running, home }
    }

    /// Ends it, and starts it again on the same store.
    pub async fn restart(self) -> Self {
        let Self { address, issuer, clock, settings, running, home } = self;
        drop(running);
        let address = address.trim_start_matches("http://").to_owned();
        Self::on(home, clock, address, issuer, &settings).await
    }

    /// Ends it, does something to its store while no server runs, and starts it
    /// again: as if it had been cut off in the middle of that.
    pub async fn restart_after<F>(
        self,
        work: impl FnOnce(Arc<Services>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        let Self { address, issuer, clock, settings, running, home } = self;
        let config = running.services.config.clone();
        drop(running);
        let time = Arc::clone(&clock);
        let apart = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let store = open_store(&config).await.unwrap();
                let master = MasterKey::from_bytes([7; 32]);
                let entropy = Arc::new(SystemEntropy);
                let node = Node::assemble(config, store, master, time, entropy).await.unwrap();
                work(Arc::clone(&node.services)).await;
                node.close().await;
            });
        });
        apart.join().unwrap();
        let address = address.trim_start_matches("http://").to_owned();
        Self::on(home, clock, address, issuer, &settings).await
    }

    /// All bytes of the store's files: of a database of PostgreSQL, those of its
    /// tables and indices.
    pub async fn bytes(&self) -> Vec<u8> {
        match &*self.home {
            Home::Sqlite(folder) => {
                let files = std::fs::read_dir(folder.path()).unwrap();
                let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
                files.flat_map(|file| std::fs::read(file).unwrap()).collect()
            }
            Home::Postgres(database) => {
                let mut connection = database.connection().await;
                connection.execute("CHECKPOINT").await.unwrap();
                let files: Vec<(Vec<u8>,)> = sqlx::query_as(
                    "SELECT pg_read_binary_file('base/' || pg_database.oid || '/' || name)
                     FROM pg_database, pg_ls_dir('base/' || pg_database.oid) AS name
                     WHERE datname = current_database()",
                )
                .fetch_all(&mut connection)
                .await
                .unwrap();
                files.into_iter().flat_map(|(bytes,)| bytes).collect()
            }
        }
    }

    /// Writes to the database behind the server's back, as whoever holds it can: without the
    /// triggers that keep the events as they are.
    pub async fn tamper(&self, statement: &str) {
        match &*self.home {
            Home::Sqlite(folder) => {
                let database =
                    rusqlite::Connection::open(folder.path().join("chancery.db")).unwrap();
                database.busy_timeout(Duration::from_secs(10)).unwrap();
                database.execute_batch("DROP TRIGGER events_are_not_updated").unwrap();
                database.execute_batch(statement).unwrap();
            }
            Home::Postgres(database) => {
                let mut connection = database.connection().await;
                let unguard = "DROP TRIGGER events_are_append_only ON events";
                connection.execute(unguard).await.unwrap();
                connection.execute(statement).await.unwrap();
            }
        }
    }

    /// Waits until the server has noted what it notes by itself after its start, the key of its
    /// checkpoints last: from then on nothing happens unless a test brings it about.
    pub async fn settled(&self) {
        let url = format!("{}/audit/log/checkpoint", self.address);
        until("the first checkpoint", || async {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Holds up the feeds of all nodes, as a node does that hangs in the middle of an append, until
    /// the connection is dropped.
    pub async fn hold_up_feeds(&self) -> sqlx::PgConnection {
        let mut connection = self.holding_events("ROW EXCLUSIVE").await;
        connection.execute("SELECT next_event_position()").await.unwrap();
        connection
    }

    /// Holds up all appends, as a disk that stands still does, until the connection is dropped.
    pub async fn hold_up_writes(&self) -> sqlx::PgConnection {
        self.holding_events("EXCLUSIVE").await
    }

    /// A transaction that holds the table of events in this mode.
    async fn holding_events(&self, mode: &str) -> sqlx::PgConnection {
        let Home::Postgres(database) = &*self.home else { panic!("nobody else writes to SQLite") };
        let mut connection = database.connection().await;
        connection.execute("BEGIN").await.unwrap();
        let lock = format!("LOCK TABLE events IN {mode} MODE");
        connection.execute(&*lock).await.unwrap();
        connection
    }

    /// Lets PostgreSQL sample its tables, as it does by itself now and then.
    pub async fn analyze(&self) {
        let Home::Postgres(database) = &*self.home else { return };
        database.connection().await.execute("ANALYZE").await.unwrap();
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u32) {
        self.clock.advance(Lifetime::from_seconds(seconds));
    }

    /// Does something in the server's own thread: what an operator would do by
    /// the command line.
    pub async fn act<T, F>(&self, work: impl FnOnce(Arc<Services>) -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let services = Arc::clone(&self.running.services);
        let accepted = self.running.arbiter.spawn(async move {
            let _ = sender.send(work(services).await);
        });
        assert!(accepted, "the server has stopped");
        receiver.await.unwrap()
    }

    /// The log in order, without what the sealer lists by itself at times of its own.
    pub async fn log(&self) -> Vec<StoredEvent> {
        let mut log = self.whole_log().await;
        log.retain(|stored| stored.event.event_type != "HeadsListed");
        log
    }

    /// All of the log, in order.
    pub async fn whole_log(&self) -> Vec<StoredEvent> {
        self.act(|services| async move {
            let mut reader = services.store.read_log(0);
            let mut log = Vec::new();
            loop {
                let page = reader.next(500).await.unwrap();
                if page.is_empty() {
                    return log;
                }
                log.extend(page);
            }
        })
        .await
    }

    /// The types of the events of each grant, by its id: in order of their beginning.
    pub async fn grants(&self) -> BTreeMap<String, Vec<String>> {
        let mut grants = BTreeMap::<String, Vec<String>>::new();
        for stored in self.log().await {
            if stored.event.stream.kind == AggregateKind::Grant {
                let types = grants.entry(stored.event.stream.id.to_string()).or_default();
                types.push(stored.event.event_type.into_owned());
            }
        }
        grants
    }

    /// The types of the events of the only grant.
    pub async fn only_grant(&self) -> Vec<String> {
        let grants = self.grants().await;
        assert_eq!(grants.len(), 1, "{grants:?}");
        grants.into_values().next().unwrap()
    }
}

impl Running {
    async fn start(config: Config, clock: Arc<FixedClock>) -> Self {
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let store = open_store(&config).await.unwrap();
                let master = MasterKey::from_bytes([7; 32]);
                let entropy = Arc::new(SystemEntropy);
                let node = Node::assemble(config, store, master, clock, entropy).await.unwrap();
                let background = node.keep_up();
                let listening = listen(&node.services, |_| {}).unwrap();
                let started = (
                    Arc::clone(&node.services),
                    actix::System::current().arbiter().clone(),
                    listening.handle.clone(),
                );
                assert!(sender.send(started).is_ok(), "nobody waits for the server");
                listening.run().await.unwrap();
                background.stop().await;
                node.close().await;
            });
        });
        let (services, arbiter, server) = receiver.await.expect("the server does not start");
        Self { services, arbiter, server, thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let stop = self.server.clone();
        self.arbiter.spawn(async move { stop.stop(false).await });
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server died");
    }
}

/// An address that nobody listens on. Below the ports that the system gives out
/// by itself, and each only once in this process.
pub fn free_address() -> String {
    const FIRST: u16 = 12_000;
    const LAST: u16 = 32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id() % u32::from(LAST - FIRST);
    for _ in FIRST..LAST {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u32::from(FIRST) + (offset + step) % u32::from(LAST - FIRST);
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}
