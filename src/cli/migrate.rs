//! `chancery migrate`: bring the store's tables up to date.

use clap::Args as ClapArgs;

use super::StoreArgs;

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
