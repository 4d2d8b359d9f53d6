//! What goes wrong, and when: all of it follows from the seed.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;

/// How many milliseconds, but for the clock.
type Ms = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`; started again after that time.
    NodeKilled { node: usize, ms: Ms },
    /// SIGTERM, as when a new version comes; started again at once.
    NodeRestarted { node: usize },
    /// No fault: SIGTERM to a node of an earlier version, and this version starts in its place.
    NodeUpgraded { node: usize },
    /// SIGSTOP, and SIGCONT after that time: the node goes on with what it knew.
    NodeStopped { node: usize, ms: Ms },
    /// `kill -9` of every process of PostgreSQL at once.
    DatabaseKilled { ms: Ms },
    /// Connections between the node and PostgreSQL break, and none can be made.
    LinkCut { node: usize, ms: Ms },
    /// They stay, and nothing comes through.
    LinkHangs { node: usize, ms: Ms },
    /// Everything takes longer.
    LinkSlow { node: usize, ms: Ms, delay: Ms },
    /// No file grows any more: PostgreSQL's, or those of the node on SQLite.
    DiskFull { ms: Ms },
    /// Each fsync takes longer.
    DiskSlow { ms: Ms, delay: Ms },
    /// Each fsync fails.
    DiskBroken { ms: Ms },
    /// The node's clock jumps, and back again.
    ClockMoved { node: usize, ms: Ms, by_ms: i64 },
    /// No fault, but it comes at the wrong time: the operator has a new key sign.
    KeyRotated { node: usize },
}

/// What every node may suffer, whatever it stores in.
const OF_ANY: [Kind; 8] = [
    Kind::NodeKilled,
    Kind::NodeRestarted,
    Kind::NodeStopped,
    Kind::DiskFull,
    Kind::DiskSlow,
    Kind::DiskBroken,
    Kind::ClockMoved,
    Kind::KeyRotated,
];
const OF_POSTGRES: [Kind; 4] =
    [Kind::DatabaseKilled, Kind::LinkCut, Kind::LinkHangs, Kind::LinkSlow];

#[derive(Clone, Copy)]
enum Kind {
    NodeKilled,
    NodeRestarted,
    NodeStopped,
    DatabaseKilled,
    LinkCut,
    LinkHangs,
    LinkSlow,
    DiskFull,
    DiskSlow,
    DiskBroken,
    ClockMoved,
    KeyRotated,
}

/// Faults that strike together after a quiet time. Then all has to recover.
#[derive(Debug)]
pub struct Step {
    pub quiet: Duration,
    pub faults: Vec<Fault>,
}

/// About how long it takes until all works again after a step.
const RECOVERING: Ms = 900;

/// The steps of a run that lasts about so long. Every kind comes before one comes again.
pub fn schedule(chance: &mut Chance, nodes: usize, postgres: bool, lasts: Duration) -> Vec<Step> {
    let mut kinds = OF_ANY.to_vec();
    if postgres {
        kinds.extend(OF_POSTGRES);
    }
    let (mut deck, mut steps, mut time) = (Vec::new(), Vec::new(), 0);
    while u128::from(time) < lasts.as_millis() {
        let mut draw = |chance: &mut Chance| {
            if deck.is_empty() {
                deck.clone_from(&kinds);
                chance.shuffle(&mut deck);
            }
            let kind = deck.pop().expect("it was filled");
            Fault::of(kind, chance, nodes)
        };
        let mut faults = vec![draw(chance)];
        if chance.one_in(2) {
            faults.push(draw(chance));
        }
        if let [first, second] = &faults[..]
            && first.befalls_the_process_of(second)
        {
            faults.pop();
        }
        let quiet = chance.within(100..700);
        let longest = faults.iter().map(|fault| fault.lasts().as_millis()).max().unwrap_or(0);
        time += quiet + RECOVERING + u64::try_from(longest).unwrap();
        steps.push(Step { quiet: Duration::from_millis(quiet), faults });
    }
    steps
}

/// Brings one node after the other to this version in the course of these steps.
pub fn upgrade(steps: &mut Vec<Step>, nodes: usize) {
    let all = steps.len();
    for node in (0..nodes).rev() {
        let faults = vec![Fault::NodeUpgraded { node }];
        let step = Step { quiet: Duration::from_millis(500), faults };
        steps.insert(all * (node + 1) / (nodes + 1), step);
    }
}

impl Fault {
    fn of(kind: Kind, chance: &mut Chance, nodes: usize) -> Self {
        let node = chance.index(nodes);
        let ms = chance.within(200..1200);
        match kind {
            Kind::NodeKilled => Self::NodeKilled { node, ms: ms - 200 },
            // Longer than anything may be out of date.
            Kind::NodeRestarted => Self::NodeRestarted { node },
            Kind::KeyRotated => Self::KeyRotated { node },
            Kind::NodeStopped => Self::NodeStopped { node, ms: ms * 2 + 600 },
            Kind::DatabaseKilled => Self::DatabaseKilled { ms: ms - 200 },
            Kind::LinkCut => Self::LinkCut { node, ms: ms * 3 },
            Kind::LinkHangs => Self::LinkHangs { node, ms: ms * 3 },
            Kind::LinkSlow => Self::LinkSlow { node, ms: ms * 2, delay: chance.within(5..60) },
            Kind::DiskFull => Self::DiskFull { ms },
            Kind::DiskSlow => Self::DiskSlow { ms: ms * 2, delay: chance.within(20..300) },
            Kind::DiskBroken => Self::DiskBroken { ms },
            Kind::ClockMoved => {
                let by_ms = i64::try_from(chance.within(1000..40_000)).unwrap();
                let by_ms = if chance.one_in(2) { by_ms } else { -by_ms };
                Self::ClockMoved { node, ms: ms * 2, by_ms }
            }
        }
    }

    pub fn lasts(self) -> Duration {
        let ms = match self {
            Self::NodeRestarted { .. } | Self::NodeUpgraded { .. } | Self::KeyRotated { .. } => 0,
            Self::NodeKilled { ms, .. }
            | Self::NodeStopped { ms, .. }
            | Self::DatabaseKilled { ms }
            | Self::LinkCut { ms, .. }
            | Self::LinkHangs { ms, .. }
            | Self::LinkSlow { ms, .. }
            | Self::DiskFull { ms }
            | Self::DiskSlow { ms, .. }
            | Self::DiskBroken { ms }
            | Self::ClockMoved { ms, .. } => ms,
        };
        Duration::from_millis(ms)
    }

    /// One process can't be killed and stopped at once.
    fn befalls_the_process_of(self, other: &Self) -> bool {
        let process = |fault: Self| match fault {
            Self::NodeKilled { node, .. }
            | Self::NodeRestarted { node }
            | Self::NodeStopped { node, .. } => Some(node),
            _ => None,
        };
        process(self).is_some() && process(self) == process(*other)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after {} ms: ", self.quiet.as_millis())?;
        let faults: Vec<_> = self.faults.iter().map(|fault| format!("{fault:?}")).collect();
        write!(out, "{}", faults.join(" and "))
    }
}
