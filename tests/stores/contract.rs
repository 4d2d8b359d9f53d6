//! What every store must do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chancery::stores::{
    Append, AppendError, Bounds, Checkpoint, DataKeyRow, Document, Head, LogReader, NameChange,
    NewEvent, Query, Remains, SealedRow, Snapshot, Store, StoreError, StoredEvent, StreamId,
    Traces, UsedOnce, WrappedKeyRow, beside,
};
use chancery_domain::account::Destroyed;
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;
use chancery_projections::figures::{FIGURES, Grain, HOURS_KEPT, Place, Sum, Whose};
use chancery_projections::grants::GRANTS;
use chancery_projections::{Change, ColumnType, Table, Value};

/// A read model for these tests: the fixture makes its table.
pub static WIDGETS: Table = Table {
    name: "widgets",
    key: "id",
    columns: &[
        ("id", ColumnType::Text),
        ("colour", ColumnType::Text),
        ("weight", ColumnType::Int),
        ("reach", ColumnType::Highest),
    ],
};

/// A store to test, alone in a database of its own.
pub trait Fixture: Sized {
    /// A new, empty store with the table [`WIDGETS`].
    async fn new() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Another handle on the same data, as another node has it; the same one where only one
    /// process may write.
    async fn another(&self) -> Arc<dyn Store>;

    /// Closes every handle and opens the store again.
    async fn reopen(&mut self);

    /// Runs a statement on the database behind the store's back.
    async fn sql(&self, statement: &str) -> Result<(), String>;

    /// The one of two statements that this database understands.
    fn statement<'a>(sqlite: &'a str, postgres: &'a str) -> &'a str;

    /// From now on the database itself fails, with its transaction, on events of this type.
    async fn break_on(&self, event_type: &str);
}

/// Runs the whole contract against a fixture.
macro_rules! contract {
    ($fixture:ty) => {
        contract!(@each $fixture:
            what_is_appended_is_loaded_byte_for_byte
            loading_after_a_sequence_gives_the_rest_and_the_head
            an_unknown_aggregate_is_at_the_start
            the_second_writer_of_a_sequence_conflicts_and_the_rest_of_the_batch_stands
            an_append_over_two_aggregates_is_all_or_nothing
            a_gap_in_the_sequence_is_refused
            a_wrong_previous_digest_is_refused
            one_append_may_weave_several_aggregates
            every_event_has_its_own_metadata_wherever_reading_begins
            an_empty_batch_and_an_empty_append_are_nothing
            a_name_has_one_owner_until_it_is_released
            a_refused_name_takes_its_events_with_it
            a_fact_used_once_is_refused_until_it_is_forgotten
            a_fact_used_twice_in_one_batch_is_taken_once
            sealed_rows_come_back_in_order
            a_data_key_is_kept_once_for_its_owner
            wrapped_keys_are_listed_by_purpose
            rewrapping_replaces_every_key_or_none
            what_is_destroyed_of_a_person_is_gone_and_counted
            what_is_destroyed_in_many_steps_is_destroyed_to_the_end
            a_snapshot_replaces_the_one_before
            the_log_is_read_in_order_and_resumed
            who_follows_the_log_sees_what_stands_in_it
            history_tells_positions_and_times
            many_writers_give_one_order_without_gaps
            of_two_projectors_at_one_checkpoint_one_wins
            a_put_leaves_other_columns_as_they_are
            rows_and_checkpoint_move_together
            a_reset_projection_starts_from_nothing
            what_is_made_anew_is_seen_when_it_takes_the_place
            what_is_begun_anew_twice_is_begun_from_nothing
            what_is_added_is_added_once_to_what_stands_there
            paging_by_key_sees_every_row_once
            paging_by_another_column_sees_every_row_once
            a_page_after_a_vanished_row_is_an_error
            rows_are_found_by_equal_values
            rows_are_found_within_bounds
            pages_of_a_range_of_keys_follow_each_other
            ids_are_found_and_paged_as_the_texts_that_they_are
            a_number_that_only_grows_never_falls
            events_are_neither_updated_nor_deleted
            an_append_that_the_database_fails_on_leaves_nothing_and_harms_no_other
            reopening_keeps_everything
            a_document_is_written_by_whoever_read_it_last
            a_closed_store_refuses
        );
    };
    (@each $fixture:ty: $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fixture = <$fixture as $crate::contract::Fixture>::new().await;
                $crate::contract::$name(fixture).await;
            }
        )*
    };
}

/// An aggregate whose events are made here.
pub struct Chain {
    pub stream: StreamId,
    pub head: Head,
}

impl Chain {
    pub fn new(kind: AggregateKind, id: &str) -> Self {
        Self { stream: StreamId { kind, id: id.into() }, head: Head::START }
    }

    pub fn grant(id: &str) -> Self {
        Self::new(AggregateKind::Grant, id)
    }

    /// The next event; the chain goes on from it.
    pub fn next(&mut self, event_type: &'static str) -> NewEvent {
        let event = self.peek(event_type);
        self.head = Head { sequence: event.sequence, digest: event.digest };
        event
    }

    /// The next event; the chain stays where it is.
    pub fn peek(&self, event_type: &'static str) -> NewEvent {
        let sequence = self.head.sequence + 1;
        let mut event = NewEvent {
            stream: self.stream.clone(),
            sequence,
            event_type: event_type.into(),
            event_version: "1".into(),
            // White space and escapes as a store that parses JSON would not keep them.
            payload: format!(r#"{{ "n":{sequence},  "text":"\u00e9 é ☃", "n":{sequence} }}"#)
                .into(),
            metadata: r#"{"command_id" : "c", "actor":"\u0041"}"#.into(),
            prev_digest: self.head.digest,
            digest: Sha256Digest::ZERO,
        };
        event.digest = event.facts().digest();
        event
    }
}

pub fn append(events: Vec<NewEvent>) -> Append {
    Append { events, ..Append::default() }
}

async fn commit_one(store: &Arc<dyn Store>, append: Append) -> Result<u64, AppendError> {
    let mut results = store.commit(vec![append]).await;
    assert_eq!(results.len(), 1);
    results.remove(0).map(|appended| appended.last_position)
}

pub async fn committed(store: &Arc<dyn Store>, append: Append) -> u64 {
    commit_one(store, append).await.expect("the append is written")
}

async fn sequence_of(store: &Arc<dyn Store>, stream: &StreamId) -> u64 {
    store.load(stream, 0).await.unwrap().head.sequence
}

async fn whole_log(store: &Arc<dyn Store>) -> Vec<StoredEvent> {
    read_to_its_end(store.read_log(0)).await
}

async fn read_to_its_end(mut reader: Box<dyn LogReader>) -> Vec<StoredEvent> {
    let mut all = Vec::new();
    loop {
        let events = reader.next(100).await.unwrap();
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

// ---- appending and loading

pub async fn what_is_appended_is_loaded_byte_for_byte(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    let events = vec![chain.next("Requested"), chain.next("CodeIssued")];
    let last = committed(&store, append(events.clone())).await;

    let history = store.history(&chain.stream).await.unwrap();
    assert_eq!(history.iter().map(|stored| stored.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(history[1].position, last);
    for stored in history {
        assert_eq!(stored.event.facts().digest(), stored.event.digest);
    }

    let loaded = store.load(&chain.stream, 0).await.unwrap();
    assert_eq!(loaded.head, chain.head);
    assert_eq!(loaded.events.len(), 2);
    assert_eq!(loaded.events[1].sequence, 2);
    assert_eq!(loaded.events[1].event_type, "CodeIssued");
    assert_eq!(loaded.events[1].event_version, "1");
    let payload: serde_json::Value = serde_json::from_str(&loaded.events[1].payload).unwrap();
    assert_eq!(payload, serde_json::json!({ "n": 2, "text": "é é ☃" }));
}

pub async fn loading_after_a_sequence_gives_the_rest_and_the_head(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    let second = [chain.next("A"), chain.next("B")];
    let middle = chain.head;
    let third = chain.next("C");
    let [a, b] = second;
    committed(&store, append(vec![a, b, third])).await;

    let tail = store.load(&chain.stream, 2).await.unwrap();
    assert_eq!(tail.events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3]);
    assert_eq!(tail.head, chain.head);

    let nothing = store.load(&chain.stream, 3).await.unwrap();
    assert!(nothing.events.is_empty());
    assert_eq!(nothing.head, chain.head);
    assert_ne!(nothing.head, middle);
}

pub async fn an_unknown_aggregate_is_at_the_start(fixture: impl Fixture) {
    let store = fixture.store();
    committed(&store, append(vec![Chain::grant("g").next("A")])).await;
    // The same id of another kind is another aggregate.
    let unknown = StreamId { kind: AggregateKind::Client, id: "g".into() };
    let loaded = store.load(&unknown, 0).await.unwrap();
    assert_eq!(loaded.head, Head::START);
    assert!(loaded.events.is_empty());
    assert!(store.history(&unknown).await.unwrap().is_empty());
}

pub async fn the_second_writer_of_a_sequence_conflicts_and_the_rest_of_the_batch_stands(
    fixture: impl Fixture,
) {
    let store = fixture.store();
    let mut one = Chain::grant("contended");
    let mut two = Chain::grant("contended");
    let mut before = Chain::grant("before");
    let mut after = Chain::grant("after");
    let winner = one.next("First");
    let results = store
        .commit(vec![
            append(vec![before.next("A")]),
            append(vec![winner.clone()]),
            append(vec![two.next("Second")]),
            append(vec![after.next("A")]),
        ])
        .await;
    assert!(
        matches!(results.as_slice(), [Ok(_), Ok(_), Err(AppendError::Conflict), Ok(_)]),
        "{results:?}"
    );

    // The same in a later batch, and by another handle.
    let other = fixture.another().await;
    let refused = commit_one(&other, append(vec![Chain::grant("contended").next("Third")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    let history = store.history(&one.stream).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].event, winner);
    assert_eq!(sequence_of(&store, &before.stream).await, 1);
    assert_eq!(sequence_of(&store, &after.stream).await, 1);
}

pub async fn an_append_over_two_aggregates_is_all_or_nothing(fixture: impl Fixture) {
    let store = fixture.store();
    let mut grant = Chain::grant("g");
    let mut consent = Chain::new(AggregateKind::Consent, "c");
    committed(&store, append(vec![consent.next("Given")])).await;

    let stale = Chain::new(AggregateKind::Consent, "c").next("Given");
    let refused = Append {
        events: vec![grant.peek("ConsentGiven"), stale],
        sealed: vec![SealedRow { stream: grant.stream.clone(), sequence: 1, ciphertext: vec![1] }],
        data_keys: vec![DataKeyRow {
            owner: grant.stream.clone(),
            subject: None,
            wrapped: vec![2],
        }],
        names: vec![NameChange::Reserve { space: "s", name: [1; 32], owner: "g".into() }],
        used_once: vec![UsedOnce { space: "s", key: [1; 32], expires_at: 10 }],
        ..Append::default()
    };
    let others = append(vec![Chain::grant("other").next("A")]);
    let results = store.commit(vec![refused, others]).await;
    assert!(matches!(results.as_slice(), [Err(AppendError::Conflict), Ok(_)]), "{results:?}");
    assert_eq!(store.load(&grant.stream, 0).await.unwrap().head, Head::START);
    assert!(store.sealed(&grant.stream).await.unwrap().is_empty());
    assert_eq!(store.data_key(&grant.stream).await.unwrap(), None);
    assert_eq!(store.name_owner("s", &[1; 32]).await.unwrap(), None);
    assert_eq!(store.forget_expired(i64::MAX).await.unwrap(), 0);

    let both = vec![grant.next("ConsentGiven"), consent.next("Widened")];
    let last = committed(&store, append(both)).await;
    assert_eq!(sequence_of(&store, &grant.stream).await, 1);
    assert_eq!(sequence_of(&store, &consent.stream).await, 2);
    assert_eq!(store.last_position().await.unwrap(), last);
}

pub async fn a_gap_in_the_sequence_is_refused(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    let _never_written = chain.next("A");
    let refused = commit_one(&store, append(vec![chain.peek("B")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    // A gap inside of an append, with the digests of a whole chain.
    let mut chain = Chain::grant("h");
    let first = chain.next("A");
    let _left_out = chain.next("B");
    let refused = commit_one(&store, append(vec![first, chain.next("C")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    // And with a chain of digests that has none.
    let mut chain = Chain::grant("i");
    let first = chain.next("A");
    chain.head.sequence += 1;
    let refused = commit_one(&store, append(vec![first, chain.next("C")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    assert!(whole_log(&store).await.is_empty());
}

pub async fn a_wrong_previous_digest_is_refused(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    committed(&store, append(vec![chain.next("A")])).await;

    let mut forked = Chain { stream: chain.stream.clone(), head: chain.head };
    forked.head.digest = Sha256Digest::from_bytes([7; 32]);
    let refused = commit_one(&store, append(vec![forked.next("B")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    // A first event must not claim to have one before it.
    let mut rootless = Chain::grant("h");
    rootless.head.digest = Sha256Digest::from_bytes([7; 32]);
    let refused = commit_one(&store, append(vec![rootless.next("A")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    // Nor may the second of one append.
    let mut torn = Chain::grant("i");
    let first = torn.next("A");
    torn.head.digest = Sha256Digest::from_bytes([7; 32]);
    let refused = commit_one(&store, append(vec![first, torn.next("B")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    committed(&store, append(vec![chain.next("B")])).await;
    assert_eq!(whole_log(&store).await.len(), 2);
}

pub async fn one_append_may_weave_several_aggregates(fixture: impl Fixture) {
    let store = fixture.store();
    let mut one = Chain::grant("1");
    let mut two = Chain::grant("2");
    let events = vec![one.next("A"), two.next("A"), one.next("B"), two.next("B"), two.next("C")];
    let order: Vec<_> = events.iter().map(|event| event.digest).collect();
    committed(&store, append(events)).await;
    assert_eq!(store.load(&one.stream, 0).await.unwrap().head, one.head);
    assert_eq!(store.load(&two.stream, 0).await.unwrap().head, two.head);
    let log: Vec<_> = whole_log(&store).await.iter().map(|stored| stored.event.digest).collect();
    assert_eq!(log, order);
}

pub async fn every_event_has_its_own_metadata_wherever_reading_begins(fixture: impl Fixture) {
    let store = fixture.store();
    let (mut one, mut two) = (Chain::grant("1"), Chain::grant("2"));
    let mut event = |chain: u8, metadata: &str| {
        let chain = if chain == 1 { &mut one } else { &mut two };
        let mut event = NewEvent { metadata: metadata.into(), ..chain.peek("A") };
        event.digest = event.facts().digest();
        chain.head = Head { sequence: event.sequence, digest: event.digest };
        event
    };
    let (a, b) = (r#"{"command_id": "a"}"#, r#"{"command_id": "b"}"#);
    let batch = vec![
        append(vec![event(1, a), event(2, a), event(1, a)]),
        append(vec![event(2, a), event(1, b), event(1, a), event(2, a)]),
        append(vec![event(2, b)]),
    ];
    let all: Vec<_> = batch.iter().flat_map(|append| append.events.clone()).collect();
    for result in store.commit(batch).await {
        result.unwrap();
    }

    let log = whole_log(&store).await;
    let events = |stored: &[StoredEvent]| {
        stored.iter().map(|stored| stored.event.clone()).collect::<Vec<_>>()
    };
    assert_eq!(events(&log), all);
    for (index, begin) in log.iter().enumerate() {
        let rest = read_to_its_end(store.read_log(begin.position)).await;
        assert_eq!(events(&rest), all[index + 1..]);
    }
    for chain in [one, two] {
        let history = store.history(&chain.stream).await.unwrap();
        let own: Vec<_> =
            all.iter().filter(|event| event.stream == chain.stream).cloned().collect();
        assert_eq!(events(&history), own);
    }
}

pub async fn an_empty_batch_and_an_empty_append_are_nothing(fixture: impl Fixture) {
    let store = fixture.store();
    assert!(store.commit(Vec::new()).await.is_empty());
    committed(&store, append(vec![Chain::grant("g").next("A")])).await;
    assert_eq!(committed(&store, Append::default()).await, 0);
    assert_eq!(whole_log(&store).await.len(), 1);
}

// ---- beside the log

pub async fn a_name_has_one_owner_until_it_is_released(fixture: impl Fixture) {
    let store = fixture.store();
    let reserve = |owner: &str| Append {
        names: vec![NameChange::Reserve { space: "account", name: [1; 32], owner: owner.into() }],
        ..Append::default()
    };
    let release = Append {
        names: vec![NameChange::Release { space: "account", name: [1; 32] }],
        ..Append::default()
    };
    assert_eq!(store.name_owner("account", &[1; 32]).await.unwrap(), None);
    committed(&store, reserve("anna")).await;
    committed(&store, reserve("anna")).await;
    let results = store.commit(vec![reserve("boris"), reserve("anna")]).await;
    assert!(matches!(results.as_slice(), [Err(AppendError::NameTaken), Ok(_)]), "{results:?}");
    assert_eq!(store.name_owner("account", &[1; 32]).await.unwrap().as_deref(), Some("anna"));
    assert_eq!(store.name_owner("account", &[2; 32]).await.unwrap(), None);
    assert_eq!(store.name_owner("client", &[1; 32]).await.unwrap(), None);

    committed(&store, release).await;
    assert_eq!(store.name_owner("account", &[1; 32]).await.unwrap(), None);
    committed(&store, reserve("boris")).await;
    assert_eq!(store.name_owner("account", &[1; 32]).await.unwrap().as_deref(), Some("boris"));

    // Two racers in one batch.
    let race = |owner: &str| Append {
        names: vec![NameChange::Reserve { space: "account", name: [3; 32], owner: owner.into() }],
        ..Append::default()
    };
    let results = store.commit(vec![race("anna"), race("boris")]).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
}

pub async fn a_refused_name_takes_its_events_with_it(fixture: impl Fixture) {
    let store = fixture.store();
    let reserve = |owner: &str| {
        vec![NameChange::Reserve { space: "account", name: [1; 32], owner: owner.into() }]
    };
    let mut anna = Chain::new(AggregateKind::Account, "anna");
    let mut boris = Chain::new(AggregateKind::Account, "boris");
    let results = store
        .commit(vec![
            Append {
                events: vec![anna.next("Opened")],
                names: reserve("anna"),
                ..Append::default()
            },
            Append {
                events: vec![boris.next("Opened")],
                names: reserve("boris"),
                ..Append::default()
            },
        ])
        .await;
    assert!(matches!(results.as_slice(), [Ok(_), Err(AppendError::NameTaken)]), "{results:?}");
    assert_eq!(sequence_of(&store, &anna.stream).await, 1);
    assert_eq!(sequence_of(&store, &boris.stream).await, 0);
}

fn use_once(chain: &mut Chain, key: u8, expires_at: i64) -> Append {
    Append {
        events: vec![chain.next("Used")],
        used_once: vec![UsedOnce { space: "jti", key: [key; 32], expires_at }],
        ..Append::default()
    }
}

pub async fn a_fact_used_once_is_refused_until_it_is_forgotten(fixture: impl Fixture) {
    let store = fixture.store();
    committed(&store, use_once(&mut Chain::grant("1"), 1, 100)).await;
    committed(&store, use_once(&mut Chain::grant("2"), 2, 200)).await;

    let mut again = Chain::grant("3");
    let refused = commit_one(&store, use_once(&mut again, 1, 300)).await;
    assert!(matches!(refused, Err(AppendError::AlreadyUsed)), "{refused:?}");
    assert_eq!(sequence_of(&store, &again.stream).await, 0);
    let elsewhere = Append {
        used_once: vec![UsedOnce { space: "nonce", key: [1; 32], expires_at: 500 }],
        ..Append::default()
    };
    committed(&store, elsewhere).await;

    assert_eq!(store.forget_expired(99).await.unwrap(), 0);
    let refused = commit_one(&store, use_once(&mut Chain::grant("3"), 1, 300)).await;
    assert!(matches!(refused, Err(AppendError::AlreadyUsed)), "{refused:?}");

    assert_eq!(store.forget_expired(150).await.unwrap(), 1);
    committed(&store, use_once(&mut Chain::grant("3"), 1, 300)).await;
    let refused = commit_one(&store, use_once(&mut Chain::grant("4"), 2, 300)).await;
    assert!(matches!(refused, Err(AppendError::AlreadyUsed)), "{refused:?}");
}

pub async fn a_fact_used_twice_in_one_batch_is_taken_once(fixture: impl Fixture) {
    let store = fixture.store();
    let results = store
        .commit(vec![
            use_once(&mut Chain::grant("1"), 1, 100),
            use_once(&mut Chain::grant("2"), 1, 100),
        ])
        .await;
    let taken = results.iter().filter(|result| result.is_ok()).count();
    let refused =
        results.iter().filter(|result| matches!(result, Err(AppendError::AlreadyUsed))).count();
    assert_eq!((taken, refused), (1, 1), "{results:?}");
    assert_eq!(whole_log(&store).await.len(), 1);
}

pub async fn a_document_is_written_by_whoever_read_it_last(mut fixture: impl Fixture) {
    let store = fixture.store();
    let document = |key: &str, version, body: &str| Document {
        kind: "thing",
        key: key.to_owned(),
        version,
        body: body.to_owned(),
    };
    assert_eq!(store.document("thing", "a").await.unwrap(), None);
    assert!(store.put_document(document("a", 0, "1")).await.unwrap());
    assert!(!store.put_document(document("a", 0, "2")).await.unwrap(), "there is one");
    assert!(store.put_document(document("a", 1, "3")).await.unwrap());
    assert!(!fixture.another().await.put_document(document("a", 1, "4")).await.unwrap());
    assert!(!store.put_document(document("b", 1, "5")).await.unwrap(), "there is none");
    assert_eq!(store.document("thing", "a").await.unwrap(), Some(document("a", 2, "3")));
    assert_eq!(store.document("other", "a").await.unwrap(), None);
    assert!(store.put_document(document("c", 0, "6")).await.unwrap());
    assert!(store.put_document(document("b", 0, "7")).await.unwrap());
    let keys = async |store: Arc<dyn Store>, after: &str, limit| {
        let found = store.documents("thing", after, limit).await.unwrap();
        found.into_iter().map(|document| document.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(fixture.store(), "", 10).await, ["a", "b", "c"]);
    assert_eq!(keys(fixture.store(), "a", 1).await, ["b"]);
    drop(store);
    fixture.reopen().await;
    let store = fixture.store();
    assert!(!store.delete_document("thing", "a", 1).await.unwrap());
    assert!(store.delete_document("thing", "a", 2).await.unwrap());
    assert_eq!(keys(fixture.store(), "", 10).await, ["b", "c"]);
    assert!(store.put_document(document("a", 0, "8")).await.unwrap());
}

pub async fn sealed_rows_come_back_in_order(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    let events = vec![chain.next("A"), chain.next("B")];
    let row = |sequence| SealedRow {
        stream: chain.stream.clone(),
        sequence,
        ciphertext: vec![u8::try_from(sequence).unwrap(), 0, 255],
    };
    let sealed = vec![row(2), row(1)];
    committed(&store, Append { events, sealed, ..Append::default() }).await;
    assert_eq!(store.sealed(&chain.stream).await.unwrap(), [row(1), row(2)]);
    assert!(store.sealed(&Chain::grant("h").stream).await.unwrap().is_empty());
}

pub async fn a_data_key_is_kept_once_for_its_owner(fixture: impl Fixture) {
    let store = fixture.store();
    let chain = Chain::grant("g");
    let key = |byte: u8| Append {
        data_keys: vec![DataKeyRow {
            owner: chain.stream.clone(),
            subject: None,
            wrapped: vec![byte; 40],
        }],
        ..Append::default()
    };
    committed(&store, key(1)).await;
    assert_eq!(store.data_key(&chain.stream).await.unwrap(), Some(vec![1; 40]));
    // To replace it would lose what it has sealed.
    let refused = commit_one(&store, key(2)).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");

    // Inserts again what is bound to the subject: fails where there is such a key.
    let if_bound = "INSERT INTO data_keys (owner_type, owner_id, wrapped)
        SELECT owner_type, owner_id, wrapped FROM data_keys WHERE subject = 'subject'";
    fixture.sql(if_bound).await.unwrap();
    let bind = Append {
        bind_data_keys: vec![(chain.stream.clone(), "subject".into())],
        ..Append::default()
    };
    committed(&store, bind).await;
    assert_eq!(store.data_key(&chain.stream).await.unwrap(), Some(vec![1; 40]));
    assert_eq!(store.data_key(&Chain::grant("h").stream).await.unwrap(), None);
    fixture.sql(if_bound).await.unwrap_err();
}

fn wrapped_key(key_id: &str, purpose: &str, byte: u8) -> WrappedKeyRow {
    WrappedKeyRow { key_id: key_id.to_owned(), purpose: purpose.to_owned(), wrapped: vec![byte; 3] }
}

pub async fn wrapped_keys_are_listed_by_purpose(fixture: impl Fixture) {
    let store = fixture.store();
    let b = wrapped_key("b", "signing", 2);
    let a = wrapped_key("a", "signing", 1);
    let other = wrapped_key("c", "handle", 3);
    let wrapped_keys = vec![b.clone(), a.clone(), other.clone()];
    committed(&store, Append { wrapped_keys, ..Append::default() }).await;
    assert_eq!(store.wrapped_keys("signing").await.unwrap(), [a, b]);
    assert_eq!(store.wrapped_keys("handle").await.unwrap(), [other]);
    assert!(store.wrapped_keys("names").await.unwrap().is_empty());

    let wrapped_keys = vec![wrapped_key("a", "handle", 9)];
    let refused = commit_one(&store, Append { wrapped_keys, ..Append::default() }).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
}

pub async fn rewrapping_replaces_every_key_or_none(fixture: impl Fixture) {
    let store = fixture.store();
    let grant = Chain::grant("g").stream;
    let account = Chain::new(AggregateKind::Account, "a").stream;
    let data_key =
        |owner: &StreamId| DataKeyRow { owner: owner.clone(), subject: None, wrapped: vec![5; 3] };
    let keys = Append {
        data_keys: vec![data_key(&grant), data_key(&account)],
        wrapped_keys: vec![wrapped_key("k", "signing", 1)],
        ..Append::default()
    };
    committed(&store, keys).await;

    let failed = store
        .rewrap(Box::new(|wrapped, bound_to| {
            if bound_to == "grant/g" { Err("no".to_owned()) } else { Ok(wrapped.to_vec()) }
        }))
        .await;
    assert!(failed.is_err());
    let failed =
        store
            .rewrap(Box::new(|_, bound_to| {
                if bound_to == "grant/g" { Err("no".to_owned()) } else { Ok(vec![9]) }
            }))
            .await;
    assert!(failed.is_err());
    assert_eq!(store.wrapped_keys("signing").await.unwrap(), [wrapped_key("k", "signing", 1)]);
    assert_eq!(store.data_key(&account).await.unwrap(), Some(vec![5; 3]));

    let count = store
        .rewrap(Box::new(|wrapped, bound_to| {
            let mut wrapped = wrapped.to_vec();
            wrapped.extend(bound_to.as_bytes());
            Ok(wrapped)
        }))
        .await
        .unwrap();
    assert_eq!(count, 3);
    assert_eq!(store.wrapped_keys("signing").await.unwrap()[0].wrapped, b"\x01\x01\x01k");
    assert_eq!(store.data_key(&grant).await.unwrap().unwrap(), b"\x05\x05\x05grant/g");
    assert_eq!(store.data_key(&account).await.unwrap().unwrap(), b"\x05\x05\x05account/a");
}

pub async fn a_snapshot_replaces_the_one_before(fixture: impl Fixture) {
    let store = fixture.store();
    let stream = Chain::grant("g").stream;
    let snapshot = |state_version, sequence: u64| Snapshot {
        state_version,
        head: Head { sequence, digest: Sha256Digest::from_bytes([7; 32]) },
        state: format!(r#"{{ "at":{sequence} }}"#),
    };
    assert_eq!(store.snapshot(&stream).await.unwrap(), None);
    for (version, sequence) in [(1, 10), (1, 20), (2, 20), (1, 30)] {
        store.save_snapshot(&stream, snapshot(version, sequence)).await.unwrap();
        assert_eq!(store.snapshot(&stream).await.unwrap(), Some(snapshot(version, sequence)));
    }
    // One who is late does no harm.
    store.save_snapshot(&stream, snapshot(1, 25)).await.unwrap();
    assert_eq!(store.snapshot(&stream).await.unwrap(), Some(snapshot(1, 30)));
    assert_eq!(store.snapshot(&Chain::grant("h").stream).await.unwrap(), None);
}

// ---- the order of the log

pub async fn the_log_is_read_in_order_and_resumed(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chains: Vec<_> = (0..5).map(|n| Chain::grant(&n.to_string())).collect();
    let mut written = Vec::new();
    for _ in 0..4 {
        for chain in &mut chains {
            let event = chain.next("A");
            written.push(event.digest);
            committed(&store, append(vec![event])).await;
        }
    }
    let mut reader = store.read_log(0);
    assert_eq!(reader.position(), 0);
    let first = reader.next(7).await.unwrap();
    assert_eq!(first.len(), 7);
    assert_eq!(reader.position(), first[6].position);
    let middle = first[6].position;
    let mut second = reader.next(100).await.unwrap();
    assert_eq!(second.len(), 13);
    assert!(reader.next(100).await.unwrap().is_empty());
    assert_eq!(reader.position(), store.last_position().await.unwrap());

    let mut resumed = store.read_log(middle);
    assert_eq!(resumed.next(100).await.unwrap(), second);

    let mut all = first;
    all.append(&mut second);
    assert!(all.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(all.iter().map(|stored| stored.event.digest).collect::<Vec<_>>(), written);

    // A reader at the end sees what comes, after what was refused as well.
    let refused = commit_one(&store, append(vec![Chain::grant("0").next("B")])).await;
    assert!(matches!(refused, Err(AppendError::Conflict)));
    let event = chains[0].next("B");
    let last = committed(&store, append(vec![event.clone()])).await;
    let new = next_events(&mut *reader).await;
    assert_eq!(new.len(), 1);
    assert_eq!((new[0].position, &new[0].event), (last, &event));
}

/// Asks until there is something: a store may have to make sure of a hole first.
async fn next_events(reader: &mut dyn LogReader) -> Vec<StoredEvent> {
    let asking = async {
        loop {
            let events = reader.next(100).await.unwrap();
            if !events.is_empty() {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the log goes on")
}

pub async fn who_follows_the_log_sees_what_stands_in_it(mut fixture: impl Fixture) {
    async fn same(store: &Arc<dyn Store>) {
        let stored = whole_log(store).await;
        let last = stored.len() - 1;
        for index in [None, Some(0), Some(last / 2), last.checked_sub(1), Some(last)] {
            let after = index.map_or(0, |index| stored[index].position);
            let seen = read_to_its_end(store.follow_log(after)).await;
            let rest: Vec<_> = stored.iter().filter(|event| event.position > after).collect();
            assert_eq!(seen.iter().collect::<Vec<_>>(), rest, "after {after}");
        }
    }

    let mut chain = Chain::grant("g");
    committed(&fixture.store(), append(vec![chain.next("A")])).await;
    same(&fixture.store()).await;
    fixture.reopen().await;
    let store = fixture.store();
    same(&store).await;

    // One of a batch is refused, after some of its rows have been written.
    let (good, other) = (chain.next("B"), Chain::grant("h").next("A"));
    let wrong = Chain::grant("g").next("C");
    let batch = vec![append(vec![good]), append(vec![other.clone(), wrong]), append(vec![other])];
    let results = store.commit(batch).await;
    assert!(matches!(results.as_slice(), [Ok(_), Err(AppendError::Conflict), Ok(_)]));
    same(&store).await;

    // The database fails in the middle of a batch.
    fixture.break_on("Poison").await;
    let (good, poison) = (chain.next("D"), Chain::grant("i").next("Poison"));
    let results = store.commit(vec![append(vec![good]), append(vec![poison])]).await;
    assert!(matches!(results.as_slice(), [Ok(_), Err(AppendError::Unavailable(_))]));
    same(&store).await;

    // More than anybody keeps in memory.
    for _ in 0..12 {
        let batch = (0..100).map(|_| append(vec![chain.next("E")])).collect();
        assert!(store.commit(batch).await.iter().all(Result::is_ok));
    }
    same(&store).await;
}

pub async fn history_tells_positions_and_times(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    let first = committed(&store, append(vec![chain.next("A")])).await;
    committed(&store, append(vec![Chain::grant("h").next("A")])).await;
    let third = committed(&store, append(vec![chain.next("B")])).await;
    assert!(0 < first && first < third);

    let history = store.history(&chain.stream).await.unwrap();
    let positions: Vec<_> = history.iter().map(|stored| stored.position).collect();
    assert_eq!(positions, [first, third]);
    // Milliseconds, not seconds or microseconds: between 2025 and 2100.
    for stored in &history {
        assert!((1_735_689_600_000..4_102_444_800_000).contains(&stored.recorded_at_ms));
    }
    let whole = whole_log(&store).await;
    assert_eq!(whole[0], history[0]);
    assert_eq!(whole[2], history[1]);
}

pub async fn many_writers_give_one_order_without_gaps(fixture: impl Fixture) {
    const WRITERS: usize = 8;
    const BATCHES: usize = 20;
    let store = fixture.store();

    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let handle = fixture.another().await;
        writers.push(tokio::spawn(async move {
            let mut own = Chain::grant(&format!("own-{writer}"));
            let hot = Chain::grant("hot").stream;
            let mut written = Vec::new();
            for batch in 0..BATCHES {
                let mut fresh = Chain::grant(&format!("fresh-{writer}-{batch}"));
                let head = handle.load(&hot, 0).await.unwrap().head;
                let contended = Chain { stream: hot.clone(), head }.peek("Hot");
                let events = [own.next("Own"), contended, fresh.next("Fresh")];
                let batch = events.iter().map(|event| append(vec![event.clone()])).collect();
                let results = handle.commit(batch).await;
                for (event, result) in events.into_iter().zip(results) {
                    match result {
                        Ok(appended) => written.push((appended.last_position, event)),
                        Err(AppendError::Conflict) => assert_eq!(event.stream, hot),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            written
        }));
    }

    let reading = {
        let reader_of = fixture.another().await;
        let (stop, mut stopped) = tokio::sync::watch::channel(0_usize);
        let task = tokio::spawn(async move {
            let mut reader = reader_of.read_log(0);
            let mut seen = Vec::new();
            loop {
                let expected = *stopped.borrow_and_update();
                if expected > 0 && seen.len() >= expected {
                    // One more look: nothing may come twice.
                    seen.extend(reader.next(100).await.unwrap());
                    return seen;
                }
                seen.extend(reader.next(100).await.unwrap());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        (stop, task)
    };

    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    written.sort_by_key(|(position, _)| *position);
    let (stop, task) = reading;
    stop.send(written.len()).unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(60), task)
        .await
        .expect("the reader sees everything")
        .unwrap();

    assert!(seen.is_sorted_by(|a, b| a.position < b.position));
    let seen: Vec<_> = seen.into_iter().map(|stored| (stored.position, stored.event)).collect();
    assert_eq!(seen.len(), written.len());
    assert!(seen == written, "the reader saw other events, or at other positions, than written");

    let hot = store.load(&Chain::grant("hot").stream, 0).await.unwrap();
    let sequences: Vec<_> = hot.events.iter().map(|event| event.sequence).collect();
    assert!(!sequences.is_empty());
    assert_eq!(sequences, (1..=hot.head.sequence).collect::<Vec<_>>());
}

// ---- read models

fn put(key: &str, set: impl IntoIterator<Item = (&'static str, Value)>) -> Change {
    Change::Put {
        table: &WIDGETS,
        key: key.to_owned(),
        set: set.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn widgets() -> Query {
    Query { limit: 100, ..Query::all(&WIDGETS) }
}

fn at(position: u64) -> Checkpoint {
    Checkpoint { version: 1, position }
}

pub async fn of_two_projectors_at_one_checkpoint_one_wins(fixture: impl Fixture) {
    let store = fixture.store();
    let other = fixture.another().await;
    assert_eq!(store.checkpoint("w").await.unwrap(), None);
    let race = |from: Option<Checkpoint>, to: u64| {
        let (store, other) = (Arc::clone(&store), Arc::clone(&other));
        async move {
            let (one, two) = tokio::join!(
                store.project(
                    "w",
                    from.clone(),
                    at(to),
                    vec![put("a", [("weight", Value::Int(1))])]
                ),
                other.project("w", from, at(to), vec![put("a", [("weight", Value::Int(2))])]),
            );
            let (one, two) = (one.unwrap(), two.unwrap());
            assert!(one != two, "one wins, the other loses: {one} {two}");
            if one { 1 } else { 2 }
        }
    };
    let winner = race(None, 5).await;
    assert_eq!(
        store.select(widgets()).await.unwrap(),
        [vec![text("a"), Value::Null, Value::Int(winner), Value::Null]]
    );
    let winner = race(Some(at(5)), 9).await;
    assert_eq!(
        store.select(widgets()).await.unwrap(),
        [vec![text("a"), Value::Null, Value::Int(winner), Value::Null]]
    );
    assert_eq!(store.checkpoint("w").await.unwrap(), Some(at(9)));
    assert!(!store.project("w", Some(at(5)), at(10), Vec::new()).await.unwrap());
    let other_version = Checkpoint { version: 2, position: 9 };
    assert!(!store.project("w", Some(other_version), at(10), Vec::new()).await.unwrap());
    assert!(!store.project("w", None, at(10), Vec::new()).await.unwrap());

    assert!(store.project("b", None, at(1), Vec::new()).await.unwrap());
    assert_eq!(
        store.checkpoints().await.unwrap(),
        [("b".to_owned(), at(1)), ("w".to_owned(), at(9))]
    );
}

pub async fn a_put_leaves_other_columns_as_they_are(fixture: impl Fixture) {
    let store = fixture.store();
    let changes = vec![
        put("a", [("colour", text("red")), ("weight", Value::Int(3))]),
        put("a", [("weight", Value::Int(-4))]),
        put("b", []),
        put("b", []),
        put("c", [("colour", text("blue"))]),
        Change::Remove { table: &WIDGETS, key: "c".to_owned() },
        Change::Remove { table: &WIDGETS, key: "never".to_owned() },
        put("d", [("colour", text("d'; --"))]),
        put("d", [("colour", Value::Null), ("weight", Value::Int(i64::MAX))]),
    ];
    assert!(store.project("w", None, at(1), changes).await.unwrap());
    assert_eq!(
        store.select(widgets()).await.unwrap(),
        [
            vec![text("a"), text("red"), Value::Int(-4), Value::Null],
            vec![text("b"), Value::Null, Value::Null, Value::Null],
            vec![text("d"), Value::Null, Value::Int(i64::MAX), Value::Null],
        ]
    );
}

pub async fn rows_and_checkpoint_move_together(fixture: impl Fixture) {
    let store = fixture.store();
    let lost = vec![put("a", [("weight", Value::Int(1))])];
    assert!(!store.project("w", Some(at(3)), at(4), lost).await.unwrap());
    let broken =
        vec![put("a", [("weight", Value::Int(1))]), put("b", [("no_such_column", Value::Int(1))])];
    assert!(store.project("w", None, at(4), broken).await.is_err());
    assert!(store.select(widgets()).await.unwrap().is_empty());
    assert_eq!(store.checkpoint("w").await.unwrap(), None);
}

pub async fn a_reset_projection_starts_from_nothing(fixture: impl Fixture) {
    let store = fixture.store();
    assert!(store.project("w", None, at(5), vec![put("a", [])]).await.unwrap());
    assert!(store.project("other", None, at(6), Vec::new()).await.unwrap());
    store.reset_projection("w", &[&WIDGETS]).await.unwrap();
    assert!(store.select(widgets()).await.unwrap().is_empty());
    assert_eq!(store.checkpoint("w").await.unwrap(), None);
    assert_eq!(store.checkpoint("other").await.unwrap(), Some(at(6)));
    assert!(store.project("w", None, at(1), Vec::new()).await.unwrap());
}

pub async fn what_is_made_anew_is_seen_when_it_takes_the_place(fixture: impl Fixture) {
    let store = fixture.store();
    let weight = |weight: i64| [("weight", Value::Int(weight)), ("reach", Value::Int(weight))];
    let row = |key: &str, weight: i64| {
        vec![text(key), Value::Null, Value::Int(weight), Value::Int(weight)]
    };
    assert!(store.project("w", None, at(5), vec![put("stray", weight(1))]).await.unwrap());
    let mut old = at(5);
    let mut seen = row("stray", 1);
    // Again and again: each time by other tables of the same names.
    for version in 2..=4 {
        let anew = |position: u64| Checkpoint { version, position };
        let number = i64::from(version);
        store.begin_beside("w", version, &[&WIDGETS]).await.unwrap();
        let stands = store.checkpoint(&beside("w")).await.unwrap();
        assert_eq!(stands, Some(anew(0)));
        let behind = old.position - 1;
        let changes = vec![put("a", weight(number)), put("b", weight(number))];
        let moved = store.project_beside("w", anew(0), anew(behind), changes.clone());
        assert!(moved.await.unwrap());
        let again = store.project_beside("w", anew(0), anew(behind), changes);
        assert!(!again.await.unwrap(), "somebody else moved it");

        assert_eq!(store.select(widgets()).await.unwrap(), [seen], "nobody sees it");
        assert_eq!(store.checkpoint("w").await.unwrap(), Some(old.clone()));
        let too_soon = store.take_place("w", anew(behind), &[&WIDGETS]).await.unwrap();
        assert!(!too_soon, "it is behind");
        let to = anew(behind + 2);
        let removed = Change::Remove { table: &WIDGETS, key: "b".to_owned() };
        let changes = vec![removed, put("a", weight(number - 1))];
        assert!(store.project_beside("w", anew(behind), to.clone(), changes).await.unwrap());
        assert!(!store.take_place("w", anew(behind), &[&WIDGETS]).await.unwrap());
        assert!(store.take_place("w", to.clone(), &[&WIDGETS]).await.unwrap());

        seen = vec![text("a"), Value::Null, Value::Int(number - 1), Value::Int(number)];
        assert_eq!(store.select(widgets()).await.unwrap(), [seen.clone()]);
        assert_eq!(store.checkpoint("w").await.unwrap(), Some(to.clone()));
        assert_eq!(store.checkpoint(&beside("w")).await.unwrap(), None);
        assert!(!store.project("w", Some(old), at(9), vec![]).await.unwrap());
        old = Checkpoint { version, position: to.position + 1 };
        let found = store.project("w", Some(to), old.clone(), vec![put("a", [])]).await.unwrap();
        assert!(found, "it goes on from there");
    }
}

pub async fn what_is_begun_anew_twice_is_begun_from_nothing(fixture: impl Fixture) {
    let store = fixture.store();
    store.begin_beside("w", 0, &[&WIDGETS]).await.unwrap();
    let (first, wanted) = (Checkpoint { version: 0, position: 3 }, at(0));
    let none = Checkpoint { version: 0, position: 0 };
    assert!(store.project_beside("w", none, first, vec![put("a", [])]).await.unwrap());
    store.begin_beside("w", 1, &[&WIDGETS]).await.unwrap();
    assert!(store.take_place("w", wanted.clone(), &[&WIDGETS]).await.unwrap());
    assert!(store.select(widgets()).await.unwrap().is_empty());
    assert_eq!(store.checkpoint("w").await.unwrap(), Some(wanted));
}

async fn with_widgets(store: &Arc<dyn Store>) {
    // Equal weights, and none; keys whose order by bytes is not that of a dictionary.
    let rows: [(&str, Option<i64>); 8] = [
        ("B", Some(2)),
        ("a", Some(1)),
        ("b", Some(2)),
        ("c", None),
        ("d", Some(2)),
        ("e", Some(-1)),
        ("é", None),
        ("_", Some(10)),
    ];
    let changes = rows
        .iter()
        .map(|(key, weight)| {
            let weight = weight.map_or(Value::Null, Value::Int);
            let colour = text(if weight == Value::Null { "none" } else { "some" });
            put(key, [("weight", weight), ("colour", colour)])
        })
        .collect();
    assert!(store.project("w", None, at(1), changes).await.unwrap());
}

/// The keys of all pages of this size.
async fn pages(store: &Arc<dyn Store>, order_by: &'static str, query: (bool, u32)) -> Vec<String> {
    let (descending, limit) = query;
    let mut after = None;
    let mut keys = Vec::new();
    loop {
        let page = Query { after, order_by, descending, limit, ..widgets() };
        let rows = store.select(page).await.unwrap();
        assert!(rows.len() <= usize::try_from(limit).unwrap());
        assert!(keys.len() < 100, "paging does not end: {keys:?}");
        let Some(last) = rows.last() else { return keys };
        after = Some(last[0].clone());
        for row in rows {
            let Value::Text(key) = row[0].clone() else { panic!("a key is text") };
            keys.push(key);
        }
    }
}

pub async fn paging_by_key_sees_every_row_once(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    let mut order = ["B", "_", "a", "b", "c", "d", "e", "é"];
    for limit in [1, 2, 3, 8, 100] {
        assert_eq!(pages(&store, "id", (false, limit)).await, order);
    }
    order.reverse();
    for limit in [1, 2, 3, 8, 100] {
        assert_eq!(pages(&store, "id", (true, limit)).await, order);
    }
    // By the key alone, a place is known although its row is gone.
    let after = Some(text("bb"));
    let rows = store.select(Query { after, ..widgets() }).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(),
        [text("c"), text("d"), text("e"), text("é")]
    );
}

pub async fn paging_by_another_column_sees_every_row_once(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    let mut order = ["c", "é", "e", "a", "B", "b", "d", "_"];
    for limit in [1, 2, 3, 8, 100] {
        assert_eq!(pages(&store, "weight", (false, limit)).await, order);
    }
    order.reverse();
    for limit in [1, 2, 3, 8, 100] {
        assert_eq!(pages(&store, "weight", (true, limit)).await, order);
    }
    let mut order = ["c", "é", "B", "_", "a", "b", "d", "e"];
    assert_eq!(pages(&store, "colour", (false, 3)).await, order);
    order.reverse();
    assert_eq!(pages(&store, "colour", (true, 3)).await, order);
}

pub async fn a_page_after_a_vanished_row_is_an_error(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    let gone = Query { after: Some(text("gone")), order_by: "weight", ..widgets() };
    assert!(store.select(gone).await.is_err());
}

pub async fn rows_are_found_by_equal_values(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    // Whatever is looked up, and whatever is looked at.
    let found = async |equals: Vec<(&'static str, Value)>| {
        let mut found = Vec::new();
        for looked_up in 0..=equals.len() {
            let (equals, besides) = equals.split_at(looked_up);
            let query = Query { equals: equals.into(), besides: besides.into(), ..widgets() };
            let rows = store.select(query).await.unwrap();
            let key = |row: &Vec<Value>| match &row[0] {
                Value::Text(key) => key.clone(),
                other => panic!("a key is text, not {other:?}"),
            };
            found.push(rows.iter().map(key).collect::<Vec<_>>());
        }
        assert!(found.iter().all(|rows| *rows == found[0]), "{found:?}");
        found.swap_remove(0)
    };
    assert_eq!(found(vec![("id", text("a"))]).await, ["a"]);
    assert_eq!(found(vec![("weight", Value::Int(2))]).await, ["B", "b", "d"]);
    assert_eq!(found(vec![("weight", Value::Null)]).await, ["c", "é"]);
    assert_eq!(found(vec![("colour", text("some")), ("id", text("d"))]).await, ["d"]);
    assert!(found(vec![("colour", text("none")), ("id", text("d"))]).await.is_empty());
    assert!(found(vec![("colour", text("' OR TRUE --"))]).await.is_empty());
    let unknown = Query { equals: vec![("no_such_column", Value::Int(1))], ..widgets() };
    assert!(store.select(unknown).await.is_err());
}

pub async fn rows_are_found_within_bounds(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    let found = async |column, from: Option<Value>, below: Option<Value>| {
        let within = vec![Bounds { column, from, below }];
        let rows = store.select(Query { within, order_by: "weight", ..widgets() }).await.unwrap();
        rows.iter()
            .map(|row| match &row[0] {
                Value::Text(key) => key.clone(),
                other => panic!("a key is text, not {other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let number = |number| Some(Value::Int(number));
    assert_eq!(found("weight", number(1), number(10)).await, ["a", "B", "b", "d"]);
    assert_eq!(found("weight", number(2), None).await, ["B", "b", "d", "_"]);
    assert_eq!(found("weight", None, number(1)).await, ["e"], "NULL is within no bounds");
    assert!(found("weight", number(3), number(10)).await.is_empty());
    assert_eq!(found("id", Some(text("_")), Some(text("c"))).await, ["a", "b", "_"]);
    assert_eq!(found("id", Some(text("e")), None).await, ["é", "e"], "by its bytes");
    let unknown = Bounds { column: "no_such_column", from: number(1), below: None };
    assert!(store.select(Query { within: vec![unknown], ..widgets() }).await.is_err());
}

pub async fn pages_of_a_range_of_keys_follow_each_other(fixture: impl Fixture) {
    let store = fixture.store();
    with_widgets(&store).await;
    let page = async |descending, after: Option<&str>| {
        let within = vec![Bounds { column: "id", from: Some(text("_")), below: Some(text("e")) }];
        let after = after.map(text);
        let query = Query { within, after, descending, limit: 2, ..widgets() };
        let rows = store.select(query).await.unwrap();
        rows.into_iter().map(|mut row| row.swap_remove(0)).collect::<Vec<_>>()
    };
    for (descending, after, expected) in [
        (false, None, vec!["_", "a"]),
        (false, Some("B"), vec!["_", "a"]),
        (false, Some("_"), vec!["a", "b"]),
        (false, Some("a"), vec!["b", "c"]),
        (false, Some("c"), vec!["d"]),
        (false, Some("d"), vec![]),
        (false, Some("é"), vec![]),
        (true, None, vec!["d", "c"]),
        (true, Some("é"), vec!["d", "c"]),
        (true, Some("e"), vec!["d", "c"]),
        (true, Some("c"), vec!["b", "a"]),
        (true, Some("a"), vec!["_"]),
        (true, Some("_"), vec![]),
        (true, Some("B"), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(text).collect();
        assert_eq!(page(descending, after).await, expected, "{descending} {after:?}");
    }
}

/// However a store keeps ids: what is asked for by a text that is none finds nothing, and stands
/// where the text would.
pub async fn ids_are_found_and_paged_as_the_texts_that_they_are(fixture: impl Fixture) {
    let store = fixture.store();
    let id = |last: &str| format!("0190c0ffee007000800000000000{last}");
    let (ada, bob) = (id("ada0"), id("b0b0"));
    let puts = [("0001", &ada), ("0009", &bob), ("000a", &ada), ("00ff", &bob)];
    let puts = puts.map(|(last, subject)| {
        Change::put(&GRANTS, &id(last), [("subject", text(subject)), ("scope", text("read"))])
    });
    assert!(store.project("grants", None, at(1), puts.into()).await.unwrap());
    let found = async |query: Query| {
        let rows = store.select(Query { limit: 3, ..query }).await.unwrap();
        rows.into_iter().map(|mut row| row.swap_remove(0)).collect::<Vec<_>>()
    };
    let all = || Query::all(&GRANTS);
    let ids = |lasts: &[&str]| lasts.iter().map(|last| text(&id(last))).collect::<Vec<_>>();

    for (column, value, expected) in [
        ("grant_id", id("000a"), ids(&["000a"])),
        ("subject", bob.clone(), ids(&["0009", "00ff"])),
        ("subject", bob.to_uppercase(), vec![]),
        ("subject", bob[..31].to_owned(), vec![]),
        ("subject", format!("{bob}0"), vec![]),
        ("subject", "' OR TRUE --".to_owned(), vec![]),
        ("session_id", ada.clone(), vec![]),
    ] {
        let equals = vec![(column, text(&value))];
        assert_eq!(found(Query { equals, ..all() }).await, expected, "{column} {value}");
        let besides = vec![(column, text(&value))];
        assert_eq!(found(Query { besides, ..all() }).await, expected, "{column} {value}");
    }
    for (after, ascending, descending) in [
        (id("0009"), ids(&["000a", "00ff"]), ids(&["0001"])),
        (id("000"), ids(&["0001", "0009", "000a"]), vec![]),
        (id("0009+"), ids(&["000a", "00ff"]), ids(&["0009", "0001"])),
        (id("000:"), ids(&["000a", "00ff"]), ids(&["0009", "0001"])),
        (id("000Z"), ids(&["000a", "00ff"]), ids(&["0009", "0001"])),
        (id("000z"), ids(&["00ff"]), ids(&["000a", "0009", "0001"])),
        (String::new(), ids(&["0001", "0009", "000a"]), vec![]),
        ("zebra".to_owned(), vec![], ids(&["00ff", "000a", "0009"])),
    ] {
        for (is_descending, expected) in [(false, ascending), (true, descending)] {
            let page = Query { after: Some(text(&after)), descending: is_descending, ..all() };
            assert_eq!(found(page).await, expected, "{is_descending} {after}");
        }
    }
    let within = vec![Bounds {
        column: "grant_id",
        from: Some(text(&id("0002")[..30])),
        below: Some(text(&id("000a"))),
    }];
    assert_eq!(found(Query { within, ..all() }).await, ids(&["0001", "0009"]));

    let by_subject =
        |after: &str| Query { after: Some(text(&id(after))), order_by: "subject", ..all() };
    assert_eq!(found(by_subject("0001")).await, ids(&["000a", "0009", "00ff"]));
    let row = store.select(Query { limit: 1, ..all() }).await.unwrap().remove(0);
    assert_eq!((&row[2], &row[3], &row[4]), (&text(&ada), &Value::Null, &text("read")));
    let remove = Change::Remove { table: &GRANTS, key: id("0001") };
    assert!(store.project("grants", Some(at(1)), at(2), vec![remove]).await.unwrap());
    assert_eq!(found(all()).await, ids(&["0009", "000a", "00ff"]));
}

pub async fn a_number_that_only_grows_never_falls(fixture: impl Fixture) {
    let store = fixture.store();
    let reach = |key, value: Value| put(key, [("reach", value)]);
    let changes = vec![
        reach("a", Value::Int(5)),
        reach("a", Value::Int(3)),
        reach("b", Value::Null),
        reach("b", Value::Int(-2)),
        reach("c", Value::Int(1)),
    ];
    assert!(store.project("w", None, at(1), changes).await.unwrap());
    let changes = vec![
        reach("a", Value::Int(4)),
        reach("b", Value::Null),
        reach("c", Value::Int(9)),
        put("c", [("colour", text("red"))]),
    ];
    assert!(store.project("w", Some(at(1)), at(2), changes).await.unwrap());
    let rows = store.select(widgets()).await.unwrap();
    let reached: Vec<_> = rows.iter().map(|row| row[3].clone()).collect();
    assert_eq!(reached, [Value::Int(5), Value::Int(-2), Value::Int(9)]);
}

// ---- keeping

pub async fn events_are_neither_updated_nor_deleted(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    committed(&store, append(vec![chain.next("A"), chain.next("B")])).await;
    let before = whole_log(&store).await;
    for statement in [
        "UPDATE events SET payload = '{}'",
        "UPDATE events SET recorded_at = recorded_at WHERE sequence = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE sequence = 2",
    ] {
        let refused = fixture.sql(statement).await.expect_err(statement);
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(whole_log(&store).await, before);
}

pub async fn an_append_that_the_database_fails_on_leaves_nothing_and_harms_no_other(
    fixture: impl Fixture,
) {
    let store = fixture.store();
    fixture.break_on("Poison").await;
    let mut before = Chain::grant("before");
    let mut torn = Chain::grant("torn");
    let mut beside = Chain::new(AggregateKind::Consent, "beside");
    let mut after = Chain::grant("after");
    let poisoned = Append {
        events: vec![torn.next("A"), beside.next("A"), torn.next("Poison")],
        names: vec![NameChange::Reserve { space: "s", name: [1; 32], owner: "torn".into() }],
        ..Append::default()
    };
    let batch =
        vec![append(vec![before.next("A")]), poisoned.clone(), append(vec![after.next("A")])];
    let results = store.commit(batch).await;
    assert!(
        matches!(results.as_slice(), [Ok(_), Err(AppendError::Unavailable(_)), Ok(_)]),
        "{results:?}"
    );
    // And alone.
    let refused = commit_one(&store, poisoned).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert_eq!(sequence_of(&store, &torn.stream).await, 0);
    assert_eq!(sequence_of(&store, &beside.stream).await, 0);
    assert_eq!(store.name_owner("s", &[1; 32]).await.unwrap(), None);

    store.ping().await.unwrap();
    committed(&store, append(vec![before.next("B"), after.next("B")])).await;
    let log: Vec<_> = whole_log(&store).await.iter().map(|stored| stored.event.digest).collect();
    assert_eq!(log.len(), 4);
}

pub async fn reopening_keeps_everything(mut fixture: impl Fixture) {
    let store = fixture.store();
    let log_id = store.log_id().to_owned();
    assert!(!log_id.is_empty());
    let mut chain = Chain::grant("g");
    let all = Append {
        events: vec![chain.next("A"), chain.next("B")],
        sealed: vec![SealedRow {
            stream: chain.stream.clone(),
            sequence: 2,
            ciphertext: vec![1, 2],
        }],
        data_keys: vec![DataKeyRow {
            owner: chain.stream.clone(),
            subject: Some("s".into()),
            wrapped: vec![3],
        }],
        bind_data_keys: Vec::new(),
        wrapped_keys: vec![wrapped_key("k", "signing", 4)],
        names: vec![NameChange::Reserve { space: "s", name: [5; 32], owner: "g".into() }],
        used_once: vec![UsedOnce { space: "s", key: [6; 32], expires_at: 100 }],
    };
    let last = committed(&store, all).await;
    let snapshot = Snapshot { state_version: 1, head: chain.head, state: "{}".to_owned() };
    store.save_snapshot(&chain.stream, snapshot.clone()).await.unwrap();
    assert!(store.project("w", None, at(last), vec![put("a", [])]).await.unwrap());
    let log = whole_log(&store).await;
    drop(store);

    fixture.reopen().await;
    let store = fixture.store();
    assert_eq!(store.log_id(), log_id);
    assert_eq!(whole_log(&store).await, log);
    assert_eq!(store.load(&chain.stream, 0).await.unwrap().head, chain.head);
    assert_eq!(store.sealed(&chain.stream).await.unwrap().len(), 1);
    assert_eq!(store.data_key(&chain.stream).await.unwrap(), Some(vec![3]));
    assert_eq!(store.wrapped_keys("signing").await.unwrap(), [wrapped_key("k", "signing", 4)]);
    assert_eq!(store.name_owner("s", &[5; 32]).await.unwrap().as_deref(), Some("g"));
    assert_eq!(store.snapshot(&chain.stream).await.unwrap(), Some(snapshot));
    assert_eq!(store.checkpoint("w").await.unwrap(), Some(at(last)));
    assert_eq!(store.select(widgets()).await.unwrap().len(), 1);
    let mut again = Chain::grant("again");
    let used = Append {
        events: vec![again.next("A")],
        used_once: vec![UsedOnce { space: "s", key: [6; 32], expires_at: 100 }],
        ..Append::default()
    };
    let refused = commit_one(&store, used).await;
    assert!(matches!(refused, Err(AppendError::AlreadyUsed)), "{refused:?}");
    assert!(committed(&store, append(vec![chain.next("C")])).await > last);
}

pub async fn a_closed_store_refuses(fixture: impl Fixture) {
    let store = fixture.store();
    let mut chain = Chain::grant("g");
    committed(&store, append(vec![chain.next("A")])).await;
    store.close().await;
    store.close().await;
    let refused = commit_one(&store, append(vec![chain.next("B")])).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    let refused: Result<_, StoreError> = store.load(&chain.stream, 0).await;
    assert!(refused.is_err());
    assert!(store.ping().await.is_err());
}

fn owner(kind: AggregateKind, id: &str) -> StreamId {
    StreamId { kind, id: id.into() }
}

/// A data key bound to somebody (or nobody), and a value.
fn keep(append: &mut Append, stream: &StreamId, subject: Option<&str>) {
    append.data_keys.push(DataKeyRow {
        owner: stream.clone(),
        subject: subject.map(Into::into),
        wrapped: b"wrapped".to_vec(),
    });
    append.sealed.push(SealedRow {
        stream: stream.clone(),
        sequence: 1,
        ciphertext: b"sealed".to_vec(),
    });
}

pub async fn what_is_destroyed_of_a_person_is_gone_and_counted(fixture: impl Fixture) {
    let store = fixture.store();
    let account = owner(AggregateKind::Account, "ada");
    let [bound, unbound, others] =
        ["bound", "unbound", "others"].map(|id| owner(AggregateKind::Grant, id));
    let mut append = Append::default();
    keep(&mut append, &account, Some("ada"));
    keep(&mut append, &bound, Some("ada"));
    keep(&mut append, &unbound, None);
    keep(&mut append, &others, Some("bert"));
    for (name, owner) in [([1; 32], "ada"), ([2; 32], "bert")] {
        append.names.push(NameChange::Reserve { space: "account", name, owner: owner.into() });
    }
    store.commit(vec![append]).await.pop().unwrap().unwrap();
    let state = Snapshot { state_version: 1, head: Head::START, state: "{}".to_owned() };
    for stream in [&bound, &others] {
        store.save_snapshot(stream, state.clone()).await.unwrap();
    }
    // Of what is given besides, nothing of somebody else's goes.
    let traces = Traces { subject: "ada".into(), owners: vec![unbound.clone(), others.clone()] };
    let left = Remains { data_keys: 3, sealed_values: 3, snapshots: 1, names: 1 };
    assert_eq!(store.remains(&traces).await.unwrap(), left);

    let destroyed = Destroyed { data_keys: 3, sealed_values: 3, snapshots: 1 };
    assert_eq!(store.destroy(&traces).await.unwrap(), destroyed);
    store.scrub().await.unwrap();
    assert_eq!(store.remains(&traces).await.unwrap(), Remains::default());
    for gone in [&account, &bound, &unbound] {
        assert_eq!(store.data_key(gone).await.unwrap(), None);
        assert_eq!(store.sealed(gone).await.unwrap(), []);
    }
    assert_eq!(store.name_owner("account", &[1; 32]).await.unwrap(), None);

    assert_eq!(store.data_key(&others).await.unwrap(), Some(b"wrapped".to_vec()));
    assert_eq!(store.sealed(&others).await.unwrap().len(), 1);
    assert!(store.snapshot(&others).await.unwrap().is_some());
    let berts = store.name_owner("account", &[2; 32]).await.unwrap();
    assert_eq!(berts.as_deref(), Some("bert"));

    // What is destroyed later is counted with what was.
    let mut append = Append::default();
    keep(&mut append, &account, Some("ada"));
    store.commit(vec![append]).await.pop().unwrap().unwrap();
    let all = Destroyed { data_keys: 4, sealed_values: 4, snapshots: 1 };
    assert_eq!(store.destroy(&traces).await.unwrap(), all);
    assert_eq!(store.destroy(&traces).await.unwrap(), all);
}

pub async fn what_is_destroyed_in_many_steps_is_destroyed_to_the_end(fixture: impl Fixture) {
    let store = fixture.store();
    let mut append = Append::default();
    for number in 0..1200 {
        keep(&mut append, &owner(AggregateKind::Grant, &format!("g{number}")), Some("ada"));
    }
    store.commit(vec![append]).await.pop().unwrap().unwrap();
    let traces = Traces { subject: "ada".into(), owners: vec![] };
    let destroyed = store.destroy(&traces).await.unwrap();
    assert_eq!((destroyed.data_keys, destroyed.sealed_values), (1200, 1200));
    assert_eq!(store.remains(&traces).await.unwrap(), Remains::default());
}

/// Sums are read and written in the transaction that moves the checkpoint, on the side that it is
/// of.
pub async fn what_is_added_is_added_once_to_what_stands_there(fixture: impl Fixture) {
    let store = fixture.store();
    let add = |start: i64, name: &str, number: i64| {
        let (grain, whose, name) = (Grain::Hour, Whose::All, name.parse().unwrap());
        let sum = Sum { start, number, longest: u64::try_from(number).ok(), ..Sum::default() };
        Place { grain, whose, start, name }.addition(sum)
    };
    let numbers = async || -> Vec<(Value, Value, Value)> {
        let rows = store.select(Query::all(&FIGURES)).await.unwrap();
        rows.into_iter().map(|row| (row[4].clone(), row[5].clone(), row[6].clone())).collect()
    };
    let is = |start: i64, number: i64, longest: i64| {
        (Value::Int(start), Value::Int(number), Value::Int(longest))
    };
    let changes = vec![add(3600, "received", 2), add(3600, "reused", 1), add(3600, "received", 3)];
    assert!(store.project("f", None, at(1), changes.clone()).await.unwrap());
    assert!(!store.project("f", None, at(1), changes.clone()).await.unwrap());
    assert_eq!(numbers().await, [is(3600, 5, 3), is(3600, 1, 1)]);
    assert!(store.project("f", Some(at(1)), at(2), changes.clone()).await.unwrap());
    assert_eq!(numbers().await, [is(3600, 10, 3), is(3600, 2, 1)]);

    // Beside it, from nothing.
    store.begin_beside("f", 1, &[&FIGURES]).await.unwrap();
    assert!(store.project_beside("f", at(0), at(1), changes.clone()).await.unwrap());
    assert!(store.project_beside("f", at(1), at(2), changes.clone()).await.unwrap());
    let more = vec![add(3600, "received", 1)];
    assert!(store.project_beside("f", at(2), at(3), more).await.unwrap());
    assert_eq!(numbers().await, [is(3600, 10, 3), is(3600, 2, 1)], "nobody sees it");
    assert!(store.take_place("f", at(3), &[&FIGURES]).await.unwrap());
    assert_eq!(numbers().await, [is(3600, 11, 3), is(3600, 2, 1)]);

    // An hour takes the place of one three days before, and keeps it.
    let later = 3600 * (1 + HOURS_KEPT);
    let changes =
        vec![add(later, "received", 7), add(3600, "received", 1), add(later, "received", 1)];
    assert!(store.project("f", Some(at(3)), at(4), changes).await.unwrap());
    assert_eq!(numbers().await, [is(later, 8, 7), is(3600, 2, 1)]);
}
