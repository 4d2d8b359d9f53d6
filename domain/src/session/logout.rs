//! Telling the clients of a session that it has ended (OpenID Connect
//! Back-Channel Logout 1.0): who is to be told, who has been, and when to try
//! again. All of it is in the log, so nothing that was owed is forgotten.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, SessionEvent};
use crate::ids::ClientId;
use crate::time::{Lifetime, UnixTime};

/// How long after each failed attempt the next is made; after the last, none.
pub const RETRY_AFTER: [Lifetime; 5] = [
    Lifetime::from_seconds(5),
    Lifetime::from_seconds(30),
    Lifetime::from_seconds(120),
    Lifetime::from_seconds(600),
    Lifetime::from_seconds(3600),
];

/// Nobody is told of a session that ended longer ago than this: the log is being read again.
const LONG_AGO: Lifetime = Lifetime::from_seconds(24 * 60 * 60);

/// These clients took part in the session, and are to be told that it has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackchannelLogoutRequested {
    /// Those that registered where.
    pub clients: Vec<ClientId>,
    /// When; the first attempts are due from then on.
    pub at: UnixTime,
}

/// A client has been told, and has answered that it knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackchannelLogoutDelivered {
    /// Which client.
    pub client_id: ClientId,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When it answered.
    pub at: UnixTime,
}

/// A client could not be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackchannelLogoutFailed {
    /// Which client.
    pub client_id: ClientId,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Why.
    pub reason: BackchannelFailure,
    /// The status that it answered with, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When.
    pub at: UnixTime,
    /// When it is tried again; absent: it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<UnixTime>,
}

/// Why a client could not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackchannelFailure {
    /// It answered, but not with success.
    Refused,
    /// It did not answer in time, or not in HTTP.
    Unreachable,
    /// Its address may not be called.
    NotAllowed,
    /// The client is not there any more, or has no such URI any more: given up.
    ClientGone,
}

/// What is known of telling one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Notice {
    /// It is still to be told.
    Owed {
        /// The number of the next attempt.
        attempt: u32,
        /// From when on.
        due: UnixTime,
    },
    /// It has been told, or that was given up.
    Settled,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackchannelOutcome {
    /// The client answered with success.
    Delivered,
    /// It did not.
    Failed {
        /// Why.
        reason: BackchannelFailure,
        /// The status of its answer.
        status: Option<u16>,
    },
}

impl Begun {
    /// The attempt to tell this client that is next, and since when it is due.
    #[must_use]
    pub fn owed(&self, client_id: &ClientId) -> Option<(u32, UnixTime)> {
        match self.notices.get(client_id)? {
            Notice::Owed { attempt, due } => Some((*attempt, *due)),
            Notice::Settled => None,
        }
    }

    pub(super) fn request(&self, clients: Vec<ClientId>, now: UnixTime) -> Vec<SessionEvent> {
        let is_recent = self.ended.is_some_and(|(_, at)| now < at + LONG_AGO);
        let mut new: Vec<ClientId> =
            clients.into_iter().filter(|client| !self.notices.contains_key(client)).collect();
        new.sort();
        new.dedup();
        if !is_recent || new.is_empty() {
            return vec![];
        }
        vec![BackchannelLogoutRequested { clients: new, at: now }.into()]
    }

    pub(super) fn note(
        &self,
        client_id: ClientId,
        attempt: u32,
        outcome: BackchannelOutcome,
        now: UnixTime,
    ) -> Vec<SessionEvent> {
        // Another node was quicker with the same attempt.
        if self.owed(&client_id).is_none_or(|(next, _)| next != attempt) {
            return vec![];
        }
        let event = match outcome {
            BackchannelOutcome::Delivered => {
                BackchannelLogoutDelivered { client_id, attempt, at: now }.into()
            }
            BackchannelOutcome::Failed { reason, status } => {
                let retries = reason != BackchannelFailure::ClientGone;
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                let wait = RETRY_AFTER.get(index).filter(|_| retries);
                BackchannelLogoutFailed {
                    client_id,
                    attempt,
                    reason,
                    status,
                    at: now,
                    next_attempt_at: wait.map(|wait| now + *wait),
                }
                .into()
            }
        };
        vec![event]
    }
}

/// What is owed after one of these events.
pub(super) fn assign(
    notices: &mut BTreeMap<ClientId, Notice>,
    requested: BackchannelLogoutRequested,
) {
    for client in requested.clients {
        notices.insert(client, Notice::Owed { attempt: 1, due: requested.at });
    }
}

impl BackchannelLogoutFailed {
    pub(super) fn notice(&self) -> Notice {
        match self.next_attempt_at {
            Some(due) => Notice::Owed { attempt: self.attempt.saturating_add(1), due },
            None => Notice::Settled,
        }
    }
}
