//! `chancery account`: the people who log in.

use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use super::StoreArgs;
use super::input::claim;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  printf %s \"$PASSWORD\" | chancery account add alice --password-stdin \\
      --claim email=alice@example.com --claim email_verified=true
  chancery account show alice
  chancery account lock alice --reason 'left the company'";

/// The people who log in
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add an account
    Add(Add),
    /// List all accounts
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Show an account
    Show(One),
    /// Give an account another password
    SetPassword(SetPassword),
    /// Lock an account: no login, and its grants are revoked
    Lock(Lock),
    /// Unlock an account; what was revoked stays revoked
    Unlock(One),
}

/// One account.
#[derive(Debug, ClapArgs)]
pub struct One {
    /// The name it logs in with
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Add {
    /// The name to log in with
    #[arg(value_name = "NAME", value_parser = account_name)]
    pub name: String,
    /// Read the password from standard input; it is never an argument, which
    /// others could see
    #[arg(long, required = true)]
    pub password_stdin: bool,
    /// A claim about the person, VALUE being JSON or else a string; may be
    /// repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    pub claim: Vec<(String, Value)>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct SetPassword {
    /// The name it logs in with
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Read the password from standard input; it is never an argument, which
    /// others could see
    #[arg(long, required = true)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Lock {
    /// The name it logs in with
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

fn account_name(text: &str) -> Result<String, String> {
    let good = (1..=128).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if good {
        return Ok(text.to_owned());
    }
    Err("give 1 to 128 characters, without space around them".to_owned())
}
