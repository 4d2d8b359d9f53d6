//! The history of one aggregate, line by line: what happened, who did it, why,
//! and when by both clocks.

use chancery_domain::account::AccountEvent;
use chancery_domain::client::ClientEvent;
use chancery_domain::consent::ConsentEvent;
use chancery_domain::digest::Sha256Digest;
use chancery_domain::envelope::{ActorKind, Envelope};
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::session::SessionEvent;

use super::page::{Link, Moment, escaped};
use super::problem::Problem;
use super::seals::{Seal, Seals, Stored};
use crate::feed::decode;
use crate::services::Services;
use crate::stores::{StoredEvent, StreamId};
use crate::timeline;

/// One event, for people.
pub struct Line {
    pub sequence: u64,
    pub position: u64,
    pub recorded_at_ms: i64,
    pub event_type: String,
    pub summary: String,
    /// Who did it.
    pub actor: Link,
    /// Why, in words.
    pub reason: Option<String>,
    /// The event that it answers.
    pub cause: Option<Link>,
    /// The query that finds the grants that ended because of it.
    pub led_to: Option<String>,
    /// By the clock of the node that decided it.
    pub happened: Moment,
    /// By the clock of the store.
    pub recorded: Moment,
    pub digest: String,
    /// What its seal is compared with.
    pub stored: Stored,
    pub seal: Seal,
    pub event: AnyEvent,
    pub envelope: Envelope,
}

impl Line {
    /// `before` is the digest of the event before it.
    fn of(stored: &StoredEvent, before: Sha256Digest) -> Result<Self, Problem> {
        let recorded = decode(stored)?;
        let envelope = recorded.envelope()?;
        // The event that it answers is told apart from the words, as a link.
        let bare = Envelope { causation_id: None, ..envelope.clone() };
        Ok(Self {
            sequence: stored.event.sequence,
            position: stored.position,
            recorded_at_ms: stored.recorded_at_ms,
            event_type: stored.event.event_type.to_string(),
            summary: timeline::summary(&recorded.event),
            actor: actor(&envelope),
            reason: timeline::reason(&recorded.event, &bare),
            cause: envelope.causation_id.as_deref().map(Link::to_event),
            led_to: ends_grants(&recorded.event).then(|| escaped(&recorded.reference())),
            happened: Moment::of_exact(envelope.occurred_at.clone()),
            recorded: Moment::of_ms(stored.recorded_at_ms),
            digest: stored.event.digest.to_string(),
            stored: Stored {
                position: stored.position,
                recorded_at_ms: stored.recorded_at_ms,
                digest: stored.event.digest,
                computed: stored.event.facts().digest(),
                chained: stored.event.prev_digest == before,
            },
            seal: Seal::NotLooked,
            event: recorded.event,
            envelope,
        })
    }

    /// The beginning of the digest, to tell one from another.
    pub fn short_digest(&self) -> &str {
        self.digest.get(..10).unwrap_or(&self.digest)
    }
}

/// All that happened to one thing, the oldest first; empty if there is no such thing.
pub async fn history(services: &Services, stream: &StreamId) -> Result<Vec<Line>, Problem> {
    let mut before = Sha256Digest::ZERO;
    let mut lines = Vec::new();
    for stored in services.store.history(stream).await? {
        lines.push(Line::of(&stored, before)?);
        before = stored.event.digest;
    }
    Ok(lines)
}

/// Compares events with what was sealed.
pub async fn look_at_seals<'a>(
    services: &Services,
    lines: impl IntoIterator<Item = &'a mut Line>,
) -> Result<(), Problem> {
    let seals = Seals::of(services).await?;
    for line in lines {
        line.seal = seals.of_event(&line.stored).await?;
    }
    Ok(())
}

/// Do grants end because of such an event?
const fn ends_grants(event: &AnyEvent) -> bool {
    match event {
        AnyEvent::Client(event) => {
            matches!(event, ClientEvent::ClientDisabled(_) | ClientEvent::ClientDeleted(_))
        }
        AnyEvent::Account(event) => {
            matches!(event, AccountEvent::AccountLocked(_) | AccountEvent::ErasureRequested(_))
        }
        AnyEvent::Session(event) => matches!(event, SessionEvent::SessionEnded(_)),
        AnyEvent::Consent(event) => matches!(event, ConsentEvent::ConsentWithdrawn(_)),
        _ => false,
    }
}

fn actor(envelope: &Envelope) -> Link {
    let text = timeline::actor(envelope);
    let path = envelope.actor.reference.as_deref().and_then(|who| match envelope.actor.kind {
        ActorKind::Client => Link::to(AggregateKind::Client, who).path,
        ActorKind::Subject => Some(format!("/people/{}", escaped(who))),
        ActorKind::Operator => {
            let account = who.strip_prefix("account ")?;
            Link::to(AggregateKind::Account, account).path
        }
        ActorKind::System => None,
    });
    Link { text, path }
}
