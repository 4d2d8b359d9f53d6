//! Telling clients by the server that a session has ended (OpenID Connect
//! Back-Channel Logout 1.0 §2.5).
//!
//! Who is to be told, each attempt and the time of the next stand in the log, on
//! the session. Every node looks for what is due; who takes an attempt's lease
//! makes it. A node that dies with one in its hands leaves it to the others when
//! the lease ends: a client may hear of a logout twice, never not at all (as
//! long as it answers within the attempts that there are). No client waits for
//! another: each has a few calls at once, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::{ClientId, SessionId};
use chancery_domain::session::{BackchannelFailure, BackchannelOutcome, Begun, SessionCommand};
use url::{Url, form_urlencoded};

use super::logout_token;
use crate::actors::service::{Handle, Service};
use crate::aggregates::{Aggregates, Origin};
use crate::feed::consumer::Progress;
use crate::lookups::{BackchannelLogoutRow, Lookups, Part};
use crate::oauth_error::ErrorCode;
use crate::outbound::OutboundError;
use crate::services::Services;
use crate::stores::{Append, AppendError, StoreError, UsedOnce};
use crate::telemetry::trace;

const NAME: &str = "backchannel_logout";
/// How long a node has for an attempt; after that, another node may make it. Above the time
/// that a call takes by default.
const LEASE_SECONDS: i64 = 20;
/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_millis(200);
/// How many rows are read at once.
const PAGE: u32 = 500;
/// How many calls are under way at once, in all and to one client.
const AT_ONCE: usize = 64;
const AT_ONCE_EACH: usize = 4;

/// Starts it in the current arbiter. `owed`: how far the read model is that it looks into.
#[must_use]
pub fn start(services: &Arc<Services>, owed: &Progress) -> Handle {
    let (services, owed) = (Arc::clone(services), owed.clone());
    let work = move || {
        let courier = Courier { services: Arc::clone(&services), under_way: Arc::default() };
        courier.run(owed.clone())
    };
    Service::start(NAME, Arc::new(move || Box::pin(work())))
}

/// Makes the attempts that are due.
#[derive(Clone)]
struct Courier {
    services: Arc<Services>,
    under_way: Arc<Mutex<BTreeSet<(ClientId, SessionId)>>>,
}

/// What is known of a notice that is due.
struct Due {
    client_id: ClientId,
    session_id: SessionId,
}

impl Courier {
    async fn run(self, owed: Progress) {
        let lookups = Lookups::new(Arc::clone(&self.services.store));
        let mut tasks = tokio::task::JoinSet::new();
        let mut seen = None;
        // The earliest time at which something is due that is not yet.
        let mut next: Option<i64> = Some(i64::MIN);
        let mut rest = LOOK;
        loop {
            while tasks.try_join_next().is_some() {}
            let position = owed.position();
            let now = self.services.now().seconds();
            if seen != Some(position) || next.is_some_and(|next| next <= now) {
                let began = tokio::time::Instant::now();
                match self.look(&lookups, now, &mut tasks).await {
                    Ok(earliest) => (seen, next) = (Some(position), earliest),
                    Err(error) => tracing::warn!(%error, "logouts can't be looked up: {error}"),
                }
                // A long list is not read all the time.
                rest = LOOK.max(began.elapsed() * 4);
            }
            tokio::time::sleep(rest).await;
        }
    }

    /// Begins what is due, as far as there is room for it. Gives when something is due next.
    async fn look(
        &self,
        lookups: &Lookups,
        now: i64,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> Result<Option<i64>, StoreError> {
        let mut part = Part::first(PAGE);
        let mut next: Option<i64> = None;
        loop {
            let page = lookups.backchannel_logouts(part.clone()).await?;
            for row in page.rows {
                let due = row.due_at.seconds();
                next = Some(next.map_or(due, |next| next.min(due)));
                if due <= now
                    && let Some(due) = self.take(row)
                {
                    let courier = self.clone();
                    tasks.spawn(async move {
                        courier.attempt(&due).await;
                        courier.put_down(&due);
                    });
                }
            }
            part.after = page.next;
            if part.after.is_none() {
                return Ok(next);
            }
        }
    }

    /// None: it is under way already, or there is no room.
    fn take(&self, row: BackchannelLogoutRow) -> Option<Due> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_client: BTreeMap<&ClientId, usize> = BTreeMap::new();
        for (client, _) in &*under_way {
            *of_client.entry(client).or_default() += 1;
        }
        let has_room = under_way.len() < AT_ONCE
            && of_client.get(&row.client_id).is_none_or(|count| *count < AT_ONCE_EACH);
        let taken = has_room && under_way.insert((row.client_id.clone(), row.session_id));
        taken.then_some(Due { client_id: row.client_id, session_id: row.session_id })
    }

    fn put_down(&self, due: &Due) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&(due.client_id.clone(), due.session_id));
    }

    async fn attempt(&self, due: &Due) {
        let attempt = self.try_attempt(due);
        if let Err(error) = trace::in_some(&*self.services.entropy, attempt).await {
            // It stays due.
            tracing::warn!(
                session.id = %due.session_id,
                client.id = %due.client_id,
                %error,
                "a logout could not be announced: {error}"
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn try_attempt(&self, due: &Due) -> Result<(), AttemptError> {
        let services = &self.services;
        let id = due.session_id.to_string();
        // The read model may be behind what this node or another has just noted.
        let folded = services.sessions.fresh(&id).await.map_err(AttemptError::of)?;
        let Some(session) = folded.state.begun() else { return Ok(()) };
        let Some((attempt, at)) = session.owed(&due.client_id) else { return Ok(()) };
        if services.now() < at || !self.lease(due, attempt).await? {
            return Ok(());
        }
        let outcome = self.call(due, session).await?;
        let command = SessionCommand::NoteBackchannelLogout {
            client_id: due.client_id.clone(),
            attempt,
            outcome,
            now: services.now(),
        };
        let mut origin = Origin::system("back-channel logout");
        origin.client_id = Some(due.client_id.clone());
        origin.session_id = Some(due.session_id);
        let work = services.work(origin).map_err(AttemptError::of)?;
        note(&services.sessions, &id, command, work).await
    }

    /// Is this attempt this node's? One that died with it gives it up with time.
    async fn lease(&self, due: &Due, attempt: u32) -> Result<bool, AttemptError> {
        let now = self.services.now().seconds();
        let period = now.div_euclid(LEASE_SECONDS);
        let Due { client_id, session_id } = due;
        let text = format!("{session_id} {attempt} {period} {client_id}");
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        let lease = UsedOnce { space: NAME, key, expires_at: now + 2 * LEASE_SECONDS };
        let append = Append { used_once: vec![lease], ..Append::default() };
        match self.services.committer.append(append).await {
            Ok(_) => Ok(true),
            Err(AppendError::AlreadyUsed) => Ok(false),
            Err(error) => Err(AttemptError::of(error)),
        }
    }

    async fn call(&self, due: &Due, session: &Begun) -> Result<BackchannelOutcome, AttemptError> {
        let services = &self.services;
        let failed = |reason, status| Ok(BackchannelOutcome::Failed { reason, status });
        let client =
            services.clients.get(due.client_id.as_str()).await.map_err(AttemptError::of)?;
        let Some((client, url)) = client.state.registered().and_then(|client| target(client))
        else {
            return failed(BackchannelFailure::ClientGone, None);
        };
        let token = match logout_token::make(services, client, session).await {
            Ok(token) => token,
            // Its keys can't be had, to encrypt to.
            Err(error) if error.code == ErrorCode::InvalidRequest => {
                return failed(BackchannelFailure::Unreachable, None);
            }
            Err(error) => return Err(AttemptError::of(error.description)),
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", &token)
            .finish();
        let form = "application/x-www-form-urlencoded";
        match services.outbound.post(&url, &[], form, body.into_bytes()).await {
            // §2.8: 200; some frameworks make 204 of an empty answer.
            Ok(answer) if (200..300).contains(&answer.status) => Ok(BackchannelOutcome::Delivered),
            Ok(answer) => failed(BackchannelFailure::Refused, Some(answer.status)),
            Err(error) => {
                tracing::info!(client.id = %due.client_id, %error, "a logout was not delivered");
                failed(reason(&error), None)
            }
        }
    }
}

/// Where the client is told.
fn target(client: &RegisteredClient) -> Option<(&RegisteredClient, Url)> {
    let text = client.metadata.backchannel_logout_uri.as_deref()?;
    Some((client, Url::parse(text).ok()?))
}

fn reason(error: &OutboundError) -> BackchannelFailure {
    match error {
        OutboundError::BadUrl
        | OutboundError::PlainHttp { .. }
        | OutboundError::BlockedHost { .. }
        | OutboundError::AddressRefused { .. }
        | OutboundError::BadHeader => BackchannelFailure::NotAllowed,
        OutboundError::Unresolvable { .. }
        | OutboundError::TimedOut { .. }
        | OutboundError::TooLarge { .. }
        | OutboundError::Unreachable { .. }
        | OutboundError::Broken { .. } => BackchannelFailure::Unreachable,
    }
}

async fn note(
    sessions: &Aggregates<chancery_domain::session::Session>,
    id: &str,
    command: SessionCommand,
    work: crate::aggregates::Work,
) -> Result<(), AttemptError> {
    sessions.execute(id, vec![command], work).await.map(drop).map_err(AttemptError::of)
}

/// Why an attempt could not even be made, or noted: of our own doing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct AttemptError(String);

impl AttemptError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}
