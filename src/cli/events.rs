//! `chancery events`: the log, as NDJSON.

use clap::Args as ClapArgs;

use super::StoreArgs;

const EXAMPLES: &str = "\
Examples:
  chancery events --after 1200 | jq .type
  chancery events --follow --type AuthorizationCodeRedeemed

Each line is one event; its position is what --after takes to go on from there.";

/// Print the events of the log, one JSON object a line
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only events after this position
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub after: u64,
    /// Wait for further events when all have been printed
    #[arg(long)]
    pub follow: bool,
    /// Only events of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    #[command(flatten)]
    pub store: StoreArgs,
}
