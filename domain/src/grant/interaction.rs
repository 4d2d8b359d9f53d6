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
        if command.session_id != stage.authentication.session_id {
            return Err(GrantError::Answered);
        }
        if !command.scope.is_within(&stage.request.scope) {
            return Err(GrantError::ScopeBeyondRequest);
        }
        let Approve { scope, presented, code, now, lifetime, .. } = command;
        Ok(vec![
            ConsentGiven { scope, presented }.into(),
            CodeIssued { code, at: now, expires_at: now + lifetime }.into(),
        ])
    }

    pub(super) fn decline(&self, command: &Decline) -> Result<Vec<GrantEvent>, GrantError> {
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

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{DeclineReason, GrantCommand, Presented, PresentedScope};
    use super::*;
    use crate::digest::Sha256Digest;
    use crate::ids::SessionId;

    fn approve_in(session_id: SessionId, names: &str) -> GrantCommand {
        GrantCommand::Approve(Approve {
            session_id,
            scope: scope(names),
            presented: None,
            code: code(1),
            now: at(ISSUED),
            lifetime: for_seconds(CODE_LIFETIME),
        })
    }

    fn approve(names: &str) -> GrantCommand {
        approve_in(authentication().session_id, names)
    }

    fn decline() -> GrantCommand {
        GrantCommand::Decline(Decline { reason: DeclineReason::ConsentDenied, now: at(ISSUED) })
    }

    #[test]
    fn nobody_approves_before_the_login() {
        for events in [vec![], vec![pushed()], vec![received(request())]] {
            given(events).when(approve("openid")).then_expect_error(GrantError::Unknown);
        }
    }

    #[test]
    fn a_request_is_answered_once() {
        for events in [until_code(), until_active(), until_declined()] {
            given(events.clone()).when(approve("openid")).then_expect_error(GrantError::Answered);
            given(events).when(decline()).then_expect_error(GrantError::Answered);
        }
    }

    #[test]
    fn a_revoked_grant_takes_no_answer() {
        given(until_revoked()).when(approve("openid")).then_expect_error(GrantError::Revoked);
        given(until_revoked()).when(decline()).then_expect_error(GrantError::Revoked);
    }

    /// Somebody who sends a link to their own pending request must not get a
    /// code in the name of whoever opens it.
    #[test]
    fn nobody_approves_in_the_name_of_another_browser() {
        let both = [until_authenticated(), vec![authenticated(other_authentication())]].concat();
        given(both.clone()).when(approve("openid")).then_expect_error(GrantError::Answered);
        given(both)
            .when(approve_in(other_authentication().session_id, "openid"))
            .then_expect_events(vec![consented("openid"), code_issued()]);
    }

    #[test]
    fn nobody_approves_more_than_was_asked() {
        given(until_authenticated())
            .when(approve("openid admin"))
            .then_expect_error(GrantError::ScopeBeyondRequest);
    }

    /// RFC 6749 §4.1.2
    #[test]
    fn consent_and_code_are_one_append() {
        given(until_authenticated())
            .when(approve("openid email offline_access"))
            .then_expect_events(vec![consented("openid email offline_access"), code_issued()]);
    }

    #[test]
    fn a_person_may_allow_less_than_was_asked() {
        given(until_authenticated())
            .when(approve("openid"))
            .then_expect_events(vec![consented("openid"), code_issued()]);
    }

    #[test]
    fn what_the_person_saw_is_recorded() {
        let presented = Some(Presented {
            locale: "en".to_owned(),
            text: Sha256Digest::from_bytes([3; 32]),
            scopes: vec![PresentedScope {
                name: "openid".to_owned(),
                description: "Know who you are".to_owned(),
            }],
        });
        let command = Approve {
            session_id: authentication().session_id,
            scope: scope("openid"),
            presented: presented.clone(),
            code: code(1),
            now: at(ISSUED),
            lifetime: for_seconds(CODE_LIFETIME),
        };
        given(until_authenticated()).when(GrantCommand::Approve(command)).then_expect_events(vec![
            ConsentGiven { scope: scope("openid"), presented }.into(),
            code_issued(),
        ]);
    }

    #[test]
    fn nothing_is_declined_that_is_not_there() {
        given(vec![]).when(decline()).then_expect_error(GrantError::Unknown);
    }

    #[test]
    fn a_request_may_be_declined_at_every_stage_before_the_answer() {
        for events in [vec![pushed()], vec![received(request())], until_authenticated()] {
            given(events).when(decline()).then_expect_events(vec![declined()]);
        }
    }
}
