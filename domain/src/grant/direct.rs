//! A client gets tokens without a person (RFC 6749 §4.4).

use std::sync::Arc;

use super::commands::IssueDirectly;
use super::error::GrantError;
use super::events::{GrantEvent, TokensIssued};
use super::state::Grant;
use super::tokens::Accompanying;

impl Grant {
    pub(super) fn issue_directly(
        &self,
        command: IssueDirectly,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        if *self != Self::Absent {
            return Err(GrantError::Begun);
        }
        let IssueDirectly { grant_type, authorization, plan, now } = command;
        let tokens = plan.issue(now, &authorization.scope, 1, Accompanying::default());
        let (authorization, tokens) = (Arc::new(authorization), Arc::new(tokens));
        Ok(vec![TokensIssued { grant_type, authorization, tokens }.into()])
    }
}
