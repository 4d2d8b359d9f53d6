//! The log is read in order, and nothing is skipped or read twice, whoever
//! writes meanwhile and however.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chancery::stores::postgres::PostgresStore;
use chancery::stores::{LogReader, Store};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::{sleep, timeout};

use crate::chain::{Chain, append};
use crate::database::Database;

/// Writers that keep transactions open over other's commits.
const OTHERS: usize = 56;
/// Writers that commit batches as the server does.
const NODES: usize = 8;
const TRANSACTIONS: usize = 40;

/// Inserts the first event of an aggregate, and gives its position.
async fn insert(connection: &mut PgConnection, id: &str) -> u64 {
    let position: i64 = sqlx::query_scalar(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
             payload, metadata, digest, prev_digest)
         VALUES ('grant', $1, 1, 'Tested', '1', '{}', '{}', sha256(''),
                 decode(repeat('00', 32), 'hex'))
         RETURNING position",
    )
    .bind(id)
    .fetch_one(connection)
    .await
    .unwrap();
    u64::try_from(position).unwrap()
}

/// Writes in transactions of its own, of which every fifth is rolled back; some last long.
async fn write_and_waver(mut connection: PgConnection, writer: usize) {
    for round in 0..TRANSACTIONS {
        let draw = (writer * 7919 + round * 104_729) % 100;
        connection.execute("BEGIN").await.unwrap();
        insert(&mut connection, &format!("{writer}-{round}-a")).await;
        if draw.is_multiple_of(3) {
            sleep(Duration::from_millis(u64::try_from(draw % 10).unwrap())).await;
        }
        if draw.is_multiple_of(2) {
            insert(&mut connection, &format!("{writer}-{round}-b")).await;
        }
        if draw == 42 {
            sleep(Duration::from_millis(300)).await;
        }
        let end = if draw.is_multiple_of(5) { "ROLLBACK" } else { "COMMIT" };
        connection.execute(end).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Commits batches that are partly in conflict.
async fn commit_and_conflict(store: PostgresStore, writer: usize) {
    for round in 0..TRANSACTIONS {
        let contended = append([
            Chain::new(&format!("node-{writer}-{round}-torn")).next(),
            Chain::new(&format!("contended-{}", round % 3)).next(),
        ]);
        let own = append([Chain::new(&format!("node-{writer}-{round}")).next()]);
        let results = store.commit(vec![contended, own]).await;
        assert!(results[1].is_ok(), "{results:?}");
    }
    store.close().await;
}

/// Reads until told to stop, and then to the end.
async fn follow(mut reader: Box<dyn LogReader>, stop: Arc<AtomicBool>, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        // Before the look: what is there when all have stopped has to be seen.
        let stopped = stop.load(Ordering::SeqCst);
        let events = reader.next(100).await.unwrap();
        if events.is_empty() {
            if stopped && reader.position() >= last {
                return seen;
            }
            sleep(Duration::from_millis(2)).await;
        }
        seen.extend(events.iter().map(|event| event.position));
        assert_eq!(reader.position(), seen.last().copied().unwrap_or(0));
    }
}

/// Reads on from the highest position seen, as one would who does not know better.
async fn follow_naively(mut connection: PgConnection, stop: Arc<AtomicBool>) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    loop {
        let stopped = stop.load(Ordering::SeqCst);
        let last = seen.last().copied().unwrap_or(0);
        let events: Vec<i64> = sqlx::query_scalar(
            "SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT 100",
        )
        .bind(i64::try_from(last).unwrap())
        .fetch_all(&mut connection)
        .await
        .unwrap();
        if events.is_empty() {
            if stopped {
                return seen;
            }
            sleep(Duration::from_millis(2)).await;
        }
        seen.extend(events.into_iter().map(|position| u64::try_from(position).unwrap()));
    }
}

/// Runs the writers against the reader; says how many events a naive one lost.
async fn storm() -> usize {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut observer = database.connection().await;

    // Runs all the time, with a transaction id older than all others.
    let mut idler = database.connection().await;
    idler.execute("BEGIN; INSERT INTO used_once VALUES ('test', '\\x00', 0)").await.unwrap();

    let mut writers = Vec::new();
    for writer in 0..OTHERS {
        let connection = database.connection().await;
        writers.push(tokio::spawn(write_and_waver(connection, writer)));
    }
    for writer in 0..NODES {
        let store = PostgresStore::connect(&database.url(), 1).await.unwrap();
        writers.push(tokio::spawn(commit_and_conflict(store, writer)));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(follow(store.read_log(0), Arc::clone(&stop), 0));
    let naive = database.connection().await;
    let naive = tokio::spawn(follow_naively(naive, Arc::clone(&stop)));
    for writer in writers {
        writer.await.unwrap();
    }
    let all: Vec<i64> = sqlx::query_scalar("SELECT position FROM events ORDER BY position")
        .fetch_all(&mut observer)
        .await
        .unwrap();
    let all: Vec<u64> = all.into_iter().map(|position| u64::try_from(position).unwrap()).collect();
    // One more, so that holes at the end show.
    let mut last = Chain::new("last");
    assert!(store.commit(vec![append([last.next()])]).await[0].is_ok());
    let end = store.last_position().await.unwrap();
    stop.store(true, Ordering::SeqCst);

    let read = timeout(Duration::from_secs(20), async {
        let mut read = reading.await.unwrap();
        // It may have stopped before the very last.
        if read.last() != Some(&end) {
            let from = read.last().copied().unwrap_or(0);
            read.extend(follow(store.read_log(from), stop, end).await);
        }
        read
    })
    .await
    .expect("the open transaction holds nothing up");
    let expected: Vec<u64> = all.iter().copied().chain([end]).collect();
    assert_eq!(read, expected, "each once, in order");

    let highest = expected.len() as u64;
    assert!(end > highest, "the storm makes holes");
    assert!(store.holes_stepped_over() >= end - highest, "and they are counted");
    let naive = naive.await.unwrap();
    idler.execute("ROLLBACK").await.unwrap();
    expected.iter().filter(|position| !naive.contains(position)).count()
}

/// Under the same load, a reader that trusts the highest position loses events: so this test
/// would notice a reader that does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_many_writers_nothing_is_skipped_and_nothing_read_twice() {
    let mut lost_naively = 0;
    for round in 0..8 {
        lost_naively += storm().await;
        if round >= 1 && lost_naively > 0 {
            return;
        }
    }
    panic!("the load is too tame: a naive reader loses nothing in it");
}

/// Asks until there is something, for at most so long.
async fn within(reader: &mut dyn LogReader, seconds: u64) -> Vec<u64> {
    let asking = async {
        loop {
            let events = reader.next(100).await.unwrap();
            if !events.is_empty() {
                return events.iter().map(|event| event.position).collect();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(seconds), asking).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_still_being_written_is_waited_for() {
    for (end, held_is_there) in [("COMMIT", true), ("ROLLBACK", false)] {
        let database = Database::migrated().await;
        let store = database.store().await;
        let mut reader = store.read_log(0);
        assert!(store.commit(vec![append([Chain::new("first").next()])]).await[0].is_ok());
        assert_eq!(within(&mut *reader, 10).await, [1]);

        let mut slow = database.connection().await;
        slow.execute("BEGIN").await.unwrap();
        let held = insert(&mut slow, "held").await;
        assert_eq!(held, 2);
        let after = append([Chain::new("after").next()]);
        let after = store.commit(vec![after]).await[0].clone().unwrap().last_position;
        assert_eq!(after, 3);
        for _ in 0..30 {
            assert!(reader.next(100).await.unwrap().is_empty());
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(reader.position(), 1);
        assert_eq!(store.holes_stepped_over(), 0);

        slow.execute(end).await.unwrap();
        let expected = if held_is_there { vec![held, after] } else { vec![after] };
        assert_eq!(within(&mut *reader, 10).await, expected);
        assert_eq!(store.holes_stepped_over(), u64::from(!held_is_there));
    }
}

/// Positions are not confirmed in the order in which they were given out: each of several open
/// transactions may be the one that fills a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_several_open_transactions_is_waited_for() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut reader = store.read_log(0);
    let mut open = Vec::new();
    for number in 0..6 {
        let mut connection = database.connection().await;
        connection.execute("BEGIN").await.unwrap();
        insert(&mut connection, &format!("{number}")).await;
        open.push(connection);
    }
    assert!(store.commit(vec![append([Chain::new("last").next()])]).await[0].is_ok());
    assert!(reader.next(100).await.unwrap().is_empty());
    // From the last to the first; the even ones are rolled back.
    while let Some(mut connection) = open.pop() {
        assert!(reader.next(100).await.unwrap().is_empty());
        let end = if open.len().is_multiple_of(2) { "ROLLBACK" } else { "COMMIT" };
        connection.execute(end).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&7) {
        seen.extend(within(&mut *reader, 10).await);
    }
    assert_eq!(seen, [2, 4, 6, 7]);
    assert_eq!(store.holes_stepped_over(), 3);
}

/// Not even at a hole: only who writes to the log can fill one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transaction_that_writes_no_event_holds_nothing_up() {
    let database = Database::migrated().await;
    let elsewhere = Database::empty().await;
    let store = database.store().await;
    let mut here = database.connection().await;
    here.execute("BEGIN; INSERT INTO used_once VALUES ('test', '\\x00', 0)").await.unwrap();
    let mut there = elsewhere.connection().await;
    there.execute("BEGIN; CREATE TABLE t (n integer)").await.unwrap();

    let mut reader = store.read_log(0);
    assert!(store.commit(vec![append([Chain::new("1").next()])]).await[0].is_ok());
    assert_eq!(within(&mut *reader, 10).await, [1]);

    let mut gives_up = database.connection().await;
    gives_up.execute("BEGIN").await.unwrap();
    insert(&mut gives_up, "never").await;
    gives_up.execute("ROLLBACK").await.unwrap();
    assert!(store.commit(vec![append([Chain::new("3").next()])]).await[0].is_ok());
    assert_eq!(within(&mut *reader, 10).await, [3]);
    assert_eq!(store.holes_stepped_over(), 1);
    here.execute("ROLLBACK").await.unwrap();
    there.execute("ROLLBACK").await.unwrap();
}

/// A hole at the end of the log shows only when something stands beyond it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_at_the_end_is_still_read_first() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut reader = store.read_log(0);
    let mut slow = database.connection().await;
    slow.execute("BEGIN").await.unwrap();
    assert_eq!(insert(&mut slow, "slow").await, 1);
    assert!(reader.next(100).await.unwrap().is_empty());
    assert_eq!(reader.position(), 0);
    slow.execute("COMMIT").await.unwrap();
    assert!(store.commit(vec![append([Chain::new("2").next()])]).await[0].is_ok());
    assert_eq!(within(&mut *reader, 10).await, [1, 2]);
}
