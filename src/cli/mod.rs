//! The command line: one file per command.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

pub mod access;
pub mod account;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod client;
pub mod config;
pub mod consent;
pub mod events;
pub mod exit;
pub mod grant;
pub mod history;
pub mod hook;
pub mod input;
pub mod key;
pub mod migrate;
pub mod output;
pub mod progress;
pub mod projections;
pub mod quickstart;
pub mod registration_token;
pub mod replay;
pub mod sample;
pub mod scope;
pub mod serve;
pub mod session;

use crate::config::problem::Problems;
use crate::config::{Config, Loaded, Sources};
use exit::{CliError, ExitCode};

/// The configuration file that is read where none is named, if there is one.
const DEFAULT_FILE: &str = "chancery.toml";

/// An event-sourced OAuth 2.0 and OpenID Connect authorization server
#[derive(Debug, Parser)]
#[command(name = "chancery", version, propagate_version = true, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Args),
    Serve(serve::Args),
    Migrate(migrate::Args),
    Backup(backup::Args),
    Client(client::Args),
    RegistrationToken(registration_token::Args),
    Scope(scope::Args),
    Account(account::Args),
    Session(session::Args),
    Consent(consent::Args),
    Grant(grant::Args),
    Hook(hook::Args),
    Key(key::Args),
    Audit(audit::Args),
    Events(events::Args),
    Replay(replay::Args),
    Projections(projections::Args),
    Sample(sample::Args),
    Bench(Box<bench::Args>),
    Config(config::Args),
}

/// Which settings a command goes by: those of a server.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsFile {
    /// The configuration file [default: chancery.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl SettingsFile {
    /// The file that is read.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let default = Path::new(DEFAULT_FILE);
        self.config.clone().or_else(|| default.is_file().then(|| default.to_owned()))
    }

    pub fn sources(&self) -> Result<Sources, Problems> {
        Sources::of_process(self.path().as_deref())
    }

    /// Reads the settings.
    pub fn load(&self) -> Result<Loaded, CliError> {
        let path = self.path();
        self.sources().and_then(|sources| Config::load(&sources)).map_err(|problems| {
            let error = wrong_settings(&problems);
            if path.is_some() {
                return error;
            }
            error.hint(
                "there is no chancery.toml here: name a file with --config, or the folder of an \
                 embedded store with --data where the command takes it",
            )
        })
    }
}

/// Which store a command works on: that of a server's settings, or the embedded
/// store in a folder.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    pub settings: SettingsFile,
    /// The folder of an embedded store, such as quickstart's
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
}

impl StoreArgs {
    /// Reads the settings.
    pub fn load(&self) -> Result<Loaded, CliError> {
        let Some(folder) = &self.data else {
            return self.settings.load();
        };
        if !folder.is_dir() {
            let message = format_args!("there is no store in {}", folder.display());
            return Err(CliError::new(ExitCode::StoreUnavailable, message)
                .hint("name the folder that `chancery quickstart` was given, or printed"));
        }
        Config::embedded(folder).map_err(|problems| wrong_settings(&problems))
    }
}

/// Settings that are wrong, as the failure of a command.
#[must_use]
pub fn wrong_settings(problems: &Problems) -> CliError {
    CliError::usage(format_args!("the settings are wrong\n{problems}"))
}

/// Runs the command that these arguments name, and says how it ended.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. If they can't be written,
            // there is nobody to tell.
            drop(error.print());
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
        }
    };
    Box::pin(dispatch(cli.command)).await.unwrap_or_else(|error| {
        // If standard error is gone, the exit code is all that is left to say.
        drop(writeln!(std::io::stderr().lock(), "{error}"));
        error.code
    })
}

async fn dispatch(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Quickstart(args) => Box::pin(quickstart::run(args)).await,
        Command::Serve(args) => Box::pin(serve::run(args)).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Client(args) => client::run(args).await,
        Command::RegistrationToken(args) => registration_token::run(args).await,
        Command::Scope(args) => scope::run(args).await,
        Command::Account(args) => account::run(args).await,
        Command::Session(args) => session::run(args).await,
        Command::Consent(args) => consent::run(args).await,
        Command::Grant(args) => grant::run(args).await,
        Command::Hook(args) => hook::run(args).await,
        Command::Key(args) => key::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Events(args) => events::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Projections(args) => projections::run(args).await,
        Command::Sample(args) => sample::run(args).await,
        Command::Bench(args) => bench::run(*args).await,
        Command::Config(args) => config::run(args).await,
    }
}

#[cfg(test)]
mod tests;
