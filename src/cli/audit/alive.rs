//! `chancery audit alive`: revoked tokens that live on elsewhere.

use std::io;

use chancery_domain::ids::GrantId;
use chancery_domain::time::{Lifetime, UnixTime};
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, shown, told};
use crate::audit::still_alive::{LivingToken, StillAlive, StillAliveList, of_grant, still_alive};
use crate::audit::{AsOf, Period, Records, Stated, instant, period};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;
use crate::clock::{Clock as _, SystemClock};

const EXAMPLES: &str = "\
Examples:
  chancery audit alive
  chancery audit alive --grant 0198f3a2c4d57e0fa1b2c3d4e5f60718
  chancery audit alive --at 2026-05-01T09:30:00Z

A resource server that asks (introspection) learns of a revocation at once; one that only reads
JWTs takes them until they end.";

/// Which revoked tokens are still alive at those who do not ask?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only of this grant
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until"])]
    pub grant: Option<GrantId>,
    /// Alive at this moment [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub at: Option<UnixTime>,
    /// Revoked from the beginning of this day or moment on [default: from the
    /// beginning]
    #[arg(long, value_name = "DAY", value_parser = period)]
    pub since: Option<Period>,
    /// Revoked up to the end of this day or moment [default: up to then]
    #[arg(long, value_name = "DAY", value_parser = period)]
    pub until: Option<Period>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    if let Some(grant) = args.grant {
        let ask = async |records: &Records| of_grant(records, grant, at).await;
        let tell = |found: &Stated<StillAlive>| {
            print(std::slice::from_ref(&found.answer), &found.as_of, None)
        };
        return args.asking.answer(&[], ask, tell).await;
    }
    let revoked = Period {
        from: args.since.map_or(UnixTime::from_seconds(0), |since| since.from),
        below: args.until.map_or(at + Lifetime::from_seconds(1), |until| until.below),
    };
    let part = args.part.part();
    let ask = async |records: &Records| still_alive(records, (revoked, at), part).await;
    let tell = |found: &Stated<StillAliveList>| {
        print(&found.answer.items, &found.as_of, found.answer.next.as_ref())
    };
    args.asking.answer(&["grants"], ask, tell).await
}

fn print(found: &[StillAlive], as_of: &AsOf, next: Option<&String>) -> io::Result<()> {
    let headings = ["grant_id", "client_id", "jti", "for", "revoked", "lives on for", "until"];
    let row = |(grant, token): (&StillAlive, &LivingToken)| {
        [
            grant.grant_id.to_string(),
            shown(grant.client_id.as_ref()),
            token.jti.clone(),
            token.audience.join("\n"),
            told(&token.revoked),
            format!("{} s", token.lives_for),
            token.expires_at.to_string(),
        ]
    };
    let tokens = found.iter().flat_map(|grant| grant.tokens.iter().map(move |own| (grant, own)));
    output::table(headings, tokens.map(row))?;
    note(as_of, next);
    Ok(())
}
