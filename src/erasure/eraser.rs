//! Brings erasures to their end, as the feed tells of them. Its checkpoint moves
//! past a request only when that is done.

use std::sync::Arc;

use chancery_domain::account::AccountEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, SubjectId};
use chancery_projections::{Change, Recorded, Table};
use futures_util::future::BoxFuture;

use super::{Company, finish};
use crate::actors::service::{Handle, Service};
use crate::feed::consumer::{
    ConsumeError, Consumer, Progress, Standing, Stopped, drive, keep_trying,
};
use crate::lookups::Lookups;
use crate::services::Services;
use crate::telemetry::trace::{self, Trace};

/// The name of its checkpoint.
const NAME: &str = "eraser";

/// How far the read models are that say what is a person's.
#[derive(Clone)]
pub struct ReadModels {
    pub grants: Progress,
    pub sessions: Progress,
    pub consents: Progress,
}

/// Erasures as a consumer of the feed.
pub struct Eraser {
    services: Arc<Services>,
    reads: ReadModels,
    company: Company,
}

impl Eraser {
    /// Starts it in the current arbiter.
    #[must_use]
    pub fn start(
        services: &Arc<Services>,
        reads: ReadModels,
        company: Company,
    ) -> (Handle, Progress) {
        let (standing, progress) = Standing::new();
        let (standing, services) = (Arc::new(standing), Arc::clone(services));
        let work = move || {
            let eraser = Self { services: Arc::clone(&services), reads: reads.clone(), company };
            eraser.run(Arc::clone(&standing))
        };
        (Service::start(NAME, Arc::new(move || Box::pin(work()))), progress)
    }

    async fn run(self, standing: Arc<Standing>) {
        let feed = self.services.feed.clone();
        let eraser = tokio::sync::Mutex::new(self);
        keep_trying(NAME, Some(&standing), || async {
            let mut eraser = eraser.lock().await;
            drive(&feed, &mut *eraser, &standing).await
        })
        .await;
    }

    async fn erase(&self, subjects: &[SubjectId]) -> Result<(), ConsumeError> {
        let lookups = Lookups::new(Arc::clone(&self.services.store));
        let done = finish(&self.services, &lookups, subjects, self.company).await;
        let count = subjects.len();
        done.map_err(|error| {
            ConsumeError::Acting(format!("{count} erasures have not ended yet: {error}"))
        })?;
        tracing::info!(count, "{count} erasures have ended");
        Ok(())
    }
}

impl Consumer for Eraser {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[]
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Account]
    }

    fn consume<'a>(
        &'a mut self,
        events: &'a [Arc<Recorded>],
    ) -> BoxFuture<'a, Result<Option<Vec<Change>>, ConsumeError>> {
        Box::pin(async move {
            let requested = events.iter().filter(|event| {
                matches!(event.event, AnyEvent::Account(AccountEvent::ErasureRequested(_)))
            });
            let mut last = 0;
            let (mut subjects, mut traces) = (Vec::new(), Vec::new());
            for event in requested {
                last = event.position;
                subjects.extend(event.id.parse::<SubjectId>());
                traces
                    .extend(event.envelope().ok().and_then(|own| Trace::parse(&own.traceparent?)));
            }
            if subjects.is_empty() {
                return Ok(None);
            }
            for read in [&self.reads.grants, &self.reads.sessions, &self.reads.consents] {
                let gone = |error: Stopped| ConsumeError::Acting(error.to_string());
                read.caught_up_to(last).await.map_err(gone)?;
            }
            // What is done for several at once is no one's of them.
            let trace = if let [only] = *traces { Some(only) } else { None };
            trace::because_of(trace, "erasure", self.erase(&subjects)).await?;
            Ok(Some(vec![]))
        })
    }
}
