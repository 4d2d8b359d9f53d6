//! `chancery audit reads`: who saw personal data, and why.

use std::io;

use chancery_domain::ids::SubjectId;
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, told};
use crate::audit::reads::{Read, Which, reads};
use crate::audit::{Period, Records, StatedList, period};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit reads --subject 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery audit reads --by ada --from 2026-05-01 --to 2026-05-31
  chancery audit reads --by 'client support-desk' --json";

/// Who saw what is known of people, and why?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only of this person's data
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<SubjectId>,
    /// Only by this operator: the user of the command line, or `client ID` or
    /// `account SUBJECT` by the API
    #[arg(long, value_name = "OPERATOR")]
    pub by: Option<String>,
    /// Only from the beginning of this day or moment on
    #[arg(long, alias = "since", value_name = "DAY", value_parser = period)]
    pub from: Option<Period>,
    /// Only up to the end of this day or moment
    #[arg(long, alias = "until", value_name = "DAY", value_parser = period)]
    pub to: Option<Period>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let which = Which {
        subject: args.subject,
        reader: args.by,
        since: args.from.map(|from| from.from.into()),
        until: args.to.map(|to| to.below.into()),
    };
    let part = args.part.part();
    let ask = async |records: &Records| reads(records, &which, part).await;
    args.asking.answer(&["personal_data_reads"], ask, tell).await
}

fn tell(answer: &StatedList<Read>) -> io::Result<()> {
    let headings = ["when", "whose", "by", "what", "why"];
    let row = |read: &Read| {
        [
            told(&read.at),
            read.subject.to_string(),
            read.reader.clone(),
            read.what.join(" "),
            read.reason.clone(),
        ]
    };
    output::table(headings, answer.items.iter().map(row))?;
    note(&answer.as_of, answer.next.as_ref());
    Ok(())
}
