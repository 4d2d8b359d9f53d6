//! `chancery events pack`: old events into compressed blocks, now.

use std::pin::pin;
use std::time::Duration;

use chancery_domain::time::Lifetime;
use clap::Args as ClapArgs;
use indicatif::{HumanBytes, HumanCount};

use crate::actors::packer::All;
use crate::admin::{Operation, Outcome};
use crate::cli::StoreArgs;
use crate::cli::access::{Access, unexpected};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::cli::progress;

/// How often it is looked how far the packs reach.
const LOOK: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  chancery events pack
  chancery events pack --older-than 604800

About a thousand events go into one compressed block (NDJSON in Zstandard), in a
seventh of the space. They are read, audited and proved as before; only SQL on the
table `events` no longer finds those of grants and sessions that have ended. A
grant that goes on after all is put back.

A server does it by itself with store.pack_after. With PostgreSQL: only when all
nodes run this version; older ones refuse the database from the first pack on.
The space that becomes free is used for what comes; the files of an embedded
store get no smaller, but a copy by `chancery backup` is.";

/// Pack old events: a seventh of the space, as readable and provable as before
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Events that are older than this
    #[arg(long, value_name = "SECONDS", default_value_t = 2_592_000)]
    pub older_than: u32,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub format: Format,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let operation = Operation::Pack { older_than: Lifetime::from_seconds(args.older_than) };
    let outcome = Access::with(&args.store, async |access| pack(access, operation).await).await?;
    let Outcome::Packed(packed) = outcome else { return Err(unexpected(outcome)) };
    if args.format.json {
        output::json(&packed)?;
    } else {
        output::line(&told(&packed))?;
    }
    if !packed.done {
        output::note(
            "not all of it: another node packs just now, or the database is being vacuumed. Try \
             again later",
        );
    }
    Ok(ExitCode::Done)
}

/// Has it done, and shows how far it is.
async fn pack(access: &Access, operation: Operation) -> Result<Outcome, CliError> {
    let store = access.store();
    let Some(sealed) = store.log_checkpoint().await? else {
        return Err(CliError::refused("nothing is sealed yet, and only what is sealed is packed")
            .hint("a running server seals the log within a second"));
    };
    let begins_after = store.packed_through().await?;
    let bar = progress::bar(sealed.position.saturating_sub(begins_after), "packing");
    let mut packing = pin!(access.perform(operation));
    let outcome = loop {
        tokio::select! {
            outcome = &mut packing => break outcome,
            () = tokio::time::sleep(LOOK) => {
                bar.set_position(store.packed_through().await?.saturating_sub(begins_after));
            }
        }
    };
    bar.finish_and_clear();
    outcome
}

fn told(packed: &All) -> String {
    let All { done, packs, events, bytes, histories } = packed;
    if *packs == 0 && *done {
        return "nothing was packed: less than a pack is sealed and as old as that".to_owned();
    }
    format!(
        "{} events are in {} packs of {} together, and {} histories in packs alone",
        HumanCount(*events),
        HumanCount(*packs),
        HumanBytes(*bytes),
        HumanCount(*histories)
    )
}
