//! Every aggregate folded anew, its chain checked, its kept state compared.

use std::collections::HashMap;

use chancery_domain::account::Account;
use chancery_domain::client::Client;
use chancery_domain::consent::Consent;
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::Grant;
use chancery_domain::ids::AggregateKind;
use chancery_domain::registration_token::RegistrationToken;
use chancery_domain::scope_definition::ScopeDefinition;
use chancery_domain::sealed_log::SealedLog;
use chancery_domain::session::Session;
use chancery_domain::signing_key::SigningKey;
use chancery_domain::tally::Tally;
use chancery_projections::Recorded;
use cqrs_es::Aggregate as _;

use super::{Part, Report};
use crate::actors::grant::SNAPSHOT_EVERY;
use crate::aggregates::LoadError;
use crate::stores::{Head, Loaded, Snapshot, Store, StoreError, StoredEvent, StreamId};

/// A state of any aggregate.
enum State {
    Grant(Grant),
    Client(Client),
    Account(Account),
    Session(Session),
    Consent(Consent),
    SigningKey(SigningKey),
    Tally(Tally),
    RegistrationToken(RegistrationToken),
    ScopeDefinition(ScopeDefinition),
    Log(SealedLog),
}

impl State {
    fn new(kind: AggregateKind) -> Self {
        match kind {
            AggregateKind::Grant => Self::Grant(Grant::default()),
            AggregateKind::Client => Self::Client(Client::default()),
            AggregateKind::Account => Self::Account(Account::default()),
            AggregateKind::Session => Self::Session(Session::default()),
            AggregateKind::Consent => Self::Consent(Consent::default()),
            AggregateKind::SigningKey => Self::SigningKey(SigningKey::default()),
            AggregateKind::Tally => Self::Tally(Tally::default()),
            AggregateKind::RegistrationToken => {
                Self::RegistrationToken(RegistrationToken::default())
            }
            AggregateKind::ScopeDefinition => Self::ScopeDefinition(ScopeDefinition::default()),
            AggregateKind::Log => Self::Log(SealedLog::default()),
        }
    }

    fn apply(&mut self, event: AnyEvent) {
        match (self, event) {
            (Self::Grant(state), AnyEvent::Grant(event)) => state.apply(event),
            (Self::Client(state), AnyEvent::Client(event)) => state.apply(event),
            (Self::Account(state), AnyEvent::Account(event)) => state.apply(event),
            (Self::Session(state), AnyEvent::Session(event)) => state.apply(event),
            (Self::Consent(state), AnyEvent::Consent(event)) => state.apply(event),
            (Self::SigningKey(state), AnyEvent::SigningKey(event)) => state.apply(event),
            (Self::Tally(state), AnyEvent::Tally(event)) => state.apply(event),
            (Self::RegistrationToken(state), AnyEvent::RegistrationToken(event)) => {
                state.apply(event);
            }
            (Self::ScopeDefinition(state), AnyEvent::ScopeDefinition(event)) => state.apply(event),
            (Self::Log(state), AnyEvent::Log(event)) => state.apply(event),
            // An event is read as one of its aggregate's.
            _ => {}
        }
    }
}

struct Fold {
    head: Head,
    /// None after an event that can't be read.
    state: Option<State>,
    /// The kept state, until it has been compared.
    snapshot: Option<Snapshot>,
}

/// The aggregates of a part.
pub(super) struct Aggregates {
    part: Part,
    folds: HashMap<StreamId, Fold>,
}

impl Aggregates {
    pub(super) fn new(part: Part) -> Self {
        Self { part, folds: HashMap::new() }
    }

    /// Takes the next event of one of them.
    pub(super) async fn see(
        &mut self,
        store: &dyn Store,
        stored: &StoredEvent,
        recorded: Option<&Recorded>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let event = &stored.event;
        debug_assert!(self.part.has(&event.stream.id), "an event of another part");
        let fold = self.folds.entry(event.stream.clone()).or_insert_with(|| Fold {
            head: Head::START,
            state: Some(State::new(event.stream.kind)),
            snapshot: None,
        });
        if event.facts().digest() != event.digest {
            report.differs_at(stored, "its digest is not that of what stands there");
        }
        if event.sequence != fold.head.sequence + 1 {
            let expected = fold.head.sequence + 1;
            report.differs_at(stored, format!("stands where event {expected} is expected"));
        } else if event.prev_digest != fold.head.digest {
            report.differs_at(stored, "does not follow from the event before it");
        }
        if event.sequence == SNAPSHOT_EVERY {
            fold.snapshot = current(store.snapshot(&event.stream).await?);
        }
        fold.head = Head { sequence: event.sequence, digest: event.digest };
        match (recorded, &mut fold.state) {
            (Some(recorded), Some(state)) => state.apply(recorded.event.clone()),
            (None, state) => *state = None,
            (Some(_), None) => {}
        }
        fold.compare(&event.stream, report);
        Ok(())
    }

    /// What remains to be compared: states kept of events that have come since.
    pub(super) async fn finish(
        self,
        store: &dyn Store,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        report.aggregates += self.folds.len() as u64;
        for (stream, mut fold) in self.folds {
            let Some(ahead) = fold.snapshot.as_ref().map(|snapshot| snapshot.head.sequence) else {
                continue;
            };
            let Loaded { events, .. } = store.load(&stream, fold.head.sequence).await?;
            for event in events.into_iter().take_while(|event| event.sequence <= ahead) {
                let decoded = AnyEvent::from_json(
                    stream.kind,
                    &event.event_type,
                    &event.event_version,
                    &event.payload,
                );
                let decoded = decoded.map_err(|error| corrupt(&LoadError::from(error)))?;
                if let Some(state) = &mut fold.state {
                    state.apply(decoded);
                }
                fold.head.sequence = event.sequence;
            }
            // Its digest is that of an event read just now, and not checked.
            if let Some(snapshot) = &fold.snapshot {
                fold.head.digest = snapshot.head.digest;
            }
            fold.compare(&stream, report);
            if fold.snapshot.is_some() {
                let what = format!("is of event {ahead}, which is not there");
                report.differs(None, place(&stream), what);
            }
        }
        Ok(())
    }
}

impl Fold {
    /// Compares the kept state when the fold has come as far.
    fn compare(&mut self, stream: &StreamId, report: &mut Report) {
        let here = self.head.sequence;
        let Some(snapshot) = self.snapshot.take_if(|kept| kept.head.sequence == here) else {
            return;
        };
        report.snapshots += 1;
        if snapshot.head.digest != self.head.digest {
            report.differs(None, place(stream), "is of another event than the one in the log");
        }
        let Some(State::Grant(grant)) = &self.state else { return };
        let kept = serde_json::from_str::<serde_json::Value>(&snapshot.state).ok();
        if kept.is_none() || kept != serde_json::to_value(grant).ok() {
            report.differs(None, place(stream), "is another state than the log gives");
        }
    }
}

/// A kept state of this version's shape; another is thrown away at its use.
fn current(snapshot: Option<Snapshot>) -> Option<Snapshot> {
    snapshot.filter(|snapshot| snapshot.state_version == Grant::STATE_VERSION)
}

fn place(stream: &StreamId) -> String {
    format!("snapshot {}/{}", stream.kind, stream.id)
}

fn corrupt(error: &LoadError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
