//! A request comes in: pushed by its client, or brought by a browser.

use super::commands::{AuthenticateSubject, PushRequest, ReceiveRequest};
use super::error::GrantError;
use super::events::{GrantEvent, RequestPushed, RequestReceived, SubjectAuthenticated};
use super::state::{Grant, Pushed, UsedRequestUri};
use crate::authorization::Authentication;
use crate::secret::{Digest, RequestUri};
use crate::time::{Lifetime, UnixTime};

impl Grant {
    pub(super) fn push(&self, command: PushRequest) -> Result<Vec<GrantEvent>, GrantError> {
        if *self != Self::Absent {
            return Err(GrantError::Begun);
        }
        let PushRequest { request, request_uri, now, lifetime } = command;
        let expires_at = now + lifetime;
        Ok(vec![RequestPushed { request, request_uri, at: now, expires_at }.into()])
    }

    pub(super) fn request(&self, command: ReceiveRequest) -> Result<Vec<GrantEvent>, GrantError> {
        if *self != Self::Absent {
            return Err(GrantError::Begun);
        }
        Ok(vec![RequestReceived { request: command.request, at: command.now }.into()])
    }

    /// How long after the end of its `request_uri` a person who came in time
    /// may still log in: nobody types a password within the minute that a
    /// `request_uri` may last.
    pub const TIME_TO_LOG_IN: Lifetime = Lifetime::from_seconds(3600);

    /// May a browser begin with this `request_uri`?
    ///
    /// It may be loaded again until the person has decided (RFC 9126 §4 calls
    /// for one use; a reload before the answer is the same use), but not after
    /// its end (RFC 9126 §4).
    pub fn check_request_uri(
        &self,
        request_uri: &Digest<RequestUri>,
        now: UnixTime,
    ) -> Result<(), GrantError> {
        let Some(own) = self.request_uri() else {
            return match self {
                Self::Consented(_)
                | Self::CodeIssued(_)
                | Self::Active(_)
                | Self::Declined(_)
                | Self::Revoked(_) => Err(GrantError::RequestUriUsed),
                _ => Err(GrantError::Unknown),
            };
        };
        if own.digest != *request_uri {
            return Err(GrantError::Unknown);
        }
        if now >= own.expires_at { Err(GrantError::RequestUriExpired) } else { Ok(()) }
    }

    /// The `request_uri` that still leads here.
    fn request_uri(&self) -> Option<UsedRequestUri> {
        match self {
            Self::Pushed(Pushed { request_uri: digest, expires_at, .. }) => {
                Some(UsedRequestUri { digest: *digest, expires_at: *expires_at })
            }
            Self::Authenticated(stage) => stage.request_uri,
            _ => None,
        }
    }

    pub(super) fn authenticate(
        &self,
        command: AuthenticateSubject,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        match self {
            Self::Pushed(_) | Self::Requested { .. } | Self::Authenticated(_) => {}
            Self::Absent => return Err(GrantError::Unknown),
            Self::Revoked(_) => return Err(GrantError::Revoked),
            Self::Consented(_) | Self::CodeIssued(_) | Self::Active(_) | Self::Declined(_) => {
                return Err(GrantError::Answered);
            }
        }
        let own = self.request_uri();
        if own.map(|own| own.digest) != command.request_uri {
            return Err(GrantError::Unknown);
        }
        if own.is_some_and(|own| command.now >= own.expires_at + Self::TIME_TO_LOG_IN) {
            return Err(GrantError::RequestUriExpired);
        }
        let authentication = command.authentication;
        if self.is_authenticated_by(&authentication) {
            return Ok(vec![]);
        }
        Ok(vec![SubjectAuthenticated { authentication }.into()])
    }

    fn is_authenticated_by(&self, authentication: &Authentication) -> bool {
        matches!(self, Self::Authenticated(stage) if *stage.authentication == *authentication)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::GrantCommand;
    use super::super::testing::*;
    use super::*;

    fn push() -> GrantCommand {
        GrantCommand::Push(PushRequest {
            request: Arc::new(request()),
            request_uri: request_uri(1),
            now: at(0),
            lifetime: for_seconds(REQUEST_URI_LIFETIME),
        })
    }

    fn receive() -> GrantCommand {
        GrantCommand::Request(ReceiveRequest { request: Arc::new(request()), now: at(0) })
    }

    fn log_in(
        authentication: Authentication,
        request_uri: Option<Digest<RequestUri>>,
        seconds: u32,
    ) -> GrantCommand {
        let now = at(seconds);
        GrantCommand::Authenticate(AuthenticateSubject { authentication, request_uri, now })
    }

    #[test]
    fn a_grant_begins_once() {
        for begun in [vec![pushed()], vec![received(request())], vec![issued_directly()]] {
            given(begun.clone()).when(push()).then_expect_error(GrantError::Begun);
            given(begun).when(receive()).then_expect_error(GrantError::Begun);
        }
    }

    /// RFC 9126 §2.2
    #[test]
    fn a_pushed_request_is_recorded_with_its_end() {
        given(vec![]).when(push()).then_expect_events(vec![pushed()]);
    }

    #[test]
    fn a_request_from_a_browser_is_recorded() {
        given(vec![]).when(receive()).then_expect_events(vec![received(request())]);
    }

    #[test]
    fn nobody_logs_in_to_a_grant_that_is_not_there() {
        given(vec![])
            .when(log_in(authentication(), Some(request_uri(1)), 10))
            .then_expect_error(GrantError::Unknown);
    }

    #[test]
    fn nobody_logs_in_to_a_pushed_request_without_its_secret() {
        for forged in [None, Some(request_uri(2))] {
            given(vec![pushed()])
                .when(log_in(authentication(), forged, 10))
                .then_expect_error(GrantError::Unknown);
            given(until_authenticated())
                .when(log_in(other_authentication(), forged, 10))
                .then_expect_error(GrantError::Unknown);
            given(until_authenticated())
                .when(log_in(authentication(), forged, 10))
                .then_expect_error(GrantError::Unknown);
        }
    }

    #[test]
    fn a_request_that_was_not_pushed_has_no_secret_to_log_in_with() {
        given(vec![received(request())])
            .when(log_in(authentication(), Some(request_uri(1)), 10))
            .then_expect_error(GrantError::Unknown);
    }

    #[test]
    fn nobody_logs_in_after_the_answer() {
        for answered in [until_code(), until_active(), until_declined()] {
            given(answered)
                .when(log_in(authentication(), Some(request_uri(1)), 10))
                .then_expect_error(GrantError::Answered);
        }
        given(until_revoked())
            .when(log_in(authentication(), Some(request_uri(1)), 10))
            .then_expect_error(GrantError::Revoked);
    }

    #[test]
    fn a_login_may_take_longer_than_the_request_uri_but_not_for_ever() {
        let last = REQUEST_URI_LIFETIME + Grant::TIME_TO_LOG_IN.seconds();
        given(vec![pushed()])
            .when(log_in(authentication(), Some(request_uri(1)), last - 1))
            .then_expect_events(vec![authenticated(authentication())]);
        given(vec![pushed()])
            .when(log_in(authentication(), Some(request_uri(1)), last))
            .then_expect_error(GrantError::RequestUriExpired);
        given(until_authenticated())
            .when(log_in(other_authentication(), Some(request_uri(1)), last))
            .then_expect_error(GrantError::RequestUriExpired);
    }

    #[test]
    fn the_same_login_again_is_no_event() {
        given(until_authenticated())
            .when(log_in(authentication(), Some(request_uri(1)), 10))
            .then_expect_events(vec![]);
    }

    #[test]
    fn another_login_before_the_decision_replaces_the_first() {
        given(until_authenticated())
            .when(log_in(other_authentication(), Some(request_uri(1)), 10))
            .then_expect_events(vec![authenticated(other_authentication())]);
        let both = [until_authenticated(), vec![authenticated(other_authentication())]].concat();
        assert_eq!(folded(both).subject(), Some(other_authentication().subject));
    }

    #[test]
    fn a_browser_brings_the_person() {
        given(vec![received(request())])
            .when(log_in(authentication(), None, 9999))
            .then_expect_events(vec![authenticated(authentication())]);
    }

    fn loading(events: Vec<super::GrantEvent>, byte: u8, seconds: u32) -> Result<(), GrantError> {
        folded(events).check_request_uri(&request_uri(byte), at(seconds))
    }

    #[test]
    fn a_forged_request_uri_is_unknown_at_every_stage_that_takes_one() {
        for events in [vec![], vec![pushed()], until_authenticated(), vec![received(request())]] {
            assert_eq!(loading(events, 2, 10), Err(GrantError::Unknown));
        }
        let unpushed = vec![received(request()), authenticated(authentication())];
        assert_eq!(loading(unpushed, 1, 10), Err(GrantError::Unknown));
    }

    /// RFC 9126 §4
    #[test]
    fn a_request_uri_leads_nowhere_after_its_end() {
        for events in [vec![pushed()], until_authenticated()] {
            assert_eq!(loading(events.clone(), 1, REQUEST_URI_LIFETIME - 1), Ok(()));
            assert_eq!(
                loading(events, 1, REQUEST_URI_LIFETIME),
                Err(GrantError::RequestUriExpired)
            );
        }
    }

    /// RFC 9126 §4
    #[test]
    fn a_request_uri_is_used_up_by_the_answer() {
        for events in [until_code(), until_active(), until_declined(), until_revoked()] {
            assert_eq!(loading(events, 1, 10), Err(GrantError::RequestUriUsed));
        }
    }
}
