//! The account: a person who can log in. All that is personal is sealed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, SessionId, SubjectId};
use crate::secret::{Digest, PasswordResetToken};
use crate::time::{Lifetime, UnixTime};

events! {
    /// What has happened to an account.
    AccountEvent {
        AccountRegistered = "1",
        PasswordSet = "1",
        ProfileReplaced = "1",
        AccountLocked = "1",
        AccountUnlocked = "1",
        PasswordRehashed = "1",
        PasswordResetRequested = "1",
        PasswordReset = "1",
        SessionsDismissed = "1",
        RolesReplaced = "1",
        PersonalDataRead = "1",
        ErasureRequested = "1",
        AccountErased = "1",
    }
}

crate::protocol::parameter_values! {
    /// What an account may do here besides logging in.
    Role, "role" {
        /// Administers the server.
        Admin = "admin",
        /// Reads what happened.
        Auditor = "auditor",
    }
}

/// An account was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRegistered {
    /// The person's pseudonym, `sub` to relying parties.
    pub subject: SubjectId,
    /// The commitment to the sealed [`Profile`].
    pub profile: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// The person has a (new) password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordSet {
    /// The commitment to its sealed hash.
    pub hash: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// The same password, hashed by today's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordRehashed {
    /// The commitment to its sealed hash.
    pub hash: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// A one-time link was made by which the person can choose a new password.
/// It takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordResetRequested {
    /// The digest of the secret in the link.
    pub token: Digest<PasswordResetToken>,
    /// Until when it is good.
    pub expires_at: UnixTime,
    /// When.
    pub at: UnixTime,
}

/// The person chose a new password by a one-time link; all sessions end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordReset {
    /// The commitment to its sealed hash.
    pub hash: Sha256Digest,
    /// When.
    pub at: UnixTime,
}

/// All sessions that began before this end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionsDismissed {
    /// But not this one, in which the person asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub but: Option<SessionId>,
    /// When.
    pub at: UnixTime,
}

/// The account has these roles from now on, and no others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesReplaced {
    /// All of them.
    pub roles: BTreeSet<Role>,
}

/// Name or claims have changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileReplaced {
    /// The commitment to the sealed [`Profile`].
    pub profile: Sha256Digest,
    /// When; absent in what was written before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixTime>,
}

/// Nobody can log in to it; its grants end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountLocked {
    /// Why, in the operator's words: nothing personal.
    pub reason: String,
}

/// It can be logged in to again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountUnlocked {}

/// Somebody else than the person has seen what is sealed of them. Recorded
/// before it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersonalDataRead {
    /// The names of what was shown: `username`, and claims.
    pub what: Vec<String>,
    /// Why, in the reader's words: nothing personal.
    pub reason: String,
    /// When.
    pub at: UnixTime,
}

/// Everything personal is to be destroyed; from here on the account is as good
/// as gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureRequested {
    /// Why, in the operator's words: nothing personal.
    pub reason: String,
    /// When.
    pub at: UnixTime,
}

/// Everything personal has been destroyed. Comes again where something had
/// been left or brought back, which was destroyed after that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountErased {
    /// What it was, all in all.
    #[serde(flatten)]
    pub destroyed: Destroyed,
    /// When.
    pub at: UnixTime,
}

/// How much of a person was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// Data keys: of the account, of its grants, of its sessions.
    pub data_keys: u64,
    /// Values that were sealed with them.
    pub sealed_values: u64,
    /// Kept states of these aggregates.
    pub snapshots: u64,
}

/// How far the erasure of an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Erasure {
    /// It is to be erased, since then.
    Requested(UnixTime),
    /// It was erased then, and so much was destroyed.
    Done(UnixTime, Destroyed),
}

/// Who the person is: never in an event, sealed beside the log.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// When name or claims changed.
    #[serde(default)]
    profile_replaced_at: Option<UnixTime>,
    /// The same of the password's hash.
    pub password: Option<(Sha256Digest, u64)>,
    /// Is it locked, and why?
    pub locked: Option<String>,
    /// When it was made.
    pub registered_at: UnixTime,
    /// When the password was set.
    pub password_set_at: Option<UnixTime>,
    /// What it may do besides logging in.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// Is it being erased, or was it?
    #[serde(default)]
    pub erasure: Option<Erasure>,
    /// Which sessions it has sent away.
    #[serde(default)]
    pub dismissed: Option<Dismissed>,
    /// The one-time link that is open, and until when.
    #[serde(default)]
    reset: Option<(Digest<PasswordResetToken>, UnixTime)>,
    sequence: u64,
}

/// The sessions that an account has sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissed {
    /// Those whose person authenticated before this.
    pub before: UnixTime,
    /// But not this one.
    pub but: Option<SessionId>,
}

impl RegisteredAccount {
    /// Can it be logged in to, and get tokens? Not when it is locked, being
    /// erased or erased.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.locked.is_none() && self.erasure.is_none()
    }

    /// When name and claims became what they are.
    #[must_use]
    pub fn profile_set_at(&self) -> UnixTime {
        self.profile_replaced_at.unwrap_or(self.registered_at)
    }

    /// Is a session still good of which the person authenticated then?
    #[must_use]
    pub fn keeps_session(&self, session: SessionId, auth_time: UnixTime) -> bool {
        self.dismissed.is_none_or(|gone| auth_time >= gone.before || gone.but == Some(session))
    }

    /// Is this the open one-time link, and still good?
    #[must_use]
    pub fn is_reset_by(&self, token: &Digest<PasswordResetToken>, now: UnixTime) -> bool {
        self.is_usable()
            && self.reset.as_ref().is_some_and(|(open, until)| open == token && now < *until)
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Account {
    /// No such account.
    #[default]
    Unknown,
    /// It exists, locked or not.
    Registered(Box<RegisteredAccount>),
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
    /// Keeps the password, with another hash of it.
    Rehash {
        /// The commitment to its hash.
        hash: Sha256Digest,
        /// Now.
        now: UnixTime,
    },
    /// Opens a one-time link to choose a new password by.
    RequestPasswordReset {
        /// The digest of the secret in it.
        token: Digest<PasswordResetToken>,
        /// Now.
        now: UnixTime,
        /// How long it is good.
        lifetime: Lifetime,
    },
    /// Sets the password by a one-time link.
    ResetPassword {
        /// The digest of the secret in it.
        token: Digest<PasswordResetToken>,
        /// The commitment to the new password's hash.
        hash: Sha256Digest,
        /// Now.
        now: UnixTime,
    },
    /// Ends all sessions but one.
    DismissSessions {
        /// This one stays.
        but: Option<SessionId>,
        /// Now.
        now: UnixTime,
    },
    /// Gives it these roles, and takes all others.
    ReplaceRoles {
        /// All of them.
        roles: BTreeSet<Role>,
    },
    /// Replaces name and claims.
    ReplaceProfile {
        /// The commitment to the profile.
        profile: Sha256Digest,
        /// Now.
        now: UnixTime,
    },
    /// Locks it.
    Lock {
        /// Why.
        reason: String,
    },
    /// Unlocks it.
    Unlock,
    /// Notes that somebody is about to see what is sealed of the person.
    NoteRead {
        /// The names of what they see.
        what: Vec<String>,
        /// Why.
        reason: String,
        /// Now.
        now: UnixTime,
    },
    /// Begins its erasure.
    RequestErasure {
        /// Why.
        reason: String,
        /// Now.
        now: UnixTime,
    },
    /// Ends its erasure: everything has been destroyed.
    CompleteErasure {
        /// What it was, all in all.
        destroyed: Destroyed,
        /// Now.
        now: UnixTime,
    },
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
    /// The one-time link was used, replaced, has expired, or never was.
    #[error("the link is not good any more")]
    ResetRefused,
    /// Nobody can log in to it.
    #[error("the account is locked")]
    Locked,
    /// It has been erased, or is about to be.
    #[error("the account was erased")]
    Erased,
    /// It can't be the end of what has not begun.
    #[error("the account is not being erased")]
    NotBeingErased,
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
            (Self::Registered(account), AccountCommand::RequestErasure { reason, now }) => {
                Ok(match account.erasure {
                    None => vec![ErasureRequested { reason, at: now }.into()],
                    Some(_) => vec![],
                })
            }
            (Self::Registered(account), AccountCommand::CompleteErasure { destroyed, now }) => {
                match account.erasure {
                    None => Err(AccountError::NotBeingErased),
                    Some(Erasure::Done(_, before)) if before == destroyed => Ok(vec![]),
                    Some(_) => Ok(vec![AccountErased { destroyed, at: now }.into()]),
                }
            }
            (Self::Registered(account), _) if account.erasure.is_some() => {
                Err(AccountError::Erased)
            }
            (Self::Registered(_), AccountCommand::NoteRead { what, reason, now }) => {
                Ok(vec![PersonalDataRead { what, reason, at: now }.into()])
            }
            (Self::Registered(_), AccountCommand::SetPassword { hash, now }) => {
                Ok(vec![PasswordSet { hash, at: now }.into()])
            }
            (Self::Registered(_), AccountCommand::DismissSessions { but, now }) => {
                Ok(vec![SessionsDismissed { but, at: now }.into()])
            }
            (Self::Registered(account), AccountCommand::Rehash { hash, now }) => {
                // Without a password there is nothing to hash anew.
                let keeps = account.password.is_some();
                Ok(if keeps { vec![PasswordRehashed { hash, at: now }.into()] } else { vec![] })
            }
            (
                Self::Registered(account),
                AccountCommand::RequestPasswordReset { token, now, lifetime },
            ) => {
                if account.locked.is_some() {
                    return Err(AccountError::Locked);
                }
                let expires_at = now + lifetime;
                Ok(vec![PasswordResetRequested { token, expires_at, at: now }.into()])
            }
            (Self::Registered(account), AccountCommand::ResetPassword { token, hash, now }) => {
                if !account.is_reset_by(&token, now) {
                    return Err(AccountError::ResetRefused);
                }
                Ok(vec![PasswordReset { hash, at: now }.into()])
            }
            (Self::Registered(account), AccountCommand::ReplaceRoles { roles }) => {
                let same = account.roles == roles;
                Ok(if same { vec![] } else { vec![RolesReplaced { roles }.into()] })
            }
            (Self::Registered(_), AccountCommand::ReplaceProfile { profile, now }) => {
                Ok(vec![ProfileReplaced { profile, at: Some(now) }.into()])
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
            *self = Self::Registered(Box::new(RegisteredAccount {
                subject: event.subject,
                profile: (event.profile, 1),
                profile_replaced_at: None,
                password: None,
                locked: None,
                registered_at: event.at,
                password_set_at: None,
                roles: BTreeSet::new(),
                erasure: None,
                dismissed: None,
                reset: None,
                sequence: 1,
            }));
            return;
        }
        let Self::Registered(account) = self else { return };
        account.sequence += 1;
        match event {
            // Reads change nothing.
            AccountEvent::AccountRegistered(_) | AccountEvent::PersonalDataRead(_) => {}
            AccountEvent::PasswordSet(event) => {
                account.password = Some((event.hash, account.sequence));
                account.password_set_at = Some(event.at);
                account.reset = None;
            }
            AccountEvent::SessionsDismissed(event) => {
                account.dismissed = Some(Dismissed { before: event.at, but: event.but });
            }
            AccountEvent::PasswordRehashed(event) => {
                account.password = Some((event.hash, account.sequence));
            }
            AccountEvent::PasswordResetRequested(event) => {
                account.reset = Some((event.token, event.expires_at));
            }
            AccountEvent::PasswordReset(event) => {
                account.password = Some((event.hash, account.sequence));
                account.password_set_at = Some(event.at);
                account.reset = None;
                account.dismissed = Some(Dismissed { before: event.at, but: None });
            }
            AccountEvent::RolesReplaced(event) => account.roles = event.roles,
            AccountEvent::ProfileReplaced(event) => {
                account.profile = (event.profile, account.sequence);
                account.profile_replaced_at = event.at.or(account.profile_replaced_at);
            }
            AccountEvent::AccountLocked(event) => account.locked = Some(event.reason),
            AccountEvent::AccountUnlocked(_) => account.locked = None,
            AccountEvent::ErasureRequested(event) => {
                account.erasure = Some(Erasure::Requested(event.at));
                account.roles = BTreeSet::new();
                account.reset = None;
                account.dismissed = Some(Dismissed { before: event.at, but: None });
            }
            AccountEvent::AccountErased(event) => {
                account.erasure = Some(Erasure::Done(event.at, event.destroyed));
            }
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
        ProfileReplaced { profile: digest(3), at: Some(NOW) }.into()
    }

    fn locked() -> AccountEvent {
        AccountLocked { reason: "left".to_owned() }.into()
    }

    fn set_password() -> AccountCommand {
        AccountCommand::SetPassword { hash: digest(2), now: NOW }
    }

    fn replace_profile() -> AccountCommand {
        AccountCommand::ReplaceProfile { profile: digest(3), now: NOW }
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
    fn an_account_knows_when_its_profile_became_what_it_is() {
        let later = UnixTime::from_seconds(60);
        let replaced = |at| ProfileReplaced { profile: digest(3), at }.into();
        assert_eq!(folded(vec![registered(), password_set(2)]).profile_set_at(), NOW);
        assert_eq!(folded(vec![registered(), replaced(Some(later))]).profile_set_at(), later);
        // Of old events it is not known.
        assert_eq!(folded(vec![registered(), replaced(None)]).profile_set_at(), NOW);
    }

    const HALF_AN_HOUR: Lifetime = Lifetime::from_seconds(1800);

    fn token(byte: u8) -> Digest<PasswordResetToken> {
        Digest::of(&[byte; 32])
    }

    fn reset_requested(byte: u8) -> AccountEvent {
        let expires_at = NOW + HALF_AN_HOUR;
        PasswordResetRequested { token: token(byte), expires_at, at: NOW }.into()
    }

    fn reset(byte: u8, seconds: i64) -> AccountCommand {
        let now = UnixTime::from_seconds(50 + seconds);
        AccountCommand::ResetPassword { token: token(byte), hash: digest(9), now }
    }

    fn was_reset(seconds: i64) -> AccountEvent {
        PasswordReset { hash: digest(9), at: UnixTime::from_seconds(50 + seconds) }.into()
    }

    #[test]
    fn a_link_is_good_once_in_time_and_only_the_last_one() {
        let refused = AccountError::ResetRefused;
        given(vec![registered()]).when(reset(1, 0)).then_expect_error(refused);
        let asked = vec![registered(), reset_requested(1)];
        given(asked.clone()).when(reset(2, 1)).then_expect_error(refused);
        given(asked.clone()).when(reset(1, 1800)).then_expect_error(refused);
        let used = [asked.clone(), vec![was_reset(1)]].concat();
        given(used).when(reset(1, 2)).then_expect_error(refused);
        let replaced = [asked.clone(), vec![reset_requested(2)]].concat();
        given(replaced).when(reset(1, 2)).then_expect_error(refused);
        let remembered = [asked.clone(), vec![password_set(3)]].concat();
        given(remembered).when(reset(1, 2)).then_expect_error(refused);
        let left = [asked.clone(), vec![locked()]].concat();
        given(left).when(reset(1, 2)).then_expect_error(refused);
        given(asked).when(reset(1, 1799)).then_expect_events(vec![was_reset(1799)]);
    }

    #[test]
    fn a_locked_account_gets_no_link() {
        let request = AccountCommand::RequestPasswordReset {
            token: token(1),
            now: NOW,
            lifetime: HALF_AN_HOUR,
        };
        given(vec![registered(), locked()])
            .when(request.clone())
            .then_expect_error(AccountError::Locked);
        given(vec![registered()]).when(request).then_expect_events(vec![reset_requested(1)]);
    }

    #[test]
    fn a_reset_dismisses_every_session_before_it() {
        let session = |byte| SessionId::from_uuid(uuid::Uuid::from_u128(byte));
        let account = folded(vec![registered(), reset_requested(1), was_reset(5)]);
        assert!(!account.keeps_session(session(1), NOW));
        assert!(account.keeps_session(session(1), UnixTime::from_seconds(55)));
        assert_eq!(account.password, Some((digest(9), 3)));
        let kept = SessionsDismissed { but: Some(session(1)), at: UnixTime::from_seconds(60) };
        let account = folded(vec![registered(), kept.into()]);
        assert!(account.keeps_session(session(1), NOW));
        assert!(!account.keeps_session(session(2), NOW));
        assert!(folded(vec![registered(), password_set(2)]).keeps_session(session(2), NOW));
    }

    #[test]
    fn a_new_hash_is_no_new_password() {
        let rehash = AccountCommand::Rehash { hash: digest(5), now: NOW };
        let rehashed: AccountEvent = PasswordRehashed { hash: digest(5), at: NOW }.into();
        given(vec![registered()]).when(rehash.clone()).then_expect_events(vec![]);
        given(vec![registered(), password_set(2)])
            .when(rehash)
            .then_expect_events(vec![rehashed.clone()]);
        let later = PasswordRehashed { hash: digest(5), at: UnixTime::from_seconds(99) };
        let account = folded(vec![registered(), password_set(2), later.into()]);
        assert_eq!(account.password, Some((digest(5), 3)));
        assert_eq!(account.password_set_at, Some(NOW));
    }

    #[test]
    fn roles_are_replaced_as_a_whole() {
        let replace = |roles: &[Role]| AccountCommand::ReplaceRoles {
            roles: roles.iter().copied().collect(),
        };
        let replaced = |roles: &[Role]| -> AccountEvent {
            RolesReplaced { roles: roles.iter().copied().collect() }.into()
        };
        given(vec![registered()]).when(replace(&[])).then_expect_events(vec![]);
        given(vec![registered(), replaced(&[Role::Admin])])
            .when(replace(&[Role::Auditor]))
            .then_expect_events(vec![replaced(&[Role::Auditor])]);
        let account = folded(vec![registered(), replaced(&[Role::Admin]), replaced(&[])]);
        assert!(account.roles.is_empty());
    }

    fn later() -> UnixTime {
        UnixTime::from_seconds(60)
    }

    fn erasure_requested() -> AccountEvent {
        ErasureRequested { reason: "ticket 7".to_owned(), at: NOW }.into()
    }

    fn erased(data_keys: u64) -> AccountEvent {
        let destroyed = Destroyed { data_keys, ..Destroyed::default() };
        AccountErased { destroyed, at: later() }.into()
    }

    fn request_erasure() -> AccountCommand {
        AccountCommand::RequestErasure { reason: "ticket 7".to_owned(), now: NOW }
    }

    fn complete_erasure(data_keys: u64) -> AccountCommand {
        let destroyed = Destroyed { data_keys, ..Destroyed::default() };
        AccountCommand::CompleteErasure { destroyed, now: later() }
    }

    fn note_read() -> AccountCommand {
        AccountCommand::NoteRead {
            what: vec!["username".to_owned()],
            reason: "ticket 7".to_owned(),
            now: NOW,
        }
    }

    #[test]
    fn nothing_is_done_to_an_account_that_is_being_erased_or_was() {
        let request = AccountCommand::RequestPasswordReset {
            token: token(1),
            now: NOW,
            lifetime: HALF_AN_HOUR,
        };
        let roles = AccountCommand::ReplaceRoles { roles: [Role::Admin].into() };
        for past in [vec![erasure_requested()], vec![erasure_requested(), erased(1)]] {
            let past = [vec![registered(), reset_requested(1)], past].concat();
            for command in [
                set_password(),
                replace_profile(),
                lock(),
                AccountCommand::Unlock,
                request.clone(),
                reset(1, 1),
                roles.clone(),
                note_read(),
                AccountCommand::DismissSessions { but: None, now: NOW },
                AccountCommand::Rehash { hash: digest(5), now: NOW },
            ] {
                given(past.clone()).when(command).then_expect_error(AccountError::Erased);
            }
            given(past).when(register()).then_expect_error(AccountError::Exists);
        }
    }

    #[test]
    fn an_erasure_begins_once_and_ends_after_it_has_begun() {
        given(vec![]).when(request_erasure()).then_expect_error(AccountError::Unknown);
        given(vec![registered()])
            .when(complete_erasure(3))
            .then_expect_error(AccountError::NotBeingErased);
        let begun = vec![registered(), locked(), erasure_requested()];
        given(begun.clone()).when(request_erasure()).then_expect_events(vec![]);
        given(begun).when(complete_erasure(3)).then_expect_events(vec![erased(3)]);
        given(vec![registered()])
            .when(request_erasure())
            .then_expect_events(vec![erasure_requested()]);
    }

    #[test]
    fn what_is_destroyed_after_all_is_told() {
        let past = vec![registered(), erasure_requested(), erased(3)];
        given(past.clone()).when(request_erasure()).then_expect_events(vec![]);
        given(past.clone()).when(complete_erasure(3)).then_expect_events(vec![]);
        given(past).when(complete_erasure(4)).then_expect_events(vec![erased(4)]);
    }

    #[test]
    fn an_account_that_is_being_erased_is_not_usable_and_keeps_no_session() {
        let roles = RolesReplaced { roles: [Role::Admin].into() };
        let past = vec![registered(), roles.into(), reset_requested(1), erasure_requested()];
        let account = folded(past.clone());
        assert!(!account.is_usable());
        assert!(account.roles.is_empty());
        assert!(!account.is_reset_by(&token(1), NOW));
        let session = SessionId::from_uuid(uuid::Uuid::from_u128(1));
        assert!(!account.keeps_session(session, UnixTime::from_seconds(49)));
        assert_eq!(account.erasure, Some(Erasure::Requested(NOW)));
        let account = folded([past, vec![erased(1)]].concat());
        let destroyed = Destroyed { data_keys: 1, ..Destroyed::default() };
        assert_eq!(account.erasure, Some(Erasure::Done(later(), destroyed)));
        assert!(!account.is_usable());
        assert!(folded(vec![registered()]).is_usable());
        assert!(!folded(vec![registered(), locked()]).is_usable());
    }

    #[test]
    fn a_read_is_noted_each_time_and_changes_nothing() {
        let read: AccountEvent = PersonalDataRead {
            what: vec!["username".to_owned()],
            reason: "ticket 7".to_owned(),
            at: NOW,
        }
        .into();
        given(vec![registered(), read.clone()])
            .when(note_read())
            .then_expect_events(vec![read.clone()]);
        let seen = folded(vec![registered(), read]);
        let unseen = folded(vec![registered()]);
        assert_eq!(RegisteredAccount { sequence: 1, ..seen }, unseen);
    }

    #[test]
    fn debug_never_shows_who_the_person_is() {
        let profile = Profile { username: "ada".to_owned(), claims: serde_json::Map::default() };
        assert_eq!(format!("{profile:?}"), "Profile(…)");
    }
}
