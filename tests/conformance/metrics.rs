//! Figures for the operator's monitoring: the Prometheus text format 0.0.4, and OpenMetrics 1.0
//! for those who ask for it.

use std::collections::{BTreeMap, BTreeSet};

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Client;

use crate::support::server::free_address;
use crate::support::{
    Answer, Listener, Scene, StoreKind, TestServer, confidential, service, until,
};

both_stores! {
    metrics_are_served_on_their_own_address_only,
    metrics_are_off_unless_they_have_an_address,
    a_token_is_asked_for_where_there_is_one,
    every_line_is_of_the_format_that_was_asked_for,
    metrics_count_a_refused_token_request,
    metrics_count_requests_by_route_and_not_by_path,
    metrics_count_the_events_that_are_appended,
    many_clients_and_grants_make_no_more_series,
    what_follows_the_log_has_no_lag_when_it_has_caught_up,
    deliveries_to_sinks_are_counted,
    failed_logins_are_counted_for_nobody_by_name,
    the_store_s_connections_are_shown_where_there_are_any,
}

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

struct Monitoring {
    http: Client,
    url: String,
}

impl Monitoring {
    /// Of a server with these settings besides.
    async fn of(store: StoreKind, settings: &str) -> (Self, Scene) {
        let address = free_address();
        let settings = format!("{settings}\n[metrics]\nlisten = [\"{address}\"]\n");
        let scene = Scene::with(store, &settings, confidential()).await;
        let http = Client::builder().no_proxy().build().unwrap();
        (Self { http, url: format!("http://{address}/metrics") }, scene)
    }

    async fn get(&self, accept: &str) -> Answer {
        Answer::of(self.http.get(&self.url).header("accept", accept).send().await.unwrap()).await
    }

    async fn scrape(&self) -> Scrape {
        let answer = self.get("text/plain").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Scrape::read(&answer.body)
    }
}

/// What was scraped, every rule of the format checked.
#[derive(Debug)]
struct Scrape {
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// The text format 0.0.4, as `promtool check metrics` reads it.
    fn read(text: &str) -> Self {
        Self::read_as(text, |name, kind| match kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).into(),
            _ => BTreeSet::from([name.to_owned()]),
        })
    }

    /// OpenMetrics: the samples of a counter end in `_total`, the whole in `# EOF`.
    fn read_openmetrics(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("its end");
        Self::read_as(text, |name, kind| match kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).into(),
            "counter" => BTreeSet::from([format!("{name}_total")]),
            _ => BTreeSet::from([name.to_owned()]),
        })
    }

    fn read_as(text: &str, samples_of: impl Fn(&str, &str) -> BTreeSet<String>) -> Self {
        assert!(text.ends_with('\n'));
        let (mut series, mut seen, mut family) =
            (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut kinds = BTreeMap::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (word, rest) = comment.split_once(' ').unwrap();
                let (name, text) = rest.split_once(' ').unwrap();
                assert!(is_name(name), "{line}");
                match word {
                    "HELP" => assert!(seen.insert(name.to_owned()), "{name} comes twice"),
                    "TYPE" => {
                        assert!(["counter", "gauge", "histogram"].contains(&text), "{line}");
                        family = samples_of(name, text);
                        kinds.insert(name.to_owned(), text.to_owned());
                    }
                    "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{line}"),
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let base = name.split('{').next().unwrap();
            assert!(family.contains(base), "{line} belongs to {family:?}");
            assert!(name.len() == base.len() || labels_are_good(&name[base.len()..]), "{line}");
            let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
            assert!(series.insert(name.to_owned(), value).is_none(), "{name} comes twice");
        }
        let scrape = Self { series };
        for (name, _) in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            scrape.check_histogram(name);
        }
        scrape
    }

    /// Buckets never grow smaller, and the last holds all.
    fn check_histogram(&self, name: &str) {
        let buckets = format!("{name}_bucket{{");
        let (mut last, mut found) = (BTreeMap::<String, f64>::new(), BTreeMap::new());
        for (series, count) in self.series.iter().filter(|(own, _)| own.starts_with(&buckets)) {
            let labels = series[buckets.len()..].trim_end_matches('}');
            let (others, bound): (Vec<_>, Vec<_>) =
                labels.split(',').partition(|label| !label.starts_with("le="));
            let bound = bound[0].trim_start_matches("le=").trim_matches('"');
            let others = others.join(",");
            if bound == "+Inf" {
                last.insert(others, *count);
            } else {
                let bounds: &mut Vec<(f64, f64)> = found.entry(others).or_default();
                bounds.push((bound.parse().unwrap(), *count));
            }
        }
        for (labels, whole) in last {
            let mut bounds = found.remove(&labels).unwrap();
            bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(bounds.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {bounds:?}");
            assert!(bounds.last().unwrap().1 <= whole, "{name}: {bounds:?}");
            let of = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            self.is(&format!("{name}_count{of}"), whole);
        }
    }

    /// The value of a series, 0 where there is none yet.
    fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or(0.0)
    }

    #[track_caller]
    fn is(&self, series: &str, value: f64) {
        let near = || {
            let name = series.split('{').next().unwrap();
            self.series.iter().filter(|(own, _)| own.starts_with(name)).collect::<Vec<_>>()
        };
        assert!((self.value(series) - value).abs() < 1e-9, "{series}: {:?}", near());
    }

    /// The series of a family, with their labels.
    fn of(&self, name: &str) -> BTreeMap<&str, f64> {
        let own = |series: &&String| series.split('{').next() == Some(name);
        self.series.iter().filter(|(series, _)| own(series)).map(|(s, v)| (&**s, *v)).collect()
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(first) && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
}

/// `{name="value",…}`, values with `\`, `"` and line ends escaped.
fn labels_are_good(labels: &str) -> bool {
    let Some(mut rest) = labels.strip_prefix('{').and_then(|own| own.strip_suffix('}')) else {
        return false;
    };
    loop {
        let Some((name, value)) = rest.split_once("=\"") else { return false };
        let Some(end) = value.find('"') else { return false };
        if !is_name(name) || value[..end].contains('\\') {
            return false;
        }
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.is_empty(),
        }
    }
}

async fn metrics_are_served_on_their_own_address_only(store: StoreKind) {
    let (monitoring, scene) = Monitoring::of(store, "").await;
    let answer = monitoring.get("*/*").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.is_not_kept();
    assert_eq!(scene.rp.get("/metrics").await.status, 404);
    // And nothing else is there.
    for path in ["/", "/token", "/health/live", "/jwks"] {
        let url = monitoring.url.replace("/metrics", path);
        assert_eq!(monitoring.http.get(url).send().await.unwrap().status(), 404, "{path}");
    }
    let posted = monitoring.http.post(&monitoring.url).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

async fn metrics_are_off_unless_they_have_an_address(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    assert_eq!(rp.get("/metrics").await.status, 404);
}

/// RFC 6750 §2.1, §3
async fn a_token_is_asked_for_where_there_is_one(store: StoreKind) {
    let (_, token) = (store, "mF_9.B5f-4.1JqM");
    let address = free_address();
    let settings = format!("[metrics]\nlisten = [\"{address}\"]\ntoken = \"{token}\"\n");
    let _server = TestServer::with_settings(store, &settings).await;
    let http = Client::builder().no_proxy().build().unwrap();
    let get = |authorization: Option<String>| {
        let request = http.get(format!("http://{address}/metrics"));
        match authorization {
            Some(value) => request.header("authorization", value).send(),
            None => request.send(),
        }
    };
    for wrong in [None, Some("Bearer x".to_owned()), Some(format!("Basic {token}"))] {
        let answer = Answer::of(get(wrong).await.unwrap()).await;
        assert_eq!((answer.status, &*answer.body), (401, ""));
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
    }
    let right = get(Some(format!("Bearer {token}"))).await.unwrap();
    assert_eq!(right.status(), 200);
}

async fn every_line_is_of_the_format_that_was_asked_for(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    scene.tokens(&[]).await;
    let scrape = monitoring.scrape().await;
    let answer = monitoring.get(OPENMETRICS).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let other = Scrape::read_openmetrics(&answer.body);
    let lasting = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.series.keys().filter(|own| !own.contains("le=")).cloned().collect()
    };
    assert_eq!(lasting(&scrape), lasting(&other), "both tell the same");
    for series in ["chancery_store_up", "chancery_http_requests_in_flight", "process_threads"] {
        assert!(scrape.series.contains_key(series), "{series}");
    }
    let build = format!("chancery_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    scrape.is(&build, 1.0);
    // Base units, and no others.
    for name in scrape.series.keys().map(|own| own.split('{').next().unwrap()) {
        for unit in ["milliseconds", "_ms", "minutes", "kilobytes", "megabytes", "percent"] {
            assert!(!name.contains(unit), "{name}");
        }
    }
}

/// RFC 6749 §5.2
async fn metrics_count_a_refused_token_request(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    let series = |grant_type: &str, outcome: &str| {
        format!(
            "chancery_token_requests_total{{grant_type=\"{grant_type}\",outcome=\"{outcome}\"}}"
        )
    };
    scene.rp.redeem("nonsense").await.invalid_grant();
    scene.rp.redeem("nonsense").await.invalid_grant();
    scene.rp.client_credentials(&[]).await.refused(400, "unauthorized_client");
    let odd = [("grant_type", "urn:what\"ever\nelse")];
    scene.rp.post("/token", &odd).await.refused(400, "unsupported_grant_type");
    scene.rp.clone().with_secret("wrong").redeem("nonsense").await.refused(401, "invalid_client");
    scene.tokens(&[]).await;
    let scrape = monitoring.scrape().await;
    scrape.is(&series("authorization_code", "invalid_grant"), 2.0);
    scrape.is(&series("authorization_code", "invalid_client"), 1.0);
    scrape.is(&series("client_credentials", "unauthorized_client"), 1.0);
    scrape.is(&series("unknown", "unsupported_grant_type"), 1.0);
    scrape.is(&series("authorization_code", "issued"), 1.0);
    let refusals = "chancery_refusals_total{what=\"token_request_refused\"}";
    scrape.is(refusals, 5.0);
}

async fn metrics_count_requests_by_route_and_not_by_path(store: StoreKind) {
    let (monitoring, scene) = Monitoring::of(store, "").await;
    for id in ["4711", "0815", "a%22b"] {
        scene.rp.get(&format!("/register/{id}")).await;
        scene.rp.get(&format!("/nowhere/{id}")).await;
    }
    scene.rp.get("/health/live").await.ok();
    let brew = reqwest::Method::from_bytes(b"BREW").unwrap();
    scene.rp.request(brew, "/token").send().await.unwrap();
    let scrape = monitoring.scrape().await;
    let series = |method: &str, route: &str, status: u16| {
        format!(
            "chancery_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        )
    };
    scrape.is(&series("GET", "/health/live", 200), 1.0);
    scrape.is(&series("GET", "unmatched", 404), 3.0);
    scrape.is(&series("other", "/token", 405), 1.0);
    let took =
        "chancery_http_request_duration_seconds_count{method=\"GET\",route=\"/health/live\"}";
    scrape.is(took, 1.0);
    scrape.is("chancery_http_requests_in_flight", 0.0);
    let all = scrape.of("chancery_http_requests_total");
    assert!(all.keys().all(|own| !own.contains("4711") && !own.contains("0815")), "{all:?}");
}

async fn metrics_count_the_events_that_are_appended(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    scene.tokens(&[]).await;
    let log = scene.server.log().await;
    let scrape = monitoring.scrape().await;
    let mut counts = BTreeMap::<_, f64>::new();
    for stored in &log {
        let event = &stored.event;
        let labels = format!("aggregate=\"{}\",type=\"{}\"", event.stream.kind, event.event_type);
        *counts.entry(format!("chancery_events_appended_total{{{labels}}}")).or_default() += 1.0;
    }
    let counted = scrape.of("chancery_events_appended_total");
    for (series, count) in counts {
        assert!(counted.get(&*series).is_some_and(|own| *own >= count), "{series}: {counted:?}");
    }
    let appended = scrape.value("chancery_appends_total{outcome=\"appended\"}");
    assert!(appended >= 1.0);
    assert!(scrape.value("chancery_commit_duration_seconds_count") >= 1.0);
    let written = scrape.value("chancery_commit_batch_appends_sum");
    assert!(written >= appended, "{written} of {appended}");
    scrape.is("chancery_append_queue_length", 0.0);
    assert!(scrape.value("chancery_append_queue_max") >= 1.0);
}

async fn many_clients_and_grants_make_no_more_series(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    let one_round = async |scene: &mut Scene, number: u32| {
        let client = scene.server.register(&format!("client-{number}"), service()).await;
        client.client_credentials(&[]).await.ok();
        client.redeem("nonsense").await.refused(400, "unauthorized_client");
        client.get(&format!("/register/{number}")).await;
        client.get(&format!("/nowhere/{number}")).await;
        scene.tokens(&[]).await;
    };
    one_round(&mut scene, 0).await;
    scene.server.settled().await;
    until("all services run", || async {
        let scrape = monitoring.scrape().await;
        scrape.of("chancery_services_running").values().all(|running| *running >= 1.0)
    })
    .await;
    let few: BTreeSet<_> = monitoring.scrape().await.series.into_keys().collect();
    for number in 1..25 {
        one_round(&mut scene, number).await;
    }
    let many: BTreeSet<_> = monitoring.scrape().await.series.into_keys().collect();
    let more: Vec<_> = many.difference(&few).filter(|own| !is_about_the_server(own)).collect();
    assert!(more.is_empty(), "{more:?}");
    let text = monitoring.get("text/plain").await.body;
    let ada = scene.ada.to_string();
    for secret in ["client-1", "\"rp\"", &*ada, "ada", "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// What the server does by itself may begin later.
fn is_about_the_server(series: &str) -> bool {
    ["type=\"CheckpointKeyPublished\"", "aggregate=\"log\"", "aggregate=\"tally\""]
        .iter()
        .any(|own| series.contains(own))
        || series.starts_with("chancery_last_checkpoint")
}

async fn what_follows_the_log_has_no_lag_when_it_has_caught_up(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    scene.tokens(&[]).await;
    until("all have caught up", || async {
        let scrape = monitoring.scrape().await;
        let lags = scrape.of("chancery_consumer_lag_events");
        lags.len() > 5
            && lags.values().all(|lag| *lag == 0.0)
            && scrape.value("chancery_feed_lag_events") == 0.0
            && scrape.value("chancery_seal_lag_events") == 0.0
    })
    .await;
    let scrape = monitoring.scrape().await;
    let end = scene.server.log().await.last().unwrap().position;
    #[expect(clippy::cast_precision_loss, reason = "there are few events")]
    let end = end as f64;
    for name in ["chancery_log_position", "chancery_feed_position", "chancery_sealed_position"] {
        assert!(scrape.value(name) <= end && scrape.value(name) > 0.0, "{name}");
    }
    for consumer in ["process_manager", "grants", "eraser"] {
        scrape.is(&format!("chancery_consumer_failing{{consumer=\"{consumer}\"}}"), 0.0);
        let position =
            scrape.value(&format!("chancery_consumer_position{{consumer=\"{consumer}\"}}"));
        assert!(position > 0.0, "{consumer}");
    }
    assert!(scrape.value("chancery_last_checkpoint_timestamp_seconds") > 1.7e9);
    let restarts = scrape.of("chancery_service_restarts_total");
    assert!(restarts.len() > 5 && restarts.values().all(|count| *count == 0.0), "{restarts:?}");
    let running = scrape.of("chancery_services_running");
    assert!(running.values().all(|count| *count >= 1.0), "{running:?}");
    scrape.is("chancery_keys{algorithm=\"ES256\",state=\"active\"}", 1.0);
    let since = scrape.value("chancery_key_activated_timestamp_seconds{algorithm=\"ES256\"}");
    let until = scrape.value("chancery_key_rotation_timestamp_seconds{algorithm=\"ES256\"}");
    assert!(since > 1.7e9 && (until == 0.0 || until > since), "{since} {until}");
}

async fn deliveries_to_sinks_are_counted(store: StoreKind) {
    let listener = Listener::start().await;
    listener.answer(422);
    let settings = format!(
        "[outbound]\nallow_loopback = true\nallow_http = true\n[sinks.hook]\nto = \"webhook\"\n\
         url = \"{}\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nattempts = 1\n\
         types = [\"ClientRegistered\"]\n",
        listener.url
    );
    let (monitoring, scene) = Monitoring::of(store, &settings).await;
    let outcome =
        |own: &str| format!("chancery_sink_deliveries_total{{sink=\"hook\",outcome=\"{own}\"}}");
    until("it is put aside", || async {
        monitoring.scrape().await.value(&outcome("dead_lettered")) >= 1.0
    })
    .await;
    let scrape = monitoring.scrape().await;
    scrape.is(&outcome("refused"), 1.0);
    scrape.is("chancery_sink_dead_letters{sink=\"hook\"}", 1.0);
    scrape.is("chancery_outbound_requests_total{method=\"POST\",outcome=\"4xx\"}", 1.0);
    assert!(scrape.value("chancery_outbound_request_duration_seconds_count") >= 1.0);
    listener.answer(204);
    scene.server.register("other", service()).await;
    until("the next is delivered", || async {
        let scrape = monitoring.scrape().await;
        scrape.value(&outcome("delivered")) >= 1.0
            && scrape.value("chancery_sink_lag_events{sink=\"hook\"}") == 0.0
    })
    .await;
}

async fn failed_logins_are_counted_for_nobody_by_name(store: StoreKind) {
    let (monitoring, mut scene) = Monitoring::of(store, "").await;
    let url = scene.rp.authorize_url(&crate::support::good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.try_password(&page, "ada", "wrong").await.shows("login-form");
    scene.browser.try_password(&page, "nobody-here", "wrong").await.shows("login-form");
    let answer = monitoring.get("text/plain").await;
    let scrape = Scrape::read(&answer.body);
    scrape.is("chancery_refusals_total{what=\"login_failed\"}", 2.0);
    assert!(!answer.body.contains("nobody-here") && !answer.body.contains("ada"));
    scrape.is("chancery_password_hashes_running", 0.0);
    scrape.is("chancery_password_hashes_waiting", 0.0);
}

async fn the_store_s_connections_are_shown_where_there_are_any(store: StoreKind) {
    let (monitoring, scene) = Monitoring::of(store, "").await;
    let metadata = ClientMetadata { scope: Scope::parse("events:read").unwrap(), ..service() };
    scene.server.register("analyst", metadata).await;
    let scrape = monitoring.scrape().await;
    scrape.is("chancery_store_up", 1.0);
    let connections = scrape.of("chancery_database_connections");
    match store {
        StoreKind::Sqlite => assert!(connections.is_empty(), "{connections:?}"),
        StoreKind::Postgres => {
            assert_eq!(connections.len(), 2, "{connections:?}");
            scrape.is("chancery_database_connections_max", 4.0);
        }
    }
    scrape.is("chancery_feed_skipped_positions_total", 0.0);
}
