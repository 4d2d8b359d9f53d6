//! `chancery quickstart`: a server to try, made on the spot.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::config::{DEFAULT_DATA_FOLDER, DEFAULT_QUICKSTART_LISTEN};

const EXAMPLES: &str = "\
Examples:
  chancery quickstart
  chancery quickstart --listen localhost:9000 --data /tmp/chancery";

/// Make and run a server to try: a store, keys, demo clients and a demo account
///
/// What was made is kept and used again at the next start. Serves on loopback
/// only: the demo passwords are known to all.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; http://HOST:PORT becomes the issuer, and localhost
    /// stands for both loopback addresses
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_QUICKSTART_LISTEN)]
    pub listen: String,
    /// The folder for the store and the master key
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_FOLDER)]
    pub data: PathBuf,
}
