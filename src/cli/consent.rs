//! `chancery consent`: what people allow which client.

use chancery_domain::ids::{ConsentId, SubjectId};
use clap::{Args as ClapArgs, Subcommand};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::output::{self, Format, time};
use crate::admin::{Operation, Outcome};
use crate::lookups::{ConsentRow, Order, Part};

const EXAMPLES: &str = "\
Examples:
  chancery consent list alice
  chancery consent withdraw 5b1f0c3e8d2a47f69e0c4b7a1d3f5e68";

/// What people allow which client
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what a person allows
    List(List),
    /// Withdraw a consent: the grants by it are revoked, and the person is asked
    /// again
    Withdraw {
        /// The consent, as `list` shows it
        #[arg(value_name = "ID")]
        id: ConsentId,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// The name the person logs in with, or their subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Go on after this one, the last of the list before
    #[arg(long, value_name = "ID")]
    pub after: Option<ConsentId>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List(args) => list(args).await?,
        Command::Withdraw { id, store, format } => {
            let operation = Operation::WithdrawConsent { consent_id: id };
            match Access::with(&store, async |access| access.perform(operation).await).await? {
                Outcome::Consent(consent) if format.json => output::json(&consent)?,
                Outcome::Consent(consent) => output::object(&consent)?,
                other => return Err(unexpected(other)),
            }
        }
    }
    Ok(ExitCode::Done)
}

async fn list(args: List) -> Result<(), CliError> {
    let after = args.after.map(|id| id.to_string());
    let part = Part { order: Order::FirstToLast, after, limit: args.limit };
    let page = Access::with(&args.store, async |access| {
        let subject: SubjectId = access.subject(&args.name).await?;
        Ok(access.lookups(&["consents"]).await?.consents(subject, part).await?)
    })
    .await?;
    if args.format.json {
        output::json(&page.rows)?;
    } else {
        let headings = ["consent_id", "state", "client_id", "scope", "since"];
        let row = |consent: ConsentRow| {
            [
                consent.consent_id.to_string(),
                consent.state,
                consent.client_id.to_string(),
                consent.scope.to_string(),
                time(consent.updated_at),
            ]
        };
        output::table(headings, page.rows.into_iter().map(row))?;
    }
    if let Some(next) = page.next {
        output::note(&format!("there are more: --after {next}"));
    }
    Ok(())
}
