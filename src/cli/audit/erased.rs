//! `chancery audit erased`: what is left of a person.

use std::io;

use chancery_domain::ids::SubjectId;
use clap::Args as ClapArgs;

use super::{Asking, note, told};
use crate::audit::erasure::{ErasureAnswer, erasure};
use crate::audit::{Records, Stated};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;
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
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let ask = async |records: &Records| erasure(records, args.subject, SystemClock.now()).await;
    args.asking.answer(&["accounts", "grants", "sessions", "consents"], ask, tell).await
}

fn tell(found: &Stated<ErasureAnswer>) -> io::Result<()> {
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
    Ok(())
}
