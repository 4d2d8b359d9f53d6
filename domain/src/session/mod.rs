//! The session: one browser in which one person has logged in.

use serde::{Deserialize, Serialize};

use crate::authorization::Authentication;
use crate::digest::Sha256Digest;
use crate::event::{aggregate, events};
use crate::ids::AggregateKind;
use crate::secret::{Digest, SessionCookie};
use crate::time::{Lifetime, UnixTime};

events! {
    /// What has happened to a session.
    SessionEvent {
        SessionStarted = "1",
        SessionReauthenticated = "1",
        SessionEnded = "1",
    }
}

/// A person logged in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// Why.
    pub cause: SessionEndCause,
    /// When.
    pub at: UnixTime,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEndCause {
    /// The person logged out.
    LoggedOut,
    /// Somebody else logged in with the same browser.
    Replaced,
    /// The account was locked.
    AccountLocked,
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
            session_id: SessionId::from_uuid(uuid::Uuid::from_u128(9)),
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
            session_id: SessionId::from_uuid(uuid::Uuid::from_u128(8)),
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

    #[test]
    fn a_session_is_good_for_its_cookie_and_time_only() {
        let session = folded(vec![started()]);
        assert!(session.is_good(&cookie(1), at(3599)));
        assert!(!session.is_good(&cookie(1), at(3600)));
        assert!(!session.is_good(&cookie(3), at(1)));
    }
}
