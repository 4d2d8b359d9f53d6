//! `chancery bench`: how fast a server is, by the load generator in [`crate::bench`].

mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use indicatif::ProgressBar;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use url::Url;

use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use super::progress;
use super::serve::{not_started, told_to_stop};
use crate::app::StartError;
use crate::bench::client::{Account, Client, ClientError, Registration};
use crate::bench::form::FieldNames;
use crate::bench::http::{Wire, client_config};
use crate::bench::limits::{Limit, commits, signatures};
use crate::bench::process::Processes;
use crate::bench::provider::Provider;
use crate::bench::report::{Machine, Report, Settings};
use crate::bench::run::{Generator, Load, Timing};
use crate::bench::scenario::Scenario;
use crate::bench::throwaway::{Disk, Place, Throwaway, ThrowawayError};
use crate::bench::user::{Stage, VirtualUser};
use crate::bench::{Bench, Progress, SetupError};
use crate::config::store::without_password;
use crate::http::floor;

const EXAMPLES: &str = "\
Examples:
  chancery bench                                  # all scenarios, on SQLite in a temporary folder
  chancery bench --scenario code --users 16 --duration 30 --json
  chancery bench --rate 500 --scenario mixed      # 500 flows arrive each second, come what may
  chancery bench --store postgres://chancery@db.example/empty --pid $(head -1 postmaster.pid)
  chancery bench --data big                       # on the history that `chancery sample` made
  chancery bench --store postgres://chancery@db.example/big --master-key big.key    # the same
  chancery bench --set 'keys.signing_algorithm = \"EdDSA\"'
  chancery bench --issuer https://as.example --client web.json --accounts people.json

Without --issuer, a server of this program's own is started on a free port of loopback, with the
clients and accounts that it takes, and stopped in the end. With it, any server with a discovery
document is measured: --client has what `chancery client add --json` prints (client_id,
client_secret, redirect_uris, grant_types, scope; client_secret_basic, client_secret_post or none),
--accounts {\"username\": …, \"password\": …} or a list of these. Both may be given again: users share
them out. People log in by the forms of the server's pages; a page that only has a button is
consented to by its first.

Every answer is looked at: status, members, state, iss; iss, aud, nonce and exp of the ID token (not
its signature); that a refresh brought a new refresh token. What is not right is an error, and no
flow. Of a hundred flows of `mixed`, 40 introspect, 20 are client_credentials, 20 refresh, 10
userinfo, 5 code, 5 par_code.

Figures: flows per second; latencies in milliseconds, in a closed loop from a flow's beginning, with
--rate from the moment that it was meant to begin; processor time in microseconds per flow, of the
server and of the generator; memory (RSS) in MB at the end and at its peak; bytes per flow by which
the store grew. --json has all of them: latencies in microseconds, memory in bytes.

Exit code 1 if any flow went wrong; 4 if the server refuses the client or the account.";

/// Measure how fast a server is: flows per second, latencies, processor time
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What virtual users do; may be repeated [default: all, one after the other]
    #[arg(long, value_name = "NAME", value_enum)]
    pub scenario: Vec<Scenario>,
    /// How many virtual users, each with its own connection and session
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub users: u32,
    /// Open loop: so many flows arrive in a second, evenly; else each user begins the next flow
    /// when the last one has ended
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// Seconds that don't count, before each scenario
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub warm_up: Duration,
    /// Seconds that count, of each scenario
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = duration)]
    pub duration: Duration,
    /// Seconds that an answer is waited for
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = duration)]
    pub timeout: Duration,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// A process of the server's, to add up processor time and memory of it and of those that it
    /// started (as PostgreSQL's first); may be repeated
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub own: OwnServer,
    #[command(flatten)]
    pub other: OtherServer,
    /// Only speak HTTP, to be measured
    #[arg(long, hide = true)]
    pub http_floor: bool,
}

/// A server of our own.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "A server of its own")]
pub struct OwnServer {
    /// Its store: sqlite, or the postgres:// URL of a database, an empty one unless its --master-key
    /// is given
    #[arg(long, value_name = "STORE", default_value = "sqlite", value_parser = store)]
    pub store: StoreChoice,
    /// The file with the master key of a PostgreSQL database that has a history
    #[arg(long, value_name = "FILE", requires = "store")]
    pub master_key: Option<PathBuf>,
    /// The folder of its embedded store, which is kept [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A line of its configuration, like 'server.workers = 2'; may be repeated
    #[arg(long, value_name = "LINE")]
    pub set: Vec<String>,
    /// Don't measure what the machine can do at most
    #[arg(long)]
    pub no_limits: bool,
}

/// Somebody else's server.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Another server")]
pub struct OtherServer {
    /// Its issuer; the rest is in its discovery document
    #[arg(long, value_name = "URL", requires = "client", conflicts_with_all = ["store", "master_key", "data", "set"])]
    pub issuer: Option<Url>,
    /// A client's registration, as JSON; may be repeated
    #[arg(long, value_name = "FILE", requires = "issuer", num_args = 1..)]
    pub client: Vec<PathBuf>,
    /// People who can log in, as JSON; may be repeated
    #[arg(long, value_name = "FILE", requires = "issuer", num_args = 1..)]
    pub accounts: Vec<PathBuf>,
    /// The field for the user name [default: the first that takes text]
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub username_field: Option<String>,
    /// The field for the password [default: the one for passwords]
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub password_field: Option<String>,
    /// A further parameter of authorization requests, like prompt=consent; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "issuer", value_parser = parameter)]
    pub parameter: Vec<(String, String)>,
    /// It is right that a refresh brings no new refresh token
    #[arg(long, requires = "issuer")]
    pub keep_refresh_tokens: bool,
    /// Certificates (PEM) of an authority to believe besides the public ones
    #[arg(long, value_name = "FILE", requires = "issuer")]
    pub ca_file: Option<PathBuf>,
}

/// Which store; its URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    Sqlite,
    Postgres(String),
}

impl fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite => f.write_str("Sqlite"),
            Self::Postgres(url) => write!(f, "Postgres({})", without_password(url)),
        }
    }
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    if args.http_floor {
        return only_http().await;
    }
    if !Machine::this().optimized {
        output::note("this program was built without optimizations: its figures mean nothing");
    }
    let shown = Shown(progress::spinner("the server starts"));
    let mut report = None;
    let ended = match &args.other.issuer {
        None => Box::pin(of_own_server(&args, &shown, &mut report)).await,
        Some(issuer) => {
            tokio::select! {
                ended = of_other_server(&args, issuer, &shown, &mut report) => ended,
                () = told_to_stop() => Err(stopped()),
            }
        }
    };
    shown.0.finish_and_clear();
    // What was measured before something went wrong is worth seeing.
    let report = report.filter(|report| ended.is_ok() || !report.scenarios.is_empty());
    match &report {
        Some(report) if args.format.json => output::json(report)?,
        Some(report) => table::print(report)?,
        None => {}
    }
    ended?;
    let Some(report) = report else { return Ok(ExitCode::Done) };
    let wrong: u64 = report.scenarios.iter().map(|measured| measured.error_count).sum();
    if wrong > 0 {
        let flows: u64 = report.scenarios.iter().map(|measured| measured.flows).sum();
        return Err(CliError::failed(format_args!("{wrong} flows went wrong, {flows} went well")));
    }
    if let Some(none) = report.scenarios.iter().find(|measured| measured.flows == 0) {
        let message = format_args!("no flow of {} ended in time", none.scenario);
        return Err(CliError::failed(message).hint("give it longer, by --duration"));
    }
    Ok(ExitCode::Done)
}

/// Starts a server, measures it, and stops it whatever comes of that.
async fn of_own_server(
    args: &Args,
    shown: &Shown,
    report: &mut Option<Report>,
) -> Result<(), CliError> {
    let place = match (&args.own.store, &args.own.data) {
        (StoreChoice::Sqlite, _) if args.own.master_key.is_some() => {
            return Err(CliError::usage("the master key of an embedded store is in its folder")
                .hint("leave out --master-key"));
        }
        (StoreChoice::Sqlite, None) => Place::Temporary,
        (StoreChoice::Sqlite, Some(folder)) => Place::Folder(folder.clone()),
        (StoreChoice::Postgres(url), None) => {
            Place::Postgres { url: url.clone(), master_key: args.own.master_key.clone() }
        }
        (StoreChoice::Postgres(_), Some(_)) => {
            return Err(CliError::usage("a PostgreSQL database is in no folder")
                .hint("leave out --data, or --store"));
        }
    };
    let told_to_stop = told_to_stop();
    tokio::pin!(told_to_stop);
    let tls = client_config(&[]).map_err(CliError::failed)?;
    let mut wire = Wire::new(Arc::clone(&tls), args.timeout);
    let users = usize::try_from(args.users).unwrap_or(usize::MAX);
    let starting = Throwaway::start(place, &args.own.set, users, &mut wire);
    let server = tokio::select! {
        started = starting => started.map_err(SetupError::from)?,
        () = &mut told_to_stop => return Err(stopped()),
    };
    let measuring = async {
        let provider = Provider::discover(&mut wire, &server.issuer).await?;
        let stage = Stage {
            provider,
            clients: clients(server.clients.clone())?,
            accounts: server.accounts.clone(),
            fields: FieldNames::default(),
            parameters: vec![],
            keeps_refresh_tokens: false,
        };
        let processes = server.pid().into_iter().chain(args.pid.iter().copied()).collect();
        let bench = bench(args, stage, tls, Processes(processes))?;
        let limits =
            if args.own.no_limits { vec![] } else { limits(&bench, &server.disk, shown).await? };
        measured(args, bench, (limits, Some(&server.disk)), shown, report).await
    };
    let ended = tokio::select! {
        ended = measuring => ended,
        () = &mut told_to_stop => Err(stopped()),
    };
    shown.begins("the server stops", None);
    server.stop().await.map_err(|error| {
        CliError::failed(format_args!("the server could not be stopped: {error}"))
    })?;
    ended
}

async fn of_other_server(
    args: &Args,
    issuer: &Url,
    shown: &Shown,
    report: &mut Option<Report>,
) -> Result<(), CliError> {
    let other = &args.other;
    let certificates = match &other.ca_file {
        None => vec![],
        Some(path) => certificates(path)?,
    };
    let tls = client_config(&certificates).map_err(CliError::failed)?;
    let registrations: Vec<Registration> = listed(&other.client)?;
    let accounts: Vec<Account> = listed(&other.accounts)?;
    let clients = clients(registrations)?;
    let mut wire = Wire::new(Arc::clone(&tls), args.timeout);
    let provider = Provider::discover(&mut wire, issuer).await?;
    let stage = Stage {
        provider,
        clients,
        accounts,
        fields: FieldNames {
            username: other.username_field.clone(),
            password: other.password_field.clone(),
        },
        parameters: other.parameter.clone(),
        keeps_refresh_tokens: other.keep_refresh_tokens,
    };
    let bench = bench(args, stage, tls, Processes(args.pid.clone()))?;
    measured(args, bench, (vec![], None), shown, report).await
}

fn clients(registrations: Vec<Registration>) -> Result<Vec<Arc<Client>>, CliError> {
    let made = registrations.into_iter().map(|registration| Client::of(registration).map(Arc::new));
    Ok(made.collect::<Result<_, ClientError>>().map_err(SetupError::from)?)
}

fn bench(
    args: &Args,
    stage: Stage,
    tls: Arc<rustls::ClientConfig>,
    processes: Processes,
) -> Result<Bench, CliError> {
    for pid in &args.pid {
        if Processes(vec![*pid]).usage().is_none() {
            return Err(CliError::not_found("process", pid));
        }
    }
    let timing = Timing {
        load: args.rate.map_or(Load::Closed, |per_second| Load::Open { per_second }),
        warm_up: args.warm_up,
        duration: args.duration,
        patience: args.timeout,
    };
    let stage = Arc::new(stage);
    let user = |number| {
        let wire = Wire::new(Arc::clone(&tls), timing.patience);
        VirtualUser::new(Arc::clone(&stage), number, wire)
    };
    let users = (0..usize::try_from(args.users).unwrap_or(usize::MAX)).map(user).collect();
    let generator = Generator::start(args.threads.into()).map_err(CliError::failed)?;
    Ok(Bench { stage, tls, timing, generator, users, processes })
}

/// The signatures keep a core busy, the commits the disk: one after the other.
async fn limits(bench: &Bench, disk: &Disk, shown: &Shown) -> Result<Vec<Limit>, CliError> {
    shown.begins("limits: signatures", None);
    let joined = |_| CliError::failed("the limits could not be measured");
    let mut limits = tokio::task::spawn_blocking(signatures).await.map_err(joined)?;
    if let Some(folder) = disk.folder() {
        shown.begins("limits: disk", None);
        let folder = folder.to_owned();
        let counted =
            tokio::task::spawn_blocking(move || commits(&folder)).await.map_err(joined)?;
        limits.push(counted?);
    }
    limits.push(bench.http_limit(shown).await?);
    Ok(limits)
}

/// Measures one scenario after the other. The report has those that are done, however it ends.
async fn measured(
    args: &Args,
    mut bench: Bench,
    (limits, disk): (Vec<Limit>, Option<&Disk>),
    shown: &Shown,
    report: &mut Option<Report>,
) -> Result<(), CliError> {
    let scenarios = scenarios(args, &bench.stage)?;
    bench.rehearse(&scenarios, shown).await?;
    let report = report.insert(Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this(),
        issuer: bench.stage.provider.issuer.clone(),
        store: disk.map(Disk::kind),
        settings: Settings::of(
            &bench.timing,
            bench.users.len(),
            args.threads.into(),
            args.own.set.clone(),
        ),
        limits,
        scenarios: vec![],
    });
    for scenario in scenarios {
        let measured = bench.measure(scenario, disk, shown).await?;
        report.scenarios.push(measured);
    }
    Ok(())
}

/// Those that were asked for; else all that the server and the clients can do.
fn scenarios(args: &Args, stage: &Stage) -> Result<Vec<Scenario>, CliError> {
    if !args.scenario.is_empty() {
        let mut asked = args.scenario.clone();
        let mut seen = std::collections::BTreeSet::new();
        asked.retain(|scenario| seen.insert(*scenario));
        for scenario in &asked {
            stage.check(*scenario)?;
        }
        return Ok(asked);
    }
    let mut possible = Vec::new();
    let mut reason = None;
    for scenario in <Scenario as clap::ValueEnum>::value_variants() {
        match stage.check(*scenario) {
            Ok(()) => possible.push(*scenario),
            Err(error) => {
                output::note(&format!("without {scenario}: {error}"));
                reason = Some(error);
            }
        }
    }
    match reason {
        Some(error) if possible.is_empty() => Err(error.into()),
        _ => Ok(possible),
    }
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        let code = match &error {
            SetupError::NoEndpoint { .. }
            | SetupError::NoClient { .. }
            | SetupError::NoRedirectUri { .. }
            | SetupError::NoAccount { .. }
            | SetupError::Client(_)
            | SetupError::Throwaway(ThrowawayError::Settings(_)) => ExitCode::Usage,
            SetupError::ClientRefused(_)
            | SetupError::LoginRefused(_)
            | SetupError::Throwaway(ThrowawayError::NotEmpty) => ExitCode::Refused,
            SetupError::Throwaway(ThrowawayError::Store(_)) => ExitCode::StoreUnavailable,
            SetupError::Throwaway(ThrowawayError::Start(StartError::Store(_))) => {
                ExitCode::StoreUnavailable
            }
            _ => ExitCode::Failed,
        };
        let failed = Self::new(code, &error);
        match &error {
            SetupError::Unreachable { .. } => {
                failed.hint("does it run, and is --issuer its issuer?")
            }
            SetupError::NoEndpoint { .. } => failed.hint("name other scenarios with --scenario"),
            SetupError::NoClient { .. } => failed.hint("give a client that may, with --client"),
            SetupError::NoAccount { .. } => {
                failed.hint("give people who can log in, with --accounts")
            }
            SetupError::ClientRefused(_) => {
                failed.hint("look at client_id and client_secret in the files of --client")
            }
            SetupError::LoginRefused(_) => failed.hint(
                "look at the files of --accounts; if the fields have unusual names, give them by \
             --username-field and --password-field",
            ),
            SetupError::Throwaway(ThrowawayError::Start(error)) => not_started(error),
            SetupError::Throwaway(ThrowawayError::NotEmpty) => failed.hint(
                "make a database for this, which is filled and can't be used after; or give the \
                     key of a made-up history, with --master-key",
            ),
            _ => failed,
        }
    }
}

fn stopped() -> CliError {
    CliError::failed("stopped before the end")
}

async fn only_http() -> Result<ExitCode, CliError> {
    let workers = Machine::this().cores;
    let ready = |address| drop(output::line(&format!("{address}")));
    // Whoever started this holds the other end of standard input.
    let deserted = tokio::task::spawn_blocking(|| {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
    });
    floor::serve(workers, ready, async { drop(deserted.await) }).await?;
    Ok(ExitCode::Done)
}

/// What files have: one each, or lists.
fn listed<T: DeserializeOwned>(paths: &[PathBuf]) -> Result<Vec<T>, CliError> {
    let mut all = Vec::new();
    for path in paths {
        let named = |why: &dyn fmt::Display| {
            CliError::usage(format_args!("{} can't be used: {why}", path.display()))
        };
        let text = std::fs::read(path).map_err(|error| named(&error))?;
        // Where it goes wrong is told, not what stands there: it may be a secret.
        let wrong = |error: serde_json::Error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            named(&format_args!("it is no JSON of the right members, at {place}"))
        };
        if text.trim_ascii_start().starts_with(b"[") {
            all.extend(serde_json::from_slice::<Vec<T>>(&text).map_err(wrong)?);
        } else {
            all.push(serde_json::from_slice(&text).map_err(wrong)?);
        }
    }
    Ok(all)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let wrong = |error: rustls::pki_types::pem::Error| {
        CliError::usage(format_args!("{} can't be used: {error}", path.display()))
    };
    let all = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if all.is_empty() {
        return Err(CliError::usage(format_args!("{} has no certificate", path.display())));
    }
    Ok(all)
}

/// A bar, or a spinner where nobody knows how long it takes.
struct Shown(ProgressBar);

impl Progress for Shown {
    fn begins(&self, what: &str, time: Option<Duration>) {
        self.0.set_message(what.to_owned());
        match time {
            Some(time) => {
                progress::as_bar(&self.0, millis(time));
            }
            None => progress::as_spinner(&self.0),
        }
    }

    fn passed(&self, time: Duration) {
        self.0.set_position(millis(time));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give seconds, like 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= Duration::from_secs(86_400))
        .ok_or_else(|| "give seconds, from 0 to 86400".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = seconds(text)?;
    if time < Duration::from_millis(10) { Err("give at least 0.01".to_owned()) } else { Ok(time) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "give a number of flows per second".to_owned())?;
    let is_good = (0.01..=1_000_000.0).contains(&rate);
    if is_good { Ok(rate) } else { Err("give flows per second, from 0.01 to 1000000".to_owned()) }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, like prompt=consent")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn store(text: &str) -> Result<StoreChoice, String> {
    match text {
        "sqlite" => Ok(StoreChoice::Sqlite),
        url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(StoreChoice::Postgres(url.to_owned()))
        }
        _ => Err("give sqlite, or the postgres:// URL of an empty database".to_owned()),
    }
}
