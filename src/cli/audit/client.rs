//! `chancery audit client`: who changed a client, how, and what it led to.

use std::io;

use chancery_domain::ids::ClientId;
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, told};
use crate::audit::client::{ClientChange, MemberChange, client_changes};
use crate::audit::{Records, StatedList};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit client web
  chancery audit client web --json";

/// Who changed a client, how, and what did it lead to?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The client
    #[arg(value_name = "ID")]
    pub id: ClientId,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let part = args.part.part();
    let ask = async |records: &Records| client_changes(records, &args.id, part).await;
    args.asking.answer(&["grants"], ask, tell).await
}

fn tell(answer: &StatedList<ClientChange>) -> io::Result<()> {
    let headings = ["when", "what happened", "who", "what became other", "what it led to"];
    let row = |change: &ClientChange| {
        let diff: Vec<_> = change.diff.iter().map(member).collect();
        let reason = change.event.reason.as_ref().map(|why| format!("\n({why})"));
        [
            told(&change.event.at),
            format!("{}{}", change.event.summary, reason.unwrap_or_default()),
            change.event.actor.clone(),
            diff.join("\n"),
            led_to(change),
        ]
    };
    output::table(headings, answer.items.iter().map(row))?;
    note(&answer.as_of, answer.next.as_ref());
    Ok(())
}

fn member(change: &MemberChange) -> String {
    let text = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    format!("{}: {} → {}", change.member, text(&change.before), text(&change.after))
}

fn led_to(change: &ClientChange) -> String {
    let Some(led_to) = &change.led_to else { return String::new() };
    let ended: Vec<_> =
        led_to.grants.iter().map(|grant| format!("grant {} ended", grant.grant_id)).collect();
    match &led_to.next {
        None => ended.join("\n"),
        Some(_) => {
            format!("{}\nand more: chancery audit cascade {}", ended.join("\n"), change.reference)
        }
    }
}
