//! The events of a browser's grants, as they happen (HTML, server-sent events).

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::{self, Bytes};
use chancery_domain::envelope::{ActorKind, Envelope};
use chancery_domain::ids::{AggregateKind, GrantId};
use chancery_projections::Recorded;
use futures_util::Stream;
use futures_util::stream::unfold;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::page::DemoEvent;
use crate::feed::{Batch, Subscription, decode};
use crate::services::Services;
use crate::stores::{StoreError, StoredEvent, StreamId};
use crate::timeline;

/// How often a browser is told that nothing has happened.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Says nothing.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Follows the events of some grants, the past ones first.
pub struct Following {
    services: web::Data<Services>,
    grants: watch::Receiver<Vec<GrantId>>,
    stopping: watch::Receiver<bool>,
    /// The grants whose past was told.
    told: BTreeSet<GrantId>,
    news: Subscription,
    heartbeat: Interval,
    /// What is to be sent.
    ready: VecDeque<Bytes>,
}

impl Following {
    /// Begins to follow. It ends when the grants' sender is gone, or when
    /// `stopping` becomes true.
    pub async fn begin(
        services: web::Data<Services>,
        mut grants: watch::Receiver<Vec<GrantId>>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, StoreError> {
        let news = services.feed.subscribe_from_now().await?;
        grants.mark_changed();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Ok(Self {
            services,
            grants,
            stopping,
            told: BTreeSet::new(),
            news,
            heartbeat,
            // At once, so that the browser knows that it is connected.
            ready: VecDeque::from([COMMENT]),
        })
    }

    /// The bytes to be sent, piece by piece.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut following| {
            let piece = following.next().await?;
            Some((Ok(piece), following))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return None,
                _ = self.heartbeat.tick() => self.ready.push_back(COMMENT),
                changed = self.grants.changed() => {
                    changed.ok()?;
                    self.tell_past().await.ok()?;
                }
                batch = self.news.next() => self.tell(&batch.ok()?),
            }
        }
    }

    /// Tells what has happened to grants that are new here, up to where the
    /// news go on.
    async fn tell_past(&mut self) -> Result<(), StoreError> {
        let grants = self.grants.borrow_and_update().clone();
        let through = self.news.position();
        let mut past = Vec::new();
        for grant in &grants {
            if !self.told.contains(grant) {
                let id = grant.to_string().into();
                let stream = StreamId { kind: AggregateKind::Grant, id };
                past.extend(self.services.store.history(&stream).await?);
            }
        }
        self.told = grants.into_iter().collect();
        past.retain(|event| event.position <= through);
        past.sort_unstable_by_key(|event| event.position);
        self.ready.extend(past.iter().filter_map(|event| message(event, &decode(event).ok()?)));
        Ok(())
    }

    fn tell(&mut self, batch: &Batch) {
        for event in batch {
            let stream = &event.stored.event.stream;
            let is_followed = stream.kind == AggregateKind::Grant
                && stream.id.parse().is_ok_and(|grant| self.told.contains(&grant));
            if is_followed && let Ok(recorded) = event.recorded() {
                self.ready.extend(message(&event.stored, &recorded));
            }
        }
    }
}

/// Waits until the server is about to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Whoever would have said so is gone: that is as good.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// An event as a message. One that can't be read is left out: the log is what
/// counts, and `chancery replay` says what is wrong with it.
fn message(stored: &StoredEvent, recorded: &Recorded) -> Option<Bytes> {
    let envelope = recorded.envelope().ok()?;
    let summary = timeline::summary(&recorded.event);
    let event = DemoEvent {
        position: recorded.position,
        occurred_at: OffsetDateTime::parse(&envelope.occurred_at, &Rfc3339)
            .map_or_else(|_| recorded.recorded_at(), OffsetDateTime::unix_timestamp),
        grant_id: recorded.id.to_string(),
        event_type: stored.event.event_type.to_string(),
        summary: match timeline::reason(&recorded.event, &envelope) {
            Some(reason) => format!("{summary}: {reason}"),
            None => summary,
        },
        actor: timeline::actor(&shortened(envelope)),
    };
    // JSON has no line breaks of its own, so one line holds it.
    let json = serde_json::to_string(&event).ok()?;
    Some(format!("id: {}\ndata: {json}\n\n", event.position).into())
}

/// A subject is named by its first digits: there is one person, and a line to
/// fit in.
fn shortened(mut envelope: Envelope) -> Envelope {
    if envelope.actor.kind == ActorKind::Subject
        && let Some(subject) = &mut envelope.actor.reference
        && let Some((cut, _)) = subject.char_indices().nth(8)
    {
        subject.truncate(cut);
        subject.push('…');
    }
    envelope
}
