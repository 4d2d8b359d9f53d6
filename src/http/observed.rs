//! Every request: the trace that it is part of, its name in the log, and the
//! figures that it adds to.

use std::time::Duration;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use actix_web::{Error, web};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::config::tracing::TrustedParents;
use crate::services::Services;
use crate::telemetry::metrics::Route;
use crate::telemetry::otlp;
use crate::telemetry::trace::{Current, Trace};

/// A request that is about to be answered.
pub struct Observed {
    services: web::Data<Services>,
    route: Route,
    current: Current,
    span: Span,
    /// Will the span be sent to a collector?
    traced: bool,
    began: Instant,
    _in_flight: InFlight,
}

/// Counts as long as it is there.
struct InFlight(Gauge);

impl InFlight {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Observed {
    /// Looks at a request that is not routed yet.
    #[must_use]
    pub fn of(services: &web::Data<Services>, request: &ServiceRequest) -> Self {
        let parent = parent(request);
        let trusted = parent.filter(|_| trusts(services, request));
        let begun = Trace::begin(&*services.entropy);
        let trace = match trusted {
            Some(parent) => parent.continued_as(begun),
            None => begun.sampled(otlp::takes(begun)),
        };
        let state = trusted.and_then(|_| header(request, "tracestate"));
        let current = Current::request(trace).with_state(state);
        let route = route(services, request);
        let traced = otlp::is_on() && trace.is_sampled();
        let span = if traced { current.now(|| traced_span(trace, &route)) } else { span(trace) };
        match (parent.filter(|_| traced), trusted) {
            (_, Some(caller)) => otlp::put_below(&span, caller, state),
            (Some(caller), None) => otlp::link(&span, caller),
            (None, None) => {}
        }
        Self {
            route,
            current,
            span,
            traced,
            began: Instant::now(),
            _in_flight: InFlight::begin(&services.metrics.http.in_flight),
            services: services.clone(),
        }
    }

    /// Answers it.
    pub async fn answered<B>(
        self,
        answer: impl Future<Output = Result<ServiceResponse<B>, Error>>,
    ) -> Result<ServiceResponse<B>, Error> {
        let span = self.span;
        let result = self.current.run(answer.instrument(span.clone())).await;
        let status = match &result {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        if self.traced {
            span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "error");
            }
        }
        let took: Duration = self.began.elapsed();
        self.services.metrics.http.answered(self.route, status.as_u16(), took);
        result
    }
}

/// Names the request in the log, whatever the filter lets through.
fn span(trace: Trace) -> Span {
    tracing::error_span!(
        parent: None,
        "http.request",
        trace.id = %trace.trace_id(),
        request.id = %trace.span_id(),
    )
}

/// The same with what a collector is told besides: nobody's secret.
fn traced_span(trace: Trace, route: &Route) -> Span {
    tracing::error_span!(
        parent: None,
        "http.request",
        trace.id = %trace.trace_id(),
        request.id = %trace.span_id(),
        otel.name = format!("{} {}", route.method, route.route),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = route.method,
        http.route = &*route.route,
        http.response.status_code = Empty,
    )
}

/// Where the caller says that it is, if it says it once and well.
fn parent(request: &ServiceRequest) -> Option<Trace> {
    let mut all = request.headers().get_all(HeaderName::from_static("traceparent"));
    let only = all.next().filter(|_| all.next().is_none())?;
    Trace::parse(only.to_str().ok()?)
}

fn header<'a>(request: &'a ServiceRequest, name: &'static str) -> Option<&'a str> {
    request.headers().get(HeaderName::from_static(name))?.to_str().ok()
}

/// Is this caller's word on traces taken?
fn trusts(services: &Services, request: &ServiceRequest) -> bool {
    match services.config.tracing.trusted_parents {
        TrustedParents::Nobody => false,
        TrustedParents::Proxies => {
            request.peer_addr().is_some_and(|peer| services.config.server.trusts(peer.ip()))
        }
        TrustedParents::Everybody => true,
    }
}

/// The pattern of the path, below the issuer's: of these there are as many as
/// there are routes.
fn route(services: &Services, request: &ServiceRequest) -> Route {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let base = services.config.server.issuer.path();
    let route = match request.match_pattern() {
        None => "unmatched".to_owned(),
        Some(pattern) => match pattern.strip_prefix(base) {
            Some(below) if !base.is_empty() && below.starts_with('/') => below.to_owned(),
            _ => pattern,
        },
    };
    Route { method, route }
}
