//! Goes through a bundle, part by part, and says what is proved.

mod aggregates;
mod checkpoints;
mod events;
mod files;
mod keys;

use std::io::{Read, Seek};

use serde::de::DeserializeOwned;

use crate::archive::{Archive, Refused};
use crate::format::Hex;
use crate::note::VerifierKey;
use crate::report::{Report, Section};

/// What the auditor brings along.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The keys that the auditor trusts.
    pub keys: Vec<VerifierKey>,
    /// A checkpoint that the auditor has held.
    pub checkpoint: Option<Vec<u8>>,
    /// The digest of the manifest, as whoever exported the bundle told it.
    pub manifest: Option<Hex>,
}

/// Checks a bundle.
pub fn verify(bundle: impl Read + Seek, given: &Given) -> Report {
    let mut report = Report::default();
    if let Err(refused) = check(bundle, given, &mut report) {
        report.altered(Section::Files, refused.0);
    }
    report
}

fn check(bundle: impl Read + Seek, given: &Given, report: &mut Report) -> Result<(), Refused> {
    let mut archive = Archive::open(bundle)?;
    let Some(manifest) = files::manifest(&mut archive, given, report)? else { return Ok(()) };
    let stated_keys = keys::read(&mut archive, report)?;
    let checkpoints = checkpoints::Checkpoints::read(&mut archive, report)?;
    let mut events = events::Events::read(&mut archive, report)?;
    let tree = checkpoints.new.as_ref().map(|checkpoint| checkpoint.tree);
    events.prove(&mut archive, tree, report)?;
    checkpoints.check(&manifest.origin, given, &stated_keys, report);
    keys::check(&stated_keys, &events, report);
    aggregates::check(&mut archive, &events, report)?;
    files::check(&mut archive, &manifest, given, report)?;
    limits(report);
    Ok(())
}

/// What no bundle can prove.
fn limits(report: &mut Report) {
    for text in [
        "That the answer is all there is. Each event here stands in the log, but other events \
         that belong in the answer could have been left out, if they are of aggregates that \
         are not in this bundle: inclusion is not completeness. `chancery audit verify` beside \
         the database looks at all of them.",
        "That answer.json follows from the events: it is what the server's command said. Read \
         the events, or have them replayed.",
        "That the server recorded what truly happened. Its log cannot be altered afterwards; \
         what it wrote in the first place is its word, and the times are by its clock.",
    ] {
        report.open(Section::Limits, text);
    }
}

/// Reads a small file of JSON.
fn json<T: DeserializeOwned>(
    archive: &mut Archive<impl Read + Seek>,
    name: &str,
    report: &mut Report,
) -> Result<Option<T>, Refused> {
    let Some(bytes) = archive.small(name)? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            report.altered(Section::Files, format!("{name} is not what it should be: {error}"));
            Ok(None)
        }
    }
}
