//! Keeps the read models: one actor each, so that one that is rebuilt or can't
//! go on holds no other up.

use std::sync::Arc;

use chancery_domain::ids::AggregateKind;
use chancery_projections::{Change, Projection, ReadModel, Recorded, Table};
use futures_util::future::BoxFuture;

use super::figures::FiguresKeeper;
use super::service::{Handle, Service};
use crate::feed::consumer::{
    ConsumeError, Consumer, Progress, Standing, Stopped, drive, keep_trying,
};
use crate::feed::{Feed, anew};
use crate::stores::beside;

/// A projection as a consumer of the feed.
pub struct Projector(pub &'static dyn Projection);

impl Consumer for Projector {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.0.version()
    }

    fn tables(&self) -> &'static [&'static Table] {
        self.0.tables()
    }

    fn reads(&self) -> &'static [AggregateKind] {
        self.0.reads()
    }

    fn consume<'a>(
        &'a mut self,
        events: &'a [Arc<Recorded>],
    ) -> BoxFuture<'a, Result<Option<Vec<Change>>, ConsumeError>> {
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            self.0.project(event, &mut changes);
        }
        let changes = (!changes.is_empty()).then_some(changes);
        Box::pin(async move { Ok(changes) })
    }
}

/// A read model as a consumer of this feed.
#[must_use]
pub fn consumer(feed: &Feed, model: ReadModel) -> Box<dyn Consumer> {
    match model {
        ReadModel::Folded(projection) => Box::new(Projector(projection)),
        ReadModel::Figures => Box::new(FiguresKeeper::new(Arc::clone(feed.store()))),
    }
}

/// The read models of this process.
#[derive(Clone)]
pub struct Projectors {
    projectors: Arc<[(Handle, Progress)]>,
}

impl Projectors {
    /// Starts a projector for each of these, in the current arbiter.
    #[must_use]
    pub fn start(feed: &Feed, models: &[ReadModel]) -> Self {
        Self { projectors: models.iter().map(|model| start(feed, *model)).collect() }
    }

    /// How far a read model has come, by the name of its projection.
    #[must_use]
    pub fn progress(&self, name: &str) -> Option<&Progress> {
        self.all().find(|(own, _)| *own == name).map(|(_, progress)| progress)
    }

    /// How far each has come.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Progress)> {
        self.projectors.iter().map(|(handle, progress)| (handle.name(), progress))
    }

    /// Their actors.
    pub fn handles(&self) -> impl Iterator<Item = &Handle> {
        self.projectors.iter().map(|(handle, _)| handle)
    }

    /// Waits until all read models hold everything up to this position.
    pub async fn caught_up_to(&self, position: u64) -> Result<(), Stopped> {
        for (_, progress) in self.all() {
            progress.caught_up_to(position).await?;
        }
        Ok(())
    }

    /// Ends them, and waits for that.
    pub async fn stop(&self) {
        for (handle, _) in self.projectors.iter() {
            handle.stop().await;
        }
    }
}

fn start(feed: &Feed, model: ReadModel) -> (Handle, Progress) {
    let (standing, progress) = Standing::new();
    let standing = Arc::new(standing);
    let feed = feed.clone();
    let work = move || run(feed.clone(), model, Arc::clone(&standing));
    let handle = Service::start(model.name(), Arc::new(move || Box::pin(work())));
    (handle, progress)
}

/// Keeps one read model, whatever happens, and makes it anew when that is asked for.
pub async fn run(feed: Feed, model: ReadModel, standing: Arc<Standing>) {
    let keep = keep_trying(model.name(), Some(&standing), || async {
        drive(&feed, &mut *consumer(&feed, model), &standing).await
    });
    let name = beside(model.name());
    let make = keep_trying(&name, None, || async {
        anew::when_asked(&feed, &mut *consumer(&feed, model)).await
    });
    tokio::join!(keep, make);
}
