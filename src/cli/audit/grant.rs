//! `chancery audit grant`: a grant at some moment, and what its person saw.

use std::io;

use chancery_domain::ids::GrantId;
use chancery_domain::time::UnixTime;
use clap::{Args as ClapArgs, ValueEnum};

use super::{Asking, note, shown, told};
use crate::audit::grant::{At, Clock, GrantAt, Seen, grant_at};
use crate::audit::{Happening, Records, Stated, instant};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit grant 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery audit grant 0198f3a2c4d57e0fa1b2c3d4e5f60718 --at 2026-05-01T09:30:00Z
  chancery audit grant 0198f3a2c4d57e0fa1b2c3d4e5f60718 --position 40712";

/// What was the state of a grant at some moment, and what had its person seen?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// At this moment: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "position")]
    pub at: Option<UnixTime>,
    /// By whose clock
    #[arg(long, value_name = "CLOCK", default_value = "recorded", requires = "at")]
    pub clock: ClockArg,
    /// At this position of the log
    #[arg(long, value_name = "N")]
    pub position: Option<u64>,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClockArg {
    /// The store's, which took the events
    Recorded,
    /// Those of the nodes that decided
    Happened,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let clock = match args.clock {
        ClockArg::Recorded => Clock::Recorded,
        ClockArg::Happened => Clock::Happened,
    };
    let at = match (args.at, args.position) {
        (Some(at), _) => At::Time(at, clock),
        (None, Some(position)) => At::Position(position),
        (None, None) => At::Now,
    };
    let ask = async |records: &Records| grant_at(records, args.id, at).await;
    args.asking.answer(&[], ask, tell).await
}

fn tell(answer: &Stated<GrantAt>) -> io::Result<()> {
    output::fields(fields(&answer.answer))?;
    output::line("")?;
    let headings = ["position", "when", "what happened", "who", "why"];
    let row = |event: &Happening| {
        [
            event.at.position.to_string(),
            told(&event.at),
            event.summary.clone(),
            event.actor.clone(),
            event.reason.clone().unwrap_or_default(),
        ]
    };
    output::table(headings, answer.answer.events.iter().map(row))?;
    if answer.answer.more_since {
        output::note("more has happened to it since");
    }
    note(&answer.as_of, None);
    Ok(())
}

fn fields(at: &GrantAt) -> Vec<(&'static str, String)> {
    let grant = &at.grant;
    let mut fields = vec![
        ("grant_id", grant.grant_id.to_string()),
        ("state", grant.state.clone()),
        ("client_id", shown(grant.client_id.as_ref())),
        ("subject", shown(grant.subject.as_ref())),
        ("scope", grant.scope.to_string()),
    ];
    if let Some(consent) = &grant.consent {
        fields.push(("consented", told(&consent.given)));
    }
    match &at.seen {
        Some(seen) => fields.extend(what_was_seen(seen, grant.grant_id)),
        None => fields.push(("seen", "no page was shown".to_owned())),
    }
    fields
}

fn what_was_seen(seen: &Seen, own: GrantId) -> Vec<(&'static str, String)> {
    let lines = seen.scopes.iter().chain(&seen.claims);
    let lines: Vec<_> = lines.map(|line| format!("{}: {}", line.name, line.description)).collect();
    let mut fields = vec![("seen", lines.join("\n"))];
    if seen.grant_id != own {
        fields.push(("seen for grant", seen.grant_id.to_string()));
    }
    fields.push(("language", seen.locale.clone()));
    fields.push(("SHA-256 of the text", seen.text_digest.clone()));
    fields
}
