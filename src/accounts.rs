//! Accounts by name: who has one, what is sealed of them, and how one is made.
//!
//! The database holds a MAC of each name only, and profile and password hash
//! only sealed. A name is compared without the space around it and in lower
//! case.

use std::sync::Arc;

use chancery_domain::account::{Account, AccountCommand, AccountError, Profile, RegisteredAccount};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::{SessionId, SubjectId};
use chancery_domain::secret::PasswordResetToken;
use chancery_domain::time::{Lifetime, UnixTime};
use serde_json::{Map, Value};

use crate::aggregates::{
    ExecuteError, Folded, Kept as _, LoadError, Origin, Vault, VaultError, Work, decide,
};
use crate::handles::Handle;
use crate::sealing::NamesKey;
use crate::services::Services;
use crate::stores::{AppendError, NameChange, StoreError};

/// The space of account names among all unique names.
pub const NAMES: &str = "account";

/// How long a one-time link is good.
pub const RESET_LINK_LIFETIME: Lifetime = Lifetime::from_seconds(1800);

/// How often a change is decided again after a conflict.
const ATTEMPTS: usize = 4;

/// Why an account could not be found, read or made.
#[derive(Debug, thiserror::Error)]
pub enum AccountFailure {
    #[error(transparent)]
    Refused(#[from] AccountError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// [`AppendError::NameTaken`]: somebody else has the name.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What was sealed is not what this version reads.
    #[error("a sealed {0} can't be read")]
    Unreadable(&'static str),
}

impl From<StoreError> for AccountFailure {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

impl From<ExecuteError<AccountError>> for AccountFailure {
    fn from(error: ExecuteError<AccountError>) -> Self {
        match error {
            ExecuteError::Refused(error) => Self::Refused(error),
            ExecuteError::Load(error) => Self::Load(error),
            ExecuteError::Append(error) => Self::Append(error),
        }
    }
}

/// How an account's name is looked up: never by itself.
#[must_use]
pub fn name_digest(keys: &NamesKey, name: &str) -> [u8; 32] {
    keys.name_digest(NAMES, &name.trim().to_lowercase())
}

/// The account with this name, locked or not.
pub async fn find_by_name(
    services: &Services,
    name: &str,
) -> Result<Option<Arc<Folded<Account>>>, AccountFailure> {
    let digest = name_digest(&services.keys.get().names, name);
    let Some(owner) = services.store.name_owner(NAMES, &digest).await? else { return Ok(None) };
    let folded = services.accounts.get(&owner).await?;
    Ok(folded.state.registered().is_some().then_some(folded))
}

/// Who the person is.
pub async fn profile(
    vault: &Vault,
    account: &RegisteredAccount,
) -> Result<Profile, AccountFailure> {
    let (commitment, sequence) = account.profile;
    let stream = Account::stream(&account.subject.to_string());
    let json = vault.open(&stream, sequence, commitment).await?;
    serde_json::from_slice(&json).map_err(|_| AccountFailure::Unreadable("profile"))
}

/// The PHC string of the person's password, if they have one.
pub async fn password_hash(
    vault: &Vault,
    account: &RegisteredAccount,
) -> Result<Option<String>, AccountFailure> {
    let Some((commitment, sequence)) = account.password else { return Ok(None) };
    let stream = Account::stream(&account.subject.to_string());
    let hash = vault.open(&stream, sequence, commitment).await?;
    String::from_utf8(hash).map(Some).map_err(|_| AccountFailure::Unreadable("password hash"))
}

/// An account about to be made.
#[derive(Debug, Clone)]
pub struct NewAccount<'a> {
    pub subject: SubjectId,
    /// Its name is reserved.
    pub profile: &'a Profile,
    /// A PHC string ([`crate::passwords::Passwords::hash`]).
    pub password_hash: &'a str,
    pub now: UnixTime,
}

/// Adds to the work what stands beside a new account's events: its data key,
/// what that seals, its name. Gives the commands that belong to it, for
/// [`crate::aggregates::Aggregates::execute`] with the same work and the subject as the id.
pub fn register(
    vault: &Vault,
    names: &NamesKey,
    new: &NewAccount<'_>,
    work: &mut Work,
) -> Result<Vec<AccountCommand>, AccountFailure> {
    let subject: Arc<str> = new.subject.to_string().into();
    let stream = Account::stream(&subject);
    let profile =
        serde_json::to_vec(new.profile).map_err(|_| AccountFailure::Unreadable("profile"))?;
    let append = &mut work.append;
    let key = vault.new_key(append, &stream, Some(Arc::clone(&subject)))?;
    let profile = vault.seal(append, &key, &stream, 1, &profile)?;
    let hash = vault.seal(append, &key, &stream, 2, new.password_hash.as_bytes())?;
    append.names.push(NameChange::Reserve {
        space: NAMES,
        name: name_digest(names, &new.profile.username),
        owner: subject,
    });
    Ok(vec![
        AccountCommand::Register { subject: new.subject, profile, now: new.now },
        AccountCommand::SetPassword { hash, now: new.now },
    ])
}

/// Makes an account; gives its subject. [`AppendError::NameTaken`]: somebody
/// else has the name.
pub async fn create(
    services: &Services,
    profile: &Profile,
    password_hash: &str,
    origin: Origin,
) -> Result<SubjectId, AccountFailure> {
    let subject = SubjectId::from_uuid(services.entropy.uuid_v4());
    let new = NewAccount { subject, profile, password_hash, now: services.now() };
    let mut work = services.work(Origin { subject: Some(subject), ..origin })?;
    let commands = register(&services.vault, &services.keys.get().names, &new, &mut work)?;
    services.accounts.execute(&subject.to_string(), commands, work).await?;
    Ok(subject)
}

/// Gives an account another password.
pub async fn set_password(
    services: &Services,
    subject: SubjectId,
    password_hash: &str,
    work: &Work,
) -> Result<(), AccountFailure> {
    let now = services.now();
    let commands = |hash| vec![AccountCommand::SetPassword { hash, now }];
    append_sealed(services, subject, password_hash.as_bytes(), work, commands).await
}

/// The same, and ends every session but this one.
pub async fn change_password(
    services: &Services,
    subject: SubjectId,
    password_hash: &str,
    but: SessionId,
    work: &Work,
) -> Result<(), AccountFailure> {
    let now = services.now();
    let dismiss = AccountCommand::DismissSessions { but: Some(but), now };
    let commands = |hash| vec![AccountCommand::SetPassword { hash, now }, dismiss.clone()];
    append_sealed(services, subject, password_hash.as_bytes(), work, commands).await
}

/// Keeps another hash of the same password.
pub async fn rehash_password(
    services: &Services,
    subject: SubjectId,
    password_hash: &str,
    work: &Work,
) -> Result<(), AccountFailure> {
    let now = services.now();
    let commands = |hash| vec![AccountCommand::Rehash { hash, now }];
    append_sealed(services, subject, password_hash.as_bytes(), work, commands).await
}

/// Sets the password by a one-time link, which is used up.
pub async fn reset_password(
    services: &Services,
    link: &Handle<PasswordResetToken>,
    password_hash: &str,
    work: &Work,
) -> Result<(), AccountFailure> {
    let (token, now) = (link.secret.digest(), services.now());
    let commands = |hash| vec![AccountCommand::ResetPassword { token, hash, now }];
    append_sealed(services, link.owner, password_hash.as_bytes(), work, commands).await
}

/// Notes that somebody else is about to see what is sealed of the person, and why: to be called
/// before it is shown.
pub async fn note_read(
    services: &Services,
    subject: SubjectId,
    what: Vec<String>,
    reason: &str,
    origin: Origin,
) -> Result<(), AccountFailure> {
    let note = AccountCommand::NoteRead { what, reason: reason.to_owned(), now: services.now() };
    let work = services.work(Origin { subject: Some(subject), ..origin })?;
    services.accounts.execute(&subject.to_string(), vec![note], work).await?;
    Ok(())
}

/// Opens a one-time link to choose a new password by. Only its digest is kept:
/// what is given here is all that there is of it.
pub async fn open_reset_link(
    services: &Services,
    subject: SubjectId,
    origin: Origin,
) -> Result<Handle<PasswordResetToken>, AccountFailure> {
    let link = Handle::mint(subject, &*services.entropy);
    let command = AccountCommand::RequestPasswordReset {
        token: link.secret.digest(),
        now: services.now(),
        lifetime: RESET_LINK_LIFETIME,
    };
    let work = services.work(Origin { subject: Some(subject), ..origin })?;
    services.accounts.execute(&subject.to_string(), vec![command], work).await?;
    Ok(link)
}

/// Where such a link leads.
#[must_use]
pub fn reset_url(services: &Services, link: &Handle<PasswordResetToken>) -> String {
    services.config.server.issuer.endpoint(&format!("/password/reset?token={}", link.encode()))
}

/// Replaces these claims and leaves the others; null removes.
pub async fn change_claims(
    services: &Services,
    subject: SubjectId,
    changes: &Map<String, Value>,
    work: &Work,
) -> Result<(), AccountFailure> {
    for _ in 0..ATTEMPTS {
        let folded = services.accounts.fresh(&subject.to_string()).await?;
        let account = folded.state.registered().ok_or(AccountError::Unknown)?;
        let mut profile = profile(&services.vault, account).await?;
        for (name, value) in changes {
            if value.is_null() {
                profile.claims.remove(name);
            } else {
                profile.claims.insert(name.clone(), value.clone());
            }
        }
        let json =
            serde_json::to_vec(&profile).map_err(|_| AccountFailure::Unreadable("profile"))?;
        let now = services.now();
        let commands = |profile| vec![AccountCommand::ReplaceProfile { profile, now }];
        match try_append_sealed(services, &folded, subject, &json, work, &commands).await {
            Err(AccountFailure::Append(AppendError::Conflict)) => {}
            other => return other,
        }
    }
    Err(AppendError::Conflict.into())
}

/// Appends events of an account, the first of which brings a sealed value.
async fn append_sealed(
    services: &Services,
    subject: SubjectId,
    value: &[u8],
    work: &Work,
    commands: impl Fn(Sha256Digest) -> Vec<AccountCommand>,
) -> Result<(), AccountFailure> {
    for _ in 0..ATTEMPTS {
        let folded = services.accounts.fresh(&subject.to_string()).await?;
        match try_append_sealed(services, &folded, subject, value, work, &commands).await {
            Err(AccountFailure::Append(AppendError::Conflict)) => {}
            other => return other,
        }
    }
    Err(AppendError::Conflict.into())
}

/// A sealed value belongs to one place in the log, so after a conflict it is
/// sealed anew for the next place.
async fn try_append_sealed(
    services: &Services,
    folded: &Folded<Account>,
    subject: SubjectId,
    value: &[u8],
    work: &Work,
    commands: &impl Fn(Sha256Digest) -> Vec<AccountCommand>,
) -> Result<(), AccountFailure> {
    if folded.state.registered().is_none() {
        return Err(AccountError::Unknown.into());
    }
    let id = subject.to_string();
    let stream = Account::stream(&id);
    let key = services.vault.key(&stream).await?;
    let mut work = work.clone();
    let sequence = folded.head.sequence + 1;
    let commitment = services.vault.seal(&mut work.append, &key, &stream, sequence, value)?;
    let (_, events) =
        decide(&folded.state, commands(commitment)).await.map_err(AccountFailure::Refused)?;
    if events.is_empty() {
        return Ok(());
    }
    work.add(&stream, folded.head, &events)?;
    let done = services.committer.append(work.append).await;
    services.accounts.forget(&id);
    Ok(done.map(drop)?)
}
