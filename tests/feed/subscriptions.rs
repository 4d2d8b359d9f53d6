//! Every event once, in order, for fast and slow listeners alike.

use std::sync::Arc;
use std::time::Duration;

use chancery::feed::{Feed, Subscription};
use chancery_domain::ids::AggregateKind;

use crate::world::{World, id, soon, until};

const PAYLOAD: &str = r#"{"reason":"none"}"#;

async fn append_some(world: &World, writer: u64, count: u64) {
    for _ in 0..count {
        world.append(AggregateKind::Client, &id(writer), "ClientDisabled", PAYLOAD).await;
    }
}

/// What it gets up to a position, and in how many batches.
async fn listen(mut events: Subscription, until: u64) -> (Vec<u64>, usize) {
    let mut positions = Vec::new();
    let mut batches = 0;
    while events.position() < until {
        let batch = soon("the next events", events.next()).await.unwrap();
        assert!(!batch.is_empty(), "a batch has events");
        batches += 1;
        positions.extend(batch.iter().map(|event| event.position()));
        assert_eq!(positions.last(), Some(&events.position()));
    }
    (positions, batches)
}

fn all(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_fast_slow_and_late_get_every_event_once_in_order() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 250;
    let world = World::new().await;
    append_some(&world, 9, 10).await;
    let before = 10;
    let last = before + WRITERS * EACH;

    let fast = tokio::spawn(listen(world.feed.subscribe(0), last));
    // It takes one batch while all is well, and then nothing until all is written.
    let mut slow = world.feed.subscribe(0);
    let first = slow.next().await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { append_some(&world, writer, EACH).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = tokio::spawn(listen(world.feed.subscribe(7), last));
    for writer in writers {
        writer.await.unwrap();
    }

    let (positions, _) = fast.await.unwrap();
    assert_eq!(positions, all(1, last));
    let (positions, _) = late.await.unwrap();
    assert_eq!(positions, all(8, last));
    let mut positions: Vec<_> = first.iter().map(|event| event.position()).collect();
    positions.extend(listen(slow, last).await.0);
    assert_eq!(positions, all(1, last));
}

/// More batches than the feed keeps, each handed out on its own.
#[tokio::test]
async fn a_listener_that_misses_live_batches_reads_them_from_the_store() {
    const MANY: u64 = 150;
    let world = World::new().await;
    append_some(&world, 1, 1).await;
    let mut slow = world.feed.subscribe(0);
    // Live from here on.
    assert_eq!(soon("the first", slow.next()).await.unwrap().through(), 1);
    assert!(tokio::time::timeout(Duration::from_millis(300), slow.next()).await.is_err());

    for position in 2..=MANY {
        append_some(&world, 1, 1).await;
        until("the live batch", async || world.feed.position() == Some(position)).await;
    }
    assert_eq!(listen(slow, MANY).await.0, all(2, MANY));
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let world = World::new().await;
    let writer = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { append_some(&world, 1, 200).await })
    };
    let mut events = world.feed.subscribe(0);
    let mut positions = Vec::new();
    let mut given_up = 0;
    while events.position() < 200 {
        match tokio::time::timeout(Duration::from_micros(200), events.next()).await {
            Ok(batch) => positions.extend(batch.unwrap().iter().map(|event| event.position())),
            Err(_) => given_up += 1,
        }
    }
    writer.await.unwrap();
    assert!(given_up > 10, "given up only {given_up} times");
    assert_eq!(positions, all(1, 200));
}

#[tokio::test]
async fn without_a_reader_a_listener_polls_and_with_one_it_goes_on() {
    let world = World::without_reader().await;
    let mut events = world.feed.subscribe(0);
    append_some(&world, 1, 3).await;
    assert_eq!(soon("the store's", events.next()).await.unwrap().through(), 3);
    let writer = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            append_some(&world, 1, 3).await;
            world.follow_log();
            append_some(&world, 1, 3).await;
        })
    };
    assert_eq!(listen(events, 9).await.0, all(4, 9));
    writer.await.unwrap();
}

#[tokio::test]
async fn what_another_process_writes_is_found_by_polling() {
    let world = World::new().await;
    let mut events = world.feed.subscribe(0);
    // A feed of its own: its `notify` wakes nobody here.
    let silent = Feed::new(Arc::clone(&world.store));
    append_some(&world, 1, 1).await;
    soon("the first", events.next()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stream = chancery::stores::StreamId { kind: AggregateKind::Client, id: "quiet".into() };
    let mut event = chancery::stores::NewEvent {
        stream,
        sequence: 1,
        event_type: "ClientDisabled".into(),
        event_version: "1".into(),
        payload: PAYLOAD.into(),
        metadata: "{}".into(),
        prev_digest: chancery_domain::digest::Sha256Digest::ZERO,
        digest: chancery_domain::digest::Sha256Digest::ZERO,
    };
    event.digest = event.facts().digest();
    let append = chancery::stores::Append { events: vec![event], ..Default::default() };
    world.store.commit(vec![append]).await.remove(0).unwrap();
    silent.notify();
    let waited = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    assert_eq!(waited.expect("seen within a second").unwrap().through(), 2);
}

#[tokio::test]
async fn from_now_on_means_what_is_committed_after() {
    let world = World::new().await;
    append_some(&world, 1, 5).await;
    let mut all_of_it = world.feed.subscribe(0);
    while all_of_it.position() < 5 {
        soon("what is there", all_of_it.next()).await.unwrap();
    }
    let mut events = world.feed.subscribe_from_now().await.unwrap();
    append_some(&world, 1, 1).await;
    let batch = soon("the new one", events.next()).await.unwrap();
    assert!(batch.iter().any(|event| event.position() == 6), "{batch:?}");
    assert_eq!(events.position(), 6);
}
