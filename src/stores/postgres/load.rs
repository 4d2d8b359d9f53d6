//! Loading aggregates, through postgres-es's repository.

use chancery_domain::ids::AggregateKind;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository as _, PersistenceError, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgPool};

use super::packs::{self, Place};
use super::rows;
use super::transient::retried;
use crate::stores::packs::loaded as loaded_from;
use crate::stores::{Head, Loaded, LoadedEvent, StoreError, StoredEvent, StreamId};

/// The events of an aggregate after a sequence, and the head they lead to.
pub(super) async fn load(
    repository: &PostgresEventRepository,
    pool: &PgPool,
    stream: &StreamId,
    after: u64,
) -> Result<Loaded, StoreError> {
    let mut again = false;
    loop {
        let loaded = from_rows(repository, pool, stream, after).await?;
        if loaded.head != Head::START {
            return Ok(loaded);
        }
        match packs::place(pool, stream).await? {
            // It came back into them just now; or has fewer events.
            Place::Rows if after == 0 || !again => again = true,
            Place::Rows | Place::Nowhere => return Ok(loaded),
            Place::Packs(history) => return Ok(loaded_from(history, after)),
        }
    }
}

async fn from_rows(
    repository: &PostgresEventRepository,
    pool: &PgPool,
    stream: &StreamId,
    after: u64,
) -> Result<Loaded, StoreError> {
    let stored = retried(|| serialized(repository, stream, after)).await?;
    let mut events = Vec::with_capacity(stored.len());
    let mut sequence = after;
    for event in stored {
        sequence += 1;
        if u64::try_from(event.sequence) != Ok(sequence) {
            return Err(StoreError::Corrupt(format!(
                "{} {}: event {sequence} is missing",
                stream.kind, stream.id
            )));
        }
        events.push(LoadedEvent {
            sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload.to_string(),
        });
    }
    if sequence == 0 {
        return Ok(Loaded { events, head: Head::START });
    }
    // The digest of the last event that was loaded, not of the last there is by
    // now: events never change, so the two belong together without a lock.
    let digest: Option<Vec<u8>> = retried(|| async {
        sqlx::query_scalar(
            "SELECT digest FROM events
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3",
        )
        .bind(stream.kind.as_str())
        .bind(&*stream.id)
        .bind(rows::signed(sequence))
        .fetch_optional(pool)
        .await
    })
    .await?;
    let head = match digest {
        Some(digest) => Head { sequence, digest: rows::digest(&digest)? },
        None => Head::START,
    };
    Ok(Loaded { events, head })
}

/// The whole history of an aggregate, as stored.
pub(super) async fn history(
    pool: &PgPool,
    stream: &StreamId,
) -> Result<Vec<StoredEvent>, StoreError> {
    loop {
        let history = history_from_rows(pool, stream).await?;
        if !history.is_empty() {
            return Ok(history);
        }
        match packs::place(pool, stream).await? {
            // It came back into them just now.
            Place::Rows => {}
            Place::Packs(history) => return Ok(history),
            Place::Nowhere => return Ok(history),
        }
    }
}

async fn history_from_rows(
    pool: &PgPool,
    stream: &StreamId,
) -> Result<Vec<StoredEvent>, StoreError> {
    let statement = format!(
        "SELECT {} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence",
        rows::EVENT_COLUMNS
    );
    let found = retried(|| async {
        sqlx::query(&statement).bind(stream.kind.as_str()).bind(&*stream.id).fetch_all(pool).await
    })
    .await?;
    found.iter().map(rows::event).collect()
}

async fn serialized(
    repository: &PostgresEventRepository,
    stream: &StreamId,
    after: u64,
) -> Result<Vec<SerializedEvent>, Error> {
    match stream.kind {
        AggregateKind::Grant => of::<Grant>(repository, stream, after).await,
        AggregateKind::Client => of::<Client>(repository, stream, after).await,
        AggregateKind::Account => of::<Account>(repository, stream, after).await,
        AggregateKind::Session => of::<Session>(repository, stream, after).await,
        AggregateKind::Consent => of::<Consent>(repository, stream, after).await,
        AggregateKind::SigningKey => of::<SigningKey>(repository, stream, after).await,
        AggregateKind::Tally => of::<Tally>(repository, stream, after).await,
        AggregateKind::RegistrationToken => {
            of::<RegistrationToken>(repository, stream, after).await
        }
        AggregateKind::ScopeDefinition => of::<ScopeDefinition>(repository, stream, after).await,
        AggregateKind::Log => of::<Log>(repository, stream, after).await,
    }
}

async fn of<A: Aggregate>(
    repository: &PostgresEventRepository,
    stream: &StreamId,
    after: u64,
) -> Result<Vec<SerializedEvent>, Error> {
    let events = if after == 0 {
        repository.get_events::<A>(&stream.id).await
    } else {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        repository.get_last_events::<A>(&stream.id, after).await
    };
    events.map_err(cause)
}

/// What sqlx said, out of what cqrs-es makes of it.
fn cause(error: PersistenceError) -> Error {
    let (PersistenceError::ConnectionError(cause)
    | PersistenceError::DeserializationError(cause)
    | PersistenceError::UnknownError(cause)) = error
    else {
        return Error::Protocol("a read reported a conflict".into());
    };
    match cause.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => Error::Decode(other),
    }
}

/// Nothing at all: the markers below neither decide nor apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Nothing {}

impl DomainEvent for Nothing {
    fn event_type(&self) -> String {
        match *self {}
    }

    fn event_version(&self) -> String {
        match *self {}
    }
}

/// The repository asks for an aggregate to learn its type's name. Decoding and
/// folding are done by the callers, so a name is all that these have.
macro_rules! markers {
    ($($name:ident)*) => {$(
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        impl Aggregate for $name {
            const TYPE: &'static str = AggregateKind::$name.as_str();
            type Command = Nothing;
            type Event = Nothing;
            type Error = std::convert::Infallible;
            type Services = ();

            async fn handle(
                &mut self,
                command: Nothing,
                _services: &(),
                _sink: &EventSink<Self>,
            ) -> Result<(), Self::Error> {
                match command {}
            }

            fn apply(&mut self, event: Nothing) {
                match event {}
            }
        }
    )*};
}

markers! { Grant Client Account Session Consent SigningKey Tally RegistrationToken ScopeDefinition Log }
