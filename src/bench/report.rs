//! What was measured, whole: one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::limits::Limit;
use super::run::{Load, Outcome, Timing};
use super::scenario::{MIXED, Scenario};
use super::tally::{ByKind, Summary};

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Of this program.
    pub version: &'static str,
    pub machine: Machine,
    pub issuer: String,
    /// The kind of store; absent: not our own server.
    pub store: Option<&'static str>,
    pub settings: Settings,
    pub limits: Vec<Limit>,
    pub scenarios: Vec<Measured>,
}

/// Where the generator ran, and the server if it was this program's own.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    /// Absent: not known.
    pub kernel: Option<String>,
    pub architecture: &'static str,
    /// A build without optimizations is for tests only.
    pub optimized: bool,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub load: &'static str,
    pub users: usize,
    /// Arrivals in a second; absent: closed loop.
    pub rate: Option<f64>,
    pub warm_up_seconds: f64,
    pub duration_seconds: f64,
    pub timeout_seconds: f64,
    pub threads: usize,
    /// Lines of the server's configuration.
    pub server: Vec<String>,
    /// Of a hundred flows of `mixed`.
    pub mixed: BTreeMap<&'static str, u32>,
}

impl Settings {
    #[must_use]
    pub fn of(timing: &Timing, users: usize, threads: usize, server: Vec<String>) -> Self {
        let (load, rate) = match timing.load {
            Load::Closed => ("closed", None),
            Load::Open { per_second } => ("open", Some(per_second)),
        };
        Self {
            load,
            users,
            rate,
            warm_up_seconds: timing.warm_up.as_secs_f64(),
            duration_seconds: timing.duration.as_secs_f64(),
            timeout_seconds: timing.patience.as_secs_f64(),
            threads,
            server,
            mixed: MIXED.map(|(part, weight)| (part.name(), weight)).into(),
        }
    }
}

/// One scenario.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub scenario: Scenario,
    /// How long it was measured.
    pub seconds: f64,
    /// That ended well within that time.
    pub flows: u64,
    pub flows_per_second: f64,
    pub error_count: u64,
    pub errors: ByKind,
    pub latency_us: Summary,
    /// Absent: not known.
    pub server: Option<OfServer>,
    pub generator_cpu_us_per_flow: Option<f64>,
    /// Absent: not known.
    pub disk: Option<OfDisk>,
}

/// What the server used.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OfServer {
    /// Absent: there was no flow.
    pub cpu_us_per_flow: Option<f64>,
    /// How many cores were at work, on average.
    pub cores_used: f64,
    pub resident_bytes: u64,
    pub peak_resident_bytes: u64,
}

/// What the store holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OfDisk {
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Absent: there was no flow.
    pub bytes_per_flow: Option<f64>,
}

/// What was looked at besides, at the edges of the window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edges {
    pub generator: Option<(Duration, Duration)>,
    pub disk: Option<(u64, u64)>,
}

impl Measured {
    #[must_use]
    pub fn of<U>(scenario: Scenario, timing: &Timing, outcome: &Outcome<U>, edges: Edges) -> Self {
        let flows = outcome.counts.flows;
        let seconds = timing.duration.as_secs_f64();
        let per_flow = |cpu: Duration| share(cpu.as_secs_f64() * 1e6, flows);
        let server = outcome.before.zip(outcome.after).map(|(before, after)| {
            let cpu = after.cpu.saturating_sub(before.cpu);
            OfServer {
                cpu_us_per_flow: per_flow(cpu),
                cores_used: cpu.as_secs_f64() / outcome.seconds,
                resident_bytes: after.resident,
                peak_resident_bytes: outcome.peak.unwrap_or(0).max(after.resident),
            }
        });
        let generator =
            edges.generator.and_then(|(before, after)| per_flow(after.saturating_sub(before)));
        let disk = edges.disk.map(|(before, after)| OfDisk {
            bytes_before: before,
            bytes_after: after,
            bytes_per_flow: share(to_f64(after) - to_f64(before), flows),
        });
        Self {
            scenario,
            seconds,
            flows,
            flows_per_second: to_f64(flows) / seconds,
            error_count: outcome.counts.errors.values().map(|errors| errors.count).sum(),
            errors: outcome.counts.errors.clone(),
            latency_us: outcome.counts.latencies.summary(),
            server,
            generator_cpu_us_per_flow: generator,
            disk,
        }
    }
}

fn share(total: f64, flows: u64) -> Option<f64> {
    (flows > 0).then(|| total / to_f64(flows))
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything are more than there are")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let kernel = kernel.map(|text| format!("{} {}", std::env::consts::OS, text.trim()));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel,
            architecture: std::env::consts::ARCH,
            optimized: !cfg!(debug_assertions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::process::Usage;
    use crate::bench::tally::Counts;

    #[test]
    fn what_was_used_is_shared_out_among_the_flows() {
        let usage = |cpu, resident| Some(Usage { cpu: Duration::from_millis(cpu), resident });
        let timing = Timing {
            load: Load::Closed,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(2),
            patience: Duration::from_secs(1),
        };
        let mut outcome = Outcome::<()> {
            users: vec![],
            counts: Counts { flows: 1000, ..Counts::default() },
            seconds: 2.0,
            before: usage(500, 10),
            after: usage(1500, 20),
            peak: Some(30),
        };
        let edges = Edges {
            generator: Some((Duration::from_millis(100), Duration::from_millis(200))),
            disk: Some((4096, 1_004_096)),
        };
        let measured = Measured::of(Scenario::Par, &timing, &outcome, edges);
        let server = measured.server.unwrap();
        assert_eq!(server.cpu_us_per_flow, Some(1000.0));
        assert_eq!((server.resident_bytes, server.peak_resident_bytes), (20, 30));
        assert!((server.cores_used - 0.5).abs() < 1e-9);
        assert_eq!(measured.generator_cpu_us_per_flow, Some(100.0));
        assert_eq!(measured.disk.unwrap().bytes_per_flow, Some(1000.0));
        assert!((measured.flows_per_second - 500.0).abs() < 1e-9);

        // Nothing is divided by nothing.
        outcome.counts.flows = 0;
        let none = Measured::of(Scenario::Par, &timing, &outcome, edges);
        assert_eq!(none.server.unwrap().cpu_us_per_flow, None);
        assert_eq!(none.disk.unwrap().bytes_per_flow, None);
    }
}
