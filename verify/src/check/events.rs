//! The events: that each is unaltered, follows the one before it of its
//! aggregate, and stands in the log at its place.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use serde_json::Value;

use crate::archive::{Archive, Refused};
use crate::event;
use crate::format::{EventLine, Hex, ProofLine, names};
use crate::merkle::{Hash, Tree};
use crate::report::{Report, Section, counted};

/// No bundle has more events.
const MAX_EVENTS: usize = 5_000_000;
/// The aggregates whose events say something about the evidence itself.
const TELLING: [&str; 2] = ["log", "signing_key"];

/// An event, as far as it is needed further.
#[derive(Debug, Clone)]
pub struct Event {
    pub position: u64,
    pub digest: Hash,
    leaf: Hash,
    /// Its proof holds in the tree of the checkpoint.
    pub proved: bool,
}

/// An event that says something about the evidence itself.
#[derive(Debug, Clone)]
pub struct Telling {
    /// Which of [`Events::all`].
    pub index: usize,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub event_type: String,
    pub payload: Value,
}

/// The chain of an aggregate.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// Which of [`Events::all`], by sequence from 1.
    pub events: Vec<usize>,
    last: Hash,
    /// It is not whole.
    pub broken: bool,
}

/// The events of a bundle.
#[derive(Debug, Default)]
pub struct Events {
    /// In the order of positions.
    pub all: Vec<Event>,
    pub telling: Vec<Telling>,
    /// By type and id.
    pub chains: BTreeMap<(String, String), Chain>,
}

impl Events {
    /// Reads the events, and checks what each says of itself.
    pub fn read(
        archive: &mut Archive<impl Read + Seek>,
        report: &mut Report,
    ) -> Result<Self, Refused> {
        let mut events = Self::default();
        let found = archive.lines(names::EVENTS, |number, line| {
            match serde_json::from_slice::<EventLine>(line) {
                Ok(event) => events.add(&event, report),
                Err(error) => report.altered(
                    Section::Events,
                    format!("line {number} of {} is no event: {error}", names::EVENTS),
                ),
            }
        })?;
        if !found {
            report.missing(Section::Events, format!("{} is not there", names::EVENTS));
        }
        report.events = events.all.len() as u64;
        let count = events.all.len();
        if count > MAX_EVENTS {
            return Err(Refused(format!("there are more than {MAX_EVENTS} events")));
        }
        if count > 0 && !report.is_altered(Section::Events) {
            let text = format!(
                "Of {} the bytes give the digest: payload, metadata and names are unaltered, if \
                 the digest stands in the log.",
                counted(count, "event")
            );
            report.proved(Section::Events, text);
        }
        Ok(events)
    }

    fn add(&mut self, event: &EventLine, report: &mut Report) {
        if self.all.len() > MAX_EVENTS {
            return;
        }
        let at = format!(
            "position {} ({} {}, event {}, {})",
            event.position,
            event.aggregate_type,
            event.aggregate_id,
            event.sequence,
            event.event_type
        );
        if self.all.last().is_some_and(|last| last.position >= event.position) {
            report.altered(Section::Events, format!("{at} is not in the order of the log"));
        }
        let digest = event::digest(event);
        if Hex(digest) != event.digest {
            report.altered(
                Section::Events,
                format!("{at}: the event was altered, its bytes have another digest"),
            );
        }
        let index = self.all.len();
        let leaf = event::leaf(event.position, event.recorded_at_ms, &digest);
        self.all.push(Event { position: event.position, digest, leaf, proved: false });
        let name = (event.aggregate_type.clone(), event.aggregate_id.clone());
        let chain = self.chains.entry(name).or_default();
        let follows =
            event.sequence == chain.events.len() as u64 + 1 && event.prev_digest == Hex(chain.last);
        if !follows && !chain.broken {
            chain.broken = true;
            report.altered(
                Section::Aggregates,
                format!(
                    "{at} does not follow event {} of its aggregate: something was left out, \
                     put in or put elsewhere",
                    chain.events.len()
                ),
            );
        }
        chain.events.push(index);
        chain.last = digest;
        if TELLING.contains(&event.aggregate_type.as_str()) {
            self.telling.push(Telling {
                index,
                aggregate_type: event.aggregate_type.clone(),
                aggregate_id: event.aggregate_id.clone(),
                event_type: event.event_type.clone(),
                payload: serde_json::from_str(&event.payload).unwrap_or_default(),
            });
        }
    }

    /// Looks for each event in the tree, by its proof.
    pub fn prove(
        &mut self,
        archive: &mut Archive<impl Read + Seek>,
        tree: Option<Tree>,
        report: &mut Report,
    ) -> Result<(), Refused> {
        let mut places = Places { tree, ..Places::default() };
        let mut events = self.all.iter_mut();
        let found = archive.lines(names::PROOFS, |number, line| {
            let proof = match serde_json::from_slice::<ProofLine>(line) {
                Ok(proof) => proof,
                Err(error) => {
                    let text = format!("line {number} of {} is no proof: {error}", names::PROOFS);
                    report.altered(Section::Events, text);
                    return;
                }
            };
            match events.next() {
                Some(event) if event.position == proof.position => {
                    event.proved = places.holds(event, &proof, report);
                }
                _ => report.altered(
                    Section::Events,
                    format!(
                        "line {number} of {} is for position {}, which is not the event in that \
                         place",
                        names::PROOFS,
                        proof.position
                    ),
                ),
            }
        })?;
        if !found {
            report.missing(Section::Events, format!("{} is not there", names::PROOFS));
        }
        let left = events.count();
        if found && left > 0 {
            report.missing(Section::Events, format!("{} without a proof", counted(left, "event")));
        }
        places.conclude(self.all.iter().filter(|event| event.proved).count(), report);
        Ok(())
    }
}

/// Goes along the proofs.
#[derive(Debug, Default)]
struct Places {
    tree: Option<Tree>,
    last: Option<u64>,
    unsealed: Vec<u64>,
}

impl Places {
    fn holds(&mut self, event: &Event, proof: &ProofLine, report: &mut Report) -> bool {
        let at = event.position;
        if !proof.sealed {
            if proof.index.is_some() || proof.proof.is_some() {
                let text = format!("position {at}: not sealed, and yet there is a proof");
                report.altered(Section::Events, text);
            }
            self.unsealed.push(at);
            return false;
        }
        let (Some(index), Some(path)) = (proof.index, &proof.proof) else {
            report.missing(Section::Events, format!("position {at} is sealed, but has no proof"));
            return false;
        };
        if !self.unsealed.is_empty() {
            let text = format!("position {at} is sealed, but one before it is not");
            report.altered(Section::Events, text);
        }
        if self.last.is_some_and(|last| last >= index) {
            let text = format!("position {at}: its place in the log is before another's");
            report.altered(Section::Events, text);
        }
        self.last = Some(index);
        let Some(tree) = self.tree else { return false };
        let path: Vec<Hash> = path.iter().map(|hash| hash.0).collect();
        let holds = tree.includes(index, &event.leaf, &path);
        if !holds {
            let text = format!(
                "position {at}: the event as it is here does not stand in the log at index \
                 {index}"
            );
            report.altered(Section::Events, text);
        }
        holds
    }

    fn conclude(&self, proved: usize, report: &mut Report) {
        if let (Some(first), Some(last)) = (self.unsealed.first(), self.unsealed.last()) {
            let text = format!(
                "{} (positions {first} to {last}) not sealed yet when this was exported: nothing \
                 proves the place. Export again in a moment.",
                counted(self.unsealed.len(), "event")
            );
            report.missing(Section::Events, text);
        }
        if let Some(tree) = self.tree.filter(|_| proved > 0) {
            let text = format!(
                "{} in the log of the checkpoint ({}), each at its position, with its time of \
                 recording: there by a proof of inclusion.",
                counted(proved, "event"),
                counted(tree.size, "event")
            );
            report.proved(Section::Events, text);
        } else if self.tree.is_none() {
            report.missing(Section::Events, "without a checkpoint no proof can be checked");
        }
    }
}
