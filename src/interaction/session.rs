//! The browser's session: who is logged in, and how a login changes it.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::cookie::Cookie;
use chancery_domain::account::{Account, RegisteredAccount};
use chancery_domain::authorization::Authentication;
use chancery_domain::ids::{SessionId, SubjectId};
use chancery_domain::secret::SessionCookie;
use chancery_domain::session::{Begun, Session, SessionCommand, SessionEndCause, SessionError};
use chancery_domain::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::context::Visit;
use super::cookies::Kind;
use crate::accounts;
use crate::aggregates::{ExecuteError, Folded, Kept as _, LoadError, VaultError, Work};
use crate::handles::Handle;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::stores::AppendError;

/// How often a login is written again when something else was written to the
/// same session.
const ATTEMPTS: usize = 4;

/// The `amr` of a login by password (RFC 8176 §2).
pub const AMR: &str = "pwd";

/// A session that is good, of an account that may be used.
#[derive(Clone)]
pub struct LiveSession {
    id: SessionId,
    pub authentication: Authentication,
    account: Arc<Folded<Account>>,
}

impl LiveSession {
    /// The session of this browser.
    ///
    /// What is kept in memory may be a second behind another node, so a cookie that
    /// does not fit is looked at once more.
    pub async fn of(visit: &Visit) -> Result<Option<Self>, LoadError> {
        let cookie = visit.cookie(Kind::Session);
        let Some(cookie) = cookie.and_then(|text| Handle::<SessionCookie>::decode(&text)) else {
            return Ok(None);
        };
        if !is_in_use(visit, cookie.owner) {
            return Ok(None);
        }
        let (id, digest, now) = (cookie.owner.to_string(), cookie.secret.digest(), visit.now());
        let is_good = |session: &Folded<Session>| {
            session.state.begun().is_some_and(|s| s.is_good(&digest, now))
        };
        let mut session = visit.sessions.get(&id).await?;
        if session.state.begun().is_some() && !is_good(&session) {
            session = visit.sessions.fresh(&id).await?;
        }
        let begun: Option<&Begun> = session.state.begun().filter(|_| is_good(&session));
        let Some(authentication) = begun.map(|begun| begun.authentication.clone()) else {
            return Ok(None);
        };
        let account = usable_account(visit, authentication.subject).await?;
        let kept = |account: &Arc<Folded<Account>>| {
            account.state.registered().is_some_and(|account| {
                account.keeps_session(cookie.owner, authentication.auth_time)
            })
        };
        let account = account.filter(kept);
        Ok(account.map(|account| Self { id: cookie.owner, authentication, account }))
    }

    /// Which session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The account, as it was when the request came.
    #[must_use]
    pub fn account(&self) -> Option<&RegisteredAccount> {
        self.account.state.registered()
    }

    /// What the person calls themselves.
    pub async fn name(&self, services: &Services) -> Result<String, OAuthError> {
        let Some(account) = self.account.state.registered() else { return Ok(String::new()) };
        display_name(services, account).await
    }
}

const LAST_USE: &str = "last use";

/// Has this browser been here with the session lately, as far as that matters?
fn is_in_use(visit: &Visit, session: SessionId) -> bool {
    if visit.config.sessions.idle_timeout.seconds() == 0 {
        return true;
    }
    let Some(text) = visit.cookie(Kind::LastUse) else { return false };
    let used = visit.keys.get().cookies.open::<SessionId>(LAST_USE, &text, visit.now());
    used.is_ok_and(|used| used == session)
}

/// The session is used just now. (Kept by the browser, since reading writes no events.)
pub fn note_use(visit: &Visit, session: SessionId, answer: &mut HttpResponse) {
    let idle = visit.config.sessions.idle_timeout;
    if idle.seconds() == 0 {
        return;
    }
    let keys = visit.keys.get();
    match keys.cookies.seal(LAST_USE, visit.now() + idle, &session, &*visit.entropy) {
        Ok(text) => {
            // Fails only for a cookie that is no header value; ours is base64url.
            let _ = answer.add_cookie(&Kind::LastUse.set(visit.is_secure(), text));
        }
        Err(error) => tracing::error!(%error, "a cookie could not be sealed: {error}"),
    }
}

async fn display_name(
    services: &Services,
    account: &RegisteredAccount,
) -> Result<String, OAuthError> {
    let profile = accounts::profile(&services.vault, account).await?;
    let name = profile.claims.get("name").and_then(serde_json::Value::as_str);
    Ok(name.filter(|name| !name.trim().is_empty()).unwrap_or(&profile.username).to_owned())
}

/// The account, if it exists and is neither locked nor erased.
async fn usable_account(
    services: &Services,
    subject: SubjectId,
) -> Result<Option<Arc<Folded<Account>>>, LoadError> {
    let account = services.accounts.get(&subject.to_string()).await?;
    let usable = account.state.registered().is_some_and(RegisteredAccount::is_usable);
    Ok(usable.then_some(account))
}

/// A person has just entered their credentials.
///
/// The browser's cookie is another one from now on, whatever it had before.
pub struct Login {
    pub authentication: Authentication,
    cookie: Handle<SessionCookie>,
    change: Change,
}

enum Change {
    /// The same person again.
    Reauthenticate,
    /// Nobody was logged in, or somebody else.
    Start { instead_of: Option<SessionId> },
}

/// What is kept, sealed, of where a session began.
#[derive(Default, Serialize, Deserialize)]
pub struct Circumstances {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Circumstances {
    /// Those of a session; nothing where they are gone.
    pub async fn of(services: &Services, id: SessionId, begun: &Begun) -> Result<Self, OAuthError> {
        let Some(commitment) = begun.circumstances else { return Ok(Self::default()) };
        match services.vault.open(&Session::stream(&id.to_string()), 1, commitment).await {
            Ok(json) => Ok(serde_json::from_slice(&json).unwrap_or_default()),
            Err(VaultError::Gone) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Login {
    /// This person, in place of whoever is logged in with this browser.
    #[must_use]
    pub fn new(visit: &Visit, subject: SubjectId, current: Option<&LiveSession>) -> Self {
        let same = current.filter(|session| session.authentication.subject == subject);
        let (session_id, change) = if let Some(session) = same {
            (session.id(), Change::Reauthenticate)
        } else {
            let id = SessionId::from_uuid(visit.entropy.uuid_v7(visit.clock.now_ms()));
            (id, Change::Start { instead_of: current.map(LiveSession::id) })
        };
        Self {
            authentication: Authentication {
                subject,
                session_id: Some(session_id),
                auth_time: visit.now(),
                acr: visit.config.login.acr().to_owned(),
                amr: vec![AMR.to_owned()],
            },
            cookie: Handle::mint(session_id, &*visit.entropy),
            change,
        }
    }

    /// Which session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.cookie.owner
    }

    /// Adds the session's events to the work; what was sealed with them, too.
    pub async fn prepare(
        &self,
        visit: &Visit,
        now: UnixTime,
        work: &mut Work,
    ) -> Result<(), OAuthError> {
        if matches!(self.change, Change::Reauthenticate) {
            match self.prepare_again(visit, now, work).await {
                // It has ended in the meantime, elsewhere: begin the next one, next time.
                Err(ExecuteError::Refused(_)) => return Err(OAuthError::busy()),
                other => return Ok(other?),
            }
        }
        let Change::Start { instead_of } = &self.change else { return Ok(()) };
        if let Some(old) = instead_of {
            let end = SessionCommand::End { cause: SessionEndCause::Replaced, now };
            visit.sessions.prepare(&old.to_string(), vec![end], work).await?;
        }
        let id = self.id().to_string();
        let stream = Session::stream(&id);
        let subject = self.authentication.subject.to_string().into();
        let key = visit.vault.new_key(&mut work.append, &stream, Some(subject))?;
        let circumstances = serde_json::to_vec(&Circumstances {
            address: visit.address.map(|address| address.to_string()),
            user_agent: visit.user_agent(),
        })
        .map_err(|error| OAuthError::internal(&error))?;
        let circumstances =
            Some(visit.vault.seal(&mut work.append, &key, &stream, 1, &circumstances)?);
        let start = SessionCommand::Start {
            authentication: self.authentication.clone(),
            cookie: self.cookie.secret.digest(),
            circumstances,
            now,
            lifetime: visit.config.sessions.lifetime,
        };
        Ok(visit.sessions.prepare(&id, vec![start], work).await?)
    }

    async fn prepare_again(
        &self,
        visit: &Visit,
        now: UnixTime,
        work: &mut Work,
    ) -> Result<(), ExecuteError<SessionError>> {
        let command = SessionCommand::Reauthenticate {
            authentication: self.authentication.clone(),
            cookie: self.cookie.secret.digest(),
            now,
            lifetime: visit.config.sessions.lifetime,
        };
        let id = self.id().to_string();
        visit.sessions.prepare(&id, vec![command], work).await
    }

    /// Writes the login by itself: no client waits for it.
    pub async fn record(&self, visit: &Visit) -> Result<(), OAuthError> {
        for attempt in 1.. {
            let mut origin = visit.origin(None, None);
            origin.actor.reference = Some(self.authentication.subject.to_string());
            origin.subject = Some(self.authentication.subject);
            origin.session_id = Some(self.id());
            let mut work = visit.work(origin)?;
            self.prepare(visit, visit.now(), &mut work).await?;
            let done = visit.committer.append(work.append).await;
            self.forget(visit);
            match done {
                Err(AppendError::Conflict) if attempt < ATTEMPTS => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Ok(())
    }

    /// What is in memory of the sessions concerned is old, or soon will be.
    pub fn forget(&self, services: &Services) {
        services.sessions.forget(&self.id().to_string());
        if let Change::Start { instead_of: Some(old) } = &self.change {
            services.sessions.forget(&old.to_string());
        }
    }

    /// The browser's key to the session.
    #[must_use]
    pub fn cookie(&self, secure: bool) -> Cookie<'static> {
        Kind::Session.set(secure, self.cookie.encode())
    }
}
