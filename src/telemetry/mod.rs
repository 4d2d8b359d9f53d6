//! The server's messages to its operator.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::config::log::{LogFilter, LogFormat};

/// Sends what the filter lets through to standard error, from now on. A second
/// call changes nothing.
pub fn install(format: LogFormat, filter: &LogFilter, colours: bool) {
    // The first of several servers in one test process wins.
    drop(subscriber(format, filter, colours, io::stderr).try_init());
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
    // Its syntax was checked when the settings were read.
    let filter = EnvFilter::builder().parse_lossy(filter.as_str());
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .json()
            .with_ansi(false)
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    };
    Registry::default().with(layer).with(filter)
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

    fn log(format: LogFormat, filter: &str) -> String {
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
        let text = log(LogFormat::Json, "info");
        let message: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(message["message"], "token issued");
        assert_eq!(message["outcome"], "issued");
        assert_eq!(message["spans"][0]["client.id"], "web");
    }

    #[test]
    fn the_filter_decides_what_is_said() {
        assert!(log(LogFormat::Text, "info").contains("token issued"));
        assert!(!log(LogFormat::Text, "info").contains("never mind"));
        assert!(log(LogFormat::Text, "debug").contains("never mind"));
        assert_eq!(log(LogFormat::Text, "warn"), "");
    }
}
