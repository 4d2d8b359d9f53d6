//! Finds the actor of a grant, or makes it: a grant lives once in a process.
//!
//! One shard for each core, chosen by the grant's id. A shard's directory is
//! bounded: the grant used longest ago leaves memory first, one that nobody
//! has used for a while leaves anyway, and an id that does not exist never
//! enters.
//!
//! An actor lives on the thread that answers requests where it was first
//! needed, so that most of what is sent to it wakes no other thread; what comes
//! from elsewhere has it live on the thread of its shard.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use chancery_domain::authorization::SealedParameters;
use chancery_domain::grant::{Grant, GrantCommand, GrantError};
use chancery_domain::ids::GrantId;
use lru::LruCache;

use super::grant::{
    Done, Execute, GrantActor, GrantCore, GrantFailure, Look, Memory, Unseal, load_grant,
};
use crate::aggregates::{Folded, Kept as _, Work};
use crate::telemetry::trace::Carried;

/// How much news of grants that are not in memory each shard remembers: of more than comes while
/// one is loaded.
const MISSED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// A shard looks for idle grants this often; a grant that was not used between
/// two looks leaves.
const SWEEP: Duration = Duration::from_secs(60);

thread_local! {
    /// Do grants live on this thread?
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// All grants, wherever they are.
#[derive(Clone)]
pub struct Grants {
    core: Arc<GrantCore>,
    shards: Arc<[Shard]>,
}

struct Shard {
    directory: Arc<Mutex<Directory>>,
    arbiter: ArbiterHandle,
    /// Goes on as long as somebody knows it.
    _router: Addr<Router>,
}

struct Directory {
    resident: LruCache<GrantId, Resident>,
    /// Of news about grants that were not in memory, the latest: one of them may just be on its
    /// way there, loaded before.
    missed: LruCache<GrantId, u64>,
    sweep: u64,
}

struct Resident {
    known: Known,
    used_in: u64,
}

/// A grant that is in memory.
#[derive(Clone)]
struct Known {
    actor: Addr<GrantActor>,
    memory: Arc<Memory>,
}

impl Directory {
    fn find(&mut self, id: GrantId) -> Option<Known> {
        let sweep = self.sweep;
        let resident = self.resident.get_mut(&id);
        let resident = resident.filter(|resident| resident.known.actor.connected())?;
        resident.used_in = sweep;
        Some(resident.known.clone())
    }
}

impl Grants {
    /// Starts the shards, each on a thread of its own. So many grants stay in memory, in all of
    /// them together.
    #[must_use]
    pub fn start(core: Arc<GrantCore>, shards: NonZeroUsize, resident: usize) -> Self {
        let capacity = NonZeroUsize::new(resident / shards).unwrap_or(NonZeroUsize::MIN);
        let shards = (0..shards.get())
            .map(|_| {
                let (resident, missed) = (LruCache::new(capacity), LruCache::new(MISSED));
                let directory = Directory { resident, missed, sweep: 0 };
                let directory = Arc::new(Mutex::new(directory));
                let arbiter = Arbiter::new().handle();
                let router = Router { directory: Arc::clone(&directory) };
                let router = Supervisor::start_in_arbiter(&arbiter, |_| router);
                Shard { directory, arbiter, _router: router }
            })
            .collect();
        Self { core, shards }
    }

    /// Grants that are first needed on this thread, which answers requests, live on it.
    pub fn live_here() {
        HERE.set(true);
    }

    /// Carries out commands on a grant that exists.
    #[tracing::instrument(name = "grant.execute", level = "debug", skip_all)]
    pub async fn execute(
        &self,
        id: GrantId,
        commands: Vec<GrantCommand>,
        work: Work,
    ) -> Result<Done, GrantFailure> {
        let carried = Carried::from_here();
        let message = Execute { commands, work, sealed: None, carried };
        self.known(id).await?.actor.send(message).await.map_err(|_| GrantFailure::Gone)?
    }

    /// Begins a grant whose id has just been made: nothing need be loaded.
    #[tracing::instrument(name = "grant.begin", level = "debug", skip_all)]
    pub async fn begin(
        &self,
        id: GrantId,
        commands: Vec<GrantCommand>,
        work: Work,
        sealed: Option<Arc<SealedParameters>>,
    ) -> Result<Done, GrantFailure> {
        let known = self.admit(id, Folded::default());
        let carried = Carried::from_here();
        let result = known.actor.send(Execute { commands, work, sealed, carried }).await;
        let result = result.map_err(|_| GrantFailure::Gone)?;
        if result.is_err() {
            self.directory(id).resident.pop(&id);
        }
        result
    }

    /// Begins and ends a grant in one append, without an actor: what it issues is
    /// looked at later, if ever.
    #[tracing::instrument(name = "grant.begin", level = "debug", skip_all)]
    pub async fn begin_without_actor(
        &self,
        id: GrantId,
        command: GrantCommand,
        mut work: Work,
    ) -> Result<Done, GrantFailure> {
        let before = Folded::<Grant>::default();
        let (grant, events) = crate::aggregates::decide(&before.state, vec![command]).await?;
        let stream = Grant::stream(&id.to_string());
        work.add(&stream, before.head, &events).map_err(crate::aggregates::LoadError::from)?;
        work.place_apart(&stream, before.head, &events);
        self.core.committer.append(work.append).await?;
        Ok(Done { events, grant })
    }

    /// The grant as it is (here, or at most a second ago elsewhere).
    pub async fn look(&self, id: GrantId) -> Result<Grant, GrantFailure> {
        let known = self.known(id).await?;
        match known.memory.grant().filter(|_| self.core.fresh.is_fresh()) {
            Some(grant) => Ok(grant),
            None => known.look_again().await,
        }
    }

    /// The grant, for an answer that is a refusal unless it `fits`: then what is in memory may
    /// be out of date, and the store is asked.
    pub async fn look_for(
        &self,
        id: GrantId,
        fits: impl Fn(&Grant) -> bool,
    ) -> Result<Grant, GrantFailure> {
        let grant = self.look(id).await?;
        if !self.core.fresh.is_shared() || fits(&grant) {
            return Ok(grant);
        }
        self.known(id).await?.look_again().await
    }

    /// The sealed part of the request that began the grant.
    pub async fn unseal(&self, id: GrantId) -> Result<Arc<SealedParameters>, GrantFailure> {
        let known = self.known(id).await?;
        match known.memory.sealed() {
            Some(sealed) => Ok(sealed),
            None => known.actor.send(Unseal).await.map_err(|_| GrantFailure::Gone)?,
        }
    }

    /// The feed brought an event that another writer appended to this grant.
    pub fn note(&self, id: GrantId, sequence: u64) {
        let mut directory = self.directory(id);
        match directory.resident.peek(&id) {
            Some(resident) => resident.known.memory.hear(sequence),
            None => drop(directory.missed.put(id, sequence)),
        }
    }

    /// How many grants are in memory.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.directory).resident.len()).sum()
    }

    /// Stops the shards' threads.
    pub fn stop(&self) {
        for shard in &*self.shards {
            shard.arbiter.stop();
        }
    }

    async fn known(&self, id: GrantId) -> Result<Known, GrantFailure> {
        if let Some(known) = self.directory(id).find(id) {
            return Ok(known);
        }
        let folded = load_grant(&*self.core.store, &Grant::stream(&id.to_string())).await?;
        if folded.head.sequence == 0 {
            return Err(GrantError::Unknown.into());
        }
        Ok(self.admit(id, folded))
    }

    /// A grant that has been loaded, or is about to begin; its actor is made if nobody has yet.
    fn admit(&self, id: GrantId, folded: Folded<Grant>) -> Known {
        let shard = self.shard(id);
        let mut directory = lock(&shard.directory);
        if let Some(known) = directory.find(id) {
            return known;
        }
        let heard = directory.missed.pop(&id).unwrap_or(0);
        let memory = Arc::new(Memory::new(folded, heard));
        let actor = GrantActor::new(Arc::clone(&self.core), id, Arc::clone(&memory));
        let actor = if HERE.get() {
            actor.start()
        } else {
            // Nobody waits for the thread: what is sent to the actor meanwhile comes after this.
            GrantActor::start_in_arbiter(&shard.arbiter, |_| actor)
        };
        let known = Known { actor, memory };
        let used_in = directory.sweep;
        directory.resident.put(id, Resident { known: known.clone(), used_in });
        known
    }

    /// Ids are UUIDs of version 7: their end is random.
    #[expect(clippy::expect_used, reason = "there is at least one shard")]
    fn shard(&self, id: GrantId) -> &Shard {
        let [.., a, b] = *id.as_bytes();
        let index = usize::from(u16::from_be_bytes([a, b])) % self.shards.len().max(1);
        self.shards.get(index).expect("at least one shard")
    }

    fn directory(&self, id: GrantId) -> MutexGuard<'_, Directory> {
        lock(&self.shard(id).directory)
    }
}

impl Known {
    async fn look_again(&self) -> Result<Grant, GrantFailure> {
        self.actor.send(Look).await.map_err(|_| GrantFailure::Gone)?
    }
}

fn lock(directory: &Mutex<Directory>) -> MutexGuard<'_, Directory> {
    directory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the idle grants of one shard go, on the shard's thread.
struct Router {
    directory: Arc<Mutex<Directory>>,
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP, |router, _| router.sweep());
    }
}

impl Supervised for Router {
    fn restarting(&mut self, _: &mut Self::Context) {
        tracing::error!("a grant router died and was started again");
    }
}

impl Router {
    fn sweep(&self) {
        let mut directory = lock(&self.directory);
        let sweep = directory.sweep;
        while directory.resident.peek_lru().is_some_and(|(_, least)| least.used_in < sweep) {
            directory.resident.pop_lru();
        }
        directory.sweep += 1;
    }
}
