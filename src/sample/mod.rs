//! A made-up history to measure by: as many grants as one likes, spread over as
//! many days as one likes, decided by the real aggregates and written in their
//! order of time. Only for a store in which nothing has happened yet.
//!
//! The same seed gives the same history, but for keys. Times are those of the
//! made-up days; when it was recorded, is when it was.

pub(crate) mod chance;
mod scene;
mod story;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use chancery_domain::consent::Consent;
use chancery_domain::time::{Lifetime, UnixTime};

use self::chance::Chance;
use self::scene::Scene;
use self::story::Story;
use crate::admin::{AdminError, Operation, perform};
use crate::aggregates::{Folded, Work};
use crate::clock::FixedClock;
use crate::entropy::{Entropy, SeededEntropy};
use crate::services::Services;
use crate::stores::{Append, AppendError, StoreError};

/// Who it is in the events.
const OPERATOR: &str = "sample";

/// How many events go into one append, about.
const AT_ONCE: usize = 2000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What to make up.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub grants: u64,
    pub clients: u32,
    pub days: u32,
    pub seed: u64,
    /// When the history ends.
    pub end: UnixTime,
}

/// What was made up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    pub grants: u64,
    pub events: u64,
    pub accounts: u64,
}

/// Why nothing could be made up.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The history is not one that the server would write: a fault of this program.
    #[error("the history does not hold together: {0}")]
    Impossible(String),
}

/// A fault of this program.
fn impossible(error: impl std::fmt::Display) -> SampleError {
    SampleError::Impossible(error.to_string())
}

impl Spec {
    /// When the history begins.
    #[must_use]
    pub fn beginning(&self) -> UnixTime {
        let days = i64::from(self.days).saturating_mul(DAY_MS / 1000);
        UnixTime::from_seconds(self.end.seconds().saturating_sub(days))
    }
}

/// Everything that happens.
struct Sample<'a> {
    services: &'a Services,
    clock: &'a FixedClock,
    entropy: Arc<dyn Entropy>,
    chance: Chance,
    scene: Scene,
    /// What people have allowed clients, by the consent's id.
    consents: HashMap<String, Folded<Consent>>,
    batch: Append,
    summary: Summary,
    /// Grants that go on, by number.
    going_on: BTreeMap<u64, Story>,
    /// When each goes on next: milliseconds since 1970.
    next: BinaryHeap<Reverse<(i64, u64)>>,
}

/// Makes the history up, with services whose clock is this one; says now and then how many
/// grants there are.
pub async fn fill(
    services: &Services,
    clock: &FixedClock,
    spec: Spec,
    progress: impl Fn(u64),
) -> Result<Summary, SampleError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(spec.seed));
    clock.set(spec.beginning());
    let scene = Scene::set(services, &spec).await?;
    let mut sample = Sample {
        services,
        clock,
        entropy,
        chance: Chance::new(spec.seed),
        scene,
        consents: HashMap::new(),
        batch: Append::default(),
        summary: Summary::default(),
        going_on: BTreeMap::new(),
        next: BinaryHeap::new(),
    };
    sample.register_people(&spec).await?;
    sample.live_through(&spec, progress).await?;
    Ok(sample.summary)
}

impl Sample<'_> {
    async fn live_through(
        &mut self,
        spec: &Spec,
        progress: impl Fn(u64),
    ) -> Result<(), SampleError> {
        let beginning = spec.beginning().seconds().saturating_mul(1000);
        let end = spec.end.seconds().saturating_mul(1000);
        let step = (end - beginning).max(1) / i64::try_from(spec.grants.max(1)).unwrap_or(1);
        let mut rare = Rare::new(spec);
        for number in 0..spec.grants {
            let place = i64::try_from(number).unwrap_or(i64::MAX);
            let at = beginning + step * place + self.chance.below(step.max(1));
            self.go_on_until(at).await?;
            self.clock.set_ms(at);
            self.happen_rarely(&mut rare, number).await?;
            self.begin(number).await?;
            if number.is_multiple_of(1000) {
                progress(number);
            }
        }
        self.go_on_until(end).await?;
        self.flush().await
    }

    async fn go_on_until(&mut self, end: i64) -> Result<(), SampleError> {
        while let Some(Reverse((at, number))) =
            self.next.peek().copied().filter(|own| own.0.0 <= end)
        {
            self.next.pop();
            let Some(mut story) = self.going_on.remove(&number) else { continue };
            self.clock.set_ms(at);
            if let Some(next) = self.go_on(&mut story).await? {
                self.next.push(Reverse((next, number)));
                self.going_on.insert(number, story);
            }
        }
        Ok(())
    }

    /// What an operator, or a person at their own page, does now and then.
    async fn happen_rarely(&mut self, rare: &mut Rare, number: u64) -> Result<(), SampleError> {
        if number == rare.next_key {
            rare.next_key += rare.keys_every;
            self.flush().await?;
            perform(self.services, Operation::RotateKey { algorithm: None }, OPERATOR).await?;
        }
        if number == rare.next_disabling {
            rare.next_disabling += rare.disabling_every;
            self.flush().await?;
            self.disable_a_client().await?;
        }
        if number == rare.next_withdrawal {
            rare.next_withdrawal += rare.withdrawals_every;
            self.withdraw_a_consent().await?;
        }
        Ok(())
    }

    /// Takes up what a command appends.
    async fn take(&mut self, work: Work) -> Result<(), SampleError> {
        let Append { events, sealed, data_keys, names, .. } = work.append;
        self.summary.events += events.len() as u64;
        self.batch.events.extend(events);
        self.batch.sealed.extend(sealed);
        self.batch.data_keys.extend(data_keys);
        self.batch.names.extend(names);
        if self.batch.events.len() >= AT_ONCE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), SampleError> {
        if self.batch.events.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        for written in self.services.store.commit(vec![batch]).await {
            written?;
        }
        Ok(())
    }
}

/// After how many grants something rare happens, and when next.
struct Rare {
    keys_every: u64,
    next_key: u64,
    disabling_every: u64,
    next_disabling: u64,
    withdrawals_every: u64,
    next_withdrawal: u64,
}

impl Rare {
    fn new(spec: &Spec) -> Self {
        let every = |part: u64| (spec.grants / part).max(1);
        // A key signs for three months; three clients are switched off in all.
        let keys_every = every(u64::from(spec.days / 90 + 1) + 1);
        let (disabling_every, withdrawals_every) = (every(4) + 1, every(500) + 1);
        Self {
            keys_every,
            next_key: keys_every,
            disabling_every,
            next_disabling: disabling_every,
            withdrawals_every,
            next_withdrawal: withdrawals_every,
        }
    }
}

/// How long an authorization code lasts here.
const CODE_LIFETIME: Lifetime = Lifetime::from_seconds(60);
