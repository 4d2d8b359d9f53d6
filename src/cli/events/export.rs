//! `chancery events export`: the log as files for analysts.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::cli::progress;
use crate::clock::SystemClock;
use crate::events::files::{self, Bound, FilesError, Wanted, Written, write};

const EXAMPLES: &str = "\
Examples:
  chancery events export --out events
  chancery events export --out may --from 2026-05-01 --to 2026-05-31
  chancery events export --out lines --format ndjson --from 1200001
  duckdb -c \"SELECT event_type, count(*) FROM 'events/*/*.parquet' GROUP BY ALL\"
  chancery events query funnel --dir events | duckdb

The folder gets a folder for each day (UTC, by recorded_at) and a manifest.json with the positions
and the SHA-256 of each file. Run again, it goes on where it was; only the last file may be written
anew, longer. A run that was interrupted is taken up again the same way. It may run beside a server.

There are no secrets and no sealed data in the files: people are told by their pseudonyms.";

/// Write the events to files for analysts, a folder for each day
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What the files are
    #[arg(long = "format", value_enum, default_value_t = Kind::Parquet)]
    pub kind: Kind,
    /// From this day (UTC) or position on [default: the beginning of the log]
    #[arg(long, value_name = "DAY|N")]
    pub from: Option<Bound>,
    /// Up to this day (UTC) or position, which is in it [default: the end of the log]
    #[arg(long, value_name = "DAY|N")]
    pub to: Option<Bound>,
    /// The most events in a file
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub file_events: u64,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Columns, typed, compressed by zstd
    Parquet,
    /// The lines that `chancery events` prints
    Ndjson,
}

impl From<Kind> for files::Format {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Parquet => Self::Parquet,
            Kind::Ndjson => Self::Ndjson,
        }
    }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let Args { from, to, file_events, .. } = args;
    let wanted = Wanted { format: args.kind.into(), from, to, events_per_file: file_events };
    let bar = progress::bar(0, "writing events");
    let told = |position: u64, from: u64, to: u64| {
        bar.set_length(to.saturating_sub(from));
        bar.set_position(position.saturating_sub(from));
    };
    let written = Access::reading(&args.store, async |access| {
        Ok(write(&**access.store(), &args.out, wanted, &SystemClock, told).await?)
    })
    .await;
    bar.finish_and_clear();
    let written = written?;
    if args.format.json {
        output::json(&written)?;
    } else {
        output::line(&summary(&written, &args.out))?;
    }
    Ok(ExitCode::Done)
}

fn summary(written: &Written, out: &Path) -> String {
    let Written { new_events, events, files, through, .. } = written;
    format!(
        "{}: {new_events} new events; {events} events in {files} files, up to position {through}",
        out.display()
    )
}

impl From<FilesError> for CliError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Store(error) => error.into(),
            FilesError::Write(..) => Self::failed(error),
            FilesError::Unreadable(..) => {
                Self::failed(error).hint("`chancery replay` says what else is wrong")
            }
            FilesError::NotOurs(_)
            | FilesError::NotAManifest(_)
            | FilesError::OtherManifest(..)
            | FilesError::OtherLog { .. }
            | FilesError::OtherHistory { .. } => {
                Self::refused(error).hint("name a new folder with --out")
            }
            FilesError::OtherFormat(..) => {
                Self::refused(error).hint("name that --format, or a new folder with --out")
            }
            FilesError::InUse(_) => Self::refused(error).hint("wait until it is done"),
            FilesError::OtherBeginning { .. } => {
                Self::refused(error).hint("leave out --from to go on, or name a new folder")
            }
        }
    }
}
