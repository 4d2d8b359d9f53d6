//! Evidence that leaves the house: a bundle (zip) of the events that belong to a
//! question, with all that is needed to check them without this server.
//! `verify/README.md` says what stands in it; `chancery-verify` checks it.
//!
//! No personal data is in a bundle: events have none.

mod bundle;
mod download;
mod histories;
mod keys;
mod question;

use std::io::{Seek, Write};
use std::time::Duration;

use chancery_domain::sealed_log::{HeadsListed, SealedLog};
use chancery_domain::time::UnixTime;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::bundle::Bundle;
pub use self::download::{Downloaded, download};
use self::histories::Histories;
pub use self::question::Question;
use super::{AuditError, Records};
use crate::admin::AdminError;
use crate::aggregates::Kept as _;
use crate::clock::Clock;
use crate::stores::{Store, StoreError};
use crate::transparency::SignedCheckpoint;
use crate::transparency::proofs::{ProofError, Proofs};

/// How often it is looked whether the log is sealed far enough.
const LOOK: Duration = Duration::from_millis(100);

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The checkpoint that it should go on from is of another log, or of a later one.
    #[error("{0}")]
    OtherCheckpoint(String),
    /// What is in the database is not what was sealed.
    #[error("the log was tampered with: {0}")]
    Tampered(String),
    #[error("there are more than {0} events in the answer")]
    TooLarge(usize),
    #[error("the bundle could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// The ends of the histories could not be listed.
    #[error(transparent)]
    Listing(#[from] AdminError),
}

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct Request {
    pub question: Question,
    /// The checkpoint that an auditor has held.
    pub since: Option<SignedCheckpoint>,
    /// How long the sealer is waited for.
    pub patience: Duration,
    /// More events than this are not exported.
    pub most: usize,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// SHA-256 of the manifest, in hexadecimal digits.
    pub manifest_sha256: String,
    /// The position that the answer is true at.
    pub position: u64,
    pub events: usize,
    /// How many of them were not sealed yet.
    pub unsealed: usize,
    pub aggregates: usize,
    /// The log of the checkpoint.
    pub origin: String,
    /// How many events its tree has.
    pub size: u64,
    /// Up to which position the histories are shown to be complete; absent: no list of
    /// heads is sealed yet.
    pub complete_through: Option<u64>,
}

/// The answer to a question, and what belongs to it.
#[derive(Debug)]
pub struct Evidence {
    request: Request,
    answer: serde_json::Value,
    histories: Histories,
    /// The end of the log when it was asked.
    through: u64,
}

/// A list of heads in the log.
#[derive(Debug, Clone)]
struct List {
    /// The position of its event.
    position: u64,
    listed: HeadsListed,
}

impl Evidence {
    /// Asks the question, and reads the histories that belong to the answer.
    pub async fn gather(records: &Records, request: Request) -> Result<Self, ExportError> {
        let answer = request.question.ask(records).await?;
        let through = records.store.last_position().await?;
        let streams = request.question.streams(&answer);
        let mut histories = Histories::default();
        for stream in streams {
            histories.read(&*records.store, stream).await?;
            if histories.events() > request.most {
                return Err(ExportError::TooLarge(request.most));
            }
        }
        Ok(Self { request, answer, histories, through })
    }

    /// Does a list of heads that is in the log cover all that was gathered, or is there one
    /// since this time? If not, a new one will.
    pub async fn is_listed(
        &self,
        store: &dyn Store,
        since: Option<UnixTime>,
    ) -> Result<bool, ExportError> {
        let origin = Proofs::latest(store).await?.checkpoint.origin;
        let list = latest_list(store, &origin, u64::MAX).await?;
        Ok(list.is_some_and(|List { listed, .. }| {
            listed.through >= self.histories.last_position()
                || since.is_some_and(|since| listed.at >= since)
        }))
    }

    /// Waits until everything gathered is sealed, and the latest list of heads, if it is to
    /// be. Patience ends: then it goes on with what is sealed.
    pub async fn sealed(&self, store: &dyn Store) -> Result<(), ExportError> {
        let until = Instant::now() + self.request.patience;
        // Also what was listed meanwhile.
        let needed = self.through.max(store.last_position().await?);
        while Proofs::latest(store).await?.checkpoint.position < needed && Instant::now() < until {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Writes the bundle. Tells how many of how many events are done.
    pub async fn write<W: Write + Seek>(
        mut self,
        (store, clock): (&dyn Store, &dyn Clock),
        out: W,
        progress: impl Fn(usize, usize),
    ) -> Result<(Exported, W), ExportError> {
        let proofs = Proofs::latest(store).await?;
        let checkpoint = &proofs.checkpoint;
        let list = latest_list(store, &checkpoint.origin, checkpoint.position).await?;
        for stream in histories::always(store).await? {
            self.histories.read(store, stream).await?;
        }
        let end = self.through.max(checkpoint.position);
        let events = std::mem::take(&mut self.histories).until(end);

        let mut bundle = Bundle::begin(out);
        bundle.texts()?;
        bundle.question(&self.request.question, &self.answer)?;
        bundle.events(&events).await?;
        let unsealed = bundle.proofs(&events, &proofs, &progress).await?;
        bundle.heads(&events, store, list.as_ref()).await?;
        bundle.checkpoints(&proofs, self.request.since.as_ref()).await?;
        bundle.keys(&events)?;
        let facts = bundle::Facts {
            created_at: crate::clock::rfc3339_ms(clock.now_ms()),
            origin: checkpoint.origin.clone(),
            log_id: store.log_id().to_owned(),
            position: self.answer_position(),
        };
        let (manifest, out) = bundle.finish(&facts, &self.request.question)?;
        let exported = Exported {
            manifest_sha256: manifest.to_string(),
            position: facts.position,
            events: events.len(),
            unsealed,
            aggregates: histories::count(&events),
            origin: facts.origin,
            size: checkpoint.size,
            complete_through: list.map(|list| list.listed.through),
        };
        Ok((exported, out))
    }

    fn answer_position(&self) -> u64 {
        let stated = self.answer.pointer("/as_of/position").and_then(serde_json::Value::as_u64);
        stated.unwrap_or(self.through)
    }
}

/// The latest list of heads up to a position.
async fn latest_list(
    store: &dyn Store,
    origin: &str,
    through: u64,
) -> Result<Option<List>, ExportError> {
    let history = store.history(&SealedLog::stream(origin)).await?;
    let lists = history
        .iter()
        .rev()
        .filter(|stored| stored.position <= through && stored.event.event_type == "HeadsListed");
    let mut lists = lists.filter_map(|stored| {
        let listed = serde_json::from_str(&stored.event.payload).ok()?;
        Some(List { position: stored.position, listed })
    });
    Ok(lists.next())
}
