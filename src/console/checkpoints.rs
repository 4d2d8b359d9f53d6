//! The checkpoints of the Merkle log: the latest one, verified as the page is
//! made, those before it, and the keys that sign them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::ids::AggregateKind;

use super::operator::{Operator, guarded};
use super::page::{Chrome, Link, Moment, Tab, answer};
use super::problem::Problem;
use super::seals::judge;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::stores::LogCheckpoint;
use crate::transparency::proofs::{ProofError, Proofs};
use crate::transparency::{keys, origin};

/// How many of those before are on a page.
const ON_A_PAGE: u32 = 30;

#[derive(Template)]
#[template(path = "console/checkpoints.html", config = ".askama.toml")]
struct CheckpointsPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    origin: &'a Link,
    latest: Option<Latest>,
    rows: &'a [Row],
    next: Option<u64>,
    is_first: bool,
    keys: &'a [Key],
}

/// The latest checkpoint, and what became of checking it.
struct Latest {
    row: Row,
    position: u64,
    log_end: u64,
    note: String,
    checks: Vec<Check>,
}

struct Check {
    what: &'static str,
    wrong: Option<String>,
}

struct Row {
    size: u64,
    root: String,
    signed: Moment,
    /// Does the latest tree continue this one?
    continued: Result<(), String>,
}

struct Key {
    id: String,
    verifier: String,
    published: Moment,
    until: Option<Moment>,
}

#[tracing::instrument(name = "console.checkpoints_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| show(&visit, operator).await).await
}

async fn show(visit: &Visit, operator: &Operator) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let before: Option<u64> = parameters.get("before").and_then(|text| text.parse().ok());
    let found = visit.store.log_checkpoints(before, ON_A_PAGE + 1).await?;
    let limit = usize::try_from(ON_A_PAGE).unwrap_or_default();
    let shown = found.get(..limit).unwrap_or(&found);
    let next = shown.last().filter(|_| found.len() > limit).map(|last| last.serial);
    let name = origin(&visit.config);
    let mut rows = Vec::with_capacity(shown.len());
    let mut latest = None;
    match Proofs::latest(&*visit.store).await {
        Err(ProofError::NothingSealed) => {}
        Err(ProofError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(Problem::broken(&error)),
        Ok(proofs) => {
            for checkpoint in shown {
                rows.push(row(&proofs, checkpoint).await?);
            }
            if before.is_none() {
                latest = Some(self::latest(visit, &proofs).await?);
            }
        }
    }
    let published = keys::published(&*visit.store, &name).await?;
    let keys: Vec<_> = published
        .into_iter()
        .rev()
        .map(|key| Key {
            id: key.key_id.to_string(),
            verifier: key.verifier,
            published: key.published_at.into(),
            until: key.signs_until.map(Moment::from),
        })
        .collect();
    let chrome = Chrome::of(visit, Some(operator), Tab::Checkpoints);
    let html = html(&CheckpointsPage {
        frame: Chrome::frame(visit),
        chrome: &chrome,
        origin: &Link::to(AggregateKind::Log, &name),
        latest,
        rows: &rows,
        next,
        is_first: before.is_none(),
        keys: &keys,
    });
    Ok(answer(visit, &chrome, StatusCode::OK, html))
}

/// A checkpoint of before: do today's tiles give the root that was signed then?
async fn row(proofs: &Proofs<'_>, checkpoint: &LogCheckpoint) -> Result<Row, Problem> {
    let continued = match proofs.root_at(checkpoint.size).await {
        Ok(root) if root == checkpoint.root => Ok(()),
        Ok(_) => Err("the tiles give another root".to_owned()),
        Err(ProofError::Store(error)) => return Err(error.into()),
        Err(error) => Err(error.to_string()),
    };
    Ok(Row {
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        signed: Moment::of_ms(checkpoint.signed_at_ms),
        continued,
    })
}

async fn latest(visit: &Visit, proofs: &Proofs<'_>) -> Result<Latest, Problem> {
    let checkpoint = &proofs.checkpoint;
    let row = row(proofs, checkpoint).await?;
    let signature = judge(&*visit.store, checkpoint).await?;
    let root = row.continued.clone().err();
    Ok(Latest {
        position: checkpoint.position,
        log_end: visit.store.last_position().await?,
        note: checkpoint.note.clone(),
        checks: vec![
            Check { what: "It is signed by a key that the log names", wrong: signature },
            Check { what: "Its root is the one that the tiles give", wrong: root },
        ],
        row,
    })
}
