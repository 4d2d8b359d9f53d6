//! Connections on threads of their own: jobs go in over a channel, answers come
//! back over another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::{io, thread};

use tokio::sync::{oneshot, watch};

use crate::stores::StoreError;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Threads that each own one state and share one queue of jobs.
pub(super) struct Worker<S> {
    name: &'static str,
    jobs: Mutex<Option<mpsc::Sender<Job<S>>>>,
    /// Its sender lives in the threads: gone when the last of them has ended.
    ended: watch::Receiver<()>,
}

impl<S: Send + 'static> Worker<S> {
    /// One thread for each state.
    pub(super) fn spawn(name: &'static str, states: Vec<S>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job<S>>();
        let queue = Arc::new(Mutex::new(queue));
        let (alive, ended) = watch::channel(());
        let alive = Arc::new(alive);
        for mut state in states {
            let queue = Arc::clone(&queue);
            let alive = Arc::clone(&alive);
            thread::Builder::new().name(name.to_owned()).spawn(move || {
                while let Some(job) = next(&queue) {
                    // The transaction of a job that panics is rolled back as it unwinds.
                    if catch_unwind(AssertUnwindSafe(|| job(&mut state))).is_err() {
                        tracing::error!(thread = name, "a job of the store panicked");
                    }
                }
                drop(state);
                drop(alive);
            })?;
        }
        Ok(Self { name, jobs: Mutex::new(Some(jobs)), ended })
    }

    /// Runs a job when its turn comes.
    pub(super) async fn run<T, J>(&self, job: J) -> Result<T, StoreError>
    where
        T: Send + 'static,
        J: FnOnce(&mut S) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            // Nobody waits any more: the job is done all the same.
            let _ = answer.send(job(state));
        });
        let sent = lock(&self.jobs).as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(StoreError::Closed(format!("the store is closed ({})", self.name)));
        }
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::Closed(format!("the store gave up a job ({}); see the log", self.name)))
        })
    }

    /// Takes no more jobs, and waits until those taken are done and every state is dropped.
    pub(super) async fn end(&self) {
        lock(&self.jobs).take();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

fn next<S>(queue: &Mutex<mpsc::Receiver<Job<S>>>) -> Option<Job<S>> {
    lock(queue).recv().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
