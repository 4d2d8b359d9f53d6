//! `chancery key`: signing keys, and the master key above them.

#![expect(clippy::doc_markdown, reason = "its comments are help texts, shown as they stand")]

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::StoreArgs;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  chancery key list
  chancery key rotate
  chancery key rotate --algorithm RS256
  openssl rand -hex 32 > new.key && chancery key rewrap --to-file new.key

After `rewrap`, name the new key in [master_key] and restart every node; keep
the old key as long as backups of the store from before.";

/// Signing keys, and the master key above them
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the signing keys
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Make a new signing key and sign with it; the old one stays published
    /// until the last token that it signed has expired
    Rotate(Rotate),
    /// Wrap all keys with another master key
    Rewrap(Rewrap),
}

#[derive(Debug, ClapArgs)]
pub struct Rotate {
    /// Only the key of this algorithm [default: keys.signing_algorithm]
    #[arg(long, value_name = "ALG")]
    pub algorithm: Option<Algorithm>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Rewrap {
    #[command(flatten)]
    pub to: NewMasterKey,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

/// Where the new master key is.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub struct NewMasterKey {
    /// The new master key is in this file
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
    /// The new master key is in this environment variable
    #[arg(long, value_name = "NAME")]
    pub to_env: Option<String>,
}

/// A signature algorithm, by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "EdDSA")]
    EdDsa,
}
