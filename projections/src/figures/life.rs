//! What of a grant's history the figures need.

use chancery_domain::grant::{AccessTokenFacts, AccessTokenForm, GrantEvent};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::time::UnixTime;

use super::name::{Request, Step};

/// A grant, up to an event of it.
#[derive(Debug, Clone)]
pub struct Life {
    /// Of the request, or of the authorization of a grant without one.
    pub client: Option<ClientId>,
    /// When its first event occurred, in milliseconds.
    pub opened_ms: i64,
    /// How it was asked for; none: not by a code.
    pub by_code: Option<Request>,
    /// How it brought its first token by which it is known.
    pub grant_type: Option<GrantType>,
    pub refreshes: i64,
    pub revoked: bool,
    /// When it came to each step.
    reached: [Option<i64>; Step::ALL.len()],
    access: Vec<Access>,
}

/// An access token that was not revoked by itself.
#[derive(Debug, Clone)]
struct Access {
    number: u32,
    form: &'static str,
    expires_at: UnixTime,
}

impl Life {
    /// One that begins at this moment.
    #[must_use]
    pub const fn opened(at_ms: i64) -> Self {
        Self {
            client: None,
            opened_ms: at_ms,
            by_code: None,
            grant_type: None,
            refreshes: 0,
            revoked: false,
            reached: [None; Step::ALL.len()],
            access: Vec::new(),
        }
    }

    /// Goes on by an event.
    pub fn apply(&mut self, event: &GrantEvent, at_ms: i64) {
        if let Some(step) = step(event) {
            self.mark(step).get_or_insert(at_ms);
        }
        match event {
            GrantEvent::RequestPushed(event) => self.asked(&event.request, Request::Pushed),
            GrantEvent::RequestReceived(event) => self.asked(&event.request, Request::Plain),
            GrantEvent::TokensIssued(event) => {
                self.client = Some(event.authorization.client_id.clone());
                self.grant_type = Some(event.grant_type);
            }
            GrantEvent::CodeRedeemed(_) => self.grant_type = Some(GrantType::AuthorizationCode),
            GrantEvent::FrontChannelTokensIssued(_) => {
                self.grant_type.get_or_insert(GrantType::Implicit);
            }
            GrantEvent::RefreshTokenRotated(_) | GrantEvent::RefreshTokenUsed(_) => {
                self.refreshes += 1;
            }
            GrantEvent::AccessTokenRevoked(event) => {
                self.access.retain(|access| access.number != event.number);
            }
            GrantEvent::GrantRevoked(_) => self.revoked = true,
            GrantEvent::SubjectAuthenticated(_)
            | GrantEvent::ConsentGiven(_)
            | GrantEvent::RequestDeclined(_)
            | GrantEvent::CodeIssued(_)
            | GrantEvent::CodeReplayed(_)
            | GrantEvent::RefreshTokenReused(_)
            | GrantEvent::RefusalNoted(_) => {}
        }
        let by_browser = || event.front_channel_tokens()?.access.as_ref();
        let issued = event.issued_tokens().map(|tokens| &tokens.access).or_else(by_browser);
        self.access.extend(issued.map(Access::of));
    }

    /// When it came to a step.
    #[must_use]
    pub fn reached(&self, step: Step) -> Option<i64> {
        self.reached.get(step as usize).copied().flatten()
    }

    /// How long it took from the step before to this moment, in milliseconds: none for the first,
    /// and where the one before is missing; 0 where the clocks of two nodes make it less.
    #[must_use]
    pub fn taken(&self, step: Step, at_ms: i64) -> Option<u64> {
        let before = self.reached(step.previous()?)?;
        Some(u64::try_from(at_ms.saturating_sub(before)).unwrap_or(0))
    }

    /// The steps that it came to, without having come to the one after.
    pub fn stands_at(&self) -> impl Iterator<Item = Step> + '_ {
        let later = Step::ALL.into_iter().skip(1);
        Step::ALL
            .into_iter()
            .zip(later)
            .filter(|(step, next)| self.reached(*step).is_some() && self.reached(*next).is_none())
            .map(|(step, _)| step)
    }

    /// The form and the end of each access token that has not ended by then.
    pub fn alive(&self, at: UnixTime) -> impl Iterator<Item = (&'static str, UnixTime)> + '_ {
        let alive = self.access.iter().filter(move |access| access.expires_at > at);
        alive.map(|access| (access.form, access.expires_at))
    }

    fn mark(&mut self, step: Step) -> &mut Option<i64> {
        let [request, login, consent, code, token] = &mut self.reached;
        match step {
            Step::Request => request,
            Step::Login => login,
            Step::Consent => consent,
            Step::Code => code,
            Step::Token => token,
        }
    }

    fn asked(
        &mut self,
        request: &chancery_domain::authorization::AuthorizationRequest,
        how: Request,
    ) {
        self.client = Some(request.client_id.clone());
        self.by_code = request.response_type.has_code().then_some(how);
    }
}

impl Access {
    fn of(facts: &AccessTokenFacts) -> Self {
        let form = match facts.form {
            AccessTokenForm::Jwt(_) => "jwt",
            AccessTokenForm::Opaque => "opaque",
        };
        Self { number: facts.number, form, expires_at: facts.expires_at }
    }
}

/// The step that a grant comes to with this event.
#[must_use]
pub const fn step(event: &GrantEvent) -> Option<Step> {
    match event {
        GrantEvent::RequestPushed(_) | GrantEvent::RequestReceived(_) => Some(Step::Request),
        GrantEvent::SubjectAuthenticated(_) => Some(Step::Login),
        GrantEvent::ConsentGiven(_) => Some(Step::Consent),
        GrantEvent::CodeIssued(_) => Some(Step::Code),
        GrantEvent::CodeRedeemed(_) => Some(Step::Token),
        _ => None,
    }
}
