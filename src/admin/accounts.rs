//! Operations on accounts.

use std::sync::Arc;

use chancery_domain::account::{Account, AccountCommand, Profile, RegisteredAccount};
use chancery_domain::ids::SubjectId;
use serde_json::{Map, Value};

use super::{AccountView, AdminError, Confidential, NewAccount, Outcome};
use crate::accounts::{self, AccountFailure};
use crate::aggregates::{Folded, Kept as _, Origin, VaultError};
use crate::passwords::Password;
use crate::services::Services;
use crate::stores::AppendError;

/// How often a change is decided again after a conflict.
const ATTEMPTS: usize = 4;

/// What a name to log in with may be.
pub const NAME_RULE: &str =
    "a name has 1 to 128 characters, no space around them and no control characters";

/// May this be a name to log in with?
#[must_use]
pub fn is_account_name(text: &str) -> bool {
    (1..=128).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// The account with this name, or with this subject.
pub async fn find_account(
    services: &Services,
    account: &str,
) -> Result<Arc<Folded<Account>>, AdminError> {
    let found = accounts::find_by_name(services, account).await;
    if let Some(folded) = found.map_err(|error| AdminError::of_account(error, account))? {
        return Ok(folded);
    }
    let missing = || AdminError::not_found("account", account);
    let subject: SubjectId = account.parse().map_err(|_| missing())?;
    let folded = services.accounts.get(&subject.to_string()).await?;
    if folded.state.registered().is_some() { Ok(folded) } else { Err(missing()) }
}

/// An account, by name or subject.
pub async fn account_view(services: &Services, account: &str) -> Result<AccountView, AdminError> {
    let subject = subject(&*find_account(services, account).await?, account)?;
    view_of(services, subject).await
}

pub(super) async fn add(
    services: &Services,
    new: NewAccount,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let NewAccount { name, password, claims } = new;
    if !is_account_name(&name) {
        return Err(AdminError::Invalid(NAME_RULE.to_owned()));
    }
    check_claims(&claims)?;
    let hash = hash(services, &password).await?;
    let subject = SubjectId::from_uuid(services.entropy.uuid_v4());
    let profile = Profile { username: name.clone(), claims };
    let failed = |error: AccountFailure| AdminError::of_account(error, &name);
    let new = accounts::NewAccount {
        subject,
        profile: &profile,
        password_hash: &hash,
        now: services.now(),
    };
    let mut work = services.work(Origin { subject: Some(subject), ..origin })?;
    let keys = services.keys.get();
    let commands =
        accounts::register(&services.vault, &keys.names, &new, &mut work).map_err(failed)?;
    services
        .accounts
        .execute(&subject.to_string(), commands, work)
        .await
        .map_err(|error| failed(error.into()))?;
    view(services, subject).await
}

pub(super) async fn set_password(
    services: &Services,
    account: &str,
    password: &Confidential,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let subject = subject(&*find_account(services, account).await?, account)?;
    let hash = hash(services, password).await?;
    let work = services.work(Origin { subject: Some(subject), ..origin })?;
    accounts::set_password(services, subject, &hash, &work)
        .await
        .map_err(|error| AdminError::of_account(error, account))?;
    view(services, subject).await
}

pub(super) async fn set_claims(
    services: &Services,
    account: &str,
    claims: &Map<String, Value>,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    check_claims(claims)?;
    let failed = |error: AccountFailure| AdminError::of_account(error, account);
    let subject = subject(&*find_account(services, account).await?, account)?;
    let id = subject.to_string();
    let stream = Account::stream(&id);
    let key = services.vault.key(&stream).await.map_err(|error| failed(error.into()))?;
    let origin = Origin { subject: Some(subject), ..origin };
    for _ in 0..ATTEMPTS {
        let folded = services.accounts.fresh(&id).await?;
        let mut profile = accounts::profile(&services.vault, registered(&folded, account)?)
            .await
            .map_err(failed)?;
        for (name, value) in claims {
            if value.is_null() {
                profile.claims.remove(name);
            } else {
                profile.claims.insert(name.clone(), value.clone());
            }
        }
        let json = serde_json::to_vec(&profile)
            .map_err(|_| failed(AccountFailure::Unreadable("profile")))?;
        let mut work = services.work(origin.clone())?;
        let sequence = folded.head.sequence + 1;
        let profile = services.vault.seal(&mut work.append, &key, &stream, sequence, &json)?;
        let command = AccountCommand::ReplaceProfile { profile };
        services
            .accounts
            .prepare(&id, vec![command], &mut work)
            .await
            .map_err(|error| failed(error.into()))?;
        match services.committer.append(work.append).await {
            Ok(_) => {
                services.accounts.forget(&id);
                return view(services, subject).await;
            }
            Err(AppendError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppendError::Conflict.into())
}

pub(super) async fn lock(
    services: &Services,
    account: &str,
    reason: String,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    execute(services, account, AccountCommand::Lock { reason }, origin).await
}

pub(super) async fn unlock(
    services: &Services,
    account: &str,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    execute(services, account, AccountCommand::Unlock, origin).await
}

async fn execute(
    services: &Services,
    account: &str,
    command: AccountCommand,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let subject = subject(&*find_account(services, account).await?, account)?;
    let id = subject.to_string();
    let work = services.work(Origin { subject: Some(subject), ..origin })?;
    services.accounts.forget(&id);
    services
        .accounts
        .execute(&id, vec![command], work)
        .await
        .map_err(|error| AdminError::of_account(error.into(), account))?;
    view(services, subject).await
}

async fn view(services: &Services, subject: SubjectId) -> Result<Outcome, AdminError> {
    Ok(Outcome::Account(Box::new(view_of(services, subject).await?)))
}

async fn view_of(services: &Services, subject: SubjectId) -> Result<AccountView, AdminError> {
    let id = subject.to_string();
    let folded = services.accounts.get(&id).await?;
    let account = registered(&folded, &id)?;
    let profile = match accounts::profile(&services.vault, account).await {
        Ok(profile) => Some(profile),
        Err(AccountFailure::Vault(VaultError::Gone)) => None,
        Err(error) => return Err(AdminError::of_account(error, &id)),
    };
    Ok(AccountView::of(account, profile))
}

async fn hash(services: &Services, password: &Confidential) -> Result<String, AdminError> {
    #[expect(clippy::disallowed_methods, reason = "it is hashed here")]
    let password = Password::new(password.expose());
    Ok(services.passwords.hash(&password).await?)
}

/// What says who the person is, or who says so, is the server's to say.
fn check_claims(claims: &Map<String, Value>) -> Result<(), AdminError> {
    const OWN: [&str; 6] = ["sub", "iss", "aud", "exp", "iat", "nonce"];
    match claims.keys().find(|name| OWN.contains(&name.as_str())) {
        Some(name) => Err(AdminError::Invalid(format!("the claim {name} is the server's own"))),
        None => Ok(()),
    }
}

fn registered<'a>(
    folded: &'a Folded<Account>,
    account: &str,
) -> Result<&'a RegisteredAccount, AdminError> {
    folded.state.registered().ok_or_else(|| AdminError::not_found("account", account))
}

fn subject(folded: &Folded<Account>, account: &str) -> Result<SubjectId, AdminError> {
    registered(folded, account).map(|account| account.subject)
}
