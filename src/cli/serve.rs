//! `chancery serve`: the server, for real.

use clap::Args as ClapArgs;

use super::SettingsFile;

const EXAMPLES: &str = "\
Examples:
  chancery serve --config /etc/chancery/chancery.toml
  CHANCERY_LOG_FORMAT=json chancery serve

`chancery config show --defaults` prints a configuration file to start from.";

/// Run the server
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub settings: SettingsFile,
}
