//! `chancery audit export`: evidence for somebody else's eyes.

use std::fs::{self, File};
use std::io::{BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_domain::ids::{ClientId, GrantId, SubjectId};
use chancery_domain::time::UnixTime;
use clap::Args as ClapArgs;

use super::verify;
use crate::admin::Operation;
use crate::audit::export::{Evidence, ExportError, Exported, Question, Request};
use crate::audit::{Records, period};
use crate::cli::StoreArgs;
use crate::cli::access::Access;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::cli::progress;
use crate::clock::SystemClock;

const EXAMPLES: &str = "\
Examples:
  chancery audit export --grant 0198f3a2c4d57e0fa1b2c3d4e5f60718 --out evidence.zip
  chancery audit export --subject 0198f3a2c4d57e0fa1b2c3d4e5f60718 --out evidence.zip
  chancery audit export --client web --from 2026-05-01 --to 2026-05-31 --out evidence.zip
  chancery audit export --question '{\"name\":\"signed_by\",\"parameters\":{\"kid\":\"2f9c\"}}' \\
    --since checkpoint-of-last-year.txt --out evidence.zip

Questions: grant (grant_id), subject (subject), client (client_id, from, to),
access (from, to), incidents (client_id, from, to), signed_by (kid, client_id),
cascade (event); times in seconds since 1970, `to` exclusive.

Whoever gets the file checks it by `chancery-verify FILE --key KEY`, offline. Tell
them the key by another way: `chancery audit key list` prints it. There is no personal
data in the file: people are told by their pseudonyms.";

/// Write the events that belong to a question, with all proofs, into one file
///
/// Waits until a running server has sealed them, and lets it list where all
/// histories end, so that it shows that nothing was left out.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = false, id = "what", args = ["grant", "subject", "client", "question"])]
pub struct Args {
    /// About this grant
    #[arg(long, value_name = "ID")]
    pub grant: Option<GrantId>,
    /// About this person: all their grants (`chancery account show` tells the subject)
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<SubjectId>,
    /// About this client: its changes, and who had access by it
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Access by the client from this day or moment on
    #[arg(long, value_name = "TIME", value_parser = from, requires = "client")]
    pub from: Option<UnixTime>,
    /// Access by the client up to this day or moment, which is in it
    #[arg(long, value_name = "TIME", value_parser = to, requires = "client")]
    pub to: Option<UnixTime>,
    /// About this question: JSON, as query.json in the file has it
    #[arg(long, value_name = "JSON", value_parser = question)]
    pub question: Option<Question>,
    /// The file to write: a zip archive
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Prove that nothing was changed since this checkpoint
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// How long to wait for the server to seal what is new
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub wait: u64,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

/// No more events than this are exported at once: what is held in memory.
const MOST: usize = 500_000;

fn from(text: &str) -> Result<UnixTime, String> {
    period(text).map(|period| period.from)
}

fn to(text: &str) -> Result<UnixTime, String> {
    period(text).map(|period| period.below)
}

fn question(text: &str) -> Result<Question, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let since = args.since.as_deref().map(verify::read).transpose()?;
    let request = Request {
        question: asked(&args)?,
        since: since.map(|held| held.checkpoint),
        patience: Duration::from_secs(args.wait),
        most: MOST,
    };
    let temporary = Temporary::beside(&args.out)?;
    let exported = Box::pin(Access::with(&args.store, async |access| {
        let waiting = progress::spinner("reading the histories");
        access.lookups(&["grants", "consents"]).await?;
        let store = &**access.store();
        let evidence = Evidence::gather(&Records::of(access.store()), request).await?;
        waiting.set_message("waiting until all is sealed");
        if (access.is_shared() || access.folder_in_use().is_some())
            && !evidence.is_listed(store, None).await?
        {
            access.perform(Operation::ListHeads).await?;
        }
        evidence.sealed(store).await?;
        waiting.finish_and_clear();
        let bar = progress::bar(0, "proving");
        let told = |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let out = BufWriter::new(temporary.file()?);
        let (exported, out) = evidence.write((store, &SystemClock), out, told).await?;
        out.into_inner().map_err(IntoInnerError::into_error)?.sync_all()?;
        bar.finish_and_clear();
        Ok(exported)
    }))
    .await?;
    temporary.keep(&args.out)?;
    if args.format.json {
        output::json(&exported)?;
    } else {
        output::raw(&told(&exported, &args.out))?;
    }
    if exported.unsealed > 0 {
        output::note(
            "some events are not sealed yet, so the file is incomplete: a running server seals \
             them within a second; then export again",
        );
    } else if exported.complete_through.is_none() {
        output::note(
            "no list of heads is sealed yet, so the file does not show that nothing was left out: \
             export again beside a running server",
        );
    }
    Ok(ExitCode::Done)
}

fn asked(args: &Args) -> Result<Question, CliError> {
    let Args { from, to, .. } = *args;
    match (&args.grant, &args.subject, &args.client, &args.question) {
        (Some(grant_id), ..) => Ok(Question::Grant { grant_id: *grant_id }),
        (_, Some(subject), ..) => Ok(Question::Subject { subject: *subject }),
        (_, _, Some(client_id), _) => {
            Ok(Question::Client { client_id: client_id.clone(), from, to })
        }
        (.., Some(question)) => Ok(question.clone()),
        _ => Err(CliError::usage("say what the evidence is to be about")),
    }
}

fn told(exported: &Exported, out: &Path) -> String {
    let complete = exported.complete_through.map_or_else(
        || "not shown to be complete".to_owned(),
        |position| format!("complete up to position {position}"),
    );
    format!(
        "{}: {} events of {} aggregates, {complete}\n\
         checkpoint of {} over {} events\n\
         manifest sha256:{}\n",
        out.display(),
        exported.events,
        exported.aggregates,
        exported.origin,
        exported.size,
        exported.manifest_sha256,
    )
}

/// A file that becomes the one asked for when it is whole.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(out: &Path) -> Result<Self, CliError> {
        let Some(name) = out.file_name() else {
            return Err(CliError::usage(format_args!("{} is no name of a file", out.display())));
        };
        let mut name = name.to_owned();
        name.push(".part");
        Ok(Self(out.with_file_name(name)))
    }

    fn file(&self) -> Result<File, CliError> {
        File::create(&self.0).map_err(|error| {
            CliError::failed(format_args!("{} could not be written: {error}", self.0.display()))
        })
    }

    fn keep(&self, out: &Path) -> Result<(), CliError> {
        fs::rename(&self.0, out).map_err(|error| {
            CliError::failed(format_args!("{} could not be written: {error}", out.display()))
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Renamed, there is none.
        drop(fs::remove_file(&self.0));
    }
}

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Audit(error) => error.into(),
            ExportError::Store(error) => error.into(),
            ExportError::Proof(error) => error.into(),
            ExportError::OtherCheckpoint(_) => Self::refused(error),
            ExportError::Tampered(_) => Self::new(ExitCode::Differences, error)
                .hint("`chancery audit verify` says what and where"),
            ExportError::TooLarge(_) => {
                Self::refused(error).hint("ask for less: a shorter time, or one grant")
            }
            ExportError::Write(error) => error.into(),
            ExportError::Listing(error) => error.into(),
        }
    }
}
