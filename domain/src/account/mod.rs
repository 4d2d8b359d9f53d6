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

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(50);

    fn given(events: Vec<AccountEvent>) -> AggregateTestExecutor<Account> {
        TestFramework::with(()).given(events)
    }

    fn folded(events: Vec<AccountEvent>) -> RegisteredAccount {
        let mut account = Account::default();
        for event in events {
            account.assign(event);
        }
        account.registered().unwrap().clone()
    }

    fn digest(byte: u8) -> Sha256Digest {
        Sha256Digest::from_bytes([byte; 32])
    }

    fn subject() -> SubjectId {
        SubjectId::from_uuid(uuid::Uuid::from_u128(1))
    }

    fn register() -> AccountCommand {
        AccountCommand::Register { subject: subject(), profile: digest(1), now: NOW }
    }

    fn registered() -> AccountEvent {
        AccountRegistered { subject: subject(), profile: digest(1), at: NOW }.into()
    }

    fn password_set(byte: u8) -> AccountEvent {
        PasswordSet { hash: digest(byte), at: NOW }.into()
    }

    fn profile_replaced() -> AccountEvent {
        ProfileReplaced { profile: digest(3) }.into()
    }

    fn locked() -> AccountEvent {
        AccountLocked { reason: "left".to_owned() }.into()
    }

    fn set_password() -> AccountCommand {
        AccountCommand::SetPassword { hash: digest(2), now: NOW }
    }

    fn replace_profile() -> AccountCommand {
        AccountCommand::ReplaceProfile { profile: digest(3) }
    }

    fn lock() -> AccountCommand {
        AccountCommand::Lock { reason: "left".to_owned() }
    }

    #[test]
    fn nothing_is_done_to_an_account_that_is_not_there() {
        for command in [set_password(), replace_profile(), lock(), AccountCommand::Unlock] {
            given(vec![]).when(command).then_expect_error(AccountError::Unknown);
        }
    }

    #[test]
    fn an_account_is_made_once() {
        given(vec![registered()]).when(register()).then_expect_error(AccountError::Exists);
        given(vec![registered(), locked()])
            .when(register())
            .then_expect_error(AccountError::Exists);
    }

    #[test]
    fn locking_twice_is_one_event() {
        given(vec![registered(), locked()]).when(lock()).then_expect_events(vec![]);
    }

    #[test]
    fn unlocking_what_is_open_is_no_event() {
        given(vec![registered()]).when(AccountCommand::Unlock).then_expect_events(vec![]);
    }

    #[test]
    fn an_account_is_registered() {
        given(vec![]).when(register()).then_expect_events(vec![registered()]);
        assert_eq!(folded(vec![registered()]).password, None);
    }

    #[test]
    fn each_change_is_an_event() {
        for (command, event) in [
            (set_password(), password_set(2)),
            (replace_profile(), profile_replaced()),
            (lock(), locked()),
        ] {
            given(vec![registered()]).when(command).then_expect_events(vec![event]);
        }
        given(vec![registered(), locked()])
            .when(AccountCommand::Unlock)
            .then_expect_events(vec![AccountUnlocked {}.into()]);
    }

    #[test]
    fn a_locked_account_says_why_until_it_is_unlocked() {
        assert_eq!(folded(vec![registered(), locked()]).locked.as_deref(), Some("left"));
        let open = folded(vec![registered(), locked(), AccountUnlocked {}.into()]);
        assert_eq!(open.locked, None);
    }

    /// The sealed value is found by the sequence of the event that brought it.
    #[test]
    fn the_newest_sealed_values_are_known_by_their_place() {
        let account = folded(vec![
            registered(),
            password_set(2),
            locked(),
            password_set(4),
            profile_replaced(),
        ]);
        assert_eq!(account.password, Some((digest(4), 4)));
        assert_eq!(account.profile, (digest(3), 5));
        assert_eq!(folded(vec![registered()]).profile, (digest(1), 1));
    }

    #[test]
    fn debug_never_shows_who_the_person_is() {
        let profile = Profile { username: "ada".to_owned(), claims: serde_json::Map::default() };
        assert_eq!(format!("{profile:?}"), "Profile(…)");
    }
}
