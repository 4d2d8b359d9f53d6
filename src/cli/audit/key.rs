//! `chancery audit key`: who signs the checkpoints.

use chancery_domain::sealed_log::CheckpointKey;
use chancery_domain::time::Lifetime;
use clap::{Args as ClapArgs, Subcommand};

use crate::admin::{Operation, Outcome};
use crate::cli::StoreArgs;
use crate::cli::access::{Access, unexpected};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format, maybe_time};
use crate::transparency::keys;

const EXAMPLES: &str = "\
Examples:
  chancery audit key list
  chancery audit key rotate
  chancery audit key rotate --overlap 0

Write the verifier key down where the server can't change it: it is what
`chancery audit verify --key` and `chancery-verify --key` take.";

/// The keys that sign checkpoints
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys that sign checkpoints, or did
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Make a new key; the one before signs beside it for a while, so that
    /// whoever knows that one learns of the new one
    Rotate {
        /// How many seconds both sign; 0 ends the old one at once
        #[arg(long, value_name = "SECONDS", default_value_t = keys::OVERLAP.seconds())]
        overlap: u32,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        KeyCommand::List { store, format } => list(&store, format).await?,
        KeyCommand::Rotate { overlap, store, format } => rotate(overlap, &store, format).await?,
    }
    Ok(ExitCode::Done)
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let keys = Access::reading(store, async |access| {
        let store = &**access.store();
        match store.log_checkpoint().await? {
            Some(last) => {
                keys::published(store, &last.origin).await.map_err(CliError::store_unavailable)
            }
            None => Err(CliError::new(ExitCode::NotFound, "nothing is sealed yet")
                .hint("a running server makes the first key, and signs within a second")),
        }
    })
    .await?;
    if format.json {
        return Ok(output::json(&keys)?);
    }
    let headings = ["key", "since", "signs until", "verifier key"];
    let row = |key: CheckpointKey| {
        [
            key.key_id.to_string(),
            maybe_time(Some(key.published_at)),
            maybe_time(key.signs_until),
            key.verifier,
        ]
    };
    Ok(output::table(headings, keys.into_iter().map(row))?)
}

async fn rotate(overlap: u32, store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let operation = Operation::RotateCheckpointKey { overlap: Lifetime::from_seconds(overlap) };
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::CheckpointKey(key) if format.json => Ok(output::json(&key)?),
        Outcome::CheckpointKey(key) => Ok(output::line(&format!(
            "checkpoints are signed by {} from now on; its verifier key is\n{}",
            key.key_id, key.verifier
        ))?),
        other => Err(unexpected(other)),
    }
}
