//! The stream of events over HTTP: `CloudEvents` 1.0, by long poll and by server-sent events
//! (WHATWG HTML §9.2).

use std::time::Duration;

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    Answer, RelyingParty, Scene, StoreKind, TestServer, confidential, service, until,
};

both_stores! {
    nobody_reads_without_a_token_for_it,
    every_event_is_a_cloud_event_in_the_order_of_the_log,
    a_cursor_goes_on_where_the_reader_was,
    a_long_poll_waits_for_the_next_event,
    who_does_not_want_to_wait_is_answered_at_once,
    types_and_clients_are_chosen,
    a_filter_that_fits_nothing_still_moves_the_cursor,
    a_cursor_of_another_log_is_gone,
    what_is_wrong_with_a_query_is_told,
    a_stream_resumes_after_the_last_event_id,
    a_stream_without_events_moves_its_cursor,
    a_stream_ends_with_its_token,
    streams_are_counted,
    who_asks_too_often_is_told_to_wait,
    readers_are_listed_with_their_lag,
    no_event_tells_who_a_person_is,
    it_is_not_there_when_it_is_off,
}

struct Analyst {
    rp: RelyingParty,
    token: String,
}

impl Analyst {
    async fn of(server: &TestServer) -> Self {
        server.settled().await;
        let metadata = ClientMetadata { scope: Scope::parse("events:read").unwrap(), ..service() };
        let rp = server.register("analyst", metadata).await;
        let answer = rp.client_credentials(&[]).await.ok();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { rp, token }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.rp.request(Method::GET, &format!("/events{path}"));
        Answer::of(request.bearer_auth(&self.token).send().await.unwrap()).await
    }

    /// The lines of an answer.
    async fn lines(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        answer.is_not_kept();
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn stream(&self, path: &str, last: Option<&str>) -> Blocks {
        let request = self.rp.request(Method::GET, &format!("/events/stream{path}"));
        let request = request.bearer_auth(&self.token);
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Blocks { response, text: String::new() }
    }
}

/// Server-sent events, as they come.
struct Blocks {
    response: reqwest::Response,
    text: String,
}

/// One block: its id and its data.
#[derive(Debug)]
struct Block {
    id: Option<String>,
    data: Option<Value>,
}

impl Blocks {
    /// The next block; none when the stream has ended.
    async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let data = field("data: ").map(|data| serde_json::from_str(&data).unwrap());
                let block = Block { id: field("id: "), data };
                let rest = rest.len();
                self.text.drain(..self.text.len() - rest);
                return Some(block);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event, with its id.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.next().await.expect("the stream goes on");
            if let Some(data) = block.data {
                return (block.id.unwrap(), data);
            }
        }
    }
}

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

fn cursor(line: &Value) -> &str {
    line["cursor"].as_str().unwrap_or_else(|| panic!("{line}"))
}

/// RFC 6750 §3
async fn nobody_reads_without_a_token_for_it(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata { scope: Scope::parse("api").unwrap(), ..service() };
    let rp = server.register("other", metadata).await;
    let token = rp.client_credentials(&[]).await.ok();
    for path in ["/events", "/events/stream", "/events/readers"] {
        is_problem(&rp.get(path).await, 401);
        let request = rp.request(Method::GET, path);
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        is_problem(&Answer::of(request.send().await.unwrap()).await, 403);
    }
}

/// `CloudEvents` 1.0 §3
async fn every_event_is_a_cloud_event_in_the_order_of_the_log(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    scene.tokens(&[("nonce", "n")]).await;
    let lines = analyst.lines("?limit=10000").await;
    let log = scene.server.log().await;
    assert_eq!(lines.len(), log.len());
    for (line, stored) in lines.iter().zip(&log) {
        let event = &stored.event;
        let (kind, id) = (event.stream.kind.as_str(), &event.stream.id);
        assert_eq!(line["specversion"], "1.0");
        assert_eq!(line["id"], event.digest.to_string());
        assert_eq!(line["source"], scene.server.issuer);
        assert_eq!(line["type"], format!("chancery.{kind}.{}.v1", event.event_type));
        assert_eq!(line["subject"], format!("{kind}/{id}"));
        assert_eq!(line["partitionkey"], **id);
        assert_eq!(line["sequence"], event.sequence.to_string());
        let schema = format!("{}/schemas/{kind}/{}/1", scene.server.issuer, event.event_type);
        assert_eq!(line["dataschema"], schema);
        let beside: Value = serde_json::from_str(&event.metadata).unwrap();
        assert_eq!(line["time"], beside["occurred_at"]);
        assert_eq!(line["clientid"], beside["client_id"]);
        assert_eq!(line["sub"], beside["subject"]);
        assert_eq!(line["data"], serde_json::from_str::<Value>(&event.payload).unwrap());
        // §3.1: names of attributes are lower case letters and digits.
        let names = line.as_object().unwrap().keys();
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
        }
    }
    assert!(lines.iter().any(|line| line["sub"] == scene.ada.to_string()));
}

async fn a_cursor_goes_on_where_the_reader_was(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    scene.tokens(&[]).await;
    let log = scene.server.log().await;
    let mut read = Vec::new();
    let mut query = "?limit=3".to_owned();
    while read.len() < log.len() {
        let answer = analyst.get(&query).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let lines: Vec<Value> =
            answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() <= 3, "{}", answer.body);
        let next = format!("after={}>; rel=\"next\"", cursor(lines.last().unwrap()));
        assert!(answer.header("link").unwrap().ends_with(&next));
        query = format!("?limit=3&after={}", cursor(lines.last().unwrap()));
        read.extend(lines);
    }
    let ids: Vec<_> = read.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    let logged: Vec<_> = log.iter().map(|stored| stored.event.digest.to_string()).collect();
    assert_eq!(ids, logged);
}

async fn a_long_poll_waits_for_the_next_event(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    let polling = async {
        let began = tokio::time::Instant::now();
        let lines = analyst.lines("?after=now&wait=30").await;
        (lines, began.elapsed())
    };
    let happening = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.tokens(&[]).await;
    };
    let ((lines, took), ()) = tokio::join!(polling, happening);
    assert!(lines[0]["id"].is_string(), "{lines:?}");
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(20), "{took:?}");
}

async fn who_does_not_want_to_wait_is_answered_at_once(store: StoreKind) {
    let server = TestServer::start(store).await;
    let analyst = Analyst::of(&server).await;
    let began = tokio::time::Instant::now();
    let lines = analyst.lines("?after=now").await;
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].as_object().unwrap().len(), 1, "only a cursor: {lines:?}");
    let began = tokio::time::Instant::now();
    let after = format!("?after={}&wait=1", cursor(&lines[0]));
    assert_eq!(analyst.lines(&after).await, lines);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

async fn types_and_clients_are_chosen(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    scene.tokens(&[]).await;
    let lines = analyst.lines("?types=CodeIssued,chancery.grant.CodeRedeemed.v1").await;
    let types: Vec<_> =
        lines.iter().filter_map(|line| line["type"].as_str()).map(str::to_owned).collect();
    assert_eq!(types, ["chancery.grant.CodeIssued.v1", "chancery.grant.CodeRedeemed.v1"]);
    let lines = analyst.lines("?client=rp").await;
    let events: Vec<_> = lines.iter().filter(|line| line["id"].is_string()).collect();
    assert!(events.len() >= 5, "{lines:?}");
    assert!(events.iter().all(|line| line["clientid"] == "rp"), "{lines:?}");
    let lines = analyst.lines("?client=rp,analyst&types=TokensIssued").await;
    assert!(lines.iter().any(|line| line["clientid"] == "analyst"), "{lines:?}");
}

async fn a_filter_that_fits_nothing_still_moves_the_cursor(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    scene.tokens(&[]).await;
    let lines = analyst.lines("?client=nobody").await;
    let end = analyst.lines("?after=now").await;
    assert_eq!(lines, end, "a line that only moves the cursor");
    // Behind the last event that fits there is more that was looked at.
    let lines = analyst.lines("?types=ClientRegistered").await;
    assert!(lines.len() >= 2, "{lines:?}");
    assert_eq!(lines.last(), end.last());
}

async fn a_cursor_of_another_log_is_gone(store: StoreKind) {
    let server = TestServer::start(store).await;
    let analyst = Analyst::of(&server).await;
    let now = analyst.lines("?after=now").await;
    let (life, _) = cursor(&now[0]).split_once('-').unwrap();
    let other = analyst.get("?after=ffffffffffff-3").await;
    is_problem(&other, 410);
    assert!(other.json()["detail"].as_str().unwrap().contains("another life"));
    let ahead = analyst.get(&format!("?after={life}-999999")).await;
    is_problem(&ahead, 410);
    assert!(ahead.json()["detail"].as_str().unwrap().contains("ahead of the log"));
    is_problem(&analyst.get("/stream?after=ffffffffffff-3").await, 410);
}

async fn what_is_wrong_with_a_query_is_told(store: StoreKind) {
    let server = TestServer::start(store).await;
    let analyst = Analyst::of(&server).await;
    for query in [
        "?after=7",
        "?after=%00",
        "?limit=0",
        "?limit=10001",
        "?limit=x",
        "?wait=61",
        "?client=%C3%A9",
        "?types=NoSuchEvent",
    ] {
        is_problem(&analyst.get(query).await, 400);
        is_problem(&analyst.get(&format!("/stream{query}")).await, 400);
    }
    is_problem(&analyst.get("/nothing").await, 404);
}

/// WHATWG HTML §9.2.4
async fn a_stream_resumes_after_the_last_event_id(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    let log = scene.server.log().await;
    let mut stream = analyst.stream("", None).await;
    let mut last = String::new();
    for stored in &log {
        let (id, event) = stream.event().await;
        assert_eq!(event["id"], stored.event.digest.to_string());
        assert_eq!(event["cursor"], id);
        last = id;
    }
    scene.tokens(&[]).await;
    let (_, live) = stream.event().await;
    drop(stream);
    let mut again = analyst.stream("?after=now", Some(&last)).await;
    let (_, first) = again.event().await;
    assert_eq!(first, live);
    let rest = scene.server.log().await.len() - log.len() - 1;
    for _ in 0..rest {
        again.event().await;
    }
}

async fn a_stream_without_events_moves_its_cursor(store: StoreKind) {
    let mut scene = Scene::with(store, "[events]\nheartbeat = 1", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    let mut stream = analyst.stream("?client=nobody", None).await;
    scene.tokens(&[]).await;
    let end = analyst.lines("?after=now").await;
    until("the cursor at the end", || async { true }).await;
    loop {
        let block = stream.next().await.unwrap();
        assert!(block.data.is_none(), "{block:?}");
        if block.id.as_deref() == Some(cursor(&end[0])) {
            return;
        }
    }
}

async fn a_stream_ends_with_its_token(store: StoreKind) {
    let server = TestServer::with_settings(store, "[events]\nheartbeat = 1").await;
    let analyst = Analyst::of(&server).await;
    let mut stream = analyst.stream("?after=now", None).await;
    stream.next().await.unwrap();
    assert_eq!(analyst.rp.revoke(&analyst.token).await.status, 200);
    let ended = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the stream ends");
}

async fn streams_are_counted(store: StoreKind) {
    let server = TestServer::with_settings(store, "[events]\nstreams_per_reader = 2").await;
    let analyst = Analyst::of(&server).await;
    let first = analyst.stream("?after=now", None).await;
    let _second = analyst.stream("?after=now", None).await;
    let third = analyst.get("/stream?after=now").await;
    is_problem(&third, 429);
    assert!(third.header("retry-after").is_some());
    drop(first);
    // That it is gone shows when the next event is to be sent to it.
    until("a place is free", || async {
        analyst.rp.client_credentials(&[]).await;
        let request = analyst.rp.request(Method::GET, "/events/stream?after=now");
        request.bearer_auth(&analyst.token).send().await.unwrap().status() == 200
    })
    .await;
}

/// RFC 6585 §4
async fn who_asks_too_often_is_told_to_wait(store: StoreKind) {
    let server = TestServer::with_settings(store, "[events]\nrequests_per_minute = 3").await;
    let analyst = Analyst::of(&server).await;
    for _ in 0..3 {
        analyst.lines("?after=now").await;
    }
    let refused = analyst.get("?after=now").await;
    is_problem(&refused, 429);
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    server.advance(wait);
    analyst.lines("?after=now").await;
}

async fn readers_are_listed_with_their_lag(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    let read = analyst.lines("?limit=1").await;
    scene.tokens(&[]).await;
    let readers = analyst.get("/readers").await.ok();
    let [reader] = readers["items"].as_array().unwrap().as_slice() else { panic!("{readers}") };
    assert_eq!(reader["name"], "client analyst");
    assert_eq!(reader["cursor"], cursor(&read[0]));
    assert!(reader["lag"].as_u64().unwrap() >= 5, "{readers}");
    assert_eq!(reader["streams"], 0);
}

async fn no_event_tells_who_a_person_is(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let analyst = Analyst::of(&scene.server).await;
    let tokens = scene.tokens(&[("state", "the-state"), ("nonce", "the-nonce")]).await;
    let text = analyst.get("?limit=10000").await.body;
    for told in ["ada", "the-state", "the-nonce", tokens.access.as_str()] {
        assert!(!text.contains(&format!("{told}\"")), "{told} in {text}");
    }
}

async fn it_is_not_there_when_it_is_off(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nevents = false").await;
    let analyst = Analyst::of(&server).await;
    for path in ["", "/stream", "/readers"] {
        assert_eq!(analyst.get(path).await.status, 404);
    }
}

/// Two nodes on one PostgreSQL write at once: positions are given out in another order than
/// they are committed in, and who reads by `position > last` misses some.
mod on_two_nodes {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::support::good_request;

    /// So many at once on each node.
    const WRITERS: usize = 12;
    const ROUNDS: usize = 25;

    /// Pushes requests to one node, from several at once.
    async fn write(rp: &RelyingParty, node: &TestServer) {
        let rp = rp.at(node);
        let writers = (0..WRITERS).map(|_| async {
            for _ in 0..ROUNDS {
                // A node that goes down answers some no more.
                let _ = rp.try_post("/par", &good_request()).await;
            }
        });
        futures_util::future::join_all(writers).await;
    }

    #[test]
    fn readers_see_what_all_nodes_write_each_once_and_in_the_order_of_the_log() {
        crate::support::run(async {
            let scene = Scene::new(StoreKind::Postgres).await;
            let (first, dying) = (&scene.server, scene.server.second_node().await);
            let analyst = Analyst::of(first).await;
            let written = Arc::new(AtomicBool::new(false));
            let writing = async {
                // One node goes down in the middle of it, and another comes.
                let gone = async {
                    tokio::time::timeout(Duration::from_millis(700), write(&scene.rp, &dying))
                        .await
                        .ok();
                    let third = first.second_node().await;
                    tokio::task::spawn_blocking(move || drop(dying)).await.unwrap();
                    write(&scene.rp, &third).await;
                    third
                };
                let ((), third) = tokio::join!(write(&scene.rp, first), gone);
                written.store(true, Ordering::SeqCst);
                third
            };
            let polling = async {
                let (mut ids, mut after) = (Vec::new(), String::new());
                loop {
                    let done = written.load(Ordering::SeqCst);
                    let lines = analyst.lines(&format!("?limit=40&wait=1&after={after}")).await;
                    cursor(lines.last().unwrap()).clone_into(&mut after);
                    let before = ids.len();
                    ids.extend(
                        lines.iter().filter_map(|line| line["id"].as_str().map(str::to_owned)),
                    );
                    if done && ids.len() == before {
                        return ids;
                    }
                }
            };
            let (third, polled) = tokio::join!(writing, polling);
            let logged: Vec<_> =
                first.log().await.iter().map(|stored| stored.event.digest.to_string()).collect();
            assert!(logged.len() > WRITERS * ROUNDS, "{}", logged.len());
            let nodes: BTreeSet<_> = first
                .log()
                .await
                .iter()
                .filter_map(|stored| {
                    let beside: Value = serde_json::from_str(&stored.event.metadata).unwrap();
                    beside["node"].as_str().map(str::to_owned)
                })
                .collect();
            assert_eq!(nodes.len(), 3, "{nodes:?}");
            assert_eq!(polled, logged[..polled.len()]);
            assert!(logged.len() - polled.len() < 5, "{} of {}", polled.len(), logged.len());
            // Who streams from the beginning, from another node, sees the same.
            let analyst = Analyst { rp: analyst.rp.at(&third), token: analyst.token };
            let mut stream = analyst.stream("", None).await;
            for id in &logged {
                assert_eq!(stream.event().await.1["id"], **id);
            }
        });
    }
}
