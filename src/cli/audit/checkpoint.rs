//! `chancery audit checkpoint`: what an auditor takes home.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::clock::rfc3339_ms;
use crate::stores::LogCheckpoint;

const EXAMPLES: &str = "\
Examples:
  chancery audit checkpoint > checkpoint-2026-11-29.txt
  chancery audit checkpoint --list

Keep it away from the server: `chancery audit verify --since FILE` later proves that
nothing before it was changed.";

/// Print the last checkpoint of the log: a signed note to keep
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// List the checkpoints that are kept (the last one of each hour), the latest first
    #[arg(long)]
    pub list: bool,
    /// Write it to this file
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let limit = if args.list { 1000 } else { 1 };
    let found = Access::reading(&args.store, async |access| {
        Ok(access.store().log_checkpoints(None, limit).await?)
    })
    .await?;
    if args.list {
        list(found, args.format)?;
        return Ok(ExitCode::Done);
    }
    let Some(last) = found.into_iter().next() else {
        return Err(CliError::new(ExitCode::NotFound, "nothing is sealed yet")
            .hint("a running server signs a checkpoint within a second"));
    };
    match &args.out {
        Some(path) => std::fs::write(path, &last.note).map_err(|error| {
            CliError::failed(format_args!("{} could not be written: {error}", path.display()))
        })?,
        None if args.format.json => output::json(&shown(&last))?,
        None => output::raw(&last.note)?,
    }
    Ok(ExitCode::Done)
}

fn list(found: Vec<LogCheckpoint>, format: Format) -> Result<(), CliError> {
    if format.json {
        return Ok(output::json(&found.iter().map(shown).collect::<Vec<_>>())?);
    }
    let headings = ["number", "signed", "events", "up to position", "root"];
    let row = |it: LogCheckpoint| {
        [
            it.serial.to_string(),
            rfc3339_ms(it.signed_at_ms),
            it.size.to_string(),
            it.position.to_string(),
            it.root.to_string(),
        ]
    };
    Ok(output::table(headings, found.into_iter().map(row))?)
}

fn shown(checkpoint: &LogCheckpoint) -> serde_json::Value {
    json!({
        "number": checkpoint.serial,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "position": checkpoint.position,
        "root": checkpoint.root.to_string(),
        "signed_at": rfc3339_ms(checkpoint.signed_at_ms),
        "note": checkpoint.note,
    })
}
