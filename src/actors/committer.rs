//! Group commit: one committer a process writes what waits, in one transaction.
//!
//! Nothing waits for company: what is there when the store is free goes. While
//! the store writes, the next batch gathers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use chancery_domain::ids::AggregateKind;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::stores::{Append, AppendError, Appended, Store};
use crate::telemetry::metrics::Commits;

/// How many appends may wait. More are refused at once.
const WAITING: usize = 4096;

/// How many appends go into one transaction at most.
const BATCH: usize = 256;

type Reply = oneshot::Sender<Result<Appended, AppendError>>;

/// Hands appends to the process's committer.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<(Append, Reply)>,
    closing: Arc<Notify>,
    commits: Commits,
}

impl Committer {
    /// Starts the committer of a store. It ends after [`Committer::close`], when everything
    /// accepted has been written; `committed` is called after each
    /// transaction.
    pub fn start(
        store: Arc<dyn Store>,
        commits: Commits,
        committed: impl Fn() + Send + 'static,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(WAITING);
        let closing = Arc::new(Notify::new());
        let writer = Writer { store, commits: commits.clone(), events: HashMap::new() };
        let task = writer
            .run(waiting, Arc::clone(&closing), committed)
            .instrument(tracing::info_span!(parent: None, "store.commit"));
        (Self { queue, closing, commits }, tokio::spawn(task))
    }

    /// Takes no more; what was accepted is still written.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// Appends; returns when it is durable, or when nothing of it is.
    #[tracing::instrument(name = "store.append", level = "debug", skip_all)]
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        if self.queue.try_send((append, reply)).is_err() {
            self.commits.appended("overloaded");
            return Err(AppendError::Overloaded);
        }
        answer.await.unwrap_or(Err(AppendError::Overloaded))
    }

    /// How many appends wait, and how many may.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let most = self.queue.max_capacity();
        (most - self.queue.capacity(), most)
    }
}

/// The one who writes.
struct Writer {
    store: Arc<dyn Store>,
    commits: Commits,
    /// The counters of event types, as they are met.
    events: HashMap<EventType, Counter>,
}

type EventType = (AggregateKind, Cow<'static, str>);

impl Writer {
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<(Append, Reply)>,
        closing: Arc<Notify>,
        committed: impl Fn(),
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = closing.notified() => {
                    waiting.close();
                    continue;
                }
                received = waiting.recv_many(&mut batch, BATCH) => if received == 0 { return },
            }
            let (appends, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            let types: Vec<Vec<EventType>> = appends.iter().map(types).collect();
            let began = Instant::now();
            let results = self.store.commit(appends).await;
            self.commits.committed(results.len(), began.elapsed());
            for ((reply, types), result) in replies.into_iter().zip(types).zip(results) {
                self.count(types, &result);
                // Whoever asked may have gone; what is written is written.
                let _ = reply.send(result);
            }
            committed();
        }
    }

    fn count(&mut self, types: Vec<EventType>, result: &Result<Appended, AppendError>) {
        let outcome = match result {
            Ok(_) => "appended",
            Err(AppendError::Conflict) => "conflict",
            Err(AppendError::NameTaken) => "name_taken",
            Err(AppendError::AlreadyUsed) => "already_used",
            Err(AppendError::Overloaded) => "overloaded",
            Err(AppendError::Unavailable(_)) => "unavailable",
        };
        self.commits.appended(outcome);
        if result.is_err() {
            return;
        }
        for event_type in types {
            let commits = &self.commits;
            let (kind, name) = (event_type.0, event_type.1.clone());
            let counter = self.events.entry(event_type);
            counter.or_insert_with(|| commits.events(kind.as_str(), &name)).inc();
        }
    }
}

fn types(append: &Append) -> Vec<EventType> {
    let events = append.events.iter();
    events.map(|event| (event.stream.kind, event.event_type.clone())).collect()
}
