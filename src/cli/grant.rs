//! `chancery grant`: what was granted, and its history.

use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{Active, Grant};
use chancery_domain::ids::{ClientId, GrantId, SubjectId};
use chancery_domain::time::UnixTime;
use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Subcommand};
use cqrs_es::Aggregate as _;
use serde::Serialize;

use super::StoreArgs;
use super::access::{Access, unexpected};
use super::exit::{CliError, ExitCode};
use super::history::{Happening, unreadable};
use super::input::moment;
use super::output::{self, Format, maybe_time, time};
use crate::admin::{Operation, Outcome};
use crate::aggregates::Kept as _;
use crate::clock::rfc3339_ms;
use crate::feed::decode;
use crate::lookups::{GrantFilter, GrantRow, Order, Part};
use crate::stores::StoredEvent;

const EXAMPLES: &str = "\
Examples:
  chancery grant list --client web --state active
  chancery grant show 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery grant show 0198f3a2c4d57e0fa1b2c3d4e5f60718 --at 2026-05-01T09:30:00Z
  chancery grant revoke 0198f3a2c4d57e0fa1b2c3d4e5f60718 --reason 'device was lost'";

/// The states of grants that are listed: [`Grant::stage`].
const STATES: [&str; 8] = [
    "pushed",
    "requested",
    "authenticated",
    "consented",
    "code_issued",
    "active",
    "declined",
    "revoked",
];

/// What was granted, and its history
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List grants
    List(List),
    /// Show what happened to a grant, who did it and why
    Show(Show),
    /// Revoke a grant: all its tokens end
    Revoke(Revoke),
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Only of this subject
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<SubjectId>,
    /// Only of this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Only in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
    pub state: Option<String>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Go on after this one, the last of the list before
    #[arg(long, value_name = "ID")]
    pub after: Option<GrantId>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// As it was at this time: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "position")]
    pub at: Option<UnixTime>,
    /// As it was at this position of the log
    #[arg(long, value_name = "N")]
    pub position: Option<u64>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Debug, ClapArgs)]
pub struct Revoke {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// Why; kept in the log, so name nobody
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::List(args) => list(args).await?,
        Command::Show(args) => show(&args).await?,
        Command::Revoke(args) => revoke(args).await?,
    }
    Ok(ExitCode::Done)
}

async fn list(args: List) -> Result<(), CliError> {
    let filter = GrantFilter {
        subject: args.subject,
        client_id: args.client,
        session_id: None,
        state: args.state,
    };
    let after = args.after.map(|id| id.to_string());
    let part = Part { order: Order::LastToFirst, after, limit: args.limit };
    let page = Access::with(&args.store, async |access| {
        Ok(access.lookups(&["grants"]).await?.grants(&filter, part).await?)
    })
    .await?;
    if args.format.json {
        output::json(&page.rows)?;
    } else {
        let headings = ["grant_id", "state", "client_id", "subject", "scope", "since", "ends"];
        let row = |grant: GrantRow| {
            [
                grant.grant_id.to_string(),
                grant.state,
                grant.client_id.to_string(),
                grant.subject.map_or_else(String::new, |subject| subject.to_string()),
                grant.scope.to_string(),
                time(grant.created_at),
                maybe_time(grant.expires_at),
            ]
        };
        output::table(headings, page.rows.into_iter().map(row))?;
    }
    if let Some(next) = page.next {
        output::note(&format!("there are more: --after {next}"));
    }
    Ok(())
}

async fn revoke(args: Revoke) -> Result<(), CliError> {
    let operation = Operation::RevokeGrant { grant_id: args.id, reason: args.reason };
    let outcome = Access::with(&args.store, async |access| access.perform(operation).await);
    let grant = match outcome.await? {
        Outcome::Grant(grant) => grant,
        other => return Err(unexpected(other)),
    };
    if args.format.json {
        return Ok(output::json(&grant)?);
    }
    let text = match (grant.changed, grant.state.as_str()) {
        (true, _) => format!("grant {} is revoked", grant.grant_id),
        (false, state) => format!("grant {} had ended before: {state}", grant.grant_id),
    };
    Ok(output::line(&text)?)
}

/// A grant at some moment, and how it came to be so.
#[derive(Debug, Serialize)]
struct History {
    grant_id: GrantId,
    /// As [`Grant::stage`] has it.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<SubjectId>,
    /// The position of the last event shown.
    position: u64,
    /// True: more has happened since.
    more: bool,
    /// All that the server knew of the grant at that moment.
    details: Grant,
    timeline: Vec<Happening>,
    #[serde(skip)]
    at: UnixTime,
}

async fn show(args: &Show) -> Result<(), CliError> {
    let stream = Grant::stream(&args.id.to_string());
    let events =
        Access::reading(&args.store, async |access| Ok(access.store().history(&stream).await?))
            .await?;
    let history = History::of(args, events)?;
    if args.format.json {
        return Ok(output::json(&history)?);
    }
    output::fields(history.fields())?;
    output::line("")?;
    super::history::table(history.timeline)?;
    if history.more {
        output::note("more has happened since: leave out --at and --position to see it");
    }
    Ok(())
}

impl History {
    fn of(args: &Show, events: Vec<StoredEvent>) -> Result<Self, CliError> {
        let Some(first) = events.first().map(|event| (event.position, event.recorded_at_ms)) else {
            return Err(CliError::not_found("grant", args.id));
        };
        let shown = |event: &StoredEvent| {
            let in_time = |at: UnixTime| event.recorded_at_ms.div_euclid(1000) <= at.seconds();
            args.at.is_none_or(in_time) && args.position.is_none_or(|at| event.position <= at)
        };
        let all = events.len();
        let mut grant = Grant::default();
        let mut timeline = Vec::new();
        let (mut position, mut at) = (0, UnixTime::from_seconds(0));
        for stored in events.into_iter().take_while(shown) {
            let happening = Happening::of(&stored)?;
            if let AnyEvent::Grant(event) = decode(&stored).map_err(unreadable)?.event {
                grant.apply(event);
            }
            position = stored.position;
            at = UnixTime::from_seconds(stored.recorded_at_ms.div_euclid(1000));
            timeline.push(happening);
        }
        if timeline.is_empty() {
            let message = format_args!("grant {} was not there yet", args.id);
            let hint = format_args!("it began at position {}, {}", first.0, rfc3339_ms(first.1));
            return Err(CliError::new(ExitCode::NotFound, message).hint(hint));
        }
        Ok(Self {
            grant_id: args.id,
            state: grant.stage(),
            client_id: grant.client_id().cloned(),
            subject: grant.subject(),
            position,
            more: timeline.len() < all,
            details: grant,
            timeline,
            at: args.at.unwrap_or(at),
        })
    }

    /// The state at that moment, for people.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields =
            vec![("grant_id", self.grant_id.to_string()), ("state", self.state.to_owned())];
        if let Some(client_id) = &self.client_id {
            fields.push(("client_id", client_id.to_string()));
        }
        if let Some(subject) = self.subject {
            fields.push(("subject", subject.to_string()));
        }
        if let Some(request) = self.details.request_made() {
            fields.push(("asked for", request.scope.to_string()));
            fields.push(("redirect_uri", request.redirect_uri.as_str().to_owned()));
        }
        match &self.details {
            Grant::Pushed(stage) => fields.push(("expires", time(stage.expires_at))),
            Grant::CodeIssued(stage) => {
                match &stage.front {
                    Some(front) => fields.extend(tokens(front, self.at)),
                    None => fields.push(("scope", stage.authorization.scope.to_string())),
                }
                fields.push(("code expires", time(stage.expires_at)));
            }
            Grant::Active(stage) => fields.extend(tokens(stage, self.at)),
            Grant::Revoked(stage) => fields.push(("revoked", time(stage.at))),
            Grant::Absent
            | Grant::Requested { .. }
            | Grant::Authenticated(_)
            | Grant::Consented(_)
            | Grant::Declined(_) => {}
        }
        fields
    }
}

fn tokens(stage: &Active, at: UnixTime) -> Vec<(&'static str, String)> {
    let alive: Vec<_> = stage
        .access
        .iter()
        .filter(|token| at < token.expires_at)
        .map(|token| format!("{} until {}", token.number, time(token.expires_at)))
        .collect();
    let mut fields = vec![("scope", stage.authorization.scope.to_string())];
    let none = || "none alive".to_owned();
    let alive = if alive.is_empty() { none() } else { alive.join("\n") };
    fields.push(("access tokens", alive));
    if let Some(family) = &stage.refresh {
        let until = time(family.expires_at);
        fields.push(("refresh token", format!("{} until {until}", family.generation)));
    }
    fields
}
