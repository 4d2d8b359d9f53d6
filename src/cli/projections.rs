//! `chancery projections`: the read models.

use clap::{Args as ClapArgs, Subcommand};

use super::StoreArgs;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  chancery projections list
  chancery projections rebuild clients
  chancery projections rebuild --all";

/// The read models: how far each is, and build them anew
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the projections, and how far behind the log each is
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Empty projections and fold the log again; servers may go on running
    Rebuild(Rebuild),
}

#[derive(Debug, ClapArgs)]
pub struct Rebuild {
    /// Which
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}
