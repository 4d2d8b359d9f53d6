//! `chancery hook`: the scripts and webhooks that the server asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_domain::authorization::{Authentication, Authorization, AuthorizationRequest};
use chancery_domain::client::Client;
use chancery_domain::event::{AnyEvent, EventFormat as _};
use chancery_domain::grant::{Grant, GrantEvent, IssuedTokens};
use chancery_domain::ids::GrantId;
use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Subcommand};
use cqrs_es::Aggregate as _;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::access::Access;
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use super::{SettingsFile, StoreArgs};
use crate::aggregates::{Folded, Kept as _};
use crate::clock::{Clock as _, SystemClock};
use crate::config::hooks::Point;
use crate::config::{Config, Loaded};
use crate::entropy::SystemEntropy;
use crate::hooks::answers;
use crate::hooks::input::{self, AboutToken, AboutTokens, Frame, Lifetimes};
use crate::hooks::script::Script;
use crate::hooks::webhook::World;
use crate::hooks::{Hook, Hooks};
use crate::outbound::Outbound;
use crate::telemetry::metrics as figures;

const EXAMPLES: &str = "\
Examples:
  chancery hook list
  chancery hook check claims.rhai
  chancery hook test claims --point token --grant 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery hook test claims --point token --input input.json";

/// The scripts and webhooks that the server asks: list, check and try them
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the hooks of the settings (the administration API tells how they stand)
    List {
        #[command(flatten)]
        file: SettingsFile,
        #[command(flatten)]
        format: Format,
    },
    /// Compile scripts: those of the settings, or this one
    Check {
        /// A script that need not be in the settings
        #[arg(value_name = "FILE")]
        script: Option<PathBuf>,
        #[command(flatten)]
        file: SettingsFile,
        #[command(flatten)]
        format: Format,
    },
    /// Ask a hook, as the server would, and show what it says; nothing else happens
    Test(Test),
}

#[derive(Debug, ClapArgs)]
pub struct Test {
    /// The hook
    #[arg(value_name = "NAME")]
    pub name: String,
    /// At which point [default: the hook's only one]
    #[arg(long, value_name = "POINT", value_parser = PossibleValuesParser::new(Point::ALL.map(Point::as_str)))]
    pub point: Option<String>,
    /// Tell it about this grant, as it is recorded
    #[arg(long, value_name = "ID", required_unless_present = "input", conflicts_with = "input")]
    pub grant: Option<GrantId>,
    /// Tell it this, from a file of JSON
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List { file, format } => list(&file, format)?,
        Command::Check { script: Some(script), format, .. } => check_one(&script, format)?,
        Command::Check { file, format, .. } => check_all(&file, format)?,
        Command::Test(args) => return test(args).await,
    }
    Ok(ExitCode::Done)
}

fn hooks(config: &Config) -> Result<Hooks, CliError> {
    Hooks::new(&config.hooks).map_err(CliError::usage)
}

fn list(file: &SettingsFile, format: Format) -> Result<(), CliError> {
    let Loaded { config } = file.load()?;
    let states: Vec<_> = hooks(&config)?.iter().map(Hook::state).collect();
    if format.json {
        let entry = |state: &crate::hooks::HookState| {
            json!({
                "name": state.name, "kind": state.kind, "place": state.place, "on": state.on,
                "clients": state.clients, "on_failure": state.on_failure,
                "timeout_ms": state.timeout_ms,
            })
        };
        return Ok(output::json(&states.iter().map(entry).collect::<Vec<_>>())?);
    }
    let headings = ["name", "kind", "place", "on", "clients", "on_failure"];
    let row = |state: crate::hooks::HookState| {
        [
            state.name,
            state.kind.to_owned(),
            state.place,
            state.on.join(", "),
            state.clients.to_owned(),
            state.on_failure.to_owned(),
        ]
    };
    Ok(output::table(headings, states.into_iter().map(row))?)
}

fn check_one(path: &Path, format: Format) -> Result<(), CliError> {
    let script = Script::read(path).map_err(CliError::usage)?;
    let points = Point::ALL.into_iter().filter(|point| script.has(*point));
    let points: Vec<_> = points.map(Point::as_str).collect();
    if format.json {
        return Ok(output::json(&json!({ "script": path, "points": points }))?);
    }
    if points.is_empty() {
        return Err(CliError::usage("the script compiles, but has no function for any point")
            .hint(format_args!("the points are: {}", Point::ALL.map(Point::as_str).join(", "))));
    }
    Ok(output::line(&format!("the script is good, for: {}", points.join(", ")))?)
}

/// Reading the settings compiles their scripts.
fn check_all(file: &SettingsFile, format: Format) -> Result<(), CliError> {
    let Loaded { config } = file.load()?;
    let names: Vec<_> = config.hooks.keys().collect();
    if format.json {
        return Ok(output::json(&json!({ "hooks": names }))?);
    }
    Ok(output::line(&format!("{} hooks are good", names.len()))?)
}

async fn test(args: Test) -> Result<ExitCode, CliError> {
    let Loaded { config } = args.store.load()?;
    let hooks = hooks(&config)?;
    let hook = hooks.get(&args.name).ok_or_else(|| CliError::not_found("hook", &args.name))?;
    let point = point(hook, args.point.as_deref())?;
    let input = match (&args.input, args.grant) {
        (Some(path), _) => from_file(path)?,
        (None, Some(grant)) => of_grant(&args.store, grant, point, &config).await?,
        (None, None) => return Err(CliError::usage("give --grant or --input")),
    };
    let input = Arc::new(input);
    let outbound =
        Outbound::new(&config.outbound, figures::Outbound::default()).map_err(CliError::failed)?;
    let world = World { outbound: &outbound, clock: &SystemClock, entropy: &SystemEntropy };
    let begun = Instant::now();
    let said = hook.run(point, &input, world).await;
    let microseconds = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let said = said.map_err(|failure| failure.to_string());
    let problem = match &said {
        Ok(value) => answers::check(point, value.clone()).err(),
        Err(failure) => Some(failure.clone()),
    };
    output::json(&json!({
        "hook": hook.name(),
        "point": point.as_str(),
        "input": input,
        "output": said.ok(),
        "microseconds": microseconds,
        "problem": problem,
    }))?;
    Ok(if problem.is_some() { ExitCode::Failed } else { ExitCode::Done })
}

fn point(hook: &Hook, wanted: Option<&str>) -> Result<Point, CliError> {
    let on = &hook.settings().on;
    let names = || on.iter().map(|point| point.as_str()).collect::<Vec<_>>().join(", ");
    match wanted {
        None => match on.as_slice() {
            [only] => Ok(*only),
            _ => {
                Err(CliError::usage("which point?").hint(format_args!("--point, of: {}", names())))
            }
        },
        Some(name) => {
            let found = on.iter().find(|point| point.as_str() == name).copied();
            found.ok_or_else(|| {
                CliError::usage(format_args!("the hook {} is not asked there", hook.name()))
                    .hint(format_args!("it is asked at: {}", names()))
            })
        }
    }
}

fn from_file(path: &Path) -> Result<Value, CliError> {
    let bytes = std::fs::read(path)
        .map_err(|error| CliError::usage(format_args!("{}: {error}", path.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CliError::usage(format_args!("{}: {error}", path.display())))
}

/// What is recorded of a grant.
#[derive(Default)]
struct Recorded {
    request: Option<Arc<AuthorizationRequest>>,
    person: Option<Authentication>,
    authorization: Option<Arc<Authorization>>,
    tokens: Option<Arc<IssuedTokens>>,
    by: &'static str,
}

async fn of_grant(
    store: &StoreArgs,
    id: GrantId,
    point: Point,
    config: &Config,
) -> Result<Value, CliError> {
    let (recorded, client) = Access::reading(store, async |access| {
        let stream = Grant::stream(&id.to_string());
        let mut recorded = Recorded::default();
        let mut grant = Grant::default();
        for stored in access.store().history(&stream).await? {
            let event = crate::feed::decode(&stored).map_err(CliError::failed)?.event;
            if let AnyEvent::Grant(event) = event {
                recorded.take(&event);
                grant.apply(event);
                recorded.take_state(&grant);
            }
        }
        let Some(client_id) = grant.client_id() else {
            return Err(CliError::not_found("grant", id));
        };
        let client = Client::stream(client_id.as_str());
        let client = Folded::<Client>::load(&**access.store(), &client).await;
        Ok((recorded, client.map_err(CliError::failed)?.state))
    })
    .await?;
    let issuer = config.server.issuer.as_str();
    let frame = Frame { now: SystemClock.now(), issuer, client: client.registered() };
    recorded.input(frame, id, point).ok_or_else(|| {
        let point = point.as_str();
        CliError::usage(format_args!("nothing is recorded of the grant that {point} is about"))
            .hint("give the input with --input")
    })
}

impl Recorded {
    fn take(&mut self, event: &GrantEvent) {
        match event {
            GrantEvent::RequestPushed(event) => self.request = Some(Arc::clone(&event.request)),
            GrantEvent::RequestReceived(event) => self.request = Some(Arc::clone(&event.request)),
            GrantEvent::SubjectAuthenticated(event) => {
                self.person = Some(event.authentication.clone());
            }
            _ => {}
        }
        if let Some(tokens) = event.issued_tokens() {
            self.tokens = Some(Arc::clone(tokens));
            self.by = match event.name() {
                "RefreshTokenRotated" => "refresh_token",
                "TokensIssued" => "client_credentials",
                _ => "authorization_code",
            };
        }
    }

    fn take_state(&mut self, grant: &Grant) {
        if let Grant::Active(stage) = grant {
            self.authorization = Some(Arc::clone(&stage.authorization));
        }
    }

    fn input(&self, frame: Frame<'_>, id: GrantId, point: Point) -> Option<Value> {
        match point {
            Point::Authorization => {
                Some(input::authorization(frame, self.request.as_ref()?, self.person.as_ref()))
            }
            Point::PostAuthentication => {
                let person = self.person.as_ref()?;
                Some(input::post_authentication(frame, self.request.as_ref()?, person))
            }
            Point::Consent => {
                let person = self.person.as_ref()?;
                Some(input::consent(frame, self.request.as_ref()?, person, None))
            }
            Point::Par => Some(input::par(frame, self.request.as_ref()?, 600)),
            Point::Token => {
                let tokens = self.tokens.as_ref()?;
                let access = &tokens.access;
                let issued = access.issued_at;
                let lifetimes = Lifetimes {
                    access: access.expires_at.since(issued),
                    id: tokens
                        .id
                        .as_ref()
                        .map_or_else(Default::default, |id| id.expires_at.since(id.issued_at)),
                    refresh: tokens.refresh.as_ref().map(|own| own.expires_at.since(issued)),
                };
                Some(input::token(
                    frame,
                    AboutTokens {
                        grant_type: self.by,
                        grant: Some(id),
                        authorization: self.authorization.as_ref()?,
                        scope: &access.scope,
                        audience: &access.audience,
                        lifetimes,
                        claims: None,
                    },
                ))
            }
            Point::Userinfo => self.about_token(id).map(|(token, answer)| {
                input::userinfo(frame, AboutToken { answer: &answer, ..token })
            }),
            Point::Introspection => self.about_token(id).map(|(token, answer)| {
                input::introspection(frame, AboutToken { answer: &answer, ..token })
            }),
            Point::Discovery | Point::Registration => None,
        }
    }
}

impl Recorded {
    /// A token of the grant, and what can be said of it without anything personal.
    fn about_token(&self, id: GrantId) -> Option<(AboutToken<'_>, Map<String, Value>)> {
        static NOTHING: std::sync::LazyLock<Map<String, Value>> =
            std::sync::LazyLock::new(Map::new);
        let authorization = self.authorization.as_ref()?;
        let facts = &self.tokens.as_ref()?.access;
        let mut answer = Map::new();
        let subject = authorization.subject().map(|subject| subject.to_string());
        answer.insert("sub".to_owned(), subject.into());
        let token = AboutToken { grant: id, authorization, scope: &facts.scope, answer: &NOTHING };
        Some((token, answer))
    }
}
