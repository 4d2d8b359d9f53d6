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
        let Some(stage) = self.tokens_out() else { return Ok(vec![]) };
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

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{GrantCommand, RevocationCause};
    use super::*;
    use crate::ids::ClientId;

    fn revoke_token(client_id: ClientId, number: u32, seconds: u32) -> GrantCommand {
        let now = at(seconds);
        GrantCommand::RevokeAccessToken(RevokeAccessToken { client_id, number, now })
    }

    fn revoke() -> GrantCommand {
        let cause = RevocationCause::RevokedByOperator { reason: "it leaked".to_owned() };
        GrantCommand::Revoke(Revoke { cause, now: at(300) })
    }

    fn token_revoked() -> GrantEvent {
        AccessTokenRevoked { number: 1, expires_at: at(REDEEMED + ACCESS_LIFETIME) }.into()
    }

    /// RFC 7009 §2.1
    #[test]
    fn a_client_does_not_revoke_the_token_of_another() {
        given(until_active())
            .when(revoke_token(other_client(), 1, 220))
            .then_expect_error(GrantError::WrongClient);
    }

    /// RFC 7009 §2.2
    #[test]
    fn revoking_what_is_gone_or_never_was_is_no_event() {
        let expired = REDEEMED + ACCESS_LIFETIME;
        let again = [until_active(), vec![token_revoked()]].concat();
        for (events, number, seconds) in [
            (vec![], 1, 220),
            (until_code(), 1, 220),
            (until_active(), 0, 220),
            (until_active(), 2, 220),
            (until_active(), 1, expired),
            (again, 1, 220),
            (until_revoked(), 1, 220),
        ] {
            given(events).when(revoke_token(client(), number, seconds)).then_expect_events(vec![]);
        }
    }

    /// RFC 7009 §2.1
    #[test]
    fn one_access_token_ends_and_the_grant_goes_on() {
        given(until_active())
            .when(revoke_token(client(), 1, REDEEMED + ACCESS_LIFETIME - 1))
            .then_expect_events(vec![token_revoked()]);
        let Grant::Active(stage) = folded([until_active(), vec![token_revoked()]].concat()) else {
            panic!("it ended")
        };
        assert_eq!(stage.access_token(1, at(220)), None);
        assert!(stage.refresh.is_some());
    }

    /// RFC 7009 §2.1
    #[test]
    fn a_token_that_came_by_the_browser_ends_and_the_code_stays_good() {
        let ends = AccessTokenRevoked { number: 1, expires_at: at(ISSUED + ACCESS_LIFETIME) };
        for events in [until_hybrid(), until_implicit()] {
            given(events.clone())
                .when(revoke_token(other_client(), 1, 220))
                .then_expect_error(GrantError::WrongClient);
            given(events.clone())
                .when(revoke_token(client(), 1, 220))
                .then_expect_events(vec![ends.clone().into()]);
            let (before, after) =
                (folded(events.clone()), folded([events, vec![ends.clone().into()]].concat()));
            assert_eq!(after.stage(), before.stage());
            assert_eq!(after.tokens_out().unwrap().access_token(1, at(220)), None);
        }
    }

    #[test]
    fn nothing_is_revoked_that_is_not_there() {
        given(vec![]).when(revoke()).then_expect_error(GrantError::Unknown);
    }

    #[test]
    fn a_grant_ends_once() {
        given(until_revoked()).when(revoke()).then_expect_events(vec![]);
        given(until_declined()).when(revoke()).then_expect_events(vec![]);
    }

    #[test]
    fn a_grant_may_be_revoked_at_every_stage() {
        let ended = GrantRevoked {
            cause: RevocationCause::RevokedByOperator { reason: "it leaked".to_owned() },
            at: at(300),
        };
        for events in [
            vec![pushed()],
            vec![received(request())],
            until_authenticated(),
            until_code(),
            until_hybrid(),
            until_implicit(),
            until_active(),
            vec![issued_directly()],
        ] {
            given(events.clone()).when(revoke()).then_expect_events(vec![ended.clone().into()]);
            let state = folded([events, vec![ended.clone().into()]].concat());
            assert_eq!(state.stage(), "revoked");
            assert_eq!(state.client_id(), Some(&client()));
        }
    }
}
