//! Seals the log: one node leads, the others look on and take over when it
//! stops.
//!
//! A crash at any point neither loses nor repeats a leaf: tiles and checkpoint
//! are one transaction, and which node writes the next one is decided by the
//! number of that checkpoint.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_domain::ids::AggregateKind;
use tokio::time::Instant;

use super::log::{MerkleLog, SealError};
use super::note::CheckpointSigner;
use super::{Entry, heads, held, keys, origin};
use crate::aggregates::Origin;
use crate::feed::Batch;
use crate::services::Services;
use crate::stores::LogCheckpoint;

/// How many events go into one transaction, about.
const MANY: usize = 8192;
/// After how many looks at a checkpoint that stands still another node takes over.
const STILL: u32 = 4;
/// How often a node that looks on renews the checkpoint that it holds.
const RENEW: Duration = Duration::from_secs(10);
/// How often it is looked whether the ends of all histories are to be listed.
const LOOK: Duration = Duration::from_secs(60);
/// How long is waited after a failure, at least and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Seals for as long as the server runs.
pub async fn run(services: Arc<Services>) {
    let sealer = Sealer {
        origin: origin(&services.config),
        interval: Duration::from_secs(services.config.audit.checkpoint_interval.seconds().into()),
        held: held::path(&services.config),
        services,
    };
    let mut patience = PATIENCE.0;
    loop {
        let since = Instant::now();
        let result = sealer.seal().await;
        if since.elapsed() > PATIENCE.1 {
            patience = PATIENCE.0;
        }
        match result {
            Ok(()) => continue,
            Err(SealError::Conflict) => {}
            Err(error @ SealError::Tampered(_)) => tracing::error!(
                %error,
                "THE LOG IS NOT SEALED: {error}. Run `chancery audit verify`, and see \"When the \
                 log does not verify\" in src/transparency/README.md"
            ),
            Err(error) => tracing::warn!(%error, "the log can't be sealed now: {error}"),
        }
        tokio::time::sleep(patience).await;
        patience = (patience * 2).min(PATIENCE.1);
    }
}

struct Sealer {
    services: Arc<Services>,
    origin: String,
    interval: Duration,
    held: Option<PathBuf>,
}

impl Sealer {
    /// Leads until another node does, then looks on until it stops.
    async fn seal(&self) -> Result<(), SealError> {
        self.lead().await?;
        self.look_on().await
    }

    async fn lead(&self) -> Result<(), SealError> {
        let services = &self.services;
        let store = &*services.store;
        self.check_held().await?;
        let mut log = MerkleLog::load(store, &self.origin).await?;
        let end = store.last_position().await?;
        if log.position() > end {
            let position = log.position();
            return Err(SealError::Tampered(format!(
                "events up to position {position} were sealed, and the log ends at {end}"
            )));
        }
        let mut signers = keys::signers(&services.rotation(), &self.origin).await?;
        let mut events = services.feed.subscribe(log.position());
        let mut sealed_at = None::<Instant>;
        let mut listed = Instant::now();
        loop {
            let mut taken = Taken::default();
            taken.take(&events.next().await?, &mut log);
            let until = sealed_at.map(|at| at + self.interval);
            while taken.count < MANY {
                if let Some(batch) = events.more() {
                    taken.take(&batch, &mut log);
                    continue;
                }
                let Some(until) = until else { break };
                match tokio::time::timeout_at(until, events.next()).await {
                    Ok(batch) => taken.take(&batch?, &mut log),
                    Err(_) => break,
                }
            }
            if taken.keys_may_have_changed {
                signers = keys::signers(&services.rotation(), &self.origin).await?;
            }
            let by: Vec<_> = self.signing_now(&signers).await?;
            if !log.seal(store, &by, services.clock.now_ms()).await? {
                return Ok(());
            }
            sealed_at = Some(Instant::now());
            if let (Some(path), Some(last)) = (&self.held, log.last()) {
                held::keep(path, last.note.clone()).await?;
            }
            let every = self.services.config.audit.heads_interval;
            if listed.elapsed() > Duration::from_secs(every.seconds().into()).min(LOOK) {
                listed = Instant::now();
                tokio::spawn(list_heads(Arc::clone(services), self.origin.clone(), log.position()));
            }
        }
    }

    /// Those whose time is not over: that may happen at any moment.
    async fn signing_now<'a>(
        &self,
        signers: &'a [CheckpointSigner],
    ) -> Result<Vec<&'a CheckpointSigner>, SealError> {
        if let [only] = signers {
            return Ok(vec![only]);
        }
        let log = keys::sealed_log(&*self.services.store, &self.origin).await?;
        let signing: Vec<_> =
            log.state.signing(self.services.now()).map(|key| key.key_id.clone()).collect();
        Ok(signers.iter().filter(|signer| signing.contains(&signer.key_id())).collect())
    }

    /// Looks at the checkpoints of another node until they stand still although the log goes on.
    async fn look_on(&self) -> Result<(), SealError> {
        let store = &self.services.store;
        let mut seen = None::<LogCheckpoint>;
        let mut renewed = None::<Instant>;
        let mut still = 0;
        while still < STILL {
            tokio::time::sleep(self.interval).await;
            let now = store.log_checkpoint().await?;
            let end = match self.services.feed.position() {
                Some(position) => position,
                None => store.last_position().await?,
            };
            let behind = now.as_ref().is_none_or(|now| now.position < end);
            still = if now == seen && behind { still + 1 } else { 0 };
            if now != seen && renewed.is_none_or(|at| at.elapsed() > RENEW) {
                self.check_held().await?;
                renewed = Some(Instant::now());
                if let (Some(path), Some(now)) = (&self.held, &now) {
                    held::keep(path, now.note.clone()).await?;
                }
            }
            seen = now;
        }
        Ok(())
    }

    /// Does the log continue the one that this node saw last?
    async fn check_held(&self) -> Result<(), SealError> {
        let Some(path) = &self.held else { return Ok(()) };
        match held::read(path).await? {
            Some(held) if held.origin == self.origin => {
                held::check(&*self.services.store, &held).await
            }
            _ => Ok(()),
        }
    }
}

/// Lists where every history ends, if it is time. That may take long: meanwhile
/// the log is sealed on.
async fn list_heads(services: Arc<Services>, origin: String, through: u64) {
    let every = services.config.audit.heads_interval;
    let due = async {
        let log = keys::sealed_log(&*services.store, &origin).await?;
        let now = services.now();
        let recent = log
            .state
            .heads
            .is_some_and(|last| now.since(last.at) < every || last.through >= through);
        if recent {
            return Ok(());
        }
        let by = Origin::system("sealer");
        heads::list(&services.rotation(), &origin, through, by).await.map(drop)
    };
    match due.await {
        Ok(()) | Err(SealError::Conflict) => {}
        Err(error) => tracing::warn!(%error, "the ends of all histories were not listed: {error}"),
    }
}

/// What was taken from the feed since the last checkpoint.
#[derive(Default)]
struct Taken {
    count: usize,
    keys_may_have_changed: bool,
}

impl Taken {
    fn take(&mut self, batch: &Batch, log: &mut MerkleLog) {
        for event in batch {
            self.keys_may_have_changed |= event.stored.event.stream.kind == AggregateKind::Log;
            log.push(Entry::from(&event.stored));
        }
        self.count += batch.len();
    }
}
