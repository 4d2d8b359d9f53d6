//! `chancery events`: the log, as NDJSON, as files, and what to ask of those.

mod export;
mod pack;
mod queries;

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::StoreArgs;
use super::access::Access;
use super::exit::{CliError, ExitCode};
use super::output;
use crate::events::line::Line;
use crate::stores::StoredEvent;

/// How many events are read at once.
const PAGE: usize = 500;
/// How often a log at its end is looked at again.
const LOOK: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  chancery events --after 1200 | jq .event_type
  chancery events --follow --type CodeRedeemed
  chancery events export --out events --from 2026-05-01
  chancery events query funnel --dir events | duckdb
  chancery events pack --older-than 2592000

Each line is one event; its position is what --after takes to go on from there.";

/// Print the events of the log, one JSON object a line; or write them to files
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
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

#[derive(Debug, Subcommand)]
pub enum Command {
    Export(export::Args),
    Pack(pack::Args),
    Queries(queries::List),
    Query(queries::Print),
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        None => print(args).await,
        Some(Command::Export(args)) => export::run(args).await,
        Some(Command::Pack(args)) => pack::run(args).await,
        Some(Command::Queries(args)) => queries::list(&args),
        Some(Command::Query(args)) => queries::print(&args),
    }
}

async fn print(args: Args) -> Result<ExitCode, CliError> {
    Access::reading(&args.store, async |access| {
        let mut log = access.store().read_log(args.after);
        loop {
            let events = log.next(PAGE).await?;
            if events.is_empty() {
                if !args.follow {
                    return Ok(ExitCode::Done);
                }
                tokio::time::sleep(LOOK).await;
                continue;
            }
            output::raw(&lines(&events, &args.types)?)?;
        }
    })
    .await
}

fn lines(events: &[StoredEvent], types: &[String]) -> Result<String, CliError> {
    let mut text = String::new();
    for stored in events {
        if !types.is_empty() && !types.iter().any(|name| *name == stored.event.event_type) {
            continue;
        }
        let line = Line::of(stored).and_then(|line| serde_json::to_string(&line));
        let line = line.map_err(|error| {
            CliError::failed(format_args!("event {} is not JSON: {error}", stored.position))
                .hint("`chancery replay` says what else is wrong")
        })?;
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}
