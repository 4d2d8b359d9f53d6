//! What replay finds, on logs made for it.

use std::sync::Arc;

use chancery_domain::event::EventFormat as _;
use chancery_domain::grant::{Grant, GrantEvent};
use serde_json::json;

use super::*;
use crate::aggregates::{Folded, Kept as _, Origin, Work};
use crate::clock::FixedClock;
use crate::entropy::SeededEntropy;
use crate::feed::Feed;
use crate::feed::consumer::{Standing, drive};
use crate::stores::sqlite::SqliteStore;
use crate::stores::{Head, Snapshot, StreamId};

static ENTROPY: SeededEntropy = SeededEntropy::new(7);

fn tokens(number: u32) -> serde_json::Value {
    json!({
        "access": { "number": number, "form": "opaque", "scope": "a", "issued_at": 1,
            "expires_at": 301 },
        "refresh": { "generation": number, "expires_at": 9000 },
    })
}

/// A grant with so many events.
fn grant(events: u32) -> Vec<GrantEvent> {
    let issued = json!({
        "grant_type": "client_credentials", "tokens": tokens(1),
        "authorization": { "client_id": "rp", "scope": "a" },
    });
    let first = GrantEvent::from_json("TokensIssued", "1", &issued.to_string()).unwrap();
    let rotated = |number| {
        let payload = json!({ "tokens": tokens(number), "grace_until": 31 });
        GrantEvent::from_json("RefreshTokenRotated", "1", &payload.to_string()).unwrap()
    };
    std::iter::once(first).chain((2..=events).map(rotated)).collect()
}

fn stream(number: u8) -> StreamId {
    Grant::stream(&format!("0198f3a2c4d57e0fa1b2c3d4e5f607{number:02x}"))
}

async fn append(store: &dyn Store, stream: &StreamId, events: &[GrantEvent]) {
    let clock = FixedClock::at(chancery_domain::time::UnixTime::from_seconds(1));
    let mut work = Work::new(Origin::system("test"), "node", &clock, &ENTROPY).unwrap();
    let head = store.load(stream, 0).await.unwrap().head;
    work.add(stream, head, events).unwrap();
    store.commit(vec![work.append]).await.pop().unwrap().unwrap();
}

async fn project(store: &Arc<dyn Store>) {
    let feed = Feed::new(Arc::clone(store));
    let end = store.last_position().await.unwrap();
    for projection in chancery_projections::ALL {
        let (standing, progress) = Standing::new();
        let mut projector = crate::actors::projector::consumer(&feed, projection);
        tokio::select! {
            ended = drive(&feed, &mut *projector, &standing) => panic!("{ended:?}"),
            reached = progress.caught_up_to(end) => reached.unwrap(),
        }
    }
}

async fn snapshot(store: &dyn Store, stream: &StreamId, change: impl Fn(&mut Snapshot)) {
    let folded = Folded::<Grant>::load(store, stream).await.unwrap();
    let state = serde_json::to_string(&folded.state).unwrap();
    let mut snapshot = Snapshot { state_version: Grant::STATE_VERSION, head: folded.head, state };
    change(&mut snapshot);
    store.save_snapshot(stream, snapshot).await.unwrap();
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(folder.path()).unwrap())
}

/// However often the log is read, each event, aggregate and row counts once.
#[tokio::test]
async fn several_passes_find_what_one_finds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for number in 0..20 {
        append(&*store, &stream(number), &grant(3)).await;
    }
    project(&store).await;
    let whole = replay(&*store, |_, _| {}).await.unwrap();
    assert!(whole.is_clean(), "{whole:?}");
    assert_eq!((whole.events, whole.aggregates, whole.position), (60, 20, 60));
    let parts = replay_by(&*store, 7, |done, total| assert!(done <= total)).await.unwrap();
    assert!(parts.is_clean(), "{parts:?}");
    assert_eq!((parts.events, parts.aggregates), (60, 20));
    let rows = |report: &Report| {
        let grants = report.projections.iter().find(|model| model.name == "grants").unwrap();
        (grants.rows, grants.verdict, report.projections.len())
    };
    assert_eq!(rows(&whole), (20, Verdict::Matches, chancery_projections::ALL.len()));
    assert_eq!(rows(&parts), rows(&whole));
}

#[tokio::test]
async fn a_kept_state_is_compared_with_the_fold() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    append(&*store, &stream(1), &grant(70)).await;
    snapshot(&*store, &stream(1), |_| {}).await;
    append(&*store, &stream(1), &[grant(72).pop().unwrap()]).await;
    let report = replay(&*store, |_, _| {}).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.snapshots, 1);

    snapshot(&*store, &stream(1), |kept| kept.state = kept.state.replace("9000", "9001")).await;
    let report = replay(&*store, |_, _| {}).await.unwrap();
    assert_eq!(report.differences.len(), 1, "{report:?}");
    assert!(report.differences[0].what.contains("another state"), "{report:?}");

    snapshot(&*store, &stream(1), |kept| kept.head.digest = Head::START.digest).await;
    let report = replay(&*store, |_, _| {}).await.unwrap();
    assert!(report.differences[0].what.contains("another event"), "{report:?}");

    snapshot(&*store, &stream(1), |kept| kept.head.sequence = 99).await;
    let report = replay(&*store, |_, _| {}).await.unwrap();
    assert!(report.differences[0].what.contains("event 99, which is not there"), "{report:?}");
}

/// Beside a server that writes and projects, nothing differs.
#[tokio::test]
async fn a_store_that_is_being_written_to_replays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for number in 0..10 {
        append(&*store, &stream(number), &grant(2)).await;
    }
    project(&store).await;
    let writing = async {
        for number in 10..60 {
            append(&*store, &stream(number), &grant(2)).await;
            project(&store).await;
        }
    };
    let replaying = async {
        let mut compared = 0;
        for _ in 0..10 {
            let report = replay(&*store, |_, _| {}).await.unwrap();
            assert!(report.is_clean(), "{report:?}");
            compared += report.projections.iter().map(|model| model.rows).sum::<u64>();
        }
        assert!(compared > 0, "nothing was compared");
    };
    futures_util::future::join(writing, replaying).await;
}

#[tokio::test]
async fn an_empty_log_replays() {
    let folder = tempfile::tempdir().unwrap();
    let report = replay(&*open(&folder), |_, _| {}).await.unwrap();
    assert!(report.is_clean());
    assert_eq!(report.events, 0);
}
