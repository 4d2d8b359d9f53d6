//! The account: a person who can log in. All that is personal is sealed.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, SubjectId};
use crate::time::UnixTime;

events! {
    /// What has happened to an account.
    AccountEvent {
        AccountRegistered = "1",
        PasswordSet = "1",
        ProfileReplaced = "1",
        AccountLocked = "1",
        AccountUnlocked = "1",
    }
}

/// An account was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRegistered {
    /// The person's pseudonym, `sub` to relying parties.
    pub subject: SubjectId,
    /// The commitment to the sealed [`Profile`].
    pub profile: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// The person has a (new) password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PasswordSet {
    /// The commitment to its sealed hash.
    pub hash: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// Name or claims have changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileReplaced {
    /// The commitment to the sealed [`Profile`].
    pub profile: Sha256Digest,
}

/// Nobody can log in to it; its grants end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountLocked {
    /// Why, in the operator's words: nothing personal.
    pub reason: String,
}

/// It can be logged in to again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountUnlocked {}

/// Who the person is: never in an event, sealed beside the log.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The name that they log in with.
    pub username: String,
    /// Claims about them (OpenID Connect Core §5.1).
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile(…)")
    }
}

/// An account that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredAccount {
    /// The person's pseudonym.
    pub subject: SubjectId,
    /// The commitment to the profile, and the sequence of the event that
    /// brought it: where the sealed value is found.
    pub profile: (Sha256Digest, u64),
    /// The same of the password's hash.
    pub password: Option<(Sha256Digest, u64)>,
    /// Is it locked, and why?
    pub locked: Option<String>,
    /// When it was made.
    pub registered_at: UnixTime,
    /// When the password was set.
    pub password_set_at: Option<UnixTime>,
    sequence: u64,
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Account {
    /// No such account.
    #[default]
    Unknown,
    /// It exists, locked or not.
    Registered(RegisteredAccount),
}

/// What can be done to an account.
#[derive(Debug, Clone)]
pub enum AccountCommand {
    /// Makes it.
    Register {
        /// The person's pseudonym.
        subject: SubjectId,
        /// The commitment to the profile.
        profile: Sha256Digest,
        /// Now.
        now: UnixTime,
    },
    /// Sets the password.
    SetPassword {
        /// The commitment to its hash.
        hash: Sha256Digest,
        /// Now.
        now: UnixTime,
    },
    /// Replaces name and claims.
    ReplaceProfile {
        /// The commitment to the profile.
        profile: Sha256Digest,
    },
    /// Locks it.
    Lock {
        /// Why.
        reason: String,
    },
    /// Unlocks it.
    Unlock,
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// It exists already.
    #[error("this account exists already")]
    Exists,
}

impl Account {
    /// The account, if it exists.
    #[must_use]
    pub fn registered(&self) -> Option<&RegisteredAccount> {
        match self {
            Self::Unknown => None,
            Self::Registered(account) => Some(account),
        }
    }

    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        match (self, command) {
            (Self::Unknown, AccountCommand::Register { subject, profile, now }) => {
                Ok(vec![AccountRegistered { subject, profile, at: now }.into()])
            }
            (Self::Registered(_), AccountCommand::Register { .. }) => Err(AccountError::Exists),
            (Self::Unknown, _) => Err(AccountError::Unknown),
            (Self::Registered(_), AccountCommand::SetPassword { hash, now }) => {
                Ok(vec![PasswordSet { hash, at: now }.into()])
            }
            (Self::Registered(_), AccountCommand::ReplaceProfile { profile }) => {
                Ok(vec![ProfileReplaced { profile }.into()])
            }
            (Self::Registered(account), AccountCommand::Lock { reason }) => {
                Ok(if account.locked.is_some() {
                    vec![]
                } else {
                    vec![AccountLocked { reason }.into()]
                })
            }
            (Self::Registered(account), AccountCommand::Unlock) => {
                Ok(if account.locked.is_some() { vec![AccountUnlocked {}.into()] } else { vec![] })
            }
        }
    }

    fn assign(&mut self, event: AccountEvent) {
        if let AccountEvent::AccountRegistered(event) = event {
            *self = Self::Registered(RegisteredAccount {
                subject: event.subject,
                profile: (event.profile, 1),
                password: None,
                locked: None,
                registered_at: event.at,
                password_set_at: None,
                sequence: 1,
            });
            return;
        }
        let Self::Registered(account) = self else { return };
        account.sequence += 1;
        match event {
            AccountEvent::AccountRegistered(_) => {}
            AccountEvent::PasswordSet(event) => {
                account.password = Some((event.hash, account.sequence));
                account.password_set_at = Some(event.at);
            }
            AccountEvent::ProfileReplaced(event) => {
                account.profile = (event.profile, account.sequence);
            }
            AccountEvent::AccountLocked(event) => account.locked = Some(event.reason),
            AccountEvent::AccountUnlocked(_) => account.locked = None,
        }
    }
}

aggregate!(Account, AggregateKind::Account, AccountCommand, AccountEvent, AccountError);
