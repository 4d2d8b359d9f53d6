//! Which appends of a batch can go into one transaction, and what became of
//! them.
//!
//! Pure: the database has the last word, and [`super::append`] asks it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chancery_domain::digest::Sha256Digest;

use crate::stores::{
    Append, AppendError, Appended, Head, NameChange, NewEvent, StoreError, StreamId,
};

/// A row that only one append of a transaction may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Claim<'a> {
    Sealed(&'a StreamId, u64),
    DataKey(&'a StreamId),
    WrappedKey(&'a str),
    Name(&'a str, &'a [u8; 32]),
    Used(&'a str, &'a [u8; 32]),
}

/// An event to insert.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The append it belongs to: its index in the batch.
    pub append: usize,
    pub event: &'a NewEvent,
    /// The event before it stands in the log, if anywhere: look there.
    pub follows_stored: bool,
}

/// An append of a plan.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    /// Its index in the batch.
    pub index: usize,
    pub append: &'a Append,
    /// Appends of the same plan whose events its own follow.
    after: Vec<usize>,
}

/// What goes into one transaction.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// In the order of the batch.
    pub appends: Vec<Planned<'a>>,
    /// In the order of the batch: the order of positions.
    pub rows: Vec<Row<'a>>,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Appends that are durable, with the position of their last event.
    pub written: Vec<(usize, u64)>,
    /// Appends of which nothing is in the store.
    pub refused: Vec<(usize, AppendError)>,
}

/// The batch, and the answers so far.
pub(super) struct Ledger<'a> {
    batch: &'a [Append],
    answers: Vec<Option<Result<Appended, AppendError>>>,
    /// Heads written for this batch.
    heads: HashMap<&'a StreamId, Head>,
    /// First events that did not fit: neither will another at the same place.
    unfit: HashSet<(&'a StreamId, u64, Sha256Digest)>,
    used: HashSet<(&'a str, &'a [u8; 32])>,
    one_at_a_time: bool,
}

/// Whether an append fits into a plan.
enum Fit<'a> {
    Fits {
        rows: Vec<Row<'a>>,
        heads: BTreeMap<&'a StreamId, Head>,
        after: Vec<usize>,
    },
    /// It depends on what becomes of another append of the plan.
    Later,
    Never(AppendError),
}

impl<'a> Ledger<'a> {
    pub(super) fn new(batch: &'a [Append]) -> Self {
        Self {
            batch,
            answers: batch.iter().map(answer_without_asking).collect(),
            heads: HashMap::new(),
            unfit: HashSet::new(),
            used: HashSet::new(),
            one_at_a_time: false,
        }
    }

    /// From now on a plan holds one append.
    pub(super) fn one_at_a_time(&mut self) {
        self.one_at_a_time = true;
    }

    /// The next appends to write together; none when all have an answer.
    pub(super) fn plan(&mut self) -> Option<Plan<'a>> {
        let mut plan = Plan::default();
        let mut heads: HashMap<&StreamId, (Head, usize)> = HashMap::new();
        let mut claims: HashSet<Claim<'_>> = HashSet::new();
        for (index, append) in self.batch.iter().enumerate() {
            if self.answers.get(index).is_none_or(Option::is_some) {
                continue;
            }
            match self.fit(index, append, &heads, &claims) {
                Fit::Later => {}
                Fit::Never(error) => self.answer(index, Err(error)),
                Fit::Fits { rows, heads: new, after } => {
                    plan.rows.extend(rows);
                    plan.appends.push(Planned { index, append, after });
                    heads.extend(new.into_iter().map(|(stream, head)| (stream, (head, index))));
                    claims.extend(claims_of(append));
                    if self.one_at_a_time {
                        break;
                    }
                }
            }
        }
        (!plan.appends.is_empty()).then_some(plan)
    }

    fn fit(
        &self,
        index: usize,
        append: &'a Append,
        planned: &HashMap<&StreamId, (Head, usize)>,
        claimed: &HashSet<Claim<'_>>,
    ) -> Fit<'a> {
        if let Some(error) = contradiction(append) {
            return Fit::Never(error);
        }
        let is_used = |used: &crate::stores::UsedOnce| self.used.contains(&(used.space, &used.key));
        if append.used_once.iter().any(is_used) {
            return Fit::Never(AppendError::AlreadyUsed);
        }
        if claims_of(append).any(|claim| claimed.contains(&claim)) {
            return Fit::Later;
        }
        let mut rows = Vec::with_capacity(append.events.len());
        let mut heads: BTreeMap<&StreamId, Head> = BTreeMap::new();
        let mut after = Vec::new();
        for event in &append.events {
            let stream = &event.stream;
            let known = heads.get(stream).copied();
            let follows_stored = match (known, planned.get(stream), self.heads.get(stream)) {
                (Some(head), ..) => {
                    if !follows(event, head) {
                        return Fit::Never(AppendError::Conflict);
                    }
                    false
                }
                // Written by a transaction before: looked at again, since it may be in a pack.
                (None, None, Some(&head)) => {
                    if !follows(event, head) {
                        return Fit::Never(AppendError::Conflict);
                    }
                    true
                }
                (None, Some(&(head, owner)), _) => {
                    if !follows(event, head) {
                        return Fit::Later;
                    }
                    after.push(owner);
                    false
                }
                (None, None, None) => {
                    let unfit = self.unfit.contains(&(stream, event.sequence, event.prev_digest));
                    if unfit || event.sequence == 0 {
                        return Fit::Never(AppendError::Conflict);
                    }
                    if event.sequence == 1 && !follows(event, Head::START) {
                        return Fit::Never(AppendError::Conflict);
                    }
                    event.sequence > 1
                }
            };
            heads.insert(stream, Head { sequence: event.sequence, digest: event.digest });
            rows.push(Row { append: index, event, follows_stored });
        }
        Fit::Fits { rows, heads, after }
    }

    /// Notes what became of a plan.
    pub(super) fn settle(&mut self, plan: &Plan<'a>, outcome: Outcome) {
        let appends: HashMap<usize, &'a Append> =
            plan.appends.iter().map(|planned| (planned.index, planned.append)).collect();
        for (index, last_position) in outcome.written {
            if let Some(append) = appends.get(&index) {
                for event in &append.events {
                    let head = Head { sequence: event.sequence, digest: event.digest };
                    self.heads.insert(&event.stream, head);
                }
                self.used.extend(append.used_once.iter().map(|used| (used.space, &used.key)));
            }
            self.answer(index, Ok(Appended { last_position }));
        }
        for (index, error) in outcome.refused {
            if let (Some(append), AppendError::AlreadyUsed) = (appends.get(&index), &error)
                && let [only] = append.used_once.as_slice()
            {
                self.used.insert((only.space, &only.key));
            }
            self.answer(index, Err(error));
        }
    }

    /// Notes that nothing fits at the place of this event.
    pub(super) fn unfit(&mut self, event: &'a NewEvent) {
        self.unfit.insert((&event.stream, event.sequence, event.prev_digest));
    }

    pub(super) fn fail(&mut self, plan: &Plan<'_>, error: StoreError) {
        let error = Arc::new(error);
        for planned in &plan.appends {
            self.answer(planned.index, Err(AppendError::Unavailable(Arc::clone(&error))));
        }
    }

    /// Fails all that have no answer yet.
    pub(super) fn fail_rest(&mut self, error: StoreError) {
        let error = Arc::new(error);
        for answer in self.answers.iter_mut().filter(|answer| answer.is_none()) {
            *answer = Some(Err(AppendError::Unavailable(Arc::clone(&error))));
        }
    }

    /// The answers in the order of the batch.
    pub(super) fn answers(mut self) -> Vec<Result<Appended, AppendError>> {
        self.fail_rest(StoreError::Closed("the store gave no answer".into()));
        self.answers.into_iter().flatten().collect()
    }

    fn answer(&mut self, index: usize, answer: Result<Appended, AppendError>) {
        if let Some(place) = self.answers.get_mut(index) {
            *place = Some(answer);
        }
    }
}

impl<'a> Plan<'a> {
    /// The order in which rows are locked: the same on every node, so that no
    /// two wait for each other.
    pub(super) fn lock_order(&self) -> Vec<i32> {
        let mut sorted: Vec<usize> = (0..self.rows.len()).collect();
        let key = |index: &usize| {
            self.rows.get(*index).map(|row| {
                (row.event.stream.kind.as_str(), &row.event.stream.id, row.event.sequence)
            })
        };
        sorted.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut order = vec![0; sorted.len()];
        for (rank, index) in sorted.into_iter().enumerate() {
            if let Some(place) = order.get_mut(index) {
                *place = i32::try_from(rank).unwrap_or(i32::MAX);
            }
        }
        order
    }

    /// Which appends conflict, given the rows that were inserted: those with a
    /// row missing, and those that follow one of them.
    pub(super) fn conflicts(&self, inserted: &[Option<u64>]) -> Vec<usize> {
        let mut conflicts: HashSet<usize> = self
            .rows
            .iter()
            .zip(inserted)
            .filter(|(_, position)| position.is_none())
            .map(|(row, _)| row.append)
            .collect();
        for planned in &self.appends {
            if planned.after.iter().any(|before| conflicts.contains(before)) {
                conflicts.insert(planned.index);
            }
        }
        let in_order = self.appends.iter().map(|planned| planned.index);
        in_order.filter(|index| conflicts.contains(index)).collect()
    }

    /// The histories that are to go on.
    pub(super) fn streams(&self) -> impl Iterator<Item = &'a StreamId> {
        self.rows.iter().filter(|row| row.follows_stored).map(|row| &row.event.stream)
    }

    /// The first events of their aggregates here that were not inserted.
    pub(super) fn unfit(&self, inserted: &[Option<u64>]) -> Vec<&'a NewEvent> {
        self.rows
            .iter()
            .zip(inserted)
            .filter(|(row, position)| {
                position.is_none() && (row.follows_stored || row.event.sequence == 1)
            })
            .map(|(row, _)| row.event)
            .collect()
    }
}

fn follows(event: &NewEvent, head: Head) -> bool {
    head.sequence.checked_add(1) == Some(event.sequence) && head.digest == event.prev_digest
}

fn answer_without_asking(append: &Append) -> Option<Result<Appended, AppendError>> {
    (*append == Append::default()).then_some(Ok(Appended { last_position: 0 }))
}

fn claims_of(append: &Append) -> impl Iterator<Item = Claim<'_>> {
    let sealed = append.sealed.iter().map(|row| Claim::Sealed(&row.stream, row.sequence));
    let data_keys = append.data_keys.iter().map(|row| Claim::DataKey(&row.owner));
    let wrapped_keys = append.wrapped_keys.iter().map(|row| Claim::WrappedKey(&row.key_id));
    let names = append.names.iter().map(|change| match change {
        NameChange::Reserve { space, name, .. } | NameChange::Release { space, name } => {
            Claim::Name(space, name)
        }
    });
    let used = append.used_once.iter().map(|used| Claim::Used(used.space, &used.key));
    sealed.chain(data_keys).chain(wrapped_keys).chain(names).chain(used)
}

/// Why an append can't be written, whatever the store holds.
fn contradiction(append: &Append) -> Option<AppendError> {
    let mut seen = HashSet::new();
    for claim in claims_of(append) {
        if matches!(claim, Claim::Name(..)) || seen.insert(claim) {
            continue;
        }
        let is_used = matches!(claim, Claim::Used(..));
        return Some(if is_used { AppendError::AlreadyUsed } else { AppendError::Conflict });
    }
    let mut owners = HashMap::new();
    for change in &append.names {
        if let NameChange::Reserve { space, name, owner } = change
            && owners.insert((*space, name), owner).is_some_and(|other| other != owner)
        {
            return Some(AppendError::NameTaken);
        }
    }
    None
}
