//! Figures for the operator's monitoring, in the Prometheus data model: names
//! with units, and labels of which there are few. No client, subject, address
//! or path is ever a label. The page beside this folder says what each means.
//!
//! What happens is counted where it happens, by whom the counters were given to
//! ([`Metrics`]); how things stand is looked up when somebody asks
//! (`http/metrics/`).

mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use self::process::Process;
use crate::clock::Clock;
use crate::feed::consumer::Progress;

/// What names of our own begin with.
pub const PREFIX: &str = "chancery";

/// Seconds, for what takes milliseconds and should not take seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Appends in a batch.
const APPENDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// A histogram for each set of labels.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// All that is counted in one process.
pub struct Metrics {
    registry: Registry,
    pub http: Http,
    /// Answers of the token endpoint.
    pub token_requests: Family<TokenRequest, Counter>,
    /// What strangers were refused: what the windows in the log count too.
    pub refusals: Family<Refusal, Counter>,
    pub commits: Commits,
    pub outbound: Outbound,
    pub sinks: Sinks,
    started_at_ms: i64,
    watched: Mutex<Watched>,
}

/// Whom to ask how they are.
#[derive(Clone, Default)]
pub struct Watched {
    /// Of the feed.
    pub consumers: BTreeMap<&'static str, Progress>,
    /// Of some there are several.
    pub services: BTreeMap<&'static str, Vec<Vitals>>,
}

/// Whether a service runs.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    restarts: Arc<AtomicU64>,
    running: Arc<AtomicBool>,
}

/// It runs until this is dropped.
#[derive(Debug)]
pub struct Running(Arc<AtomicBool>);

impl Vitals {
    #[must_use]
    pub fn run(&self) -> Running {
        self.running.store(true, Ordering::Relaxed);
        Running(Arc::clone(&self.running))
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has been started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Of a process that starts now.
    #[must_use]
    pub fn new(clock: &dyn Clock) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let http = Http::registered(&mut registry);
        let token_requests = Family::default();
        registry.register(
            "token_requests",
            "Answers of the token endpoint, by grant type and outcome: issued, or the error code",
            Family::clone(&token_requests),
        );
        let refusals = Family::default();
        registry.register(
            "refusals",
            "Logins, client authentications and requests that were refused, as the log counts them",
            Family::clone(&refusals),
        );
        let commits = Commits::registered(&mut registry);
        let outbound = Outbound::registered(&mut registry);
        let sinks = Sinks::registered(&mut registry);
        Self {
            registry,
            http,
            token_requests,
            refusals,
            commits,
            outbound,
            sinks,
            started_at_ms: clock.now_ms(),
            watched: Mutex::default(),
        }
    }

    /// Shows how far a consumer of the feed is, from now on.
    pub fn watch_consumer(&self, name: &'static str, progress: &Progress) {
        self.lock().consumers.insert(name, progress.clone());
    }

    /// Shows whether a service runs, from now on.
    pub fn watch_service(&self, name: &'static str, vitals: &Vitals) {
        self.lock().services.entry(name).or_default().push(vitals.clone());
    }

    /// Whom to ask how they are.
    #[must_use]
    pub fn watched(&self) -> Watched {
        self.lock().clone()
    }

    /// What has been counted.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// When the process started: milliseconds since 1970.
    #[must_use]
    pub fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests that were answered, by where and how.
#[derive(Debug, Clone)]
pub struct Http {
    answered: Family<Answered, Counter>,
    took: Durations<Route>,
    pub in_flight: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

/// Where a request went: the pattern of its path, or `unmatched`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    pub method: &'static str,
    pub route: String,
}

impl Http {
    fn registered(registry: &mut Registry) -> Self {
        let http = Self {
            answered: Family::default(),
            took: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
        };
        registry.register(
            "http_requests",
            "HTTP requests that were answered, by method, route and status",
            http.answered.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer's, by method and route",
            Unit::Seconds,
            http.took.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "HTTP requests that are being answered",
            http.in_flight.clone(),
        );
        http
    }

    /// A request was answered.
    pub fn answered(&self, route: Route, status: u16, took: Duration) {
        self.took.get_or_create(&route).observe(took.as_secs_f64());
        let Route { method, route } = route;
        self.answered.get_or_create(&Answered { method, route, status }).inc();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TokenRequest {
    /// One that there is; `unknown` for all others.
    pub grant_type: &'static str,
    /// `issued`, or the error code.
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refusal {
    pub what: &'static str,
}

/// What the committer writes.
#[derive(Debug, Clone)]
pub struct Commits {
    events: Family<EventType, Counter>,
    appends: Family<Outcome, Counter>,
    took: Histogram,
    batch: Histogram,
}

/// An event type of the domain, of which there are some ninety.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventType {
    aggregate: &'static str,
    r#type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            events: Family::default(),
            appends: Family::default(),
            took: seconds(),
            batch: Histogram::new(APPENDS),
        }
    }
}

impl Commits {
    fn registered(registry: &mut Registry) -> Self {
        let commits = Self::default();
        registry.register(
            "events_appended",
            "Events that this node has written, by aggregate and type",
            commits.events.clone(),
        );
        registry.register(
            "appends",
            "Appends by outcome: appended, conflict, name_taken, already_used, overloaded (the \
             queue was full), unavailable",
            commits.appends.clone(),
        );
        registry.register_with_unit(
            "commit_duration",
            "Time that one transaction of the committer took, fsync included",
            Unit::Seconds,
            commits.took.clone(),
        );
        registry.register(
            "commit_batch_appends",
            "Appends in one transaction of the committer",
            commits.batch.clone(),
        );
        commits
    }

    /// A transaction has ended.
    pub fn committed(&self, appends: usize, took: Duration) {
        self.took.observe(took.as_secs_f64());
        self.batch.observe(f64::from(u32::try_from(appends).unwrap_or(u32::MAX)));
    }

    /// An append has ended so.
    pub fn appended(&self, outcome: &'static str) {
        self.appends.get_or_create(&Outcome { outcome }).inc();
    }

    /// The counter of an event type, to be kept.
    #[must_use]
    pub fn events(&self, aggregate: &'static str, name: &str) -> Counter {
        self.events.get_or_create_owned(&EventType { aggregate, r#type: name.to_owned() })
    }
}

/// Calls to others' servers.
#[derive(Debug, Clone)]
pub struct Outbound {
    calls: Family<Call, Counter>,
    took: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    outcome: &'static str,
}

impl Default for Outbound {
    fn default() -> Self {
        Self { calls: Family::default(), took: seconds() }
    }
}

impl Outbound {
    fn registered(registry: &mut Registry) -> Self {
        let outbound = Self::default();
        registry.register(
            "outbound_requests",
            "Calls to others' servers, by method and outcome: the class of the status, or what \
             went wrong",
            outbound.calls.clone(),
        );
        registry.register_with_unit(
            "outbound_request_duration",
            "Time that a call to another's server took, whatever its outcome",
            Unit::Seconds,
            outbound.took.clone(),
        );
        outbound
    }

    /// A call has ended.
    pub fn called(&self, method: &'static str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&Call { method, outcome }).inc();
        self.took.observe(took.as_secs_f64());
    }
}

/// What was delivered to sinks. Their names are the settings'.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    deliveries: Family<Delivery, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    sink: String,
    outcome: &'static str,
}

impl Sinks {
    fn registered(registry: &mut Registry) -> Self {
        let sinks = Self::default();
        registry.register(
            "sink_deliveries",
            "Events by sink and outcome: delivered, refused (each try counts), unreachable, \
             dead_lettered",
            sinks.deliveries.clone(),
        );
        sinks
    }

    /// So many events had this outcome.
    pub fn delivered(&self, sink: &str, outcome: &'static str, events: usize) {
        if events > 0 {
            let delivery = Delivery { sink: sink.to_owned(), outcome };
            self.deliveries.get_or_create(&delivery).inc_by(events as u64);
        }
    }
}
