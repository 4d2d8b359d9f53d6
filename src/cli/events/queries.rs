//! `chancery events queries` and `query`: what to ask of exported files.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::events::files;
use crate::events::queries::{ALL, Query};

const EXAMPLES: &str = "\
Examples:
  chancery events export --out events --data chancery-data
  chancery events query funnel --dir events | duckdb
  chancery events query residual_life --dir events > residual_life.sql

The query is printed, and DuckDB runs it. It begins with a view `events` of all files in the folder
and says in comments what exactly it counts, and what its columns are.";

/// List the ready queries for exported files
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct List {
    #[command(flatten)]
    pub format: Format,
}

/// Print a ready query for exported files, in SQL for DuckDB
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Print {
    /// Which: `chancery events queries` lists them
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder that `chancery events export` wrote to
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

pub fn list(args: &List) -> Result<ExitCode, CliError> {
    if args.format.json {
        let listed = ALL.iter().map(
            |query| json!({ "name": query.name, "summary": query.summary(), "sql": query.sql }),
        );
        output::json(&listed.collect::<Vec<_>>())?;
    } else {
        let rows = ALL.iter().map(|query| [query.name.to_owned(), query.summary().to_owned()]);
        output::table(["name", "answers"], rows)?;
    }
    Ok(ExitCode::Done)
}

pub fn print(args: &Print) -> Result<ExitCode, CliError> {
    let Some(query) = Query::named(&args.name) else {
        return Err(
            CliError::not_found("query", &args.name).hint("`chancery events queries` lists them")
        );
    };
    let Some(manifest) = files::manifest(&args.dir)? else {
        return Err(CliError::not_found("export", args.dir.display())
            .hint("`chancery events export --out DIR` makes one"));
    };
    if manifest.files.is_empty() {
        return Err(CliError::refused(format_args!("{} holds no events yet", args.dir.display())));
    }
    output::raw(&query.about(&args.dir, manifest.format))?;
    Ok(ExitCode::Done)
}
