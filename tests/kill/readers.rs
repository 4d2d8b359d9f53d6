//! Readers of the event stream, while two nodes on one PostgreSQL write as fast as they can and
//! are killed (`kill -9`) at random: at the end each has read the log, all of it, in its order.
//!
//! `CHANCERY_TORTURE_SECONDS` is how long it lasts (12 unless told otherwise), and the times of
//! death follow from `CHANCERY_TORTURE_SEED`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use futures_util::future::join_all;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::Instant;

use crate::postgres_database::Database;
use crate::program::{cli, configured, started};
use crate::support::server::free_address;
use crate::support::{RelyingParty, Tokens};

/// How many ask each node for tokens, at once.
const WRITERS: usize = 12;
const WORKERS: usize = 3;
/// How long a reader waits for the last events when nobody writes any more.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn readers_end_with_exactly_the_log_although_nodes_are_killed() {
    crate::support::run(async {
        let lasts = Duration::from_secs(number("CHANCERY_TORTURE_SECONDS").unwrap_or(12));
        let seed = number("CHANCERY_TORTURE_SEED").unwrap_or(1);
        let database = Database::empty().await;
        let (cluster, nodes) = Cluster::begin(&database).await;
        let (polled, streamed, naive) = (Seen::default(), Seen::default(), Seen::default());
        let workers: [Seen; WORKERS] = Default::default();

        let all = async {
            tokio::join!(
                async {
                    let nodes = cluster.live_and_die(nodes, lasts, seed).await;
                    cluster.ends_with(logged(&database).await.len());
                    nodes
                },
                cluster.poll(&polled),
                cluster.stream(&streamed),
                join_all(workers.iter().enumerate().map(|own| cluster.work(own, &workers))),
                cluster.read_naively(&database, &naive),
            )
        };
        let nodes = tokio::time::timeout(lasts + PATIENCE, all).await;
        let (log, cluster) = (logged(&database).await, &cluster);
        let (deaths, tokens) = (count(&cluster.deaths), count(&cluster.tokens));
        let stood = [&polled, &streamed].map(Seen::len);
        let lost = log.len().saturating_sub(naive.len());
        eprintln!(
            "{} events, {tokens} tokens answered, {deaths} deaths; read {stood:?}; a reader by \
             `position > last` had lost {lost} (seed {seed})",
            log.len(),
        );
        let nodes = nodes.expect("all came to the end").0;
        assert!(deaths >= 4 && tokens > 200, "there was work, and death");
        for (name, seen) in [("polling", &polled), ("streaming", &streamed)] {
            let ids = seen.ids();
            let same = ids.iter().zip(&log).take_while(|(id, own)| id == own).count();
            assert_eq!(same, log.len(), "{name} has read as the log has it, up to there");
            assert_eq!(ids.len(), log.len(), "{name} has read nothing else");
        }
        let given = workers.iter().flat_map(Seen::ids).collect::<BTreeSet<_>>();
        assert_eq!(given, log.into_iter().collect(), "what the group was given");
        assert!(workers.iter().all(|worker| worker.len() > 0), "all took part");
        drop(nodes);
    });
}

#[expect(clippy::disallowed_methods, reason = "how long and how is up to whoever runs it")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn count(of: &AtomicUsize) -> usize {
    of.load(Ordering::SeqCst)
}

/// The ids of all events, in the order of the log.
async fn logged(database: &Database) -> Vec<String> {
    let mut connection = database.connection().await;
    sqlx::query_scalar("SELECT encode(digest, 'hex') FROM events ORDER BY position")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

/// The ids of the events that a reader has seen.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    /// Keeps the event of a line, if it has one; gives its cursor.
    fn take(&self, line: &Value) -> String {
        if let Some(id) = line["id"].as_str() {
            self.0.lock().unwrap().push(id.to_owned());
        }
        line["cursor"].as_str().unwrap().to_owned()
    }

    fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Two nodes on one database.
struct Cluster {
    _folder: TempDir,
    configs: [PathBuf; 2],
    /// The same client at each node.
    service: [RelyingParty; 2],
    analyst: [RelyingParty; 2],
    token: String,
    deaths: AtomicUsize,
    tokens: AtomicUsize,
    /// How many events there are in the end.
    end: OnceLock<usize>,
}

impl Cluster {
    async fn begin(database: &Database) -> (Self, [Child; 2]) {
        let folder = TempDir::new().unwrap();
        let addresses = [free_address(), free_address()];
        let issuer = format!("http://{}", addresses[0]);
        let more = "[events]\nrequests_per_minute = 1000000\nstreams_per_reader = 100\n\
                    heartbeat = 1\n[tokens]\naccess_token_lifetime = 86400\n";
        let configs = [0, 1].map(|node| {
            let own = folder.path().join(node.to_string());
            std::fs::create_dir(&own).unwrap();
            configured(&own, (&issuer, &addresses[node]), &database.url(), more)
        });
        cli(&configs[0], &[&["migrate"]], "").await;
        let mut parties = Vec::new();
        for (id, scope) in [("svc", "read"), ("analyst", "events:read")] {
            let add = ["client", "add", "--json", "--id", id, "--scope", scope];
            let grant = ["--grant-type", "client_credentials"];
            let added = cli(&configs[0], &[&add, &grant], "").await;
            let added: Value = serde_json::from_str(&added).unwrap();
            parties.push(addresses.each_ref().map(|address| {
                let method = ClientAuthMethod::SecretBasic;
                RelyingParty::new(&format!("http://{address}"), id, method)
                    .with_secret(added["client_secret"].as_str().unwrap())
            }));
        }
        let [service, analyst] = <[_; 2]>::try_from(parties).ok().unwrap();
        let nodes =
            [started(&configs[0], &service[0]).await, started(&configs[1], &service[1]).await];
        let token = Tokens::of(&analyst[0].client_credentials(&[]).await.ok()).access;
        let (deaths, tokens, end) = Default::default();
        let cluster =
            Self { _folder: folder, configs, service, analyst, token, deaths, tokens, end };
        let group = cluster.asked(0, Method::PUT, "/groups/under-fire").json(&json!({}));
        let made = group.send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.status());
        (cluster, nodes)
    }

    /// Has both nodes asked for tokens, kills one at a time, and starts it again. Gives the nodes
    /// when nobody writes any more.
    async fn live_and_die(&self, mut nodes: [Child; 2], lasts: Duration, seed: u64) -> [Child; 2] {
        let mut seeds = [0; 32];
        seeds[..8].copy_from_slice(&seed.to_le_bytes());
        let mut chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seeds);
        let mut below = |bound: u64| chance.next_u64() % bound;
        let over = AtomicBool::new(false);
        let killing = async {
            let end = Instant::now() + lasts;
            while Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(200 + below(900))).await;
                let own = usize::from(below(2) == 1);
                nodes[own].kill().await.unwrap();
                self.deaths.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(below(300))).await;
                nodes[own] = started(&self.configs[own], &self.service[own]).await;
            }
            over.store(true, Ordering::SeqCst);
        };
        let writing = self.service.iter().flat_map(|service| {
            (0..WRITERS).map(|_| async {
                while !over.load(Ordering::SeqCst) {
                    let form = [("grant_type", "client_credentials")];
                    match service.try_post("/token", &form).await {
                        Ok(answer) if answer.status == 200 => {
                            self.tokens.fetch_add(1, Ordering::SeqCst);
                        }
                        // It is dead, or does not stand yet.
                        Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        });
        tokio::join!(killing, join_all(writing));
        nodes
    }

    fn ends_with(&self, events: usize) {
        self.end.set(events).expect("it is told once");
    }

    /// Is that all?
    fn is_all(&self, seen: usize) -> bool {
        self.end.get().is_some_and(|end| seen >= *end)
    }

    fn asked(&self, node: usize, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.analyst[node].request(method, &format!("/events{path}"));
        request.bearer_auth(&self.token)
    }

    /// Asks for part after part, at the other node when one does not answer.
    async fn poll(&self, seen: &Seen) {
        let (mut after, mut node) = (String::new(), 0);
        while !self.is_all(seen.len()) {
            let path = format!("?limit=500&wait=1&after={after}");
            let Some(body) = answer(self.asked(node, Method::GET, &path)).await else {
                node = 1 - node;
                continue;
            };
            for line in body.lines() {
                after = seen.take(&serde_json::from_str(line).unwrap());
            }
        }
    }

    /// Reads a stream, and goes on by the last id at the other node when it breaks.
    async fn stream(&self, seen: &Seen) {
        let (mut last, mut node) = (None::<String>, 1);
        while !self.is_all(seen.len()) {
            let request = self.asked(node, Method::GET, "/stream");
            let request = match &last {
                Some(last) => request.header("Last-Event-ID", last),
                None => request,
            };
            node = 1 - node;
            let Ok(mut response) = request.send().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let mut text = String::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                text.push_str(std::str::from_utf8(&chunk).unwrap());
                while let Some((block, rest)) = text.split_once("\n\n") {
                    for line in block.lines() {
                        if let Some(data) = line.strip_prefix("data: ") {
                            seen.take(&serde_json::from_str(data).unwrap());
                        } else if let Some(id) = line.strip_prefix("id: ") {
                            last = Some(id.to_owned());
                        }
                    }
                    text = rest.to_owned();
                }
                if self.is_all(seen.len()) {
                    return;
                }
            }
        }
    }

    /// One of a group's workers.
    async fn work(&self, (own, seen): (usize, &Seen), all: &[Seen]) {
        let (mut done, mut node) = (Value::Null, own % 2);
        let given = || all.iter().flat_map(Seen::ids).collect::<BTreeSet<_>>().len();
        while !(self.end.get().is_some() && self.is_all(given())) {
            let mut question =
                json!({ "member": format!("worker-{own}"), "wait": 1, "limit": 300 });
            if !done.is_null() {
                question["done"] = done.clone();
            }
            let asked = self.asked(node, Method::POST, "/groups/under-fire/next");
            let Some(body) = answer(asked.json(&question)).await else {
                node = 1 - node;
                continue;
            };
            let mut body: Value = serde_json::from_str(&body).unwrap();
            for event in body["events"].as_array().unwrap() {
                seen.take(event);
            }
            done = body["done"].take();
        }
    }

    /// As one would read who does not know that positions are not committed in their order.
    async fn read_naively(&self, database: &Database, seen: &Seen) {
        let mut connection = database.connection().await;
        let mut last = 0;
        loop {
            let all = self.end.get().is_some();
            let found: Vec<(i64, String)> = sqlx::query_as(
                "SELECT position, encode(digest, 'hex') FROM events WHERE position > $1
                 ORDER BY position",
            )
            .bind(last)
            .fetch_all(&mut connection)
            .await
            .unwrap();
            if found.is_empty() && all {
                return;
            }
            last = found.last().map_or(last, |(position, _)| *position);
            seen.0.lock().unwrap().extend(found.into_iter().map(|(_, id)| id));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What was answered; nothing: the node is dead, or does not stand yet.
async fn answer(request: reqwest::RequestBuilder) -> Option<String> {
    let response = request.send().await.ok().filter(|response| response.status() == 200);
    let body = match response {
        Some(response) => response.text().await.ok(),
        None => None,
    };
    if body.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    body
}
