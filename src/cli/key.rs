//! `chancery key`: keys that sign or are encrypted to, and the master key above them.

#![expect(clippy::doc_markdown, reason = "its comments are help texts, shown as they stand")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_domain::ids::KeyId;
use chancery_domain::signing_key::{KeyAlgorithm, PublishedKey};
use chancery_domain::time::UnixTime;
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::input::named;
use super::output::{self, Format, maybe_time};
use crate::admin::{Operation, Outcome};
use crate::app::master_key;
use crate::clock::{Clock as _, SystemClock};
use crate::config::MASTER_KEY_FILE;
use crate::config::master_key::Source;
use crate::entropy::SystemEntropy;
use crate::keys;
use crate::sealing::{MasterKey, rewrap};

const EXAMPLES: &str = "\
Examples:
  chancery key list
  chancery key rotate
  chancery key rotate --algorithm RS256
  chancery key rotate --algorithm ECDH-ES
  chancery key withdraw 1fQ9hZ0cT3m8
  openssl rand -hex 32 > new.key && chancery key rewrap --to-file new.key

After `rewrap`, name the new key in [master_key] and restart every node; keep
the old key as long as backups of the store from before.";

/// Keys that sign or are encrypted to, and the master key above them
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys that sign, and those that clients encrypt to
    List {
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Make a new key, and use it as soon as everybody has it: after
    /// metadata.cache_lifetime; an old one that signed stays published until the last
    /// token that it signed has expired, and one that clients encrypt to is kept as
    /// long, for those who have not heard of the new one yet
    Rotate(Rotate),
    /// End a key that others may know: it is not published any more, and all that
    /// it signed is refused from now on; a new one takes the place of one in use
    Withdraw {
        /// Its kid, as `list` shows it
        #[arg(value_name = "KID")]
        kid: KeyId,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Wrap all keys with another master key
    Rewrap(Rewrap),
}

#[derive(Debug, ClapArgs)]
pub struct Rotate {
    /// Only the key of this algorithm [default: keys.signing_algorithm]
    #[arg(
        long,
        value_name = "ALG",
        value_parser = named::<KeyAlgorithm>(KeyAlgorithm::OF_SERVERS)
    )]
    pub algorithm: Option<KeyAlgorithm>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Rewrap {
    #[command(flatten)]
    pub to: NewMasterKey,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

/// Where the new master key is.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub struct NewMasterKey {
    /// The new master key is in this file
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
    /// The new master key is in this environment variable
    #[arg(long, value_name = "NAME")]
    pub to_env: Option<String>,
}

impl NewMasterKey {
    fn source(&self) -> Result<Source<'_>, CliError> {
        match (&self.to_file, &self.to_env) {
            (Some(file), _) => Ok(Source::File(file)),
            (None, Some(name)) => Ok(Source::Environment(name)),
            (None, None) => Err(CliError::usage("say where the new master key is")),
        }
    }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List { store, format } => list(&store, format).await?,
        Command::Rotate(args) => rotate(&args).await?,
        Command::Withdraw { kid, store, format } => withdraw(kid, &store, format).await?,
        Command::Rewrap(args) => rewrap_all(&args).await?,
    }
    Ok(ExitCode::Done)
}

/// A key as it stands now.
#[derive(Debug, Serialize)]
struct KeyRow {
    kid: KeyId,
    alg: KeyAlgorithm,
    /// `published`, `active`, `retired`, or `expired`: not in the JWKS any more.
    state: &'static str,
    published_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_until: Option<UnixTime>,
    jwk: serde_json::Value,
}

impl KeyRow {
    fn of(key: PublishedKey, now: UnixTime) -> Self {
        let state = match (key.is_published(now), key.is_in_use(now), key.retired) {
            (false, ..) => "expired",
            (true, true, _) => "active",
            (true, false, Some(_)) => "retired",
            (true, false, None) => "published",
        };
        Self {
            kid: key.key_id,
            alg: key.algorithm,
            state,
            published_at: key.published_at,
            activated_at: key.activated_at,
            retired_at: key.retired.map(|(at, _)| at),
            published_until: key.retired.map(|(_, until)| until),
            jwk: key.jwk,
        }
    }
}

async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let now = SystemClock.now();
    let found = Access::reading(store, async |access| {
        keys::published(&**access.store()).await.map_err(CliError::store_unavailable)
    });
    let rows: Vec<_> = found.await?.into_iter().map(|key| KeyRow::of(key, now)).collect();
    if format.json {
        return Ok(output::json(&rows)?);
    }
    let headings = ["kid", "alg", "state", "in use from", "retired", "published until"];
    let row = |key: KeyRow| {
        [
            key.kid.to_string(),
            key.alg.to_string(),
            key.state.to_owned(),
            maybe_time(key.activated_at),
            maybe_time(key.retired_at),
            maybe_time(key.published_until),
        ]
    };
    Ok(output::table(headings, rows.into_iter().map(row))?)
}

async fn rotate(args: &Rotate) -> Result<(), CliError> {
    let operation = Operation::RotateKey { algorithm: args.algorithm };
    let outcome = Access::with(&args.store, async |access| access.perform(operation).await);
    let key = match outcome.await? {
        Outcome::Key(key) => key,
        other => return Err(unexpected(other)),
    };
    if args.format.json {
        return Ok(output::json(&key)?);
    }
    let does = match key.alg {
        KeyAlgorithm::Signing(_) => "signs with",
        KeyAlgorithm::KeyManagement(_) => "is encrypted to",
    };
    let from = match key.in_use_from {
        Some(at) if SystemClock.now() < at => {
            format!("{} on: everybody has the key by then", output::time(at))
        }
        _ => "now on".to_owned(),
    };
    Ok(output::line(&format!("{} {does} {} from {from}", key.alg, key.kid))?)
}

async fn withdraw(kid: KeyId, store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let operation = Operation::WithdrawKey { key_id: kid };
    match Access::with(store, async |access| access.perform(operation).await).await? {
        Outcome::Key(key) if format.json => Ok(output::json(&key)?),
        Outcome::Key(key) => {
            Ok(output::line(&format!("{} is withdrawn, with all that it signed", key.kid))?)
        }
        other => Err(unexpected(other)),
    }
}

async fn rewrap_all(args: &Rewrap) -> Result<(), CliError> {
    let new = new_master_key(args.to.source()?).await?;
    Access::with(&args.store, async |access| {
        if let Some(folder) = access.folder_in_use() {
            let message = format_args!(
                "a server runs on the store in {}: it would go on with the old master key",
                folder.display()
            );
            return Err(CliError::refused(message).hint("stop it, run this again, then start it"));
        }
        let old = master_key(access.config()).await?;
        let change = rewrap(old.clone(), new.clone(), Arc::new(SystemEntropy));
        let count = access.store().rewrap(change).await.map_err(|error| {
            CliError::failed(error).hint("nothing was changed; is [master_key] the key in use?")
        })?;
        if args.format.json {
            let report = json!({
                "rewrapped": count,
                "master_key": new.id().to_string(),
                "previous_master_key": old.id().to_string(),
            });
            return Ok(output::json(&report)?);
        }
        output::line(&format!(
            "{count} keys were wrapped by master key {} and are wrapped by {} now.\n\n{}",
            old.id(),
            new.id(),
            next_steps(args, access.is_shared())
        ))?;
        Ok(())
    })
    .await
}

async fn new_master_key(source: Source<'_>) -> Result<MasterKey, CliError> {
    let bytes = source.obtain().await.map_err(|error| {
        CliError::usage(error).hint("make one with `openssl rand -hex 32 > new.key`")
    })?;
    #[expect(clippy::disallowed_methods, reason = "this is what it was read for")]
    Ok(MasterKey::from_bytes(*bytes.expose()))
}

fn next_steps(args: &Rewrap, shared: bool) -> String {
    let place = match (&args.store.data, &args.to.to_file) {
        (Some(folder), Some(file)) => {
            format!("mv {} {}", file.display(), folder.join(MASTER_KEY_FILE).display())
        }
        (Some(folder), None) => {
            format!("write the new key into {}", Path::new(folder).join(MASTER_KEY_FILE).display())
        }
        (None, _) => "name the new key in [master_key] of the configuration".to_owned(),
    };
    let nodes = if shared {
        "\n3. Restart every node at once. A node that ran meanwhile has wrapped new keys with the \
         old master key: when all have been restarted, run this command once more with the old \
         key still in [master_key]."
    } else {
        "\n3. Start the server."
    };
    format!(
        "What to do now:\n1. Put the new key in place: {place}.\n2. Copy the new key to a safe \
         place, and keep the old one as long as backups of the store from before.{nodes}"
    )
}
