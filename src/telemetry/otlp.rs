//! Traces for a collector of OpenTelemetry: OTLP over HTTP, in protobuf.
//!
//! Spans are those of `tracing`; which trace they belong to, and whether that is
//! sent, [`trace`] says. Nobody ever waits for the collector: what has ended
//! goes into a queue that has an end, and what does not fit is dropped and
//! counted. There is one exporter in a process.

use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider,
    ShouldSample, Span as SdkSpan, SpanData, SpanProcessor,
};
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::subscriber::Interest;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::trace::{self, Trace};
use crate::config::Config;
use crate::config::tracing::Ratio;
use crate::outbound::collector::{Collector, NotTaken};

/// How many spans may wait. More are dropped.
const WAITING: usize = 4096;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long company is waited for.
const DELAY: Duration = Duration::from_secs(1);
/// How often a batch is tried, and the wait after the first try; it doubles.
const TRIES: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the end of the server may be held up by what has yet to be sent.
const LAST: Duration = Duration::from_secs(5);

static ON: AtomicBool = AtomicBool::new(false);
static RATIO: OnceLock<Ratio> = OnceLock::new();
static EXPORTED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Are spans sent anywhere?
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Is a trace that begins here sent?
#[must_use]
pub fn takes(begun: Trace) -> bool {
    is_on() && RATIO.get().is_some_and(|ratio| ratio.takes(begun.trace_id().0))
}

/// How many spans there were since the start, by what became of them.
#[must_use]
pub fn counts() -> [(&'static str, u64); 3] {
    [("exported", &EXPORTED), ("dropped", &DROPPED), ("failed", &FAILED)]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
}

/// Puts a span below that of a caller who is believed, in another process or
/// here. Before it is entered.
pub fn put_below(span: &Span, caller: Trace, state: Option<&str>) {
    if is_on() {
        let context = Context::new().with_remote_span_context(elsewhere(caller, state));
        // It has not been entered, so a parent can still be had.
        let _ = span.set_parent(context);
    }
}

/// Links a span to that of a caller who is not believed.
pub fn link(span: &Span, caller: Trace) {
    if is_on() {
        span.add_link(elsewhere(caller, None));
    }
}

/// A span that is not this process's, or not here any more.
fn elsewhere(place: Trace, state: Option<&str>) -> SpanContext {
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let flags = TraceFlags::default().with_sampled(place.is_sampled());
    let trace_id = TraceId::from_bytes(place.trace_id().0);
    SpanContext::new(trace_id, SpanId::from_bytes(place.span_id().0), flags, true, state)
}

/// The innermost span here, if there is one that is sent; else the place given.
pub(super) fn span_here(trace: Trace) -> Trace {
    if !is_on() || !trace.is_sampled() {
        return trace;
    }
    let context = Span::current().context();
    let span = context.span();
    let here = span.span_context();
    let same_trace = here.is_valid() && here.trace_id().to_bytes() == trace.trace_id().0;
    if same_trace { trace.in_span(here.span_id().to_bytes()) } else { trace }
}

/// Sends spans for as long as the server runs.
#[derive(Debug)]
pub struct Exporting {
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Begins to take spans. To be called once in a process, in its runtime.
    pub(super) fn start(config: &Config, collector: Collector) -> (Self, SdkTracer) {
        let (spans, waiting) = mpsc::channel(WAITING);
        let (closing, closed) = watch::channel(false);
        let mut attributes = vec![KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
        if let Some(node) = &config.server.node {
            attributes.push(KeyValue::new("service.instance.id", node.as_str().to_owned()));
        }
        let resource = Resource::builder_empty()
            .with_service_name(config.tracing.service_name.clone())
            .with_attributes(attributes)
            .build();
        let exporter =
            Exporter { waiting, closed, collector, resource: (&resource).into(), failing: false };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Queue(spans))
            .with_sampler(AsTheTraceSays)
            .with_id_generator(Ids::default())
            .with_resource(resource)
            .build();
        // There is one exporter, whatever it is started for.
        let _ = RATIO.set(config.tracing.sampling_ratio);
        ON.store(true, Ordering::Relaxed);
        (Self { closing, task: tokio::spawn(exporter.run()) }, provider.tracer("chancery"))
    }

    /// Sends what has ended, as far as the collector takes it soon.
    pub async fn finish(self) {
        ON.store(false, Ordering::Relaxed);
        self.closing.send_replace(true);
        if timeout(LAST, self.task).await.is_err() {
            tracing::warn!("the collector of traces is slow: some spans were not sent");
        }
    }
}

/// The spans of traces that are sent.
pub(super) fn layer<S>(tracer: SdkTracer) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let filter = dynamic_filter_fn(|metadata, _| is_wanted(metadata) && trace::is_sampled())
        .with_max_level_hint(LevelFilter::DEBUG)
        .with_callsite_filter(|metadata| {
            if is_wanted(metadata) { Interest::sometimes() } else { Interest::never() }
        });
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter)
}

/// Our own spans. What is said in them is the log's: it names operators and clients.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("chancery")
}

/// Where spans go when they have ended.
#[derive(Debug)]
struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Whether a span is sent was decided when its trace began.
#[derive(Debug, Clone)]
struct AsTheTraceSays;

impl ShouldSample for AsTheTraceSays {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let trace_state =
            parent.map(|own| own.span().span_context().trace_state().clone()).unwrap_or_default();
        let decision = if trace::is_sampled() {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        };
        SamplingResult { decision, attributes: vec![], trace_state }
    }
}

/// The ids that were given out already, in the log and in events, for the first
/// span of a trace here; new ones for those below it.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let current = trace::current().map(|current| TraceId::from_bytes(current.trace_id().0));
        current.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        let first = trace::take_first_span().map(SpanId::from_bytes);
        first.unwrap_or_else(|| self.0.new_span_id())
    }
}

/// Sends what waits.
struct Exporter {
    waiting: mpsc::Receiver<SpanData>,
    closed: watch::Receiver<bool>,
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    /// Was the last batch not taken? That is said once.
    failing: bool,
}

impl Exporter {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            tokio::select! {
                received = self.waiting.recv_many(&mut batch, BATCH) => if received == 0 { return },
                () = closing(&mut self.closed), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
            }
            let until = Instant::now() + DELAY;
            while batch.len() < BATCH && !self.waiting.is_closed() {
                let room = BATCH - batch.len();
                tokio::select! {
                    more = timeout_at(until, self.waiting.recv_many(&mut batch, room)) => {
                        if more.is_err() { break }
                    }
                    () = closing(&mut self.closed) => self.waiting.close(),
                }
            }
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut patience = PATIENCE;
        for attempt in 1..=TRIES {
            let error = match self.collector.post(body.clone()).await {
                Ok(()) => {
                    EXPORTED.fetch_add(count, Ordering::Relaxed);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("the collector of traces takes spans again");
                    }
                    return;
                }
                Err(error) => error,
            };
            let wait = match &error {
                NotTaken::Later { after, .. } => after.unwrap_or(patience),
                NotTaken::Refused(_) => Duration::ZERO,
            };
            let last = attempt == TRIES || wait.is_zero() || *self.closed.borrow();
            if last {
                FAILED.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    let place = self.collector.place();
                    tracing::warn!(
                        server.address = place,
                        %error,
                        "the collector of traces at {place} does not take spans: {error}"
                    );
                }
                return;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = closing(&mut self.closed) => {}
            }
            patience *= 2;
        }
    }
}

/// Waits until the server stops.
async fn closing(closed: &mut watch::Receiver<bool>) {
    // Whoever would have said so is gone: that is as good.
    drop(closed.wait_for(|closed| *closed).await);
}
