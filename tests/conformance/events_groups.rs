//! Groups of readers: a cursor that the server keeps, shared by workers.

use std::collections::{BTreeMap, BTreeSet};

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, RelyingParty, Scene, StoreKind, TestServer, confidential, service};

both_stores! {
    workers_share_the_log_and_see_each_aggregate_in_order,
    what_is_not_said_to_be_done_is_given_again,
    what_is_done_is_done_after_a_restart,
    a_worker_that_is_late_is_not_heard,
    a_group_is_its_maker_s_alone,
    a_group_that_is_another_is_a_conflict,
    a_group_begins_again_from_where_it_is_told,
    only_what_a_group_is_for_is_given,
    what_is_wrong_is_told,
}

struct Worker {
    rp: RelyingParty,
    token: String,
}

impl Worker {
    async fn of(server: &TestServer, client_id: &str) -> Self {
        server.settled().await;
        let metadata = ClientMetadata { scope: Scope::parse("events:read").unwrap(), ..service() };
        let rp = server.register(client_id, metadata).await;
        let mut worker = Self { rp, token: String::new() };
        worker.renew().await;
        worker
    }

    async fn renew(&mut self) {
        let answer = self.rp.client_credentials(&[]).await.ok();
        answer["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.rp.request(method, &format!("/events/groups/{path}"));
        Answer::of(request.bearer_auth(&self.token).json(body).send().await.unwrap()).await
    }

    async fn make(&self, path: &str, body: &Value) -> Value {
        self.send(Method::PUT, path, body).await.ok()
    }

    async fn next(&self, group: &str, member: &str, done: &Value) -> Value {
        let body = json!({ "member": member, "done": done, "limit": 3 });
        self.send(Method::POST, &format!("{group}/next"), &body).await.ok()
    }

    async fn cursor(&self, group: &str) -> Value {
        self.send(Method::GET, group, &Value::Null).await.ok()["cursor"].clone()
    }
}

fn ids(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

async fn workers_share_the_log_and_see_each_aggregate_in_order(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let worker = Worker::of(&scene.server, "analyst").await;
    for _ in 0..4 {
        scene.tokens(&[]).await;
        scene.rp.post("/par", &[]).await;
    }
    worker.make("g", &json!({ "partitions": 8 })).await;
    let logged = scene.server.log().await;
    let mut done = BTreeMap::from([("a", Value::Null), ("b", Value::Null)]);
    let mut seen: Vec<(&str, Value)> = vec![];
    let mut idle = 0;
    while idle < 6 {
        for member in ["a", "b"] {
            let answer = worker.next("g", member, &done[member]).await;
            assert_eq!(answer["lost"], 0);
            let events = answer["events"].as_array().unwrap().clone();
            idle = if events.is_empty() { idle + 1 } else { 0 };
            seen.extend(events.into_iter().map(|event| (member, event)));
            done.insert(member, answer["done"].clone());
        }
    }
    let all: Vec<_> = seen.iter().map(|(_, event)| event["id"].as_str().unwrap()).collect();
    let once: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(once.len(), all.len(), "an event was given twice");
    for stored in &logged {
        assert!(once.contains(&*stored.event.digest.to_string()), "{stored:?}");
    }
    let members: BTreeSet<_> = seen.iter().map(|(member, _)| *member).collect();
    assert_eq!(members.len(), 2, "one of them had nothing to do");
    let mut last = BTreeMap::<&str, u64>::new();
    for (_, event) in &seen {
        let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
        let before = last.insert(event["subject"].as_str().unwrap(), sequence);
        assert_eq!(before.unwrap_or(0) + 1, sequence, "{event}");
    }
}

async fn what_is_not_said_to_be_done_is_given_again(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    worker.make("g", &json!({ "partitions": 1 })).await;
    let first = worker.next("g", "a", &Value::Null).await;
    assert_eq!(ids(&first).len(), 3);
    let again = worker.next("g", "a", &Value::Null).await;
    assert_eq!(ids(&again), ids(&first));
    let next = worker.next("g", "a", &again["done"]).await;
    assert!(ids(&next).iter().all(|id| !ids(&first).contains(id)));
}

async fn what_is_done_is_done_after_a_restart(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    worker.make("g", &json!({ "partitions": 2 })).await;
    let first = worker.next("g", "a", &Value::Null).await;
    let second = worker.next("g", "a", &first["done"]).await;
    let cursor = worker.cursor("g").await;
    let server = server.restart().await;
    let mut worker = Worker { rp: worker.rp.at(&server), token: worker.token };
    worker.renew().await;
    assert_eq!(worker.cursor("g").await, cursor);
    let again = worker.next("g", "a", &Value::Null).await;
    assert_eq!(ids(&again), ids(&second));
}

async fn a_worker_that_is_late_is_not_heard(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    worker.make("g", &json!({ "partitions": 2 })).await;
    let slow = worker.next("g", "slow", &Value::Null).await;
    server.advance(29);
    assert!(ids(&worker.next("g", "other", &Value::Null).await).is_empty(), "still leased");
    server.advance(2);
    let taken = worker.next("g", "other", &Value::Null).await;
    assert_eq!(ids(&taken), ids(&slow), "what the slow one did not finish");
    let late = worker.next("g", "slow", &slow["done"]).await;
    assert_eq!(late["lost"], 2);
    let next = worker.next("g", "other", &taken["done"]).await;
    // The slow one is back, so that the other has given one of two away.
    assert!(next["lost"].as_u64().unwrap() <= 1, "{next}");
}

async fn a_group_is_its_maker_s_alone(store: StoreKind) {
    let server = TestServer::start(store).await;
    let (one, other) = (Worker::of(&server, "one").await, Worker::of(&server, "other").await);
    one.make("g", &json!({})).await;
    let body = json!({ "member": "a" });
    for (method, path) in [
        (Method::POST, "g/next"),
        (Method::POST, "g/leave"),
        (Method::POST, "g/rewind"),
        (Method::DELETE, "g"),
    ] {
        let body = if path == "g/rewind" { json!({}) } else { body.clone() };
        is_problem(&other.send(method, path, &body).await, 403);
    }
    let seen = other.send(Method::GET, "g", &Value::Null).await.ok();
    assert_eq!(seen["owner"], "client one");
    one.send(Method::DELETE, "g", &Value::Null).await.ok();
    is_problem(&one.send(Method::GET, "g", &Value::Null).await, 404);
}

async fn a_group_that_is_another_is_a_conflict(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    let made = worker.make("g", &json!({ "partitions": 3, "types": ["CodeIssued"] })).await;
    assert_eq!(made["partitions"].as_array().unwrap().len(), 3);
    worker.make("g", &json!({ "partitions": 3, "types": ["CodeIssued"], "from": "now" })).await;
    is_problem(&worker.send(Method::PUT, "g", &json!({ "partitions": 4 })).await, 409);
    let listed = worker.send(Method::GET, "?limit=1", &Value::Null).await;
    assert_eq!(listed.status, 404, "a name is missing");
}

async fn a_group_begins_again_from_where_it_is_told(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    worker.make("g", &json!({ "partitions": 1, "from": "now" })).await;
    let nothing = worker.next("g", "a", &Value::Null).await;
    assert!(ids(&nothing).is_empty());
    let rewound = worker.send(Method::POST, "g/rewind", &json!({})).await.ok();
    assert!(rewound["lag"].as_u64().unwrap() > 0);
    let all = worker.next("g", "a", &nothing["done"]).await;
    assert_eq!(all["lost"], 1, "what was under way is not heard");
    let first = server.log().await[0].event.digest.to_string();
    assert_eq!(ids(&all)[0], first);
}

async fn only_what_a_group_is_for_is_given(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let worker = Worker::of(&scene.server, "analyst").await;
    scene.tokens(&[]).await;
    worker.make("g", &json!({ "types": ["CodeIssued"], "clients": ["rp"] })).await;
    let given = worker.next("g", "a", &Value::Null).await;
    let types: Vec<_> =
        given["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["chancery.grant.CodeIssued.v1"]);
    worker.next("g", "a", &given["done"]).await;
    let group = worker.send(Method::GET, "g", &Value::Null).await.ok();
    assert_eq!(group["lag"], 0, "a filter that fits little moves the cursor: {group}");
}

async fn what_is_wrong_is_told(store: StoreKind) {
    let server = TestServer::start(store).await;
    let worker = Worker::of(&server, "analyst").await;
    is_problem(&worker.send(Method::POST, "g/next", &json!({ "member": "a" })).await, 404);
    is_problem(&worker.send(Method::PUT, "a%20b", &json!({})).await, 400);
    for body in [
        json!({ "partitions": 0 }),
        json!({ "partitions": 257 }),
        json!({ "clients": ["\u{e9}"] }),
        json!({ "unknown": 1 }),
        json!({ "types": ["NoSuchEvent"] }),
    ] {
        is_problem(&worker.send(Method::PUT, "g", &body).await, 422);
    }
    is_problem(&worker.send(Method::PUT, "g", &json!({ "from": "x" })).await, 400);
    is_problem(&worker.send(Method::PUT, "g", &json!({ "from": "ffffffffffff-1" })).await, 410);
    worker.make("g", &json!({})).await;
    for body in [
        json!({}),
        json!({ "member": "" }),
        json!({ "member": "a", "lease": 0 }),
        json!({ "member": "a", "limit": 1001 }),
        json!({ "member": "a", "lease": 5, "wait": 5 }),
        json!({ "member": "a", "done": {} }),
    ] {
        is_problem(&worker.send(Method::POST, "g/next", &body).await, 422);
    }
    let elsewhere = json!({ "through": "ffffffffffff-1", "partitions": {} });
    let body = json!({ "member": "a", "done": elsewhere });
    is_problem(&worker.send(Method::POST, "g/next", &body).await, 410);
}
