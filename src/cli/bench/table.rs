//! What was measured, for people.

use crate::bench::report::{Measured, Report};
use crate::cli::exit::CliError;
use crate::cli::output;

pub fn print(report: &Report) -> Result<(), CliError> {
    let Report { machine, settings, .. } = report;
    let store = report.store.map(|store| format!(", {store}")).unwrap_or_default();
    let load = match settings.rate {
        Some(rate) => format!("{rate} flows arrive each second"),
        None => "closed loop".to_owned(),
    };
    output::line(&format!(
        "{}{store}; {} users, {load}; {} s after {} s of warm-up\nchancery {} on {}, {} cores\n",
        report.issuer,
        settings.users,
        settings.duration_seconds,
        settings.warm_up_seconds,
        report.version,
        machine.kernel.as_deref().unwrap_or(std::env::consts::OS),
        machine.cores,
    ))?;
    let headings = [
        "scenario",
        "flows/s",
        "errors",
        "p50 ms",
        "p90",
        "p99",
        "p99.9",
        "max",
        "CPU µs/flow",
        "cores",
        "RSS MB",
        "peak",
        "disk B/flow",
        "own µs/flow",
    ];
    output::table(headings, report.scenarios.iter().map(row))?;
    for measured in &report.scenarios {
        for (kind, errors) in &measured.errors {
            let example = Some(&errors.example).filter(|example| !example.is_empty());
            let example = example.map(|text| format!(": {text}")).unwrap_or_default();
            let line = format!("{}: {} × {kind}{example}", measured.scenario, errors.count);
            output::line(&output::printable(&line))?;
        }
    }
    if report.limits.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let limits = report.limits.iter().map(|limit| {
        let unit = limit.unit.to_owned();
        [limit.name.to_owned(), whole(limit.per_second), tenths(limit.cpu_us), unit]
    });
    output::table(["limits", "per second", "CPU µs", "of"], limits)?;
    Ok(())
}

fn row(measured: &Measured) -> [String; 14] {
    let latency = &measured.latency_us;
    let ms = |micros: u64| match u32::try_from(micros) {
        Ok(micros) => format!("{:.2}", f64::from(micros) / 1000.0),
        Err(_) => "…".to_owned(),
    };
    let megabytes = |bytes: u64| (bytes / 1_000_000).to_string();
    let server = measured.server.as_ref();
    let memory = |bytes: Option<u64>| bytes.map_or_else(String::new, megabytes);
    [
        measured.scenario.to_string(),
        whole(Some(measured.flows_per_second)),
        measured.error_count.to_string(),
        ms(latency.p50),
        ms(latency.p90),
        ms(latency.p99),
        ms(latency.p99_9),
        ms(latency.max),
        tenths(server.and_then(|server| server.cpu_us_per_flow)),
        server.map_or_else(String::new, |server| format!("{:.2}", server.cores_used)),
        memory(server.map(|server| server.resident_bytes)),
        memory(server.map(|server| server.peak_resident_bytes)),
        whole(measured.disk.and_then(|disk| disk.bytes_per_flow)),
        tenths(measured.generator_cpu_us_per_flow),
    ]
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.0}"))
}

fn tenths(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.1}"))
}
