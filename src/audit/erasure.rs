//! Was a person erased everywhere?

use chancery_domain::account::{AccountEvent, Destroyed};
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, SubjectId};
use chancery_domain::time::UnixTime;
use chancery_projections::accounts::{ERASED, ERASING};
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::Stated;
use super::error::AuditError;
use super::happening::Happening;
use super::records::Records;
use crate::erasure;
use crate::lookups::{GrantFilter, Lookups, Part};

/// How many rows are read at once.
const PAGE: u32 = 500;

/// What an erasure reaches, and is found by the name of its read model.
const MODELS: [&str; 4] = ["accounts", "grants", "sessions", "consents"];

/// Where nobody can look from here.
const ELSEWHERE: [&str; 5] = [
    "backups: erase again after each restore (`chancery account erased` lists whom)",
    "replicas and archived write-ahead logs of the database",
    "blocks that the file system or the disk has given up but not overwritten",
    "clients and resource servers, which keep what they were given",
    "the operator's own logs and hooks",
];

/// Was a person erased, and what is left of them in each place?
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ErasureAnswer {
    pub subject: SubjectId,
    /// It was erased, and nothing is left in any place that was looked at.
    pub erased_everywhere: bool,
    /// `not_requested`, `erasing` or `erased`, by the log.
    pub state: String,
    /// When it was requested, by whom and why; when it ended. More than one end: something had
    /// come back.
    pub history: Vec<Happening>,
    /// How much was destroyed, all in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<Counts>,
    /// Each place that was looked at.
    pub places: Vec<Place>,
    /// What can't be looked at from here.
    pub not_checked: Vec<String>,
}

/// How much of a person was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    pub data_keys: u64,
    pub sealed_values: u64,
    pub snapshots: u64,
}

impl From<Destroyed> for Counts {
    fn from(destroyed: Destroyed) -> Self {
        let Destroyed { data_keys, sealed_values, snapshots } = destroyed;
        Self { data_keys, sealed_values, snapshots }
    }
}

/// One place, and what is left there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    pub place: String,
    /// What of a person is there while they are.
    pub holds: String,
    pub left: u64,
}

/// Looks at every place where something of a person may be.
pub async fn erasure(
    records: &Records,
    subject: SubjectId,
    now: UnixTime,
) -> Result<Stated<ErasureAnswer>, AuditError> {
    let (as_of, answer) = records
        .settled(&MODELS, async |position| {
            let id = subject.to_string();
            let history = records.history(AggregateKind::Account, &id, position).await?;
            if history.is_empty() {
                return Err(AuditError::not_found("account", &subject));
            }
            let mut state = "not_requested";
            let mut destroyed = None;
            let mut told = Vec::new();
            for event in &history {
                match &event.event {
                    AnyEvent::Account(AccountEvent::ErasureRequested(_)) => state = ERASING,
                    AnyEvent::Account(AccountEvent::AccountErased(end)) => {
                        state = ERASED;
                        destroyed = Some(end.destroyed.into());
                    }
                    _ => continue,
                }
                told.push(Happening::of(event));
            }
            let places = places(records, subject, now).await?;
            let clean = places.iter().all(|place| place.left == 0);
            Ok(ErasureAnswer {
                subject,
                erased_everywhere: state == ERASED && clean,
                state: state.to_owned(),
                history: told,
                destroyed,
                places,
                not_checked: ELSEWHERE.map(str::to_owned).into(),
            })
        })
        .await?;
    Ok(Stated { as_of, answer })
}

async fn places(
    records: &Records,
    subject: SubjectId,
    now: UnixTime,
) -> Result<Vec<Place>, AuditError> {
    let Records { store, lookups } = records;
    let beside = erasure::remains(&**store, lookups, subject).await?;
    let account = lookups.account(subject).await?;
    let known = account.is_some_and(|row| row.state != ERASED);
    let place = |place: &str, holds: &str, left| Place {
        place: place.to_owned(),
        holds: holds.to_owned(),
        left,
    };
    Ok(vec![
        place("names", "the name to log in with, as a keyed hash", beside.names),
        place("data_keys", "keys of account, sessions and grants, wrapped", beside.data_keys),
        place(
            "sealed",
            "name, claims, password, requests, addresses; encrypted",
            beside.sealed_values,
        ),
        place("snapshots", "kept states of these aggregates: pseudonymous", beside.snapshots),
        place("accounts", "the account, as one that is in use", u64::from(known)),
        place("grants", "what was granted, alive", live_grants(lookups, subject).await?),
        place("sessions", "logins, alive", live_sessions(lookups, subject, now).await?),
        place("consents", "what clients are allowed", live_consents(lookups, subject).await?),
    ])
}

async fn live_grants(lookups: &Lookups, subject: SubjectId) -> Result<u64, AuditError> {
    let filter = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let mut part = Part::first(PAGE);
    let mut count = 0;
    loop {
        let page = lookups.grants(&filter, part.clone()).await?;
        count += page.rows.iter().filter(|grant| grant.is_live()).count() as u64;
        part.after = page.next;
        if part.after.is_none() {
            return Ok(count);
        }
    }
}

async fn live_sessions(
    lookups: &Lookups,
    subject: SubjectId,
    now: UnixTime,
) -> Result<u64, AuditError> {
    let mut part = Part::first(PAGE);
    let mut count = 0;
    loop {
        let page = lookups.sessions(subject, part.clone()).await?;
        count += page.rows.iter().filter(|session| session.is_live(now)).count() as u64;
        part.after = page.next;
        if part.after.is_none() {
            return Ok(count);
        }
    }
}

async fn live_consents(lookups: &Lookups, subject: SubjectId) -> Result<u64, AuditError> {
    let mut part = Part::first(PAGE);
    let mut count = 0;
    loop {
        let page = lookups.consents(subject, part.clone()).await?;
        count += page.rows.iter().filter(|consent| consent.state == "given").count() as u64;
        part.after = page.next;
        if part.after.is_none() {
            return Ok(count);
        }
    }
}
