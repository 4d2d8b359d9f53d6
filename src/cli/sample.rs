//! `chancery sample`: a made-up history to measure by.

use std::path::PathBuf;
use std::sync::Arc;

use chancery_projections::ReadModel;
use clap::Args as ClapArgs;

use super::access::Access;
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use super::progress;
use super::serve::not_started;
use super::{SettingsFile, StoreArgs, wrong_settings};
use crate::app::{self, Node, OpenStore, open_store};
use crate::clock::{Clock as _, FixedClock, SystemClock};
use crate::config::{Config, MASTER_KEY_FILE};
use crate::entropy::SystemEntropy;
use crate::sample::{Spec, fill};
use crate::sealing::MasterKey;

const EXAMPLES: &str = "\
Examples:
  chancery sample --data big --grants 1000000
  chancery sample --config chancery.toml --grants 100000 --days 30 --seed 7

What it makes: clients (app-000, service-001, …) of which one in four acts for itself; a person for
twenty grants (person-0000000, …, password: sample); codes with PKCE, pushed and plain, consents,
refreshes, revocations, replays; keys that are replaced, clients that are switched off, consents that
are taken back. The times of what happened are spread over the days up to now; it is recorded now.
The same seed gives the same history, but for its keys.";

/// Fill a new, empty store with a made-up history to measure by
///
/// Refuses a store in which anything has happened. A folder that is not there
/// is made, with a master key of its own.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How many grants
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub grants: u64,
    /// Of how many clients
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub clients: u32,
    /// Over how many days
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Chooses one of many histories
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Leave the read models to the server that is started first
    #[arg(long)]
    pub log_only: bool,
    #[command(flatten)]
    pub settings: SettingsFile,
    /// The folder of an embedded store, which is made
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let config = config(&args)?;
    let open = open_store(&config).await.map_err(|error| not_started(&error))?;
    if open.store.last_position().await? > 0 {
        open.store.close().await;
        return Err(CliError::new(ExitCode::Refused, "the store has a history already")
            .hint("name a new folder with --data, or settings with an empty database"));
    }
    let master = master_key(&args, &config).await?;
    let spec = Spec {
        grants: args.grants,
        clients: args.clients,
        days: args.days,
        seed: args.seed,
        end: SystemClock.now(),
    };
    let summary = Box::pin(filled(config, open, master, spec)).await?;
    if !args.log_only {
        build_read_models(&args).await?;
    }
    if args.format.json {
        output::json(&serde_json::json!({
            "grants": summary.grants,
            "events": summary.events,
            "accounts": summary.accounts,
        }))?;
    } else {
        output::line(&format!(
            "{} grants, {} accounts, {} events",
            summary.grants, summary.accounts, summary.events
        ))?;
    }
    Ok(ExitCode::Done)
}

fn config(args: &Args) -> Result<Config, CliError> {
    let Some(folder) = &args.data else {
        return Ok(args.settings.load()?.config);
    };
    std::fs::create_dir_all(folder).map_err(CliError::failed)?;
    let loaded = Config::embedded(folder).map_err(|problems| wrong_settings(&problems))?;
    Ok(loaded.config)
}

async fn master_key(args: &Args, config: &Config) -> Result<MasterKey, CliError> {
    match &args.data {
        Some(folder) if !folder.join(MASTER_KEY_FILE).exists() => {
            let path = folder.join(MASTER_KEY_FILE);
            MasterKey::create(&path, &SystemEntropy).map_err(CliError::failed)
        }
        _ => app::master_key(config).await.map_err(|error| not_started(&error)),
    }
}

async fn filled(
    config: Config,
    open: OpenStore,
    master: MasterKey,
    spec: Spec,
) -> Result<crate::sample::Summary, CliError> {
    let clock = Arc::new(FixedClock::at(spec.beginning()));
    let told = Arc::<FixedClock>::clone(&clock);
    let node = Node::assemble(config, open, master, told, Arc::new(SystemEntropy)).await?;
    let bar = progress::bar(spec.grants, "making up grants");
    let filled = fill(&node.services, &clock, spec, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    node.close().await;
    filled.map_err(CliError::failed)
}

async fn build_read_models(args: &Args) -> Result<(), CliError> {
    let store = StoreArgs { settings: args.settings.clone(), data: args.data.clone() };
    let names: Vec<_> = chancery_projections::ALL.into_iter().map(ReadModel::name).collect();
    Access::with(&store, async |access| access.lookups(&names).await.map(drop)).await
}
