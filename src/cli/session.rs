//! `chancery session`: where people are logged in.

use chancery_domain::ids::{SessionId, SubjectId};
use clap::{Args as ClapArgs, Subcommand};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::output::{self, Format, maybe_time, time};
use crate::admin::{Operation, Outcome};
use crate::lookups::{Order, Part, SessionRow};

const EXAMPLES: &str = "\
Examples:
  chancery session list alice
  chancery session end 0198f3a2c4d57e0fa1b2c3d4e5f60718";

/// Where people are logged in
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a person's sessions, the newest first
    List(List),
    /// End a session: the grants given in it are revoked, and its applications
    /// are told
    End {
        /// The session
        #[arg(value_name = "ID")]
        id: SessionId,
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
    pub after: Option<SessionId>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List(args) => list(args).await?,
        Command::End { id, store, format } => {
            let operation = Operation::EndSession { session_id: id };
            match Access::with(&store, async |access| access.perform(operation).await).await? {
                Outcome::Session(session) if format.json => output::json(&session)?,
                Outcome::Session(session) => output::object(&session)?,
                other => return Err(unexpected(other)),
            }
        }
    }
    Ok(ExitCode::Done)
}

async fn list(args: List) -> Result<(), CliError> {
    let after = args.after.map(|id| id.to_string());
    let part = Part { order: Order::LastToFirst, after, limit: args.limit };
    let page = Access::with(&args.store, async |access| {
        let subject: SubjectId = access.subject(&args.name).await?;
        Ok(access.lookups(&["sessions"]).await?.sessions(subject, part).await?)
    })
    .await?;
    if args.format.json {
        output::json(&page.rows)?;
    } else {
        let headings = ["session_id", "state", "since", "logged in", "ends", "ended", "why"];
        let row = |session: SessionRow| {
            [
                session.session_id.to_string(),
                session.state,
                time(session.created_at),
                time(session.auth_time),
                time(session.expires_at),
                maybe_time(session.ended_at),
                session.cause.unwrap_or_default(),
            ]
        };
        output::table(headings, page.rows.into_iter().map(row))?;
    }
    if let Some(next) = page.next {
        output::note(&format!("there are more: --after {next}"));
    }
    Ok(())
}
