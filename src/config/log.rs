//! `[log]`: the server's log for operators (not the log of events).

use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting, choice};

settings! {
    /// The server's messages to its operator, on standard error.
    Log in "log" {
        /// text for people, json for programs.
        format: LogFormat = default "text";
        /// What to say: error, warn, info, debug or trace; for parts too, as in
        /// `info,chancery::feed=debug`.
        filter: LogFilter = default "info";
    }
}

choice! {
    /// The form of messages.
    LogFormat, "a format" {
        Text = "text",
        Json = "json",
    }
}

/// Which messages are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The directives, as `tracing` has them; they are good.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Only warnings and errors: for commands, whose output is their answer.
    #[must_use]
    pub fn quiet() -> Self {
        Self("warn".to_owned())
    }
}

impl TextSetting for LogFilter {
    const KIND: Kind = Kind::text("a filter");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let remedy = "give a level (error, warn, info, debug, trace), or levels by part, like \
                      \"info,chancery::feed=debug\"";
        // A lone word that is no level would be taken for the name of a part,
        // and a misspelt level would turn everything on.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let misspelt = text
            .split(',')
            .map(str::trim)
            .find(|part| !part.contains(['=', ':', '[']) && !levels.contains(part));
        if let Some(part) = misspelt {
            return Err(Refusal::new(format!("\"{part}\" is not a level"), remedy));
        }
        EnvFilter::builder()
            .parse(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| Refusal::new(format!("is not a filter: {error}"), remedy))
    }
}

impl Check for Log {
    fn check(&self, _: &mut Report<'_>) {}
}
