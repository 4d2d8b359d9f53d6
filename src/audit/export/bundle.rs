//! The zip of a bundle, file by file: the format `chancery-evidence/1`.

use std::io::{Seek, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::digest::Sha256Digest;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::keys::Keys;
use super::{ExportError, List, Question};
use crate::audit::AuditError;
use crate::stores::{Store, StoredEvent, StreamId};
use crate::transparency::SignedCheckpoint;
use crate::transparency::heads::HeadsTree;
use crate::transparency::proofs::Proofs;

const FORMAT: &str = "chancery-evidence/1";

/// So many events are packed before others of this thread have their turn.
const AT_ONCE: usize = 64;

const README: &str = include_str!("README.txt");

/// What the files are described by.
const SCHEMAS: [(&str, &str); 8] = [
    ("manifest", include_str!("../../../verify/schemas/manifest.schema.json")),
    ("event", include_str!("../../../verify/schemas/event.schema.json")),
    ("envelope", include_str!("../../../verify/schemas/envelope.schema.json")),
    ("proof", include_str!("../../../verify/schemas/proof.schema.json")),
    ("head", include_str!("../../../verify/schemas/head.schema.json")),
    ("consistency", include_str!("../../../verify/schemas/consistency.schema.json")),
    ("checkpoint-keys", include_str!("../../../verify/schemas/checkpoint-keys.schema.json")),
    ("signing-keys", include_str!("../../../verify/schemas/signing-keys.schema.json")),
];

/// What the manifest says besides.
#[derive(Debug, Serialize)]
pub struct Facts {
    pub created_at: String,
    pub origin: String,
    pub log_id: String,
    pub position: u64,
}

/// A bundle that is being written.
pub struct Bundle<W: Write + Seek> {
    zip: ZipWriter<W>,
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize)]
struct FileEntry {
    name: String,
    length: u64,
    sha256: String,
}

/// A file of the bundle that is being written: hashed on the way.
struct Part<'a, W: Write + Seek> {
    zip: &'a mut ZipWriter<W>,
    hash: Sha256,
    length: u64,
}

impl<W: Write + Seek> Write for Part<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.zip.write(bytes)?;
        let (done, _) = bytes.split_at(written);
        self.hash.update(done);
        self.length += done.len() as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.zip.flush()
    }
}

impl<W: Write + Seek> Part<'_, W> {
    fn json(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *self, value)?;
        self.write_all(b"\n")
    }

    fn line(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut *self, value)?;
        self.write_all(b"\n")
    }
}

impl<W: Write + Seek> Bundle<W> {
    pub fn begin(out: W) -> Self {
        Self { zip: ZipWriter::new(out), files: Vec::new() }
    }

    fn start(&mut self, name: &str) -> std::io::Result<Part<'_, W>> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.zip.start_file(name, options)?;
        Ok(Part { zip: &mut self.zip, hash: Sha256::new(), length: 0 })
    }

    fn put(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Part<'_, W>) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut part = self.start(name)?;
        write(&mut part)?;
        let Part { hash, length, .. } = part;
        self.note(name, hash, length);
        Ok(())
    }

    fn note(&mut self, name: &str, hash: Sha256, length: u64) {
        let sha256 = Sha256Digest::from_bytes(hash.finalize().into()).to_string();
        self.files.push(FileEntry { name: name.to_owned(), length, sha256 });
    }

    /// What is the same in all.
    pub fn texts(&mut self) -> std::io::Result<()> {
        self.put("README.txt", |part| part.write_all(README.as_bytes()))?;
        for (name, schema) in SCHEMAS {
            let name = format!("schemas/{name}.schema.json");
            self.put(&name, |part| part.write_all(schema.as_bytes()))?;
        }
        Ok(())
    }

    pub fn question(&mut self, question: &Question, answer: &Value) -> std::io::Result<()> {
        self.put("query.json", |part| part.json(question))?;
        self.put("answer.json", |part| part.json(answer))
    }

    pub async fn events(&mut self, events: &[StoredEvent]) -> std::io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            position: u64,
            recorded_at_ms: i64,
            aggregate_type: &'a str,
            aggregate_id: &'a str,
            sequence: u64,
            event_type: &'a str,
            event_version: &'a str,
            payload: &'a str,
            metadata: &'a str,
            prev_digest: String,
            digest: String,
        }
        let name = "events.ndjson";
        let mut part = self.start(name)?;
        for some in events.chunks(AT_ONCE) {
            for stored in some {
                let event = &stored.event;
                part.line(&Line {
                    position: stored.position,
                    recorded_at_ms: stored.recorded_at_ms,
                    aggregate_type: event.stream.kind.as_str(),
                    aggregate_id: &event.stream.id,
                    sequence: event.sequence,
                    event_type: &event.event_type,
                    event_version: &event.event_version,
                    payload: &event.payload,
                    metadata: &event.metadata,
                    prev_digest: event.prev_digest.to_string(),
                    digest: event.digest.to_string(),
                })?;
            }
            tokio::task::yield_now().await;
        }
        let Part { hash, length, .. } = part;
        self.note(name, hash, length);
        Ok(())
    }

    /// The proofs of the events, and how many are not sealed yet.
    pub async fn proofs(
        &mut self,
        events: &[StoredEvent],
        proofs: &Proofs<'_>,
        progress: &impl Fn(usize, usize),
    ) -> Result<usize, ExportError> {
        let name = "proofs.ndjson";
        let mut part = self.start(name)?;
        let mut unsealed = 0;
        for (done, stored) in events.iter().enumerate() {
            progress(done, events.len());
            let position = stored.position;
            let Some(inclusion) = proofs.of_position(position).await? else {
                unsealed += 1;
                part.line(&json!({ "position": position, "sealed": false }))?;
                continue;
            };
            let sealed = &inclusion.entry;
            if (sealed.digest, sealed.recorded_at_ms)
                != (stored.event.digest, stored.recorded_at_ms)
            {
                let what = format!("the event at position {position} is not the one sealed");
                return Err(ExportError::Tampered(what));
            }
            part.line(&json!({
                "position": position, "sealed": true, "index": inclusion.index,
                "proof": base64(&inclusion.proof),
            }))?;
        }
        let Part { hash, length, .. } = part;
        self.note(name, hash, length);
        Ok(unsealed)
    }

    /// Where the list of heads says that these histories ended.
    pub async fn heads(
        &mut self,
        events: &[StoredEvent],
        store: &dyn Store,
        list: Option<&List>,
    ) -> Result<(), ExportError> {
        let mut lines = Vec::new();
        if let Some(List { position, listed }) = list {
            let tree = HeadsTree::load(store, listed.through).await?;
            if tree.root() != Some(listed.root) || tree.len() != listed.aggregates {
                let what = format!("the list of heads at position {position} does not fit");
                return Err(ExportError::Tampered(what));
            }
            let streams: std::collections::BTreeSet<&StreamId> =
                events.iter().map(|stored| &stored.event.stream).collect();
            for stream in streams {
                let Some(own) = tree.prove(stream.kind.as_str(), &stream.id) else { continue };
                lines.push(json!({
                    "list": position,
                    "aggregate_type": own.head.aggregate_type,
                    "aggregate_id": own.head.aggregate_id,
                    "sequence": own.head.head.sequence,
                    "digest": own.head.head.digest.to_string(),
                    "index": own.index,
                    "proof": base64(&own.proof),
                }));
            }
        }
        self.put("heads.ndjson", |part| lines.iter().try_for_each(|line| part.line(line)))?;
        Ok(())
    }

    /// The checkpoint of the proofs, and the one that it goes on from.
    pub async fn checkpoints(
        &mut self,
        proofs: &Proofs<'_>,
        since: Option<&SignedCheckpoint>,
    ) -> Result<(), ExportError> {
        let new = &proofs.checkpoint;
        self.put("checkpoints/new.txt", |part| part.write_all(new.note.as_bytes()))?;
        let Some(old) = since else { return Ok(()) };
        if old.origin != new.origin {
            let what = format!("that checkpoint is of another log, {}", old.origin);
            return Err(ExportError::OtherCheckpoint(what));
        }
        let proof = proofs.consistency(old.size, new.size).await?;
        if proof.old_root != old.root {
            let what = format!("its first {} events are not those of that checkpoint", old.size);
            return Err(ExportError::Tampered(what));
        }
        self.put("checkpoints/old.txt", |part| part.write_all(old.note.as_bytes()))?;
        let consistency = json!({
            "old_size": old.size, "new_size": new.size, "proof": base64(&proof.proof),
        });
        self.put("checkpoints/consistency.json", |part| part.json(&consistency))?;
        Ok(())
    }

    /// The keys that the events tell of.
    pub fn keys(&mut self, events: &[StoredEvent]) -> Result<(), ExportError> {
        let Keys { checkpoint_keys, signing_keys } =
            Keys::of(events).map_err(AuditError::Unreadable)?;
        let (checkpoint_keys, signing_keys) =
            (json!({ "keys": checkpoint_keys }), json!({ "keys": signing_keys }));
        self.put("keys/checkpoint-keys.json", |part| part.json(&checkpoint_keys))?;
        self.put("keys/signing-keys.json", |part| part.json(&signing_keys))?;
        Ok(())
    }

    /// Writes the manifest; gives its digest, and what it was all written to.
    pub fn finish(
        mut self,
        facts: &Facts,
        question: &Question,
    ) -> Result<(Sha256Digest, W), ExportError> {
        let manifest = json!({
            "format": FORMAT,
            "created_at": facts.created_at,
            "origin": facts.origin,
            "log_id": facts.log_id,
            "question": question,
            "position": facts.position,
            "files": self.files,
        });
        let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        let digest = Sha256Digest::from_bytes(Sha256::digest(&bytes).into());
        self.put("manifest.json", |part| part.write_all(&bytes))?;
        let line = format!("{digest}  manifest.json\n");
        self.put("manifest.sha256", |part| part.write_all(line.as_bytes()))?;
        let out = self.zip.finish().map_err(std::io::Error::from)?;
        Ok((digest, out))
    }
}

fn base64(hashes: &[Sha256Digest]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect()
}
