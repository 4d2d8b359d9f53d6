//! A server to be measured and thrown away: this program's own, as a process of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Map;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::client::{Account, Registration};
use super::http::{Outgoing, Target, Wire};
use crate::admin::{AdminError, Confidential, NewAccount, NewClient, Operation, Outcome, perform};
use crate::app::{self, Node, OpenStore, StartError, open_store};
use crate::clock::SystemClock;
use crate::config::problem::Problems;
use crate::config::{Config, MASTER_KEY_FILE, Sources};
use crate::entropy::{Entropy, SystemEntropy};
use crate::sealing::{MasterKey, MasterKeyError};
use crate::services::Services;
use crate::stores::StoreError;
use crate::stores::postgres::PostgresStore;
use crate::stores::sqlite::SqliteStore;

/// Who it is in the events.
const OPERATOR: &str = "bench";

/// Nobody listens there: the virtual browser stops before it.
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// How long the server may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// People are made until there are so many; more users share them.
const MOST_ACCOUNTS: usize = 64;

/// How often it is looked whether the server is ready.
const LOOK: Duration = Duration::from_millis(20);

/// Which store the server gets.
#[derive(Clone)]
pub enum Place {
    /// SQLite in a folder that is removed in the end.
    Temporary,
    /// SQLite in this folder, which is kept.
    Folder(PathBuf),
    /// This database, an empty one unless its master key is given. (The URL may hold a password.)
    Postgres { url: String, master_key: Option<PathBuf> },
}

/// Why there is no server to measure.
#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the settings are wrong\n{0}")]
    Settings(Problems),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Url(#[from] url::ParseError),
    #[error("the store's master key is not there: {}", .0.display())]
    NoMasterKey(PathBuf),
    #[error("the database has a history already")]
    NotEmpty,
    #[error("the server did not start:\n{0}")]
    Server(String),
    #[error("the server is not ready after {} s:\n{said}", PATIENCE.as_secs())]
    NotReady { said: String },
}

/// A folder that goes with its owner.
#[derive(Debug)]
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> io::Result<Self> {
        let entropy: &dyn Entropy = &SystemEntropy;
        let name = format!("chancery-bench-{}", URL_SAFE_NO_PAD.encode(entropy.bytes::<9>()));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What can't be removed, is left to whoever tidies the folder for temporary files.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A server that runs.
pub struct Throwaway {
    pub issuer: Url,
    pub clients: Vec<Registration>,
    pub accounts: Vec<Account>,
    pub disk: Disk,
    child: Child,
    /// Gone after the child.
    folder: TemporaryFolder,
}

/// How much the store holds.
pub enum Disk {
    Sqlite(PathBuf),
    Postgres(Box<PostgresStore>),
}

impl Disk {
    pub async fn bytes(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(folder) => SqliteStore::bytes(folder),
            Self::Postgres(store) => store.bytes().await,
        }
    }

    /// The folder whose disk it is, if that is known.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(folder) => Some(folder),
            Self::Postgres(_) => None,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl Throwaway {
    /// Makes what so many users need, and starts the server. `settings` are lines of its
    /// configuration.
    pub async fn start(
        place: Place,
        settings: &[String],
        users: usize,
        wire: &mut Wire,
    ) -> Result<Self, ThrowawayError> {
        let folder = TemporaryFolder::new()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let layout = Layout::of(&place, &folder.0, port)?;
        let file = folder.0.join("chancery.toml");
        let text = layout.configuration(settings);
        private_file().open(&file)?.write_all(text.as_bytes())?;
        let config = Config::load(&Sources::of_text(&file, text));
        let config = config.map_err(ThrowawayError::Settings)?.config;

        let open = open_store(&config).await?;
        let master = layout.master_key(&place, &config, &open).await?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let node = Node::assemble(config, open, master, clock, entropy).await?;
        let seeded = seed(&node.services, users.clamp(1, MOST_ACCOUNTS)).await;
        node.close().await;
        let (clients, accounts) = seeded?;

        let disk = match place {
            Place::Temporary | Place::Folder(_) => Disk::Sqlite(layout.data),
            Place::Postgres { url, .. } => {
                Disk::Postgres(PostgresStore::connect(&url, 1).await?.into())
            }
        };
        let log = folder.0.join("server.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--config"])
            .arg(&file)
            // No setting comes from elsewhere.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(private_file().open(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let mut server = Self { issuer: layout.issuer, clients, accounts, disk, child, folder };
        server.ready(wire, &log).await?;
        Ok(server)
    }

    async fn ready(&mut self, wire: &mut Wire, log: &Path) -> Result<(), ThrowawayError> {
        let said = || {
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = text.trim().lines().collect();
            lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
        };
        let deadline = Instant::now() + PATIENCE;
        let mut url = self.issuer.clone();
        url.set_path("/health/ready");
        let Some(target) = Target::of(&url) else { return Err(ThrowawayError::Server(said())) };
        loop {
            if wire.call(&Outgoing::get(&target)).await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                return Err(ThrowawayError::Server(said()));
            }
            if Instant::now() > deadline {
                return Err(ThrowawayError::NotReady { said: said() });
            }
            sleep(LOOK).await;
        }
    }

    /// The server's process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops the server as operators do, and waits for its end.
    pub async fn stop(mut self) -> io::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        if let Disk::Postgres(store) = &self.disk {
            crate::stores::Store::close(&**store).await;
        }
        drop(self.folder);
        Ok(())
    }
}

/// Where everything is.
struct Layout {
    issuer: Url,
    data: PathBuf,
    store: String,
    master_key: PathBuf,
}

impl Layout {
    fn of(place: &Place, folder: &Path, port: u16) -> Result<Self, url::ParseError> {
        let data = match place {
            Place::Temporary | Place::Postgres { .. } => folder.join("data"),
            Place::Folder(data) => std::path::absolute(data).unwrap_or_else(|_| data.clone()),
        };
        let (store, master_key) = match place {
            Place::Temporary => (sqlite(&data), folder.join(MASTER_KEY_FILE)),
            Place::Folder(_) => (sqlite(&data), data.join(MASTER_KEY_FILE)),
            Place::Postgres { url, master_key } => {
                let own = master_key.clone().unwrap_or_else(|| folder.join(MASTER_KEY_FILE));
                (url.clone(), std::path::absolute(&own).unwrap_or(own))
            }
        };
        let issuer = format!("http://127.0.0.1:{port}").parse()?;
        Ok(Self { issuer, data, store, master_key })
    }

    fn configuration(&self, settings: &[String]) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let issuer = self.issuer.as_str().trim_end_matches('/');
        let listen = self.issuer.authority();
        let mut text = format!(
            "server.issuer = {}\nserver.listen = [{}]\nstore.url = {}\nmaster_key.file = {}\n\
             log.filter = \"warn\"\n",
            quoted(issuer),
            quoted(listen),
            quoted(&self.store),
            quoted(&self.master_key.to_string_lossy()),
        );
        // With each port another log would begin, to be sealed from its first event on.
        if !settings.iter().any(|line| line.trim_start().starts_with("audit.origin")) {
            text.push_str("audit.origin = \"bench.invalid/audit/log\"\n");
        }
        for line in settings {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    async fn master_key(
        &self,
        place: &Place,
        config: &Config,
        open: &OpenStore,
    ) -> Result<MasterKey, ThrowawayError> {
        let is_new = open.store.last_position().await? == 0;
        if matches!(place, Place::Postgres { master_key: None, .. }) && !is_new {
            return Err(ThrowawayError::NotEmpty);
        }
        if self.master_key.exists() {
            return Ok(app::master_key(config).await?);
        }
        if !is_new || matches!(place, Place::Postgres { master_key: Some(_), .. }) {
            return Err(ThrowawayError::NoMasterKey(self.master_key.clone()));
        }
        Ok(MasterKey::create(&self.master_key, &SystemEntropy)?)
    }
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.display())
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    options
}

/// Registers the clients and the people; their names are new each time.
async fn seed(
    services: &Services,
    accounts: usize,
) -> Result<(Vec<Registration>, Vec<Account>), ThrowawayError> {
    let entropy: &dyn Entropy = &SystemEntropy;
    let run = hex(entropy.bytes::<4>());
    let direct = ClientMetadata {
        client_name: Some("Bench, for itself".to_owned()),
        grant_types: vec![GrantType::ClientCredentials],
        response_types: vec![],
        scope: parsed(Scope::parse("read write"))?,
        ..ClientMetadata::default()
    };
    let web = ClientMetadata {
        client_name: Some("Bench, for people".to_owned()),
        redirect_uris: vec![parsed(REDIRECT_URI.parse())?],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: parsed(Scope::parse("openid profile offline_access"))?,
        skip_consent: true,
        ..ClientMetadata::default()
    };
    let mut clients = Vec::new();
    for (name, metadata) in [("service", direct), ("web", web)] {
        let client_id = parsed(ClientId::parse(&format!("bench-{name}-{run}")))?;
        clients.push(register(services, client_id, metadata).await?);
    }
    let mut people = Vec::new();
    for number in 0..accounts {
        let account = Account {
            username: format!("bench-{run}-{number}"),
            password: Confidential::new(URL_SAFE_NO_PAD.encode(entropy.bytes::<18>())),
        };
        let new = NewAccount {
            name: account.username.clone(),
            password: account.password.clone(),
            claims: Map::from_iter([("name".to_owned(), "Bench Person".into())]),
            roles: std::collections::BTreeSet::new(),
        };
        perform(services, Operation::AddAccount(new), OPERATOR).await?;
        people.push(account);
    }
    Ok((clients, people))
}

async fn register(
    services: &Services,
    client_id: ClientId,
    metadata: ClientMetadata,
) -> Result<Registration, ThrowawayError> {
    let new = NewClient { client_id: Some(client_id), secret: None, metadata: Box::new(metadata) };
    let made = perform(services, Operation::AddClient(new), OPERATOR).await?;
    // What is printed for its owner is what is read from a file.
    let Outcome::Client(client) = made else {
        return Err(AdminError::Failed("no client was made".to_owned()).into());
    };
    let client = parsed(serde_json::to_value(client))?;
    Ok(parsed(serde_json::from_value(client))?)
}

fn parsed<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, AdminError> {
    result.map_err(|error| AdminError::Failed(error.to_string()))
}

fn hex(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(bytes))
}
