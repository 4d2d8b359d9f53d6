//! The history of a grant as a drawing: from its events to steps between lanes,
//! tokens that live from one step to another, and the run of refreshes that
//! nobody wants to see one by one. Pure; [`chart`](super::chart) gives it a shape.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chancery_domain::grant::{
    AccessTokenFacts, GrantEvent, IssuedTokens, RefreshTokenReused, RevocationCause,
};

use super::page::duration;

/// So many events in a row are not drawn one by one.
const FEWEST_IN_A_RUN: usize = 4;

/// How many tokens of a kind are drawn beside each other.
pub const SLOTS: usize = 4;

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Person,
    Client,
    Server,
    Access,
    Refresh,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Refused, and worth a look.
    Warn,
    /// Somebody had what was not theirs, or everything ended.
    Bad,
}

/// An event to be drawn.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub sequence: u64,
    /// By the clock of the store, in milliseconds.
    pub at_ms: i64,
    pub event: &'a GrantEvent,
    /// What happened, in words.
    pub summary: &'a str,
    /// The event that this one answers.
    pub cause: Option<&'a str>,
}

/// A message from one lane to another, or within one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    pub from: Lane,
    pub to: Lane,
    pub label: String,
    pub tone: Tone,
}

/// What a step is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Event {
        sequence: u64,
        summary: String,
    },
    /// Events from one sequence to another, told in a word.
    Run {
        first: u64,
        last: u64,
        label: String,
    },
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: What,
    /// How long after the row before.
    pub after: String,
    pub arrow: Option<Arrow>,
    /// Everything ends here.
    pub ends_all: bool,
    /// What of another aggregate it answers.
    pub cause: Option<String>,
}

/// How a token's life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Open,
    Expired,
    /// By its successor.
    Replaced,
    Revoked,
}

/// A token, from the row that brought it to the one that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub lane: Lane,
    /// Which one of those beside each other.
    pub slot: usize,
    /// `A1`, `R1`; empty: several of a run.
    pub name: String,
    pub from: usize,
    /// A row, or the number of rows: the end of the drawing.
    pub to: usize,
    pub ending: Ending,
}

/// A refresh token that came again, after it had been replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub from: usize,
    pub to: usize,
    pub name: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Those that take part, from left to right.
    pub lanes: Vec<Lane>,
    pub steps: Vec<Step>,
    pub lives: Vec<Life>,
    pub branches: Vec<Branch>,
    /// Events that are not drawn one by one.
    pub folded: usize,
}

/// What to leave out.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The event that is looked at: drawn in any case.
    pub selected: Option<u64>,
    /// Draw every event.
    pub all: bool,
    /// In milliseconds.
    pub now_ms: i64,
}

impl Drawing {
    /// Draws these events, the oldest first.
    #[must_use]
    pub fn of(entries: &[Entry<'_>], view: View) -> Self {
        let mut pen = Pen::default();
        let events: Vec<_> = entries.iter().map(|entry| (entry.sequence, entry.event)).collect();
        for range in runs(&events, view) {
            match entries.get(range) {
                Some([single]) => pen.draw(single),
                Some(run) => pen.fold(run),
                None => {}
            }
        }
        pen.finish(view.now_ms)
    }
}

/// Where the events stand that are shown together: each by itself, or the middle of
/// a run of routine.
#[must_use]
pub fn runs(events: &[(u64, &GrantEvent)], view: View) -> Vec<Range<usize>> {
    let routine = |index: usize| {
        events.get(index).is_some_and(|(sequence, event)| {
            is_routine(event) && view.selected != Some(*sequence) && !view.all
        })
    };
    // The first and the last of a run are shown.
    let dull =
        |index: &usize| *index > 0 && routine(*index - 1) && routine(*index) && routine(*index + 1);
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < events.len() {
        let length = (start..events.len()).take_while(dull).count();
        let end = start + if length >= FEWEST_IN_A_RUN { length } else { 1 };
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// What happens over and over in a grant that is well.
const fn is_routine(event: &GrantEvent) -> bool {
    matches!(
        event,
        GrantEvent::RefreshTokenRotated(_)
            | GrantEvent::RefreshTokenUsed(_)
            | GrantEvent::AccessTokenRevoked(_)
    )
}

/// A token that may be alive.
struct Living {
    number: u32,
    expires_at: i64,
    /// Its place in the drawing; several of a run share one.
    life: usize,
}

/// Draws row by row.
#[derive(Default)]
struct Pen {
    lanes: BTreeSet<Lane>,
    steps: Vec<Step>,
    lives: Vec<Life>,
    branches: Vec<Branch>,
    folded: usize,
    last_ms: Option<i64>,
    access: Vec<Living>,
    refresh: Option<Living>,
    /// In which row each refresh token came.
    generations: BTreeMap<u32, usize>,
}

impl Pen {
    fn draw(&mut self, entry: &Entry<'_>) {
        let row = self.begin(entry.at_ms);
        let arrow = self.arrow(entry);
        self.lanes.extend([arrow.from, arrow.to]);
        let ends_all = matches!(entry.event, GrantEvent::GrantRevoked(_));
        self.note(entry.event, row);
        let what = What::Event { sequence: entry.sequence, summary: entry.summary.to_owned() };
        let cause = entry.cause.filter(|_| ends_all).map(str::to_owned);
        let after = self.after(entry.at_ms);
        self.steps.push(Step { what, after, arrow: Some(arrow), ends_all, cause });
    }

    /// Several events as one row.
    fn fold(&mut self, run: &[Entry<'_>]) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let row = self.begin(last.at_ms);
        let revoked = |entry: &&Entry<'_>| matches!(entry.event, GrantEvent::AccessTokenRevoked(_));
        let revocations = run.iter().filter(revoked).count();
        self.note_folded(run, row);
        self.expire(last.at_ms, row);
        let refreshes = run.len() - revocations;
        let label = match revocations {
            0 => format!("{refreshes} more refreshes"),
            _ => format!("{refreshes} refreshes, {revocations} revoked"),
        };
        let what = What::Run { first: first.sequence, last: last.sequence, label };
        let after = self.after(last.at_ms);
        self.steps.push(Step { what, after, arrow: None, ends_all: false, cause: None });
        self.folded += run.len();
    }

    fn finish(mut self, now_ms: i64) -> Drawing {
        let end = self.steps.len();
        self.expire(now_ms, end);
        let open = std::mem::take(&mut self.access).into_iter().chain(self.refresh.take());
        for living in open.collect::<Vec<_>>() {
            self.close(living.life, end, Ending::Open);
        }
        self.lanes.insert(Lane::Server);
        self.lanes.extend(self.lives.iter().map(|life| life.lane));
        Drawing {
            lanes: self.lanes.into_iter().collect(),
            steps: self.steps,
            lives: self.lives,
            branches: self.branches,
            folded: self.folded,
        }
    }

    /// The next row; what has expired by then ends above it.
    fn begin(&mut self, at_ms: i64) -> usize {
        let row = self.steps.len();
        self.expire(at_ms, row);
        row
    }

    fn after(&mut self, at_ms: i64) -> String {
        let before = self.last_ms.replace(at_ms);
        let passed = before.map(|before| (at_ms - before).div_euclid(1000));
        passed
            .filter(|seconds| *seconds > 0)
            .map(|s| format!("+{}", duration(s)))
            .unwrap_or_default()
    }

    /// What of the tokens changes.
    fn note(&mut self, event: &GrantEvent, row: usize) {
        if let Some(tokens) = event.issued_tokens() {
            self.issue_access(&tokens.access, format!("A{}", tokens.access.number), row);
            self.issue_refresh(tokens, row);
        }
        if let Some(access) = event.front_channel_tokens().and_then(|tokens| tokens.access.as_ref())
        {
            self.issue_access(access, format!("A{}", access.number), row);
        }
        match event {
            GrantEvent::AccessTokenRevoked(event) => self.revoke_access(event.number, row),
            GrantEvent::RefreshTokenReused(event) => self.branch(event, row),
            GrantEvent::GrantRevoked(_) => self.revoke_all(row),
            _ => {}
        }
    }

    /// The same within a run: its tokens share one life of each kind.
    fn note_folded(&mut self, run: &[Entry<'_>], row: usize) {
        let issued: Vec<_> = run.iter().filter_map(|entry| entry.event.issued_tokens()).collect();
        let shared = self.lives.len();
        for tokens in &issued {
            if self.lives.len() == shared {
                self.issue_access(&tokens.access, String::new(), row);
            } else {
                let access = &tokens.access;
                let (number, expires_at) = (access.number, access.expires_at.seconds());
                self.access.push(Living { number, expires_at, life: shared });
            }
        }
        for entry in run {
            if let GrantEvent::AccessTokenRevoked(event) = entry.event {
                self.revoke_access(event.number, row);
            }
        }
        let rotated = issued.iter().filter_map(|tokens| tokens.refresh.as_ref());
        self.generations.extend(rotated.map(|refresh| (refresh.generation, row)));
        let last = issued.iter().rev().find(|tokens| tokens.refresh.is_some());
        let lives = self.lives.len();
        if let Some(tokens) = last {
            self.issue_refresh(tokens, row);
        }
        if let Some(life) = self.lives.get_mut(lives) {
            life.name.clear();
        }
    }

    fn issue_access(&mut self, facts: &AccessTokenFacts, name: String, row: usize) {
        let taken: BTreeSet<usize> = self
            .access
            .iter()
            .filter_map(|living| self.lives.get(living.life))
            .map(|life| life.slot)
            .collect();
        let slot = (0..SLOTS).find(|slot| !taken.contains(slot)).unwrap_or(SLOTS - 1);
        let living = Living {
            number: facts.number,
            expires_at: facts.expires_at.seconds(),
            life: self.lives.len(),
        };
        self.access.push(living);
        let (lane, ending) = (Lane::Access, Ending::Open);
        self.lives.push(Life { lane, slot, name, from: row, to: row, ending });
    }

    fn issue_refresh(&mut self, tokens: &IssuedTokens, row: usize) {
        let Some(facts) = &tokens.refresh else { return };
        if let Some(living) = &mut self.refresh {
            if living.number == facts.generation {
                living.expires_at = facts.expires_at.seconds();
                return;
            }
            let life = living.life;
            self.close(life, row, Ending::Replaced);
        }
        self.begin_refresh(facts.generation, facts.expires_at.seconds(), row);
    }

    fn begin_refresh(&mut self, number: u32, expires_at: i64, row: usize) {
        self.refresh = Some(Living { number, expires_at, life: self.lives.len() });
        self.generations.insert(number, row);
        self.lives.push(Life {
            lane: Lane::Refresh,
            slot: 0,
            name: format!("R{number}"),
            from: row,
            to: row,
            ending: Ending::Open,
        });
    }

    fn branch(&mut self, event: &RefreshTokenReused, row: usize) {
        let Some(from) = self.generations.get(&event.generation) else { return };
        let name = format!("R{}", event.generation);
        self.branches.push(Branch { from: *from, to: row, name });
    }

    fn revoke_access(&mut self, number: u32, row: usize) {
        let found = self.access.iter().position(|living| living.number == number);
        let Some(living) = found.map(|index| self.access.swap_remove(index)) else { return };
        self.close(living.life, row, Ending::Revoked);
    }

    fn revoke_all(&mut self, row: usize) {
        let ended = std::mem::take(&mut self.access).into_iter().chain(self.refresh.take());
        for living in ended.collect::<Vec<_>>() {
            self.close(living.life, row, Ending::Revoked);
        }
    }

    /// Ends what has expired by then.
    fn expire(&mut self, at_ms: i64, row: usize) {
        let has_expired = |living: &Living| living.expires_at.saturating_mul(1000) <= at_ms;
        let (mut expired, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.access).into_iter().partition(has_expired);
        self.access = alive;
        expired.extend(self.refresh.take_if(|living| has_expired(living)));
        for living in expired {
            self.close(living.life, row, Ending::Expired);
        }
    }

    /// A life that several tokens share ends with the last of them.
    fn close(&mut self, life: usize, row: usize, ending: Ending) {
        if self.access.iter().any(|living| living.life == life) {
            return;
        }
        if let Some(life) = self.lives.get_mut(life) {
            life.to = row;
            life.ending = ending;
        }
    }

    /// How many tokens can still be used.
    fn alive(&self) -> usize {
        self.access.len() + usize::from(self.refresh.is_some())
    }

    fn arrow(&self, entry: &Entry<'_>) -> Arrow {
        use Lane::{Client, Person, Server};
        let (from, to, label, tone) = match entry.event {
            GrantEvent::RequestPushed(_) | GrantEvent::TokensIssued(_) => {
                (Client, Server, "request".to_owned(), Tone::Plain)
            }
            GrantEvent::RequestReceived(_) => (Person, Server, "request".to_owned(), Tone::Plain),
            GrantEvent::SubjectAuthenticated(_) => {
                (Person, Server, "login".to_owned(), Tone::Plain)
            }
            GrantEvent::ConsentGiven(event) => match &event.presented {
                Some(_) => (Person, Server, "consent".to_owned(), Tone::Plain),
                None => (Server, Server, "consent known".to_owned(), Tone::Plain),
            },
            GrantEvent::RequestDeclined(_) => (Server, Client, "declined".to_owned(), Tone::Warn),
            GrantEvent::CodeIssued(_) => (Server, Client, "code".to_owned(), Tone::Plain),
            GrantEvent::FrontChannelTokensIssued(_) => {
                (Server, Client, "tokens".to_owned(), Tone::Plain)
            }
            GrantEvent::CodeRedeemed(_) => (Client, Server, "code".to_owned(), Tone::Plain),
            GrantEvent::CodeReplayed(_) => (Client, Server, "code again".to_owned(), Tone::Bad),
            GrantEvent::RefreshTokenRotated(_) | GrantEvent::RefreshTokenUsed(_) => {
                let used = self.refresh.as_ref().map_or(0, |living| living.number);
                (Client, Server, format!("R{used}"), Tone::Plain)
            }
            GrantEvent::RefreshTokenReused(event) => {
                (Client, Server, format!("R{} again", event.generation), Tone::Bad)
            }
            GrantEvent::RefusalNoted(_) => (Client, Server, "refused".to_owned(), Tone::Warn),
            GrantEvent::AccessTokenRevoked(event) => {
                (Client, Server, format!("revoke A{}", event.number), Tone::Plain)
            }
            GrantEvent::GrantRevoked(event) => {
                let label = match self.alive() {
                    0 => "all ends".to_owned(),
                    1 => "ends 1 token".to_owned(),
                    alive => format!("ends {alive} tokens"),
                };
                match event.cause {
                    RevocationCause::RevokedByClient => {
                        (Client, Server, "revoke".to_owned(), Tone::Bad)
                    }
                    _ => (Server, Server, label, Tone::Bad),
                }
            }
        };
        Arrow { from, to, label, tone }
    }
}

#[cfg(test)]
mod tests;
