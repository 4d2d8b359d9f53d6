//! How long an auditor waits for an answer.
//!
//! ```text
//! cargo bench --bench audit_questions -- ISSUER TOKEN
//! ```
//!
//! Asks a server the questions of `src/audit/README.md`, by the API, each [`CALLS`] times, of
//! another day, grant or person each time, and prints a table in Markdown. The token needs the
//! scope `audit:read`. A store to ask is made by `chancery sample`; wait until it is sealed and
//! the read models are there (`chancery projections list`).

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures, and talks to a terminal"
)]

use std::time::Duration;

use serde_json::Value;
use time::{Date, OffsetDateTime};
use tokio::time::Instant;

/// How often each is asked.
const CALLS: usize = 30;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    chancery::outbound::crypto_provider();
    let [issuer, token] = arguments.as_slice() else {
        println!("ISSUER TOKEN");
        return;
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let server = Server { audit: format!("{issuer}/audit"), token, client };

    let today = OffsetDateTime::now_utc().date();
    let of = Whom::found(&server, today).await;
    let day = |n: usize| before(today, 10 + 11 * n);

    println!("| question | median | slowest | items |\n|---|---|---|---|");
    server.ask("access on a day, all", |n| format!("/access?on={}", day(n))).await;
    server
        .ask("access on a day, client", |n| {
            format!("/access?on={}&client_id={}", day(n), of.client(n))
        })
        .await;
    server
        .ask("access on a day, subject", |n| {
            format!("/access?on={}&subject={}", day(n), of.subject(n))
        })
        .await;
    server.ask("access today, all", |_| format!("/access?on={today}")).await;
    server.ask("lineage of a consent", |n| format!("/consents/{}/lineage", of.consent(n))).await;
    server.ask("lineage of a grant", |n| format!("/grants/{}/lineage", of.grant(n))).await;
    server.ask("incidents, newest", |_| "/incidents".to_owned()).await;
    server.ask("incidents, on a day", |n| format!("/incidents?since={0}&until={0}", day(n))).await;
    server.ask("incidents, client", |n| format!("/incidents?client_id={}", of.client(n))).await;
    server.ask("signed by key, all", |_| format!("/keys/{}/grants", of.key)).await;
    server
        .ask("signed by key, client", |n| {
            format!("/keys/{}/grants?client_id={}", of.key, of.client(n))
        })
        .await;
    server.ask("grant now", |n| format!("/grants/{}", of.grant(n))).await;
    server.ask("still alive, now", |_| "/still-alive".to_owned()).await;
    server.ask("still alive, at a time", |n| format!("/still-alive?at={}T12:00:00Z", day(n))).await;
    server
        .ask("still alive, since the beginning", |_| "/still-alive?since=2000-01-01".to_owned())
        .await;
    server.ask("still alive, grant", |n| format!("/grants/{}/still-alive", of.grant(n))).await;
    server.ask("changes of a client", |n| format!("/clients/{}/changes", of.client(n))).await;
    server.ask("personal data reads", |_| "/reads".to_owned()).await;
    server.ask("erasure of a subject", |n| format!("/subjects/{}/erasure", of.subject(n))).await;
    // Where the long histories are: what has been refreshed for weeks.
    server.ask_on("access on one day, every part", &format!("/access?on={}", day(15))).await;
}

fn before(today: Date, days: usize) -> Date {
    today - Duration::from_secs(86_400 * days as u64)
}

/// A server, and the right to ask it.
struct Server<'a> {
    audit: String,
    token: &'a str,
    client: reqwest::Client,
}

impl Server<'_> {
    async fn get(&self, path: &str) -> (Duration, Value) {
        let began = Instant::now();
        let asked = self.client.get(format!("{}{path}", self.audit)).bearer_auth(self.token);
        let answer = asked.send().await.unwrap();
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        let took = began.elapsed();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        (took, serde_json::from_slice(&body).unwrap())
    }

    async fn ask(&self, question: &str, path: impl Fn(usize) -> String) {
        let (mut took, mut items) = (vec![], 0);
        for n in 0..CALLS {
            let (time, answer) = self.get(&path(n)).await;
            took.push(time);
            items += answer["items"].as_array().map_or(1, Vec::len);
        }
        told(question, took, items);
    }

    async fn ask_on(&self, question: &str, path: &str) {
        let (mut took, mut items, mut next) = (vec![], 0, String::new());
        loop {
            let (time, answer) = self.get(&format!("{path}{next}")).await;
            took.push(time);
            items += answer["items"].as_array().unwrap().len();
            let Some(after) = answer["next"].as_str() else { break };
            next = format!("&after={after}");
        }
        let question = format!("{question} ({})", took.len());
        told(&question, took, items);
    }
}

fn told(question: &str, mut took: Vec<Duration>, items: usize) {
    took.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, slowest) = (ms(took[took.len() / 2]), ms(took[took.len() - 1]));
    println!("| {question} | {median:.1} | {slowest:.1} | {} |", items / took.len());
}

/// Whom to ask about.
struct Whom {
    accesses: Vec<Value>,
    key: String,
}

impl Whom {
    /// Takes what had access on some days.
    async fn found(server: &Server<'_>, today: Date) -> Self {
        let mut accesses = vec![];
        for days in [40, 150, 260, 340] {
            let path = format!("/access?on={}", before(today, days));
            let (_, answer) = server.get(&path).await;
            let items = answer["items"].as_array().unwrap();
            accesses.extend(items.iter().filter(|own| !own["subject"].is_null()).cloned());
        }
        let grant = accesses[0]["grant_id"].as_str().unwrap();
        let (_, lineage) = server.get(&format!("/grants/{grant}/lineage")).await;
        let key = kid_in(&lineage).unwrap().to_owned();
        Self { accesses, key }
    }

    fn own(&self, n: usize) -> &Value {
        &self.accesses[n * 7 % self.accesses.len()]
    }

    fn client(&self, n: usize) -> &str {
        self.own(n)["client_id"].as_str().unwrap()
    }

    fn subject(&self, n: usize) -> &str {
        self.own(n)["subject"].as_str().unwrap()
    }

    fn grant(&self, n: usize) -> &str {
        self.own(n)["grant_id"].as_str().unwrap()
    }

    fn consent(&self, n: usize) -> &str {
        let given = self.accesses.iter().filter_map(|own| own["consent"]["consent_id"].as_str());
        let given: Vec<_> = given.collect();
        given[n * 7 % given.len()]
    }
}

/// The first key named anywhere in it.
fn kid_in(value: &Value) -> Option<&str> {
    match value {
        Value::Object(members) => {
            let own = members.get("kid").and_then(Value::as_str);
            own.or_else(|| members.values().find_map(kid_in))
        }
        Value::Array(items) => items.iter().find_map(kid_in),
        _ => None,
    }
}
