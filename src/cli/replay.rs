//! `chancery replay`: does everything follow from the log?

use clap::Args as ClapArgs;

use super::StoreArgs;
use super::access::Access;
use super::exit::{CliError, ExitCode};
use super::output::{self, Format};
use super::progress;
use crate::replay::{Report, Verdict, replay};

const EXAMPLES: &str = "\
Examples:
  chancery replay
  chancery replay --json --config chancery.toml

Ends with exit code 0 only when nothing differs, with 6 when something does.";

/// Read the whole log and check that everything else follows from it
///
/// Decodes every event, checks digests and chains, folds every aggregate,
/// compares with snapshots and projections, and says what differs. Changes
/// nothing; safe beside a running server.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let bar = progress::bar(0, "replaying");
    let report = Access::reading(&args.store, async |access| {
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        Ok(replay(&**access.store(), progress).await?)
    })
    .await?;
    bar.finish_and_clear();
    if args.format.json {
        output::json(&report)?;
    } else {
        output::raw(&told(&report))?;
    }
    Ok(if report.is_clean() { ExitCode::Done } else { ExitCode::Differences })
}

fn told(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} events of {} aggregates, up to position {}; {} snapshots",
        report.events, report.aggregates, report.position, report.snapshots
    )];
    for model in &report.projections {
        let verdict = match model.verdict {
            Verdict::Matches => format!("{} rows follow from the log", model.rows),
            Verdict::Differs => "differs from the log".to_owned(),
            Verdict::NotBuilt => "is not built (a server does that)".to_owned(),
            Verdict::OtherVersion => "is of another version (a server makes it anew)".to_owned(),
            Verdict::Moving => "moves on too fast to be compared".to_owned(),
        };
        lines.push(format!("projection {}: {verdict}", model.name));
    }
    for difference in &report.differences {
        let position =
            difference.position.map_or_else(String::new, |at| format!(" at position {at}"));
        lines.push(format!("DIFFERENCE {}{position}: {}", difference.place, difference.what));
    }
    if report.further_differences > 0 {
        lines.push(format!("and {} more differences", report.further_differences));
    }
    if report.is_clean() {
        lines.push("nothing differs".to_owned());
    }
    lines.push(String::new());
    // What stands in a damaged store may be anything.
    output::printable(&lines.join("\n"))
}
