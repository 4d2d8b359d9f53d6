//! Who uses the console: a person whose account has a role, in a session of
//! the console's own.
//!
//! The session stands in the log as every session does, with its own cookie: a
//! browser that is logged in for relying parties is not logged in here, nor the
//! other way round. Whether it is still good is asked at each request: it ends
//! with the account's lock, roles or password, with a word of the person or an
//! operator, and when it is not used for half an hour.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::cookie::{Cookie, SameSite};
use chancery_domain::account::{RegisteredAccount, Role};
use chancery_domain::authorization::Authentication;
use chancery_domain::envelope::ActorKind;
use chancery_domain::ids::{SessionId, SubjectId};
use chancery_domain::secret::SessionCookie;
use chancery_domain::session::{Begun, Session, SessionCommand, SessionEndCause};
use chancery_domain::time::Lifetime;

use super::login;
use super::problem::Problem;
use crate::accounts;
use crate::aggregates::{Folded, Kept as _, Origin};
use crate::handles::Handle;
use crate::interaction::AMR;
use crate::interaction::context::Visit;
use crate::interaction::csrf::Csrf;
use crate::interaction::session::Circumstances;
use crate::oauth_error::OAuthError;
use crate::sealing::SealingFailed;
use crate::services::Services;

/// How long a session lasts at most.
pub const LIFETIME: Lifetime = Lifetime::from_seconds(8 * 3600);

/// How long it lasts without being used.
pub const IDLE: Lifetime = Lifetime::from_seconds(1800);

/// What the cookie is sealed for.
const CONTEXT: &str = "console";

/// Whoever looks, and may.
pub struct Operator {
    pub subject: SubjectId,
    /// The name that they log in with.
    pub name: String,
    pub roles: BTreeSet<Role>,
    session: SessionId,
    /// The browser's key to the session, as it stands in the cookie.
    handle: String,
}

impl Operator {
    /// The person of this browser's session; nobody if it is not good any more.
    pub async fn of(visit: &Visit) -> Result<Option<Self>, Problem> {
        let Some(text) = visit.request.cookie(cookie_name(visit)) else { return Ok(None) };
        let opened = visit.keys.get().cookies.open::<String>(CONTEXT, text.value(), visit.now());
        let Ok(handle) = opened else { return Ok(None) };
        let Some(cookie) = Handle::<SessionCookie>::decode(&handle) else { return Ok(None) };
        let (id, digest) = (cookie.owner.to_string(), cookie.secret.digest());
        let good = |session: &Folded<Session>| -> Option<Authentication> {
            let begun: Option<&Begun> = session.state.begun();
            let good = begun.filter(|begun| begun.is_good(&digest, visit.now()));
            good.map(|begun| begun.authentication.clone())
        };
        let Some(authentication) = good(&*visit.sessions.get(&id).await?) else {
            return Ok(None);
        };
        let subject = authentication.subject;
        let folded = visit.accounts.get(&subject.to_string()).await?;
        let account = folded.state.registered().filter(|account| is_operator(account));
        let account = account.filter(|account| {
            let kept = account.keeps_session(cookie.owner, authentication.auth_time);
            kept && account.password_set_at.is_none_or(|at| at <= authentication.auth_time)
        });
        let Some(account) = account else { return Ok(None) };
        Ok(Some(Self {
            subject,
            name: accounts::profile(&visit.vault, account).await?.username,
            roles: account.roles.clone(),
            session: cookie.owner,
            handle,
        }))
    }

    /// Begins a session of somebody who has just shown who they are; gives its cookie.
    pub async fn begin(visit: &Visit, subject: SubjectId) -> Result<Cookie<'static>, Problem> {
        let id = SessionId::from_uuid(visit.entropy.uuid_v7(visit.clock.now_ms()));
        let cookie: Handle<SessionCookie> = Handle::mint(id, &*visit.entropy);
        let mut work = visit.work(origin(visit, subject, id))?;
        let stream = Session::stream(&id.to_string());
        let owner = subject.to_string().into();
        let key = visit.vault.new_key(&mut work.append, &stream, Some(owner))?;
        let circumstances = serde_json::to_vec(&Circumstances {
            address: visit.address.map(|address| address.to_string()),
            user_agent: visit.user_agent(),
        })
        .map_err(|error| OAuthError::internal(&error))?;
        let circumstances = visit.vault.seal(&mut work.append, &key, &stream, 1, &circumstances)?;
        let start = SessionCommand::Start {
            authentication: Authentication {
                subject,
                session_id: Some(id),
                auth_time: visit.now(),
                acr: visit.config.login.acr().to_owned(),
                amr: vec![AMR.to_owned()],
            },
            cookie: cookie.secret.digest(),
            circumstances: Some(circumstances),
            now: visit.now(),
            lifetime: LIFETIME,
        };
        visit.sessions.execute(&id.to_string(), vec![start], work).await?;
        Ok(sealed(visit, &cookie.encode())?)
    }

    /// Ends the session.
    pub async fn end(&self, visit: &Visit, cause: SessionEndCause) -> Result<(), Problem> {
        let work = visit.work(self.origin(visit))?;
        let end = SessionCommand::End { cause, now: visit.now() };
        visit.sessions.execute(&self.session.to_string(), vec![end], work).await?;
        Ok(())
    }

    /// What is done here is done by this person.
    #[must_use]
    pub fn origin(&self, visit: &Visit) -> Origin {
        origin(visit, self.subject, self.session)
    }

    /// How events name them.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("account {}", self.subject)
    }

    /// The role that says most.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.roles.contains(&Role::Admin) { "admin" } else { "auditor" }
    }

    /// The token of a form about this, for this session.
    #[must_use]
    pub fn token(&self, visit: &Visit, csrf: &Csrf, about: &str) -> String {
        csrf.token(visit, &["console", about, &self.session.to_string()])
    }

    /// Did this session get the form from us?
    #[must_use]
    pub fn is_good(&self, visit: &Visit, about: &str, token: Option<&str>) -> bool {
        Csrf::of(visit).is_good(visit, &["console", about, &self.session.to_string()], token)
    }
}

/// May this account use the console?
#[must_use]
pub fn is_operator(account: &RegisteredAccount) -> bool {
    account.is_usable() && !account.roles.is_empty()
}

/// Has somebody a role who has just shown who they are?
pub async fn has_role(services: &Services, subject: SubjectId) -> Result<bool, Problem> {
    let folded = services.accounts.get(&subject.to_string()).await?;
    Ok(folded.state.registered().is_some_and(is_operator))
}

/// Answers whoever may see the page, and notes that the session is in use; sends everybody else
/// to the login page.
pub async fn guarded(
    visit: &Visit,
    show: impl AsyncFnOnce(&Operator) -> Result<HttpResponse, Problem>,
) -> HttpResponse {
    watched(visit, false, show).await
}

/// The same for a page that may load itself (`by_itself`), which does not show that anybody is
/// there: the session ends as if nothing happened.
pub async fn watched(
    visit: &Visit,
    by_itself: bool,
    show: impl AsyncFnOnce(&Operator) -> Result<HttpResponse, Problem>,
) -> HttpResponse {
    let operator = match Operator::of(visit).await {
        Ok(Some(operator)) => operator,
        Ok(None) => return login::go(visit),
        Err(problem) => return problem.page(visit, None),
    };
    let answer = show(&operator).await;
    let mut answer = answer.unwrap_or_else(|problem| problem.page(visit, Some(&operator)));
    if by_itself {
        return answer;
    }
    match sealed(visit, &operator.handle) {
        // Fails only for a cookie that is no header value; ours is base64url.
        Ok(cookie) => drop(answer.add_cookie(&cookie)),
        Err(error) => tracing::error!(%error, "a cookie could not be sealed: {error}"),
    }
    answer
}

fn origin(visit: &Visit, subject: SubjectId, session: SessionId) -> Origin {
    let mut origin = visit.origin(None, None);
    origin.actor.kind = ActorKind::Operator;
    origin.actor.reference = Some(format!("account {subject}"));
    origin.subject = Some(subject);
    origin.session_id = Some(session);
    origin
}

/// It is for a path of its own, which the prefix `__Host-` forbids.
fn cookie_name(visit: &Visit) -> &'static str {
    if visit.is_secure() { "__Secure-chancery-console" } else { "chancery-console" }
}

fn sealed(visit: &Visit, handle: &str) -> Result<Cookie<'static>, SealingFailed> {
    let until = visit.now() + IDLE;
    let text = visit.keys.get().cookies.seal(CONTEXT, until, handle, &*visit.entropy)?;
    Ok(cookie(visit, text))
}

/// The cookie goes nowhere but here: not with a link on another site, not to other pages.
fn cookie(visit: &Visit, value: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(cookie_name(visit), value);
    cookie.set_path(format!("{}/console", visit.frame(&[]).base));
    cookie.set_http_only(true);
    cookie.set_secure(visit.is_secure());
    cookie.set_same_site(SameSite::Strict);
    cookie
}

/// Tells the browser to forget the cookie.
#[must_use]
pub fn no_cookie(visit: &Visit) -> Cookie<'static> {
    let mut cookie = cookie(visit, String::new());
    cookie.make_removal();
    cookie
}
