//! A client uses a refresh token: rotation, the grace period, reuse
//! (RFC 6749 §6, RFC 9700 §4.14.2).

use std::sync::Arc;

use super::commands::UseRefreshToken;
use super::error::GrantError;
use super::events::{
    GrantEvent, GrantRevoked, RefreshTokenReused, RefreshTokenRotated, RefusalNoted, RefusalReason,
    RevocationCause,
};
use super::state::{Active, Grant, RefreshFamily};
use super::tokens::{Accompanying, IssuedTokens};
use crate::protocol::scope::Scope;

impl Grant {
    /// No event: the answer is the one of the last rotation, again
    /// ([`Active::repeated_answer`]).
    pub(super) fn refresh(&self, command: UseRefreshToken) -> Result<Vec<GrantEvent>, GrantError> {
        let stage = match self {
            Self::Active(stage) => stage,
            Self::Revoked(_) if command.genuine => return Err(GrantError::Revoked),
            _ => return Err(GrantError::Unknown),
        };
        let Some(family) = stage.refresh.as_ref().filter(|family| {
            command.genuine && (1..=family.generation).contains(&command.generation)
        }) else {
            return Err(GrantError::Unknown);
        };
        if command.generation == family.generation {
            return stage.rotate(family, command);
        }
        let same_client = command.client_id == stage.authorization.client_id;
        let lost_reply = command.generation + 1 == family.generation
            && family.rotation.as_ref().is_some_and(|last| command.now < last.grace_until);
        if same_client && lost_reply {
            return Ok(vec![]);
        }
        let UseRefreshToken { client_id, generation, now, .. } = command;
        let cause = RevocationCause::RefreshTokenReused;
        Ok(vec![
            RefreshTokenReused { client_id, generation }.into(),
            GrantRevoked { cause, at: now }.into(),
        ])
    }
}

impl Active {
    /// The answer of the last rotation, for a client that lost it.
    #[must_use]
    pub fn repeated_answer(&self) -> Option<&Arc<IssuedTokens>> {
        self.refresh.as_ref()?.rotation.as_ref().map(|rotation| &rotation.tokens)
    }

    fn rotate(
        &self,
        family: &RefreshFamily,
        command: UseRefreshToken,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        if command.client_id != self.authorization.client_id {
            let reason = RefusalReason::WrongClient;
            if self.noted.contains(&reason) {
                return Err(GrantError::Refused(reason));
            }
            return Ok(vec![RefusalNoted { reason, client_id: command.client_id }.into()]);
        }
        let now = command.now;
        let family_end = command.absolute_lifetime.map(|lifetime| self.since + lifetime);
        if now >= family.expires_at || family_end.is_some_and(|end| now >= end) {
            return Err(GrantError::RefreshTokenExpired);
        }
        let granted = &self.authorization.scope;
        let scope = command.scope.as_ref().unwrap_or(granted);
        if !scope.is_within(granted) {
            return Err(GrantError::ScopeTooWide);
        }
        let with = Accompanying {
            id_token: scope.contains(Scope::OPENID),
            refresh_generation: family.generation + 1,
            has_seed: self.seed.is_some(),
        };
        let mut tokens = command.plan.issue(now, scope, self.last_number + 1, with);
        let Some(successor) = &mut tokens.refresh else {
            return Err(GrantError::RefreshTokenExpired);
        };
        if let Some(end) = family_end {
            successor.expires_at = successor.expires_at.min(end);
        }
        let grace_until = now + command.grace;
        Ok(vec![RefreshTokenRotated { tokens: Arc::new(tokens), grace_until }.into()])
    }
}
