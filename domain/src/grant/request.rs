//! A request comes in: pushed by its client, or brought by a browser.

use super::commands::{AuthenticateSubject, PushRequest, ReceiveRequest};
use super::error::GrantError;
use super::events::{GrantEvent, RequestPushed, RequestReceived, SubjectAuthenticated};
use super::state::Grant;
use crate::secret::{Digest, RequestUri};
use crate::time::UnixTime;

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

    /// May a browser go on with this `request_uri`?
    ///
    /// It may be loaded again until the person has decided (RFC 9126 §4 calls
    /// for one use; a reload before the answer is the same use).
    pub fn check_request_uri(
        &self,
        request_uri: &Digest<RequestUri>,
        now: UnixTime,
    ) -> Result<(), GrantError> {
        match self {
            Self::Pushed(stage) if stage.request_uri != *request_uri => Err(GrantError::Unknown),
            Self::Pushed(stage) if now >= stage.expires_at => Err(GrantError::RequestUriExpired),
            Self::Pushed(_) => Ok(()),
            Self::Authenticated(stage) => match &stage.request_uri {
                Some(own) if own == request_uri => Ok(()),
                _ => Err(GrantError::Unknown),
            },
            Self::Absent | Self::Requested { .. } => Err(GrantError::Unknown),
            Self::Consented(_)
            | Self::CodeIssued(_)
            | Self::Active(_)
            | Self::Declined(_)
            | Self::Revoked(_) => Err(GrantError::RequestUriUsed),
        }
    }

    pub(super) fn authenticate(
        &self,
        command: AuthenticateSubject,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        match self {
            Self::Absent => return Err(GrantError::Unknown),
            Self::Pushed(_) => {
                let request_uri = command.request_uri.ok_or(GrantError::Unknown)?;
                self.check_request_uri(&request_uri, command.now)?;
            }
            Self::Requested { .. } => {}
            Self::Authenticated(stage) if *stage.authentication == command.authentication => {
                return Ok(vec![]);
            }
            Self::Authenticated(_) => {}
            Self::Revoked(_) => return Err(GrantError::Revoked),
            Self::Consented(_) | Self::CodeIssued(_) | Self::Active(_) | Self::Declined(_) => {
                return Err(GrantError::Answered);
            }
        }
        let authentication = command.authentication;
        Ok(vec![SubjectAuthenticated { authentication }.into()])
    }
}
