//! Read models: built, rebuilt, raced for, resumed, and never past what they can't read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chancery::feed::{Feed, Polling};
use chancery::lookups::{GrantFilter, GrantRow, Part};
use chancery::stores::{Checkpoint, Query};
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::Grant;
use chancery_domain::ids::AggregateKind;
use chancery_projections::clients::{CLIENTS, Clients};
use chancery_projections::grants::Grants;
use chancery_projections::{ALL, Change, Projection, Recorded, Table, Value};
use cqrs_es::Aggregate as _;

use crate::place::Place;
use crate::world::{DIGEST, FAR, Who, World, id, project_on, soon, story, tokens, until};

const WHO: Who<'static> = Who {
    subject: "000000000000000000000000000000b1",
    session: "000000000000000000000000000000c1",
};

/// The keys of all rows, whatever is in them.
async fn keys(world: &World) -> Vec<Value> {
    let query = Query { limit: 1000, ..Query::all(&chancery_projections::grants::GRANTS) };
    let rows = world.store.select(query).await.unwrap();
    rows.into_iter().map(|row| row[0].clone()).collect()
}

async fn rows(world: &World) -> BTreeMap<String, GrantRow> {
    let mut rows = BTreeMap::new();
    let mut part = Part::first(100);
    loop {
        let page = world.lookups().grants(&GrantFilter::default(), part.clone()).await.unwrap();
        rows.extend(page.rows.into_iter().map(|row| (row.grant_id.to_string(), row)));
        part.after = page.next;
        if part.after.is_none() {
            return rows;
        }
    }
}

#[tokio::test]
async fn each_read_model_holds_what_has_happened() {
    let world = World::new().await;
    let running: Vec<_> = ALL.map(|projection| world.project(projection)).into();
    world.client("rp").await;
    world.account(WHO.subject).await;
    world.session(WHO.session, WHO.subject).await;
    let consent = format!(
        r#"{{"subject":"{}","client_id":"rp","scope":"openid","grant_id":"{}","at":7}}"#,
        WHO.subject,
        id(1)
    );
    world.append(AggregateKind::Consent, &id(77), "ConsentRecorded", &consent).await;
    let key = r#"{"key_id":"k1","algorithm":"ES256","jwk":{"kty":"EC"},"at":1}"#;
    world.append(AggregateKind::SigningKey, "k1", "KeyPublished", key).await;
    let last = world.active_grant(&id(1), "rp", "openid", WHO).await;
    for running in &running {
        soon("all models", running.progress.caught_up_to(last)).await.unwrap();
    }

    let lookups = world.lookups();
    let clients = lookups.clients(Part::first(10)).await.unwrap().rows;
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0].metadata.client_name.as_deref(), Some("rp's"));
    assert_eq!(lookups.accounts(Part::first(10)).await.unwrap().rows[0].state, "active");
    let subject = WHO.subject.parse().unwrap();
    assert_eq!(lookups.sessions(subject, Part::first(10)).await.unwrap().rows[0].acr, "1");
    let consents = lookups.consents(subject, Part::first(10)).await.unwrap().rows;
    assert_eq!(consents[0].scope.as_str(), "openid");
    let keys = lookups.signing_keys(Part::first(10)).await.unwrap().rows;
    assert_eq!(keys[0].jwk["kty"], "EC");
    let grant = lookups.grant(id(1).parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((grant.state.as_str(), grant.subject), ("active", Some(subject)));
}

/// The words of the read model are those of the aggregate, at every step of every story.
#[tokio::test]
async fn a_grants_state_is_its_stage_after_every_event() {
    let request = r#"{"client_id":"rp","redirect_uri":"https://rp.example/cb",
        "response_type":"code","scope":"openid"}"#;
    let pushed =
        format!(r#"{{"request":{request},"request_uri":"{DIGEST}","at":10,"expires_at":70}}"#);
    let revoked = r#"{"cause":"session_ended","at":40}"#.to_owned();
    let direct = format!(
        r#"{{"grant_type":"client_credentials","authorization":{{"client_id":"rp","scope":"a"}},
            "tokens":{}}}"#,
        tokens("a", 330)
    );
    let rotated = format!(r#"{{"tokens":{},"grace_until":50}}"#, tokens("openid", FAR));
    let mut whole = story("rp", "openid", WHO);
    whole.push(("RefreshTokenRotated", rotated));
    whole.push(("AccessTokenRevoked", r#"{"number":1,"expires_at":99}"#.to_owned()));
    whole.push(("RefreshTokenReused", r#"{"client_id":"rp","generation":1}"#.to_owned()));
    whole.push(("GrantRevoked", revoked.clone()));
    let declined = r#"{"reason":"login_required"}"#.to_owned();
    let stories = [
        whole,
        vec![("RequestPushed", pushed), ("RequestDeclined", declined)],
        vec![("TokensIssued", direct), ("GrantRevoked", revoked)],
    ];

    let world = World::new().await;
    let running = world.project(&Grants);
    for (number, story) in stories.into_iter().enumerate() {
        let grant_id = id(u64::try_from(number).unwrap() + 1);
        let mut grant = Grant::default();
        for (event_type, payload) in story {
            let event = AnyEvent::from_json(AggregateKind::Grant, event_type, "1", &payload);
            let AnyEvent::Grant(event) = event.unwrap() else { panic!("no grant event") };
            grant.apply(event);
            let position =
                world.append(AggregateKind::Grant, &grant_id, event_type, &payload).await;
            soon("the row", running.progress.caught_up_to(position)).await.unwrap();
            let row = world.lookups().grant(grant_id.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(row.state, grant.stage(), "after {event_type}");
            assert_eq!(row.is_live(), !grant.has_ended(), "after {event_type}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_rebuilt_while_events_arrive() {
    const GRANTS: u64 = 120;
    let world = World::new().await;
    let running = world.project(&Grants);
    let writer = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let mut last = 0;
            for number in 1..=GRANTS {
                last = world.active_grant(&id(number), "rp", "openid", WHO).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            last
        })
    };
    until("some rows", async || rows(&world).await.len() > 20).await;
    // A stray row that no event explains: gone after the rebuild.
    let stray = Change::put(&chancery_projections::grants::GRANTS, &id(999), []);
    let at = Checkpoint { version: 1, position: 1 };
    assert!(world.store.project("stray", None, at, vec![stray]).await.unwrap());
    world.store.begin_beside("grants", 0, Grants.tables()).await.unwrap();
    let mut before = 0;
    until("the stray row has gone", async || {
        let keys = keys(&world).await;
        assert!(keys.len() + 1 >= before, "{} rows, and {before} before", keys.len());
        before = keys.len();
        !keys.contains(&Value::from(id(999)))
    })
    .await;
    let last = writer.await.unwrap();
    until("the rest", async || {
        let checkpoint = world.store.checkpoint("grants").await.unwrap();
        checkpoint.is_some_and(|checkpoint| checkpoint.position == last)
    })
    .await;
    assert!(running.progress.failure().is_none());
    let rows = rows(&world).await;
    assert_eq!(rows.len(), usize::try_from(GRANTS).unwrap());
    assert!(rows.values().all(|row| row.state == "active"));
}

#[tokio::test]
async fn an_idle_projector_notices_a_reset() {
    let world = World::new().await;
    let running = world.project(&Clients);
    let last = world.client("rp").await;
    soon("the row", running.progress.caught_up_to(last)).await.unwrap();
    world.store.reset_projection("clients", Clients.tables()).await.unwrap();
    let lookups = world.lookups();
    assert!(lookups.clients(Part::first(1)).await.unwrap().rows.is_empty());
    until("the rows again", async || {
        !lookups.clients(Part::first(1)).await.unwrap().rows.is_empty()
    })
    .await;
}

/// Counts what it sees; its rows are clients, one for each event.
struct Counting {
    name: &'static str,
    version: u32,
    seen: AtomicUsize,
}

impl Counting {
    fn of_version(name: &'static str, version: u32) -> &'static Self {
        Box::leak(Box::new(Self { name, version, seen: AtomicUsize::new(0) }))
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl Projection for Counting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&CLIENTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Client]
    }

    fn project(&self, event: &Recorded, changes: &mut Vec<Change>) {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let state = format!("version {}", self.version);
        let put = [("state", state.into())];
        changes.push(Change::put(&CLIENTS, &event.position.to_string(), put));
    }
}

async fn checkpoint(world: &World, name: &str) -> Option<Checkpoint> {
    world.store.checkpoint(name).await.unwrap()
}

/// The states of all rows that a [`Counting`] has written.
async fn states(world: &World) -> Vec<Value> {
    let query = Query { limit: 1000, ..Query::all(&CLIENTS) };
    let rows = world.store.select(query).await.unwrap();
    rows.into_iter().map(|row| row[1].clone()).collect()
}

async fn register(world: &World, from: u64, count: u64) -> u64 {
    let mut last = 0;
    for number in from..from + count {
        last = world.client(&format!("c{number}")).await;
    }
    last
}

#[tokio::test]
async fn a_projector_that_was_killed_goes_on_where_it_stood() {
    let world = World::new().await;
    let counting = Counting::of_version("counting", 1);
    let last = register(&world, 0, 30).await;
    let running = world.project(counting);
    soon("the first", running.progress.caught_up_to(last)).await.unwrap();
    running.kill();
    drop(running);
    let last = register(&world, 30, 5).await;
    let running = world.project(counting);
    soon("the rest", running.progress.caught_up_to(last)).await.unwrap();
    assert_eq!(counting.seen(), 35, "each event once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_projectors_one_leads_and_the_other_takes_over() {
    let world = World::new().await;
    // A feed of its own, as on another node.
    let other = Feed::new(world.place.another().await);
    let reader = {
        let other = other.clone();
        tokio::spawn(async move { other.follow_log(Polling::SHARED).await.unwrap() })
    };
    let (ours, theirs) = (Counting::of_version("raced", 1), Counting::of_version("raced", 1));
    let first = project_on(&world.feed, ours);
    let second = project_on(&other, theirs);
    let last = register(&world, 0, 200).await;
    soon("one", first.progress.caught_up_to(last)).await.unwrap();
    soon("the other", second.progress.caught_up_to(last)).await.unwrap();
    assert_eq!(checkpoint(&world, "raced").await, Some(Checkpoint { version: 1, position: last }));
    let rows = async || states(&world).await.len();
    assert_eq!(rows().await, 200);
    // Who has lost does not fold along: but for the first tries it saw nothing.
    let (ours_seen, theirs_seen) = (ours.seen(), theirs.seen());
    assert!(
        ours_seen + theirs_seen < 300,
        "both fold everything: {ours_seen} and {theirs_seen} of 200"
    );

    let (leader, follower) =
        if ours_seen > theirs_seen { (&first, &second) } else { (&second, &first) };
    leader.kill();
    let last = register(&world, 200, 10).await;
    soon("the successor", follower.progress.caught_up_to(last)).await.unwrap();
    assert_eq!(rows().await, 210);
    reader.abort();
}

#[tokio::test]
async fn a_newer_version_builds_anew_and_an_older_one_stands_back() {
    let world = World::new().await;
    let last = register(&world, 0, 5).await;
    let older = Counting::of_version("versioned", 1);
    let running = world.project(older);
    soon("version 1", running.progress.caught_up_to(last)).await.unwrap();

    let newer = Counting::of_version("versioned", 2);
    let upgraded = world.project(newer);
    until("version 2", async || {
        checkpoint(&world, "versioned").await == Some(Checkpoint { version: 2, position: last })
    })
    .await;
    assert_eq!(newer.seen(), 5);
    let last = register(&world, 5, 5).await;
    soon("version 2", upgraded.progress.caught_up_to(last)).await.unwrap();
    // The old one is still there, and neither resets nor writes.
    soon("version 1, following", running.progress.caught_up_to(last)).await.unwrap();
    let at = checkpoint(&world, "versioned").await;
    assert_eq!(at, Some(Checkpoint { version: 2, position: last }));
    let states = states(&world).await;
    assert_eq!(states, vec![Value::from("version 2"); 10]);
}

#[tokio::test]
async fn a_model_ahead_of_the_log_is_built_anew() {
    let world = World::new().await;
    let last = register(&world, 0, 3).await;
    let ahead = Checkpoint { version: 1, position: last + 100 };
    assert!(world.store.project("restored", None, ahead, vec![]).await.unwrap());
    let counting = Counting::of_version("restored", 1);
    let _running = world.project(counting);
    until("the true position", async || {
        checkpoint(&world, "restored").await == Some(Checkpoint { version: 1, position: last })
    })
    .await;
    assert_eq!(counting.seen(), 3);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_its_models_and_no_others() {
    let world = World::new().await;
    let clients = world.project(&Clients);
    let grants = world.project(&Grants);
    let before = world.client("rp").await;
    world.append(AggregateKind::Client, "rp", "ClientTransmuted", "{}").await;
    world.append(AggregateKind::Client, "rp", "ClientDisabled", r#"{"reason":"r"}"#).await;
    let last = world.active_grant(&id(1), "rp", "openid", WHO).await;
    soon("the grants", grants.progress.caught_up_to(last)).await.unwrap();
    until("the failure", async || clients.progress.failure().is_some()).await;
    let failure = clients.progress.failure().unwrap();
    assert!(failure.contains("ClientTransmuted"), "{failure}");
    assert!(failure.contains("client/rp/2"), "{failure}");

    // Some tries later it stands there still: what came before is in, what comes after is not.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(clients.progress.position(), before);
    assert_eq!(checkpoint(&world, "clients").await.unwrap().position, before);
    let row = world.lookups().client(&"rp".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.state, "enabled");
}

/// Positions that bring no changes are saved too, though not each at once.
#[tokio::test]
async fn a_position_without_changes_is_saved_in_a_while() {
    let world = World::new().await;
    let grants = world.project(&Grants);
    let last = register(&world, 0, 20).await;
    soon("the position", grants.progress.caught_up_to(last)).await.unwrap();
    until("the checkpoint", async || {
        checkpoint(&world, "grants").await
            == Some(Checkpoint { version: Grants.version(), position: last })
    })
    .await;
}

/// The actors around it: started, asked, stopped.
#[actix::test]
async fn the_actors_keep_all_models_until_they_are_stopped() {
    let world = World::without_reader().await;
    let reader = chancery::actors::feed_reader::start(&world.feed, Place::POLLING);
    let projectors = chancery::actors::projector::Projectors::start(&world.feed, &ALL);
    let last = world.client("rp").await;
    soon("all models", projectors.caught_up_to(last)).await.unwrap();
    assert_eq!(projectors.all().count(), ALL.len());
    assert!(projectors.progress("clients").is_some_and(|at| at.position() == last));
    projectors.stop().await;
    reader.stop().await;
    let after = world.client("later").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(world.feed.position().is_some_and(|position| position < after));
    assert!(world.lookups().client(&"later".parse().unwrap()).await.unwrap().is_none());
}
