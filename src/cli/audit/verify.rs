//! `chancery audit verify`: is the log the one that was sealed?

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::cli::progress;
use crate::stores::Store;
use crate::transparency::verify::{Held, Report, Verdict, verify};
use crate::transparency::{SignedCheckpoint, Verifiers, held, keys};

const EXAMPLES: &str = "\
Examples:
  chancery audit verify
  chancery audit verify --since checkpoint-of-last-year.txt
  chancery audit verify --key 'auth.example.com/audit/log+5f0c27a1+AS…' --since old.txt

Without --key, the signatures are checked by the keys that the log itself names:
whoever can change the database can change those too. Give the key that you wrote
down when you saw it first (`chancery audit key list` shows it), and a checkpoint
that you kept (`chancery audit checkpoint`).

Ends with exit code 0 only when the log is what was sealed; with 6 when it was
changed, 7 when less is there than was sealed, 8 when nobody known sealed it.";

/// Compute the whole log again and compare it with what was sealed
///
/// Reads every event, computes its digest, its chain and the Merkle tree over
/// all of them, and compares with every checkpoint that is kept in the database,
/// in the file beside it, and in those given. Changes nothing; safe beside a
/// running server.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A checkpoint that you kept; may be given several times
    #[arg(long, value_name = "FILE")]
    pub since: Vec<PathBuf>,
    /// A key to believe, as `chancery audit key list` shows it; then no others are
    #[arg(long, value_name = "VKEY")]
    pub key: Vec<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let mut given = Vec::new();
    for path in &args.since {
        given.push(read(path)?);
    }
    let bar = progress::bar(0, "verifying");
    let report = Access::reading(&args.store, async |access| {
        let store = access.store();
        let verifiers = believed(&**store, &args.key).await?;
        let mut checkpoints = given;
        if let Some(path) = held::path(access.config()) {
            let beside = held::read(&path).await.map_err(CliError::failed)?;
            let name = format!("the checkpoint in {}", path.display());
            checkpoints.extend(beside.map(|checkpoint| Held { name, checkpoint }));
        }
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        Ok(verify(store, checkpoints, &verifiers, progress).await?)
    })
    .await?;
    bar.finish_and_clear();
    if args.format.json {
        output::json(&report)?;
    } else {
        output::raw(&told(&report, args.key.is_empty()))?;
    }
    Ok(match report.verdict {
        Verdict::Intact => ExitCode::Done,
        Verdict::NothingSealed | Verdict::Incomplete => ExitCode::Incomplete,
        Verdict::UnknownKey => ExitCode::UnknownKey,
        Verdict::Tampered => ExitCode::Differences,
    })
}

/// The keys given; else those that the log names.
async fn believed(store: &dyn Store, given: &[String]) -> Result<Verifiers, CliError> {
    let wrong = |error| CliError::usage(format_args!("{error}"));
    if !given.is_empty() {
        return Verifiers::new(given.iter().map(String::as_str)).map_err(wrong);
    }
    let last = store.log_checkpoint().await?;
    let keys = match last {
        Some(last) => {
            keys::published(store, &last.origin).await.map_err(CliError::store_unavailable)?
        }
        None => Vec::new(),
    };
    Verifiers::new(keys.iter().map(|key| key.verifier.as_str())).map_err(wrong)
}

/// A checkpoint in a file.
pub(super) fn read(path: &Path) -> Result<Held, CliError> {
    let named = |error: &dyn std::fmt::Display| {
        CliError::usage(format_args!("{}: {error}", path.display()))
            .hint("name a file that `chancery audit checkpoint` wrote")
    };
    let note = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    let checkpoint = SignedCheckpoint::read(&note).map_err(|error| named(&error))?;
    Ok(Held { name: format!("the checkpoint in {}", path.display()), checkpoint })
}

fn told(report: &Report, by_own_keys: bool) -> String {
    let mut lines = vec![format!(
        "{} events of {} histories, up to position {}; {} of them sealed",
        report.events, report.aggregates, report.position, report.sealed
    )];
    let matching: Vec<_> =
        report.checkpoints.iter().filter(|one| one.result == "matches").collect();
    if let Some(largest) = matching.iter().map(|one| one.size).max() {
        lines.push(format!(
            "{} checkpoints match, the latest over {largest} events",
            matching.len()
        ));
    }
    for other in report.checkpoints.iter().filter(|one| one.result != "matches") {
        lines.push(format!("{} (over {} events): {}", other.name, other.size, other.result));
    }
    for finding in &report.findings {
        let position = finding.position.map_or_else(String::new, |at| format!(" at position {at}"));
        lines.push(format!("FOUND {}{position}: {}", finding.place, finding.what));
    }
    if report.further_findings > 0 {
        lines.push(format!("and {} more findings", report.further_findings));
    }
    lines.push(
        match report.verdict {
            Verdict::Intact => "INTACT: the log is what was sealed",
            Verdict::NothingSealed => {
                "NOTHING SEALED: there is no checkpoint to compare with; a running server signs one \
                 every second"
            }
            Verdict::UnknownKey => {
                "UNKNOWN KEY: the log matches, but nobody known has signed it; give the key that \
                 you know with --key"
            }
            Verdict::Incomplete => "INCOMPLETE: less is there than was sealed",
            Verdict::Tampered => "TAMPERED: the log is not what was sealed",
        }
        .to_owned(),
    );
    if by_own_keys && report.verdict == Verdict::Intact {
        lines.push(
            "(The signatures were checked by the keys that the log names. To trust nobody here, \
             give --key and --since: see --help.)"
                .to_owned(),
        );
    }
    lines.push(String::new());
    // What stands in a damaged store may be anything.
    output::printable(&lines.join("\n"))
}
