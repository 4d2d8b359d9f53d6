//! How fast events are read, and how soon they are there.
//!
//! ```text
//! cargo bench --bench event_stream -- store URL
//! cargo bench --bench event_stream -- http ISSUER TOKEN
//! cargo bench --bench event_stream -- lag ISSUER TOKEN SECONDS
//! ```
//!
//! `store` reads the whole log of a store (`sqlite://FOLDER` or `postgres://…`), and writes it as
//! `CloudEvents`; `http` reads it from a server, part by part and as one stream; `lag` tells how
//! long after the store took an event a stream has it (while something else makes events): both
//! by the clock of this machine, on which all has to run.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures, and talks to a terminal"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chancery::events::envelope::CloudEvents;
use chancery::feed::Feed;
use chancery::stores::Store;
use chancery::stores::postgres::PostgresStore;
use chancery::stores::sqlite::SqliteStore;
use serde_json::Value;
use tokio::time::Instant;

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    chancery::outbound::crypto_provider();
    match *arguments.as_slice() {
        ["store", url] => store(url).await,
        ["http", issuer, token] => http(issuer, token).await,
        ["lag", issuer, token, seconds] => lag(issuer, token, seconds.parse().unwrap()).await,
        _ => println!("store URL | http ISSUER TOKEN | lag ISSUER TOKEN SECONDS"),
    }
}

fn told(what: &str, events: usize, bytes: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "it is told roundly")]
    let rate = |count: usize| count as f64 / seconds;
    println!(
        "{what}: {events} events in {seconds:.2} s, {:.0} events/s, {:.0} MB/s",
        rate(events),
        rate(bytes) / 1e6
    );
}

async fn store(url: &str) {
    let store: Arc<dyn Store> = match url.strip_prefix("sqlite://") {
        Some(folder) => Arc::new(SqliteStore::open_read_only(Path::new(folder)).unwrap()),
        None => Arc::new(PostgresStore::connect(url, 4).await.unwrap()),
    };
    let end = store.last_position().await.unwrap();

    let (mut log, mut count, mut bytes, began) = (store.read_log(0), 0, 0, Instant::now());
    while log.position() < end {
        for stored in log.next(1000).await.unwrap() {
            count += 1;
            bytes += stored.event.payload.len() + stored.event.metadata.len();
        }
    }
    told("the log", count, bytes, began);

    let (feed, mut count, mut bytes, began) = (Feed::new(Arc::clone(&store)), 0, 0, Instant::now());
    let mut events = feed.subscribe(0);
    while events.position() < end {
        for event in &events.next().await.unwrap() {
            count += 1;
            bytes += event.stored.event.payload.len() + event.stored.event.metadata.len();
        }
    }
    told("by the feed", count, bytes, began);

    let cloud = CloudEvents::from_issuer("https://as.example", &*store);
    let (mut log, mut count, mut bytes, began) = (store.read_log(0), 0, 0, Instant::now());
    let mut line = Vec::new();
    while log.position() < end {
        for stored in log.next(1000).await.unwrap() {
            line.clear();
            cloud.write(&stored, &mut line).unwrap();
            count += 1;
            bytes += line.len();
        }
    }
    told("written as CloudEvents", count, bytes, began);
    store.close().await;
}

fn get(issuer: &str, token: &str, path: &str) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("{issuer}/events{path}")).bearer_auth(token)
}

async fn http(issuer: &str, token: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut after, mut count, mut bytes, began) = (String::new(), 0, 0, Instant::now());
    loop {
        let url = format!("{issuer}/events?limit=10000&after={after}");
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        let answer = answer.error_for_status().unwrap();
        let body = answer.bytes().await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        let found = text.lines().filter(|line| line.starts_with("{\"specversion\"")).count();
        if found == 0 {
            break;
        }
        count += found;
        bytes += body.len();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["cursor"].as_str().unwrap().clone_into(&mut after);
    }
    told("GET /events", count, bytes, began);

    let wanted = count;
    let mut answer = get(issuer, token, "/stream").send().await.unwrap();
    let (mut count, mut bytes, began) = (0, 0, Instant::now());
    let mut ended_with = Vec::new();
    while count < wanted {
        let chunk = answer.chunk().await.unwrap().unwrap();
        bytes += chunk.len();
        // Chunks end anywhere.
        ended_with.extend_from_slice(&chunk);
        count += ended_with.windows(6).filter(|six| *six == b"data: ").count();
        ended_with.drain(..ended_with.len().saturating_sub(5));
    }
    told("GET /events/stream", count, bytes, began);
}

async fn lag(issuer: &str, token: &str, seconds: u64) {
    let mut answer = get(issuer, token, "/stream?after=now").send().await.unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut text, mut lags) = (String::new(), Vec::new());
    while let Ok(chunk) = tokio::time::timeout_at(end, answer.chunk()).await {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        let Some((whole, rest)) = text.rsplit_once("\n\n") else { continue };
        for line in whole.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event: Value = serde_json::from_str(line).unwrap();
            let recorded = event["recordedtime"].as_str().unwrap();
            let format = &time::format_description::well_known::Rfc3339;
            let recorded = time::OffsetDateTime::parse(recorded, format).unwrap();
            let recorded = recorded.unix_timestamp_nanos() / 1_000_000;
            lags.push(i128::try_from(now).unwrap() - recorded);
        }
        text = rest.to_owned();
    }
    lags.sort_unstable();
    let at = |share: usize| lags.get((lags.len() * share / 1000).min(lags.len() - 1)).unwrap();
    println!(
        "{} events, lag in ms: median {}, p90 {}, p99 {}, p99.9 {}, most {}",
        lags.len(),
        at(500),
        at(900),
        at(990),
        at(999),
        lags.last().unwrap()
    );
}
