//! A read model is made anew beside the one that is there, and takes its place
//! when it is as far: what is looked up meanwhile is whole.
//!
//! It is asked for by a checkpoint under the name [`beside`], of an older
//! version. Several nodes may want to: the one whose checkpoint moves does.

use std::time::Duration;

use tokio::time::timeout;

use super::consumer::{ConsumeError, Consumer, FOLLOW, Handful, LOOK, STILL};
use super::{Batch, Feed, Subscription};
use crate::stores::{Checkpoint, beside};

/// How often it is looked whether a read model is to be made anew.
const IDLE: Duration = Duration::from_secs(1);

/// Asks for it. What was begun by an earlier version is begun again.
pub async fn ask(feed: &Feed, consumer: &dyn Consumer) -> Result<(), ConsumeError> {
    let (store, name, version) = (feed.store(), consumer.name(), consumer.version());
    let begun = store.checkpoint(&beside(name)).await?;
    if begun.is_none_or(|begun| begun.version < version) {
        tracing::info!(projection.name = name, "{name} is made anew for version {version}");
        store.begin_beside(name, version, consumer.tables()).await?;
    }
    Ok(())
}

/// Makes a read model anew whenever that is asked for. Ends only by an error.
pub async fn when_asked(feed: &Feed, consumer: &mut dyn Consumer) -> Result<(), ConsumeError> {
    loop {
        now(feed, consumer).await?;
        tokio::time::sleep(IDLE).await;
    }
}

/// Makes a read model anew, if that is asked for.
pub async fn now(feed: &Feed, consumer: &mut dyn Consumer) -> Result<(), ConsumeError> {
    let store = feed.store();
    loop {
        let begun = store.checkpoint(&beside(consumer.name())).await?;
        match begun {
            Some(begun) if begun.version < consumer.version() => {
                store.begin_beside(consumer.name(), consumer.version(), consumer.tables()).await?;
            }
            Some(begun) if begun.version == consumer.version() => {
                // Of two who begin, one comes first.
                if begun.position == 0 || stands_still(feed, consumer, &begun).await? {
                    make(feed, consumer, begun).await?;
                }
            }
            // Nobody wants it, or a newer version makes it.
            Some(_) | None => return Ok(()),
        }
    }
}

/// Is nobody else at it?
async fn stands_still(
    feed: &Feed,
    consumer: &dyn Consumer,
    begun: &Checkpoint,
) -> Result<bool, ConsumeError> {
    for _ in 0..STILL {
        if feed.store().checkpoint(&beside(consumer.name())).await?.as_ref() != Some(begun) {
            return Ok(false);
        }
        tokio::time::sleep(FOLLOW).await;
    }
    Ok(true)
}

/// Folds the log, and has the new rows take the place of the old ones. Ends too when somebody
/// else has moved the checkpoint.
async fn make(
    feed: &Feed,
    consumer: &mut dyn Consumer,
    mut saved: Checkpoint,
) -> Result<(), ConsumeError> {
    let (store, name) = (feed.store(), consumer.name());
    consumer.begin();
    let mut events = feed.subscribe(saved.position);
    loop {
        let (handful, at_end) = match next(&mut events).await? {
            Some(batch) => {
                let handful = Handful::of(batch, &mut events, consumer.reads());
                let at_end = !handful.full;
                (Some(handful), at_end)
            }
            None => (None, true),
        };
        if let Some(handful) = handful {
            let changes = match handful.events.as_slice() {
                [] => None,
                events => consumer.consume(events).await?,
            };
            let to = Checkpoint { position: handful.through.max(saved.position), ..saved.clone() };
            let changes = changes.unwrap_or_default();
            if !store.project_beside(name, saved, to.clone(), changes).await? {
                return Ok(());
            }
            saved = to;
            if let Some(poison) = handful.poison {
                return Err(ConsumeError::Undecodable(poison));
            }
        }
        if at_end && store.take_place(name, saved.clone(), consumer.tables()).await? {
            let position = saved.position;
            tracing::info!(
                projection.name = name,
                "{name} was made anew, up to position {position}"
            );
            return Ok(());
        }
    }
}

/// What comes next; nothing: the log does not go on just now.
async fn next(events: &mut Subscription) -> Result<Option<Batch>, ConsumeError> {
    Ok(timeout(LOOK, events.next()).await.ok().transpose()?)
}
