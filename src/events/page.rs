//! One answer's worth of the log.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::envelope::{CloudEvents, Unreadable};
use super::filter::Filter;
use crate::feed::{Batch, Feed, Subscription};
use crate::stores::StoreError;

/// An answer is not made longer than this, about, in bytes.
const LONGEST: usize = 4 << 20;
/// How long is looked for events that fit, also by who does not want to wait.
const LOOK: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Events after this position.
    pub after: u64,
    /// So many at most.
    pub limit: usize,
    /// How long to wait for the first one.
    pub wait: Duration,
    pub filter: Filter,
}

/// Events, one a line, each with its cursor.
#[derive(Debug, Default)]
pub struct Page {
    pub lines: Vec<u8>,
    /// How many there are.
    pub count: usize,
    /// Everything up to here was looked at.
    pub through: u64,
    /// The position of the last event in it.
    last: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Page {
    /// Does its last line stand before the end of what was looked at?
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.last != self.through
    }

    /// Adds what fits of a batch. False: it is full, and the rest of the batch is not in it.
    fn take(
        &mut self,
        batch: &Batch,
        asked: &Asked,
        events: &CloudEvents,
    ) -> Result<bool, Unreadable> {
        for event in batch {
            if asked.filter.takes(&event.stored.event) {
                if self.count >= asked.limit || self.lines.len() >= LONGEST {
                    return Ok(false);
                }
                events.write(&event.stored, &mut self.lines)?;
                self.lines.push(b'\n');
                self.count += 1;
                self.last = event.position();
            }
            self.through = event.position();
        }
        Ok(true)
    }
}

/// How long is looked for events, and waited for them.
pub struct Patience {
    looking: Instant,
    waiting: Instant,
    waits: bool,
}

impl Patience {
    /// Of whoever waits so long for the first event.
    #[must_use]
    pub fn new(wait: Duration) -> Self {
        let now = Instant::now();
        Self { looking: now + LOOK.max(wait), waiting: now + wait, waits: !wait.is_zero() }
    }

    /// The events that come after a position; None: what there is has to do. Who has some does
    /// not wait for more.
    pub async fn next(
        &self,
        log: &mut Subscription,
        (feed, through): (&Feed, u64),
        has_some: bool,
    ) -> Result<Option<Batch>, StoreError> {
        let at_end = through >= feed.end().await?;
        if at_end && (has_some || !self.waits) {
            return Ok(None);
        }
        let deadline = if at_end { self.waiting } else { self.looking };
        timeout_at(deadline, log.next()).await.ok().transpose()
    }
}

/// Reads events from the log: as many as are there, up to the limit. Where there is none yet,
/// waits for the first.
pub async fn read(feed: &Feed, events: &CloudEvents, asked: &Asked) -> Result<Page, ReadError> {
    let mut log = feed.subscribe(asked.after);
    let mut page = Page { through: asked.after, last: asked.after, ..Page::default() };
    let patience = Patience::new(asked.wait);
    while page.count < asked.limit {
        let from = (feed, page.through);
        let Some(batch) = patience.next(&mut log, from, page.count > 0).await? else { break };
        if !page.take(&batch, asked, events)? || !take_more(&mut page, &mut log, asked, events)? {
            break;
        }
    }
    Ok(page)
}

fn take_more(
    page: &mut Page,
    log: &mut Subscription,
    asked: &Asked,
    events: &CloudEvents,
) -> Result<bool, Unreadable> {
    while let Some(batch) = log.more() {
        if !page.take(&batch, asked, events)? {
            return Ok(false);
        }
    }
    Ok(true)
}
