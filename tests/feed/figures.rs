//! Figures are sums: each event is counted once, whoever counts it and whatever they remember.

use std::collections::BTreeMap;

use chancery::feed::{Feed, Polling};
use chancery::stores::{Checkpoint, Query};
use chancery_domain::ids::AggregateKind;
use chancery_projections::figures::{FIGURES, NAME, TABLES};
use chancery_projections::{Change, ReadModel, Value};

use crate::world::{Who, World, id, project_on, soon, story, until};

const WHO: Who<'static> = Who {
    subject: "000000000000000000000000000000b1",
    session: "000000000000000000000000000000c1",
};

/// The numbers by key.
async fn numbers(world: &World) -> BTreeMap<String, i64> {
    let rows = world.store.select(Query::all(&FIGURES)).await.unwrap();
    let place = |name| FIGURES.columns.iter().position(|(own, _)| *own == name).unwrap();
    let (key, number) = (place("figure_id"), place("number"));
    let number = |row: Vec<Value>| match (&row[key], &row[number]) {
        (Value::Text(key), Value::Int(number)) => (key.clone(), *number),
        _ => panic!("{row:?}"),
    };
    rows.into_iter().map(number).collect()
}

/// A number of all clients, on the day that all events here occurred.
async fn of_all(world: &World, name: &str) -> i64 {
    let numbers = numbers(world).await;
    numbers.get(&format!("day all 001767225600 {name}")).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_grant_is_counted_further_by_whoever_did_not_see_it_begin() {
    let world = World::new().await;
    let story = story("rp", "openid", WHO);
    for (index, (event, payload)) in story.iter().enumerate() {
        // One that knows nothing, for each event.
        let running = world.project(ReadModel::Figures);
        let last = world.append(AggregateKind::Grant, &id(1), event, payload).await;
        soon("it is counted", running.progress.caught_up_to(last)).await.unwrap();
        assert_eq!(of_all(&world, "step.plain.request").await, 1);
        assert_eq!(of_all(&world, "step.plain.token").await, i64::from(index == 4));
    }
    let running = world.project(ReadModel::Figures);
    let revoked = r#"{"cause":"session_ended","at":40}"#;
    let last = world.append(AggregateKind::Grant, &id(1), "GrantRevoked", revoked).await;
    soon("it is counted", running.progress.caught_up_to(last)).await.unwrap();
    assert_eq!(of_all(&world, "ended.session_ended.authorization_code").await, 1);
    assert_eq!(of_all(&world, "alive.session_ended.opaque").await, 1);
    // Built at once, it is the same.
    let before = numbers(&world).await;
    world.store.reset_projection(NAME, TABLES).await.unwrap();
    until("it is built from nothing", async || numbers(&world).await == before).await;
    // And beside itself, however the rows were that it takes the place of.
    let stray = Change::put(&FIGURES, "stray", [("number", 1.into())]);
    let at = Checkpoint { version: 1, position: 1 };
    assert!(world.store.project("stray", None, at, vec![stray]).await.unwrap());
    world.store.begin_beside(NAME, 0, TABLES).await.unwrap();
    until("it has taken the place", async || numbers(&world).await == before).await;
    let last = world.active_grant(&id(2), "rp", "openid", WHO).await;
    soon("it goes on", running.progress.caught_up_to(last)).await.unwrap();
    assert_eq!(of_all(&world, "step.plain.token").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_count_each_event_counts_once() {
    const GRANTS: u64 = 60;
    let world = World::new().await;
    // A feed of its own, as on another node.
    let other = Feed::new(world.place.another().await);
    let reader = {
        let other = other.clone();
        tokio::spawn(async move { other.follow_log(Polling::SHARED).await.unwrap() })
    };
    let mut all =
        vec![project_on(&world.feed, ReadModel::Figures), project_on(&other, ReadModel::Figures)];
    let mut last = 0;
    for number in 1..=GRANTS {
        last = world.active_grant(&id(number), "rp", "openid", WHO).await;
        if number % 20 == 0 {
            // Whoever leads is killed wherever it is, and another comes.
            all.remove(0).kill();
            let feed = if number % 40 == 0 { &world.feed } else { &other };
            all.push(project_on(feed, ReadModel::Figures));
        }
    }
    for running in &all {
        soon("all are counted", running.progress.caught_up_to(last)).await.unwrap();
        assert!(running.progress.failure().is_none());
    }
    let grants = i64::try_from(GRANTS).unwrap();
    for name in ["received", "step.plain.request", "step.plain.token", "answered.code"] {
        assert_eq!(of_all(&world, name).await, grants, "{name}");
    }
    let numbers = numbers(&world).await;
    assert_eq!(numbers["day client:rp 001767225600 grants.authorization_code"], grants);
    assert_eq!(numbers["day none 001767225600 answered.code"], grants, "no client is named");
    reader.abort();
}
