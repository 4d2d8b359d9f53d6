//! Aggregates other than grants: few, often read, seldom changed. Loaded by id
//! from their own stream, kept, and forgotten when the feed brings news of
//! them.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::work::Work;
use super::{Folded, Kept, decide};
use crate::actors::committer::Committer;
use crate::freshness::Freshness;
use crate::stores::{AppendError, Head, Store, StoreError};

/// The store could not give an aggregate.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct LoadError(pub Arc<StoreError>);

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        Self(Arc::new(error))
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error> {
    /// The aggregate refused it.
    #[error(transparent)]
    Refused(E),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// How often a command is decided again after a conflict.
const ATTEMPTS: usize = 8;

/// The aggregates of one kind.
pub struct Aggregates<A> {
    kept: Mutex<Cache<A>>,
    store: Arc<dyn Store>,
    committer: Committer,
    fresh: Arc<Freshness>,
}

/// A load that began before the feed's news must not be kept after it: each
/// `forget` makes a new epoch.
struct Cache<A> {
    entries: LruCache<Arc<str>, Arc<Folded<A>>>,
    epoch: u64,
}

impl<A: Kept> Aggregates<A> {
    #[must_use]
    pub fn new(
        capacity: NonZeroUsize,
        store: Arc<dyn Store>,
        committer: Committer,
        fresh: Arc<Freshness>,
    ) -> Self {
        let cache = Cache { entries: LruCache::new(capacity), epoch: 0 };
        Self { kept: Mutex::new(cache), store, committer, fresh }
    }

    /// The aggregate with this id: as it is here, or as it was at most a
    /// second ago elsewhere. One that does not exist is its default.
    pub async fn get(&self, id: &str) -> Result<Arc<Folded<A>>, LoadError> {
        let epoch = {
            let mut cache = self.cache();
            if let Some(folded) = cache.entries.get(id)
                && self.fresh.is_fresh()
            {
                return Ok(Arc::clone(folded));
            }
            cache.epoch
        };
        let folded = Arc::new(Folded::load(&*self.store, &A::stream(id)).await?);
        self.keep(id, &folded, epoch);
        Ok(folded)
    }

    /// Loads again whatever is kept, for a decision that must not rest on
    /// something old.
    pub async fn fresh(&self, id: &str) -> Result<Arc<Folded<A>>, LoadError> {
        self.forget(id);
        self.get(id).await
    }

    /// The feed brought an event of this aggregate.
    pub fn note(&self, id: &str, sequence: u64) {
        let mut cache = self.cache();
        cache.epoch += 1;
        if cache.entries.peek(id).is_some_and(|folded| folded.head.sequence < sequence) {
            cache.entries.pop(id);
        }
    }

    /// Forgets one, to be loaded anew.
    pub fn forget(&self, id: &str) {
        let mut cache = self.cache();
        cache.epoch += 1;
        cache.entries.pop(id);
    }

    /// Decides commands and adds their events to a work that is appended
    /// elsewhere. What is kept stays as it is: whoever appends them says [`Self::forget`] then.
    pub async fn prepare(
        &self,
        id: &str,
        commands: Vec<A::Command>,
        work: &mut Work,
    ) -> Result<(), ExecuteError<A::Error>> {
        let folded = self.get(id).await?;
        self.decide_on(&folded, id, commands, work).await?;
        Ok(())
    }

    /// Decides commands and appends their events together with what the work
    /// has already; decides again after a conflict. Gives the events.
    pub async fn execute(
        &self,
        id: &str,
        commands: Vec<A::Command>,
        work: Work,
    ) -> Result<Vec<A::Event>, ExecuteError<A::Error>>
    where
        A::Command: Clone,
    {
        let mut folded = self.get(id).await?;
        for attempt in 1.. {
            let mut work = work.clone();
            let decided = self.decide_on(&folded, id, commands.clone(), &mut work).await;
            let (next, events, head) = match decided {
                Err(ExecuteError::Refused(_)) if attempt == 1 => {
                    folded = self.fresh(id).await?;
                    continue;
                }
                other => other?,
            };
            if work.is_empty() {
                return Ok(events);
            }
            match self.committer.append(work.append).await {
                Ok(_) => {
                    let mut cache = self.cache();
                    cache.epoch += 1;
                    cache.entries.put(id.into(), Arc::new(Folded { state: next, head }));
                    return Ok(events);
                }
                Err(AppendError::Conflict) if attempt < ATTEMPTS => folded = self.fresh(id).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppendError::Conflict.into())
    }

    async fn decide_on(
        &self,
        folded: &Folded<A>,
        id: &str,
        commands: Vec<A::Command>,
        work: &mut Work,
    ) -> Result<(A, Vec<A::Event>, Head), ExecuteError<A::Error>> {
        let (next, events) =
            decide(&folded.state, commands).await.map_err(ExecuteError::Refused)?;
        let head = work.add(&A::stream(id), folded.head, &events).map_err(LoadError::from)?;
        Ok((next, events, head))
    }

    fn keep(&self, id: &str, folded: &Arc<Folded<A>>, epoch: u64) {
        let mut cache = self.cache();
        let is_kept = folded.head.sequence > 0 || A::KEPT_IF_ABSENT;
        if is_kept && cache.epoch == epoch {
            cache.entries.put(id.into(), Arc::clone(folded));
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache<A>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
