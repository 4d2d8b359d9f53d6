//! Group commit: one committer a process writes what waits, in one transaction.
//!
//! Nothing waits for company: what is there when the store is free goes. While
//! the store writes, the next batch gathers.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
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
    closing: Arc<Notify>,
}

impl Committer {
    /// Starts the committer of a store. It ends after [`Committer::close`], when everything
    /// accepted has been written; `committed` is called after each
    /// transaction.
    pub fn start(
        store: Arc<dyn Store>,
        committed: impl Fn() + Send + 'static,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(WAITING);
        let closing = Arc::new(Notify::new());
        let task = run(store, waiting, Arc::clone(&closing), committed)
            .instrument(tracing::info_span!(parent: None, "store.commit"));
        (Self { queue, closing }, tokio::spawn(task))
    }

    /// Takes no more; what was accepted is still written.
    pub fn close(&self) {
        self.closing.notify_one();
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
        let results = store.commit(appends).await;
        for (reply, result) in replies.into_iter().zip(results) {
            // Whoever asked may have gone; what is written is written.
            let _ = reply.send(result);
        }
        committed();
    }
}
