//! Sinks: events are delivered to others, by one node at a time.
//!
//! How far a sink is, and which node delivers, is kept as a group of readers
//! with one partition ([`GroupState`]): the nodes are its members, and another
//! takes over when one does not renew its lease. What is delivered is committed
//! after it was taken; after a crash some is delivered again.

pub mod dead_letters;
mod nats;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

use self::dead_letters::DeadLetter;
use self::nats::Nats;
use self::webhook::Webhook;
use super::envelope::CloudEvents;
use super::filter::Filter;
use super::groups::{GroupError, GroupState, Groups};
use crate::config::sinks::{Begin, Sink, To};
use crate::feed::FeedEvent;
use crate::services::Services;
use crate::stores::StoreError;

/// Whoever makes groups is named; sinks are nobody's.
const OWNER: &str = "the settings";
/// How long a node may be silent before another delivers, in milliseconds.
const LEASE_MS: i64 = 15_000;
/// How often it says that it is there, and how far it is.
const RENEW: Duration = Duration::from_secs(3);
/// How often how far it is is written while much is delivered.
const COMMIT: Duration = Duration::from_millis(500);
/// So many events are delivered together.
const HANDFUL: usize = 256;
/// The waits between two tries.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(60);

/// What events are delivered to.
trait Delivery: Send {
    /// Gets ready to deliver what comes after a position. Gives another one, earlier or later,
    /// if what was delivered last is known better there.
    fn begin(&mut self, position: u64) -> BoxFuture<'_, Result<u64, NotDelivered>>;

    /// Delivers these events in order. Gives how many were taken, and why no more.
    fn deliver<'a>(
        &'a mut self,
        events: &'a [Arc<FeedEvent>],
    ) -> BoxFuture<'a, (usize, Result<(), NotDelivered>)>;
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotDelivered {
    /// Nobody there, or nobody who takes anything now: it is waited for.
    #[error("{0}")]
    Unreachable(String),
    /// This event was refused.
    #[error("{0}")]
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("another node delivers")]
    Elsewhere,
    #[error("the server stops")]
    Closing,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Group(error.into())
    }
}

/// Delivers to a sink for as long as the node runs.
pub async fn run(services: Arc<Services>, name: String) {
    let Some(config) = services.config.sinks.get(&name) else { return };
    let (types, clients) = (config.types.iter(), config.clients.iter());
    let filter =
        Filter::new(services.schemas(), types.map(String::as_str), clients.map(String::as_str));
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => {
            tracing::error!(sink.name = name, %error, "the sink {name} delivers nothing: {error}");
            return;
        }
    };
    let mut patience = LEAST;
    loop {
        let since = Instant::now();
        let delivery = open(&services, config);
        let runner = Runner { services: &services, config, name: &name, filter: &filter };
        match runner.run(delivery).await {
            Ended::Closing => return,
            Ended::Elsewhere => patience = LEAST,
            error @ Ended::Group(_) => {
                tracing::warn!(sink.name = name, %error, "the sink {name} tries again: {error}");
            }
        }
        if since.elapsed() > MOST {
            patience = LEAST;
        }
        sleep(patience).await;
        patience = (patience * 2).min(MOST);
    }
}

fn open(services: &Arc<Services>, config: &Sink) -> Box<dyn Delivery> {
    let events = CloudEvents::of(services);
    match config.to {
        To::Webhook => Box::new(Webhook::new(services, config, events)),
        To::Nats => Box::new(Nats::new(config, events)),
    }
}

/// Delivers one event once: for what was put aside.
pub async fn deliver_again(
    services: &Arc<Services>,
    config: &Sink,
    event: Arc<FeedEvent>,
) -> Result<(), NotDelivered> {
    // Only webhooks put events aside: they have nothing to get ready.
    open(services, config).deliver(&[event]).await.1
}

/// The sinks' groups.
#[must_use]
pub fn groups(services: &Services) -> Groups<'_> {
    Groups::of_sinks(&*services.store)
}

/// How delivery goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// What was delivered last is not certain: [`Delivery::begin`] says it.
    BeginAgain,
}

struct Runner<'a> {
    services: &'a Arc<Services>,
    config: &'a Sink,
    name: &'a str,
    filter: &'a Filter,
}

/// What this node has of a sink.
struct Lease {
    epoch: u64,
    committed: u64,
    at: Instant,
}

impl Runner<'_> {
    async fn run(&self, mut delivery: Box<dyn Delivery>) -> Ended {
        let Err(ended) = self.deliver(&mut *delivery).await;
        ended
    }

    async fn deliver(
        &self,
        delivery: &mut dyn Delivery,
    ) -> Result<std::convert::Infallible, Ended> {
        self.create().await?;
        let mut lease = loop {
            if let Some(lease) = self.lease(None).await? {
                break lease;
            }
            sleep(RENEW).await;
        };
        tracing::info!(sink.name = self.name, "delivering to the sink {}", self.name);
        let mut through = lease.committed;
        loop {
            through = match delivery.begin(through).await {
                Ok(position) => position,
                Err(error) => {
                    self.wait(&mut lease, &error, 0).await?;
                    continue;
                }
            };
            self.follow(delivery, &mut lease, &mut through).await?;
        }
    }

    /// Delivers what comes after a position, until delivery has to begin again.
    async fn follow(
        &self,
        delivery: &mut dyn Delivery,
        lease: &mut Lease,
        through: &mut u64,
    ) -> Result<(), Ended> {
        let mut log = self.services.feed.subscribe(*through);
        loop {
            let next = tokio::select! {
                next = timeout(RENEW, log.next()) => next,
                () = self.services.closing.told() => {
                    return Err(self.leave(lease, *through).await);
                }
            };
            let Ok(batch) = next else {
                self.renew(lease, *through).await?;
                continue;
            };
            let batch = batch?;
            let wanted: Vec<_> =
                batch.iter().filter(|event| self.filter.takes(&event.stored.event)).collect();
            for handful in wanted.chunks(HANDFUL) {
                let handful: Vec<_> = handful.iter().map(|event| Arc::clone(event)).collect();
                if self.all_of(delivery, lease, through, &handful).await? == Flow::BeginAgain {
                    return Ok(());
                }
            }
            *through = batch.through();
            if lease.at.elapsed() >= COMMIT {
                self.renew(lease, *through).await?;
            }
        }
    }

    /// Delivers these events, however long it takes; puts aside what is refused too often.
    async fn all_of(
        &self,
        delivery: &mut dyn Delivery,
        lease: &mut Lease,
        through: &mut u64,
        mut events: &[Arc<FeedEvent>],
    ) -> Result<Flow, Ended> {
        let mut refused = 0;
        while !events.is_empty() {
            let (taken, result) = delivery.deliver(events).await;
            self.count(taken, &result);
            if let Some(last) = events.get(..taken).and_then(<[_]>::last) {
                *through = last.position();
                refused = 0;
            }
            events = events.get(taken..).unwrap_or_default();
            match (result, events) {
                (Ok(()), _) | (Err(_), []) => {}
                (Err(NotDelivered::Refused(why)), [event, rest @ ..])
                    if refused + 1 >= self.config.attempts =>
                {
                    self.put_aside(event, refused + 1, why).await?;
                    *through = event.position();
                    events = rest;
                    refused = 0;
                }
                (Err(error @ NotDelivered::Refused(_)), _) => {
                    self.renew(lease, *through).await?;
                    self.wait(lease, &error, refused).await?;
                    refused += 1;
                }
                (Err(error @ NotDelivered::Unreachable(_)), _) => {
                    self.renew(lease, *through).await?;
                    self.wait(lease, &error, 0).await?;
                    return Ok(Flow::BeginAgain);
                }
            }
        }
        Ok(Flow::On)
    }

    fn count(&self, taken: usize, result: &Result<(), NotDelivered>) {
        let sinks = &self.services.metrics.sinks;
        sinks.delivered(self.name, "delivered", taken);
        match result {
            Ok(()) => {}
            Err(NotDelivered::Refused(_)) => sinks.delivered(self.name, "refused", 1),
            Err(NotDelivered::Unreachable(_)) => sinks.delivered(self.name, "unreachable", 1),
        }
    }

    /// Waits before the next try, and stays the one who delivers.
    async fn wait(&self, lease: &mut Lease, error: &NotDelivered, tries: u32) -> Result<(), Ended> {
        let wait = LEAST.saturating_mul(1 << tries.min(6)).min(MOST);
        let name = self.name;
        tracing::warn!(sink.name = name, %error, "the sink {name} does not take events: {error}");
        let until = Instant::now() + wait;
        while Instant::now() < until {
            sleep(RENEW.min(until.saturating_duration_since(Instant::now()))).await;
            let through = lease.committed;
            self.renew(lease, through).await?;
        }
        Ok(())
    }

    async fn put_aside(
        &self,
        event: &FeedEvent,
        attempts: u32,
        why: String,
    ) -> Result<(), StoreError> {
        let name = self.name;
        tracing::error!(
            sink.name = name,
            event.position = event.position(),
            "the sink {name} refused an event {attempts} times, so it was put aside: {why}"
        );
        let now_ms = self.services.clock.now_ms();
        DeadLetter::new(event, attempts, why, now_ms).write(&*self.services.store, name).await?;
        self.services.metrics.sinks.delivered(name, "dead_lettered", 1);
        Ok(())
    }

    async fn create(&self) -> Result<(), Ended> {
        let services = self.services;
        let position = match self.config.begin {
            Begin::Beginning => 0,
            Begin::Now => services.store.last_position().await?,
        };
        let state = GroupState::new(OWNER, 1, position, services.clock.now_ms());
        groups(services).create(self.name, state).await?;
        Ok(())
    }

    /// Becomes, or stays, the one who delivers; says how far it is.
    async fn lease(&self, own: Option<(u64, u64)>) -> Result<Option<Lease>, Ended> {
        let node = &*self.services.node;
        let now_ms = self.services.clock.now_ms();
        let groups = groups(self.services);
        let changed = groups.change(self.name, |state| {
            let lost = own.map_or(0, |(epoch, through)| {
                state.commit(node, through, &BTreeMap::from([(0, epoch)]))
            });
            (lost, state.lease(node, now_ms + LEASE_MS, now_ms))
        });
        let (_, (lost, leased)) = changed.await?;
        let lease = leased.get(&0).filter(|_| lost == 0);
        Ok(lease.map(|(epoch, position)| Lease {
            epoch: *epoch,
            committed: *position,
            at: Instant::now(),
        }))
    }

    /// Lets another node deliver at once.
    async fn leave(&self, lease: &Lease, through: u64) -> Ended {
        let node = &*self.services.node;
        let groups = groups(self.services);
        let left = groups.change(self.name, |state| {
            state.commit(node, through, &BTreeMap::from([(0, lease.epoch)]));
            state.leave(node);
        });
        left.await.map_or_else(Ended::Group, |_| Ended::Closing)
    }

    async fn renew(&self, lease: &mut Lease, through: u64) -> Result<(), Ended> {
        if through == lease.committed && lease.at.elapsed() < RENEW {
            return Ok(());
        }
        let renewed = self.lease(Some((lease.epoch, through))).await?;
        *lease = renewed.ok_or(Ended::Elsewhere)?;
        Ok(())
    }
}
