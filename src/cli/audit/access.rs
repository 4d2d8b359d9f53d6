//! `chancery audit access`: who had access to what?

use std::io;

use chancery_domain::ids::{ClientId, SubjectId};
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, shown, told};
use crate::audit::access::{Access as Answer, ByConsent, Whose, access};
use crate::audit::{Period, Records, StatedList, period};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit access --on 2026-05-01
  chancery audit access --on 2026-05-01T09:30:00Z --client web --json

Access is had as long as tokens of a grant are alive: from the first until the last has ended or
the grant is revoked. A JWT may live on a little at those who do not ask: `chancery audit alive`.";

/// Who had access to what on a day, and by which consent?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// On this day (in UTC), or at this moment
    #[arg(long, value_name = "DAY", value_parser = period)]
    pub on: Period,
    /// Only this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Only by this person
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<SubjectId>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let whose = Whose { during: args.on, client_id: args.client, subject: args.subject };
    let part = args.part.part();
    let ask = async |records: &Records| access(records, &whose, part).await;
    args.asking.answer(&["grants"], ask, tell).await
}

fn tell(answer: &StatedList<Answer>) -> io::Result<()> {
    let headings = ["client_id", "subject", "scope", "from", "until", "by consent", "grant_id"];
    let row = |access: &Answer| {
        let ended = access.revoked.as_ref().map(|end| format!("\n({})", end.cause));
        [
            access.client_id.to_string(),
            shown(access.subject.as_ref()),
            access.scope.to_string(),
            told(&access.from),
            format!("{}{}", access.until, ended.unwrap_or_default()),
            access.consent.as_ref().map(by).unwrap_or_default(),
            access.grant_id.to_string(),
        ]
    };
    output::table(headings, answer.items.iter().map(row))?;
    note(&answer.as_of, answer.next.as_ref());
    Ok(())
}

fn by(consent: &ByConsent) -> String {
    match &consent.rests_on {
        _ if consent.page_shown => format!("asked {}", told(&consent.given)),
        None => "the client needs none".to_owned(),
        Some(earlier) => format!("given {}\nfor grant {}", told(&earlier.at), earlier.grant_id),
    }
}
