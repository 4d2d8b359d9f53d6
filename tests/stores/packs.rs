//! Packs on every store: whatever is packed is read as it was before, goes on
//! where it ended, and is audited like rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use chancery::stores::{
    AppendError, Head, ListedHead, NewEvent, Packed, Packing, Ripe, Scanned, Store, StoreError,
    StoredEvent, StreamId,
};
use chancery::transparency::verify::Verdict;
use chancery_domain::ids::AggregateKind;

use crate::contract::{Chain, Fixture, append, committed};
use crate::merkle_log::{found_out, key, seal, tells, unguard, verified};

/// Everything that is sealed.
const ALL: Ripe = Ripe { recorded_before_ms: i64::MAX, position: u64::MAX };

/// Runs the tests against a fixture.
macro_rules! packs {
    ($fixture:ty) => {
        packs!(@each $fixture:
            whatever_is_packed_is_read_as_it_was
            a_reader_goes_on_from_rows_to_packs_and_back
            a_packed_history_goes_on_from_its_end
            a_packed_history_conflicts_as_its_rows_did
            of_two_that_continue_a_packed_history_one_wins
            of_two_that_pack_one_wins
            what_is_appended_while_packs_are_written_is_lost_by_neither
            only_what_is_ripe_is_packed
            a_changed_event_is_not_packed
            a_packed_log_verifies_and_goes_on_after_a_restart
            rows_and_packs_are_not_deleted_by_a_slip
            events_changed_in_a_pack_are_found
            a_deleted_pack_is_found
            a_history_that_the_index_forgot_is_found
            a_history_that_the_index_cut_short_is_found
            a_history_of_which_a_part_was_put_back_is_found
            a_changed_row_beside_its_pack_is_found
            an_event_inserted_among_packed_ones_is_found
            an_event_left_out_of_its_pack_is_found
            a_pack_that_is_said_to_reach_further_is_found
            a_history_hidden_by_rows_before_the_first_is_found
            an_index_that_names_another_end_is_found
            an_index_of_histories_that_are_not_there_is_found
        );
    };
    (@each $fixture:ty: $($name:ident)*) => {
        mod packs {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::packs::$name::<$fixture>().await;
            })*
        }
    };
}
pub(crate) use packs;

fn id(number: u64) -> String {
    format!("{:032x}", u128::from(number) << 90 | u128::from(number))
}

/// A log as it comes about: short histories of grants, of which some take a consent along in one
/// append, some end much later, and a client's and a session's in between. Gives where the grants
/// ended.
async fn fill(store: &Arc<dyn Store>, grants: Range<u64>) -> BTreeMap<u64, Chain> {
    let mut client = Chain::new(AggregateKind::Client, "rp");
    let mut session = Chain::new(AggregateKind::Session, &id(grants.start + 1_000_000));
    client.head = store.load(&client.stream, 0).await.unwrap().head;
    let mut chains = BTreeMap::new();
    let mut batch = Vec::new();
    for number in grants {
        let mut grant = Chain::grant(&id(number));
        batch.push(append(vec![grant.next("Requested"), grant.next("CodeIssued")]));
        if number % 7 == 0 {
            let mut consent = Chain::new(AggregateKind::Consent, &id(number));
            let mut with = vec![grant.next("ConsentGiven"), consent.next("Given")];
            // Others name the grant too, and go on without it.
            for event in &mut with {
                event.metadata = format!(r#"{{"correlation_id":"{}"}}"#, id(number)).into();
                event.digest = event.facts().digest();
            }
            grant.head.digest = with[0].digest;
            consent.head.digest = with[1].digest;
            let mut widened = consent.next("Widened");
            widened.metadata = format!(r#"{{"caused_by":"{}"}}"#, id(number + 1)).into();
            widened.digest = widened.facts().digest();
            batch.extend([append(with), append(vec![widened])]);
        }
        if number % 50 == 0 {
            batch.push(append(vec![client.next("Changed"), session.next("Seen")]));
        }
        chains.insert(number, grant);
        // Every eleventh goes on long after.
        if number % 11 == 0
            && let Some(old) = number.checked_sub(300)
            && let Some(chain) = chains.get_mut(&old)
        {
            batch.push(append(vec![chain.next("Rotated")]));
        }
    }
    for result in store.commit(batch).await {
        result.unwrap();
    }
    chains
}

/// A log of which two or three packs' worth is sealed and packed.
async fn packed<F: Fixture>() -> (F, BTreeMap<u64, Chain>, Vec<Packed>) {
    let fixture = F::new().await;
    let chains = fill(&fixture.store(), 0..1200).await;
    seal(&*fixture.store(), &key(1)).await;
    let packs = pack_all(&fixture.store()).await;
    assert!(packs.len() >= 2, "{packs:?}");
    (fixture, chains, packs)
}

async fn pack_all(store: &Arc<dyn Store>) -> Vec<Packed> {
    let sealed = store.log_checkpoint().await.unwrap().unwrap().position;
    let ripe = Ripe { position: sealed, ..ALL };
    let mut packs = Vec::new();
    loop {
        match store.pack(ripe).await.unwrap() {
            Packing::Done(packed) => packs.push(packed),
            Packing::Nothing => return packs,
            Packing::NotNow => tokio::task::yield_now().await,
        }
    }
}

/// All that a store tells of its log.
#[derive(Debug, PartialEq)]
struct Told {
    log: Vec<StoredEvent>,
    histories: Vec<Vec<StoredEvent>>,
    heads: Vec<Head>,
    tails: Vec<(usize, Head)>,
    lists: Vec<Vec<ListedHead>>,
    scanned: Vec<Scanned>,
    ids: Vec<Vec<String>>,
    last_position: u64,
}

async fn read(store: &Arc<dyn Store>, after: u64, limit: usize) -> Vec<StoredEvent> {
    let mut reader = store.read_log(after);
    let mut all = Vec::new();
    loop {
        let events = reader.next(limit).await.unwrap();
        assert!(events.len() <= limit);
        let Some(last) = events.last() else { return all };
        assert_eq!(reader.position(), last.position);
        all.extend(events);
    }
}

async fn list(store: &Arc<dyn Store>, through: u64, page: usize) -> Vec<ListedHead> {
    let mut all: Vec<ListedHead> = Vec::new();
    loop {
        let after = all
            .last()
            .map(|last| (last.aggregate_type.clone(), last.aggregate_id.clone()))
            .unwrap_or_default();
        let heads = store.heads(through, after, page).await.unwrap();
        let full = heads.len() == page;
        all.extend(heads);
        if !full {
            return all;
        }
    }
}

async fn told(store: &Arc<dyn Store>) -> Told {
    let log = read(store, 0, 500).await;
    let last_position = store.last_position().await.unwrap();
    let streams: BTreeSet<StreamId> =
        log.iter().map(|stored| stored.event.stream.clone()).collect();
    let (mut histories, mut heads, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for stream in &streams {
        histories.push(store.history(stream).await.unwrap());
        let loaded = store.load(stream, 0).await.unwrap();
        assert_eq!(loaded.events.len(), histories.last().unwrap().len());
        heads.push(loaded.head);
        for after in [1, loaded.head.sequence] {
            let tail = store.load(stream, after).await.unwrap();
            tails.push((tail.events.len(), tail.head));
        }
    }
    let mut lists = Vec::new();
    for through in [last_position, last_position / 2, last_position / 3, 5] {
        lists.push(list(store, through, 400).await);
    }
    let mut scanned: Vec<Scanned> = Vec::new();
    loop {
        let after = scanned.last().map_or(i64::MIN, |last| last.position);
        let page = store.scan(after, 700).await.unwrap();
        if page.is_empty() {
            break;
        }
        scanned.extend(page);
    }
    let ids = vec![
        store.ids(AggregateKind::Client).await.unwrap(),
        store.ids(AggregateKind::Consent).await.unwrap(),
    ];
    Told { log, histories, heads, tails, lists, scanned, ids, last_position }
}

/// A count by SQL: the statement fails unless it is so.
async fn is<F: Fixture>(fixture: &F, what: &str, table: &str, count: u64) {
    let sqlite = format!(
        "CREATE TEMP TABLE t (a INTEGER CHECK (a = {count})); \
         INSERT INTO t SELECT count(*) FROM {table} WHERE {what}"
    );
    let postgres = format!("SELECT 1 / (count(*) = {count})::int FROM {table} WHERE {what}");
    let counted = fixture.sql(F::statement(&sqlite, &postgres)).await;
    assert!(counted.is_ok(), "not {count} rows of {table} where {what}: {counted:?}");
}

pub async fn whatever_is_packed_is_read_as_it_was<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    fill(&store, 0..1200).await;
    seal(&*store, &key(1)).await;
    let before = told(&store).await;
    let packs = pack_all(&store).await;
    let after = told(&store).await;
    assert!(before == after, "a store tells something else once it has packed");

    let through = store.packed_through().await.unwrap();
    assert_eq!(through, packs.last().unwrap().through);
    let packed = after.log.iter().filter(|stored| stored.position <= through).count();
    assert_eq!(packs.iter().map(|packed| packed.events).sum::<u64>(), packed as u64);
    // The rows of those that ended are gone, and no others.
    let histories = packs.iter().map(|packed| packed.histories).sum::<u64>();
    assert!(histories > 700, "{packs:?}");
    is(&fixture, "TRUE", "packed_streams", histories).await;
    let gone = |kind: &str| {
        let mine = after.histories.iter().filter(|history| {
            history[0].event.stream.kind.as_str() == kind
                && history.last().unwrap().position <= through
        });
        mine.count() as u64
    };
    assert_eq!(histories, gone("grant") + gone("session"));
    is(&fixture, "aggregate_type = 'client'", "events", 24).await;
    let rows: usize = after
        .histories
        .iter()
        .filter(|history| {
            history[0].event.stream.kind == AggregateKind::Grant
                && history.last().unwrap().position > through
        })
        .map(Vec::len)
        .sum();
    is(&fixture, "aggregate_type = 'grant'", "events", rows as u64).await;
}

pub async fn a_reader_goes_on_from_rows_to_packs_and_back<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    fill(&store, 0..1200).await;
    seal(&*store, &key(1)).await;
    let all = read(&store, 0, 500).await;
    let mut reader = store.read_log(0);
    let mut seen = reader.next(333).await.unwrap();
    pack_all(&store).await;
    loop {
        let events = reader.next(7).await.unwrap();
        if events.is_empty() {
            break;
        }
        seen.extend(events);
    }
    assert!(seen == all);
    // From anywhere.
    let packed = store.packed_through().await.unwrap();
    for after in [1, 500, packed - 1, packed, packed + 1] {
        let rest: Vec<_> = all.iter().filter(|event| event.position > after).cloned().collect();
        assert!(read(&store, after, 64).await == rest, "after {after}");
    }
    let mut follower = store.follow_log(packed - 3);
    assert_eq!(follower.next(1).await.unwrap()[0].position, packed - 2);
}

pub async fn a_packed_history_goes_on_from_its_end<F: Fixture>() {
    let (fixture, mut chains, _) = packed::<F>().await;
    let store = fixture.store();
    let before = told(&store).await;
    let untouched = chains.remove(&2).unwrap();
    let chain = chains.get_mut(&1).unwrap();
    let late = chain.next("Revoked");
    let position = committed(&store, append(vec![late.clone()])).await;
    let history = store.history(&chain.stream).await.unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!((&history[2].event, history[2].position), (&late, position));
    assert_eq!(store.load(&chain.stream, 0).await.unwrap().head, chain.head);
    assert_eq!(store.load(&chain.stream, 2).await.unwrap().events.len(), 1);
    // Nothing else is told otherwise.
    let after = told(&store).await;
    assert!(after.log[..before.log.len()] == before.log);
    assert!(after.scanned[..before.scanned.len()] == before.scanned);
    assert_eq!(after.lists[1], before.lists[1]);
    seal(&*store, &key(1)).await;
    assert_eq!(verified(&store, vec![]).await.verdict, Verdict::Intact);

    // And is packed again, in two packs now.
    fill(&store, 2000..3200).await;
    seal(&*store, &key(1)).await;
    pack_all(&store).await;
    assert!(store.packed_through().await.unwrap() > position);
    assert_eq!(store.history(&chain.stream).await.unwrap(), history);
    let last = committed(&store, append(vec![chain.next("Later")])).await;
    assert_eq!(store.history(&chain.stream).await.unwrap()[3].position, last);
    assert_eq!(store.history(&untouched.stream).await.unwrap().len(), 2);
    let report = verified(&store, vec![]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
}

async fn commit_one(store: &Arc<dyn Store>, event: NewEvent) -> Result<u64, AppendError> {
    let mut results = store.commit(vec![append(vec![event])]).await;
    results.remove(0).map(|appended| appended.last_position)
}

pub async fn a_packed_history_conflicts_as_its_rows_did<F: Fixture>() {
    let (fixture, chains, _) = packed::<F>().await;
    let store = fixture.store();
    let chain = chains.get(&3).unwrap();
    let mut behind = Chain::grant(&id(3));
    behind.next("Requested");
    let mut wrong = chain.peek("Revoked");
    wrong.prev_digest = behind.head.digest;
    wrong.digest = wrong.facts().digest();
    let mut gap = Chain { stream: chain.stream.clone(), head: chain.head };
    gap.next("Revoked");
    for event in [behind.peek("CodeIssued"), wrong, gap.peek("Later")] {
        let refused = commit_one(&store, event).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    }
    // The others of a batch stand.
    let mut new = Chain::grant(&id(9999));
    let results = store
        .commit(vec![
            append(vec![new.next("Requested")]),
            append(vec![behind.peek("Other")]),
            append(vec![chain.peek("Revoked")]),
        ])
        .await;
    assert!(
        matches!(results.as_slice(), [Ok(_), Err(AppendError::Conflict), Ok(_)]),
        "{results:?}"
    );
    assert_eq!(store.history(&chain.stream).await.unwrap().len(), 3);
    seal(&*store, &key(1)).await;
    let report = verified(&store, vec![]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
}

pub async fn of_two_that_continue_a_packed_history_one_wins<F: Fixture>() {
    let (fixture, chains, _) = packed::<F>().await;
    let (one, other) = (fixture.store(), fixture.another().await);
    for number in [1_u64, 2, 3, 4, 5, 6] {
        let chain = chains.get(&number).unwrap();
        let results = tokio::join!(
            commit_one(&one, chain.peek("Revoked")),
            commit_one(&other, chain.peek("Rotated"))
        );
        let won = [&results.0, &results.1].iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{results:?}");
        assert_eq!(one.history(&chain.stream).await.unwrap().len(), 3);
    }
}

pub async fn of_two_that_pack_one_wins<F: Fixture>() {
    let fixture = F::new().await;
    let (one, other) = (fixture.store(), fixture.another().await);
    fill(&one, 0..1200).await;
    seal(&*one, &key(1)).await;
    let before = told(&one).await;
    let results = tokio::join!(one.pack(ALL), other.pack(ALL), one.pack(ALL), other.pack(ALL));
    let results = [results.0, results.1, results.2, results.3].map(Result::unwrap);
    let won = results.iter().filter(|result| matches!(result, Packing::Done(_))).count() as u64;
    is(&fixture, "TRUE", "packs", won).await;
    assert!(told(&other).await == before);
    assert_eq!(verified(&one, vec![]).await.verdict, Verdict::Intact);
}

pub async fn what_is_appended_while_packs_are_written_is_lost_by_neither<F: Fixture>() {
    let fixture = F::new().await;
    let (one, other) = (fixture.store(), fixture.another().await);
    let chains = fill(&one, 0..1200).await;
    seal(&*one, &key(1)).await;
    let packing = {
        let (one, other) = (Arc::clone(&one), Arc::clone(&other));
        async move { tokio::join!(pack_all(&one), pack_all(&other)) }
    };
    // Each history goes on while it is packed, in whatever order it comes.
    let appending = async {
        let mut ends = BTreeMap::new();
        for (number, mut chain) in chains {
            let store = if number % 2 == 0 { &one } else { &other };
            committed(store, append(vec![chain.next("Rotated")])).await;
            if number % 3 == 0 {
                committed(store, append(vec![chain.next("Revoked")])).await;
            }
            let loaded = store.load(&chain.stream, 0).await.unwrap();
            assert_eq!(loaded.head, chain.head, "{number}");
            ends.insert(chain.stream, chain.head);
        }
        ends
    };
    let (packs, ends) = tokio::join!(tokio::spawn(packing), appending);
    let (mine, others) = packs.unwrap();
    assert!(mine.len() + others.len() >= 2, "{mine:?} {others:?}");
    for (stream, head) in &ends {
        let history = one.history(stream).await.unwrap();
        assert_eq!(history.last().unwrap().head(), *head, "{stream}");
        assert_eq!(history.len() as u64, head.sequence, "{stream}");
    }
    seal(&*one, &key(1)).await;
    pack_all(&one).await;
    for (stream, head) in &ends {
        assert_eq!(other.load(stream, 0).await.unwrap().head, *head, "{stream}");
    }
    let report = verified(&one, vec![]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
}

pub async fn only_what_is_ripe_is_packed<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    fill(&store, 0..600).await;
    let all = read(&store, 0, 500).await;
    let last = all.last().unwrap();
    for ripe in [
        Ripe { position: 0, ..ALL },
        Ripe { position: 1000, ..ALL },
        Ripe { recorded_before_ms: all[0].recorded_at_ms, ..ALL },
    ] {
        assert_eq!(store.pack(ripe).await.unwrap(), Packing::Nothing, "{ripe:?}");
    }
    // The rest is less than a pack.
    let Packing::Done(packed) = store.pack(ALL).await.unwrap() else { panic!("it is not packed") };
    assert!(packed.through < last.position);
    assert!(packed.events > 900 && packed.events <= 1024, "{packed:?}");
    assert_eq!(store.pack(ALL).await.unwrap(), Packing::Nothing);
    let empty = F::new().await;
    assert_eq!(empty.store().pack(ALL).await.unwrap(), Packing::Nothing);
    assert_eq!(empty.store().packed_through().await.unwrap(), 0);
}

pub async fn a_changed_event_is_not_packed<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    fill(&store, 0..600).await;
    seal(&*store, &key(1)).await;
    unguard(&fixture).await;
    fixture.sql("UPDATE events SET payload = '{\"n\":7}' WHERE position = 500").await.unwrap();
    let error = store.pack(ALL).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("position 500")), "{error}");
    assert_eq!(store.packed_through().await.unwrap(), 0);
    found_out(&fixture).await;
}

pub async fn a_packed_log_verifies_and_goes_on_after_a_restart<F: Fixture>() {
    let (mut fixture, mut chains, packs) = packed::<F>().await;
    let before = told(&fixture.store()).await;
    fixture.reopen().await;
    let store = fixture.store();
    assert!(told(&store).await == before);
    assert_eq!(store.packed_through().await.unwrap(), packs.last().unwrap().through);
    let report = verified(&store, vec![]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
    assert_eq!(report.events, before.log.len() as u64);
    let last = committed(&store, append(vec![chains.get_mut(&0).unwrap().next("Late")])).await;
    assert!(last > before.last_position);
}

pub async fn rows_and_packs_are_not_deleted_by_a_slip<F: Fixture>() {
    let (fixture, ..) = packed::<F>().await;
    let before = told(&fixture.store()).await;
    for statement in [
        "DELETE FROM events WHERE aggregate_type = 'client'",
        "DELETE FROM events WHERE position > 100",
        "DELETE FROM packs",
        "UPDATE packs SET events = 1",
    ] {
        let refused = fixture.sql(statement).await;
        assert!(refused.as_ref().is_err_and(|why| why.contains("append-only")), "{refused:?}");
    }
    assert!(told(&fixture.store()).await == before);
}

/// A packed log, changed by this statement.
async fn changed<F: Fixture>(statement: &str) -> chancery::transparency::verify::Report {
    let (fixture, ..) = packed::<F>().await;
    assert_eq!(verified(&fixture.store(), vec![]).await.verdict, Verdict::Intact);
    unguard(&fixture).await;
    fixture.sql(statement).await.unwrap();
    found_out(&fixture).await
}

fn grant(number: u64, sequence: u64) -> String {
    format!("grant/{}/{sequence}", id(number))
}

/// The first pack, with these events in it.
async fn rewritten<F: Fixture>(fixture: &F, through: u64, events: &[StoredEvent]) {
    let mut lines = String::new();
    for stored in events {
        let event = &stored.event;
        assert_eq!(event.sequence == 1, event.prev_digest.as_bytes() == &[0; 32]);
        writeln!(
            lines,
            "{{\"position\":{},\"recorded_at\":{},\"aggregate_type\":\"{}\",\
             \"aggregate_id\":\"{}\",\"sequence\":{},\"event_type\":\"{}\",\
             \"event_version\":\"1\",\"payload\":{},\"metadata\":{}}}",
            stored.position,
            stored.recorded_at_ms,
            event.stream.kind,
            event.stream.id,
            event.sequence,
            event.event_type,
            event.payload,
            event.metadata,
        )
        .unwrap();
    }
    let mut hex = String::new();
    for byte in zstd::encode_all(lines.as_bytes(), 1).unwrap() {
        write!(hex, "{byte:02x}").unwrap();
    }
    unguard(fixture).await;
    let set = F::statement("lines = X'", "lines = '\\x");
    fixture.sql(&format!("UPDATE packs SET {set}{hex}' WHERE through = {through}")).await.unwrap();
}

pub async fn events_changed_in_a_pack_are_found<F: Fixture>() {
    let (fixture, _, packs) = packed::<F>().await;
    let store = fixture.store();
    let mut events = store.read_log(0).next(usize::from(u16::MAX)).await.unwrap();
    for stored in &mut events {
        // As whoever has the database could write it: one word is another.
        stored.event.payload = stored.event.payload.replace("\"n\":2", "\"n\":3").into();
    }
    rewritten(&fixture, packs[0].through, &events).await;
    let report = found_out(&fixture).await;
    tells(&report, &grant(1, 2), "is not the event that was sealed");
    // And no decision is made by it.
    let stream = StreamId { kind: AggregateKind::Grant, id: id(1).into() };
    let errors = [store.load(&stream, 0).await.unwrap_err(), {
        let history = store.history(&stream).await;
        history.unwrap_err()
    }];
    for error in errors {
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("verify")), "{error}");
    }
}

/// Readers by position would not see it, although its history has it.
pub async fn an_event_left_out_of_its_pack_is_found<F: Fixture>() {
    let (fixture, _, packs) = packed::<F>().await;
    let store = fixture.store();
    let mut events = store.read_log(0).next(usize::from(u16::MAX)).await.unwrap();
    // The last event of the client's here: its row stays.
    let is_client = |stored: &StoredEvent| stored.event.stream.kind == AggregateKind::Client;
    let left_out = events.remove(events.iter().rposition(is_client).unwrap());
    rewritten(&fixture, packs[0].through, &events).await;
    let report = found_out(&fixture).await;
    let place = format!("client/rp/{}", left_out.event.sequence);
    tells(&report, &place, "has a row, and is not in its pack");
}

pub async fn a_pack_that_is_said_to_reach_further_is_found<F: Fixture>() {
    let (fixture, _, packs) = packed::<F>().await;
    unguard(&fixture).await;
    let last = packs.last().unwrap().through;
    let more = last + 50;
    for statement in [
        format!("UPDATE packs SET through = {more} WHERE through = {last}"),
        F::statement(
            &format!("UPDATE packed_streams SET packs = replace(packs, '{last}', '{more}')"),
            &format!("UPDATE packed_streams SET packs = array_replace(packs, {last}, {more})"),
        )
        .to_owned(),
    ] {
        fixture.sql(&statement).await.unwrap();
    }
    let report = found_out(&fixture).await;
    let what = "is in a pack that does not hold what it is said to hold";
    assert!(report.findings.iter().any(|finding| finding.what.contains(what)), "{report:#?}");
}

/// The rows would be believed, and its end not be known.
pub async fn a_history_hidden_by_rows_before_the_first_is_found<F: Fixture>() {
    let (fixture, ..) = packed::<F>().await;
    let store = fixture.store();
    let stream = StreamId { kind: AggregateKind::Grant, id: id(5).into() };
    let first = store.history(&stream).await.unwrap().remove(0);
    unguard(&fixture).await;
    let hidden = StoredEvent { position: 1, ..first.clone() };
    let digest = first.event.digest.to_string();
    let (sqlite, postgres) = row(&hidden, &first.event.payload, &digest);
    let place = |sql: String| sql.replace("VALUES (1,", "VALUES (-100,");
    fixture.sql(F::statement(&place(sqlite), &place(postgres))).await.unwrap();
    fixture.sql("UPDATE packs SET begins_after = -1 WHERE begins_after = 0").await.unwrap();
    let report = found_out(&fixture).await;
    tells(&report, &grant(5, 1), "was put where no event can be");
}

/// Takes an entry of the index away, by SQL for the two databases.
fn forget(number: u64) -> [String; 2] {
    let id = id(number);
    [format!("X'{id}'"), format!("'\\x{id}'")]
        .map(|id| format!("DELETE FROM packed_streams WHERE aggregate_id = {id}"))
}

/// Puts one in its place.
fn entry(number: u64, sequence: u64, digest: &str, packs: &[u64]) -> [String; 2] {
    let (id, list) = (id(number), format!("{packs:?}"));
    let columns = "(aggregate_type, aggregate_id, sequence, digest, position, packs)";
    let (braced, position) = (list.replace('[', "{").replace(']', "}"), packs.last().unwrap() - 1);
    let [sqlite, postgres] = forget(number);
    [
        format!(
            "{sqlite};
             INSERT INTO packed_streams {columns}
             VALUES ('grant', X'{id}', {sequence}, X'{digest}', {position}, '{list}')"
        ),
        format!(
            "{postgres};
             INSERT INTO packed_streams {columns}
             VALUES ('grant', '\\x{id}', {sequence}, '\\x{digest}', {position}, '{braced}')"
        ),
    ]
}

pub async fn an_index_that_names_another_end_is_found<F: Fixture>() {
    let (fixture, _, packs) = packed::<F>().await;
    let store = fixture.store();
    let named = [packs[0].through, packs.last().unwrap().through + 1000];
    let [sqlite, postgres] = entry(5, 3, &"00".repeat(32), &named);
    fixture.sql(F::statement(&sqlite, &postgres)).await.unwrap();
    found_out(&fixture).await;
    let stream = StreamId { kind: AggregateKind::Grant, id: id(5).into() };
    assert!(store.load(&stream, 0).await.is_err());
}

pub async fn an_index_of_histories_that_are_not_there_is_found<F: Fixture>() {
    let (fixture, _, packs) = packed::<F>().await;
    let [sqlite, postgres] = entry(77_777, 2, &"11".repeat(32), &[packs[0].through]);
    fixture.sql(F::statement(&sqlite, &postgres)).await.unwrap();
    let report = found_out(&fixture).await;
    tells(&report, &grant(77_777, 2), "is found to end where it does not");
}

pub async fn a_deleted_pack_is_found<F: Fixture>() {
    let report = changed::<F>("DELETE FROM packs WHERE begins_after = 0").await;
    assert!(report.findings.len() > 900, "{:#?}", report.findings.first());
    tells(&report, "the log", "is gone");
}

pub async fn a_history_that_the_index_forgot_is_found<F: Fixture>() {
    let [sqlite, postgres] = forget(5);
    let report = changed::<F>(F::statement(&sqlite, &postgres)).await;
    tells(&report, &grant(5, 1), "no pack is named for its history");
}

pub async fn a_history_that_the_index_cut_short_is_found<F: Fixture>() {
    let (fixture, ..) = packed::<F>().await;
    let store = fixture.store();
    let stream = StreamId { kind: AggregateKind::Grant, id: id(5).into() };
    let first = store.history(&stream).await.unwrap().remove(0);
    let digest = first.event.digest.to_string();
    fixture
        .sql(F::statement(
            &format!(
                "UPDATE packed_streams SET sequence = 1, digest = X'{digest}', position = {}
                 WHERE aggregate_id = X'{}'",
                first.position,
                id(5)
            ),
            &format!(
                "UPDATE packed_streams SET sequence = 1, digest = '\\x{digest}', position = {}
                 WHERE aggregate_id = '\\x{}'",
                first.position,
                id(5)
            ),
        ))
        .await
        .unwrap();
    let report = found_out(&fixture).await;
    tells(&report, &grant(5, 2), "is not in the packs that are named");
    assert!(store.load(&stream, 0).await.is_err());
}

/// SQL that writes the row of an event as it is in its pack, but for what `with` says.
fn row(stored: &StoredEvent, payload: &str, digest: &str) -> (String, String) {
    let event = &stored.event;
    let columns = "position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
                   payload, metadata, prev_digest, digest, recorded_at";
    let values = format!(
        "{}, '{}', '{}', {}, '{}', '1', '{payload}', '{}'",
        stored.position,
        event.stream.kind,
        event.stream.id,
        event.sequence,
        event.event_type,
        event.metadata
    );
    let (before, at) = (event.prev_digest, stored.recorded_at_ms);
    (
        format!("INSERT INTO events ({columns}) VALUES ({values}, X'{before}', X'{digest}', {at})"),
        format!(
            "INSERT INTO events ({columns}) VALUES ({values}, '\\x{before}', '\\x{digest}', \
             'epoch'::timestamptz + {at} * interval '1 millisecond')"
        ),
    )
}

pub async fn a_history_of_which_a_part_was_put_back_is_found<F: Fixture>() {
    let (fixture, ..) = packed::<F>().await;
    let store = fixture.store();
    let stream = StreamId { kind: AggregateKind::Grant, id: id(5).into() };
    let first = store.history(&stream).await.unwrap().remove(0);
    // Its rows would be believed, and the end of it would be hidden.
    let digest = first.event.digest.to_string();
    let (sqlite, postgres) = row(&first, &first.event.payload, &digest);
    fixture.sql(F::statement(&sqlite, &postgres)).await.unwrap();
    let report = found_out(&fixture).await;
    tells(&report, &grant(5, 1), "has a row although");
    let [sqlite, postgres] = forget(5);
    fixture.sql(F::statement(&sqlite, &postgres)).await.unwrap();
    let report = found_out(&fixture).await;
    tells(&report, &grant(5, 2), "has no row");
}

pub async fn a_changed_row_beside_its_pack_is_found<F: Fixture>() {
    // One of the client's, which stays.
    let report = changed::<F>(
        "UPDATE events SET payload = '{}' WHERE aggregate_type = 'client' AND sequence = 2",
    )
    .await;
    tells(&report, "client/rp/2", "is not the event that stands in its pack");
}

pub async fn an_event_inserted_among_packed_ones_is_found<F: Fixture>() {
    let (fixture, ..) = packed::<F>().await;
    for position in [-7, 0] {
        let stream = Chain::grant(&format!("forged{position}")).next("Requested");
        let mut forged = StoredEvent { position: 1, recorded_at_ms: 5, event: stream };
        let digest = forged.event.digest.to_string();
        forged.event.metadata = "{}".into();
        let (sqlite, postgres) = row(&forged, "{}", &digest);
        let place = |sql: String| sql.replace("VALUES (1,", &format!("VALUES ({position},"));
        fixture.sql(F::statement(&place(sqlite), &place(postgres))).await.unwrap();
    }
    let report = found_out(&fixture).await;
    tells(&report, "grant/forged-7/1", "was put where no event can be");
    tells(&report, "grant/forged0/1", "was put where no event can be");
}
