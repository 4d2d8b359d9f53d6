//! A token or the whole grant ends (RFC 7009).

use super::commands::{Revoke, RevokeAccessToken};
use super::error::GrantError;
use super::events::{AccessTokenRevoked, GrantEvent, GrantRevoked};
use super::state::Grant;

impl Grant {
    /// Revoking what is gone already is no error, and no event (RFC 7009
    /// §2.2).
    pub(super) fn revoke_access_token(
        &self,
        command: &RevokeAccessToken,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        let Self::Active(stage) = self else { return Ok(vec![]) };
        if stage.authorization.client_id != command.client_id {
            return Err(GrantError::WrongClient);
        }
        let Some(token) = stage.access_token(command.number, command.now) else {
            return Ok(vec![]);
        };
        let (number, expires_at) = (token.number, token.expires_at);
        Ok(vec![AccessTokenRevoked { number, expires_at }.into()])
    }

    pub(super) fn revoke(&self, command: Revoke) -> Result<Vec<GrantEvent>, GrantError> {
        match self {
            Self::Absent => Err(GrantError::Unknown),
            Self::Declined(_) | Self::Revoked(_) => Ok(vec![]),
            _ => Ok(vec![GrantRevoked { cause: command.cause, at: command.now }.into()]),
        }
    }
}
