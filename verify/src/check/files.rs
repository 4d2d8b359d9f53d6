//! The manifest, and whether the files are those that it lists.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Given, json};
use crate::archive::{Archive, Refused};
use crate::format::{FORMAT, Hex, Manifest, Question, names};
use crate::report::{Report, Section};

/// Reads the manifest. There is none, where nothing further can be checked.
pub fn manifest(
    archive: &mut Archive<impl Read + Seek>,
    given: &Given,
    report: &mut Report,
) -> Result<Option<Manifest>, Refused> {
    let Some(bytes) = archive.small(names::MANIFEST)? else {
        report.missing(Section::Files, "there is no manifest.json: this is no bundle of evidence");
        return Ok(None);
    };
    let digest = Hex(Sha256::digest(&bytes).into());
    report.manifest_sha256 = Some(digest.to_string());
    match archive.small(names::MANIFEST_DIGEST)? {
        None => report.missing(Section::Files, "manifest.sha256 is not in the archive"),
        Some(stated) if stated == format!("{digest}  {}\n", names::MANIFEST).as_bytes() => {}
        Some(_) => report.altered(
            Section::Files,
            "manifest.json is not the one whose digest stands in manifest.sha256",
        ),
    }
    match given.manifest {
        Some(told) if told == digest => {
            report.proved(Section::Files, "manifest.json has the digest that you were told.");
        }
        Some(told) => report.altered(
            Section::Files,
            format!("manifest.json has not the digest that you were told, {told}"),
        ),
        None => {}
    }
    let stated: Option<Value> = serde_json::from_slice(&bytes).ok();
    let format = stated.as_ref().and_then(|manifest| manifest.get("format")?.as_str());
    if let Some(other) = format.filter(|format| *format != FORMAT) {
        let text = format!("the bundle has the format {other}; this program knows {FORMAT} only");
        report.missing(Section::Files, text);
        return Ok(None);
    }
    let manifest: Manifest = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            let text = format!("manifest.json is not what it should be: {error}");
            report.altered(Section::Files, text);
            return Ok(None);
        }
    };
    let Question { name, parameters } = &manifest.question;
    report.question =
        Some(format!("{name} {parameters}, at position {} of the log", manifest.position));
    Ok(Some(manifest))
}

/// Compares all files with the manifest, after they have been read.
pub fn check(
    archive: &mut Archive<impl Read + Seek>,
    manifest: &Manifest,
    given: &Given,
    report: &mut Report,
) -> Result<(), Refused> {
    let question: Option<Question> = json(archive, names::QUERY, report)?;
    if question.is_some_and(|question| question != manifest.question) {
        report.altered(Section::Files, "query.json is another question than the manifest's");
    }
    let _: Option<Value> = json(archive, names::ANSWER, report)?;
    archive.rest()?;
    let mut listed = BTreeMap::new();
    for entry in &manifest.files {
        if listed.insert(entry.name.as_str(), entry).is_some() {
            report.altered(Section::Files, format!("the manifest lists {} twice", entry.name));
        }
    }
    for name in names::NEEDED {
        if !listed.contains_key(name) {
            report.missing(Section::Files, format!("the manifest does not list {name}"));
        }
    }
    let mut whole = true;
    for (name, entry) in &listed {
        let Some(seen) = archive.seen().get(*name) else {
            report.missing(Section::Files, format!("{name} is listed, but not in the archive"));
            whole = false;
            continue;
        };
        if (seen.length, Hex(seen.sha256)) != (entry.length, entry.sha256) {
            report.altered(Section::Files, format!("{name} is not the file that was exported"));
            whole = false;
        }
        if !is_known(name) {
            report.altered(Section::Files, format!("{name} is no file of such a bundle"));
            whole = false;
        }
    }
    for name in archive.seen().keys() {
        let own = [names::MANIFEST, names::MANIFEST_DIGEST].contains(&name.as_str());
        if !own && !listed.contains_key(name.as_str()) {
            report.altered(Section::Files, format!("{name} was added: the manifest has it not"));
            whole = false;
        }
    }
    if whole && !report.is_altered(Section::Files) {
        let text = format!(
            "All {} files are those of the manifest, which was written at {}.",
            listed.len(),
            manifest.created_at
        );
        report.proved(Section::Files, text);
    }
    if given.manifest.is_none() {
        report.open(
            Section::Files,
            "The manifest is not signed. Compare its digest, above, with the one that the \
             exporting side printed (--manifest does).",
        );
    }
    Ok(())
}

fn is_known(name: &str) -> bool {
    names::NEEDED.contains(&name)
        || names::OPTIONAL.contains(&name)
        || name.starts_with(names::SCHEMAS)
}
