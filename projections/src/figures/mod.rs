//! The figures of analysts, added up: by day (UTC) and by the hours of the last
//! three days, of each client and of all together.
//!
//! A number belongs to the hour in which it happened, or in which its grant was
//! opened ([`Name`] says which), also when it comes to be known much later. So
//! the fold has to know what came before in the same grant. It keeps grants
//! that are on their way to a token in mind; of all others, and after a
//! restart, whoever drives it looks the history up and tells it
//! ([`Fold::wants`], [`Fold::recall`]). The rows are sums: what a fold has
//! counted is added to what stands there ([`Addition`]), in the transaction
//! that moves the checkpoint.

mod histogram;
mod life;
mod name;
mod sum;

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{GrantEvent, RevocationCause};
use chancery_domain::ids::AggregateKind;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::tally::{TallyEvent, WindowCounted};
use chancery_domain::time::UnixTime;

pub use self::histogram::{Histogram, NoHistogram, rounded_up};
use self::life::Life;
pub use self::name::{Answer, Name, Request, Step, UnknownName, Whose, Word};
pub use self::sum::{Addition, FIGURES, Grain, HOURS_KEPT, Place, Sum, Unreadable};
use crate::grants::cause;
use crate::{Change, Recorded, Table};

/// Names its checkpoint.
pub const NAME: &str = "figures";

/// Another number builds it anew from the whole log.
pub const VERSION: u32 = 1;

/// Where its rows stand.
pub static TABLES: &[&Table] = &[&FIGURES];

/// The aggregates whose events it counts.
pub const READS: &[AggregateKind] = &[AggregateKind::Grant, AggregateKind::Tally];

/// How many grants are kept in mind. Those that are forgotten are looked up when they go on.
const KEPT: usize = 4096;

/// What is to be added to rows.
#[derive(Debug, Clone, Default)]
pub struct Counted(BTreeMap<(i64, Whose, Name), Sum>);

impl Counted {
    /// The same as changes.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        self.rows().map(|(place, sum)| place.addition(sum))
    }

    /// What is to be added to which row: each number to its hour and its day, for its client and
    /// for all.
    fn rows(&self) -> impl Iterator<Item = (Place, Sum)> + '_ {
        self.0.iter().flat_map(|((hour, whose, name), sum)| {
            let places = Grain::ALL.into_iter().flat_map(move |grain| {
                [Whose::All, whose.clone()].map(|whose| (grain, grain.start_of(*hour), whose))
            });
            places.map(|(grain, start, whose)| {
                let place = Place { grain, whose, start, name: name.clone() };
                (place, Sum { start, ..sum.clone() })
            })
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sum(&mut self, at_ms: i64, whose: Whose, name: Name) -> &mut Sum {
        let hour = Grain::Hour.start_of(at_ms.div_euclid(1000));
        self.0.entry((hour, whose, name)).or_default()
    }

    fn add(&mut self, at_ms: i64, whose: Whose, name: Name, number: i64) {
        let sum = self.sum(at_ms, whose, name);
        sum.number = sum.number.saturating_add(number);
    }

    /// Counts one that took so long.
    fn time(&mut self, at_ms: i64, whose: Whose, name: Name, time: u64) {
        let sum = self.sum(at_ms, whose, name);
        sum.number = sum.number.saturating_add(1);
        sum.longest = sum.longest.max(Some(time));
        sum.times.note(time);
    }
}

/// Counts events, in the order of the log.
#[derive(Debug, Default)]
pub struct Fold {
    /// Grants as far as they have been seen.
    lives: BTreeMap<Arc<str>, Life>,
}

impl Fold {
    /// Must the events before this one in its grant's history be told, before it is counted?
    #[must_use]
    pub fn wants(&self, event: &Recorded) -> bool {
        let AnyEvent::Grant(happened) = &event.event else { return false };
        event.sequence > 1 && looks_back(happened) && !self.lives.contains_key(&event.id)
    }

    /// Tells a grant's events before the one that is counted next, from the first.
    pub fn recall<'a>(&mut self, before: impl IntoIterator<Item = &'a Recorded>) {
        for event in before {
            let AnyEvent::Grant(happened) = &event.event else { continue };
            let at_ms = event.happened_at_ms();
            let life =
                self.lives.entry(Arc::clone(&event.id)).or_insert_with(|| Life::opened(at_ms));
            life.apply(happened, at_ms);
        }
    }

    /// Counts an event.
    pub fn count(&mut self, event: &Recorded, counted: &mut Counted) {
        match &event.event {
            AnyEvent::Tally(TallyEvent::WindowCounted(window)) => count_window(window, counted),
            AnyEvent::Grant(happened) => {
                let at_ms = event.happened_at_ms();
                count_by_itself(event, happened, at_ms, counted);
                self.count_in_its_life(event, happened, at_ms, counted);
            }
            _ => {}
        }
    }

    fn count_in_its_life(
        &mut self,
        event: &Recorded,
        happened: &GrantEvent,
        at_ms: i64,
        counted: &mut Counted,
    ) {
        // A direct grant is over as soon as it begins, unless it is revoked later.
        if let (1, GrantEvent::TokensIssued(issued)) = (event.sequence, happened) {
            let whose = Whose::Client(issued.authorization.client_id.clone());
            let name = Name::Grants(Word::Borrowed(issued.grant_type.as_str()));
            counted.add(at_ms, whose, name, 1);
            return;
        }
        if event.sequence == 1 {
            while self.lives.len() >= KEPT {
                // Ids grow with time.
                self.lives.pop_first();
            }
            self.lives.insert(Arc::clone(&event.id), Life::opened(at_ms));
        }
        let Some(life) = self.lives.get_mut(&event.id) else { return };
        count_change(life, event, happened, at_ms, counted);
        if is_the_end(happened) {
            self.lives.remove(&event.id);
        }
    }
}

/// Can an event be counted only by who knows what came before?
const fn looks_back(event: &GrantEvent) -> bool {
    match event {
        GrantEvent::SubjectAuthenticated(_)
        | GrantEvent::ConsentGiven(_)
        | GrantEvent::RequestDeclined(_)
        | GrantEvent::CodeIssued(_)
        | GrantEvent::FrontChannelTokensIssued(_)
        | GrantEvent::CodeRedeemed(_)
        | GrantEvent::RefreshTokenReused(_)
        | GrantEvent::TokensIssued(_)
        | GrantEvent::GrantRevoked(_) => true,
        GrantEvent::RequestPushed(_)
        | GrantEvent::RequestReceived(_)
        | GrantEvent::CodeReplayed(_)
        | GrantEvent::RefreshTokenRotated(_)
        | GrantEvent::RefreshTokenUsed(_)
        | GrantEvent::RefusalNoted(_)
        | GrantEvent::AccessTokenRevoked(_) => false,
    }
}

/// Does a grant not go on from here, for the most part, in a way that is counted?
const fn is_the_end(event: &GrantEvent) -> bool {
    matches!(
        event,
        GrantEvent::CodeRedeemed(_) | GrantEvent::RequestDeclined(_) | GrantEvent::GrantRevoked(_)
    )
}

fn count_window(window: &WindowCounted, counted: &mut Counted) {
    let at_ms = window.from.seconds().saturating_mul(1000);
    for count in &window.counts {
        let client = count.client_id.as_deref().and_then(|id| id.parse().ok());
        let name = Name::Counted {
            what: Word::Owned(count.what.clone()),
            reason: Word::Owned(count.reason.clone()),
        };
        let number = i64::try_from(count.count).unwrap_or(i64::MAX);
        counted.add(at_ms, Whose::from(client.as_ref()), name, number);
    }
}

/// What an event counts for without any other, when it happened and for whom it did.
fn count_by_itself(event: &Recorded, happened: &GrantEvent, at_ms: i64, counted: &mut Counted) {
    let names: &[Name] = match happened {
        GrantEvent::CodeRedeemed(_) => &[Name::Answered(Answer::Code)],
        GrantEvent::RefreshTokenRotated(_) | GrantEvent::RefreshTokenUsed(_) => {
            &[Name::Answered(Answer::Refresh)]
        }
        GrantEvent::TokensIssued(_) => &[Name::Answered(Answer::Direct)],
        GrantEvent::CodeReplayed(_) | GrantEvent::RefusalNoted(_) => &[Name::Remembered],
        GrantEvent::RefreshTokenReused(_) => &[Name::Remembered, Name::Reused],
        GrantEvent::RequestDeclined(_) => &[Name::RequestDeclined],
        GrantEvent::GrantRevoked(event)
            if matches!(event.cause, RevocationCause::RefreshTokenReused) =>
        {
            &[Name::ReusedRevoked]
        }
        GrantEvent::GrantRevoked(_)
        | GrantEvent::RequestPushed(_)
        | GrantEvent::RequestReceived(_)
        | GrantEvent::SubjectAuthenticated(_)
        | GrantEvent::ConsentGiven(_)
        | GrantEvent::CodeIssued(_)
        | GrantEvent::FrontChannelTokensIssued(_)
        | GrantEvent::AccessTokenRevoked(_) => &[],
    };
    if names.is_empty() {
        return;
    }
    let whose = Whose::from(event.client().as_ref());
    for name in names {
        counted.add(at_ms, whose.clone(), name.clone(), 1);
    }
}

/// What an event changes of its grant, which goes on by it.
fn count_change(
    life: &mut Life,
    event: &Recorded,
    happened: &GrantEvent,
    at_ms: i64,
    counted: &mut Counted,
) {
    let (before, was_revoked) = (life.grant_type, life.revoked);
    let is_new = life::step(happened).is_some_and(|step| life.reached(step).is_none());
    // Of the event itself nothing is asked here.
    match happened {
        GrantEvent::RequestDeclined(_) => count_declined(life, counted),
        GrantEvent::RefreshTokenReused(_) => {
            let alive = life.alive(UnixTime::from_seconds(at_ms.div_euclid(1000))).count();
            let alive = i64::try_from(alive).unwrap_or(i64::MAX);
            let whose = Whose::from(event.client().as_ref());
            counted.add(at_ms, whose, Name::ReusedAlive, alive);
        }
        GrantEvent::GrantRevoked(revoked) if !was_revoked => {
            count_end(life, cause(&revoked.cause), at_ms, counted);
            count_alive(life, cause(&revoked.cause), (revoked.at, at_ms), counted);
        }
        _ => {}
    }
    life.apply(happened, at_ms);
    let (opened, whose) = (life.opened_ms, || Whose::from(life.client.as_ref()));
    if let GrantEvent::RequestReceived(_) = happened {
        counted.add(opened, whose(), Name::Received, 1);
    }
    if let (Some(request), Some(step), true) = (life.by_code, life::step(happened), is_new) {
        let name = Name::Step(request, step);
        match life.taken(step, at_ms) {
            Some(time) => counted.time(opened, whose(), name, time),
            None => counted.add(opened, whose(), name, 1),
        }
    }
    if life.grant_type != before {
        let name = |of: GrantType| Name::Grants(Word::Borrowed(of.as_str()));
        if let Some(before) = before {
            counted.add(opened, whose(), name(before), -1);
        }
        if let Some(now) = life.grant_type {
            counted.add(opened, whose(), name(now), 1);
        }
    }
}

fn count_declined(life: &Life, counted: &mut Counted) {
    let Some(request) = life.by_code else { return };
    for step in life.stands_at() {
        let whose = Whose::from(life.client.as_ref());
        counted.add(life.opened_ms, whose, Name::Declined(request, step), 1);
    }
}

/// How long it lived, if it brought a token.
fn count_end(life: &Life, cause: &'static str, at_ms: i64, counted: &mut Counted) {
    let Some(grant_type) = life.grant_type else { return };
    let (cause, grant_type) = (Word::Borrowed(cause), Word::Borrowed(grant_type.as_str()));
    let whose = || Whose::from(life.client.as_ref());
    let lived = u64::try_from(at_ms.saturating_sub(life.opened_ms)).unwrap_or(0);
    let name = Name::Ended { cause: cause.clone(), grant_type: grant_type.clone() };
    counted.time(life.opened_ms, whose(), name, lived);
    if life.refreshes > 0 {
        let name = Name::EndedRefreshes { cause, grant_type };
        counted.add(life.opened_ms, whose(), name, life.refreshes);
    }
}

/// What of it lives on, at resource servers that don't ask.
fn count_alive(
    life: &Life,
    cause: &'static str,
    (at, at_ms): (UnixTime, i64),
    counted: &mut Counted,
) {
    let cause = Word::Borrowed(cause);
    let mut forms = Vec::new();
    for (form, until) in life.alive(at) {
        let lives_on = u64::try_from(until.seconds().saturating_sub(at.seconds())).unwrap_or(0);
        let name = Name::Alive { cause: cause.clone(), form: Word::Borrowed(form) };
        counted.time(at_ms, Whose::from(life.client.as_ref()), name, lives_on);
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    for form in forms {
        let name = Name::AliveGrants { cause: cause.clone(), form: Word::Borrowed(form) };
        counted.add(at_ms, Whose::from(life.client.as_ref()), name, 1);
    }
}

#[cfg(test)]
mod tests;
