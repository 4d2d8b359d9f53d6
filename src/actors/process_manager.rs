//! Cascades: when an account is locked or erased, a client disabled, a consent withdrawn
//! or a session ended, the grants that rest on it end.
//!
//! One consumer of the feed, checkpointed and idempotent: it finds grants by the read
//! models, waits until these hold the event that it answers, and sends
//! commands ([`Cascade`]); a grant that has ended already takes no notice.
//!
//! Seen again after a restart (or years later, when its checkpoint is lost with
//! the read models), an event ends only what was there before it: the rows know
//! at which positions a grant was bound to its client, person and consent.
//! What a node with a cache some moments old adds just after the event is
//! caught too: for [`LATE_MS`], grants that move are compared with the events
//! of that time. What remains is a grant that such a node moves later still, or
//! within that time of this process being killed: it lives on in the log, and
//! yields nothing, since the token endpoint looks at client and account itself,
//! as long as they are disabled or locked.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_domain::account::AccountEvent;
use chancery_domain::client::ClientEvent;
use chancery_domain::consent::ConsentEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{GrantEvent, RevocationCause};
use chancery_domain::ids::{AggregateKind, ClientId, GrantId, SessionId, SubjectId};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::session::{SessionEndCause, SessionEvent};
use chancery_domain::time::{Lifetime, UnixTime};
use chancery_projections::{Change, Recorded, Table};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, TryStreamExt as _};

use super::service::{Handle, Service};
use crate::feed::Feed;
use crate::feed::consumer::{
    ConsumeError, Consumer, Progress, Standing, Stopped, drive, keep_trying,
};
use crate::lookups::{GrantFilter, GrantRow, Lookups, Part};
use crate::stores::StoreError;
use crate::telemetry::trace::{self, Trace};

/// The name of its checkpoint.
pub const NAME: &str = "process_manager";
/// How long after its cause a late grant is caught: well above the age of any node's cache.
const LATE_MS: i64 = 5_000;
/// How many rows are read at once.
const PAGE: u32 = 500;
/// How many commands are under way at once.
const AT_ONCE: usize = 16;
/// A grant whose last token ended this long ago is left alone: there is nothing to end.
const LONG_AGO: Lifetime = Lifetime::from_seconds(24 * 60 * 60);

/// Carries the commands of cascades to their aggregates. Each is idempotent: what has ended
/// already is no error.
pub trait Cascade: Send + Sync {
    /// Ends a grant. `causation` names the event that this answers.
    fn revoke_grant(
        &self,
        grant: GrantId,
        cause: RevocationCause,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>>;

    /// Ends a session.
    fn end_session(
        &self,
        session: SessionId,
        cause: SessionEndCause,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>>;

    /// Has those of these clients told that this session has ended that want to be.
    fn announce_logout(
        &self,
        session: SessionId,
        clients: BTreeSet<ClientId>,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>>;

    /// Does the end of a session end grants with `offline_access` too?
    fn logout_ends_offline_access(&self) -> bool;
}

/// Why a command of a cascade was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CascadeError {
    /// The aggregate refused it, and will again: noted, and passed over.
    #[error("refused: {0}")]
    Refused(String),
    /// Not now: tried again.
    #[error("{0}")]
    Unavailable(String),
}

/// The process manager as a consumer of the feed.
pub struct ProcessManager {
    lookups: Lookups,
    cascade: Arc<dyn Cascade>,
    reads: ReadModels,
    /// What happened a moment ago, in order.
    recent: Vec<Cause>,
}

/// How far the read models are that cascades look into.
#[derive(Clone)]
pub struct ReadModels {
    pub grants: Progress,
    pub sessions: Progress,
}

/// An event that ends grants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    what: What,
    position: u64,
    at_ms: i64,
    causation: String,
    trace: Option<Trace>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// All of the person's sessions and grants end.
    AccountLocked(SubjectId),
    /// The same, for good.
    AccountErased(SubjectId),
    /// All of the person's sessions end but one; what was given in them, as with any other end.
    SessionsDismissed(SubjectId, Option<SessionId>),
    /// All of the client's grants end.
    ClientDisabled(ClientId),
    /// The client's grants of this person end.
    ConsentWithdrawn(SubjectId, ClientId),
    /// The grants given in the session end, but for those with `offline_access`: that is access
    /// while the person is not there (OpenID Connect Core §11), which they have consented to by
    /// name, and which their logout does not take back (Back-Channel Logout §2.7), unless the
    /// operator says so. The session's clients are told.
    SessionEnded { session: SessionId, and_offline: bool },
}

/// Something done to the outside.
enum Step {
    /// Ends all that rests on the cause.
    Sweep(Cause),
    /// Ends this grant, if it rests on the cause.
    LateGrant(GrantId, Cause),
    /// Ends this session.
    LateSession(SessionId, Cause),
}

impl Step {
    const fn cause(&self) -> &Cause {
        match self {
            Self::Sweep(cause) | Self::LateGrant(_, cause) | Self::LateSession(_, cause) => cause,
        }
    }
}

impl ProcessManager {
    /// One that has seen nothing lately.
    #[must_use]
    pub fn new(lookups: Lookups, cascade: Arc<dyn Cascade>, reads: ReadModels) -> Self {
        Self { lookups, cascade, reads, recent: Vec::new() }
    }

    /// Starts it in the current arbiter.
    #[must_use]
    pub fn start(feed: &Feed, cascade: Arc<dyn Cascade>, reads: ReadModels) -> (Handle, Progress) {
        let (standing, progress) = Standing::new();
        let standing = Arc::new(standing);
        let feed = feed.clone();
        let work = move || {
            let manager = Self::new(
                Lookups::new(Arc::clone(feed.store())),
                Arc::clone(&cascade),
                reads.clone(),
            );
            manager.run(feed.clone(), Arc::clone(&standing))
        };
        (Service::start(NAME, Arc::new(move || Box::pin(work()))), progress)
    }

    /// Carries cascades out, whatever happens.
    pub async fn run(self, feed: Feed, standing: Arc<Standing>) {
        let manager = tokio::sync::Mutex::new(self);
        keep_trying(NAME, Some(&standing), || async {
            let mut manager = manager.lock().await;
            drive(&feed, &mut *manager, &standing).await
        })
        .await;
    }

    /// What is to be done because of an event. Also keeps in mind what happened lately.
    fn note(&mut self, event: &Recorded, steps: &mut Vec<Step>) {
        self.recent.retain(|cause| event.recorded_at_ms <= cause.at_ms.saturating_add(LATE_MS));
        match &event.event {
            AnyEvent::Account(happened) => {
                let Ok(subject) = event.id.parse() else { return };
                match happened {
                    AccountEvent::AccountLocked(_) => {
                        self.sweep(What::AccountLocked(subject), event, steps);
                    }
                    AccountEvent::ErasureRequested(_) => {
                        self.sweep(What::AccountErased(subject), event, steps);
                    }
                    AccountEvent::AccountUnlocked(_) => {
                        self.forget(&What::AccountLocked(subject));
                    }
                    AccountEvent::PasswordReset(_) => {
                        self.sweep(What::SessionsDismissed(subject, None), event, steps);
                    }
                    AccountEvent::SessionsDismissed(happened) => {
                        self.sweep(What::SessionsDismissed(subject, happened.but), event, steps);
                    }
                    _ => {}
                }
            }
            AnyEvent::Client(happened) => {
                let Ok(client_id) = event.id.parse() else { return };
                match happened {
                    ClientEvent::ClientDisabled(_) | ClientEvent::ClientDeleted(_) => {
                        self.sweep(What::ClientDisabled(client_id), event, steps);
                    }
                    ClientEvent::ClientEnabled(_) => {
                        self.forget(&What::ClientDisabled(client_id));
                    }
                    _ => {}
                }
            }
            AnyEvent::Consent(ConsentEvent::ConsentWithdrawn(happened)) => {
                let what = What::ConsentWithdrawn(happened.subject, happened.client_id.clone());
                self.sweep(what, event, steps);
            }
            AnyEvent::Consent(ConsentEvent::ConsentRecorded(happened)) => {
                let client_id = happened.client_id.clone();
                self.forget(&What::ConsentWithdrawn(happened.subject, client_id));
            }
            AnyEvent::Session(happened) => {
                let Ok(session_id) = event.id.parse() else { return };
                match happened {
                    SessionEvent::SessionEnded(_) => {
                        let and_offline = self.cascade.logout_ends_offline_access();
                        let what = What::SessionEnded { session: session_id, and_offline };
                        self.sweep(what, event, steps);
                    }
                    SessionEvent::SessionStarted(happened) => {
                        let cause = self
                            .recent
                            .iter()
                            .find(|cause| cause.shuts_out(happened.authentication.subject));
                        steps.extend(
                            cause.map(|cause| Step::LateSession(session_id, cause.clone())),
                        );
                    }
                    SessionEvent::SessionReauthenticated(_)
                    | SessionEvent::BackchannelLogoutRequested(_)
                    | SessionEvent::BackchannelLogoutDelivered(_)
                    | SessionEvent::BackchannelLogoutFailed(_) => {}
                }
            }
            AnyEvent::Grant(happened) => {
                let Ok(grant_id) = event.id.parse::<GrantId>() else { return };
                let late = self.recent.iter().filter(|cause| cause.is_ignored_by(happened));
                steps.extend(late.map(|cause| Step::LateGrant(grant_id, cause.clone())));
            }
            AnyEvent::SigningKey(_)
            | AnyEvent::Tally(_)
            | AnyEvent::RegistrationToken(_)
            | AnyEvent::ScopeDefinition(_)
            | AnyEvent::Log(_) => {}
        }
    }

    fn sweep(&mut self, what: What, event: &Recorded, steps: &mut Vec<Step>) {
        let cause = Cause {
            what,
            position: event.position,
            at_ms: event.recorded_at_ms,
            causation: event.reference(),
            trace: event.envelope().ok().and_then(|own| Trace::parse(&own.traceparent?)),
        };
        // Seen again after a failure, it is there already.
        if !self.recent.contains(&cause) {
            self.recent.push(cause.clone());
        }
        steps.push(Step::Sweep(cause));
    }

    /// It was taken back: what comes from now on may live.
    fn forget(&mut self, what: &What) {
        self.recent.retain(|cause| cause.what != *what);
    }

    async fn carry_out(&self, step: Step) -> Result<(), ConsumeError> {
        match step {
            Step::Sweep(cause) => {
                match cause.what {
                    What::AccountLocked(subject) | What::AccountErased(subject) => {
                        self.end_sessions(subject, &cause).await?;
                    }
                    // Their grants follow from their ends.
                    What::SessionsDismissed(subject, _) => {
                        return self.end_sessions(subject, &cause).await;
                    }
                    What::ClientDisabled(_)
                    | What::ConsentWithdrawn(..)
                    | What::SessionEnded { .. } => {}
                }
                if let What::SessionEnded { session, .. } = cause.what {
                    let clients = self.clients_of(session).await?;
                    self.announce(session, clients, &cause).await?;
                }
                self.revoke_grants(&cause).await
            }
            Step::LateGrant(grant_id, cause) => {
                let grant = self.lookups.grant(grant_id).await?;
                if let (What::SessionEnded { session, .. }, Some(grant)) = (&cause.what, &grant)
                    && took_part(grant, *session)
                {
                    let clients = BTreeSet::from([grant.client_id.clone()]);
                    self.announce(*session, clients, &cause).await?;
                }
                match grant.filter(|grant| grant.is_live() && cause.concerns(grant)) {
                    Some(grant) => self.revoke(&grant, &cause).await,
                    None => Ok(()),
                }
            }
            Step::LateSession(session_id, cause) => self.end(session_id, &cause).await,
        }
    }

    /// Pages on by id: grants that begin meanwhile come last.
    async fn revoke_grants(&self, cause: &Cause) -> Result<(), ConsumeError> {
        let filter = cause.filter();
        let mut part = Part::first(PAGE);
        loop {
            let page = self.lookups.grants(&filter, part.clone()).await?;
            let grants = page.rows.iter().filter(|grant| cause.ends(grant));
            stream::iter(grants.map(Ok::<_, ConsumeError>))
                .try_for_each_concurrent(AT_ONCE, |grant| self.revoke(grant, cause))
                .await?;
            part.after = page.next;
            if part.after.is_none() {
                return Ok(());
            }
        }
    }

    /// The clients that have an answer from this session, whatever became of it since.
    async fn clients_of(&self, session: SessionId) -> Result<BTreeSet<ClientId>, ConsumeError> {
        let filter = GrantFilter { session_id: Some(session), ..GrantFilter::default() };
        let mut part = Part::first(PAGE);
        let mut clients = BTreeSet::new();
        loop {
            let page = self.lookups.grants(&filter, part.clone()).await?;
            let grants = page.rows.into_iter().filter(|grant| took_part(grant, session));
            clients.extend(grants.map(|grant| grant.client_id));
            part.after = page.next;
            if part.after.is_none() {
                return Ok(clients);
            }
        }
    }

    async fn announce(
        &self,
        session: SessionId,
        clients: BTreeSet<ClientId>,
        cause: &Cause,
    ) -> Result<(), ConsumeError> {
        let causation = cause.causation.clone();
        let done = self.cascade.announce_logout(session, clients, causation).await;
        passed_over(done, &format!("session {session}"), cause)
    }

    async fn end_sessions(&self, subject: SubjectId, cause: &Cause) -> Result<(), ConsumeError> {
        let mut part = Part::first(PAGE);
        loop {
            let page = self.lookups.sessions(subject, part.clone()).await?;
            let sessions = page.rows.iter().filter(|session| {
                session.is_live(cause.at())
                    && session.started_position < cause.position
                    && cause.spares() != Some(session.session_id)
            });
            stream::iter(sessions.map(Ok::<_, ConsumeError>))
                .try_for_each_concurrent(AT_ONCE, |session| self.end(session.session_id, cause))
                .await?;
            part.after = page.next;
            if part.after.is_none() {
                return Ok(());
            }
        }
    }

    async fn revoke(&self, grant: &GrantRow, cause: &Cause) -> Result<(), ConsumeError> {
        let causation = cause.causation.clone();
        let done = self.cascade.revoke_grant(grant.grant_id, cause.revocation(), causation).await;
        passed_over(done, &format!("grant {}", grant.grant_id), cause)
    }

    async fn end(&self, session: SessionId, cause: &Cause) -> Result<(), ConsumeError> {
        let causation = cause.causation.clone();
        let why = cause.session_end();
        let done = self.cascade.end_session(session, why, causation).await;
        passed_over(done, &format!("session {session}"), cause)
    }
}

fn passed_over(
    done: Result<(), CascadeError>,
    what: &str,
    cause: &Cause,
) -> Result<(), ConsumeError> {
    match done {
        Ok(()) => Ok(()),
        Err(CascadeError::Refused(why)) => {
            let causation = &cause.causation;
            tracing::error!(causation, "{what} could not be ended because of {causation}: {why}");
            Ok(())
        }
        Err(CascadeError::Unavailable(why)) => Err(ConsumeError::Acting(why)),
    }
}

impl Cause {
    fn at(&self) -> UnixTime {
        UnixTime::from_seconds(self.at_ms.div_euclid(1000))
    }

    /// Why sessions end because of it.
    fn session_end(&self) -> SessionEndCause {
        match &self.what {
            What::SessionsDismissed(_, None) => SessionEndCause::PasswordChanged,
            What::SessionsDismissed(_, Some(_)) => SessionEndCause::EndedByPerson,
            What::AccountErased(_) => SessionEndCause::AccountErased,
            What::AccountLocked(_)
            | What::ClientDisabled(_)
            | What::ConsentWithdrawn(..)
            | What::SessionEnded { .. } => SessionEndCause::AccountLocked,
        }
    }

    /// May this person have no session because of it?
    fn shuts_out(&self, person: SubjectId) -> bool {
        match &self.what {
            What::AccountLocked(subject) | What::AccountErased(subject) => *subject == person,
            What::SessionsDismissed(..)
            | What::ClientDisabled(_)
            | What::ConsentWithdrawn(..)
            | What::SessionEnded { .. } => false,
        }
    }

    /// The session that goes on.
    fn spares(&self) -> Option<SessionId> {
        match &self.what {
            What::SessionsDismissed(_, but) => *but,
            What::AccountLocked(_)
            | What::AccountErased(_)
            | What::ClientDisabled(_)
            | What::ConsentWithdrawn(..)
            | What::SessionEnded { .. } => None,
        }
    }

    fn revocation(&self) -> RevocationCause {
        match &self.what {
            What::AccountLocked(_) => RevocationCause::AccountLocked,
            What::AccountErased(_) => RevocationCause::AccountErased,
            What::ClientDisabled(_) => RevocationCause::ClientDisabled,
            What::ConsentWithdrawn(..) => RevocationCause::ConsentWithdrawn,
            // Of dismissed sessions nobody asks: only the sessions end by it.
            What::SessionsDismissed(..) | What::SessionEnded { .. } => {
                RevocationCause::SessionEnded
            }
        }
    }

    /// The grants to look at.
    fn filter(&self) -> GrantFilter {
        let all = GrantFilter::default();
        match &self.what {
            What::AccountLocked(subject)
            | What::AccountErased(subject)
            | What::SessionsDismissed(subject, _) => GrantFilter { subject: Some(*subject), ..all },
            What::ClientDisabled(client) => GrantFilter { client_id: Some(client.clone()), ..all },
            What::ConsentWithdrawn(subject, client) => {
                GrantFilter { subject: Some(*subject), client_id: Some(client.clone()), ..all }
            }
            What::SessionEnded { session, .. } => GrantFilter { session_id: Some(*session), ..all },
        }
    }

    /// Does the grant rest on what is no more?
    fn concerns(&self, grant: &GrantRow) -> bool {
        match &self.what {
            What::AccountLocked(subject) | What::AccountErased(subject) => {
                grant.subject == Some(*subject)
            }
            // A grant ends with its session.
            What::SessionsDismissed(..) => false,
            What::ClientDisabled(client) => grant.client_id == *client,
            What::ConsentWithdrawn(subject, client) => {
                grant.subject == Some(*subject) && grant.client_id == *client
            }
            What::SessionEnded { session, and_offline } => {
                took_part(grant, *session)
                    && (*and_offline || !grant.scope.contains(Scope::OFFLINE_ACCESS))
            }
        }
    }

    /// Is the grant to be ended, as one that was there before?
    fn ends(&self, grant: &GrantRow) -> bool {
        let bound_at = match &self.what {
            What::AccountLocked(_) | What::AccountErased(_) | What::SessionsDismissed(..) => {
                grant.authenticated_position
            }
            What::ClientDisabled(_) => Some(grant.opened_position),
            What::ConsentWithdrawn(..) => grant.consented_position,
            // A session that has ended never begins again.
            What::SessionEnded { .. } => Some(0),
        };
        let was_there = bound_at.is_some_and(|position| position < self.position);
        let long_gone = grant.expires_at.is_some_and(|end| end + LONG_AGO < self.at());
        grant.is_live() && was_there && !long_gone && self.concerns(grant)
    }

    /// Does this event move a grant on as only somebody can who does not know of the cause yet?
    fn is_ignored_by(&self, event: &GrantEvent) -> bool {
        match event {
            GrantEvent::ConsentGiven(given) => {
                // With a page shown, the person has consented anew.
                !matches!(self.what, What::ConsentWithdrawn(..)) || given.presented.is_none()
            }
            GrantEvent::RequestPushed(_)
            | GrantEvent::RequestReceived(_)
            | GrantEvent::SubjectAuthenticated(_)
            | GrantEvent::CodeIssued(_)
            | GrantEvent::FrontChannelTokensIssued(_)
            | GrantEvent::CodeRedeemed(_)
            | GrantEvent::RefreshTokenRotated(_)
            | GrantEvent::RefreshTokenUsed(_)
            | GrantEvent::TokensIssued(_) => !matches!(self.what, What::ConsentWithdrawn(..)),
            GrantEvent::RequestDeclined(_)
            | GrantEvent::CodeReplayed(_)
            | GrantEvent::RefreshTokenReused(_)
            | GrantEvent::RefusalNoted(_)
            | GrantEvent::AccessTokenRevoked(_)
            | GrantEvent::GrantRevoked(_) => false,
        }
    }
}

/// Has the client had an answer from this session? Where nothing has been given yet, there is
/// nothing to take: whoever has the page before them logs in again.
fn took_part(grant: &GrantRow, session: SessionId) -> bool {
    grant.session_id == Some(session) && grant.consented_position.is_some()
}

impl Consumer for ProcessManager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[]
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[
            AggregateKind::Account,
            AggregateKind::Client,
            AggregateKind::Consent,
            AggregateKind::Session,
            AggregateKind::Grant,
        ]
    }

    fn consume<'a>(
        &'a mut self,
        events: &'a [Arc<Recorded>],
    ) -> BoxFuture<'a, Result<Option<Vec<Change>>, ConsumeError>> {
        Box::pin(async move {
            let mut steps = Vec::new();
            for event in events {
                self.note(event, &mut steps);
            }
            if steps.is_empty() {
                return Ok(None);
            }
            let last = events.last().map_or(0, |event| event.position);
            for read in [&self.reads.grants, &self.reads.sessions] {
                let gone = |error: Stopped| ConsumeError::Acting(error.to_string());
                read.caught_up_to(last).await.map_err(gone)?;
            }
            let mut done = BTreeSet::new();
            for step in steps {
                if let Step::LateGrant(grant_id, cause) = &step
                    && !done.insert((*grant_id, cause.position))
                {
                    continue;
                }
                trace::because_of(step.cause().trace, "cascade", self.carry_out(step)).await?;
            }
            Ok(Some(vec![]))
        })
    }
}

impl From<StoreError> for CascadeError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
