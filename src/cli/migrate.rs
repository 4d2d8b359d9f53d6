//! `chancery migrate`: bring the store's tables up to date.

use clap::Args as ClapArgs;

use super::StoreArgs;
use super::exit::{CliError, ExitCode};
use super::output;
use crate::config::store::Location;
use crate::stores::StoreError;
use crate::stores::postgres::PostgresStore;
use crate::stores::sqlite::SqliteStore;

const EXAMPLES: &str = "\
Example:
  chancery migrate --config chancery.toml

Servers do this themselves at start unless store.migrate_at_start is false. It
is safe to run while others do the same.";

/// Bring the store's tables up to date
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub store: StoreArgs,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let config = args.store.load()?.config;
    let applied = match config.store.location() {
        Location::Sqlite(folder) => match SqliteStore::migrate(&folder).await {
            // Whoever writes to it has brought it up to date.
            Err(StoreError::InUse(_)) => SqliteStore::open_read_only(&folder).map(|_| Vec::new()),
            applied => applied,
        },
        Location::Postgres(url) =>
        {
            #[expect(clippy::disallowed_methods, reason = "PostgreSQL asks for the password")]
            PostgresStore::migrate(url.expose()).await
        }
    }?;
    if applied.is_empty() {
        output::line("the store is up to date")?;
    }
    for name in applied {
        output::line(&format!("applied {name}"))?;
    }
    Ok(ExitCode::Done)
}
