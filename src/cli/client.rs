//! `chancery client`: register clients and look after them.

#![expect(clippy::doc_markdown, reason = "its comments are help texts, shown as they stand")]

use chancery_domain::ids::ClientId;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::StoreArgs;
use super::input::redirect_uri;
use super::output::Format;

const EXAMPLES: &str = "\
Examples:
  chancery client add --id web --redirect-uri https://app.example.com/callback
  chancery client add --id cron --grant-type client_credentials --scope reports --json
  chancery client add --id spa --auth-method none --redirect-uri https://spa.example.com/cb
  chancery client update web --scope 'openid profile email'
  chancery client rotate-secret web";

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
    /// Change a client's metadata: what is given replaces what was
    Update(Update),
    /// Give a client a new secret; the old one ends at once
    RotateSecret(RotateSecret),
    /// Disable a client: its requests are refused and its grants revoked
    Disable(Disable),
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
    /// What it may use [default: authorization_code and refresh_token with a
    /// redirect URI, else client_credentials]; may be repeated
    #[arg(long, value_name = "TYPE")]
    pub grant_type: Vec<GrantType>,
    /// What it may ask of the authorization endpoint [default: code, with the
    /// grant type authorization_code]; may be repeated
    #[arg(long, value_name = "TYPE")]
    pub response_type: Vec<ResponseType>,
    /// The scopes it may ask for; may be repeated, or several in one with
    /// spaces between
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// How it authenticates [default: client_secret_basic]; none makes it a
    /// public client
    #[arg(long, value_name = "METHOD")]
    pub auth_method: Option<AuthMethod>,
    /// The form of its access tokens [default: tokens.access_token_format]
    #[arg(long, value_name = "FORMAT")]
    pub access_token_format: Option<AccessTokenFormat>,
}

/// A grant type, by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

/// A response type, by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ResponseType {
    Code,
}

/// A client authentication method, by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

/// The form of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    Jwt,
    Opaque,
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
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecret(…)")
    }
}

/// RFC 6749 appendix A.2: visible ASCII and spaces.
fn client_secret(text: &str) -> Result<NewSecret, String> {
    let good = (1..=256).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if good {
        return Ok(NewSecret(text.to_owned()));
    }
    Err("give 1 to 256 visible ASCII characters, or leave it out".to_owned())
}
