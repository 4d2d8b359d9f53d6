//! `chancery account`: the people who log in.

mod erase;

use chancery_domain::account::{Account, Role};
use chancery_domain::ids::SubjectId;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::history;
use super::input::{claim, named, password_from_stdin};
use super::output::{self, Format, maybe_time, time};
use crate::admin::{
    AccountView, AccountsView, NAME_RULE, NewAccount, Operation, Outcome, account_view,
    is_account_name, list_accounts,
};
use crate::aggregates::Kept as _;
use crate::lookups::Part;

const EXAMPLES: &str = "\
Examples:
  printf %s \"$PASSWORD\" | chancery account add alice --password-stdin \\
      --claim email=alice@example.com --claim email_verified=true
  chancery account show alice
  chancery account show alice --reason 'ticket 4711'
  chancery account lock alice --reason 'left the company'
  chancery account reset-password alice
  chancery account erase alice --reason 'asked for it, ticket 4712'

The first operator of a server:
  printf %s \"$PASSWORD\" | chancery account add root --password-stdin --operator";

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
    /// List accounts, in the order of their subjects; with --reason who they
    /// are, too, which is an event for each
    List(List),
    /// Show an account; with --reason who it is, too, which is recorded first
    Show(Show),
    /// Tell what happened to an account, who did it and why
    History(One),
    /// Give an account another password
    SetPassword(SetPassword),
    /// Change claims about a person; those not named stay
    SetClaims(SetClaims),
    /// Lock an account: no login, and its grants are revoked
    Lock(Lock),
    /// Unlock an account; what was revoked stays revoked
    Unlock(One),
    /// Destroy everything personal of an account, for good: its name, claims and
    /// password, and what is sealed of its grants and sessions
    ///
    /// The log keeps what happened, by the account's pseudonym, and still
    /// verifies. It can be done again by SUBJECT: after a backup was restored it
    /// has to be (see `chancery account erased`).
    Erase(Erase),
    /// List the subjects that were erased, to erase them again after a backup was
    /// restored
    Erased {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Show the roles of an account, or replace them: admin administers the
    /// server, auditor reads what happened
    Roles(Roles),
    /// Open a one-time link by which the person chooses a new password
    ///
    /// The link is good for 30 minutes and once, and takes the place of an
    /// earlier one. It is printed for you to hand over, and kept nowhere; with
    /// --mail it is sent to the account's e-mail address instead.
    ResetPassword(ResetPassword),
}

#[derive(Debug, ClapArgs)]
pub struct Roles {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A role that it shall have, and no others; may be repeated
    #[arg(long, value_name = "ROLE", value_parser = role(), conflicts_with = "none")]
    pub set: Vec<Role>,
    /// Take all roles from it
    #[arg(long)]
    pub none: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct ResetPassword {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Send the link to the account's e-mail address, by the mail server of the
    /// settings
    #[arg(long)]
    pub mail: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

/// One account.
#[derive(Debug, ClapArgs)]
pub struct One {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why you want to see who it is; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Why you want to see who they are; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// At most so many [default: all; 100 with --reason]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Go on after this one, the last of the list before
    #[arg(long, value_name = "SUBJECT")]
    pub after: Option<SubjectId>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Erase {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
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
    /// A role besides logging in; may be repeated
    #[arg(long, value_name = "ROLE", value_parser = role())]
    pub role: Vec<Role>,
    /// An operator: the same as --role admin
    #[arg(long)]
    pub operator: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct SetPassword {
    /// The name it logs in with, or its subject
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
pub struct SetClaims {
    /// The name it logs in with, or its subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A claim about the person, VALUE being JSON or else a string; null
    /// removes it; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim, required = true)]
    pub claim: Vec<(String, Value)>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Lock {
    /// The name it logs in with, or its subject
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

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Add(args) => {
            let operation = Operation::AddAccount(NewAccount {
                name: args.name,
                password: password_from_stdin()?.into_confidential(),
                claims: args.claim.into_iter().collect(),
                roles: args.role.into_iter().chain(args.operator.then_some(Role::Admin)).collect(),
            });
            change(&args.store, args.format, operation).await?;
        }
        Command::List(args) => list(args).await?,
        Command::Show(args) => show(args).await?,
        Command::History(args) => {
            let events = Access::with(&args.store, async |access| {
                let subject = access.subject(&args.name).await?;
                history::read(access, &Account::stream(&subject.to_string()), "account").await
            });
            history::print(events.await?, args.format)?;
        }
        Command::SetPassword(args) => {
            let password = password_from_stdin()?.into_confidential();
            let operation = Operation::SetPassword { account: args.name, password };
            change(&args.store, args.format, operation).await?;
        }
        Command::SetClaims(args) => {
            let claims: Map<_, _> = args.claim.into_iter().collect();
            let operation = Operation::SetClaims { account: args.name, claims };
            change(&args.store, args.format, operation).await?;
        }
        Command::Lock(args) => {
            let reason = args.reason.unwrap_or_default();
            let operation = Operation::LockAccount { account: args.name, reason };
            change(&args.store, args.format, operation).await?;
        }
        Command::Unlock(args) => {
            let operation = Operation::UnlockAccount { account: args.name };
            change(&args.store, args.format, operation).await?;
        }
        Command::Erase(args) => erase::run(args).await?,
        Command::Erased { store, format } => erase::list(&store, format).await?,
        Command::Roles(args) if args.set.is_empty() && !args.none => {
            let Roles { name, store, format, .. } = args;
            show(Show { name, reason: None, store, format }).await?;
        }
        Command::Roles(args) => {
            let roles = args.set.into_iter().collect();
            let operation = Operation::ReplaceRoles { account: args.name, roles };
            change(&args.store, args.format, operation).await?;
        }
        Command::ResetPassword(args) => reset_password(args).await?,
    }
    Ok(ExitCode::Done)
}

async fn change(store: &StoreArgs, format: Format, operation: Operation) -> Result<(), CliError> {
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::Account(account) => print(&account, format),
        other => Err(unexpected(other)),
    }
}

async fn reset_password(args: ResetPassword) -> Result<(), CliError> {
    let operation = Operation::ResetPasswordLink { account: args.name, by_mail: args.mail };
    let done = Access::with(&args.store, async |access| access.perform(operation).await).await?;
    let Outcome::ResetLink(link) = done else { return Err(unexpected(done)) };
    if args.format.json {
        return Ok(output::json(&link)?);
    }
    Ok(output::object(&link)?)
}

fn print(account: &AccountView, format: Format) -> Result<(), CliError> {
    Ok(if format.json { output::json(account) } else { output::object(account) }?)
}

async fn show(args: Show) -> Result<(), CliError> {
    let Show { name, reason, store, format } = args;
    if let Some(reason) = reason {
        return change(&store, format, Operation::ReadAccount { account: name, reason }).await;
    }
    let account = Access::with(&store, async |access| {
        let services = access.services().await?;
        Ok(account_view(&services, &name).await?)
    });
    print(&account.await?, format)
}

async fn list(args: List) -> Result<(), CliError> {
    let List { reason, limit, after, store, format } = args;
    let after = after.map(|subject| subject.to_string());
    let found = Access::with(&store, async |access| {
        access.lookups(&["accounts"]).await?;
        match reason {
            Some(reason) => read_some(access, after, limit.unwrap_or(100), reason).await,
            None => pseudonyms(access, after, limit).await,
        }
    })
    .await?;
    if found.next.is_some() && limit.is_none() {
        output::note("there are more: go on with --after and the last subject, or give a --limit");
    }
    if format.json {
        return Ok(output::json(&found.accounts)?);
    }
    let headings = ["name", "subject", "state", "since", "password set"];
    let row = |account: AccountView| {
        let nameless = if account.state.starts_with("eras") { "(erased)" } else { "(sealed)" };
        [
            account.username.unwrap_or_else(|| nameless.to_owned()),
            account.subject.to_string(),
            account.state,
            time(account.created_at),
            maybe_time(account.password_set_at),
        ]
    };
    Ok(output::table(headings, found.accounts.into_iter().map(row))?)
}

/// Names stand in no read model: each is unsealed, and that recorded.
async fn read_some(
    access: &Access,
    after: Option<String>,
    limit: u32,
    reason: String,
) -> Result<AccountsView, CliError> {
    match access.perform(Operation::ReadAccounts { after, limit, reason }).await? {
        Outcome::Accounts(accounts) => Ok(accounts),
        other => Err(unexpected(other)),
    }
}

async fn pseudonyms(
    access: &Access,
    after: Option<String>,
    limit: Option<u32>,
) -> Result<AccountsView, CliError> {
    let services = access.services().await?;
    let mut all = AccountsView { accounts: Vec::new(), next: after };
    let mut left = limit.unwrap_or(u32::MAX);
    while left > 0 {
        let limit = left.min(500);
        let part = Part { after: all.next.take(), ..Part::first(limit) };
        let page = list_accounts(&services, part).await?;
        all.accounts.extend(page.accounts);
        all.next = page.next;
        left -= limit;
        if all.next.is_none() {
            break;
        }
    }
    Ok(all)
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    named(Role::NAMES)
}

fn account_name(text: &str) -> Result<String, String> {
    if is_account_name(text) { Ok(text.to_owned()) } else { Err(NAME_RULE.to_owned()) }
}
