//! `chancery client`: register clients and look after them.

#![expect(clippy::doc_markdown, reason = "its comments are help texts, shown as they stand")]

use std::path::{Path, PathBuf};

use chancery_domain::client::{AccessTokenFormat, Client, ClientMetadata};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::time::{Lifetime, UnixTime};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value, json};

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::history;
use super::input::{claim, moment, named, redirect_uri};
use super::output::{self, Format, time};
use crate::admin::{ClientView, Confidential, NewClient, Operation, Outcome};
use crate::aggregates::{Folded, Kept as _};
use crate::clock::{Clock as _, SystemClock};
use crate::lookups::{ClientRow, Part};

const EXAMPLES: &str = "\
Examples:
  chancery client add --id web --redirect-uri https://app.example.com/callback
  chancery client add --id cron --grant-type client_credentials --scope reports --json
  chancery client add --id spa --auth-method none --redirect-uri https://spa.example.com/cb
  chancery client update web --scope 'openid profile email'
  chancery client update web --set 'backchannel_logout_uri=https://shop.example.com/out'
  chancery client add --metadata client.json
  chancery client rotate-secret web --keep-old-for 86400
  chancery client history web";

/// Register clients and look after them
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a client; prints its id and, once, its secret
    Add(Add),
    /// List all clients
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Show a client's metadata
    Show(One),
    /// Tell what happened to a client, who did it and why
    History(One),
    /// Change a client's metadata: what is given replaces what was
    Update(Update),
    /// Give a client a new secret; the old one ends at once, or soon
    RotateSecret(RotateSecret),
    /// Disable a client: its requests are refused and its grants revoked
    Disable(Disable),
    /// Enable a client again; what was revoked stays revoked
    Enable(One),
    /// Delete a client for good: its grants are revoked, and its client_id is
    /// never given again
    Delete(One),
}

/// One client.
#[derive(Debug, ClapArgs)]
pub struct One {
    /// Its client_id
    #[arg(value_name = "ID")]
    pub id: ClientId,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Add {
    /// Its client_id; generated if left out
    #[arg(long, value_name = "ID")]
    pub id: Option<ClientId>,
    /// Its secret; better left out, to have one of 256 bits generated
    #[arg(long, value_name = "SECRET", value_parser = client_secret)]
    pub secret: Option<NewSecret>,
    #[command(flatten)]
    pub metadata: Metadata,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Update {
    /// Its client_id
    #[arg(value_name = "ID")]
    pub id: ClientId,
    #[command(flatten)]
    pub metadata: Metadata,
    /// Take a value away, by its name in --json (like client_name or
    /// access_token_format); may be repeated
    #[arg(long, value_name = "NAME")]
    pub unset: Vec<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct RotateSecret {
    /// Its client_id
    #[arg(value_name = "ID")]
    pub id: ClientId,
    /// The new secret; better left out, to have one of 256 bits generated
    #[arg(long, value_name = "SECRET", value_parser = client_secret)]
    pub secret: Option<NewSecret>,
    /// Let the old secret be good for so long yet
    #[arg(long, value_name = "SECONDS", value_parser = lifetime)]
    pub keep_old_for: Option<Lifetime>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Disable {
    /// Its client_id
    #[arg(value_name = "ID")]
    pub id: ClientId,
    /// Why; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

/// What is registered of a client (RFC 7591 §2).
#[derive(Debug, Clone, Default, PartialEq, Eq, ClapArgs)]
pub struct Metadata {
    /// The name that people see at login and consent
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where answers may go; may be repeated
    #[arg(long, value_name = "URI", value_parser = redirect_uri)]
    pub redirect_uri: Vec<String>,
    /// Where the browser may go after logout; may be repeated
    #[arg(long, value_name = "URI", value_parser = redirect_uri)]
    pub post_logout_redirect_uri: Vec<String>,
    /// What it may use [default: authorization_code and refresh_token with a
    /// redirect URI, else client_credentials]; may be repeated
    #[arg(long, value_name = "TYPE", value_parser = named::<GrantType>(GrantType::NAMES))]
    pub grant_type: Vec<GrantType>,
    /// What it may ask of the authorization endpoint [default: code, with the
    /// grant type authorization_code]; may be repeated
    #[arg(long, value_name = "TYPE", value_parser = named::<ResponseType>(ResponseType::NAMES))]
    pub response_type: Vec<ResponseType>,
    /// The scopes it may ask for [default: openid, profile, email and, with
    /// refresh_token, offline_access, if people log in to it; else none]; may
    /// be repeated, or several in one with spaces between
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<Scope>,
    /// How it authenticates [default: client_secret_basic]; none makes it a
    /// public client
    #[arg(
        long,
        value_name = "METHOD",
        value_parser = named::<ClientAuthMethod>(ClientAuthMethod::NAMES)
    )]
    pub auth_method: Option<ClientAuthMethod>,
    /// The form of its access tokens [default: tokens.access_token_format]
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = named::<AccessTokenFormat>(AccessTokenFormat::NAMES)
    )]
    pub access_token_format: Option<AccessTokenFormat>,
    /// Whom its access tokens are for [default: the issuer]; may be repeated
    #[arg(long, value_name = "AUDIENCE")]
    pub access_token_audience: Vec<String>,
    /// How long its access tokens are good [default: as the settings have it]
    #[arg(long, value_name = "SECONDS", value_parser = lifetime)]
    pub access_token_lifetime: Option<Lifetime>,
    /// How long its refresh tokens are good [default: as the settings have it]
    #[arg(long, value_name = "SECONDS", value_parser = lifetime)]
    pub refresh_token_lifetime: Option<Lifetime>,
    /// The algorithm of its ID tokens [default: keys.signing_algorithm]
    #[arg(
        long,
        value_name = "ALG",
        value_parser = named::<SigningAlgorithm>(SigningAlgorithm::ASYMMETRIC_NAMES)
    )]
    pub id_token_alg: Option<SigningAlgorithm>,
    /// It must push its authorization requests (RFC 9126)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub require_par: Option<bool>,
    /// A resource server: it may introspect tokens issued to others (RFC 7662)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub introspect_any_token: Option<bool>,
    /// Run by the same people as the server: nobody is asked for consent
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub skip_consent: Option<bool>,
    /// It must use PKCE (RFC 7636)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub require_pkce: Option<bool>,
    /// Where its public keys are found
    #[arg(long, value_name = "URL")]
    pub jwks_uri: Option<String>,
    /// When it can be used no more: like 2026-05-01T09:30:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub expires_at: Option<UnixTime>,
    /// More of the metadata, a JSON object with the names of RFC 7591 and of
    /// `client show --json`; - reads it from standard input. Options stand over it
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<PathBuf>,
    /// Any member of the metadata, by its name in --json; the value is JSON where
    /// it is that, else a string; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    pub set: Vec<(String, Value)>,
}

impl Metadata {
    /// What was given, by the names of RFC 7591: in the file, by options, and
    /// by `--set`, the later over the earlier.
    fn given(&self) -> Result<Map<String, Value>, CliError> {
        let mut given = match &self.metadata {
            Some(path) => read_object(path)?,
            None => Map::new(),
        };
        given.extend(self.by_options());
        given.extend(self.set.iter().cloned());
        Ok(given)
    }

    fn by_options(&self) -> Map<String, Value> {
        let scope = (!self.scope.is_empty())
            .then(|| self.scope.iter().fold(Scope::default(), |all, more| all.union(more)));
        let lists = [
            ("redirect_uris", json!(self.redirect_uri)),
            ("post_logout_redirect_uris", json!(self.post_logout_redirect_uri)),
            ("grant_types", json!(self.grant_type)),
            ("response_types", json!(self.response_type)),
            ("access_token_audience", json!(self.access_token_audience)),
        ];
        let values = [
            ("client_name", json!(self.name)),
            ("scope", json!(scope)),
            ("token_endpoint_auth_method", json!(self.auth_method)),
            ("access_token_format", json!(self.access_token_format)),
            ("access_token_lifetime", json!(self.access_token_lifetime)),
            ("refresh_token_lifetime", json!(self.refresh_token_lifetime)),
            ("id_token_signed_response_alg", json!(self.id_token_alg)),
            ("require_pushed_authorization_requests", json!(self.require_par)),
            ("introspect_any_token", json!(self.introspect_any_token)),
            ("skip_consent", json!(self.skip_consent)),
            ("require_pkce", json!(self.require_pkce)),
            ("jwks_uri", json!(self.jwks_uri)),
            ("client_expires_at", json!(self.expires_at)),
        ];
        let given = |(_, value): &(_, Value)| !value.is_null() && *value != json!([]);
        let named = |(name, value): (&str, Value)| (name.to_owned(), value);
        let mut given: Map<_, _> =
            lists.into_iter().chain(values).filter(given).map(named).collect();
        if !self.grant_type.is_empty() && self.response_type.is_empty() {
            given.insert("response_types".to_owned(), json!(response_types(&self.grant_type)));
        }
        given
    }

    /// All of a new client's metadata.
    fn complete(&self) -> Result<ClientMetadata, CliError> {
        let given = self.given()?;
        let grant_types = match (given.get("grant_types"), given.get("redirect_uris")) {
            (Some(own), _) => serde_json::from_value(own.clone()).map_err(CliError::usage)?,
            (None, Some(_)) => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            (None, None) => vec![GrantType::ClientCredentials],
        };
        let mut scope = Vec::new();
        if grant_types.contains(&GrantType::AuthorizationCode) {
            scope.extend([Scope::OPENID, "profile", "email"]);
            if grant_types.contains(&GrantType::RefreshToken) {
                scope.push(Scope::OFFLINE_ACCESS);
            }
        }
        let mut all = Map::from_iter([
            ("response_types".to_owned(), json!(response_types(&grant_types))),
            ("grant_types".to_owned(), json!(grant_types)),
            ("scope".to_owned(), json!(scope.join(" "))),
        ]);
        all.extend(given);
        serde_json::from_value(Value::Object(all)).map_err(CliError::usage)
    }
}

/// A JSON object from a file, or from standard input.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>, CliError> {
    let from = path.display();
    let unreadable =
        |error: std::io::Error| CliError::usage(format_args!("can't read {from}: {error}"));
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin().lock()).map_err(unreadable)?
    } else {
        std::fs::read_to_string(path).map_err(unreadable)?
    };
    serde_json::from_str(&text)
        .map_err(|error| CliError::usage(format_args!("{from} is not a JSON object: {error}")))
}

/// RFC 7591 §2.1: grant types and response types go together.
fn response_types(grant_types: &[GrantType]) -> Vec<ResponseType> {
    let code = grant_types.contains(&GrantType::AuthorizationCode);
    if code { vec![ResponseType::Code] } else { vec![] }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Add(args) => add(args).await?,
        Command::List { store, format } => list(&store, format).await?,
        Command::Show(args) => show(&args).await?,
        Command::History(args) => {
            let events = Access::reading(&args.store, async |access| {
                history::read(access, &Client::stream(args.id.as_str()), "client").await
            });
            history::print(events.await?, args.format)?;
        }
        Command::Update(args) => update(args).await?,
        Command::RotateSecret(args) => {
            let operation = Operation::RotateClientSecret {
                client_id: args.id,
                secret: args.secret.map(NewSecret::into_confidential),
                keep_previous_for: args.keep_old_for,
            };
            print(&perform(&args.store, operation).await?, args.format)?;
        }
        Command::Disable(args) => {
            let reason = args.reason.unwrap_or_default();
            let operation = Operation::DisableClient { client_id: args.id, reason };
            print(&perform(&args.store, operation).await?, args.format)?;
        }
        Command::Enable(args) => {
            let operation = Operation::EnableClient { client_id: args.id };
            print(&perform(&args.store, operation).await?, args.format)?;
        }
        Command::Delete(args) => {
            let operation = Operation::DeleteClient { client_id: args.id };
            print(&perform(&args.store, operation).await?, args.format)?;
        }
    }
    Ok(ExitCode::Done)
}

async fn add(args: Add) -> Result<(), CliError> {
    let operation = Operation::AddClient(NewClient {
        client_id: args.id,
        secret: args.secret.map(NewSecret::into_confidential),
        metadata: args.metadata.complete()?.into(),
    });
    print(&perform(&args.store, operation).await?, args.format)
}

async fn update(args: Update) -> Result<(), CliError> {
    let mut changes = args.metadata.given()?;
    changes.extend(args.unset.into_iter().map(|name| (name, Value::Null)));
    if changes.is_empty() {
        return Err(CliError::usage("nothing to change was given")
            .hint("`chancery client update --help` lists what can be changed"));
    }
    let operation = Operation::UpdateClient { client_id: args.id, changes };
    print(&perform(&args.store, operation).await?, args.format)
}

async fn perform(store: &StoreArgs, operation: Operation) -> Result<ClientView, CliError> {
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::Client(client) => Ok(*client),
        other => Err(unexpected(other)),
    }
}

fn print(client: &ClientView, format: Format) -> Result<(), CliError> {
    if format.json {
        return Ok(output::json(client)?);
    }
    let shown = ClientView {
        state: state(&client.state, client.metadata.client_expires_at),
        ..client.clone()
    };
    output::object(&shown)?;
    if client.client_secret.is_some() {
        output::note("keep the client_secret now: it can't be shown again");
    }
    Ok(())
}

async fn show(args: &One) -> Result<(), CliError> {
    let client = Access::reading(&args.store, async |access| {
        let stream = Client::stream(args.id.as_str());
        let folded = Folded::<Client>::load(&**access.store(), &stream).await;
        let folded = folded.map_err(CliError::store_unavailable)?;
        let client = folded.state.registered().map(ClientView::of);
        client.ok_or_else(|| CliError::not_found("client", &args.id))
    });
    print(&client.await?, args.format)
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let clients: Vec<ClientRow> = Access::with(store, async |access| {
        let lookups = access.lookups(&["clients"]).await?;
        let mut all = Vec::new();
        let mut part = Part::first(500);
        loop {
            let page = lookups.clients(part.clone()).await?;
            all.extend(page.rows);
            part.after = page.next;
            if part.after.is_none() {
                return Ok(all);
            }
        }
    })
    .await?;
    if format.json {
        return Ok(output::json(&clients)?);
    }
    let headings = ["client_id", "name", "state", "grant types", "authenticates by", "since"];
    let row = |client: ClientRow| {
        let metadata = client.metadata;
        let client_expires_at = metadata.client_expires_at;
        let grants: Vec<_> = metadata.grant_types.iter().map(|grant| grant.as_str()).collect();
        [
            client.client_id.to_string(),
            metadata.client_name.unwrap_or_default(),
            state(&client.state, client_expires_at),
            grants.join(" "),
            metadata.token_endpoint_auth_method.to_string(),
            time(client.client_id_issued_at),
        ]
    };
    Ok(output::table(headings, clients.into_iter().map(row))?)
}

/// The state of a client, and whether its time is over.
fn state(state: &str, expires_at: Option<UnixTime>) -> String {
    let expired = expires_at.is_some_and(|end| SystemClock.now() >= end);
    if expired && state == "enabled" { "expired".to_owned() } else { state.to_owned() }
}

/// A client secret that the operator chose. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecret(String);

impl NewSecret {
    /// The secret itself, for the one place that keeps its digest.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn into_confidential(self) -> Confidential {
        Confidential::new(self.0)
    }
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecret(…)")
    }
}

fn client_secret(text: &str) -> Result<NewSecret, String> {
    if Confidential::new(text.to_owned()).is_client_secret() {
        return Ok(NewSecret(text.to_owned()));
    }
    Err("give 1 to 256 visible ASCII characters, or leave it out".to_owned())
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    text.parse().map(Lifetime::from_seconds).map_err(|_| "give a number of seconds".to_owned())
}
