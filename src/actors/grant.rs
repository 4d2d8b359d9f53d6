//! One actor for each grant that is being used: its mailbox puts the grant's
//! commands in order, its memory saves loading them.
//!
//! It is never an authority: another node, or the command line, may have
//! written. The store's primary key decides; the loser loads what it missed
//! and decides again. A refusal from memory that may be out of date is looked
//! up again before it is sent.
//!
//! Whoever only looks reads the memory, and waits for nobody: what is in it is
//! committed, and a command is answered after it is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;
use chancery_domain::authorization::SealedParameters;
use chancery_domain::grant::{Grant, GrantCommand, GrantError, GrantEvent};
use chancery_domain::ids::GrantId;

use super::committer::Committer;
use crate::aggregates::{Folded, Kept as _, LoadError, Vault, VaultError, Work, decide};
use crate::freshness::Freshness;
use crate::stores::{AppendError, Snapshot, Store, StreamId};
use crate::telemetry::trace::Carried;

/// How often a command is decided again after a conflict.
const ATTEMPTS: usize = 8;

/// A snapshot is kept of every so many events.
pub const SNAPSHOT_EVERY: u64 = 64;

/// What grant actors work with.
pub struct GrantCore {
    pub store: Arc<dyn Store>,
    pub committer: Committer,
    pub vault: Arc<Vault>,
    /// Whether what is in memory may be out of date.
    pub fresh: Arc<Freshness>,
}

/// Why a command to a grant was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum GrantFailure {
    /// The grant refused it.
    #[error(transparent)]
    Refused(#[from] GrantError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The actor died; a new one takes the next command.
    #[error("the grant's actor is gone")]
    Gone,
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was committed for it; may be nothing.
    pub events: Vec<GrantEvent>,
    /// The grant after it.
    pub grant: Grant,
}

impl Done {
    /// The refusal that the command's own events record.
    #[must_use]
    pub fn refusal(&self) -> Option<GrantError> {
        self.events.iter().find_map(GrantEvent::refusal)
    }
}

/// Carries out commands, in one append together with what the work has already.
#[derive(Message)]
#[rtype(result = "Result<Done, GrantFailure>")]
pub struct Execute {
    pub commands: Vec<GrantCommand>,
    pub work: Work,
    /// The sealed part of a request that these commands bring.
    pub sealed: Option<Arc<SealedParameters>>,
    /// What it is in the course of.
    pub carried: Carried,
}

/// Asks for the grant as it is in the store.
#[derive(Message)]
#[rtype(result = "Result<Grant, GrantFailure>")]
pub struct Look;

/// Asks for the sealed part of the request.
#[derive(Message)]
#[rtype(result = "Result<Arc<SealedParameters>, GrantFailure>")]
pub struct Unseal;

/// What is in memory of a grant: its actor changes it, everybody reads it.
pub struct Memory(Mutex<Remembered>);

struct Remembered {
    folded: Folded<Grant>,
    sealed: Option<Arc<SealedParameters>>,
    /// The feed has brought an event of this sequence that another writer appended.
    heard: u64,
    /// What became of an append is not known.
    doubtful: bool,
}

impl Remembered {
    fn is_stale(&self) -> bool {
        self.doubtful || self.heard > self.folded.head.sequence
    }
}

impl Memory {
    /// That of a grant that has been loaded, or is about to begin. The feed has brought news of it
    /// up to this sequence since.
    #[must_use]
    pub fn new(folded: Folded<Grant>, heard: u64) -> Self {
        Self(Mutex::new(Remembered { folded, sealed: None, heard, doubtful: false }))
    }

    /// The grant, unless there is something newer.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        let remembered = self.lock();
        (!remembered.is_stale()).then(|| remembered.folded.state.clone())
    }

    /// The sealed part of the request, if it is in memory, or there is none.
    #[must_use]
    pub fn sealed(&self) -> Option<Arc<SealedParameters>> {
        let remembered = self.lock();
        if let Some(sealed) = &remembered.sealed {
            return Some(Arc::clone(sealed));
        }
        let request = remembered.folded.state.request_made();
        request.is_none_or(|request| request.sealed.is_none()).then(Arc::default)
    }

    /// The feed brought an event that another writer appended.
    pub fn hear(&self, sequence: u64) {
        let mut remembered = self.lock();
        if sequence > remembered.folded.head.sequence {
            remembered.heard = remembered.heard.max(sequence);
            // It may be what ends the grant, and then it is nobody's to keep.
            remembered.sealed = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The actor of one grant.
pub struct GrantActor {
    core: Arc<GrantCore>,
    stream: StreamId,
    memory: Arc<Memory>,
}

impl GrantActor {
    /// The actor of the grant that is in this memory.
    #[must_use]
    pub fn new(core: Arc<GrantCore>, id: GrantId, memory: Arc<Memory>) -> Self {
        Self { core, stream: Grant::stream(&id.to_string()), memory }
    }
}

impl Actor for GrantActor {
    type Context = Context<Self>;
}

/// What a command works on while the actor waits for it.
struct Attempt {
    core: Arc<GrantCore>,
    stream: StreamId,
    folded: Folded<Grant>,
    stale: bool,
}

impl Attempt {
    async fn execute(
        &mut self,
        commands: &[GrantCommand],
        work: &Work,
    ) -> Result<Vec<GrantEvent>, GrantFailure> {
        if self.stale || !self.core.fresh.is_fresh() {
            self.catch_up().await?;
        }
        let mut looked_again = !self.core.fresh.is_shared();
        for _ in 0..ATTEMPTS {
            let decided = decide(&self.folded.state, commands.to_vec()).await;
            let (next, events) = match decided {
                Ok(decided) => decided,
                Err(refused) if looked_again => return Err(refused.into()),
                Err(_) => {
                    looked_again = true;
                    self.catch_up().await?;
                    continue;
                }
            };
            let mut work = work.clone();
            let head =
                work.add(&self.stream, self.folded.head, &events).map_err(LoadError::from)?;
            work.place_apart(&self.stream, self.folded.head, &events);
            if work.is_empty() {
                return Ok(events);
            }
            match self.core.committer.append(work.append).await {
                Ok(_) => {
                    let before = self.folded.head.sequence;
                    self.folded = Folded { state: next, head };
                    self.keep_snapshot(before);
                    return Ok(events);
                }
                Err(AppendError::Conflict) => {
                    let before = self.folded.head;
                    self.catch_up().await?;
                    if self.folded.head == before {
                        // Not this grant's: what came along with it conflicts.
                        return Err(AppendError::Conflict.into());
                    }
                }
                Err(error) => {
                    // Nothing of it is in the store, but be sure of what is.
                    self.stale = true;
                    return Err(error.into());
                }
            }
        }
        Err(AppendError::Conflict.into())
    }

    async fn catch_up(&mut self) -> Result<(), LoadError> {
        self.folded.catch_up(&*self.core.store, &self.stream).await?;
        self.stale = false;
        Ok(())
    }

    /// Keeps a snapshot of a long stream, beside the answer.
    fn keep_snapshot(&self, before: u64) {
        let now = self.folded.head.sequence;
        if now / SNAPSHOT_EVERY == before / SNAPSHOT_EVERY {
            return;
        }
        let Ok(state) = serde_json::to_string(&self.folded.state) else { return };
        let snapshot =
            Snapshot { state_version: Grant::STATE_VERSION, head: self.folded.head, state };
        let (store, stream) = (Arc::clone(&self.core.store), self.stream.clone());
        tokio::spawn(async move {
            if let Err(error) = store.save_snapshot(&stream, snapshot).await {
                tracing::warn!(grant.id = %stream.id, %error, "a snapshot could not be kept");
            }
        });
    }
}

/// Loads a grant: from its last snapshot on, where there is one.
pub async fn load_grant(store: &dyn Store, stream: &StreamId) -> Result<Folded<Grant>, LoadError> {
    let mut folded = Folded::<Grant>::default();
    if let Some(snapshot) = store.snapshot(stream).await?
        && snapshot.state_version == Grant::STATE_VERSION
        && let Ok(state) = serde_json::from_str(&snapshot.state)
    {
        folded = Folded { state, head: snapshot.head };
    }
    folded.catch_up(store, stream).await?;
    Ok(folded)
}

impl GrantActor {
    fn attempt(&self) -> Attempt {
        let remembered = self.memory.lock();
        Attempt {
            core: Arc::clone(&self.core),
            stream: self.stream.clone(),
            folded: remembered.folded.clone(),
            stale: remembered.is_stale(),
        }
    }

    fn take_back(&self, attempt: Attempt) -> MutexGuard<'_, Remembered> {
        let mut remembered = self.memory.lock();
        remembered.folded = attempt.folded;
        remembered.doubtful = attempt.stale;
        remembered
    }
}

impl Handler<Execute> for GrantActor {
    type Result = AtomicResponse<Self, Result<Done, GrantFailure>>;

    fn handle(&mut self, message: Execute, _: &mut Self::Context) -> Self::Result {
        let mut attempt = self.attempt();
        let Execute { commands, work, sealed, carried } = message;
        AtomicResponse::new(Box::pin(
            carried
                .run(async move {
                    let result = attempt.execute(&commands, &work).await;
                    (attempt, result, sealed)
                })
                .into_actor(self)
                .map(|(attempt, result, sealed), actor, _| {
                    let mut remembered = actor.take_back(attempt);
                    let events = result?;
                    if sealed.is_some() {
                        remembered.sealed = sealed;
                    }
                    if matches!(remembered.folded.state, Grant::Revoked(_) | Grant::Declined(_)) {
                        remembered.sealed = None;
                    }
                    Ok(Done { events, grant: remembered.folded.state.clone() })
                }),
        ))
    }
}

impl Handler<Look> for GrantActor {
    type Result = AtomicResponse<Self, Result<Grant, GrantFailure>>;

    fn handle(&mut self, _: Look, _: &mut Self::Context) -> Self::Result {
        let mut attempt = self.attempt();
        AtomicResponse::new(Box::pin(
            async move {
                let result = attempt.catch_up().await;
                (attempt, result)
            }
            .into_actor(self)
            .map(|(attempt, result), actor, _| {
                let remembered = actor.take_back(attempt);
                result?;
                Ok(remembered.folded.state.clone())
            }),
        ))
    }
}

impl Handler<Unseal> for GrantActor {
    type Result = AtomicResponse<Self, Result<Arc<SealedParameters>, GrantFailure>>;

    fn handle(&mut self, _: Unseal, _: &mut Self::Context) -> Self::Result {
        // Whoever asked before may have brought it to memory.
        if let Some(sealed) = self.memory.sealed() {
            return AtomicResponse::new(Box::pin(actix::fut::ready(Ok(sealed))));
        }
        let request = self.memory.lock().folded.state.request_made().cloned();
        let commitment = request.and_then(|request| request.sealed).unwrap_or_default();
        let (core, stream) = (Arc::clone(&self.core), self.stream.clone());
        AtomicResponse::new(Box::pin(
            async move {
                // The request is the first event of its grant.
                let bytes = core.vault.open(&stream, 1, commitment).await?;
                serde_json::from_slice(&bytes).map(Arc::new).map_err(|error| {
                    let why = format!("sealed parameters can't be read: {error}");
                    LoadError::from(crate::stores::StoreError::Corrupt(why)).into()
                })
            }
            .into_actor(self)
            .map(|result: Result<Arc<SealedParameters>, GrantFailure>, actor, _| {
                if let Ok(sealed) = &result {
                    actor.memory.lock().sealed = Some(Arc::clone(sealed));
                }
                result
            }),
        ))
    }
}
