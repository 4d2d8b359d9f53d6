//! `chancery audit erased`: what is left of a person.

use chancery_domain::ids::SubjectId;
use clap::Args as ClapArgs;

use super::{note, told};
use crate::audit::Records;
use crate::audit::erasure::erasure;
use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::clock::{Clock as _, SystemClock};

const EXAMPLES: &str = "\
Examples:
  chancery audit erased 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery account erased --json     # all who were";

/// Was a person erased everywhere, and what is left of them?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The person's subject
    #[arg(value_name = "SUBJECT")]
    pub subject: SubjectId,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let found = Access::with(&args.store, async |store| {
        store.lookups(&["accounts", "grants", "sessions", "consents"]).await?;
        Ok(erasure(&Records::of(store.store()), args.subject, SystemClock.now()).await?)
    })
    .await?;
    if args.format.json {
        output::json(&found)?;
        return Ok(ExitCode::Done);
    }
    let answer = &found.answer;
    for event in &answer.history {
        let reason = event.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let text = format!("{}  {}, by {}{reason}", told(&event.at), event.summary, event.actor);
        output::line(&text)?;
    }
    let row = |place: &crate::audit::erasure::Place| {
        [place.place.clone(), place.left.to_string(), place.holds.clone()]
    };
    output::table(["place", "left", "what is there of somebody"], answer.places.iter().map(row))?;
    let verdict = match (answer.erased_everywhere, answer.state.as_str()) {
        (true, _) => "erased, and nothing is left in any of these places",
        (false, "erased") => "erased, but something is there again: erase it again",
        (false, "erasing") => "the erasure is under way",
        (false, _) => "nobody has asked for the erasure",
    };
    output::line(verdict)?;
    output::note(&format!("not looked at: {}", answer.not_checked.join("; ")));
    note(&found.as_of, None);
    Ok(ExitCode::Done)
}
