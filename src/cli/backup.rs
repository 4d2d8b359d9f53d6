//! `chancery backup`: copy an embedded store while it is in use.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use indicatif::HumanBytes;
use serde_json::json;

use super::StoreArgs;
use super::exit::{CliError, ExitCode};
use super::{output, progress};
use crate::config::store::Location;
use crate::stores::StoreError;
use crate::stores::sqlite::{Copied, SqliteStore};

const EXAMPLES: &str = "\
Examples:
  chancery backup --config chancery.toml --out /backups/2026-11-29
  chancery backup --data ./chancery-data --out /backups/today

The server may run meanwhile. The copy is the store as it was at one moment: the
log and what is sealed beside it. Read models are made again from the log. The
master key is not in it; without that key a backup is a log without secrets and
without personal data: keep both, apart from each other.

To restore, stop the server, and start it on the copy as its data folder:
  store.url = \"sqlite:///backups/2026-11-29\"
Then say that the log was put back on purpose, and erase again whom the backup
brought back: see \"Backups\" in the README.

A PostgreSQL store is backed up by PostgreSQL: pg_dump, or physical backups.";

/// Copy an embedded store while it is in use
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub store: StoreArgs,
    /// The folder that is made for the copy
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print what was copied as JSON
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let folder = match args.store.load()?.config.store.location() {
        Location::Sqlite(folder) => folder,
        Location::Postgres(_) => {
            return Err(CliError::usage("a PostgreSQL store is backed up by PostgreSQL")
                .hint("use `pg_dump --format=custom --file=chancery.dump`, or physical backups"));
        }
    };
    let Copied { position, bytes } = copy(&folder, &args.out).await?;
    if args.json {
        output::json(&json!({ "out": args.out, "position": position, "bytes": bytes }))?;
    } else {
        let (bytes, out) = (HumanBytes(bytes), args.out.display());
        output::line(&format!("{out}: {bytes}, up to position {position} of the log"))?;
        output::line("the master key is not in it: keep it, apart from the backups")?;
    }
    Ok(ExitCode::Done)
}

/// Copies, and shows how far it is.
async fn copy(from: &Path, to: &Path) -> Result<Copied, CliError> {
    let bar = progress::bytes(0, "copying");
    let (own_from, own_to) = (from.to_owned(), to.to_owned());
    let mut copying = tokio::task::spawn_blocking(move || SqliteStore::copy(&own_from, &own_to));
    let copied = loop {
        tokio::select! {
            copied = &mut copying => break copied,
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let (done, all) = SqliteStore::copied(from, to);
                bar.set_length(all);
                bar.set_position(done);
            }
        }
    };
    bar.finish_and_clear();
    copied.map_err(CliError::failed)?.map_err(|error| match error {
        StoreError::Io(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            CliError::refused(error)
                .hint("name a folder that is not there yet: each backup has its own")
        }
        error => error.into(),
    })
}
