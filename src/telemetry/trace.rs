//! Which trace a thing belongs to (W3C Trace Context, level 2): a request, and
//! whatever is done because of it. There is always one, whether spans are
//! exported or not: its id stands in the log and in the events.
//!
//! It goes with the task: whoever makes a command needs to be told nothing. What
//! is handed to another task (an actor's) takes it along by [`Carried`].

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use chancery_domain::ids::CommandId;
use serde::Deserialize;
use tracing::{Instrument as _, Span};

use super::otlp;
use crate::entropy::Entropy;

/// The longest `tracestate` that is passed on (W3C Trace Context §3.3.1.5).
const LONGEST_STATE: usize = 512;

/// A place in a trace: what a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl Trace {
    /// A new trace, and its first span.
    #[must_use]
    pub fn begin(entropy: &dyn Entropy) -> Self {
        Self { id: entropy.bytes(), span: entropy.bytes(), sampled: false }
    }

    /// The trace of a command that nothing else has caused: named like it.
    #[must_use]
    pub fn of_command(id: CommandId) -> Self {
        Self { id: *id.as_bytes(), span: end_of(id), sampled: false }
    }

    /// The same trace, in the span of a command that answers what happened here.
    #[must_use]
    pub fn continued_by(self, id: CommandId) -> Self {
        Self { span: end_of(id), ..self }
    }

    /// The same trace, in the span of another one that was just begun.
    #[must_use]
    pub fn continued_as(self, begun: Self) -> Self {
        Self { span: begun.span, ..self }
    }

    /// The same trace, in this span.
    pub(super) fn in_span(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }

    /// Is it exported?
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The same, exported or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    /// Reads a `traceparent` (§3.2.2). That of a later version may go on behind
    /// what is known of it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_at_checked(55)?;
        let mut parts = head.split('-');
        let mut next = || parts.next();
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        let [version] = bytes(version)?;
        let goes_on = version > 0 && (rest.is_empty() || rest.starts_with('-'));
        if next().is_some() || version == 0xff || !(rest.is_empty() || goes_on) {
            return None;
        }
        let (id, span, [flags]) = (bytes(trace)?, bytes(span)?, bytes(flags)?);
        let good = id != [0; 16] && span != [0; 8];
        good.then_some(Self { id, span, sampled: flags & 1 == 1 })
    }

    /// The trace of an event, by what stands beside it in the log.
    #[must_use]
    pub fn of_event(metadata: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Beside<'a> {
            #[serde(borrow, default)]
            traceparent: Option<&'a str>,
        }
        let beside: Beside<'_> = serde_json::from_str(metadata).ok()?;
        Self::parse(beside.traceparent?)
    }

    #[must_use]
    pub fn trace_id(&self) -> Hex<16> {
        Hex(self.id)
    }

    #[must_use]
    pub fn span_id(&self) -> Hex<8> {
        Hex(self.span)
    }
}

/// As a `traceparent`.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace_id(), self.span_id(), u8::from(self.sampled))
    }
}

/// An id, written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('0', |digit| char::from(*digit));
        let mut text = [0; 32];
        let mut length = 0;
        for byte in self.0 {
            for n in [byte >> 4, byte & 15] {
                length += digit(n).encode_utf8(text.get_mut(length..).unwrap_or_default()).len();
            }
        }
        f.write_str(text.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or(""))
    }
}

/// The end of a command's id is random.
fn end_of(id: CommandId) -> [u8; 8] {
    id.as_bytes().last_chunk().copied().unwrap_or_default()
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

/// What a task is in the course of.
#[derive(Debug, Clone)]
pub struct Current {
    trace: Trace,
    role: Role,
    /// The caller's own words to those who come after (§3.3).
    state: Option<Arc<str>>,
    /// Has the first span here been begun? It is the one that `trace` names.
    begun: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Serves a request: `trace` names its span.
    Request,
    /// Does something of its own accord, or an operator's: `trace` names its span.
    Own,
    /// Does something because of what happened at `trace`.
    Consequence,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// Serves a request.
    #[must_use]
    pub fn request(trace: Trace) -> Self {
        Self { trace, role: Role::Request, state: None, begun: Cell::new(false) }
    }

    /// Answers something that happened, by itself.
    #[must_use]
    pub fn because_of(trace: Trace) -> Self {
        Self { trace, role: Role::Consequence, state: None, begun: Cell::new(true) }
    }

    /// Does something that nothing else has caused.
    #[must_use]
    pub fn own(trace: Trace) -> Self {
        Self { trace, role: Role::Own, state: None, begun: Cell::new(false) }
    }

    /// With the `tracestate` of whoever is believed.
    #[must_use]
    pub fn with_state(mut self, state: Option<&str>) -> Self {
        let good = |text: &&str| (1..=LONGEST_STATE).contains(&text.len());
        self.state = state.filter(good).map(Arc::from);
        self
    }

    /// Does something at once in the course of this.
    pub fn now<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// Does work in the course of this.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// Does work because of what happened at a place in a trace, if that is known.
/// What it is, its span says.
pub async fn because_of<F: Future>(trace: Option<Trace>, what: &'static str, work: F) -> F::Output {
    let Some(trace) = trace else { return work.await };
    let current = Current::because_of(trace);
    let span = current.now(|| tracing::debug_span!(parent: None, "consequence", otel.name = what));
    otlp::put_below(&span, trace, None);
    current.run(work.instrument(span)).await
}

/// Does work in a trace of its own, unless it is in one already.
pub async fn in_some<F: Future>(entropy: &dyn Entropy, work: F) -> F::Output {
    if current().is_some() {
        return work.await;
    }
    let trace = Trace::begin(entropy);
    Current::own(trace.sampled(otlp::takes(trace))).run(work).await
}

/// Is this task in a trace that is exported?
#[must_use]
pub fn is_sampled() -> bool {
    CURRENT.try_with(|current| current.trace.sampled).unwrap_or(false)
}

/// Where in which trace this task is.
#[must_use]
pub fn current() -> Option<Trace> {
    CURRENT.try_with(|current| current.trace).ok()
}

/// Where in which trace a command stands that this task makes.
#[must_use]
pub fn of_command(id: CommandId) -> Trace {
    let current = CURRENT.try_with(|current| match current.role {
        Role::Request | Role::Own => current.trace,
        Role::Consequence => current.trace.continued_by(id),
    });
    current.unwrap_or_else(|_| Trace::of_command(id))
}

/// The request that this task serves, by its name in the log and in events: the
/// id of its span.
#[must_use]
pub fn request_id() -> Option<String> {
    let serves = |current: &Current| {
        (current.role == Role::Request).then(|| current.trace.span_id().to_string())
    };
    CURRENT.try_with(serves).ok().flatten()
}

/// What the headers of a call to others say: `traceparent`, `tracestate`.
#[must_use]
pub fn outgoing() -> Option<(String, Option<Arc<str>>)> {
    let here = |current: &Current| (current.trace, current.state.clone());
    let (trace, state) = CURRENT.try_with(here).ok()?;
    Some((otlp::span_here(trace).to_string(), state))
}

/// The span id for the first span that is begun in this trace: it is known before
/// the span is.
pub(super) fn take_first_span() -> Option<[u8; 8]> {
    let first = |current: &Current| (!current.begun.replace(true)).then_some(current.trace.span);
    CURRENT.try_with(first).ok().flatten()
}

/// What goes along with work that another task does.
#[derive(Debug, Clone)]
pub struct Carried {
    current: Option<Current>,
    span: Span,
}

impl Carried {
    /// What this task is in the course of.
    #[must_use]
    pub fn from_here() -> Self {
        Self { current: CURRENT.try_with(Clone::clone).ok(), span: Span::current() }
    }

    /// Does the work in the course of it.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        let work = work.instrument(self.span);
        match self.current {
            Some(current) => current.run(work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn entropy() -> SeededEntropy {
        SeededEntropy::new(9)
    }

    /// W3C Trace Context §3.2.2
    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let trace = Trace::parse(PARENT).unwrap();
        assert_eq!(trace.to_string(), PARENT);
        assert_eq!(trace.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id().to_string(), "00f067aa0ba902b7");
        assert!(trace.is_sampled());
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
        assert_eq!(Trace::parse(later), Some(trace));
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba9é2b7-01",
        ] {
            assert_eq!(Trace::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id: [u8; 16], span: [u8; 8], sampled: bool) {
            prop_assume!(id != [0; 16] && span != [0; 8]);
            let trace = Trace { id, span, sampled };
            prop_assert_eq!(Trace::parse(&trace.to_string()), Some(trace));
        }

        #[test]
        fn nonsense_is_no_trace(text in "[0-9a-f\\-é]{50,60}") {
            let _ = Trace::parse(&text);
        }
    }

    #[test]
    fn an_event_names_its_trace() {
        let metadata = format!(r#"{{"command_id":"x","traceparent":"{PARENT}"}}"#);
        assert_eq!(Trace::of_event(&metadata), Trace::parse(PARENT));
        assert_eq!(Trace::of_event(r#"{"command_id":"x"}"#), None);
        assert_eq!(Trace::of_event("nonsense"), None);
    }

    #[tokio::test]
    async fn a_command_is_of_the_request_that_makes_it() {
        let (entropy, trace) = (entropy(), Trace::begin(&entropy()));
        let id = CommandId::from_uuid((&entropy as &dyn Entropy).uuid_v7(1));
        let made = Current::request(trace).run(async { (of_command(id), request_id()) }).await;
        assert_eq!(made, (trace, Some(trace.span_id().to_string())));
    }

    #[tokio::test]
    async fn a_consequence_stays_in_the_trace_of_its_cause_with_a_span_of_its_own() {
        let (entropy, trace) = (entropy(), Trace::begin(&entropy()));
        let id = CommandId::from_uuid((&entropy as &dyn Entropy).uuid_v7(1));
        let caused = because_of(Some(trace), "it", async { (of_command(id), request_id()) }).await;
        assert_eq!(caused.0.trace_id(), trace.trace_id());
        assert_ne!(caused.0.span_id(), trace.span_id());
        assert_eq!(caused.1, None, "it serves no request");
    }

    #[tokio::test]
    async fn a_command_of_nobody_s_has_a_trace_of_its_own() {
        let entropy = entropy();
        let entropy: &dyn Entropy = &entropy;
        let [one, other] = [1, 2].map(|at| of_command(CommandId::from_uuid(entropy.uuid_v7(at))));
        assert_ne!(one.trace_id(), other.trace_id());
        assert!(Trace::parse(&one.to_string()).is_some());
        let (first, second) =
            in_some(entropy, async { (current(), in_some(entropy, async { current() }).await) })
                .await;
        assert!(first.is_some());
        assert_eq!(first, second, "who is in a trace stays in it");
    }

    #[tokio::test]
    async fn another_task_takes_it_along_only_when_told() {
        let trace = Trace::begin(&entropy());
        let (alone, carried) = Current::request(trace)
            .run(async {
                let carried = Carried::from_here();
                let alone = tokio::spawn(async { current() }).await.unwrap();
                let carried = tokio::spawn(carried.run(async { current() })).await.unwrap();
                (alone, carried)
            })
            .await;
        assert_eq!((alone, carried), (None, Some(trace)));
    }
}
