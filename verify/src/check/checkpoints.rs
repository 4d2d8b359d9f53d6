//! The checkpoints: who signed them, and whether the log was only added to.

use std::io::{Read, Seek};

use super::keys::Stated;
use super::{Given, json};
use crate::archive::{Archive, Refused};
use crate::format::{Consistency, names};
use crate::merkle::Hash;
use crate::note::{Checkpoint, Signed, VerifierKey};
use crate::report::{CheckpointFacts, Kind, Report, Section};

/// The checkpoints of a bundle.
#[derive(Debug)]
pub struct Checkpoints {
    /// The one that the proofs are for.
    pub new: Option<Checkpoint>,
    old: Option<Checkpoint>,
    consistency: Option<Consistency>,
}

/// Who has signed a checkpoint.
struct Signers {
    /// Keys that were given.
    trusted: Vec<String>,
    /// Keys that only the bundle names.
    named: Vec<VerifierKey>,
    /// Keys that there is a signature of which does not verify.
    wrong: Vec<String>,
}

impl Checkpoints {
    pub fn read(
        archive: &mut Archive<impl Read + Seek>,
        report: &mut Report,
    ) -> Result<Self, Refused> {
        let mut read = |name: &str| {
            let Some(bytes) = archive.small(name)? else { return Ok(None) };
            let checkpoint = Checkpoint::parse(&bytes).map_err(|error| {
                report.altered(Section::Checkpoint, format!("{name} is no checkpoint: {error}"));
            });
            Ok::<_, Refused>(checkpoint.ok())
        };
        let (new, old) = (read(names::NEW)?, read(names::OLD)?);
        let consistency = json(archive, names::CONSISTENCY, report)?;
        Ok(Self { new, old, consistency })
    }

    /// Says who signed them, and whether they are consistent.
    pub fn check(&self, origin: &str, given: &Given, stated: &Stated, report: &mut Report) {
        let Some(new) = &self.new else {
            let text = format!("there is no checkpoint in {}", names::NEW);
            report.missing(Section::Checkpoint, text);
            return;
        };
        if new.origin != origin {
            let text = format!("the manifest is of the log {origin}, the checkpoint of another");
            report.altered(Section::Checkpoint, text);
        }
        let named: Vec<_> = stated.verifier_keys().collect();
        self.check_new(new, &given.keys, &named, report);
        self.check_old(new, &given.keys, &named, report);
        if let Some(held) = &given.checkpoint {
            self.check_held(new, held, given, report);
        }
    }

    fn check_new(
        &self,
        new: &Checkpoint,
        trusted: &[VerifierKey],
        named: &[VerifierKey],
        report: &mut Report,
    ) {
        let signers = signers(new, trusted, named);
        for key in &signers.wrong {
            let text = format!("the checkpoint has a signature of {key} that does not verify");
            report.altered(Section::Checkpoint, text);
        }
        let what = format!(
            "The checkpoint of the log {} with {} events, root {}",
            new.origin,
            new.tree.size,
            new.root()
        );
        if signers.trusted.is_empty() {
            let text = format!("{what}, is signed by no key that you gave.");
            report.add(Section::Checkpoint, Kind::UnknownKey, text);
            self.tell_unknown(&signers.named, trusted, report);
        }
        for key in &signers.trusted {
            let text = format!("{what}, is signed by a key that you trust: {key}");
            report.proved(Section::Checkpoint, text);
        }
        report.checkpoint = Some(CheckpointFacts {
            origin: new.origin.clone(),
            size: new.tree.size,
            root: new.root(),
            trusted: signers.trusted,
            unknown: signers.named.iter().map(ToString::to_string).collect(),
        });
    }

    fn tell_unknown(&self, named: &[VerifierKey], trusted: &[VerifierKey], report: &mut Report) {
        for key in named {
            let text = format!(
                "It is signed by a key that the bundle itself names. That says nothing about \
                 who signed, until you compare the key with the one that the operator of the \
                 server tells you by another way. Then give it with --key: {key} (SHA-256 of \
                 the public key: {})",
                key.fingerprint()
            );
            report.add(Section::Checkpoint, Kind::UnknownKey, text);
        }
        if named.is_empty() {
            let text = "No key that the bundle names has signed it either.";
            report.add(Section::Checkpoint, Kind::UnknownKey, text);
        }
        let old = self
            .old
            .as_ref()
            .filter(|old| !signers(old, trusted, &[]).trusted.is_empty() && !named.is_empty());
        if old.is_some() {
            report.open(
                Section::Checkpoint,
                "A key that you trust has signed the older checkpoint of this bundle: the log \
                 has changed its key since. The event that says so is among the events.",
            );
        }
    }

    fn check_old(
        &self,
        new: &Checkpoint,
        trusted: &[VerifierKey],
        named: &[VerifierKey],
        report: &mut Report,
    ) {
        let Some(old) = &self.old else {
            if self.consistency.is_some() {
                let text = "there is a proof of consistency, but no older checkpoint";
                report.missing(Section::Earlier, text);
            }
            return;
        };
        let signers = signers(old, trusted, named);
        for key in &signers.wrong {
            let text = format!("the older checkpoint has a signature of {key} that is wrong");
            report.altered(Section::Earlier, text);
        }
        if signers.trusted.is_empty() {
            let text = "The older checkpoint in the bundle is signed by no key that you gave.";
            report.add(Section::Earlier, Kind::UnknownKey, text);
        }
        if old.origin != new.origin {
            report.altered(Section::Earlier, "the older checkpoint is of another log");
        }
        let Some(proof) = &self.consistency else {
            let text = "there is an older checkpoint, but no proof of consistency";
            report.missing(Section::Earlier, text);
            return;
        };
        if proof.holds(old, new) {
            let text = format!(
                "The log of the older checkpoint ({} events) is what the log of the new one \
                 begins with: nothing of it was changed or removed.",
                old.tree.size
            );
            report.proved(Section::Earlier, text);
        } else {
            let text = format!(
                "the log was rewritten: what the older checkpoint ({} events) fixed is not what \
                 the log of the new one begins with",
                old.tree.size
            );
            report.altered(Section::Earlier, text);
        }
    }

    /// The checkpoint that the auditor has held.
    fn check_held(&self, new: &Checkpoint, held: &[u8], given: &Given, report: &mut Report) {
        let held = match Checkpoint::parse(held) {
            Ok(held) => held,
            Err(error) => {
                let text = format!("what you held is no checkpoint: {error}");
                report.missing(Section::Earlier, text);
                return;
            }
        };
        if held.origin != new.origin {
            let text = format!("the checkpoint that you held is of another log, {}", held.origin);
            report.missing(Section::Earlier, text);
            return;
        }
        if signers(&held, &given.keys, &[]).trusted.is_empty() {
            report.open(
                Section::Earlier,
                "The checkpoint that you held is signed by no key that you gave: it is taken \
                 on your word.",
            );
        }
        let size = held.tree.size;
        if size == new.tree.size {
            if held.tree.root == new.tree.root {
                let text = "The checkpoint that you held is the one of this bundle.";
                report.proved(Section::Earlier, text);
            } else {
                let text = "the log was rewritten: the checkpoint that you held has the same size \
                            and another root";
                report.altered(Section::Earlier, text);
            }
            return;
        }
        if size > new.tree.size {
            let text = format!(
                "the checkpoint that you held ({size} events) is newer than the one of this \
                 bundle. Ask for a new export, with --since and the checkpoint that you held."
            );
            report.missing(Section::Earlier, text);
            return;
        }
        match &self.old {
            Some(old) if old.tree.size == size && old.tree.root != held.tree.root => {
                let text = "the log was rewritten: the checkpoint that you held and the older one \
                            in this bundle have the same size and different roots";
                report.altered(Section::Earlier, text);
            }
            Some(old) if old.tree == held.tree => {
                if self.consistency.as_ref().is_some_and(|proof| proof.holds(old, new)) {
                    let text = format!(
                        "Since the checkpoint that you held ({size} events) nothing was changed \
                         or removed."
                    );
                    report.proved(Section::Earlier, text);
                }
            }
            _ => {
                let text = format!(
                    "The bundle has no proof of consistency for the checkpoint that you held \
                     ({size} events). Ask for a new export, with --since and that checkpoint."
                );
                report.missing(Section::Earlier, text);
            }
        }
    }
}

impl Consistency {
    fn holds(&self, old: &Checkpoint, new: &Checkpoint) -> bool {
        let path: Vec<Hash> = self.proof.iter().map(|hash| hash.0).collect();
        (self.old_size, self.new_size) == (old.tree.size, new.tree.size)
            && old.tree.is_continued_by(&new.tree, &path)
    }
}

fn signers(checkpoint: &Checkpoint, trusted: &[VerifierKey], named: &[VerifierKey]) -> Signers {
    let mut signers = Signers { trusted: Vec::new(), named: Vec::new(), wrong: Vec::new() };
    // A key speaks for the log that it is named after, and for no other.
    for key in trusted.iter().filter(|key| key.name() == checkpoint.origin) {
        match checkpoint.note.signed_by(key) {
            Signed::Yes => signers.trusted.push(key.to_string()),
            Signed::Wrongly => signers.wrong.push(key.to_string()),
            Signed::No => {}
        }
    }
    for key in named.iter().filter(|key| !trusted.contains(key)) {
        match checkpoint.note.signed_by(key) {
            Signed::Yes => signers.named.push(key.clone()),
            Signed::Wrongly => signers.wrong.push(key.to_string()),
            Signed::No => {}
        }
    }
    signers
}
