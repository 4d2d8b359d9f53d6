//! `chancery config`: show the settings, check them.

use std::path::Path;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

use super::SettingsFile;
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use crate::config::master_key::{MasterKey, Source};
use crate::config::{Config, show};

const EXAMPLES: &str = "\
Examples:
  chancery config show --defaults > chancery.toml   a file to start from
  chancery config check --config chancery.toml      what is wrong with it
  chancery config show                              what is in force, and why";

/// Show and check the settings
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings in force, and where each comes from
    Show {
        #[command(flatten)]
        file: SettingsFile,
        /// Print every setting with its documentation and default instead
        #[arg(long, conflicts_with_all = ["config", "json"])]
        defaults: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Say everything that is wrong with the settings
    ///
    /// Also reads the master key from its file or variable, and the password
    /// from its file; runs no command and opens no store.
    Check {
        #[command(flatten)]
        file: SettingsFile,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Show { defaults: true, .. } => output::raw(&show::defaults())?,
        Command::Show { file, format, .. } => print_effective(&file, format)?,
        Command::Check { file, format } => return check(&file, format).await,
    }
    Ok(ExitCode::Done)
}

fn print_effective(file: &SettingsFile, format: Format) -> Result<(), CliError> {
    let loaded = file.load()?;
    if format.json {
        return Ok(output::json(&loaded.config.in_force)?);
    }
    let path = file.path();
    let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    Ok(output::raw(&show::effective_toml(&loaded.config.in_force, name.as_deref()))?)
}

async fn check(file: &SettingsFile, format: Format) -> Result<ExitCode, CliError> {
    let loaded = file.sources().and_then(|sources| Config::load(&sources));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problems) if format.json => {
            output::json(&json!({ "file": problems.file, "problems": problems.list }))?;
            return Ok(ExitCode::Usage);
        }
        Err(problems) => {
            output::line(&problems.to_string())?;
            return Ok(ExitCode::Usage);
        }
    };
    read_master_key(&loaded.config.master_key).await?;
    if format.json {
        output::json(&json!({ "file": file.path(), "problems": [] }))?;
        return Ok(ExitCode::Done);
    }
    output::line("the settings are good")?;
    Ok(ExitCode::Done)
}

/// A command may ask a person or a device, so it is not run here.
async fn read_master_key(settings: &MasterKey) -> Result<(), CliError> {
    match settings.source() {
        None | Some(Source::Command(..)) => Ok(()),
        Some(source) => {
            let hint = "make one with `openssl rand -hex 32`, or correct [master_key]";
            source.obtain().await.map(drop).map_err(|error| CliError::usage(error).hint(hint))
        }
    }
}
