//! An actor around work that goes on for as long as the server: supervised,
//! started again when it panics, stopped in order.
//!
//! The work itself is a plain future, so that tests drive it without actors.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::telemetry::metrics::Vitals;

/// How long it rests after a panic.
const REST: Duration = Duration::from_secs(1);

/// Makes the work's future: again after each panic.
pub type Work = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The actor.
pub struct Service {
    name: &'static str,
    work: Work,
    vitals: Vitals,
    running: Option<Running>,
    stopped: bool,
}

struct Running {
    task: AbortHandle,
    /// Its sender lives in the task.
    alive: watch::Receiver<()>,
}

/// A started service. Cheap to clone; the actor lives as long as one of these.
#[derive(Clone)]
pub struct Handle {
    address: Addr<Service>,
    name: &'static str,
    vitals: Vitals,
}

/// Ends the work, wherever it is; answers when it has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Service {
    /// Starts the work in the current arbiter.
    #[must_use]
    pub fn start(name: &'static str, work: Work) -> Handle {
        let vitals = Vitals::default();
        let own = vitals.clone();
        let address = Supervisor::start(move |_| Self {
            name,
            work,
            vitals: own,
            running: None,
            stopped: false,
        });
        Handle { address, name, vitals }
    }
}

impl Handle {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it runs, and how often it has been started again.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Ends the work, and waits for that.
    pub async fn stop(&self) {
        // An actor that is gone has no work either.
        let _ = self.address.send(Stop).await;
    }
}

impl Actor for Service {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if self.stopped {
            return;
        }
        let work = Arc::clone(&self.work);
        let rest = self.running.is_some();
        let (sender, alive) = watch::channel(());
        let vitals = self.vitals.clone();
        let task = tokio::spawn(async move {
            let _alive = sender;
            if rest {
                tokio::time::sleep(REST).await;
            }
            let _running = vitals.run();
            work().await;
        });
        self.running = Some(Running { task: task.abort_handle(), alive });
        context.spawn(wrap_future(task).map(
            |ended, actor: &mut Self, context: &mut Self::Context| {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    let name = actor.name;
                    tracing::error!(
                        service.name = name,
                        "{name} has panicked and is started again"
                    );
                    context.stop();
                }
            },
        ));
    }
}

impl Supervised for Service {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.vitals.restarted();
    }
}

impl Handler<Stop> for Service {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.stopped = true;
        let Some(running) = &self.running else { return Box::pin(async {}) };
        running.task.abort();
        let mut alive = running.alive.clone();
        Box::pin(async move { while alive.changed().await.is_ok() {} })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn soon<T>(coming: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), coming).await.expect("it comes soon")
    }

    #[actix::test]
    async fn work_that_panics_is_started_again_and_counted() {
        let (started, mut starts) = watch::channel(0);
        let work: Work = Arc::new(move || {
            let started = started.clone();
            Box::pin(async move {
                started.send_modify(|count| *count += 1);
                assert!(*started.borrow() > 1, "the first time fails");
                std::future::pending::<()>().await;
            })
        });
        let service = Service::start("fragile", work);
        soon(starts.wait_for(|count| *count == 2)).await.unwrap();
        assert_eq!(service.vitals().restarts(), 1);
        assert!(service.vitals().is_running());
    }

    #[actix::test]
    async fn a_stopped_service_has_dropped_its_work() {
        let (working, mut works) = watch::channel(false);
        let (held, mut released) = watch::channel(());
        let held = Arc::new(std::sync::Mutex::new(Some(held)));
        let work: Work = Arc::new(move || {
            let held = held.lock().unwrap().take();
            let working = working.clone();
            Box::pin(async move {
                let _held = held;
                working.send_replace(true);
                std::future::pending::<()>().await;
            })
        });
        let service = Service::start("endless", work);
        soon(works.wait_for(|works| *works)).await.unwrap();
        soon(service.stop()).await;
        assert!(released.changed().await.is_err(), "the work is gone");
        assert_eq!(service.vitals().restarts(), 0);
        assert!(!service.vitals().is_running());
    }
}
