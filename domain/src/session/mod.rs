//! The session: one browser in which one person has logged in.

mod logout;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::logout::{
    BackchannelFailure, BackchannelLogoutDelivered, BackchannelLogoutFailed,
    BackchannelLogoutRequested, BackchannelOutcome, Notice, RETRY_AFTER,
};
use crate::authorization::Authentication;
use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::{AggregateKind, ClientId};
use crate::secret::{Digest, SessionCookie};
use crate::time::{Lifetime, UnixTime};

events! {
    /// What has happened to a session.
    SessionEvent {
        SessionStarted = "1",
        SessionReauthenticated = "1",
        SessionEnded = "1",
        BackchannelLogoutRequested = "1",
        BackchannelLogoutDelivered = "1",
        BackchannelLogoutFailed = "1",
    }
}

/// A person logged in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStarted {
    /// Who, and how.
    #[serde(flatten)]
    pub authentication: Authentication,
    /// The digest of the secret in the browser's cookie.
    pub cookie: Digest<SessionCookie>,
    /// When it ends by itself.
    pub expires_at: UnixTime,
    /// The commitment to the sealed circumstances (address, browser).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circumstances: Option<Sha256Digest>,
}

/// The person entered their credentials again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionReauthenticated {
    /// Who, and how.
    #[serde(flatten)]
    pub authentication: Authentication,
    /// The digest of the new secret in the browser's cookie.
    pub cookie: Digest<SessionCookie>,
    /// When the session ends by itself.
    pub expires_at: UnixTime,
}

/// The session ended before its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// Why.
    pub cause: SessionEndCause,
    /// When.
    pub at: UnixTime,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEndCause {
    /// The person logged out.
    LoggedOut,
    /// Somebody else logged in with the same browser.
    Replaced,
    /// The account was locked.
    AccountLocked,
    /// The account was erased.
    AccountErased,
    /// An operator ended it.
    EndedByOperator,
    /// The person ended it from another session.
    EndedByPerson,
    /// The password is another one.
    PasswordChanged,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Who, and how, and when last.
    pub authentication: Authentication,
    /// The digest of the secret in the browser's cookie.
    pub cookie: Digest<SessionCookie>,
    /// When it ends by itself.
    pub expires_at: UnixTime,
    /// When it ended before its time, and why.
    pub ended: Option<(SessionEndCause, UnixTime)>,
    /// The commitment to the sealed circumstances, beside its first event.
    #[serde(default)]
    pub circumstances: Option<Sha256Digest>,
    /// Which clients are or were to be told of its end.
    #[serde(default)]
    pub notices: BTreeMap<ClientId, Notice>,
}

impl Begun {
    /// Is the session good, for the browser with this cookie?
    #[must_use]
    pub fn is_good(&self, cookie: &Digest<SessionCookie>, now: UnixTime) -> bool {
        self.cookie == *cookie && self.is_live(now)
    }

    /// Has it neither ended nor expired?
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.ended.is_none() && now < self.expires_at
    }
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Session {
    /// No such session.
    #[default]
    Unknown,
    /// It has begun, and may have ended.
    Begun(Box<Begun>),
}

/// What can be done to a session.
#[derive(Debug, Clone)]
pub enum SessionCommand {
    /// Begins it.
    Start {
        /// Who, and how.
        authentication: Authentication,
        /// The digest of the cookie's secret.
        cookie: Digest<SessionCookie>,
        /// The commitment to the sealed circumstances.
        circumstances: Option<Sha256Digest>,
        /// Now.
        now: UnixTime,
        /// How long it lasts.
        lifetime: Lifetime,
    },
    /// The same person entered their credentials again.
    Reauthenticate {
        /// Who, and how.
        authentication: Authentication,
        /// The digest of the new cookie's secret.
        cookie: Digest<SessionCookie>,
        /// Now.
        now: UnixTime,
        /// How long it lasts from now.
        lifetime: Lifetime,
    },
    /// Ends it.
    End {
        /// Why.
        cause: SessionEndCause,
        /// Now.
        now: UnixTime,
    },
    /// It has ended, and these clients are to be told.
    RequestBackchannelLogout {
        /// Which.
        clients: Vec<ClientId>,
        /// Now.
        now: UnixTime,
    },
    /// A client was told, or could not be.
    NoteBackchannelLogout {
        /// Which.
        client_id: ClientId,
        /// Which attempt.
        attempt: u32,
        /// What came of it.
        outcome: BackchannelOutcome,
        /// Now.
        now: UnixTime,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no such session.
    #[error("there is no such session")]
    Unknown,
    /// It has begun already.
    #[error("this session has begun already")]
    Exists,
    /// It has ended, or is another person's.
    #[error("the session has ended or is another person's")]
    NotTheirs,
}

impl Session {
    /// The session, if it has begun.
    #[must_use]
    pub fn begun(&self) -> Option<&Begun> {
        match self {
            Self::Unknown => None,
            Self::Begun(session) => Some(session),
        }
    }

    fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        match (self, command) {
            (
                Self::Unknown,
                SessionCommand::Start { authentication, cookie, circumstances, now, lifetime },
            ) => {
                let expires_at = now + lifetime;
                Ok(vec![
                    SessionStarted { authentication, cookie, expires_at, circumstances }.into(),
                ])
            }
            (Self::Begun(_), SessionCommand::Start { .. }) => Err(SessionError::Exists),
            (Self::Unknown, _) => Err(SessionError::Unknown),
            (
                Self::Begun(session),
                SessionCommand::Reauthenticate { authentication, cookie, now, lifetime },
            ) => {
                let same = session.authentication.subject == authentication.subject
                    && session.authentication.session_id == authentication.session_id;
                if !same || !session.is_live(now) {
                    return Err(SessionError::NotTheirs);
                }
                let expires_at = now + lifetime;
                Ok(vec![SessionReauthenticated { authentication, cookie, expires_at }.into()])
            }
            (Self::Begun(session), SessionCommand::End { cause, now }) => {
                let live = session.is_live(now);
                Ok(if live { vec![SessionEnded { cause, at: now }.into()] } else { vec![] })
            }
            (Self::Begun(session), SessionCommand::RequestBackchannelLogout { clients, now }) => {
                Ok(session.request(clients, now))
            }
            (
                Self::Begun(session),
                SessionCommand::NoteBackchannelLogout { client_id, attempt, outcome, now },
            ) => Ok(session.note(client_id, attempt, outcome, now)),
        }
    }

    fn assign(&mut self, event: SessionEvent) {
        match (&mut *self, event) {
            (_, SessionEvent::SessionStarted(event)) => {
                *self = Self::Begun(Box::new(Begun {
                    authentication: event.authentication,
                    cookie: event.cookie,
                    expires_at: event.expires_at,
                    ended: None,
                    circumstances: event.circumstances,
                    notices: BTreeMap::new(),
                }));
            }
            (Self::Begun(session), SessionEvent::SessionReauthenticated(event)) => {
                session.authentication = event.authentication;
                session.cookie = event.cookie;
                session.expires_at = event.expires_at;
            }
            (Self::Begun(session), SessionEvent::SessionEnded(event)) => {
                session.ended = Some((event.cause, event.at));
            }
            (Self::Begun(session), SessionEvent::BackchannelLogoutRequested(event)) => {
                logout::assign(&mut session.notices, event);
            }
            (Self::Begun(session), SessionEvent::BackchannelLogoutDelivered(event)) => {
                session.notices.insert(event.client_id, Notice::Settled);
            }
            (Self::Begun(session), SessionEvent::BackchannelLogoutFailed(event)) => {
                let notice = event.notice();
                session.notices.insert(event.client_id, notice);
            }
            (Self::Unknown, _) => {}
        }
    }
}

aggregate!(Session, AggregateKind::Session, SessionCommand, SessionEvent, SessionError);

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use super::*;
    use crate::ids::{SessionId, SubjectId};

    const HOUR: Lifetime = Lifetime::from_seconds(3600);

    fn given(events: Vec<SessionEvent>) -> AggregateTestExecutor<Session> {
        TestFramework::with(()).given(events)
    }

    fn folded(events: Vec<SessionEvent>) -> Begun {
        let mut session = Session::default();
        for event in events {
            session.assign(event);
        }
        session.begun().unwrap().clone()
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn cookie(byte: u8) -> Digest<SessionCookie> {
        Digest::of(&[byte; 32])
    }

    fn login(subject: u128, seconds: i64) -> Authentication {
        Authentication {
            subject: SubjectId::from_uuid(uuid::Uuid::from_u128(subject)),
            session_id: Some(SessionId::from_uuid(uuid::Uuid::from_u128(9))),
            auth_time: at(seconds),
            acr: "1".to_owned(),
            amr: vec!["pwd".to_owned()],
        }
    }

    fn start() -> SessionCommand {
        SessionCommand::Start {
            authentication: login(1, 0),
            cookie: cookie(1),
            circumstances: Some(Sha256Digest::ZERO),
            now: at(0),
            lifetime: HOUR,
        }
    }

    fn started() -> SessionEvent {
        SessionStarted {
            authentication: login(1, 0),
            cookie: cookie(1),
            expires_at: at(3600),
            circumstances: Some(Sha256Digest::ZERO),
        }
        .into()
    }

    fn again(authentication: Authentication, seconds: i64) -> SessionCommand {
        SessionCommand::Reauthenticate {
            authentication,
            cookie: cookie(2),
            now: at(seconds),
            lifetime: HOUR,
        }
    }

    fn reauthenticated() -> SessionEvent {
        SessionReauthenticated {
            authentication: login(1, 600),
            cookie: cookie(2),
            expires_at: at(4200),
        }
        .into()
    }

    fn end(seconds: i64) -> SessionCommand {
        SessionCommand::End { cause: SessionEndCause::LoggedOut, now: at(seconds) }
    }

    fn ended() -> SessionEvent {
        SessionEnded { cause: SessionEndCause::LoggedOut, at: at(700) }.into()
    }

    #[test]
    fn nothing_is_done_to_a_session_that_is_not_there() {
        for command in [again(login(1, 600), 600), end(600)] {
            given(vec![]).when(command).then_expect_error(SessionError::Unknown);
        }
    }

    #[test]
    fn a_session_begins_once() {
        for events in [vec![started()], vec![started(), ended()]] {
            given(events).when(start()).then_expect_error(SessionError::Exists);
        }
    }

    #[test]
    fn nobody_takes_over_the_session_of_another() {
        given(vec![started()])
            .when(again(login(2, 600), 600))
            .then_expect_error(SessionError::NotTheirs);
        let elsewhere = Authentication {
            session_id: Some(SessionId::from_uuid(uuid::Uuid::from_u128(8))),
            ..login(1, 600)
        };
        given(vec![started()])
            .when(again(elsewhere, 600))
            .then_expect_error(SessionError::NotTheirs);
    }

    #[test]
    fn a_session_that_is_over_does_not_come_back() {
        given(vec![started(), ended()])
            .when(again(login(1, 800), 800))
            .then_expect_error(SessionError::NotTheirs);
        given(vec![started()])
            .when(again(login(1, 3600), 3600))
            .then_expect_error(SessionError::NotTheirs);
    }

    #[test]
    fn ending_what_is_over_is_no_event() {
        given(vec![started(), ended()]).when(end(800)).then_expect_events(vec![]);
        given(vec![started()]).when(end(3600)).then_expect_events(vec![]);
    }

    #[test]
    fn a_session_begins_with_a_login() {
        given(vec![]).when(start()).then_expect_events(vec![started()]);
    }

    /// OpenID Connect Core §3.1.2.1: prompt=login gives a later `auth_time`.
    #[test]
    fn a_new_login_gives_a_new_cookie_and_a_later_time() {
        given(vec![started()])
            .when(again(login(1, 600), 600))
            .then_expect_events(vec![reauthenticated()]);
        let session = folded(vec![started(), reauthenticated()]);
        assert_eq!(session.authentication.auth_time, at(600));
        assert!(!session.is_good(&cookie(1), at(600)));
        assert!(session.is_good(&cookie(2), at(4199)));
    }

    #[test]
    fn a_session_ends() {
        given(vec![started()]).when(end(700)).then_expect_events(vec![ended()]);
        assert!(!folded(vec![started(), ended()]).is_good(&cookie(1), at(701)));
    }

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn requested(names: &[&str], seconds: i64) -> SessionEvent {
        let clients = names.iter().map(|name| client(name)).collect();
        BackchannelLogoutRequested { clients, at: at(seconds) }.into()
    }

    fn request(names: &[&str], seconds: i64) -> SessionCommand {
        let clients = names.iter().map(|name| client(name)).collect();
        SessionCommand::RequestBackchannelLogout { clients, now: at(seconds) }
    }

    fn attempt(attempt: u32, outcome: BackchannelOutcome, seconds: i64) -> SessionCommand {
        let now = at(seconds);
        SessionCommand::NoteBackchannelLogout { client_id: client("a"), attempt, outcome, now }
    }

    const REFUSED: BackchannelOutcome =
        BackchannelOutcome::Failed { reason: BackchannelFailure::Refused, status: Some(500) };

    fn failed(attempt: u32, seconds: i64, next: Option<i64>) -> SessionEvent {
        BackchannelLogoutFailed {
            client_id: client("a"),
            attempt,
            reason: BackchannelFailure::Refused,
            status: Some(500),
            at: at(seconds),
            next_attempt_at: next.map(at),
        }
        .into()
    }

    /// OpenID Connect Back-Channel Logout §2.5
    #[test]
    fn each_client_is_to_be_told_once_that_the_session_has_ended() {
        given(vec![started()]).when(request(&["a"], 701)).then_expect_events(vec![]);
        given(vec![started(), ended()])
            .when(request(&["b", "a", "b"], 701))
            .then_expect_events(vec![requested(&["a", "b"], 701)]);
        given(vec![started(), ended(), requested(&["a"], 701)])
            .when(request(&["a"], 702))
            .then_expect_events(vec![]);
        given(vec![started(), ended(), requested(&["a"], 701)])
            .when(request(&["a", "b"], 702))
            .then_expect_events(vec![requested(&["b"], 702)]);
    }

    #[test]
    fn nobody_is_told_of_what_ended_long_ago() {
        let late = 700 + 24 * 60 * 60;
        given(vec![started(), ended()]).when(request(&["a"], late)).then_expect_events(vec![]);
    }

    #[test]
    fn what_could_not_be_delivered_is_tried_again_until_it_is_given_up() {
        let mut history = vec![started(), ended(), requested(&["a"], 700)];
        let mut now = 700;
        for (number, wait) in (1..).zip(RETRY_AFTER) {
            let next = now + i64::from(wait.seconds());
            let event = failed(number, now, Some(next));
            given(history.clone())
                .when(attempt(number, REFUSED, now))
                .then_expect_events(vec![event.clone()]);
            history.push(event);
            assert_eq!(folded(history.clone()).owed(&client("a")), Some((number + 1, at(next))));
            now = next;
        }
        let last = failed(6, now, None);
        given(history.clone())
            .when(attempt(6, REFUSED, now))
            .then_expect_events(vec![last.clone()]);
        history.push(last);
        assert_eq!(folded(history).owed(&client("a")), None);
    }

    #[test]
    fn an_attempt_is_noted_once() {
        let delivered: SessionEvent =
            BackchannelLogoutDelivered { client_id: client("a"), attempt: 1, at: at(701) }.into();
        let owed = vec![started(), ended(), requested(&["a"], 700)];
        given(owed.clone())
            .when(attempt(1, BackchannelOutcome::Delivered, 701))
            .then_expect_events(vec![delivered.clone()]);
        given([owed, vec![delivered]].concat())
            .when(attempt(1, REFUSED, 702))
            .then_expect_events(vec![]);
        given(vec![started(), ended(), requested(&["a"], 700), failed(1, 701, Some(706))])
            .when(attempt(1, BackchannelOutcome::Delivered, 702))
            .then_expect_events(vec![]);
        given(vec![started(), ended()])
            .when(attempt(1, BackchannelOutcome::Delivered, 701))
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_client_that_is_gone_is_given_up_at_once() {
        let gone =
            BackchannelOutcome::Failed { reason: BackchannelFailure::ClientGone, status: None };
        let event = BackchannelLogoutFailed {
            client_id: client("a"),
            attempt: 1,
            reason: BackchannelFailure::ClientGone,
            status: None,
            at: at(701),
            next_attempt_at: None,
        };
        given(vec![started(), ended(), requested(&["a"], 700)])
            .when(attempt(1, gone, 701))
            .then_expect_events(vec![event.into()]);
    }

    #[test]
    fn a_session_is_good_for_its_cookie_and_time_only() {
        let session = folded(vec![started()]);
        assert!(session.is_good(&cookie(1), at(3599)));
        assert!(!session.is_good(&cookie(1), at(3600)));
        assert!(!session.is_good(&cookie(3), at(1)));
    }
}
