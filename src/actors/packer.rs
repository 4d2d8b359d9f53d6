//! Packs old events while a node serves (`store.pack_after`), and all at once
//! when an operator asks.

use std::sync::Arc;
use std::time::Duration;

use chancery_domain::time::Lifetime;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::services::Services;
use crate::stores::{Packed, Packing, Ripe, Store, StoreError};

/// How often it is looked whether there is something to pack, at least.
const LOOK: Duration = Duration::from_secs(60);
/// After a pack as many times as long as it took belong to the others.
const SHARE: u32 = 9;
/// How often somebody else may be in the way of an operator's packing, and for how long each time.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// Packs for as long as the server runs. Nodes need not agree: of two that write the same pack one
/// does, and the other looks again later.
pub async fn run(services: Arc<Services>) {
    let age = services.config.store.pack_after;
    if age.seconds() == 0 {
        return std::future::pending().await;
    }
    let look = LOOK.min(Duration::from_secs(age.seconds().into()));
    loop {
        let began = Instant::now();
        match next(&*services.store, &*services.clock, age).await {
            Ok(Packing::Done(Packed { through, events, bytes, histories })) => {
                tracing::debug!(
                    through,
                    events,
                    bytes,
                    histories,
                    "{events} events are in a pack of {bytes} bytes, and {histories} histories \
                     have no rows any longer"
                );
                sleep(began.elapsed() * SHARE).await;
            }
            Ok(Packing::Nothing | Packing::NotNow) => sleep(look).await,
            Err(error) => {
                tracing::warn!(%error, "old events can't be packed now: {error}");
                sleep(look).await;
            }
        }
    }
}

/// Packs the next events, if those are sealed and older than this.
pub async fn next(
    store: &dyn Store,
    clock: &dyn Clock,
    age: Lifetime,
) -> Result<Packing, StoreError> {
    let Some(sealed) = store.log_checkpoint().await? else { return Ok(Packing::Nothing) };
    let recorded_before_ms = clock.now_ms() - i64::from(age.seconds()) * 1000;
    store.pack(Ripe { recorded_before_ms, position: sealed.position }).await
}

/// What was packed one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct All {
    /// Is nothing left that is as old? Others, or maintenance of the database, may be in the way.
    pub done: bool,
    pub packs: u64,
    pub events: u64,
    /// Of the packs.
    pub bytes: u64,
    /// How many histories stand in packs alone now.
    pub histories: u64,
}

/// Packs all that is sealed and older than this, and leaves appends their turns. Ends before it is
/// done where packing is not possible for long.
pub async fn all(store: &dyn Store, clock: &dyn Clock, age: Lifetime) -> Result<All, StoreError> {
    let mut all = All::default();
    let mut tries = 0;
    loop {
        let began = Instant::now();
        match next(store, clock, age).await? {
            Packing::Done(packed) => {
                tries = 0;
                all.packs += 1;
                all.events += packed.events;
                all.bytes += packed.bytes;
                all.histories += packed.histories;
                sleep(began.elapsed()).await;
            }
            Packing::Nothing => return Ok(All { done: true, ..all }),
            Packing::NotNow if tries >= TRIES => return Ok(all),
            Packing::NotNow => {
                tries += 1;
                sleep(PAUSE).await;
            }
        }
    }
}
