//! Operations on accounts.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_domain::account::{Account, AccountCommand, Profile, RegisteredAccount, Role};
use chancery_domain::ids::SubjectId;
use serde_json::{Map, Value};

use super::{AccountView, AdminError, Confidential, NewAccount, Outcome, ResetLinkView};
use crate::accounts::{self, AccountFailure};
use crate::aggregates::{Folded, Origin, VaultError};
use crate::claims;
use crate::interaction::texts;
use crate::mail;
use crate::passwords::Password;
use crate::services::Services;

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
    let NewAccount { name, password, claims, roles } = new;
    if !is_account_name(&name) {
        return Err(AdminError::Invalid(NAME_RULE.to_owned()));
    }
    check_claims(&claims)?;
    let hash = hash(services, &password).await?;
    let profile = Profile { username: name.clone(), claims };
    let failed = |error: AccountFailure| AdminError::of_account(error, &name);
    let subject =
        accounts::create(services, &profile, &hash, origin.clone()).await.map_err(failed)?;
    if !roles.is_empty() {
        let command = AccountCommand::ReplaceRoles { roles };
        return execute(services, &subject.to_string(), command, origin).await;
    }
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
    let subject = subject(&*find_account(services, account).await?, account)?;
    let work = services.work(Origin { subject: Some(subject), ..origin })?;
    accounts::change_claims(services, subject, claims, &work)
        .await
        .map_err(|error| AdminError::of_account(error, account))?;
    view(services, subject).await
}

pub(super) async fn replace_roles(
    services: &Services,
    account: &str,
    roles: BTreeSet<Role>,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    execute(services, account, AccountCommand::ReplaceRoles { roles }, origin).await
}

/// Opens a one-time link; mails it to the person, or gives it to the operator
/// to hand over.
pub(super) async fn reset_link(
    services: &Services,
    account: &str,
    by_mail: bool,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let folded = find_account(services, account).await?;
    let failed = |error: AccountFailure| AdminError::of_account(error, account);
    let registered = registered(&folded, account)?;
    let profile = accounts::profile(&services.vault, registered).await.map_err(failed)?;
    let address = mail::address_for_resets(&profile).map(str::to_owned);
    if by_mail && !services.mail.is_there() {
        return Err(AdminError::Refused("no mail server is set: see [mail]".to_owned()));
    }
    if by_mail && address.is_none() {
        let text = "the account has no e-mail address that a link may be sent to";
        return Err(AdminError::Refused(text.to_owned()));
    }
    let link =
        accounts::open_reset_link(services, registered.subject, origin).await.map_err(failed)?;
    let url = accounts::reset_url(services, &link);
    let expires_at = services.now() + accounts::RESET_LINK_LIFETIME;
    let Some(to) = address.filter(|_| by_mail) else {
        let url = Some(Confidential::new(url));
        return Ok(Outcome::ResetLink(ResetLinkView { url, mailed: false, expires_at }));
    };
    let letter = mail::reset_letter(to, &url, texts::choose(&locale(&profile), None));
    services.mail.deliver(&letter).await.map_err(|error| AdminError::Failed(error.to_string()))?;
    Ok(Outcome::ResetLink(ResetLinkView { url: None, mailed: true, expires_at }))
}

/// The person's own language, if their profile names one.
fn locale(profile: &Profile) -> Vec<String> {
    profile.claims.get("locale").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
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

fn check_claims(claims: &Map<String, Value>) -> Result<(), AdminError> {
    let checked = claims.iter().try_for_each(|(name, value)| claims::check(name, value));
    checked.map_err(|error| AdminError::Invalid(error.to_string()))
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
