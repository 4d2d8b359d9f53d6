//! Group commit: one committer a process writes what waits, in one transaction.
//!
//! Nothing waits for company: what is there when the store is free goes. While
//! the store writes, the next batch gathers.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use crate::stores::{Append, AppendError, Appended, Store};

/// How many appends may wait. More are refused at once.
const WAITING: usize = 4096;

/// How many appends go into one transaction at most.
const BATCH: usize = 256;

type Reply = oneshot::Sender<Result<Appended, AppendError>>;

/// Hands appends to the process's committer.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<(Append, Reply)>,
}

impl Committer {
    /// Starts the committer of a store. It ends when the last handle is gone
    /// and everything accepted has been written; `committed` is called after
    /// each transaction.
    pub fn start(
        store: Arc<dyn Store>,
        committed: impl Fn() + Send + 'static,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(WAITING);
        let task = run(store, waiting, committed)
            .instrument(tracing::info_span!(parent: None, "store.commit"));
        (Self { queue }, tokio::spawn(task))
    }

    /// Appends; returns when it is durable, or when nothing of it is.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send((append, reply)).map_err(|_| AppendError::Overloaded)?;
        answer.await.unwrap_or(Err(AppendError::Overloaded))
    }
}

async fn run(
    store: Arc<dyn Store>,
    mut waiting: mpsc::Receiver<(Append, Reply)>,
    committed: impl Fn(),
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let (appends, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let results = store.commit(appends).await;
        for (reply, result) in replies.into_iter().zip(results) {
            // Whoever asked may have gone; what is written is written.
            let _ = reply.send(result);
        }
        committed();
    }
}
