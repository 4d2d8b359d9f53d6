//! From stored events to states, and from decisions to appends.

mod cached;
mod vault;
mod work;

use std::sync::Arc;

use chancery_domain::consent::Consent;
use chancery_domain::event::{DecodeError, EventFormat};
use chancery_domain::ids::AggregateKind;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

pub use self::cached::{Aggregates, ExecuteError, LoadError};
pub use self::vault::{Apart, Vault, VaultError};
pub use self::work::{Origin, Work};
use crate::stores::{Head, Loaded, Store, StoreError, StreamId};

/// An aggregate that is kept in the log.
pub trait Kept: Aggregate<Services = (), Event: EventFormat> + Clone + 'static {
    const KIND: AggregateKind;

    /// Is it kept in memory too that there is none with some id? Only where strangers can't
    /// name ids.
    const KEPT_IF_ABSENT: bool = false;

    /// The stream of the aggregate with this id.
    #[must_use]
    fn stream(id: &str) -> StreamId {
        StreamId { kind: Self::KIND, id: id.into() }
    }
}

macro_rules! kept {
    ($($aggregate:ty: $kind:ident,)*) => {$(
        impl Kept for $aggregate {
            const KIND: AggregateKind = AggregateKind::$kind;
        }
    )*};
}

kept! {
    chancery_domain::grant::Grant: Grant,
    chancery_domain::client::Client: Client,
    chancery_domain::account::Account: Account,
    chancery_domain::session::Session: Session,
    chancery_domain::signing_key::SigningKey: SigningKey,
    chancery_domain::tally::Tally: Tally,
    chancery_domain::registration_token::RegistrationToken: RegistrationToken,
    chancery_domain::scope_definition::ScopeDefinition: ScopeDefinition,
    chancery_domain::sealed_log::SealedLog: Log,
}

/// Whoever is asked for none has none, and logs in all the same.
impl Kept for Consent {
    const KIND: AggregateKind = AggregateKind::Consent;
    const KEPT_IF_ABSENT: bool = true;
}

/// A state, and how far it has been folded.
#[derive(Debug, Clone)]
pub struct Folded<A> {
    pub state: A,
    pub head: Head,
}

impl<A: Default> Default for Folded<A> {
    fn default() -> Self {
        Self { state: A::default(), head: Head::START }
    }
}

impl<A: Kept> Folded<A> {
    /// Loads an aggregate from its first event on; one that does not exist is
    /// its default.
    pub async fn load(store: &dyn Store, stream: &StreamId) -> Result<Self, LoadError> {
        let mut folded = Self::default();
        folded.catch_up(store, stream).await?;
        Ok(folded)
    }

    /// Applies what has been appended since.
    pub async fn catch_up(
        &mut self,
        store: &dyn Store,
        stream: &StreamId,
    ) -> Result<(), LoadError> {
        let Loaded { events, head } = store.load(stream, self.head.sequence).await?;
        for event in events {
            let decoded =
                A::Event::from_json(&event.event_type, &event.event_version, &event.payload)?;
            self.state.apply(decoded);
        }
        self.head = head;
        Ok(())
    }
}

/// Decides commands one after the other, each on the state that the one before
/// left: the events of all, and the state after them. The state given is not touched.
pub async fn decide<A: Kept>(
    state: &A,
    commands: Vec<A::Command>,
) -> Result<(A, Vec<A::Event>), A::Error> {
    let mut next = state.clone();
    let sink = EventSink::default();
    for command in commands {
        next.handle(command, &(), &sink).await?;
    }
    Ok((next, sink.collect().await))
}

impl From<DecodeError> for LoadError {
    fn from(error: DecodeError) -> Self {
        Self(Arc::new(StoreError::Corrupt(error.to_string())))
    }
}
