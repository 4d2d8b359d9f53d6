//! Accounts by name: who has one, what is sealed of them, and how one is made.
//!
//! The database holds a MAC of each name only, and profile and password hash
//! only sealed. A name is compared without the space around it and in lower
//! case.

use std::sync::Arc;

use chancery_domain::account::{Account, AccountCommand, AccountError, Profile, RegisteredAccount};
use chancery_domain::ids::SubjectId;
use chancery_domain::time::UnixTime;

use crate::aggregates::{ExecuteError, Folded, Kept as _, LoadError, Vault, VaultError, Work};
use crate::sealing::NamesKey;
use crate::services::Services;
use crate::stores::{AppendError, NameChange, StoreError};

/// The space of account names among all unique names.
pub const NAMES: &str = "account";

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

/// Gives an account another password.
///
/// A sealed value belongs to one place in the log, so after a conflict it is
/// sealed anew for the next place.
pub async fn set_password(
    services: &Services,
    subject: SubjectId,
    password_hash: &str,
    work: &Work,
) -> Result<(), AccountFailure> {
    const ATTEMPTS: usize = 4;
    let id = subject.to_string();
    let stream = Account::stream(&id);
    let key = services.vault.key(&stream).await?;
    for _ in 0..ATTEMPTS {
        let mut work = work.clone();
        let sequence = services.accounts.fresh(&id).await?.head.sequence + 1;
        let value = password_hash.as_bytes();
        let hash = services.vault.seal(&mut work.append, &key, &stream, sequence, value)?;
        let command = AccountCommand::SetPassword { hash, now: services.now() };
        services.accounts.prepare(&id, vec![command], &mut work).await?;
        match services.committer.append(work.append).await {
            Ok(_) => {
                services.accounts.forget(&id);
                return Ok(());
            }
            Err(AppendError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppendError::Conflict.into())
}
