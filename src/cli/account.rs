//! `chancery account`: the people who log in.

use chancery_domain::account::{Account, RegisteredAccount, Role};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::history;
use super::input::{claim, named, password_from_stdin};
use super::output::{self, Format, maybe_time, time};
use crate::accounts;
use crate::admin::{
    AccountView, NAME_RULE, NewAccount, Operation, Outcome, find_account, is_account_name,
};
use crate::aggregates::{Kept as _, VaultError};
use crate::lookups::Part;
use crate::services::Services;

const EXAMPLES: &str = "\
Examples:
  printf %s \"$PASSWORD\" | chancery account add alice --password-stdin \\
      --claim email=alice@example.com --claim email_verified=true
  chancery account show alice
  chancery account lock alice --reason 'left the company'
  chancery account reset-password alice

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
    /// List all accounts
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Show an account
    Show(One),
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
        Command::List { store, format } => list(&store, format).await?,
        Command::Show(args) => show(&args).await?,
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
        Command::Roles(args) if args.set.is_empty() && !args.none => {
            show(&One { name: args.name, store: args.store, format: args.format }).await?;
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

async fn show(args: &One) -> Result<(), CliError> {
    let account = Access::with(&args.store, async |access| {
        let services = access.services().await?;
        let folded = find_account(&services, &args.name).await?;
        let missing = || CliError::not_found("account", &args.name);
        let account = folded.state.registered().ok_or_else(missing)?;
        view(&services, account).await
    });
    print(&account.await?, args.format)
}

/// An account with what is sealed of it, unless that was erased.
async fn view(services: &Services, account: &RegisteredAccount) -> Result<AccountView, CliError> {
    let profile = match accounts::profile(&services.vault, account).await {
        Ok(profile) => Some(profile),
        Err(accounts::AccountFailure::Vault(VaultError::Gone)) => None,
        Err(error) => return Err(CliError::failed(error)),
    };
    Ok(AccountView::of(account, profile))
}

/// Names stand in no read model: each is unsealed.
async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let found: Vec<AccountView> = Access::with(store, async |access| {
        let services = access.services().await?;
        let lookups = access.lookups(&["accounts"]).await?;
        let mut all = Vec::new();
        let mut part = Part::first(500);
        loop {
            let page = lookups.accounts(part.clone()).await?;
            for row in page.rows {
                let folded = services.accounts.get(&row.subject.to_string()).await;
                let folded = folded.map_err(CliError::store_unavailable)?;
                if let Some(account) = folded.state.registered() {
                    all.push(view(&services, account).await?);
                }
            }
            part.after = page.next;
            if part.after.is_none() {
                return Ok(all);
            }
        }
    })
    .await?;
    if format.json {
        return Ok(output::json(&found)?);
    }
    let headings = ["name", "subject", "state", "since", "password set"];
    let row = |account: AccountView| {
        [
            account.username.unwrap_or_else(|| "(erased)".to_owned()),
            account.subject.to_string(),
            account.state,
            time(account.created_at),
            maybe_time(account.password_set_at),
        ]
    };
    Ok(output::table(headings, found.into_iter().map(row))?)
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    named(Role::NAMES)
}

fn account_name(text: &str) -> Result<String, String> {
    if is_account_name(text) { Ok(text.to_owned()) } else { Err(NAME_RULE.to_owned()) }
}
