//! What the server tells its operator: messages, figures, traces.

pub mod metrics;
pub mod otlp;
pub mod trace;

use std::io;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::otlp::Exporting;
use crate::config::Config;
use crate::config::log::{LogFilter, LogFormat};
use crate::outbound::OutboundSetupError;
use crate::outbound::collector::Collector;

/// What has to be done before the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    exporting: Option<Exporting>,
}

impl Telemetry {
    /// Sends what has yet to be sent, as far as that takes no time.
    pub async fn finish(self) {
        if let Some(exporting) = self.exporting {
            exporting.finish().await;
        }
    }
}

/// Sends what the filter lets through to standard error, from now on, and spans to
/// the collector that the settings name. A second call changes nothing.
pub fn install(config: &Config, colours: bool) -> Result<Telemetry, OutboundSetupError> {
    let (format, filter) = (config.log.format, &config.log.filter);
    let Some(collector) = Collector::new(&config.tracing, &config.outbound)? else {
        // The first of several servers in one test process wins.
        drop(subscriber(format, filter, colours, io::stderr).try_init());
        return Ok(Telemetry::default());
    };
    let (exporting, tracer) = Exporting::start(config, collector);
    let log = log(format, colours, io::stderr).with_filter(env_filter(filter));
    drop(Registry::default().with(log).with(otlp::layer(tracer)).try_init());
    Ok(Telemetry { exporting: Some(exporting) })
}

fn subscriber<W>(
    format: LogFormat,
    filter: &LogFilter,
    colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Registry::default().with(log(format, colours, writer)).with(env_filter(filter))
}

fn env_filter(filter: &LogFilter) -> EnvFilter {
    // Its syntax was checked when the settings were read.
    EnvFilter::builder().parse_lossy(filter.as_str())
}

fn log<S, W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .json()
            .with_ansi(false)
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::value::TextSetting as _;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(format: LogFormat, filter: &str) -> String {
        let written = Written::default();
        let filter = LogFilter::parse(filter, Path::new("")).unwrap();
        let writer = written.clone();
        let subscriber = subscriber(format, &filter, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("oauth.token", client.id = "web");
            let _entered = span.enter();
            tracing::info!(outcome = "issued", "token issued");
            tracing::debug!("never mind");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_messages_are_one_object_a_line_with_their_fields() {
        let text = said(LogFormat::Json, "info");
        let message: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(message["message"], "token issued");
        assert_eq!(message["outcome"], "issued");
        assert_eq!(message["spans"][0]["client.id"], "web");
    }

    #[test]
    fn the_filter_decides_what_is_said() {
        assert!(said(LogFormat::Text, "info").contains("token issued"));
        assert!(!said(LogFormat::Text, "info").contains("never mind"));
        assert!(said(LogFormat::Text, "debug").contains("never mind"));
        assert_eq!(said(LogFormat::Text, "warn"), "");
    }
}
