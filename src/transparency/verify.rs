//! Computes the whole log again, and says whether it is the one that was
//! sealed.
//!
//! Every event's digest is computed from its bytes, chained to the one before
//! in its history, and made a leaf of a tree anew; the tree's root at the size
//! of a checkpoint has to be the signed one. What the tiles say is used only to
//! name the places where something was changed.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;
use serde::Serialize;
use tlog_tiles::tlog::Hash;
use tokio::sync::mpsc;

use super::log::{entries, hashes};
use super::note::{NoteError, SignedCheckpoint, Verifiers};
use super::{Entry, MerkleLog, SealError, Tree, digest};
use crate::stores::{LogCheckpoint, Scanned, Store, StoreError};

/// How many events are read at once.
const PAGE: usize = 4096;
/// How many pages are read ahead of what is checked.
const AHEAD: usize = 4;
/// How many findings are told one by one.
const TOLD: usize = 1000;

/// A checkpoint to check the log against, and where it comes from.
#[derive(Debug, Clone)]
pub struct Held {
    /// For the report: "the checkpoint in FILE".
    pub name: String,
    pub checkpoint: SignedCheckpoint,
}

/// What is the log like? The later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is what was sealed.
    Intact,
    /// Nothing has been sealed yet: there is nothing to compare with.
    NothingSealed,
    /// Signed by keys that are not known: nothing is known of who sealed it.
    UnknownKey,
    /// Less is there than was sealed.
    Incomplete,
    /// It was changed.
    Tampered,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    pub log_id: String,
    pub origin: Option<String>,
    /// How many events were read, and up to which position.
    pub events: u64,
    pub position: u64,
    /// How many of them a checkpoint covers.
    pub sealed: u64,
    /// The root over those, as it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    pub aggregates: u64,
    /// Which checkpoints the log was compared with.
    pub checkpoints: Vec<Compared>,
    pub findings: Vec<Finding>,
    /// How many more there are than are told.
    pub further_findings: u64,
}

/// A checkpoint, and what came of comparing.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub name: String,
    pub size: u64,
    /// `matches`, `differs`, `longer` than the log, `unknown_key`, `wrong_signature`, or
    /// `other_log`.
    pub result: &'static str,
}

/// Something that is not as it was sealed.
#[derive(Debug, Serialize)]
pub struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// `aggregate_type/aggregate_id/sequence`, a tile or a checkpoint.
    pub place: String,
    pub what: String,
}

/// Computes the log again and compares. `held` are checkpoints from outside; `keys` is whom
/// they are believed by. `progress` is told how many positions are done, of how many.
pub async fn verify(
    store: &Arc<dyn Store>,
    held: Vec<Held>,
    keys: &Verifiers,
    progress: impl Fn(u64, u64),
) -> Result<Report, StoreError> {
    let end = store.last_position().await?;
    let kept = all_checkpoints(&**store).await?;
    let mut check = Check::new(&**store, kept, held, keys);
    let mut pages = read(Arc::clone(store));
    while let Some(page) = pages.recv().await {
        match page {
            Err(StoreError::Corrupt(why)) => {
                check.found(None, "the log".to_owned(), format!("can't be read on: {why}"));
                break;
            }
            page => {
                let page = page?;
                let last = page.last().map_or(0, |event| event.position);
                check.page(&page).await?;
                progress(u64::try_from(last).unwrap_or(0).min(end), end);
            }
        }
    }
    check.finish().await
}

/// All checkpoints that are kept, the oldest first.
async fn all_checkpoints(store: &dyn Store) -> Result<Vec<LogCheckpoint>, StoreError> {
    let mut all = Vec::new();
    loop {
        let before = all.last().map(|last: &LogCheckpoint| last.serial);
        let page = store.log_checkpoints(before, 1000).await?;
        if page.is_empty() {
            all.reverse();
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Reads the log, ahead of who checks it.
fn read(store: Arc<dyn Store>) -> mpsc::Receiver<Result<Vec<Scanned>, StoreError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        // From below the first possible position: what was put there is seen too.
        let mut after = i64::MIN;
        loop {
            let page = store.scan(after, PAGE).await;
            let last = page.as_ref().ok().and_then(|page| page.last()).map(|event| event.position);
            if let Some(last) = last {
                after = last;
            } else if page.is_ok() {
                return;
            }
            let failed = page.is_err();
            if sender.send(page).await.is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// Where a history stands: as much of it as two can't share by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    sequence: u64,
    digest: [u8; 16],
}

impl End {
    /// Before the first event.
    const NONE: Self = Self { sequence: 0, digest: [0; 16] };
}

struct Check<'a> {
    store: &'a dyn Store,
    tree: Tree,
    /// The ends of all histories, by two hashes of their names.
    ends: HashMap<(u64, u64), End>,
    /// Where those ended that have gone on since the log was sealed.
    sealed_ends: HashMap<(u64, u64), End>,
    hashers: (RandomState, RandomState),
    /// What to compare with, the largest first.
    due: Vec<Due>,
    compared: Vec<Compared>,
    kept: KeptEntries,
    /// What differs between the entries that are kept and the events, by tile.
    differing: Vec<(u64, Finding)>,
    last: Option<LogCheckpoint>,
    /// The events are those that the last checkpoint was signed over.
    last_matches: bool,
    /// There are more or fewer events than were sealed: tiles can't be compared by place.
    shifted: bool,
    /// As bad as was seen so far, findings aside.
    worst: Verdict,
    report: Report,
}

/// A checkpoint to compare with when the tree has its size.
struct Due {
    name: String,
    checkpoint: SignedCheckpoint,
    /// Believed, so that a difference says that the log was changed.
    believed: bool,
}

impl<'a> Check<'a> {
    fn new(
        store: &'a dyn Store,
        kept: Vec<LogCheckpoint>,
        held: Vec<Held>,
        keys: &Verifiers,
    ) -> Self {
        let last = kept.last().cloned();
        let origin = last.as_ref().map(|last| last.origin.clone());
        let mut check = Self {
            store,
            tree: Tree::default(),
            ends: HashMap::new(),
            sealed_ends: HashMap::new(),
            hashers: (RandomState::new(), RandomState::new()),
            due: Vec::new(),
            compared: Vec::new(),
            kept: KeptEntries {
                size: last.as_ref().map_or(0, |last| last.size),
                ..KeptEntries::default()
            },
            differing: Vec::new(),
            last_matches: false,
            report: Report {
                verdict: Verdict::Intact,
                log_id: store.log_id().to_owned(),
                origin: origin.clone(),
                events: 0,
                position: 0,
                sealed: last.as_ref().map_or(0, |last| last.size),
                root: None,
                aggregates: 0,
                checkpoints: Vec::new(),
                findings: Vec::new(),
                further_findings: 0,
            },
            last,
            shifted: false,
            worst: Verdict::Intact,
        };
        for kept in kept {
            let name = format!("checkpoint {}", kept.serial);
            match SignedCheckpoint::read(&kept.note) {
                Ok(checkpoint) if checkpoint.root == kept.root && checkpoint.size == kept.size => {
                    check.expect(name, checkpoint, keys, None);
                }
                _ => check.found(None, name, "its note is not what stands beside it"),
            }
        }
        for held in held {
            check.expect(held.name, held.checkpoint, keys, origin.as_deref());
        }
        check.due.sort_by_key(|due| Reverse(due.checkpoint.size));
        check
    }

    /// Notes a checkpoint to compare with. One from outside has to be of this log.
    fn expect(
        &mut self,
        name: String,
        checkpoint: SignedCheckpoint,
        keys: &Verifiers,
        origin: Option<&str>,
    ) {
        let size = checkpoint.size;
        if origin.is_some_and(|origin| origin != checkpoint.origin) {
            self.compared.push(Compared { name, size, result: "other_log" });
            return;
        }
        let believed = match checkpoint.verify(keys) {
            Ok(()) => true,
            Err(NoteError::UnknownKey(_)) => {
                self.worst = self.worst.max(Verdict::UnknownKey);
                self.compared.push(Compared { name: name.clone(), size, result: "unknown_key" });
                false
            }
            Err(error) => {
                self.found(None, name.clone(), error.to_string());
                self.compared.push(Compared { name, size, result: "wrong_signature" });
                return;
            }
        };
        self.due.push(Due { name, checkpoint, believed });
    }

    fn found(&mut self, position: Option<i64>, place: String, what: impl Into<String>) {
        if self.report.findings.len() < TOLD {
            self.report.findings.push(Finding { position, place, what: what.into() });
        } else {
            self.report.further_findings += 1;
        }
    }

    async fn page(&mut self, page: &[Scanned]) -> Result<(), StoreError> {
        for event in page {
            self.compare_due();
            self.event(event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: &Scanned) -> Result<(), StoreError> {
        self.report.events += 1;
        let place = || format!("{}/{}", event.stream, event.sequence);
        if event.position < 1 {
            self.found(Some(event.position), place(), "was put where no event can be");
            return Ok(());
        }
        self.report.position = u64::try_from(event.position).unwrap_or(0);
        if event.computed != event.digest {
            self.found(Some(event.position), place(), "its content is not what its digest is of");
        }
        if let Some(what) = event.amiss {
            self.found(Some(event.position), place(), what);
        }
        self.chain(event);
        let entry = Entry::from(event);
        if self.differing.len() < TOLD {
            self.compare_entry(event, entry).await?;
        }
        let mut full = Vec::new();
        self.tree.push(entry.leaf(), |level, index, hashes| {
            if level > 0 {
                full.push((level, index, hashes.to_vec()));
            }
        });
        for (level, index, hashes) in full {
            self.compare_tile(level, index, &hashes).await?;
        }
        Ok(())
    }

    /// Does it continue its history?
    fn chain(&mut self, event: &Scanned) {
        let name = &*event.stream;
        let key = self.key(name);
        let end = End { sequence: event.sequence, digest: half(event.computed) };
        let before = self.ends.insert(key, end).unwrap_or(End::NONE);
        if self.report.position > self.last.as_ref().map_or(0, |last| last.position) {
            self.sealed_ends.entry(key).or_insert(before);
        }
        let what = if event.sequence <= before.sequence {
            format!("comes after {} of its history: the order was changed", before.sequence)
        } else if event.sequence != before.sequence + 1 {
            let sequence = before.sequence;
            format!("comes right after {sequence} of its history: what was between is gone")
        } else if half(event.prev_digest) != before.digest {
            "does not continue the event before it".to_owned()
        } else {
            return;
        };
        let place = format!("{name}/{}", event.sequence);
        self.found(Some(event.position), place, what);
    }

    fn key(&self, name: &str) -> (u64, u64) {
        (self.hashers.0.hash_one(name), self.hashers.1.hash_one(name))
    }

    /// Does the server find every history, up to its end? It goes by indexes, and an audit by the
    /// log.
    async fn compare_ends(&mut self) -> Result<(), StoreError> {
        let Some(last) = &self.last else { return Ok(()) };
        let through = last.position;
        let mut left: HashMap<_, _> = std::mem::take(&mut self.ends);
        left.extend(std::mem::take(&mut self.sealed_ends));
        left.retain(|_, end| end.sequence > 0);
        let mut after = (String::new(), String::new());
        loop {
            let heads = match self.store.heads(through, after.clone(), PAGE).await {
                Err(StoreError::Corrupt(why)) => {
                    self.found(None, "the index of histories".to_owned(), why);
                    return Ok(());
                }
                heads => heads?,
            };
            let Some(last) = heads.last() else { break };
            after = (last.aggregate_type.clone(), last.aggregate_id.clone());
            for listed in heads {
                let name = format!("{}/{}", listed.aggregate_type, listed.aggregate_id);
                let end = left.remove(&self.key(&name));
                let found =
                    End { sequence: listed.head.sequence, digest: half(listed.head.digest) };
                if end != Some(found) {
                    let what = "is found to end where it does not";
                    self.found(None, format!("{name}/{}", found.sequence), what);
                }
            }
        }
        if !left.is_empty() {
            let what = format!("{} histories are in the log, and not found by it", left.len());
            self.found(None, "the index of histories".to_owned(), what);
        }
        Ok(())
    }

    /// Is it what the tiles say that was sealed at this position?
    async fn compare_entry(&mut self, event: &Scanned, entry: Entry) -> Result<(), StoreError> {
        while let Some(kept) = self.kept.next(self.store).await? {
            if kept.position < entry.position {
                self.gone(kept);
                self.kept.take();
                continue;
            }
            if kept.position == entry.position {
                self.kept.take();
                if kept == entry {
                    return Ok(());
                }
                let what = if kept.digest == entry.digest {
                    let (sealed, now) = (kept.recorded_at_ms, entry.recorded_at_ms);
                    format!("its time of recording was {sealed} ms since 1970, and is {now}")
                } else {
                    "is not the event that was sealed at this position".to_owned()
                };
                self.differs(event, what);
                return Ok(());
            }
            break;
        }
        let sealed = self.last.as_ref().map_or(0, |last| last.position);
        if entry.position <= sealed {
            self.shifted = true;
            self.differs(event, "was not there when the log was sealed".to_owned());
        }
        Ok(())
    }

    fn differs(&mut self, event: &Scanned, what: String) {
        let place = format!("{}/{}", event.stream, event.sequence);
        self.differing
            .push((self.kept.tile, Finding { position: Some(event.position), place, what }));
    }

    fn gone(&mut self, kept: Entry) {
        self.shifted = true;
        let position = i64::try_from(kept.position).ok();
        let what = "the event that was sealed at this position is gone".to_owned();
        self.differing
            .push((self.kept.tile, Finding { position, place: "the log".to_owned(), what }));
    }

    async fn compare_tile(
        &mut self,
        level: u8,
        index: u64,
        computed: &[Hash],
    ) -> Result<(), StoreError> {
        let covers = (index + 1).checked_shl(8 * (u32::from(level) + 1)).unwrap_or(u64::MAX);
        if covers > self.report.sealed || self.shifted {
            return Ok(());
        }
        let tiles = self.store.log_tiles(vec![(level, index)]).await?;
        if tiles.first().map(hashes).unwrap_or_default() != computed {
            let what = "is not what follows from the events";
            self.found(None, format!("tile {level}/{index}"), what);
        }
        Ok(())
    }

    /// Compares with the checkpoints of the size that the tree has now.
    fn compare_due(&mut self) {
        while self.due.last().is_some_and(|due| due.checkpoint.size <= self.tree.size()) {
            let Some(due) = self.due.pop() else { return };
            let size = due.checkpoint.size;
            let same = size == self.tree.size() && digest(self.tree.root()) == due.checkpoint.root;
            if !same {
                let what = if due.believed {
                    "the events are not those that it was signed over"
                } else {
                    "the events are not those that it speaks of"
                };
                self.found(None, due.name.clone(), what);
            }
            self.last_matches |=
                same && self.last.as_ref().is_some_and(|last| last.note == due.checkpoint.note);
            if due.believed {
                let result = if same { "matches" } else { "differs" };
                self.compared.push(Compared { name: due.name, size, result });
            }
        }
    }

    async fn finish(mut self) -> Result<Report, StoreError> {
        self.report.aggregates = u64::try_from(self.ends.len()).unwrap_or(u64::MAX);
        self.compare_due();
        self.compare_rest().await?;
        // Where events were changed, the ends of their histories differ as a matter of course.
        if self.report.findings.is_empty() {
            self.compare_ends().await?;
        }
        for due in std::mem::take(&mut self.due) {
            let (has, size) = (self.tree.size(), due.checkpoint.size);
            let what = format!("was signed over {size} events, and there are {has}");
            self.worst = self.worst.max(Verdict::Incomplete);
            self.found(None, due.name.clone(), what);
            self.compared.push(Compared { name: due.name, size, result: "longer" });
        }
        let mut report = self.report;
        report.root = self.last.as_ref().map(|last| last.root.to_string());
        report.checkpoints = self.compared;
        let changed = report.findings.iter().any(|finding| !is_missing_end(finding))
            || report.further_findings > 0;
        let least = if changed {
            Verdict::Tampered
        } else if self.last.is_none() {
            Verdict::NothingSealed
        } else {
            Verdict::Intact
        };
        report.verdict = self.worst.max(least);
        Ok(report)
    }

    /// What was sealed behind the last event, and the tiles that are not full.
    async fn compare_rest(&mut self) -> Result<(), StoreError> {
        while let Some(kept) = self.kept.next(self.store).await? {
            if self.differing.len() >= TOLD {
                break;
            }
            self.gone(kept);
            self.kept.take();
        }
        for (tile, finding) in std::mem::take(&mut self.differing) {
            // The events are those that were sealed: then it is the tile that was changed.
            if !self.last_matches {
                self.found(finding.position, finding.place, finding.what);
                continue;
            }
            let place = format!("tile 0/{tile}");
            if self.report.findings.last().is_none_or(|last| last.place != place) {
                self.found(None, place, "is not what follows from the events");
            }
        }
        let Some(last) = self.last.clone().filter(|_| self.report.findings.is_empty()) else {
            return Ok(());
        };
        match MerkleLog::load(self.store, &last.origin).await {
            Ok(_) => {}
            Err(SealError::Store(error)) => return Err(error),
            Err(error) => self.found(None, "the tiles".to_owned(), error.to_string()),
        }
        Ok(())
    }
}

/// The entries that are kept in tiles, one after the other.
#[derive(Default)]
struct KeptEntries {
    /// How many there should be.
    size: u64,
    taken: u64,
    /// The tile at hand, once one is read.
    entries: Option<Vec<Entry>>,
    tile: u64,
}

impl KeptEntries {
    /// The next one, which stays until it is taken; none at the end, or where a tile is missing.
    async fn next(&mut self, store: &dyn Store) -> Result<Option<Entry>, StoreError> {
        if self.taken >= self.size {
            return Ok(None);
        }
        let (tile, within) = (self.taken / 256, usize::try_from(self.taken % 256).unwrap_or(0));
        if self.entries.is_none() || tile != self.tile {
            let tiles = store.log_tiles(vec![(0, tile)]).await?;
            self.entries = Some(tiles.first().map(entries).unwrap_or_default());
            self.tile = tile;
        }
        Ok(self.entries.as_ref().and_then(|entries| entries.get(within)).copied())
    }

    fn take(&mut self) {
        self.taken += 1;
    }
}

/// Does a finding say no more than that the end is missing?
fn is_missing_end(finding: &Finding) -> bool {
    finding.what.starts_with("was signed over ")
}

fn half(digest: Sha256Digest) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    half
}
