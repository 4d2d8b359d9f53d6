//! `chancery audit prove`: proofs that a third party can check.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::Value;

use super::verify;
use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;
use crate::transparency::proofs::{ProofError, Proofs, base64};

const EXAMPLES: &str = "\
Examples:
  chancery audit prove --position 1234
  chancery audit prove --since checkpoint-of-last-year.txt

The proof is checked by anybody who holds the checkpoint's key (RFC 9162 §2.1).";

/// Prove that an event is in the log, or that the log continues an old checkpoint
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = false, id = "what", args = ["position", "since"])]
pub struct Args {
    /// The event at this position
    #[arg(long, value_name = "N")]
    pub position: Option<u64>,
    /// That nothing before this checkpoint was removed or changed
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let held = args.since.as_deref().map(verify::read).transpose()?;
    let (answer, code) = Access::reading(&args.store, async |access| {
        let proofs = Proofs::latest(&**access.store()).await?;
        let note = proofs.checkpoint.note.clone();
        if let Some(position) = args.position {
            let Some(found) = proofs.of_position(position).await? else {
                let what = format_args!("no event with position {position} is sealed");
                return Err(CliError::new(ExitCode::NotFound, what)
                    .hint("a running server seals new events within a second"));
            };
            let answer = with(found.json(), [("checkpoint", note.into())]);
            return Ok((answer, ExitCode::Done));
        }
        let Some(held) = held else { return Err(CliError::usage("say what to prove")) };
        let old = held.checkpoint;
        if old.origin != proofs.checkpoint.origin {
            return Err(CliError::refused(format_args!(
                "that checkpoint is of another log, {}",
                old.origin
            )));
        }
        let found = proofs.consistency(old.size, proofs.checkpoint.size).await?;
        let continues = found.old_root == old.root;
        // What was held, also where it is not what the log has.
        let held = base64(&old.root).into();
        let more =
            [("continues", continues.into()), ("old_root", held), ("checkpoint", note.into())];
        let answer = with(found.json(), more);
        Ok((answer, if continues { ExitCode::Done } else { ExitCode::Differences }))
    })
    .await?;
    output::json(&answer)?;
    Ok(code)
}

/// A proof, and what is told beside it.
fn with<const N: usize>(mut proof: Value, more: [(&str, Value); N]) -> Value {
    if let Some(members) = proof.as_object_mut() {
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    proof
}

impl From<ProofError> for CliError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Store(error) => error.into(),
            ProofError::NothingSealed => Self::new(ExitCode::NotFound, error)
                .hint("a running server signs a checkpoint within a second"),
            ProofError::TooLong { .. } => Self::new(ExitCode::Incomplete, error),
            ProofError::Tampered(_) => Self::new(ExitCode::Differences, error)
                .hint("`chancery audit verify` says what and where"),
        }
    }
}
