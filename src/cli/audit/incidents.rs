//! `chancery audit incidents`: credentials in wrong hands.

use std::io;

use std::fmt::Write as _;

use chancery_domain::ids::{ClientId, GrantId};
use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::{Asking, PartArgs, note, shown, told};
use crate::audit::incidents::{IncidentAnswer, IncidentKind, RevokedForIt, Which, incidents};
use crate::audit::{Period, Records, StatedList, period};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit incidents --since 2026-05-01 --until 2026-05-31
  chancery audit incidents --kind refresh_token_reused --client web
  chancery audit incidents --grant 0198f3a2c4d57e0fa1b2c3d4e5f60718";

/// Which codes and refresh tokens came twice, and what was revoked for it?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only of this grant
    #[arg(long, value_name = "ID")]
    pub grant: Option<GrantId>,
    /// Only presented by this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Only of this kind
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<IncidentKind>,
    /// Only from the beginning of this day or moment on
    #[arg(long, value_name = "DAY", value_parser = period)]
    pub since: Option<Period>,
    /// Only up to the end of this day or moment
    #[arg(long, value_name = "DAY", value_parser = period)]
    pub until: Option<Period>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

fn kind() -> impl clap::builder::TypedValueParser<Value = IncidentKind> {
    PossibleValuesParser::new(IncidentKind::ALL.map(IncidentKind::as_str)).try_map(|name| {
        IncidentKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or("there is no such kind")
    })
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let which = Which {
        grant_id: args.grant,
        client_id: args.client,
        kind: args.kind,
        since: args.since.map(|since| since.from.into()),
        until: args.until.map(|until| until.below.into()),
    };
    let part = args.part.part();
    let ask = async |records: &Records| incidents(records, &which, part).await;
    args.asking.answer(&["audit"], ask, tell).await
}

fn tell(answer: &StatedList<IncidentAnswer>) -> io::Result<()> {
    let headings = ["when", "what", "presented by", "grant_id", "whose", "revoked for it"];
    let row = |found: &IncidentAnswer| {
        [
            told(&found.incident.at),
            found.incident.kind.as_str().to_owned(),
            found.incident.presented_by.to_string(),
            found.grant_id.to_string(),
            shown(found.client_id.as_ref()),
            found.revoked.as_ref().map_or_else(|| "nothing".to_owned(), revoked),
        ]
    };
    output::table(headings, answer.items.iter().map(row))?;
    note(&answer.as_of, answer.next.as_ref());
    Ok(())
}

fn revoked(revoked: &RevokedForIt) -> String {
    let mut text = "the grant".to_owned();
    for generation in &revoked.refresh_tokens {
        let _ = write!(text, "\nrefresh token {generation}");
    }
    for jti in &revoked.access_tokens {
        let _ = write!(text, "\naccess token {jti}");
    }
    text
}
