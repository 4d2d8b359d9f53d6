//! `[audit]`: how the log is sealed.

use std::path::{Path, PathBuf};

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// How the log of events is sealed, so that nobody can change it unnoticed. Times are in
    /// seconds.
    Audit in "audit" {
        /// What checkpoints call this log. Left out: the issuer without its scheme, and
        /// `/audit/log`. Another name begins another log, from the first event on.
        origin: Option<LogOrigin> = optional "auth.example.com/audit/log";
        /// A file in which this node keeps the last checkpoint, outside of the database, so
        /// that it notices an older database in place of its own. Left out: `checkpoint` in
        /// the folder of an embedded store; none with PostgreSQL.
        checkpoint_file: Option<PathBuf> = optional "/var/lib/chancery/checkpoint";
        /// How often a checkpoint is signed while there is something new, about.
        checkpoint_interval: Lifetime = default 1 within 1..=3_600;
        /// How often the ends of all histories are listed in the log, so that it shows when
        /// one is held back.
        heads_interval: Lifetime = default 86_400 within 1..=31_536_000;
    }
}

/// What a log is called: no spaces, and no `+` (C2SP signed-note).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOrigin(String);

impl LogOrigin {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextSetting for LogOrigin {
    const KIND: Kind = Kind::text("the name of a log");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let good = (1..=255).contains(&text.len())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
        if !good {
            return Err(Refusal::new(
                "can't name a log",
                "use a URL without its scheme, with no spaces and no +",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Check for Audit {
    fn check(&self, _: &mut Report<'_>) {}
}
