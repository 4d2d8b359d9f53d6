//! `chancery projections`: the read models.

use clap::{Args as ClapArgs, Subcommand};

use serde::Serialize;

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use crate::admin::{Operation, Outcome};

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
    /// Fold the log again, beside the rows that are there, and put the new ones in their place;
    /// servers go on running
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

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List { store, format } => list(&store, format).await?,
        Command::Rebuild(args) => rebuild(args).await?,
    }
    Ok(ExitCode::Done)
}

/// Where a consumer of the log stands.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `projection`, or another `consumer` of the log.
    kind: &'static str,
    /// Absent: it has not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    position: u64,
    /// How many positions of the log are still to come.
    behind: u64,
    /// Kept by this version of Chancery, or to be made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<bool>,
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let rows = Access::reading(store, async |access| {
        // Read before the end of the log, so that nothing is ahead of it.
        let checkpoints = access.store().checkpoints().await?;
        let end = access.store().last_position().await?;
        let mut rows = Vec::new();
        for projection in chancery_projections::ALL {
            let stands = checkpoints.iter().find(|(name, _)| name == projection.name());
            let stands = stands.map(|(_, checkpoint)| checkpoint);
            let position = stands.map_or(0, |stands| stands.position);
            rows.push(Row {
                name: projection.name().to_owned(),
                kind: "projection",
                version: stands.map(|stands| stands.version),
                position,
                behind: end.saturating_sub(position),
                current: stands.map(|stands| stands.version == projection.version()),
            });
        }
        for (name, stands) in checkpoints {
            if !rows.iter().any(|row| row.name == name) {
                rows.push(Row {
                    name,
                    kind: "consumer",
                    version: Some(stands.version),
                    position: stands.position,
                    behind: end.saturating_sub(stands.position),
                    current: None,
                });
            }
        }
        Ok(rows)
    });
    let rows = rows.await?;
    if format.json {
        return Ok(output::json(&rows)?);
    }
    let headings = ["name", "kind", "version", "position", "behind", ""];
    let row = |row: Row| {
        let remark = match (row.version, row.current) {
            (None, _) => "not begun",
            (Some(_), Some(false)) => "of another version: made anew by the server",
            (Some(_), _) => "",
        };
        [
            row.name,
            row.kind.to_owned(),
            row.version.map_or_else(String::new, |version| version.to_string()),
            row.position.to_string(),
            row.behind.to_string(),
            remark.to_owned(),
        ]
    };
    Ok(output::table(headings, rows.into_iter().map(row))?)
}

async fn rebuild(args: Rebuild) -> Result<(), CliError> {
    let names = (!args.all).then_some(args.names);
    let names = Access::with(&args.store, async |access| {
        let names = match access.perform(Operation::RebuildProjections { names }).await? {
            Outcome::Projections { names } => names,
            other => return Err(unexpected(other)),
        };
        let wanted: Vec<_> = names.iter().map(String::as_str).collect();
        if !access.made_anew(&wanted).await? {
            output::note(
                "the server is not done yet: `chancery projections list` tells how far it is, and \
                 what is there meanwhile is what was there before",
            );
        }
        Ok(names)
    })
    .await?;
    if args.format.json {
        return Ok(output::json(&serde_json::json!({ "rebuilt": names }))?);
    }
    Ok(output::line(&format!("built anew: {}", names.join(", ")))?)
}
