//! A client redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::sync::Arc;

use super::commands::RedeemCode;
use super::error::GrantError;
use super::events::{
    CodeRedeemed, CodeReplayed, GrantEvent, GrantRevoked, RefusalNoted, RefusalReason,
    RevocationCause,
};
use super::state::{Grant, WithCode};
use super::tokens::Accompanying;
use crate::protocol::scope::Scope;

impl Grant {
    pub(super) fn redeem_code(&self, command: RedeemCode) -> Result<Vec<GrantEvent>, GrantError> {
        match self {
            Self::CodeIssued(stage) if stage.code == command.code => stage.redeem(&command),
            Self::Active(stage) if stage.code.is_some_and(|code| code == command.code) => {
                let client_id = command.client_id;
                let cause = RevocationCause::CodeReplayed;
                Ok(vec![
                    CodeReplayed { client_id }.into(),
                    GrantRevoked { cause, at: command.now }.into(),
                ])
            }
            Self::Revoked(_) => Err(GrantError::Revoked),
            _ => Err(GrantError::Unknown),
        }
    }
}

impl WithCode {
    fn redeem(&self, command: &RedeemCode) -> Result<Vec<GrantEvent>, GrantError> {
        if command.now >= self.expires_at {
            return Err(GrantError::CodeExpired);
        }
        if let Some(reason) = self.reason_to_refuse(command) {
            if self.noted.contains(&reason) {
                return Err(GrantError::Refused(reason));
            }
            let client_id = command.client_id.clone();
            return Ok(vec![RefusalNoted { reason, client_id }.into()]);
        }
        let scope = &self.authorization.scope;
        let with = Accompanying {
            id_token: scope.contains(Scope::OPENID),
            refresh_generation: u32::from(command.plan.refreshes(scope)),
            has_seed: false,
        };
        let tokens = Arc::new(command.plan.issue(command.now, scope, 1, with));
        Ok(vec![CodeRedeemed { tokens }.into()])
    }

    fn reason_to_refuse(&self, command: &RedeemCode) -> Option<RefusalReason> {
        if command.client_id != self.authorization.client_id {
            return Some(RefusalReason::WrongClient);
        }
        let uri_fits = match &command.redirect_uri {
            Some(uri) => uri == self.request.redirect_uri.as_str(),
            None => self.request.redirect_uri_by_default,
        };
        if !uri_fits {
            return Some(RefusalReason::RedirectUriMismatch);
        }
        match (&self.request.code_challenge, &command.verifier) {
            (None, None) => None,
            (None, Some(_)) => Some(RefusalReason::PkceUnexpected),
            (Some(_), None) => Some(RefusalReason::PkceMismatch),
            (Some(challenge), Some(verifier)) => {
                (!challenge.matches(verifier)).then_some(RefusalReason::PkceMismatch)
            }
        }
    }
}
