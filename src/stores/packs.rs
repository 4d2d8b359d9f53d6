//! Old events, many in one compressed block ([`Pack`]) in place of a row each.
//!
//! A pack holds every event of a range of positions, as lines of JSON (NDJSON)
//! compressed with Zstandard (RFC 8878): whoever has the database can read it
//! without Chancery. What it holds are the bytes that were hashed; digests are
//! not kept, but follow from them, and the tiles of the Merkle log say what they
//! have to be.
//!
//! Once a history of a grant or a session has its last event in a pack, its rows
//! go, and an index says in which packs it is: a history stands either whole in
//! rows or whole in packs. All other rows stay beside their copies in packs, so
//! that nothing that is in use is looked for in a pack. A history that goes on
//! after all is put back into rows first.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::str;
use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Head, Loaded, LoadedEvent, NewEvent, Scanned, StoreError, StoredEvent, StreamId, ids};

/// How many events a pack has, about.
pub const EVENTS: usize = 1024;

/// The level of compression. What is left of these lines are ids and digests: the ninth level saves
/// a fiftieth of the bytes, and takes four times as long.
const LEVEL: i32 = 1;

/// What may be packed: events at or before this position that were recorded before this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ripe {
    /// Milliseconds since 1970, by the store's clock.
    pub recorded_before_ms: i64,
    /// What is sealed is settled: no reader waits for events before it.
    pub position: u64,
}

impl Ripe {
    /// May all of these be packed?
    pub(super) fn are(self, events: &[StoredEvent]) -> bool {
        events.iter().all(|event| {
            event.position <= self.position && event.recorded_at_ms < self.recorded_before_ms
        })
    }
}

/// What came of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Done(Packed),
    /// Less than a pack is ripe.
    Nothing,
    /// Another was first, or those who append could not be kept out: to be tried again.
    NotNow,
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The position of the last event in a pack.
    pub through: u64,
    pub events: u64,
    /// The bytes of the pack.
    pub bytes: u64,
    /// How many histories have no rows any longer.
    pub histories: u64,
}

/// A pack to be written.
pub(super) struct Pack {
    /// The packs before it hold what is at or before this position.
    pub begins_after: u64,
    pub events: Vec<StoredEvent>,
    pub lines: Vec<u8>,
}

/// Where a history stands that is whole in packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackedStream {
    pub head: Head,
    /// The position of its last event.
    pub position: u64,
    /// The packs it is in, by the positions they reach through, in order.
    pub packs: Vec<u64>,
}

/// The id of a history whose rows may go, as the index keeps it. Few have the others' kinds, and
/// they are looked at all the time.
pub(super) fn may_go(stream: &StreamId) -> Option<[u8; 16]> {
    match stream.kind {
        AggregateKind::Grant | AggregateKind::Session => ids::packed(&stream.id),
        AggregateKind::Client
        | AggregateKind::Account
        | AggregateKind::Consent
        | AggregateKind::SigningKey
        | AggregateKind::Tally
        | AggregateKind::RegistrationToken
        | AggregateKind::ScopeDefinition
        | AggregateKind::Log => None,
    }
}

/// An event as a line of a pack.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    position: u64,
    /// Milliseconds since 1970.
    recorded_at: i64,
    #[serde(borrow)]
    aggregate_type: Cow<'a, str>,
    #[serde(borrow)]
    aggregate_id: Cow<'a, str>,
    sequence: u64,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    event_version: Cow<'a, str>,
    /// Only where the event before it is in another pack: otherwise it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev_digest: Option<Sha256Digest>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

impl Pack {
    /// Packs events that follow each other in the log. Refused where what is read from it would
    /// not be these events: where a digest is not that of its event, to begin with.
    pub(super) fn of(begins_after: u64, events: Vec<StoredEvent>) -> Result<Self, StoreError> {
        let mut lines = Vec::with_capacity(events.len() * 1024);
        let mut in_here = HashMap::new();
        for stored in &events {
            let event = &stored.event;
            let before = in_here.insert(&event.stream, event.sequence);
            let follows = event.sequence == 1 || before.is_some();
            let line = Line {
                position: stored.position,
                recorded_at: stored.recorded_at_ms,
                aggregate_type: event.stream.kind.as_str().into(),
                aggregate_id: (&*event.stream.id).into(),
                sequence: event.sequence,
                event_type: (&*event.event_type).into(),
                event_version: (&*event.event_version).into(),
                prev_digest: (!follows).then_some(event.prev_digest),
                payload: raw(&event.payload, stored.position)?,
                metadata: raw(&event.metadata, stored.position)?,
            };
            serde_json::to_writer(&mut lines, &line).map_err(io::Error::from)?;
            lines.push(b'\n');
        }
        let lines = zstd::bulk::compress(&lines, LEVEL)?;
        let pack = Self { begins_after, events, lines };
        let read = unpacked(&pack.lines)?;
        match pack.events.iter().zip(&read).find(|(event, read)| event != read) {
            Some((event, _)) => Err(unlike(event.position, &"it would not be read as it stands")),
            None if read.len() == pack.events.len() => Ok(pack),
            None => Err(unreadable("it has not as many events as were packed")),
        }
    }

    /// The position of its last event.
    pub(super) fn through(&self) -> u64 {
        self.events.last().map_or(self.begins_after, |event| event.position)
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    /// The last event here of each history whose rows may go, with the id as the index keeps it.
    pub(super) fn last_events(&self) -> impl Iterator<Item = ([u8; 16], &StoredEvent)> {
        let last: HashMap<_, _> =
            self.events.iter().map(|event| (&event.event.stream, event)).collect();
        last.into_iter().filter_map(|(stream, event)| Some((may_go(stream)?, event)))
    }

    pub(super) fn packed(&self, histories: u64) -> Packed {
        Packed {
            through: self.through(),
            events: self.count(),
            bytes: u64::try_from(self.lines.len()).unwrap_or(u64::MAX),
            histories,
        }
    }
}

fn raw(json: &str, position: u64) -> Result<&RawValue, StoreError> {
    serde_json::from_str(json).map_err(|error| unlike(position, &error))
}

fn unlike(position: u64, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!(
        "the event at position {position} can't be packed ({why}): `chancery audit verify` tells \
         whether the log was changed"
    ))
}

fn unreadable(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a pack of events can't be read: {why}"))
}

/// All events of a pack.
pub(super) fn unpacked(lines: &[u8]) -> Result<Vec<StoredEvent>, StoreError> {
    read(lines, None)
}

/// The events of a pack, or those of one history in it.
fn read(lines: &[u8], only: Option<&StreamId>) -> Result<Vec<StoredEvent>, StoreError> {
    let text = zstd::decode_all(lines).map_err(unreadable)?;
    let mut events = Vec::with_capacity(EVENTS);
    let mut ends: HashMap<StreamId, Sha256Digest> = HashMap::new();
    let mut last_metadata: Option<Arc<str>> = None;
    let text = str::from_utf8(&text).map_err(unreadable)?;
    // Most others don't name its id, and need not be parsed.
    let may_be_wanted = |line: &&str| only.is_none_or(|stream| line.contains(&*stream.id));
    for line in text.split_terminator('\n').filter(may_be_wanted) {
        let line: Line<'_> = serde_json::from_str(line).map_err(unreadable)?;
        let kind = line.aggregate_type.parse().map_err(unreadable)?;
        let stream = StreamId { kind, id: line.aggregate_id.into() };
        if only.is_some_and(|only| *only != stream) {
            continue;
        }
        let prev_digest = match line.prev_digest {
            Some(digest) => digest,
            None if line.sequence == 1 => Sha256Digest::ZERO,
            None => ends.get(&stream).copied().ok_or_else(|| {
                unreadable(format_args!("{stream}/{} does not follow", line.sequence))
            })?,
        };
        let metadata = match last_metadata {
            Some(last) if *last == *line.metadata.get() => last,
            _ => line.metadata.get().into(),
        };
        let mut event = NewEvent {
            stream: stream.clone(),
            sequence: line.sequence,
            event_type: Cow::Owned(line.event_type.into_owned()),
            event_version: Cow::Owned(line.event_version.into_owned()),
            payload: line.payload.get().into(),
            metadata: Arc::clone(&metadata),
            prev_digest,
            digest: Sha256Digest::ZERO,
        };
        last_metadata = Some(metadata);
        event.digest = event.facts().digest();
        ends.insert(stream, event.digest);
        let (position, recorded_at_ms) = (line.position, line.recorded_at);
        events.push(StoredEvent { position, recorded_at_ms, event });
    }
    Ok(events)
}

impl PackedStream {
    /// The history, out of its packs. It has to be the one that was packed.
    pub(super) fn history(
        &self,
        stream: &StreamId,
        packs: &[Vec<u8>],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::new();
        for lines in packs {
            events.extend(read(lines, Some(stream))?);
        }
        let in_order = (1..).zip(&events).all(|(sequence, event)| event.event.sequence == sequence);
        if in_order && events.last().map(StoredEvent::head) == Some(self.head) {
            return Ok(events);
        }
        Err(StoreError::Corrupt(format!(
            "{stream} is not in its packs as it was packed: `chancery audit verify` tells what was \
             changed"
        )))
    }
}

/// Where a history stood as of a position; None: it had not begun.
pub(super) fn head_as_of(position: u64, history: &[StoredEvent]) -> Option<Head> {
    history.iter().rev().find(|event| event.position <= position).map(StoredEvent::head)
}

/// What folding a history needs of its events with a sequence above `after`.
pub(super) fn loaded(events: Vec<StoredEvent>, after: u64) -> Loaded {
    let mut loaded = Loaded { events: Vec::new(), head: Head::START };
    for stored in events {
        if stored.event.sequence < after {
            continue;
        }
        loaded.head = stored.head();
        let event = stored.event;
        if event.sequence > after {
            loaded.events.push(LoadedEvent {
                sequence: event.sequence,
                event_type: event.event_type.into_owned(),
                event_version: event.event_version.into_owned(),
                payload: event.payload.into(),
            });
        }
    }
    loaded
}

/// The events of a pack that are still to be read, one call after another.
#[derive(Default)]
pub(super) struct Rest(std::vec::IntoIter<StoredEvent>);

impl Rest {
    pub(super) fn of(lines: &[u8]) -> Result<Self, StoreError> {
        Ok(Self(unpacked(lines)?.into_iter()))
    }

    /// The next of them after a position.
    pub(super) fn take(&mut self, after: u64, limit: usize) -> Vec<StoredEvent> {
        self.0.by_ref().filter(|event| event.position > after).take(limit).collect()
    }
}

/// A pack as an audit looks at it: with the rows in its range of positions, and with what the
/// index says of its histories.
pub(super) struct Audited {
    /// Through which position the pack before it reaches.
    follows: Option<i64>,
    begins_after: i64,
    through: i64,
    events: Vec<StoredEvent>,
}

impl Audited {
    pub(super) fn new(
        follows: Option<i64>,
        (begins_after, through): (i64, i64),
        lines: &[u8],
    ) -> Result<Self, StoreError> {
        Ok(Self { follows, begins_after, through, events: unpacked(lines)? })
    }

    /// Behind which position and up to which one its rows are. Those of the first pack from below
    /// the first possible position on: what was put there is found too.
    pub(super) fn range(&self) -> (i64, i64) {
        (self.follows.unwrap_or(i64::MIN), self.through)
    }

    /// The histories that it has events of.
    pub(super) fn streams(&self) -> HashSet<&StreamId> {
        self.events.iter().map(|event| &event.event.stream).collect()
    }

    /// Every event of the pack, and every row in its range that is not one of them, in order of
    /// position, as `rows` are. `index` says where those histories stand that have no rows.
    pub(super) fn scan(
        &self,
        rows: Vec<Scanned>,
        index: &HashMap<StreamId, PackedStream>,
    ) -> Vec<Scanned> {
        let mut streams: HashMap<&StreamId, Seen<'_>> = HashMap::new();
        let mut rows = rows.into_iter().peekable();
        let mut scanned = Vec::with_capacity(self.events.len());
        let stray = |row| Scanned { amiss: Some("has a row, and is not in its pack"), ..row };
        for stored in &self.events {
            let own = Scanned::from(stored);
            while let Some(row) = rows.next_if(|row| row.position < own.position) {
                scanned.push(stray(row));
            }
            let row = rows.next_if(|row| row.position == own.position);
            let seen = streams.entry(&stored.event.stream).or_insert(Seen {
                events: 0,
                rows: 0,
                last: stored,
            });
            seen.events += 1;
            seen.rows += u64::from(row.is_some());
            seen.last = stored;
            scanned.push(match row {
                Some(row) if row != own => {
                    Scanned { amiss: Some("is not the event that stands in its pack"), ..row }
                }
                _ => own,
            });
        }
        scanned.extend(rows.map(stray));
        let through = u64::try_from(self.through).unwrap_or(0);
        let amiss: HashMap<_, _> = streams
            .iter()
            .filter_map(|(stream, seen)| {
                Some((stream.to_string(), seen.amiss(index.get(stream), through)?))
            })
            .collect();
        for event in &mut scanned {
            event.amiss = event.amiss.or_else(|| amiss.get(&*event.stream).copied());
        }
        let reaches = self.events.last().is_some_and(|last| last.position == through);
        let follows = self.begins_after == self.follows.unwrap_or(0);
        if !(reaches && follows)
            && let Some(event) = scanned.first_mut()
        {
            event.amiss = Some("is in a pack that does not hold what it is said to hold");
        }
        scanned
    }
}

/// What was seen of one history in a pack.
struct Seen<'a> {
    events: u64,
    /// How many of these have a row besides.
    rows: u64,
    last: &'a StoredEvent,
}

impl Seen<'_> {
    /// What is wrong with where the history is looked for: in its rows, or where it has none, in
    /// the packs that the index names.
    fn amiss(&self, index: Option<&PackedStream>, through: u64) -> Option<&'static str> {
        let Some(packed) = index else {
            let what = "has no row, and no pack is named for its history";
            return (self.rows < self.events).then_some(what);
        };
        if self.rows > 0 {
            return Some("has a row although another pack is named for its history");
        }
        let ends_here = packed.head == self.last.head()
            && packed.position == self.last.position
            && packed.packs.last() == Some(&through);
        let goes_on = self.last.event.sequence < packed.head.sequence
            && self.last.position < packed.position
            && packed.packs.contains(&through)
            && packed.packs.last() != Some(&through);
        (!ends_here && !goes_on).then_some("is not in the packs that are named for its history")
    }
}
