//! How things stand: looked up when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use chancery_domain::time::UnixTime;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::events::groups::{Groups, Partition};
use crate::events::sinks;
use crate::events::sinks::dead_letters::DeadLetter;
use crate::services::Services;
use crate::stores::{LogCheckpoint, StoreError};
use crate::telemetry::metrics::{PREFIX, Process, Vitals, Watched};
use crate::telemetry::otlp;

/// Groups beyond these are counted, and have no figures of their own.
const GROUPS: u32 = 100;
/// Dead letters beyond these are not counted: there are enough to look.
const LETTERS: u32 = 1000;

/// A label and its value.
type Labels = Vec<(&'static str, String)>;

/// What the store knows.
pub(super) struct Beside {
    end: u64,
    checkpoint: Option<LogCheckpoint>,
    packed: u64,
    /// Up to which position all of each has been taken.
    groups: BTreeMap<String, u64>,
    sinks: BTreeMap<String, Delivered>,
}

struct Delivered {
    through: Option<u64>,
    letters: usize,
}

impl Beside {
    pub async fn look_up(services: &Services) -> Result<Self, StoreError> {
        let store = &*services.store;
        let end = store.last_position().await?;
        let checkpoint = store.log_checkpoint().await?;
        let packed = store.packed_through().await?;
        let groups = Groups::of(store).list("", GROUPS).await?;
        let through = |partitions: &[Partition]| {
            partitions.iter().map(|partition| partition.position).min().unwrap_or(0)
        };
        let groups =
            groups.into_iter().map(|own| (own.name, through(&own.state.partitions))).collect();
        let mut delivered = BTreeMap::new();
        for name in services.config.sinks.keys() {
            // One that has not begun yet is not there.
            let group = sinks::groups(services).get(name).await.ok();
            let letters = DeadLetter::list(store, name, 0, LETTERS).await?.len();
            let through = group.map(|group| through(&group.state.partitions));
            delivered.insert(name.clone(), Delivered { through, letters });
        }
        Ok(Self { end, checkpoint, packed, groups, sinks: delivered })
    }
}

/// Gauges as they are now.
pub(super) struct Shown {
    registry: Registry,
    /// Of names that all programs have in common.
    common: Registry,
}

impl Shown {
    pub fn of(services: &Services, beside: Option<&Beside>) -> Self {
        let (registry, common) = (Registry::with_prefix(PREFIX), Registry::default());
        let mut shown = Self { registry, common };
        shown.store(services, beside);
        if let Some(beside) = beside {
            shown.seals(beside);
            shown.groups(beside);
            shown.sinks(beside);
        }
        shown.feed(services, beside.map(|beside| beside.end));
        shown.readers(services);
        shown.services(&services.metrics.watched());
        shown.work(services);
        shown.keys(services);
        shown.spans();
        shown.process(services);
        shown
    }

    fn store(&mut self, services: &Services, beside: Option<&Beside>) {
        let up = i64::from(beside.is_some());
        self.gauge("store_up", "1 if the store answers, 0 if not", up);
        if let Some(pool) = services.store.pool() {
            let states = [("idle", pool.idle), ("in_use", pool.in_use)];
            self.gauges(
                "database_connections",
                "Connections of the pool to the database server, by state",
                states.map(|(state, count)| (label("state", state), i64::from(count))),
            );
            let help = "Connections that the pool may have";
            self.gauge("database_connections_max", help, pool.most.into());
        }
        let (waiting, most) = services.committer.queue();
        self.gauge("append_queue_length", "Appends that wait to be written", count(waiting));
        let help = "Appends that may wait: more are refused";
        self.gauge("append_queue_max", help, count(most));
    }

    fn seals(&mut self, beside: &Beside) {
        self.gauge("log_position", "The position of the last event in the log", whole(beside.end));
        let sealed = beside.checkpoint.as_ref();
        let position = sealed.map_or(0, |own| own.position);
        let help = "The position of the last event that a checkpoint covers";
        self.gauge("sealed_position", help, whole(position));
        let help = "Positions in the log that no checkpoint covers yet";
        self.gauge("seal_lag_events", help, whole(beside.end.saturating_sub(position)));
        let help = "The position up to which all events are in packs";
        self.gauge("packed_position", help, whole(beside.packed));
        if let Some(sealed) = sealed {
            self.moment(
                "last_checkpoint_timestamp",
                "When the last checkpoint was signed",
                sealed.signed_at_ms,
            );
        }
    }

    fn feed(&mut self, services: &Services, end: Option<u64>) {
        let feed = &services.feed;
        let Some(live) = feed.position() else { return };
        let help = "The position up to which this node has read the log";
        self.gauge("feed_position", help, whole(live));
        let end = end.unwrap_or(live).max(live);
        self.gauge(
            "feed_lag_events",
            "Positions in the log that this node has not read yet",
            whole(end.saturating_sub(live)),
        );
        self.counter(
            "feed_skipped_positions",
            "Positions without an event that this node has stepped over: what was rolled back",
            feed.skipped(),
        );
        let consumers = services.metrics.watched().consumers;
        let of = |name: &&'static str| label("consumer", name);
        self.gauges(
            "consumer_position",
            "The position up to which a consumer of the log has done its work",
            consumers.iter().map(|(name, own)| (of(name), whole(own.position()))),
        );
        self.gauges(
            "consumer_lag_events",
            "Positions in the log that a consumer has yet to take",
            consumers
                .iter()
                .map(|(name, own)| (of(name), whole(end.saturating_sub(own.position())))),
        );
        self.gauges(
            "consumer_failing",
            "1 if the last try of a consumer failed, 0 if not",
            consumers.iter().map(|(name, own)| (of(name), i64::from(own.failure().is_some()))),
        );
    }

    fn readers(&mut self, services: &Services) {
        let readers = services.readers.all();
        let end = services.feed.position().unwrap_or(0);
        let help = "Readers of the event stream that this node has seen since its start";
        self.gauge("event_readers", help, count(readers.len()));
        let streams = readers.values().map(|own| i64::from(own.streams)).sum();
        let help = "Connections that readers of the event stream hold open";
        self.gauge("event_streams", help, streams);
        let open = readers.values().filter(|own| own.streams > 0);
        let furthest = open.map(|own| end.saturating_sub(own.position)).max();
        self.gauge(
            "event_stream_lag_events_max",
            "Positions that the last of the readers with an open connection has yet to be given",
            whole(furthest.unwrap_or(0)),
        );
    }

    fn groups(&mut self, beside: &Beside) {
        self.gauge(
            "event_groups",
            "Groups of readers of the event stream (the first hundred)",
            count(beside.groups.len()),
        );
        let lag = |through: u64| whole(beside.end.saturating_sub(through));
        self.gauges(
            "event_group_lag_events",
            "Positions that the slowest partition of a group has yet to take",
            beside.groups.iter().map(|(name, through)| (label("group", name), lag(*through))),
        );
    }

    fn sinks(&mut self, beside: &Beside) {
        let begun = || {
            let own = beside.sinks.iter();
            own.filter_map(|(name, own)| Some((label("sink", name), own.through?)))
        };
        self.gauges(
            "sink_position",
            "The position up to which all that a sink wants was delivered",
            begun().map(|(sink, through)| (sink, whole(through))),
        );
        self.gauges(
            "sink_lag_events",
            "Positions that have yet to be delivered to a sink, or passed over",
            begun().map(|(sink, through)| (sink, whole(beside.end.saturating_sub(through)))),
        );
        self.gauges(
            "sink_dead_letters",
            "Events that a sink refused and that wait to be looked at (1000 at most)",
            beside.sinks.iter().map(|(name, own)| (label("sink", name), count(own.letters))),
        );
    }

    fn services(&mut self, watched: &Watched) {
        self.gauges(
            "services_running",
            "Services of this node that run; fewer than one means that it has panicked",
            watched.services.iter().map(|(name, all)| {
                let running = all.iter().filter(|own| own.is_running()).count();
                (label("service", name), count(running))
            }),
        );
        self.counters(
            "service_restarts",
            "How often a service has panicked and was started again",
            watched.services.iter().map(|(name, all)| {
                let restarts = all.iter().map(Vitals::restarts);
                (label("service", name), restarts.sum())
            }),
        );
    }

    fn work(&mut self, services: &Services) {
        let help = "Grants that are kept in memory, each with its actor";
        self.gauge("grant_actors", help, count(services.grants.resident()));
        let load = services.passwords.load();
        let help = "Passwords that are being hashed";
        self.gauge("password_hashes_running", help, count(load.running));
        let help = "Passwords that wait to be hashed";
        self.gauge("password_hashes_waiting", help, count(load.waiting));
        self.counter(
            "password_hashes_refused",
            "Passwords that were not looked at because too many waited",
            load.refused,
        );
    }

    fn keys(&mut self, services: &Services) {
        let keys = services.keys.get();
        let mut counts = BTreeMap::<_, i64>::new();
        let mut since = BTreeMap::new();
        for key in &keys.all {
            let state = if key.is_active() { "active" } else { "retired" };
            if key.is_listed(services.now()) {
                *counts.entry((key.algorithm.as_str(), state)).or_default() += 1;
            }
            if let Some(at) = key.activated_at.filter(|_| key.is_active()) {
                let latest = since.entry(key.algorithm.as_str()).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        let labels = |(algorithm, state): (&str, &str)| {
            vec![("algorithm", algorithm.to_owned()), ("state", state.to_owned())]
        };
        self.gauges(
            "keys",
            "Keys in the JWKS, by algorithm and state: active, or retired",
            counts.into_iter().map(|(key, count)| (labels(key), count)),
        );
        let ms = |at: UnixTime| at.seconds().saturating_mul(1000);
        self.moments(
            "key_activated_timestamp",
            "Since when the key of an algorithm is in use",
            since.iter().map(|(algorithm, at)| (label("algorithm", algorithm), ms(*at))),
        );
        let days = i64::from(services.config.keys.rotate_after_days);
        if days > 0 {
            let age_ms = days * 86_400_000;
            self.moments(
                "key_rotation_timestamp",
                "When the key of an algorithm will be replaced",
                since.iter().map(|(algorithm, at)| {
                    (label("algorithm", algorithm), ms(*at).saturating_add(age_ms))
                }),
            );
        }
    }

    fn spans(&mut self) {
        if otlp::is_on() {
            self.counters(
                "trace_spans",
                "Spans by outcome: exported, dropped (too many waited), failed (the collector did \
                 not take them)",
                otlp::counts().map(|(outcome, count)| (label("outcome", outcome), count)),
            );
        }
    }

    fn process(&mut self, services: &Services) {
        let version = label("version", env!("CARGO_PKG_VERSION"));
        self.gauges("build_info", "1; the version is a label", [(version, 1)]);
        let Self { registry, common } = self;
        std::mem::swap(registry, common);
        let process = Process::now();
        self.moment(
            "process_start_time",
            "When the process started",
            services.metrics.started_at_ms(),
        );
        if let Some(seconds) = process.cpu_seconds {
            let counter = Counter::<f64, AtomicU64>::default();
            counter.inc_by(seconds);
            let help = "Processor time that the process has used";
            self.registry.register_with_unit("process_cpu", help, Unit::Seconds, counter);
        }
        for (name, help, bytes) in [
            ("process_resident_memory", "Memory that the process holds", process.resident_bytes),
            ("process_virtual_memory", "Memory that the process may touch", process.virtual_bytes),
        ] {
            if let Some(bytes) = bytes {
                let gauge = Gauge::<i64>::default();
                gauge.set(whole(bytes));
                self.registry.register_with_unit(name, help, Unit::Bytes, gauge);
            }
        }
        for (name, help, value) in [
            ("process_open_fds", "Files and connections that are open", process.open_files),
            ("process_max_fds", "Files and connections that may be open", process.max_files),
            ("process_threads", "Threads of the process", process.threads),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, whole(value));
            }
        }
        let Self { registry, common } = self;
        std::mem::swap(registry, common);
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) {
        self.gauges(name, help, [(vec![], value)]);
    }

    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, i64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.registry.register(name, help, family);
    }

    fn moment(&mut self, name: &str, help: &str, at_ms: i64) {
        self.moments(name, help, [(vec![], at_ms)]);
    }

    /// Moments, in milliseconds since 1970; shown in seconds.
    fn moments(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, i64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, at_ms) in values {
            #[expect(clippy::cast_precision_loss, reason = "no time that comes is that far")]
            family.get_or_create(&labels).set(at_ms as f64 / 1000.0);
        }
        self.registry.register_with_unit(name, help, Unit::Seconds, family);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(vec![], value)]);
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.registry.register(name, help, family);
    }

    pub fn into_registries(self) -> [Registry; 2] {
        [self.registry, self.common]
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
