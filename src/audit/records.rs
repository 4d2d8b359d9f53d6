//! What questions are answered from: read models, and histories in the log.

use std::sync::Arc;
use std::time::Duration;

use chancery_domain::envelope::Envelope;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, GrantId};
use tokio::time::Instant;

use super::as_of::{AsOf, ReadModel, ReadModelState};
use super::error::AuditError;
use super::lineage::Lineage;
use super::moment::Moment;
use crate::feed::decode;
use crate::lookups::Lookups;
use crate::stores::{Store, StoreError, StoredEvent, StreamId};

/// How long read models that move on are asked again.
const PATIENCE: Duration = Duration::from_millis(50);

/// What questions are answered from. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    pub(crate) store: Arc<dyn Store>,
    pub(super) lookups: Lookups,
}

/// An event, read, with what stands beside it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) moment: Moment,
    pub(super) event: AnyEvent,
    pub(super) envelope: Envelope,
    pub(super) stored: StoredEvent,
}

impl Records {
    /// Those of this store.
    #[must_use]
    pub fn of(store: &Arc<dyn Store>) -> Self {
        Self { store: Arc::clone(store), lookups: Lookups::new(Arc::clone(store)) }
    }

    /// The end of the log: for what is read in a history itself.
    pub(super) async fn log_end(&self) -> Result<AsOf, StoreError> {
        let position = self.store.last_position().await?;
        Ok(AsOf { position, log_end: position, read_models: vec![], unsettled: false })
    }

    /// Asks read models, and says at which position the answer is true. It is asked again when
    /// they have moved on meanwhile; it is told the position, to look no further.
    pub async fn settled<T>(
        &self,
        models: &[&str],
        ask: impl AsyncFn(u64) -> Result<T, AuditError>,
    ) -> Result<(AsOf, T), AuditError> {
        let began = Instant::now();
        let mut before = self.standing(models).await?;
        loop {
            let answer = ask(before.position).await?;
            let after = self.standing(models).await?;
            if after.position == before.position {
                return Ok((before, answer));
            }
            if began.elapsed() >= PATIENCE {
                return Ok((AsOf { unsettled: true, ..before }, answer));
            }
            before = after;
        }
    }

    /// How far these read models are: as far as the last of them.
    async fn standing(&self, models: &[&str]) -> Result<AsOf, StoreError> {
        let checkpoints = self.store.checkpoints().await?;
        let log_end = self.store.last_position().await?;
        let projections = chancery_projections::ALL
            .into_iter()
            .filter(|projection| models.contains(&projection.name()));
        let standing = |(name, version): (&str, u32)| {
            let stands = checkpoints.iter().find(|(own, _)| own == name).map(|(_, stands)| stands);
            let (state, position) = match stands {
                Some(stands) if stands.version == version && stands.position >= log_end => {
                    (ReadModelState::Current, stands.position)
                }
                Some(stands) if stands.version == version => {
                    (ReadModelState::Behind, stands.position)
                }
                _ => (ReadModelState::NotBuilt, 0),
            };
            ReadModel { name: name.to_owned(), state, position }
        };
        let read_models: Vec<_> =
            projections.map(|own| standing((own.name(), own.version()))).collect();
        let position = read_models.iter().map(|model| model.position).min().unwrap_or(log_end);
        Ok(AsOf { position, log_end: log_end.max(position), read_models, unsettled: false })
    }

    /// The history of an aggregate up to a position.
    pub(super) async fn history(
        &self,
        kind: AggregateKind,
        id: &str,
        through: u64,
    ) -> Result<Vec<Told>, AuditError> {
        let stream = StreamId { kind, id: id.into() };
        let stored = self.store.history(&stream).await?;
        let mut history = Vec::with_capacity(stored.len());
        for stored in stored.into_iter().take_while(|stored| stored.position <= through) {
            history.push(Told::of(stored)?);
        }
        Ok(history)
    }

    /// The lineage of a grant as it was at a position; none: it was not there.
    pub(super) async fn lineage(
        &self,
        grant_id: GrantId,
        through: u64,
    ) -> Result<Option<Lineage>, AuditError> {
        let history = self.history(AggregateKind::Grant, &grant_id.to_string(), through).await?;
        Ok(Lineage::of(grant_id, &history))
    }
}

impl Told {
    pub(super) fn of(stored: StoredEvent) -> Result<Self, AuditError> {
        let recorded = decode(&stored)?;
        let envelope = recorded.envelope()?;
        let moment = Moment::new(
            stored.position,
            stored.event.sequence,
            &envelope.occurred_at,
            stored.recorded_at_ms,
        );
        Ok(Self { moment, event: recorded.event, envelope, stored })
    }
}
