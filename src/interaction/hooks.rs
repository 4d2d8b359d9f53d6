//! What the operator's hooks say to an authorization request on its way.

use chancery_domain::authorization::Authentication;
use chancery_domain::protocol::scope::Scope;

use super::context::Visit;
use super::pending::Pending;
use crate::config::hooks::Point;
use crate::hooks::Refusal;
use crate::hooks::answers::{Asking, AuthorizationAnswer, ConsentAnswer, PostAuthenticationAnswer};
use crate::hooks::input::{self, Frame};

/// How far a request may go, now that the person is known.
#[derive(Debug, Default)]
pub struct Limits {
    /// No more than this of the scope; none: all of it.
    pub scope: Option<Scope>,
    pub consent: Option<Asking>,
}

impl Pending {
    /// With whoever is logged in.
    pub async fn ask_authorization(
        &self,
        visit: &Visit,
        current: Option<&Authentication>,
    ) -> Result<AuthorizationAnswer, Refusal> {
        let Some(asked) = visit.hooks.at(Point::Authorization, Some(&self.client)) else {
            return Ok(AuthorizationAnswer::default());
        };
        let frame = Frame::of(visit, Some(&self.client));
        asked.ask(visit, |_| input::authorization(frame, &self.request, current)).await
    }

    /// With the person who is known now.
    pub async fn ask_post_authentication(
        &self,
        visit: &Visit,
        person: &Authentication,
    ) -> Result<(), Refusal> {
        let Some(asked) = visit.hooks.at(Point::PostAuthentication, Some(&self.client)) else {
            return Ok(());
        };
        let frame = Frame::of(visit, Some(&self.client));
        let input = |_| input::post_authentication(frame, &self.request, person);
        asked.ask::<PostAuthenticationAnswer>(visit, input).await.map(drop)
    }

    /// How far the request may go. Asked whenever it matters, so that nothing need
    /// be carried from page to page.
    pub async fn ask_limits(
        &self,
        visit: &Visit,
        person: &Authentication,
        consented: Option<&Scope>,
    ) -> Result<Limits, Refusal> {
        let authorization = self.ask_authorization(visit, Some(person)).await?;
        let consent = match visit.hooks.at(Point::Consent, Some(&self.client)) {
            None => ConsentAnswer::default(),
            Some(asked) => {
                let frame = Frame::of(visit, Some(&self.client));
                let input = |_| input::consent(frame, &self.request, person, consented);
                asked.ask(visit, input).await?
            }
        };
        let required = authorization.require_consent.then_some(Asking::Require);
        let asked_for = &self.request.scope;
        let said = [authorization.scope, consent.scope].into_iter().flatten();
        let narrowed = said.reduce(|one, other| one.narrow(&other));
        let scope = narrowed.map(|narrowed| asked_for.narrow(&narrowed));
        if scope.as_ref().is_some_and(Scope::is_empty) && !asked_for.is_empty() {
            return Err(Refusal::Denied("nothing of the scope is allowed".to_owned()));
        }
        Ok(Limits { scope, consent: required.or(consent.consent) })
    }
}
