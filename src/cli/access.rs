//! How a command gets at a store, wherever it is and whoever else is there.
//!
//! On PostgreSQL a command is one more writer among the nodes. An embedded
//! store has one writer: the process that holds its lock. When that is a
//! server, a command reads beside it and sends what it wants changed over the
//! control socket; else it takes the lock itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_domain::ids::SubjectId;
use chancery_projections::ReadModel;
use tokio::sync::OnceCell;

use super::StoreArgs;
use super::exit::{CliError, ExitCode};
use super::output;
use super::progress::{bar, spinner};
use super::serve::not_started;
use crate::actors::projector::consumer;
use crate::admin::socket::{self, SocketError};
use crate::admin::{AdminError, Operation, Outcome, find_account, perform};
use crate::app::{Node, OpenStore, StartError, master_key};
use crate::clock::SystemClock;
use crate::config::store::Location;
use crate::config::{Config, operator};
use crate::entropy::SystemEntropy;
use crate::feed::consumer::{ConsumeError, Standing, drive};
use crate::feed::{Feed, anew};
use crate::keys::{self, KeysError};
use crate::lookups::Lookups;
use crate::services::Services;
use crate::stores::postgres::PostgresStore;
use crate::stores::sqlite::SqliteStore;
use crate::stores::{Checkpoint, Store, StoreError, beside};

/// How long the process that holds the lock may take to listen: it may be
/// starting.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for, and read models are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// After how many looks at read models that stand still nobody keeps them.
const STILL: u32 = 30;

/// A store, as a command may use it.
pub struct Access {
    config: Config,
    store: Arc<dyn Store>,
    right: Right,
    node: OnceCell<Node>,
}

/// What this process may do with the store.
enum Right {
    /// It holds the lock.
    Alone,
    /// It writes, as others do.
    Shared,
    /// It reads; whoever holds the lock of this folder writes.
    Beside(PathBuf),
}

impl Access {
    /// Opens the store, does the work, and closes the store.
    pub async fn with<T>(
        args: &StoreArgs,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        Self::open(args).await?.finish(work).await
    }

    /// The same, for work that only reads the log: it takes no lock, and so is
    /// in nobody's way for as long as it likes.
    pub async fn reading<T>(
        args: &StoreArgs,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let config = args.load()?.config;
        let access = match config.store.location() {
            Location::Sqlite(folder) => Self::beside(config, folder)?,
            Location::Postgres(_) => Self::shared(config).await?,
        };
        access.finish(work).await
    }

    async fn open(args: &StoreArgs) -> Result<Self, CliError> {
        let config = args.load()?.config;
        let Location::Sqlite(folder) = config.store.location() else {
            return Self::shared(config).await;
        };
        exists(&folder)?;
        match SqliteStore::open(&folder) {
            Ok(store) => Ok(Self::new(config, Arc::new(store), Right::Alone)),
            Err(StoreError::InUse(_)) => Self::beside(config, folder),
            Err(error) => Err(error.into()),
        }
    }

    fn beside(config: Config, folder: PathBuf) -> Result<Self, CliError> {
        exists(&folder)?;
        let store = SqliteStore::open_read_only(&folder)?;
        Ok(Self::new(config, Arc::new(store), Right::Beside(folder)))
    }

    async fn shared(config: Config) -> Result<Self, CliError> {
        let Location::Postgres(url) = config.store.location() else {
            return Err(CliError::failed("the store is not shared"));
        };
        #[expect(clippy::disallowed_methods, reason = "PostgreSQL asks for the password")]
        let url = url.expose();
        let store = PostgresStore::connect(url, config.store.pool_size.into()).await?;
        Ok(Self::new(config, Arc::new(store), Right::Shared))
    }

    fn new(config: Config, store: Arc<dyn Store>, right: Right) -> Self {
        Self { config, store, right, node: OnceCell::new() }
    }

    async fn finish<T>(
        self,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let result = work(&self).await;
        match self.node.into_inner() {
            Some(node) => node.close().await,
            None => self.store.close().await,
        }
        result
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The store; good for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The folder of a store that another process writes to.
    #[must_use]
    pub fn folder_in_use(&self) -> Option<&Path> {
        match &self.right {
            Right::Beside(folder) => Some(folder),
            Right::Alone | Right::Shared => None,
        }
    }

    /// Can other processes write while this one does?
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.right, Right::Shared)
    }

    /// What needs the master key: keys, sealed values. Beside a server it
    /// reads only.
    pub async fn services(&self) -> Result<Arc<Services>, CliError> {
        let node = self.node.get_or_try_init(async || {
            let open = OpenStore { store: Arc::clone(&self.store), shared: self.is_shared() };
            let mut config = self.config.clone();
            if self.folder_in_use().is_some() {
                // Keys that are still to be made are the server's to make.
                config.keys.extra_algorithms.clear();
                config.keys.encryption_algorithms.clear();
                let keys = keys::published(&*self.store).await.map_err(CliError::failed)?;
                let mut active = keys.iter().filter(|key| key.is_active());
                if let Some(algorithm) = active.find_map(|key| key.algorithm.signing()) {
                    config.keys.signing_algorithm = algorithm;
                }
            }
            assemble(&config, open).await
        });
        Ok(Arc::clone(&node.await?.services))
    }

    /// Carries out an operation: here, or by the server that holds the lock.
    pub async fn perform(&self, operation: Operation) -> Result<Outcome, CliError> {
        match &self.right {
            Right::Alone | Right::Shared => {
                Ok(perform(&*self.services().await?, operation, &operator()).await?)
            }
            Right::Beside(folder) => self.ask(folder, operation).await,
        }
    }

    /// Who logs in with this name, or has this subject.
    pub async fn subject(&self, account: &str) -> Result<SubjectId, CliError> {
        let services = self.services().await?;
        let folded = find_account(&services, account).await?;
        let account = folded.state.registered().map(|account| account.subject);
        account.ok_or_else(|| CliError::failed("an account was found that is none"))
    }

    /// Asks whoever holds the lock; or does it here, when they have ended.
    async fn ask(&self, folder: &Path, operation: Operation) -> Result<Outcome, CliError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match socket::send(folder, operation.clone(), &operator()).await {
                Ok(result) => return Ok(result?),
                Err(SocketError::NobodyListens(_)) => {}
                Err(error) => return Err(CliError::failed(error)),
            }
            match SqliteStore::open(folder) {
                Ok(store) => {
                    let open = OpenStore { store: Arc::new(store), shared: false };
                    let node = assemble(&self.config, open).await?;
                    let result = perform(&node.services, operation, &operator()).await;
                    node.close().await;
                    return Ok(result?);
                }
                Err(error @ StoreError::InUse(_)) if tokio::time::Instant::now() > deadline => {
                    return Err(CliError::store_unavailable(error)
                        .hint("it does not listen for commands; it may be busy starting"));
                }
                Err(StoreError::InUse(_)) => tokio::time::sleep(LOOK).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The read models, once these hold all that the log holds now.
    pub async fn lookups(&self, names: &[&str]) -> Result<Lookups, CliError> {
        let projections: Vec<_> = chancery_projections::ALL
            .into_iter()
            .filter(|projection| names.contains(&projection.name()))
            .collect();
        let end = self.store.last_position().await?;
        let waiting = spinner("waiting for the read models");
        let caught_up = match self.right {
            Right::Alone => false,
            Right::Shared | Right::Beside(_) => self.wait_for(&projections, end).await?,
        };
        match self.right {
            _ if caught_up => {}
            // Nobody else does, or nobody can.
            Right::Alone | Right::Shared => Box::pin(self.project(&projections, end)).await?,
            Right::Beside(_) => output::note(
                "the server's read models lag behind the log: what happened last may be missing",
            ),
        }
        waiting.finish_and_clear();
        Ok(Lookups::new(Arc::clone(&self.store)))
    }

    /// Waits while somebody brings the read models up to this position; false
    /// when nobody does.
    async fn wait_for(&self, projections: &[ReadModel], end: u64) -> Result<bool, StoreError> {
        let mut before = Vec::new();
        let mut still = 0;
        while still < STILL {
            let mut now = Vec::with_capacity(projections.len());
            for projection in projections {
                let checkpoint = self.store.checkpoint(projection.name()).await?;
                let current = checkpoint.filter(|stands| stands.version == projection.version());
                now.push(current.map_or(0, |stands| stands.position));
            }
            if now.iter().all(|position| *position >= end) {
                return Ok(true);
            }
            still = if now == before { still + 1 } else { 0 };
            before = now;
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }

    /// Waits until these read models were made anew, or makes them where nobody else does. False:
    /// the server is not done yet.
    pub async fn made_anew(&self, names: &[&str]) -> Result<bool, CliError> {
        if !matches!(self.right, Right::Alone) {
            let done = self.wait_until_made(names).await?;
            if done || matches!(self.right, Right::Beside(_)) {
                return Ok(done);
            }
        }
        let feed = Feed::new(Arc::clone(&self.store));
        let making = spinner("making read models anew");
        for projection in chancery_projections::ALL {
            if names.contains(&projection.name()) {
                let mut maker = consumer(&feed, projection);
                Box::pin(anew::now(&feed, &mut *maker)).await.map_err(stopped)?;
            }
        }
        making.finish_and_clear();
        Ok(true)
    }

    /// Waits while somebody makes read models anew; false when nobody goes on with it.
    async fn wait_until_made(&self, names: &[&str]) -> Result<bool, StoreError> {
        /// How many looks it takes a server to begin.
        const PATIENCE: u32 = 200;
        let end = self.store.last_position().await?;
        let total = end.saturating_mul(u64::try_from(names.len()).unwrap_or_default());
        let making = bar(total, "making read models anew");
        let (mut before, mut still) = (None, 0);
        while still < PATIENCE {
            let (mut left, mut done) = (0_u32, 0);
            for name in names {
                let stands = self.store.checkpoint(&beside(name)).await?;
                left += u32::from(stands.is_some());
                done += stands.map_or(end, |stands| stands.position);
            }
            making.set_position(done);
            if left == 0 {
                making.finish_and_clear();
                return Ok(true);
            }
            still = if before == Some((left, done)) { still + 1 } else { 0 };
            before = Some((left, done));
            tokio::time::sleep(LOOK).await;
        }
        making.finish_and_clear();
        Ok(false)
    }

    async fn project(&self, projections: &[ReadModel], end: u64) -> Result<(), CliError> {
        let feed = Feed::new(Arc::clone(&self.store));
        for projection in projections {
            let (standing, progress) = Standing::new();
            let mut projector = consumer(&feed, *projection);
            let stands = self.store.checkpoint(projection.name()).await?;
            if stands.is_some_and(|stands| stands.version < projection.version()) {
                anew::ask(&feed, &*projector).await.map_err(stopped)?;
                anew::now(&feed, &mut *projector).await.map_err(stopped)?;
            }
            tokio::select! {
                result = drive(&feed, &mut *projector, &standing) => result.map_err(stopped)?,
                result = progress.caught_up_to(end) => result.map_err(CliError::failed)?,
            }
            // Where nothing changed, how far it is has not been saved yet.
            let saved = self.store.checkpoint(projection.name()).await?;
            if saved.as_ref().is_none_or(|saved| saved.position < end) {
                let to = Checkpoint { version: projection.version(), position: end };
                self.store.project(projection.name(), saved, to, vec![]).await?;
            }
        }
        Ok(())
    }
}

async fn assemble(config: &Config, open: OpenStore) -> Result<Node, CliError> {
    let master = master_key(config).await?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    // Boxed: it is by far the largest of what a command waits for.
    Ok(Box::pin(Node::assemble(config.clone(), open, master, clock, entropy)).await?)
}

/// Only `migrate`, `serve` and `quickstart` make a store.
fn exists(folder: &Path) -> Result<(), CliError> {
    if folder.join("chancery.db").is_file() {
        return Ok(());
    }
    let message = format_args!("there is no store in {}", folder.display());
    let hint = "start the server once or run `chancery migrate` to make it, or name another folder";
    Err(CliError::store_unavailable(message).hint(hint))
}

fn stopped(error: ConsumeError) -> CliError {
    match error {
        ConsumeError::Store(error) => error.into(),
        error => CliError::failed(error)
            .hint("`chancery replay` says more; an event of a newer version needs that version"),
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::store_unavailable(error)
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::MasterKey(error) => Self::usage(error).hint(
                "the master key is named in [master_key], or is the file master.key in the folder \
                 given with --data",
            ),
            StartError::Keys(error @ KeysError::Unwrap { .. }) => Self::usage(error).hint(
                "name the master key that the store's keys are wrapped by (`chancery key rewrap` \
                 changes it)",
            ),
            error => not_started(&error),
        }
    }
}

impl From<AdminError> for CliError {
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::NotFound { .. } => ExitCode::NotFound,
            AdminError::Invalid(_) => ExitCode::Usage,
            AdminError::Refused(_) => ExitCode::Refused,
            AdminError::Unavailable(_) => ExitCode::StoreUnavailable,
            AdminError::Failed(_) => ExitCode::Failed,
        };
        Self::new(code, error)
    }
}

/// An outcome of another kind than was asked for: a server of another version.
#[must_use]
pub fn unexpected(_: Outcome) -> CliError {
    CliError::failed("the server answered something else: is it of another version?")
}
