//! The steps of an erasure. Each does what is left to do, and harms nothing when
//! it is done again.

use std::sync::Arc;

use chancery_domain::account::{Account, Destroyed};
use chancery_domain::consent::{ConsentCommand, ConsentError};
use chancery_domain::grant::{Grant, GrantCommand, RevocationCause, Revoke};
use chancery_domain::ids::SubjectId;
use chancery_domain::session::{Session, SessionCommand, SessionEndCause, SessionError};

use crate::accounts::AccountFailure;
use crate::actors::grant::GrantFailure;
use crate::aggregates::{ExecuteError, Kept as _, Origin};
use crate::lookups::{GrantFilter, Lookups, Page, Part};
use crate::services::Services;
use crate::stores::{Remains, Store, StoreError, Traces};

/// How many rows are read at once.
const PAGE: u32 = 500;

/// How many aggregates are destroyed at once.
const AT_ONCE: usize = 500;

/// Why an erasure could not be brought to its end yet.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Account(#[from] AccountFailure),
    #[error(transparent)]
    Grant(#[from] GrantFailure),
    #[error(transparent)]
    Session(#[from] ExecuteError<SessionError>),
    #[error(transparent)]
    Consent(#[from] ExecuteError<ConsentError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody added something meanwhile.
    #[error("something is left of the person: {0:?}")]
    Left(Remains),
}

/// Destroys keys, sealed values, snapshots and names. Gives all that was ever
/// destroyed of this person.
pub async fn destroy(
    services: &Services,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<Destroyed, StoreError> {
    let Traces { subject, owners } = traces(lookups, subject).await?;
    let mut total = Destroyed::default();
    // The account's own stream is always there.
    for owners in owners.chunks(AT_ONCE) {
        let traces = Traces { subject: Arc::clone(&subject), owners: owners.to_vec() };
        total = services.store.destroy(&traces).await?;
    }
    Ok(total)
}

/// How much is left of a person.
pub async fn remains(
    store: &dyn Store,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<Remains, StoreError> {
    store.remains(&traces(lookups, subject).await?).await
}

/// All aggregates that may hold something of a person, by what the read models
/// know; what their data keys know, the store adds.
async fn traces(lookups: &Lookups, subject: SubjectId) -> Result<Traces, StoreError> {
    let id: Arc<str> = subject.to_string().into();
    let grants_of = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let mut owners = vec![Account::stream(&id)];
    let sessions = all(|part| lookups.sessions(subject, part)).await?;
    owners.extend(sessions.iter().map(|row| Session::stream(&row.session_id.to_string())));
    let grants = all(|part| lookups.grants(&grants_of, part)).await?;
    owners.extend(grants.iter().map(|row| Grant::stream(&row.grant_id.to_string())));
    Ok(Traces { subject: id, owners })
}

/// Every row, page by page.
async fn all<R, F: Future<Output = Result<Page<R>, StoreError>>>(
    page: impl Fn(Part) -> F,
) -> Result<Vec<R>, StoreError> {
    let mut rows = Vec::new();
    let mut part = Part::first(PAGE);
    loop {
        let found = page(part.clone()).await?;
        rows.extend(found.rows);
        part.after = found.next;
        if part.after.is_none() {
            return Ok(rows);
        }
    }
}

/// Ends all that rests on the account: grants, sessions, consents. (The cascade
/// ends grants and sessions too; here nothing depends on its speed.)
pub async fn end_all(
    services: &Services,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<(), Failure> {
    end_grants(services, lookups, subject).await?;
    end_sessions(services, lookups, subject).await?;
    withdraw_consents(services, lookups, subject).await
}

fn origin(subject: SubjectId) -> Origin {
    Origin { subject: Some(subject), ..Origin::system("erasure") }
}

async fn end_grants(
    services: &Services,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<(), Failure> {
    let filter = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let grants = all(|part| lookups.grants(&filter, part)).await?;
    for grant in grants.iter().filter(|grant| grant.is_live()) {
        let mut origin = origin(subject);
        origin.correlation_id = Some(grant.grant_id.to_string());
        origin.client_id = Some(grant.client_id.clone());
        let cause = RevocationCause::AccountErased;
        let command = GrantCommand::Revoke(Revoke { cause, now: services.now() });
        let work = services.work(origin)?;
        match services.grants.execute(grant.grant_id, vec![command], work).await {
            Ok(_) | Err(GrantFailure::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn end_sessions(
    services: &Services,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<(), Failure> {
    let sessions = all(|part| lookups.sessions(subject, part)).await?;
    for session in sessions.iter().filter(|session| session.is_live(services.now())) {
        let (cause, now) = (SessionEndCause::AccountErased, services.now());
        let end = SessionCommand::End { cause, now };
        let work = services.work(origin(subject))?;
        let id = session.session_id.to_string();
        match services.sessions.execute(&id, vec![end], work).await {
            Ok(_) | Err(ExecuteError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn withdraw_consents(
    services: &Services,
    lookups: &Lookups,
    subject: SubjectId,
) -> Result<(), Failure> {
    let consents = all(|part| lookups.consents(subject, part)).await?;
    for consent in consents.iter().filter(|consent| consent.state == "given") {
        let withdraw = ConsentCommand::Withdraw { now: services.now() };
        let work = services.work(origin(subject))?;
        let id = consent.consent_id.to_string();
        match services.consents.execute(&id, vec![withdraw], work).await {
            Ok(_) | Err(ExecuteError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
