//! Erasing a person: everything personal is destroyed, and the log keeps its
//! history, by a pseudonym.
//!
//! [`request`] records the intent, from which on the account is as good as gone,
//! and [`destroy`] takes away what is sealed at once. [`finish`] does the rest:
//! ends what rests on the account, waits until no node can add anything, takes
//! that away too, has the store's files written anew, and records the end. Each
//! step can be done again, by anybody, after a crash at any point; a serving
//! node does so for every erasure that the feed tells of ([`Eraser`]).
//!
//! The page beside this file says what it means for backups and replicas.

mod eraser;
mod steps;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chancery_domain::account::{Account, AccountCommand, AccountError, Erasure};
use chancery_domain::ids::SubjectId;

pub use self::eraser::{Eraser, ReadModels};
pub use self::steps::{Failure, destroy, end_all, remains};
use crate::accounts::{self, AccountFailure};
use crate::aggregates::{Kept as _, Origin, VaultError, decide};
use crate::lookups::Lookups;
use crate::services::Services;
use crate::stores::{Append, AppendError, NameChange, Remains, UsedOnce};

/// How often a change is decided again after a conflict.
const ATTEMPTS: usize = 8;

/// Well above the age of any node's cache, and the time of a request under way.
const SETTLED: Duration = Duration::from_secs(3);

/// For how long one of several nodes has an erasure for itself, in seconds.
const TURN: i64 = 30;
/// How often those who wait for it look.
const LOOK: Duration = Duration::from_millis(500);

/// Who may be at work besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Nobody: this process answers no requests, and has the store for itself.
    None,
    /// Requests of this process.
    Requests,
    /// Other nodes too.
    Nodes,
}

/// Records that a person is to be erased, and gives their name back in the same
/// append. Nothing happens where that was recorded before.
pub async fn request(
    services: &Services,
    subject: SubjectId,
    reason: &str,
    origin: &Origin,
) -> Result<(), AccountFailure> {
    let id = subject.to_string();
    let stream = Account::stream(&id);
    for _ in 0..ATTEMPTS {
        let folded = services.accounts.fresh(&id).await?;
        let account = folded.state.registered().ok_or(AccountError::Unknown)?;
        let now = services.now();
        let command = AccountCommand::RequestErasure { reason: reason.to_owned(), now };
        let (_, events) = decide(&folded.state, vec![command]).await?;
        if events.is_empty() {
            return Ok(());
        }
        let mut work = services.work(Origin { subject: Some(subject), ..origin.clone() })?;
        work.add(&stream, folded.head, &events)?;
        match accounts::profile(&services.vault, account).await {
            Ok(profile) => {
                let name = accounts::name_digest(&services.keys.get().names, &profile.username);
                let owner = services.store.name_owner(accounts::NAMES, &name).await?;
                if owner.as_deref() == Some(&*id) {
                    work.append.names.push(NameChange::Release { space: accounts::NAMES, name });
                }
            }
            // Gone already: the name goes with what is destroyed.
            Err(AccountFailure::Vault(VaultError::Gone)) => {}
            Err(error) => return Err(error),
        }
        let done = services.committer.append(work.append).await;
        services.accounts.forget(&id);
        match done {
            Ok(_) => return Ok(()),
            Err(AppendError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppendError::Conflict.into())
}

/// Brings erasures to their end, however far each is; those that ended already
/// are passed over. The read models must hold the requests for them.
pub async fn finish(
    services: &Services,
    lookups: &Lookups,
    subjects: &[SubjectId],
    company: Company,
) -> Result<(), Failure> {
    loop {
        let mut left = Vec::new();
        for subject in subjects {
            if is_under_way(services, *subject).await? {
                left.push(*subject);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if company != Company::Nodes || take_turn(services, &left).await? {
            for subject in &left {
                destroy(services, lookups, *subject).await?;
                end_all(services, lookups, *subject).await?;
            }
            if company != Company::None {
                tokio::time::sleep(SETTLED).await;
            }
            return complete(services, lookups, &left).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Destroys whatever is left, makes sure that it is in no file, and records the
/// ends.
pub async fn complete(
    services: &Services,
    lookups: &Lookups,
    subjects: &[SubjectId],
) -> Result<(), Failure> {
    let mut ends = Vec::with_capacity(subjects.len());
    for subject in subjects {
        ends.push((*subject, destroy(services, lookups, *subject).await?));
    }
    services.store.scrub().await?;
    for (subject, destroyed) in ends {
        let left = remains(&*services.store, lookups, subject).await?;
        if left != Remains::default() {
            return Err(Failure::Left(left));
        }
        let id = subject.to_string();
        let work = services.work(Origin { subject: Some(subject), ..Origin::system("erasure") })?;
        let now = services.now();
        let command = AccountCommand::CompleteErasure { destroyed, now };
        services.accounts.forget(&id);
        let done = services.accounts.execute(&id, vec![command], work).await;
        done.map_err(AccountFailure::from)?;
    }
    Ok(())
}

/// Has it begun, and not ended?
async fn is_under_way(services: &Services, subject: SubjectId) -> Result<bool, Failure> {
    let folded =
        services.accounts.fresh(&subject.to_string()).await.map_err(AccountFailure::from)?;
    let account = folded.state.registered().ok_or(AccountFailure::from(AccountError::Unknown))?;
    match account.erasure {
        Some(Erasure::Requested(_)) => Ok(true),
        Some(Erasure::Done(..)) => Ok(false),
        None => Err(AccountFailure::from(AccountError::NotBeingErased).into()),
    }
}

/// Is it this node that does these now? All could, without harm; but each would
/// have the files written anew.
async fn take_turn(services: &Services, subjects: &[SubjectId]) -> Result<bool, Failure> {
    let turn = services.now().seconds().div_euclid(TURN);
    let text = subjects.iter().fold(turn.to_string(), |text, subject| format!("{text} {subject}"));
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    let mut append = Append::default();
    append.used_once.push(UsedOnce {
        space: "erasure",
        key,
        expires_at: (turn + 2).saturating_mul(TURN),
    });
    match services.committer.append(append).await {
        Ok(_) => Ok(true),
        Err(AppendError::AlreadyUsed) => Ok(false),
        Err(error) => Err(AccountFailure::from(error).into()),
    }
}
