//! `chancery audit`: what auditors ask of a log.

use clap::{Args as ClapArgs, Subcommand};

use super::exit::{CliError, ExitCode};

pub mod checkpoint;
pub mod key;
pub mod prove;
pub mod verify;

/// Prove that nothing in the log was changed
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    pub command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    Verify(verify::Args),
    Checkpoint(checkpoint::Args),
    Prove(prove::Args),
    Key(key::Args),
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        AuditCommand::Verify(args) => verify::run(args).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::Key(args) => key::run(args).await,
    }
}
