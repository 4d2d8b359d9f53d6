//! The person decides.

use std::sync::Arc;

use super::commands::{Approve, Decline};
use super::error::GrantError;
use super::events::{
    CodeIssued, ConsentGiven, FrontChannelTokensIssued, GrantEvent, RequestDeclined,
};
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
        if Some(command.session_id) != stage.authentication.session_id {
            return Err(GrantError::Answered);
        }
        if !command.scope.is_within(&stage.request.scope)
            || !command.claims.is_within(&stage.request.claims)
        {
            return Err(GrantError::ScopeBeyondRequest);
        }
        let Approve { scope, claims, presented, code, lifetime, plan, now, .. } = command;
        let response_type = stage.request.response_type;
        let by_browser = response_type.is_front_channel().then(|| {
            let tokens = Arc::new(plan.issue_to_browser(now, &scope, response_type));
            FrontChannelTokensIssued { response_type, tokens, at: now }.into()
        });
        let code = response_type
            .has_code()
            .then(|| CodeIssued { code, at: now, expires_at: now + lifetime }.into());
        let consent = ConsentGiven { scope, claims, presented }.into();
        Ok([Some(consent), code, by_browser].into_iter().flatten().collect())
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
    use super::super::{
        AccessTokenForm, DeclineReason, GrantCommand, Presented, PresentedScope, TokenPlan,
    };
    use super::*;
    use crate::authorization::AuthorizationRequest;
    use crate::digest::Sha256Digest;
    use crate::ids::SessionId;
    use crate::protocol::claims::ClaimNames;
    use crate::protocol::response_type::ResponseType;

    fn approve_in(session_id: SessionId, names: &str) -> GrantCommand {
        GrantCommand::Approve(Approve {
            session_id,
            scope: scope(names),
            claims: ClaimNames::default(),
            presented: None,
            code: code(1),
            lifetime: for_seconds(CODE_LIFETIME),
            plan: plan(),
            now: at(ISSUED),
        })
    }

    fn approve(names: &str) -> GrantCommand {
        approve_in(authentication().session_id.unwrap(), names)
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
        for events in
            [until_code(), until_hybrid(), until_implicit(), until_active(), until_declined()]
        {
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
            .when(approve_in(other_authentication().session_id.unwrap(), "openid"))
            .then_expect_events(vec![consented("openid"), code_issued()]);
    }

    #[test]
    fn nobody_approves_more_than_was_asked() {
        given(until_authenticated())
            .when(approve("openid admin"))
            .then_expect_error(GrantError::ScopeBeyondRequest);
    }

    /// OpenID Connect Core §5.5
    #[test]
    fn claims_are_approved_as_far_as_they_were_asked_for() {
        let names = |names: &[&str]| ClaimNames {
            id_token: names.iter().map(|&name| name.to_owned()).collect(),
            ..ClaimNames::default()
        };
        let asked = AuthorizationRequest { claims: names(&["email", "name"]), ..request() };
        let events = || vec![received(asked.clone()), authenticated(authentication())];
        let approve_claims = |claims| match approve("openid") {
            GrantCommand::Approve(command) => GrantCommand::Approve(Approve { claims, ..command }),
            other => other,
        };
        given(events())
            .when(approve_claims(names(&["phone_number"])))
            .then_expect_error(GrantError::ScopeBeyondRequest);
        let elsewhere =
            ClaimNames { userinfo: names(&["email"]).id_token, ..ClaimNames::default() };
        given(events())
            .when(approve_claims(elsewhere))
            .then_expect_error(GrantError::ScopeBeyondRequest);
        let given_claims =
            ConsentGiven { scope: scope("openid"), claims: names(&["email"]), presented: None };
        given(events())
            .when(approve_claims(names(&["email"])))
            .then_expect_events(vec![given_claims.clone().into(), code_issued()]);
        let all = [events(), vec![given_claims.into()]].concat();
        let Grant::Consented(stage) = folded(all) else { panic!("no consent") };
        assert_eq!(stage.authorization.claims, names(&["email"]));
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

    /// OpenID Connect Core §3.2.2.5, §3.3.2.5; RFC 6749 §4.2.2: no refresh
    /// token comes by the browser.
    #[test]
    fn what_comes_by_the_browser_is_one_append_with_the_consent() {
        let names = "openid email offline_access";
        for response_type in ResponseType::ALL {
            let asked = AuthorizationRequest { response_type: *response_type, ..request() };
            let events = vec![received(asked), authenticated(authentication())];
            let mut expected = vec![consented(names)];
            expected.extend(response_type.has_code().then(code_issued));
            if response_type.is_front_channel() {
                let access = response_type.has_token().then(|| access_token(1, ISSUED, names));
                let id = response_type.has_id_token().then(|| tokens(1, ISSUED).id.unwrap());
                expected.push(by_browser(*response_type, access, id));
            }
            given(events).when(approve(names)).then_expect_events(expected);
        }
    }

    #[test]
    fn an_opaque_token_by_the_browser_brings_what_it_is_derived_from() {
        for (response_type, expected) in
            [(ResponseType::Token, Some(seed(1))), (ResponseType::IdToken, None)]
        {
            let asked = AuthorizationRequest { response_type, ..request() };
            let plan = TokenPlan { access_form: AccessTokenForm::Opaque, ..plan() };
            let GrantCommand::Approve(command) = approve("openid") else { panic!() };
            let command = GrantCommand::Approve(Approve { plan, ..command });
            let events = given(vec![received(asked), authenticated(authentication())])
                .when(command)
                .inspect_result()
                .unwrap();
            let tokens = events.iter().find_map(GrantEvent::front_channel_tokens).unwrap();
            assert_eq!(tokens.seed, expected);
        }
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
            claims: vec![],
        });
        let command = Approve {
            session_id: authentication().session_id.unwrap(),
            scope: scope("openid"),
            claims: ClaimNames::default(),
            presented: presented.clone(),
            code: code(1),
            lifetime: for_seconds(CODE_LIFETIME),
            plan: plan(),
            now: at(ISSUED),
        };
        given(until_authenticated()).when(GrantCommand::Approve(command)).then_expect_events(vec![
            ConsentGiven { scope: scope("openid"), claims: ClaimNames::default(), presented }
                .into(),
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
