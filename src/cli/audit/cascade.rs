//! `chancery audit cascade`: what an event led to.

use std::io;

use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, shown, told};
use crate::audit::cascade::{Cascade, EndedGrant, cascade};
use crate::audit::{Records, Stated};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit cascade client/web/4
  chancery audit cascade consent/5f1c0a7be9d24c6b8a3e9d0c7b6a5f41/2

Answers name events in this form as what something happened because of.";

/// Which grants ended because of this event?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event: aggregate type, id and sequence
    #[arg(value_name = "TYPE/ID/SEQUENCE")]
    pub event: String,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let part = args.part.part();
    let ask = async |records: &Records| cascade(records, &args.event, part).await;
    args.asking.answer(&["grants"], ask, tell).await
}

fn tell(answer: &Stated<Cascade>) -> io::Result<()> {
    let event = &answer.answer.event;
    output::fields([
        ("when", told(&event.at)),
        ("what happened", event.summary.clone()),
        ("who", event.actor.clone()),
        ("why", event.reason.clone().unwrap_or_default()),
    ])?;
    output::line("")?;
    let headings = ["grant_id", "client_id", "subject", "ended", "cause"];
    let row = |grant: &EndedGrant| {
        [
            grant.grant_id.to_string(),
            shown(grant.client_id.as_ref()),
            shown(grant.subject.as_ref()),
            told(&grant.revoked.at),
            grant.revoked.cause.clone(),
        ]
    };
    output::table(headings, answer.answer.led_to.grants.iter().map(row))?;
    note(&answer.as_of, answer.answer.led_to.next.as_ref());
    Ok(())
}
