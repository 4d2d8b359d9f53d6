//! The person decides.

use super::commands::{Approve, Decline};
use super::error::GrantError;
use super::events::{CodeIssued, ConsentGiven, GrantEvent, RequestDeclined};
use super::state::Grant;

impl Grant {
    pub(super) fn approve(&self, command: Approve) -> Result<Vec<GrantEvent>, GrantError> {
        let stage = match self {
            Self::Authenticated(stage) => stage,
            Self::Absent | Self::Pushed(_) | Self::Requested { .. } => {
                return Err(GrantError::Unknown);
            }
            Self::Revoked(_) => return Err(GrantError::Revoked),
            Self::Consented(_) | Self::CodeIssued(_) | Self::Active(_) | Self::Declined(_) => {
                return Err(GrantError::Answered);
            }
        };
        if !command.scope.is_within(&stage.request.scope) {
            return Err(GrantError::ScopeBeyondRequest);
        }
        let Approve { scope, presented, code, now, lifetime } = command;
        Ok(vec![
            ConsentGiven { scope, presented }.into(),
            CodeIssued { code, at: now, expires_at: now + lifetime }.into(),
        ])
    }

    pub(super) fn decline(&self, command: Decline) -> Result<Vec<GrantEvent>, GrantError> {
        match self {
            Self::Pushed(_) | Self::Requested { .. } | Self::Authenticated(_) => {
                Ok(vec![RequestDeclined { reason: command.reason }.into()])
            }
            Self::Absent => Err(GrantError::Unknown),
            Self::Revoked(_) => Err(GrantError::Revoked),
            Self::Consented(_) | Self::CodeIssued(_) | Self::Active(_) | Self::Declined(_) => {
                Err(GrantError::Answered)
            }
        }
    }
}
