//! `chancery replay`: does everything follow from the log?

use clap::Args as ClapArgs;

use super::StoreArgs;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  chancery replay
  chancery replay --json --config chancery.toml

Ends with exit code 0 only when nothing differs, with 6 when something does.";

/// Read the whole log and check that everything else follows from it
///
/// Decodes every event, checks digests and chains, folds every aggregate,
/// compares with snapshots and projections, and says what differs. Changes
/// nothing; safe beside a running server.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}
