//! The chains of the aggregates, and the list of heads that shows when one was
//! cut off.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use serde::Deserialize;

use super::events::{Chain, Events};
use crate::archive::{Archive, Refused};
use crate::event;
use crate::format::{Base64Url, HeadLine, names};
use crate::merkle::{Hash, Tree};
use crate::report::{AggregateFacts, Report, Section, counted};

/// The payload of an event `HeadsListed`.
#[derive(Debug, Deserialize)]
struct HeadsListed {
    through: u64,
    aggregates: u64,
    root: Base64Url,
}

/// A list of heads that stands in the log.
#[derive(Debug)]
struct List {
    /// The position of its event.
    position: u64,
    /// It covers the log up to this position.
    through: u64,
    tree: Tree,
}

type Name = (String, String);

/// Says of each aggregate how far its history is whole.
pub fn check(
    archive: &mut Archive<impl Read + Seek>,
    events: &Events,
    report: &mut Report,
) -> Result<(), Refused> {
    let list = latest_list(events);
    let covered = covered(archive, events, list.as_ref(), report)?;
    let (mut whole, mut younger) = (0, 0);
    for (name, chain) in &events.chains {
        let complete_through = match &list {
            Some(list) if covered.contains(name) => {
                whole += 1;
                Some(list.through)
            }
            Some(list) if first_position(events, chain) <= list.through => {
                if !chain.broken && !report.is_altered(Section::Aggregates) {
                    let text = format!(
                        "{} {} is older than the list of heads, but has no entry of it here: \
                         whether its last events were left out cannot be checked",
                        name.0, name.1
                    );
                    report.missing(Section::Aggregates, text);
                }
                None
            }
            Some(_) => {
                younger += 1;
                None
            }
            None => None,
        };
        report.aggregates.push(AggregateFacts {
            kind: name.0.clone(),
            id: name.1.clone(),
            events: chain.events.len() as u64,
            complete_through,
        });
    }
    conclude(events, list.as_ref(), (whole, younger), report);
    Ok(())
}

fn conclude(
    events: &Events,
    list: Option<&List>,
    (whole, younger): (u64, u64),
    report: &mut Report,
) {
    let count = events.chains.len();
    if count > 0 && events.chains.values().all(|chain| !chain.broken) {
        let text = format!(
            "{} with a history from the first event on, without a gap: each event names the \
             digest of the one before.",
            counted(count, "aggregate")
        );
        report.proved(Section::Aggregates, text);
    }
    let Some(list) = list else {
        let text = "There is no list of heads that stands in the log: whether the last events of \
                    an aggregate were left out cannot be checked.";
        report.missing(Section::Aggregates, text);
        return;
    };
    let through = list.through;
    if whole > 0 {
        let text = format!(
            "{} complete up to position {through}: the log's own list of heads, at position {}, \
             says where each history ended then.",
            counted(whole, "aggregate"),
            list.position
        );
        report.proved(Section::Aggregates, text);
    }
    report.open(
        Section::Aggregates,
        format!(
            "What happened to them after position {through} is here as far as it was exported; \
             that nothing of it was left out only the next list of heads can show."
        ),
    );
    if younger > 0 {
        let text = format!(
            "{} younger than that list: no list covers what was left out there.",
            counted(younger, "aggregate")
        );
        report.open(Section::Aggregates, text);
    }
}

/// The latest list whose event is proved to stand in the log.
fn latest_list(events: &Events) -> Option<List> {
    let lists = events
        .telling
        .iter()
        .filter(|event| event.aggregate_type == "log" && event.event_type == "HeadsListed");
    lists
        .filter_map(|event| {
            let own = events.all.get(event.index).filter(|own| own.proved)?;
            let listed = HeadsListed::deserialize(&event.payload).ok()?;
            let tree = Tree { size: listed.aggregates, root: listed.root.0 };
            Some(List { position: own.position, through: listed.through, tree })
        })
        .max_by_key(|list| list.through)
}

/// The aggregates of the bundle whose entry in the list is proved, and agrees.
fn covered(
    archive: &mut Archive<impl Read + Seek>,
    events: &Events,
    list: Option<&List>,
    report: &mut Report,
) -> Result<BTreeSet<Name>, Refused> {
    let mut covered = BTreeSet::new();
    let found = archive.lines(names::HEADS, |number, line| {
        let head = match serde_json::from_slice::<HeadLine>(line) {
            Ok(head) => head,
            Err(error) => {
                let text = format!("line {number} of {} is no head: {error}", names::HEADS);
                report.altered(Section::Aggregates, text);
                return;
            }
        };
        // Without a list that is proved there is nothing to compare with: that is told.
        let Some(list) = list else { return };
        match agrees(&head, events, list) {
            Ok(()) => {
                covered.insert((head.aggregate_type, head.aggregate_id));
            }
            Err(why) => {
                let text = format!("{} {}: {why}", head.aggregate_type, head.aggregate_id);
                report.altered(Section::Aggregates, text);
            }
        }
    })?;
    if !found {
        report.missing(Section::Aggregates, format!("{} is not there", names::HEADS));
    }
    Ok(covered)
}

fn agrees(head: &HeadLine, events: &Events, list: &List) -> Result<(), String> {
    if list.position != head.list {
        return Err(format!(
            "its entry is of the list at position {}, which is not the latest list of heads \
             that stands in the log here",
            head.list
        ));
    }
    let path: Vec<Hash> = head.proof.iter().map(|hash| hash.0).collect();
    let (kind, id) = (&head.aggregate_type, &head.aggregate_id);
    let leaf = event::head_leaf(kind, id, head.sequence, &head.digest.0);
    if !list.tree.includes(head.index, &leaf, &path) {
        return Err("its entry does not stand in the list of heads".to_owned());
    }
    let Some(chain) = events.chains.get(&(kind.clone(), id.clone())) else {
        return Err("it has an entry in the list of heads, and not one event here".to_owned());
    };
    let event = |sequence: u64| {
        let index = usize::try_from(sequence).ok()?.checked_sub(1)?;
        events.all.get(*chain.events.get(index)?)
    };
    let Some(own) = event(head.sequence) else {
        return Err(format!(
            "the list of heads knows {} events, here are {}: the last were left out",
            head.sequence,
            chain.events.len()
        ));
    };
    if own.digest != head.digest.0 {
        return Err(format!("event {} is not the one of the list of heads", head.sequence));
    }
    let next = head.sequence.checked_add(1).and_then(event);
    if own.position > list.through || next.is_some_and(|next| next.position <= list.through) {
        return Err("the list of heads and the positions of its events disagree".to_owned());
    }
    Ok(())
}

fn first_position(events: &Events, chain: &Chain) -> u64 {
    let first = chain.events.first().and_then(|index| events.all.get(*index));
    first.map_or(u64::MAX, |event| event.position)
}
