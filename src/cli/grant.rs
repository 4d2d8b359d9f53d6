//! `chancery grant`: what was granted, and its history.

use chancery_domain::ids::{ClientId, GrantId, SubjectId};
use chancery_domain::time::UnixTime;
use clap::{Args as ClapArgs, Subcommand};

use super::StoreArgs;
use super::input::moment;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  chancery grant list --client web --state active
  chancery grant show 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery grant show 0198f3a2c4d57e0fa1b2c3d4e5f60718 --at 2026-05-01T09:30:00Z
  chancery grant revoke 0198f3a2c4d57e0fa1b2c3d4e5f60718 --reason 'device was lost'";

/// What was granted, and its history
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List grants
    List(List),
    /// Show what happened to a grant, who did it and why
    Show(Show),
    /// Revoke a grant: all its tokens end
    Revoke(Revoke),
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Only of this subject
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<SubjectId>,
    /// Only of this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Only in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// As it was at this time: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "position")]
    pub at: Option<UnixTime>,
    /// As it was at this position of the log
    #[arg(long, value_name = "N")]
    pub position: Option<u64>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Revoke {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// Why; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}
