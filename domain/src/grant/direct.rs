//! A client gets tokens by one request: without a person (RFC 6749 §4.4), or by
//! what a person logs in by (§4.3).

use std::sync::Arc;

use super::commands::IssueDirectly;
use super::error::GrantError;
use super::events::{GrantEvent, TokensIssued};
use super::state::Grant;
use super::tokens::Accompanying;
use crate::protocol::scope::Scope;

impl Grant {
    pub(super) fn issue_directly(
        &self,
        command: IssueDirectly,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        if *self != Self::Absent {
            return Err(GrantError::Begun);
        }
        let IssueDirectly { grant_type, authorization, plan, now } = command;
        let scope = &authorization.scope;
        let of_person = authorization.authentication.is_some();
        let with = Accompanying {
            id_token: of_person && scope.contains(Scope::OPENID),
            refresh_generation: u32::from(of_person && plan.refreshes(scope)),
            has_seed: false,
        };
        let tokens = plan.issue(now, scope, 1, with);
        let (authorization, tokens) = (Arc::new(authorization), Arc::new(tokens));
        Ok(vec![TokensIssued { grant_type, authorization, tokens }.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{AccessTokenForm, GrantCommand};
    use super::*;
    use crate::authorization::{Authentication, Authorization};
    use crate::protocol::authorization_details::AuthorizationDetails;
    use crate::protocol::claims::ClaimNames;
    use crate::protocol::grant_type::GrantType;

    fn issue(names: &str) -> IssueDirectly {
        IssueDirectly {
            grant_type: GrantType::ClientCredentials,
            authorization: Authorization {
                client_id: client(),
                authentication: None,
                scope: scope(names),
                claims: ClaimNames::default(),
                authorization_details: AuthorizationDetails::default(),
            },
            plan: plan(),
            now: at(0),
        }
    }

    #[test]
    fn a_grant_that_has_begun_issues_nothing_directly() {
        for events in [vec![pushed()], until_active(), until_revoked(), vec![issued_directly()]] {
            given(events)
                .when(GrantCommand::IssueDirectly(issue("read")))
                .then_expect_error(GrantError::Begun);
        }
    }

    /// RFC 6749 §4.4.3: a refresh token SHOULD NOT be included.
    #[test]
    fn nothing_but_an_access_token_comes_directly() {
        given(vec![])
            .when(GrantCommand::IssueDirectly(issue("read")))
            .then_expect_events(vec![issued_directly()]);
        let all = issue("openid offline_access");
        let events = given(vec![]).when(GrantCommand::IssueDirectly(all)).inspect_result().unwrap();
        let tokens = events[0].issued_tokens().unwrap();
        assert_eq!((&tokens.id, &tokens.refresh, &tokens.seed), (&None, &None, &None));
    }

    /// RFC 6749 §4.3.3, OpenID Connect Core §3.1.3.3
    #[test]
    fn a_person_s_direct_grant_has_all_that_its_scope_asks_for() {
        for (names, id, refresh) in [
            ("read", false, true),
            ("openid read", true, false),
            ("openid offline_access", true, true),
        ] {
            let mut command = issue(names);
            command.grant_type = GrantType::Password;
            let authentication = Authentication { session_id: None, ..authentication() };
            command.authorization.authentication = Some(authentication);
            let events =
                given(vec![]).when(GrantCommand::IssueDirectly(command)).inspect_result().unwrap();
            let tokens = events[0].issued_tokens().unwrap();
            assert_eq!((tokens.id.is_some(), tokens.refresh.is_some()), (id, refresh), "{names}");
        }
    }

    #[test]
    fn an_opaque_token_brings_what_it_is_derived_from() {
        let mut command = issue("read");
        command.plan.access_form = AccessTokenForm::Opaque;
        let events =
            given(vec![]).when(GrantCommand::IssueDirectly(command)).inspect_result().unwrap();
        assert_eq!(events[0].issued_tokens().unwrap().seed, Some(seed(1)));
    }
}
