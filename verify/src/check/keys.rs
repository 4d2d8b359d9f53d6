//! The keys that the bundle tells of: whether the log says the same.

use std::io::{Read, Seek};

use serde_json::Value;

use super::events::{Events, Telling};
use super::json;
use crate::archive::{Archive, Refused};
use crate::format::{CheckpointKey, Keys, Moment, SigningKey, names};
use crate::note::VerifierKey;
use crate::report::{Report, Section, counted};

/// What the bundle says of keys.
#[derive(Debug, Default)]
pub struct Stated {
    checkpoint_keys: Option<Vec<CheckpointKey>>,
    signing_keys: Option<Vec<SigningKey>>,
}

impl Stated {
    /// The keys that the bundle says checkpoints are signed by, but for those that
    /// are none.
    pub fn verifier_keys(&self) -> impl Iterator<Item = VerifierKey> {
        let keys = self.checkpoint_keys.iter().flatten();
        keys.filter_map(|key| VerifierKey::parse(&key.vkey).ok())
    }
}

/// Reads both files.
pub fn read(
    archive: &mut Archive<impl Read + Seek>,
    report: &mut Report,
) -> Result<Stated, Refused> {
    let checkpoint_keys: Option<Keys<_>> = json(archive, names::CHECKPOINT_KEYS, report)?;
    let signing_keys: Option<Keys<_>> = json(archive, names::SIGNING_KEYS, report)?;
    Ok(Stated {
        checkpoint_keys: checkpoint_keys.map(|list| list.keys),
        signing_keys: signing_keys.map(|list| list.keys),
    })
}

/// Compares both files with the events of the log.
pub fn check(stated: &Stated, events: &Events, report: &mut Report) {
    if let Some(keys) = &stated.checkpoint_keys {
        let what = "checkpoint key";
        compare(what, keys, &checkpoint_keys(events), |key| &key.key_id, report);
        for key in keys {
            if let Err(error) = VerifierKey::parse(&key.vkey) {
                let text = format!("checkpoint key {}: {error}", key.key_id);
                report.altered(Section::Keys, text);
            }
        }
    }
    if let Some(keys) = &stated.signing_keys {
        let what = "public key";
        compare(what, keys, &signing_keys(events), |key| &key.kid, report);
    }
}

fn compare<K: PartialEq>(
    what: &str,
    stated: &[K],
    logged: &[K],
    name: impl Fn(&K) -> &str,
    report: &mut Report,
) {
    for key in stated.iter().filter(|key| !logged.contains(key)) {
        let text = format!("{what} {}: the events say something else of it", name(key));
        report.altered(Section::Keys, text);
    }
    for key in logged.iter().filter(|key| !stated.iter().any(|own| name(own) == name(key))) {
        let text = format!("{what} {}: it is in the events, but not in the list", name(key));
        report.altered(Section::Keys, text);
    }
    if stated == logged {
        let text = format!("{}, with its times: as in the events.", counted(stated.len(), what));
        report.proved(Section::Keys, text);
    }
}

fn checkpoint_keys(events: &Events) -> Vec<CheckpointKey> {
    let mut keys: Vec<CheckpointKey> = Vec::new();
    for event in events.telling.iter().filter(|event| event.aggregate_type == "log") {
        let Some(key_id) = text(event, "key_id") else { continue };
        let Some(moment) = moment(event, events) else { continue };
        match event.event_type.as_str() {
            "CheckpointKeyPublished" => keys.push(CheckpointKey {
                key_id,
                vkey: text(event, "verifier").unwrap_or_default(),
                published: moment,
                retired: None,
                signs_until: None,
            }),
            "CheckpointKeyRetired" => {
                for key in keys.iter_mut().filter(|key| key.key_id == key_id) {
                    key.retired = Some(moment);
                    key.signs_until = event.payload.get("signs_until").and_then(Value::as_i64);
                }
            }
            _ => {}
        }
    }
    keys
}

fn signing_keys(events: &Events) -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for event in events.telling.iter().filter(|event| event.aggregate_type == "signing_key") {
        let Some(moment) = moment(event, events) else { continue };
        let own = keys.iter_mut().find(|key| key.kid == event.aggregate_id);
        match (event.event_type.as_str(), own) {
            ("KeyPublished", None) => keys.push(SigningKey {
                kid: event.aggregate_id.clone(),
                alg: text(event, "algorithm").unwrap_or_default(),
                jwk: event.payload.get("jwk").cloned().unwrap_or_default(),
                published: moment,
                activated: None,
                retired: None,
                published_until: None,
            }),
            ("KeyActivated", Some(key)) => key.activated = Some(moment),
            ("KeyRetired", Some(key)) => {
                key.retired = Some(moment);
                key.published_until = event.payload.get("published_until").and_then(Value::as_i64);
            }
            _ => {}
        }
    }
    keys
}

fn text(event: &Telling, name: &str) -> Option<String> {
    event.payload.get(name)?.as_str().map(str::to_owned)
}

fn moment(event: &Telling, events: &Events) -> Option<Moment> {
    let position = events.all.get(event.index)?.position;
    Some(Moment { position, at: event.payload.get("at")?.as_i64()? })
}
