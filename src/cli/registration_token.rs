//! `chancery registration-token`: by which others register clients.

#![expect(clippy::doc_markdown, reason = "its comments are help texts, shown as they stand")]

use std::path::PathBuf;

use chancery_domain::ids::{AggregateKind, RegistrationTokenId};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::registration_token::{Constraints, RegistrationToken};
use chancery_domain::time::UnixTime;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::client::read_object;
use super::exit::{CliError, ExitCode};
use super::input::{claim, moment, named};
use super::output::{self, Format, maybe_time, time};
use crate::admin::{NewRegistrationToken, Operation, Outcome, RegistrationTokenView};
use crate::aggregates::{Folded, Kept as _};
use crate::clock::{Clock as _, SystemClock};

const EXAMPLES: &str = "\
Examples:
  chancery registration-token create --uses 1 --expires 2026-05-01T09:30:00Z
  chancery registration-token create --label partners --scope 'openid profile'
  chancery registration-token list
  chancery registration-token revoke 0198f3a2c4d57e0fa1b2c3d4e5f60718";

/// Tokens by which others register clients (RFC 7591)
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token; prints it, once
    Create(Create),
    /// List all tokens, and how often each was used
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// End a token; the clients that were registered by it stay
    Revoke {
        /// Its id, as `list` shows it
        #[arg(value_name = "ID")]
        id: RegistrationTokenId,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Create {
    /// What it is for; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// How many clients it registers [default: any number]
    #[arg(long, value_name = "N")]
    pub uses: Option<u32>,
    /// When it ends: like 2026-05-01T09:30:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub expires: Option<UnixTime>,
    /// The scopes that its clients may have [default: registration.scopes]; may be
    /// repeated, or several in one with spaces between
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<Scope>,
    /// The grant types that they may use [default: registration.grant_types]; may
    /// be repeated
    #[arg(long, value_name = "TYPE", value_parser = named::<GrantType>(GrantType::NAMES))]
    pub grant_type: Vec<GrantType>,
    /// Metadata that they have whatever they ask for: a JSON object with the names
    /// of RFC 7591; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<PathBuf>,
    /// One such member; the value is JSON where it is that, else a string; may be
    /// repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    pub set: Vec<(String, Value)>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

impl Create {
    fn constraints(&self) -> Result<Constraints, CliError> {
        let mut fixed = match &self.metadata {
            Some(path) => read_object(path)?,
            None => Map::new(),
        };
        fixed.extend(self.set.iter().cloned());
        let scope = (!self.scope.is_empty())
            .then(|| self.scope.iter().fold(Scope::default(), |all, more| all.union(more)));
        Ok(Constraints { scope, grant_types: self.grant_type.clone(), fixed })
    }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Create(args) => {
            let operation = Operation::IssueRegistrationToken(NewRegistrationToken {
                label: args.label.clone(),
                uses: args.uses,
                expires_at: args.expires,
                constraints: args.constraints()?,
            });
            print(&perform(&args.store, operation).await?, args.format)?;
        }
        Command::List { store, format } => list(&store, format).await?,
        Command::Revoke { id, store, format } => {
            let operation = Operation::RevokeRegistrationToken { token_id: id };
            print(&perform(&store, operation).await?, format)?;
        }
    }
    Ok(ExitCode::Done)
}

async fn perform(
    store: &StoreArgs,
    operation: Operation,
) -> Result<RegistrationTokenView, CliError> {
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::RegistrationToken(token) => Ok(*token),
        other => Err(unexpected(other)),
    }
}

fn print(token: &RegistrationTokenView, format: Format) -> Result<(), CliError> {
    if format.json {
        return Ok(output::json(token)?);
    }
    output::object(token)?;
    if token.token.is_some() {
        output::note("keep the token now: it can't be shown again");
    }
    Ok(())
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let tokens = Access::reading(store, async |access| {
        let now = SystemClock.now();
        let mut tokens = Vec::new();
        let ids = access.store().ids(AggregateKind::RegistrationToken).await;
        for id in ids.map_err(CliError::store_unavailable)? {
            let stream = RegistrationToken::stream(&id);
            let folded = Folded::<RegistrationToken>::load(&**access.store(), &stream).await;
            let folded = folded.map_err(CliError::store_unavailable)?;
            tokens.extend(folded.state.issued().map(|token| RegistrationTokenView::of(token, now)));
        }
        Ok(tokens)
    })
    .await?;
    if format.json {
        return Ok(output::json(&tokens)?);
    }
    let headings = ["id", "label", "state", "used", "of", "since", "until"];
    let row = |token: RegistrationTokenView| {
        [
            token.token_id.to_string(),
            token.label.unwrap_or_default(),
            token.state,
            token.used.to_string(),
            token.uses.map_or_else(String::new, |uses| uses.to_string()),
            time(token.issued_at),
            maybe_time(token.expires_at),
        ]
    };
    Ok(output::table(headings, tokens.into_iter().map(row))?)
}
