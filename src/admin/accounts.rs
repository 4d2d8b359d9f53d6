//! Operations on accounts.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_domain::account::{
    Account, AccountCommand, Erasure, Profile, RegisteredAccount, Role,
};
use chancery_domain::ids::SubjectId;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value};

use super::{
    AccountView, AccountsView, AdminError, Confidential, NewAccount, Outcome, ResetLinkView,
};
use crate::accounts::{self, AccountFailure};
use crate::aggregates::{Folded, Origin};
use crate::claims;
use crate::erasure;
use crate::interaction::texts;
use crate::lookups::{Lookups, Part};
use crate::mail;
use crate::passwords::Password;
use crate::services::Services;

/// How many people are shown at once, at most: each is an event.
const MOST_READ_AT_ONCE: u32 = 1000;
/// How many of these events are under way at once.
const READ_AT_ONCE: usize = 16;
/// In characters.
const LONGEST_REASON: usize = 500;

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

/// An account, by name or subject, without who the person is.
pub async fn account_view(services: &Services, account: &str) -> Result<AccountView, AdminError> {
    let subject = subject(&*find_account(services, account).await?, account)?;
    view_of(services, subject).await
}

/// Some accounts, without who the people are.
pub async fn list_accounts(services: &Services, part: Part) -> Result<AccountsView, AdminError> {
    let page = Lookups::new(Arc::clone(&services.store)).accounts(part).await?;
    let mut accounts = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        accounts.push(view_of(services, row.subject).await?);
    }
    Ok(AccountsView { accounts, next: page.next })
}

/// Shows who a person is, once it stands in the log that it was shown, to whom
/// and why.
pub(super) async fn read(
    services: &Services,
    account: &str,
    reason: &str,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let reason = check_reason(reason)?;
    let subject = subject(&*find_account(services, account).await?, account)?;
    Ok(Outcome::Account(Box::new(read_one(services, subject, reason, origin).await?)))
}

/// The same for a part of all accounts: an event for each person shown.
pub(super) async fn read_some(
    services: &Services,
    part: Part,
    reason: &str,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let reason = check_reason(reason)?;
    if !(1..=MOST_READ_AT_ONCE).contains(&part.limit) {
        let text = format!("limit must be from 1 to {MOST_READ_AT_ONCE}: each is an event");
        return Err(AdminError::Invalid(text));
    }
    let page = Lookups::new(Arc::clone(&services.store)).accounts(part).await?;
    let people = page.rows.into_iter().map(|row| row.subject);
    let read = people.map(|subject| read_one(services, subject, reason, origin.clone()).boxed());
    let accounts = stream::iter(read).buffered(READ_AT_ONCE).try_collect().await?;
    Ok(Outcome::Accounts(AccountsView { accounts, next: page.next }))
}

async fn read_one(
    services: &Services,
    subject: SubjectId,
    reason: &str,
    origin: Origin,
) -> Result<AccountView, AdminError> {
    let id = subject.to_string();
    let failed = |error: AccountFailure| AdminError::of_account(error, &id);
    let folded = services.accounts.fresh(&id).await?;
    let account = registered(&folded, &id)?;
    if account.erasure.is_some() {
        return Ok(AccountView::pseudonym(account));
    }
    let profile = accounts::profile(&services.vault, account).await.map_err(failed)?;
    let claims = profile.claims.keys().cloned();
    let what = std::iter::once("username".to_owned()).chain(claims).collect();
    accounts::note_read(services, subject, what, reason, origin).await.map_err(failed)?;
    Ok(AccountView::of(account, Some(profile)))
}

/// Erases an account. What is personal is gone when this answers, but for what
/// other nodes may add in the next second; a serving node brings the rest to its
/// end. Done again, it destroys what has come back.
pub(super) async fn erase(
    services: &Services,
    account: &str,
    reason: &str,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let reason = check_reason(reason)?;
    let folded = find_account(services, account).await?;
    let subject = subject(&folded, account)?;
    let failed = |error: AccountFailure| AdminError::of_account(error, account);
    let was_erased = is_erased(registered(&folded, account)?);
    erasure::request(services, subject, reason, &origin).await.map_err(failed)?;
    let lookups = Lookups::new(Arc::clone(&services.store));
    if was_erased {
        erasure::complete(services, &lookups, &[subject]).await.map_err(AdminError::of_erasure)?;
    } else {
        erasure::destroy(services, &lookups, subject).await?;
    }
    view(services, subject).await
}

fn is_erased(account: &RegisteredAccount) -> bool {
    matches!(account.erasure, Some(Erasure::Done(..)))
}

/// A reason stands in the log for good.
pub fn check_reason(reason: &str) -> Result<&str, AdminError> {
    let reason = reason.trim();
    let fits = (1..=LONGEST_REASON).contains(&reason.chars().count())
        && !reason.chars().any(char::is_control);
    if fits {
        return Ok(reason);
    }
    let text = format!("a reason has 1 to {LONGEST_REASON} characters and no control characters");
    Err(AdminError::Invalid(text))
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
        execute(services, &subject.to_string(), command, origin).await?;
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
    Ok(AccountView::pseudonym(registered(&folded, &id)?))
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
