//! `chancery scope`: what scopes mean.

use chancery_domain::scope_definition::Definition;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value, json};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use crate::admin::{AdminError, Operation, Outcome, ScopeView};
use crate::claims::{Scopes, Source};
use crate::lookups::Part;

const EXAMPLES: &str = "\
Examples:
  chancery scope add accounts:read --description 'see your accounts' --claim account_ids
  chancery scope set accounts:read --localized 'de=Ihre Konten sehen'
  chancery scope set email --claim email
  chancery scope list
  chancery scope remove email";

/// Say what scopes mean, while the server runs
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Define a scope
    Add(Change),
    /// List all scopes: the standard ones, those of the settings, and your own
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Show what a scope means
    Show(One),
    /// Change what a scope means: what is given replaces what was. A standard
    /// scope, or one of the settings, is from then on what is said here
    Set(Change),
    /// Take a definition back: a standard scope, or one of the settings, is as
    /// it was before; another one is no more
    #[command(visible_alias = "reset")]
    Remove(One),
}

/// One scope.
#[derive(Debug, ClapArgs)]
pub struct One {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Change {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What a person is asked to agree to: it follows on "would like to"
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The same in another language, by its tag; may be repeated
    #[arg(long, value_name = "TAG=TEXT", value_parser = localized)]
    pub localized: Vec<(String, String)>,
    /// A claim about the person that it releases; may be repeated
    #[arg(long, value_name = "NAME")]
    pub claim: Vec<String>,
    /// It releases no claims
    #[arg(long, conflicts_with = "claim")]
    pub no_claims: bool,
    /// It reaches beyond what one person grants: a client that registered itself
    /// never has it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub privileged: Option<bool>,
    /// A client that registers itself may ask for it, besides registration.scopes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub open: Option<bool>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

fn localized(text: &str) -> Result<(String, String), String> {
    let (tag, text) = text.split_once('=').ok_or("give it as de=TEXT")?;
    Ok((tag.to_owned(), text.to_owned()))
}

impl Change {
    fn changes(&self) -> Map<String, Value> {
        let localized: Map<String, Value> =
            self.localized.iter().map(|(tag, text)| (tag.clone(), json!(text))).collect();
        let claims = (!self.claim.is_empty() || self.no_claims).then_some(&self.claim);
        let members = [
            ("description", json!(self.description)),
            ("localized", json!((!localized.is_empty()).then_some(localized))),
            ("claims", json!(claims)),
            ("privileged", json!(self.privileged)),
            ("open", json!(self.open)),
        ];
        let given = members.into_iter().filter(|(_, value)| !value.is_null());
        given.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn definition(&self) -> Definition {
        Definition {
            description: self.description.clone(),
            localized: self.localized.iter().cloned().collect(),
            claims: self.claim.clone(),
            privileged: self.privileged.unwrap_or_default(),
            open: self.open.unwrap_or_default(),
        }
    }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Add(args) => {
            let (name, definition) = (args.name.clone(), args.definition());
            change(&args.store, Operation::AddScope { name, definition }, args.format).await?;
        }
        Command::List { store, format } => list(&store, format).await?,
        Command::Show(args) => show(&args).await?,
        Command::Set(args) => {
            let (name, changes) = (args.name.clone(), args.changes());
            if changes.is_empty() {
                return Err(CliError::usage("nothing to change was given")
                    .hint("`chancery scope set --help` lists what can be changed"));
            }
            change(&args.store, Operation::UpdateScope { name, changes }, args.format).await?;
        }
        Command::Remove(args) => {
            let name = args.name.clone();
            change(&args.store, Operation::RemoveScope { name }, args.format).await?;
        }
    }
    Ok(ExitCode::Done)
}

async fn change(store: &StoreArgs, operation: Operation, format: Format) -> Result<(), CliError> {
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::Scope(scope) => print(&scope, format),
        other => Err(unexpected(other)),
    }
}

fn print(scope: &ScopeView, format: Format) -> Result<(), CliError> {
    if format.json { Ok(output::json(scope)?) } else { Ok(output::object(scope)?) }
}

/// The table as a server with these settings has it.
async fn table(store: &StoreArgs) -> Result<Scopes, CliError> {
    Access::with(store, async |access| {
        let lookups = access.lookups(&["scopes"]).await?;
        let mut part = Part::first(500);
        let mut defined = Vec::new();
        loop {
            let page = lookups.scopes(part.clone()).await?;
            let rows = page.rows.into_iter();
            defined.extend(rows.map(|row| (row.name, row.definition, row.updated_at)));
            part.after = page.next;
            if part.after.is_none() {
                return Ok(Scopes::new(&access.config().scopes, defined));
            }
        }
    })
    .await
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let table = table(store).await?;
    let views = table.names().filter_map(|name| Some(ScopeView::of(name, table.get(name)?)));
    if format.json {
        return Ok(output::json(&views.collect::<Vec<_>>())?);
    }
    let headings = ["name", "source", "description", "claims", "privileged", "open"];
    let row = |scope: ScopeView| {
        let source = match scope.source {
            Some(Source::Standard) => "standard",
            Some(Source::Settings) => "settings",
            Some(Source::Defined) => "defined",
            None => "",
        };
        let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
        [
            scope.name,
            source.to_owned(),
            scope.definition.description.unwrap_or_default(),
            scope.definition.claims.join(" "),
            yes(scope.definition.privileged),
            yes(scope.definition.open),
        ]
    };
    Ok(output::table(headings, views.map(row))?)
}

async fn show(args: &One) -> Result<(), CliError> {
    let table = table(&args.store).await?;
    let Some(scope) = table.get(&args.name) else {
        let (what, name) = ("scope".to_owned(), args.name.clone());
        return Err(AdminError::NotFound { what, name }.into());
    };
    print(&ScopeView::of(&args.name, scope), args.format)
}
