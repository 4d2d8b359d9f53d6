//! `chancery audit`: what happened, and can it be relied on?

pub mod access;
pub mod alive;
pub mod cascade;
pub mod checkpoint;
pub mod client;
pub mod erased;
pub mod export;
pub mod grant;
pub mod incidents;
pub mod key;
pub mod lineage;
pub mod prove;
pub mod reads;
pub mod signed_by;
pub mod verify;

use std::io;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::StoreArgs;
use super::access::Access;
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use crate::audit::{AsOf, AuditError, Moment, Part, Records};

const EXAMPLES: &str = "\
The questions:
  access      Who had access to what on a day, and by which consent?
  lineage     Which grants, codes and tokens descend from a consent?
  incidents   Which codes and refresh tokens came twice, and what was revoked for it?
  signed-by   Which grants have tokens that this key signed?
  grant       What was the state of a grant at some moment, and what had its person seen?
  client      Who changed a client, how, and what did it lead to?
  cascade     Which grants ended because of this event?
  alive       Which revoked tokens are still alive at those who do not ask?
  reads       Who saw what is known of people, and why?
  erased      Was a person erased everywhere, and what is left of them?
  verify      Was nothing changed or removed since an earlier checkpoint?

Times: a day like 2026-05-01 is all of it, in UTC; a moment is RFC 3339, or seconds since 1970.
Each answer says at which position of the log it is true. People are told by their pseudonyms
(`chancery account show` finds them).

Examples:
  chancery audit access --on 2026-05-01 --client web
  chancery audit lineage --subject 0198f3a2c4d57e0fa1b2c3d4e5f60718 --client web
  chancery audit incidents --since 2026-05-01 --kind code_replayed
  chancery audit grant 0198f3a2c4d57e0fa1b2c3d4e5f60718 --at 2026-05-01T09:30:00Z
  chancery audit export --client web --out evidence.zip";

/// Ask what happened, and prove that nothing in the log was changed
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    Access(access::Args),
    Lineage(lineage::Args),
    Incidents(incidents::Args),
    SignedBy(signed_by::Args),
    Grant(grant::Args),
    Client(client::Args),
    Cascade(cascade::Args),
    Alive(alive::Args),
    Reads(reads::Args),
    Erased(erased::Args),
    Verify(verify::Args),
    Checkpoint(checkpoint::Args),
    Prove(prove::Args),
    Key(key::Args),
    Export(export::Args),
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        AuditCommand::Access(args) => access::run(args).await,
        AuditCommand::Lineage(args) => lineage::run(args).await,
        AuditCommand::Incidents(args) => incidents::run(args).await,
        AuditCommand::SignedBy(args) => signed_by::run(args).await,
        AuditCommand::Grant(args) => grant::run(args).await,
        AuditCommand::Client(args) => client::run(args).await,
        AuditCommand::Cascade(args) => cascade::run(args).await,
        AuditCommand::Alive(args) => alive::run(args).await,
        AuditCommand::Reads(args) => reads::run(args).await,
        AuditCommand::Erased(args) => erased::run(args).await,
        AuditCommand::Verify(args) => verify::run(args).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::Key(args) => key::run(args).await,
        AuditCommand::Export(args) => Box::pin(export::run(args)).await,
    }
}

/// Which part of a list.
#[derive(Debug, Clone, ClapArgs)]
pub struct PartArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Go on where the list before ended
    #[arg(long, value_name = "NEXT")]
    pub after: Option<String>,
}

impl PartArgs {
    fn part(self) -> Part {
        Part { after: self.after, limit: self.limit }
    }
}

/// Of which store a question is asked, and how the answer is told.
#[derive(Debug, Clone, ClapArgs)]
pub struct Asking {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

impl Asking {
    /// Asks, once these read models hold all that the log holds now; without any, the log alone
    /// is read. The answer is told as JSON, or by `tell` for people.
    async fn answer<T: Serialize>(
        &self,
        read_models: &[&str],
        ask: impl AsyncFnOnce(&Records) -> Result<T, AuditError>,
        tell: impl FnOnce(&T) -> io::Result<()>,
    ) -> Result<ExitCode, CliError> {
        let answer = if read_models.is_empty() {
            let work = async |access: &Access| Ok(ask(&Records::of(access.store())).await?);
            Access::reading(&self.store, work).await?
        } else {
            let work = async |access: &Access| {
                access.lookups(read_models).await?;
                Ok(ask(&Records::of(access.store())).await?)
            };
            Access::with(&self.store, work).await?
        };
        if self.format.json {
            output::json(&answer)?;
        } else {
            tell(&answer)?;
        }
        Ok(ExitCode::Done)
    }
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::NotFound { what, name } => Self::not_found(what, name),
            AuditError::Invalid(why) => Self::usage(why),
            AuditError::Store(error) => error.into(),
            AuditError::Unreadable(error) => super::history::unreadable(error),
        }
    }
}

/// Says where an answer is true, and that there is more of it.
fn note(as_of: &AsOf, next: Option<&String>) {
    output::note(&as_of.told());
    if let Some(next) = next {
        output::note(&format!("there are more: --after {next}"));
    }
}

/// Both clocks, for people: the second one below where it tells something else.
fn told(moment: &Moment) -> String {
    let second = |text: &str| text.get(..19).map_or_else(|| text.to_owned(), |to| format!("{to}Z"));
    let happened = second(moment.happened_at.as_str());
    let recorded = second(moment.recorded_at.as_str());
    if happened == recorded {
        return happened;
    }
    format!("{happened}\n(recorded {recorded})")
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
