//! Evidence for whoever asks the server for it: the API, and the console.

use std::io::Cursor;
use std::time::Duration;

use chancery_domain::time::Lifetime;

use super::{Evidence, ExportError, Exported, Question, Request};
use crate::admin::{Operation, perform};
use crate::audit::Records;
use crate::services::Services;
use crate::transparency::SignedCheckpoint;

/// No more events than this: what is held in memory for one who asks.
const MOST: usize = 20_000;
/// How long the sealer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where histories end is listed for such a bundle, unless it was listed within this time.
const LIST_ONCE_IN: Lifetime = Lifetime::from_seconds(60);

/// A bundle, packed.
#[derive(Debug)]
pub struct Downloaded {
    pub exported: Exported,
    pub zip: Vec<u8>,
}

/// Exports the evidence, in the name of who asks for it.
pub async fn download(
    services: &Services,
    operator: &str,
    question: Question,
    since: Option<SignedCheckpoint>,
) -> Result<Downloaded, ExportError> {
    let store = &*services.store;
    let request = Request { question, since, patience: PATIENCE, most: MOST };
    let evidence = Evidence::gather(&Records::of(&services.store), request).await?;
    let recent = services.now() - LIST_ONCE_IN;
    if !evidence.is_listed(store, Some(recent)).await? {
        perform(services, Operation::ListHeads, operator).await?;
    }
    evidence.sealed(store).await?;
    let out = Cursor::new(Vec::new());
    let (exported, out) = evidence.write((store, &*services.clock), out, |_, _| {}).await?;
    Ok(Downloaded { exported, zip: out.into_inner() })
}
