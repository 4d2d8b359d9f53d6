//! A small log with its own Merkle tree and key, and bundles of it: made here
//! from the specifications, so that the verifier is not asked about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chancery_verify::format::{
    Base64, CheckpointKey, Consistency, EventLine, FORMAT, FileEntry, HeadLine, Hex, Keys,
    Manifest, Moment, ProofLine, Question, SigningKey, names,
};
use chancery_verify::merkle::Hash;
use chancery_verify::note::VerifierKey;
use chancery_verify::{Given, Report, Verdict, event, verify};
use ed25519_dalek::{Signer as _, SigningKey as Ed25519};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub const ORIGIN: &str = "login.example/log";
pub const GRANT: &str = "0199aaaa000070008000000000000001";
pub const OTHER: &str = "0199aaaa000070008000000000000002";

/// A log.
#[derive(Clone)]
pub struct Log {
    pub events: Vec<EventLine>,
    pub key: Ed25519,
}

/// A bundle, not packed yet.
#[derive(Clone)]
pub struct Bundle {
    pub manifest: Manifest,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The position at which [`Log::example`] has a hole.
const HOLE: u64 = 6;

impl Log {
    /// Thirteen events: keys, two grants, a list of heads, and what came after it.
    pub fn example() -> Self {
        Self::of(key(1))
    }

    /// The same, sealed by this key.
    pub fn of(key: Ed25519) -> Self {
        let mut log = Self { events: Vec::new(), key };
        let vkey = vkey(&log.key, ORIGIN);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "AAAA"});
        log.append(
            ("log", ORIGIN, "CheckpointKeyPublished"),
            &json!({"key_id": "c1", "verifier": vkey, "at": 1}),
        );
        log.append(
            ("signing_key", "k1", "KeyPublished"),
            &json!({"key_id": "k1", "algorithm": "EdDSA", "jwk": jwk, "at": 2}),
        );
        log.append(("signing_key", "k1", "KeyActivated"), &json!({"at": 3}));
        log.append(("grant", GRANT, "RequestPushed"), &json!({"request": "one", "at": 4}));
        log.append(("grant", OTHER, "RequestPushed"), &json!({"request": "other", "at": 5}));
        log.append(("grant", GRANT, "SubjectAuthenticated"), &json!({"at": 6}));
        log.append(("grant", GRANT, "ConsentGiven"), &json!({"scope": "openid pay", "at": 7}));
        log.append(("grant", OTHER, "RequestDeclined"), &json!({"at": 8}));
        log.append(("grant", GRANT, "CodeIssued"), &json!({"code": "digest", "at": 9}));
        log.list_heads(10);
        log.append(("grant", GRANT, "CodeRedeemed"), &json!({"at": 11}));
        log.append(("grant", "0199aaaa000070008000000000000003", "RequestPushed"), &json!({}));
        log.append(("signing_key", "k1", "KeyRetired"), &json!({"at": 13, "published_until": 99}));
        log
    }

    /// Appends an event.
    pub fn append(&mut self, (kind, id, event_type): (&str, &str, &str), payload: &Value) {
        let mut position = self.events.last().map_or(1, |last| last.position + 1);
        if position == HOLE {
            position += 1;
        }
        let before =
            self.events.iter().rev().find(|e| e.aggregate_type == kind && e.aggregate_id == id);
        let mut event = EventLine {
            position,
            recorded_at_ms: 1_700_000_000_000 + i64::try_from(position).unwrap() * 1000,
            aggregate_type: kind.to_owned(),
            aggregate_id: id.to_owned(),
            sequence: before.map_or(1, |event| event.sequence + 1),
            event_type: event_type.to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_string(),
            metadata: json!({"actor": "system", "command_id": "0199"}).to_string(),
            prev_digest: before.map_or(Hex([0; 32]), |event| event.digest),
            digest: Hex([0; 32]),
        };
        event.digest = Hex(event::digest(&event));
        self.events.push(event);
    }

    /// Appends a list of heads over all events so far.
    pub fn list_heads(&mut self, at: i64) {
        let through = self.events.last().unwrap().position;
        let heads = self.heads(through);
        let payload = json!({
            "through": through, "aggregates": heads.len(),
            "root": URL_SAFE_NO_PAD.encode(root(&head_leaves(&heads))), "at": at,
        });
        self.append(("log", ORIGIN, "HeadsListed"), &payload);
    }

    /// The last event of each aggregate up to this position, in the order of names.
    fn heads(&self, through: u64) -> Vec<EventLine> {
        let mut heads = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.position <= through) {
            heads.insert((event.aggregate_type.clone(), event.aggregate_id.clone()), event.clone());
        }
        heads.into_values().collect()
    }

    pub fn leaves(&self) -> Vec<Hash> {
        self.events
            .iter()
            .map(|e| {
                let mut entry = e.position.to_be_bytes().to_vec();
                entry.extend(e.recorded_at_ms.to_be_bytes());
                entry.extend(e.digest.0);
                leaf(&entry)
            })
            .collect()
    }

    /// A checkpoint over the first events.
    pub fn checkpoint(&self, size: usize) -> Vec<u8> {
        sign(&self.key, ORIGIN, size, root(&self.leaves()[..size]))
    }

    pub fn vkey(&self) -> String {
        vkey(&self.key, ORIGIN)
    }

    pub fn trust(&self) -> Given {
        Given { keys: vec![VerifierKey::parse(&self.vkey()).unwrap()], ..Given::default() }
    }

    /// The evidence of one grant.
    pub fn bundle(&self) -> Bundle {
        self.bundle_sealed(self.events.len())
    }

    /// The same, the checkpoint being over the first events only.
    pub fn bundle_sealed(&self, sealed: usize) -> Bundle {
        let chosen = |event: &EventLine| {
            event.aggregate_id == GRANT || ["log", "signing_key"].contains(&&*event.aggregate_type)
        };
        let leaves = self.leaves();
        let (mut events, mut proofs) = (Vec::new(), Vec::new());
        for (index, event) in self.events.iter().enumerate().filter(|(_, event)| chosen(event)) {
            events.push(event.clone());
            let is_sealed = index < sealed;
            proofs.push(ProofLine {
                position: event.position,
                sealed: is_sealed,
                index: is_sealed.then_some(index as u64),
                proof: is_sealed.then(|| base64(&path(index, &leaves[..sealed]))),
            });
        }
        let question = Question { name: "grant".to_owned(), parameters: json!({"grant": GRANT}) };
        let mut bundle = Bundle {
            manifest: Manifest {
                format: FORMAT.to_owned(),
                created_at: "2026-11-29T00:00:00Z".to_owned(),
                origin: ORIGIN.to_owned(),
                log_id: "0199".to_owned(),
                question: question.clone(),
                position: self.events.last().unwrap().position,
                files: Vec::new(),
            },
            files: BTreeMap::new(),
        };
        bundle.put(names::README, b"Evidence.\n".to_vec());
        bundle.put_json(names::QUERY, &question);
        bundle.put_json(names::ANSWER, &json!({"grant": GRANT, "state": "active"}));
        bundle.put_lines(names::EVENTS, &events);
        bundle.put_lines(names::PROOFS, &proofs);
        bundle.put_lines(names::HEADS, &self.head_lines(&events));
        bundle.put(names::NEW, self.checkpoint(sealed));
        bundle.put_json(names::CHECKPOINT_KEYS, &Keys { keys: self.checkpoint_keys() });
        bundle.put_json(names::SIGNING_KEYS, &Keys { keys: self.signing_keys() });
        bundle.put("schemas/event.schema.json", b"{}\n".to_vec());
        bundle
    }

    /// The same, with a checkpoint that somebody held before.
    pub fn bundle_since(&self, size: usize) -> Bundle {
        let mut bundle = self.bundle();
        bundle.put(names::OLD, self.checkpoint(size));
        let consistency = Consistency {
            old_size: size as u64,
            new_size: self.events.len() as u64,
            proof: base64(&consistency(size, &self.leaves())),
        };
        bundle.put_json(names::CONSISTENCY, &consistency);
        bundle
    }

    fn head_lines(&self, chosen: &[EventLine]) -> Vec<HeadLine> {
        let Some(list) = self.events.iter().rev().find(|e| e.event_type == "HeadsListed") else {
            return Vec::new();
        };
        let through: Value = serde_json::from_str(&list.payload).unwrap();
        let heads = self.heads(through["through"].as_u64().unwrap());
        let leaves = head_leaves(&heads);
        let names: BTreeSet<_> =
            chosen.iter().map(|event| (&event.aggregate_type, &event.aggregate_id)).collect();
        let own = heads.iter().enumerate();
        own.filter(|(_, head)| names.contains(&(&head.aggregate_type, &head.aggregate_id)))
            .map(|(index, head)| HeadLine {
                list: list.position,
                aggregate_type: head.aggregate_type.clone(),
                aggregate_id: head.aggregate_id.clone(),
                sequence: head.sequence,
                digest: head.digest,
                index: index as u64,
                proof: base64(&path(index, &leaves)),
            })
            .collect()
    }

    fn moment(&self, event_type: &str) -> Option<Moment> {
        let event = self.events.iter().rev().find(|event| event.event_type == event_type)?;
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        Some(Moment { position: event.position, at: payload["at"].as_i64().unwrap() })
    }

    fn checkpoint_keys(&self) -> Vec<CheckpointKey> {
        vec![CheckpointKey {
            key_id: "c1".to_owned(),
            vkey: self.vkey(),
            published: self.moment("CheckpointKeyPublished").unwrap(),
            retired: None,
            signs_until: None,
        }]
    }

    fn signing_keys(&self) -> Vec<SigningKey> {
        let published =
            self.events.iter().find(|event| event.event_type == "KeyPublished").unwrap();
        let payload: Value = serde_json::from_str(&published.payload).unwrap();
        vec![SigningKey {
            kid: "k1".to_owned(),
            alg: "EdDSA".to_owned(),
            jwk: payload["jwk"].clone(),
            published: self.moment("KeyPublished").unwrap(),
            activated: self.moment("KeyActivated"),
            retired: self.moment("KeyRetired"),
            published_until: Some(99),
        }]
    }
}

impl Bundle {
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    pub fn put_json(&mut self, name: &str, value: &impl serde::Serialize) {
        self.put(name, serde_json::to_vec_pretty(value).unwrap());
    }

    pub fn put_lines<T: serde::Serialize>(&mut self, name: &str, lines: &[T]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line).unwrap());
            text.push('\n');
        }
        self.put(name, text.into_bytes());
    }

    /// Reads the lines of a file, changes them, writes them.
    pub fn edit<T: serde::Serialize + serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Vec<T>),
    ) {
        let text = String::from_utf8(self.files[name].clone()).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut lines);
        self.put_lines(name, &lines);
    }

    pub fn edit_events(&mut self, change: impl FnOnce(&mut Vec<EventLine>)) {
        self.edit(names::EVENTS, change);
    }

    /// Leaves an event out, and its proof.
    pub fn leave_out(&mut self, leave_out: impl Fn(&EventLine) -> bool) {
        let mut positions = Vec::new();
        self.edit_events(|events| {
            positions.extend(events.iter().filter(|e| leave_out(e)).map(|e| e.position));
            events.retain(|event| !leave_out(event));
        });
        assert!(!positions.is_empty());
        self.edit::<ProofLine>(names::PROOFS, |proofs| {
            proofs.retain(|proof| !positions.contains(&proof.position));
        });
    }

    /// Replaces text in a file.
    pub fn replace(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.files[name].clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}: {text}");
        self.put(name, text.replacen(from, to, 1).into_bytes());
    }

    /// All files, with a manifest that fits them: as whoever alters a bundle with
    /// care would have it.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let mut manifest = self.manifest.clone();
        manifest.files = self
            .files
            .iter()
            .map(|(name, bytes)| FileEntry {
                name: name.clone(),
                length: bytes.len() as u64,
                sha256: Hex(Sha256::digest(bytes).into()),
            })
            .collect();
        let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
        let digest = format!("{}  manifest.json\n", Hex(Sha256::digest(&bytes).into()));
        let mut files = self.files.clone();
        files.insert(names::MANIFEST.to_owned(), bytes);
        files.insert(names::MANIFEST_DIGEST.to_owned(), digest.into_bytes());
        files
    }

    pub fn zip(&self) -> Vec<u8> {
        zip(&self.all())
    }

    pub fn check(&self, given: &Given) -> Report {
        check(self.zip(), given)
    }
}

pub fn check(zip: Vec<u8>, given: &Given) -> Report {
    verify(Cursor::new(zip), given)
}

/// Fails unless the report ends so, and says this.
#[track_caller]
pub fn expect(report: &Report, verdict: Verdict, says: &str) {
    let text = report.to_text();
    assert_eq!(report.verdict(), verdict, "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(says), "it does not say “{says}”:\n{text}");
}

pub fn zip(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &**bytes)).collect();
    zip_of(&files)
}

pub fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

// --- a key, a tree: as the specifications have them ---------------------------

pub fn key(seed: u8) -> Ed25519 {
    Ed25519::from_bytes(&[seed; 32])
}

pub fn vkey(key: &Ed25519, name: &str) -> String {
    let public = [&[1], &key.verifying_key().to_bytes()[..]].concat();
    format!("{name}+{:08x}+{}", key_id(name, &public), STANDARD.encode(&public))
}

fn key_id(name: &str, public: &[u8]) -> u32 {
    let hash = Sha256::digest([name.as_bytes(), b"\n", public].concat());
    u32::from_be_bytes(hash[..4].try_into().unwrap())
}

pub fn sign(key: &Ed25519, origin: &str, size: usize, root: Hash) -> Vec<u8> {
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
    let public = [&[1], &key.verifying_key().to_bytes()[..]].concat();
    let mut signature = key_id(origin, &public).to_be_bytes().to_vec();
    signature.extend(key.sign(text.as_bytes()).to_bytes());
    format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(signature)).into_bytes()
}

fn base64(hashes: &[Hash]) -> Vec<Base64> {
    hashes.iter().map(|hash| Base64(*hash)).collect()
}

fn head_leaves(heads: &[EventLine]) -> Vec<Hash> {
    heads
        .iter()
        .map(|head| {
            let mut entry = Vec::new();
            for text in [&head.aggregate_type, &head.aggregate_id] {
                entry.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                entry.extend(text.as_bytes());
            }
            entry.extend(head.sequence.to_be_bytes());
            entry.extend(head.digest.0);
            leaf(&entry)
        })
        .collect()
}

fn leaf(entry: &[u8]) -> Hash {
    Sha256::digest([&[0], entry].concat()).into()
}

fn node(left: Hash, right: Hash) -> Hash {
    Sha256::digest([&[1], &left[..], &right[..]].concat()).into()
}

pub fn root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => Sha256::digest([]).into(),
        1 => leaves[0],
        size => {
            let (left, right) = leaves.split_at(size.next_power_of_two() / 2);
            node(root(left), root(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, other) = match index.checked_sub(left.len()) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    path.push(other);
    path
}

pub fn consistency(size: usize, leaves: &[Hash]) -> Vec<Hash> {
    fn subproof(size: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if size == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut proof, other) = match size.checked_sub(left.len()) {
            Some(rest) if rest > 0 => (subproof(rest, right, false), root(left)),
            _ => (subproof(size, left, whole), root(right)),
        };
        proof.push(other);
        proof
    }
    if size == 0 { Vec::new() } else { subproof(size, leaves, true) }
}
