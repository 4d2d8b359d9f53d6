//! Evidence that leaves the house: `chancery audit export`, over HTTP.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::audit::export::{Downloaded, ExportError, Question, download};
use crate::http::api::endpoint::{Call, Download, Endpoint, Json, Nothing};
use crate::http::api::problem::Problem;
use crate::transparency::SignedCheckpoint;
use crate::transparency::proofs::ProofError;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "What is the evidence? All that belongs to a question, in one file that is \
                   checked offline";
    let told = ("exportEvidence", summary, "application/zip");
    vec![Endpoint::file(Method::POST, "/export", told, export).finds()]
}

/// What the evidence is to be about.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    question: Question,
    /// A checkpoint of this log that you hold: then it is proved that nothing was changed since.
    since: Option<String>,
}

async fn export(call: Call<Nothing, Json<Wanted>>) -> Result<Download, Problem> {
    let Wanted { question, since } = call.body.0;
    let since = since.as_deref().map(SignedCheckpoint::read).transpose();
    let since = since.map_err(|error| Problem::invalid(format!("since: {error}")))?;
    let found = download(&call.services, &call.operator.name, question, since).await;
    let Downloaded { exported, zip } = found.map_err(problem)?;
    Ok(Download { name: format!("evidence-{}.zip", exported.position), bytes: zip })
}

fn problem(error: ExportError) -> Problem {
    let detail = error.to_string();
    match error {
        ExportError::Audit(error) => error.into(),
        ExportError::Store(error) | ExportError::Proof(ProofError::Store(error)) => error.into(),
        ExportError::Listing(error) => error.into(),
        ExportError::Proof(ProofError::TooLong { .. } | ProofError::NothingSealed)
        | ExportError::OtherCheckpoint(_) => Problem::conflict(detail),
        ExportError::TooLarge(_) => Problem::invalid(detail),
        ExportError::Proof(ProofError::Tampered(_))
        | ExportError::Tampered(_)
        | ExportError::Write(_) => Problem::internal(&error),
    }
}
