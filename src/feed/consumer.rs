//! Whoever keeps a checkpoint on the feed: projections and the process manager.
//!
//! On several nodes the same consumer runs several times, and the checkpoint
//! decides: it is moved by compare-and-set together with what it stands for.
//! Who loses leads no more but follows: it looks at the checkpoint now and
//! then, and takes over when it stands still although the log goes on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chancery_domain::ids::AggregateKind;
use chancery_projections::{Change, Recorded, Table, Undecodable};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Batch, Feed, Subscription, anew};
use crate::stores::{Checkpoint, StoreError};

/// How many events go into one transaction, about.
const HANDFUL: usize = 1000;
/// How long company is waited for between two transactions.
const PACE: Duration = Duration::from_millis(20);
/// How often a position that moved without changes is saved, and a reset looked for.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// How often a follower looks at the checkpoint.
pub(super) const FOLLOW: Duration = Duration::from_millis(250);
/// After how many looks at a checkpoint that stands still a follower takes over (2 seconds).
pub(super) const STILL: u32 = 8;

/// Takes events in order, each at least once.
pub trait Consumer: Send + Sync {
    /// Names its checkpoint.
    fn name(&self) -> &'static str;

    /// A higher number starts anew from the beginning of the log, beside the rows that are there.
    fn version(&self) -> u32;

    /// Its rows; none: it has none.
    fn tables(&self) -> &'static [&'static Table];

    /// The aggregates whose events it takes; it is shown no others.
    fn reads(&self) -> &'static [AggregateKind];

    /// It takes events from a checkpoint on. What it remembers of its own rows, or of what it has
    /// consumed and not seen written, is not true any more.
    fn begin(&mut self) {}

    /// What changes because of these events, to be written together with the checkpoint; None:
    /// nothing worth writing the checkpoint for at once. What it does to the outside it may do
    /// again after a failure.
    fn consume<'a>(
        &'a mut self,
        events: &'a [Arc<Recorded>],
    ) -> BoxFuture<'a, Result<Option<Vec<Change>>, ConsumeError>>;
}

/// Why a consumer stopped. It can be driven again at any time: it goes on where it stood.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It stands before this event until a version that can read it runs: nothing is skipped.
    #[error("it can't go past {0}")]
    Undecodable(Arc<Undecodable>),
    /// What it had to do to the outside could not be done.
    #[error("{0}")]
    Acting(String),
}

/// Where a consumer stands, as its owner sees it.
pub struct Standing(watch::Sender<State>);

/// Where a consumer stands, as others see it. Cheap to clone.
#[derive(Clone)]
pub struct Progress(watch::Receiver<State>);

#[derive(Debug, Clone, Default)]
struct State {
    position: u64,
    failure: Option<Arc<str>>,
}

/// The consumer is gone: it will never come further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the consumer of the feed has stopped")]
pub struct Stopped;

impl Standing {
    /// Before the first event.
    #[must_use]
    pub fn new() -> (Self, Progress) {
        let (sender, receiver) = watch::channel(State::default());
        (Self(sender), Progress(receiver))
    }

    fn at(&self, position: u64) {
        self.0.send_if_modified(|state| {
            let moved = state.position != position || state.failure.is_some();
            *state = State { position, failure: None };
            moved
        });
    }

    /// It stopped, for now; says why.
    pub fn failed(&self, error: &ConsumeError) {
        self.0.send_modify(|state| state.failure = Some(error.to_string().into()));
    }
}

impl Progress {
    /// The position up to which all is consumed (by this node or another).
    #[must_use]
    pub fn position(&self) -> u64 {
        self.0.borrow().position
    }

    /// Why it stands still, if it can't go on.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.0.borrow().failure.clone()
    }

    /// Waits until everything up to this position is consumed.
    pub async fn caught_up_to(&self, position: u64) -> Result<(), Stopped> {
        let mut states = self.0.clone();
        states.wait_for(|state| state.position >= position).await.map(drop).map_err(|_| Stopped)
    }
}

/// Drives a consumer on and on. Ends only by an error.
pub async fn drive(
    feed: &Feed,
    consumer: &mut dyn Consumer,
    standing: &Standing,
) -> Result<(), ConsumeError> {
    let (name, version) = (consumer.name(), consumer.version());
    let store = feed.store();
    loop {
        let checkpoint = store.checkpoint(name).await?;
        // Read after the checkpoint: it can't be behind it, unless the log is another.
        let end = store.last_position().await?;
        let why = match &checkpoint {
            Some(stands) if stands.version > version => {
                tracing::warn!(
                    projection.name = name,
                    "{name} is kept by a newer version of Chancery (rebuild it if there is none \
                     any more)"
                );
                follow(feed, consumer, standing, stands.clone()).await?;
                continue;
            }
            Some(stands) if stands.version < version && !consumer.tables().is_empty() => {
                anew::ask(feed, consumer).await?;
                wait_for(feed, consumer, standing).await?;
                continue;
            }
            Some(stands) if stands.version < version => Some("it is of an older version"),
            Some(stands) if stands.position > end => Some("it is ahead of the log"),
            Some(_) | None => None,
        };
        if let Some(why) = why {
            tracing::info!(projection.name = name, "{name} starts anew: {why}");
            store.reset_projection(name, consumer.tables()).await?;
            standing.at(0);
            continue;
        }
        lead(feed, consumer, standing, checkpoint).await?;
        match store.checkpoint(name).await? {
            Some(stands) if stands.version >= version => {
                follow(feed, consumer, standing, stands).await?;
            }
            Some(_) | None => {}
        }
    }
}

/// Consumes, until somebody else has moved (or removed) the checkpoint.
async fn lead(
    feed: &Feed,
    consumer: &mut dyn Consumer,
    standing: &Standing,
    mut saved: Option<Checkpoint>,
) -> Result<(), ConsumeError> {
    let store = feed.store();
    let version = consumer.version();
    consumer.begin();
    let mut position = saved.as_ref().map_or(0, |saved| saved.position);
    standing.at(position);
    let mut events = feed.subscribe(position);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    loop {
        let handful = tokio::select! {
            batch = events.next() => Some(Handful::of(batch?, &mut events, consumer.reads())),
            _ = looks.tick() => None,
        };
        let mut changes = None;
        let mut poison = None;
        let mut full = false;
        if let Some(handful) = handful {
            full = handful.full;
            if !handful.events.is_empty() {
                changes = consumer.consume(&handful.events).await?;
            }
            position = handful.through.max(position);
            poison = handful.poison;
        } else if saved.as_ref().map_or(0, |saved| saved.position) == position {
            if store.checkpoint(consumer.name()).await? != saved {
                return Ok(());
            }
            continue;
        } else {
            changes = Some(Vec::new());
        }
        if poison.is_some() && changes.is_none() {
            changes = Some(Vec::new());
        }
        if let Some(changes) = changes {
            let to = Checkpoint { version, position };
            if !store.project(consumer.name(), saved, to.clone(), changes).await? {
                return Ok(());
            }
            saved = Some(to);
            standing.at(position);
            // There is company enough where much is to be caught up with.
            if !full {
                tokio::time::sleep(PACE).await;
            }
        }
        standing.at(position);
        if let Some(poison) = poison {
            return Err(ConsumeError::Undecodable(poison));
        }
    }
}

/// Waits until the read model is of this version.
async fn wait_for(
    feed: &Feed,
    consumer: &dyn Consumer,
    standing: &Standing,
) -> Result<(), StoreError> {
    loop {
        match feed.store().checkpoint(consumer.name()).await? {
            Some(stands) if stands.version < consumer.version() => standing.at(stands.position),
            Some(_) | None => return Ok(()),
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

/// Waits while another leads.
async fn follow(
    feed: &Feed,
    consumer: &dyn Consumer,
    standing: &Standing,
    mut seen: Checkpoint,
) -> Result<(), StoreError> {
    let store = feed.store();
    let mut still = 0;
    loop {
        standing.at(seen.position);
        tokio::time::sleep(FOLLOW).await;
        let Some(now) = store.checkpoint(consumer.name()).await? else { return Ok(()) };
        if now.version < consumer.version() {
            return Ok(());
        }
        let moved = now != seen;
        seen = now;
        if moved || seen.version > consumer.version() || seen.position >= feed.end().await? {
            still = 0;
            continue;
        }
        still += 1;
        if still >= STILL {
            return Ok(());
        }
    }
}

/// What is consumed in one transaction.
pub(super) struct Handful {
    pub(super) events: Vec<Arc<Recorded>>,
    /// The position of the last event seen, also if it is none of `events`.
    pub(super) through: u64,
    /// The event that comes next, and can't be read.
    pub(super) poison: Option<Arc<Undecodable>>,
    /// There is more to be had at once.
    pub(super) full: bool,
}

impl Handful {
    pub(super) fn of(first: Batch, more: &mut Subscription, reads: &[AggregateKind]) -> Self {
        let mut handful =
            Self { events: Vec::new(), through: first.after(), poison: None, full: false };
        let mut next = Some(first);
        let mut count = 0;
        while let Some(batch) = next {
            for event in &batch {
                if reads.contains(&event.stored.event.stream.kind) {
                    match event.recorded() {
                        Ok(recorded) => handful.events.push(recorded),
                        Err(poison) => {
                            handful.poison = Some(poison);
                            return handful;
                        }
                    }
                }
                handful.through = event.position();
            }
            count += batch.len();
            handful.full = count >= HANDFUL;
            next = if handful.full { None } else { more.more() };
        }
        handful
    }
}

/// Tries again and again what should go on for good, more patiently the longer it fails.
pub async fn keep_trying<F, T>(name: &str, standing: Option<&Standing>, mut attempt: F)
where
    F: FnMut() -> T,
    T: Future<Output = Result<(), ConsumeError>>,
{
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(30);
    let mut patience = LEAST;
    loop {
        let since = tokio::time::Instant::now();
        let Err(error) = attempt().await else { return };
        if let Some(standing) = standing {
            standing.failed(&error);
        }
        if since.elapsed() > MOST {
            patience = LEAST;
        }
        match &error {
            ConsumeError::Undecodable(event) => tracing::error!(
                projection.name = name,
                event.position = event.position,
                "{name} stands still: {error}"
            ),
            ConsumeError::Store(_) | ConsumeError::Acting(_) => {
                tracing::warn!(projection.name = name, %error, "{name} tries again: {error}");
            }
        }
        tokio::time::sleep(patience).await;
        patience = (patience * 2).min(MOST);
    }
}
