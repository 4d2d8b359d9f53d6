//! What is known of a grant at each stage.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access_tokens::AccessTokens;
use super::events::{
    CodeIssued, GrantEvent, RefreshTokenRotated, RefusalReason, RequestPushed, RevocationCause,
    SubjectAuthenticated,
};
use super::tokens::{AccessTokenFacts, FrontChannelTokens, HandleSeed, IssuedTokens};
use crate::authorization::{Authentication, Authorization, AuthorizationRequest};
use crate::ids::{ClientId, SubjectId};
use crate::protocol::authorization_details::AuthorizationDetails;
use crate::secret::{AuthorizationCode, Digest, RequestUri};
use crate::time::UnixTime;

/// The aggregate. Cheap to clone: what is large is shared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Grant {
    /// Nothing has happened.
    #[default]
    Absent,
    /// A client has pushed a request.
    Pushed(Pushed),
    /// A browser has brought a request.
    Requested {
        /// The request.
        request: Arc<AuthorizationRequest>,
    },
    /// The person is known, and has not decided.
    Authenticated(Authenticated),
    /// The person has consented; the code is the next thing.
    Consented(Box<Consented>),
    /// A code is out, perhaps with tokens beside it.
    CodeIssued(Box<WithCode>),
    /// Tokens are out, and no code that is good.
    Active(Box<Active>),
    /// The request ended without a code.
    Declined(Arc<AuthorizationRequest>),
    /// Nothing that came of it works any more.
    Revoked(Box<Revoked>),
}

/// A pushed request waits for its browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// The digest of the secret in its `request_uri`.
    pub request_uri: Digest<RequestUri>,
    /// When that ends.
    pub expires_at: UnixTime,
}

/// The person is known, and has not decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authenticated {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// The `request_uri` it came by, if it was pushed.
    pub request_uri: Option<UsedRequestUri>,
    /// Who, and how.
    pub authentication: Arc<Authentication>,
}

/// The `request_uri` that a person came by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsedRequestUri {
    /// The digest of its secret.
    pub digest: Digest<RequestUri>,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// The person has consented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consented {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// What was approved.
    pub authorization: Arc<Authorization>,
}

/// A code is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithCode {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// What was approved.
    pub authorization: Arc<Authorization>,
    /// The digest of the code.
    pub code: Digest<AuthorizationCode>,
    /// When the code ends.
    pub expires_at: UnixTime,
    /// Refusals noted.
    pub noted: BTreeSet<RefusalReason>,
    /// What came by the browser along with the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Box<Active>>,
}

/// Tokens are out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// What was approved.
    pub authorization: Arc<Authorization>,
    /// The digest of the code that was redeemed, if there was one.
    pub code: Option<Digest<AuthorizationCode>>,
    /// When the first tokens were issued.
    pub since: UnixTime,
    /// The number of the last access token.
    pub last_number: u32,
    /// Access tokens that may be alive.
    pub access: AccessTokens,
    /// Where derived tokens come from.
    pub seed: Option<HandleSeed>,
    /// The refresh tokens, if there are any.
    pub refresh: Option<RefreshFamily>,
    /// Refusals noted.
    pub noted: BTreeSet<RefusalReason>,
}

/// The refresh tokens of a grant: one is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshFamily {
    /// Which one is alive.
    pub generation: u32,
    /// When it ends.
    pub expires_at: UnixTime,
    /// How it came to be, unless it is the first.
    pub rotation: Option<Rotation>,
}

/// The last rotation, to be answered again within the grace period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    /// What was answered.
    pub tokens: Arc<IssuedTokens>,
    /// Until when it is answered again.
    pub grace_until: UnixTime,
}

/// Nothing that came of it works any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revoked {
    /// The client it was for.
    pub client_id: ClientId,
    /// The person, if there is one.
    pub subject: Option<SubjectId>,
    /// The digest of its code, if there was one.
    pub code: Option<Digest<AuthorizationCode>>,
    /// Why.
    pub cause: RevocationCause,
    /// When.
    pub at: UnixTime,
}

impl Grant {
    /// The version of this state's shape: a kept state of another version is
    /// thrown away and folded anew.
    pub const STATE_VERSION: u32 = 1;

    /// The client it is for.
    #[must_use]
    pub fn client_id(&self) -> Option<&ClientId> {
        match self {
            Self::Absent => None,
            Self::Pushed(stage) => Some(&stage.request.client_id),
            Self::Requested { request } | Self::Declined(request) => Some(&request.client_id),
            Self::Authenticated(stage) => Some(&stage.request.client_id),
            Self::Consented(stage) => Some(&stage.request.client_id),
            Self::CodeIssued(stage) => Some(&stage.request.client_id),
            Self::Active(stage) => Some(&stage.authorization.client_id),
            Self::Revoked(stage) => Some(&stage.client_id),
        }
    }

    /// The person it is of.
    #[must_use]
    pub fn subject(&self) -> Option<SubjectId> {
        match self {
            Self::Absent | Self::Pushed(_) | Self::Requested { .. } | Self::Declined(_) => None,
            Self::Authenticated(stage) => Some(stage.authentication.subject),
            Self::Consented(stage) => stage.authorization.subject(),
            Self::CodeIssued(stage) => stage.authorization.subject(),
            Self::Active(stage) => stage.authorization.subject(),
            Self::Revoked(stage) => stage.subject,
        }
    }

    /// The tokens that are out, whether or not a code is out beside them.
    #[must_use]
    pub fn tokens_out(&self) -> Option<&Active> {
        match self {
            Self::CodeIssued(stage) => stage.front.as_deref(),
            Self::Active(stage) => Some(stage),
            Self::Absent
            | Self::Pushed(_)
            | Self::Requested { .. }
            | Self::Authenticated(_)
            | Self::Consented(_)
            | Self::Declined(_)
            | Self::Revoked(_) => None,
        }
    }

    /// The same, taken out.
    #[must_use]
    pub fn into_tokens_out(self) -> Option<Box<Active>> {
        match self {
            Self::CodeIssued(stage) => stage.front,
            Self::Active(stage) => Some(stage),
            Self::Absent
            | Self::Pushed(_)
            | Self::Requested { .. }
            | Self::Authenticated(_)
            | Self::Consented(_)
            | Self::Declined(_)
            | Self::Revoked(_) => None,
        }
    }

    /// The digest of the code that it gave out.
    fn code(&self) -> Option<Digest<AuthorizationCode>> {
        match self {
            Self::CodeIssued(stage) => Some(stage.code),
            Self::Active(stage) => stage.code,
            Self::Revoked(stage) => stage.code,
            Self::Absent
            | Self::Pushed(_)
            | Self::Requested { .. }
            | Self::Authenticated(_)
            | Self::Consented(_)
            | Self::Declined(_) => None,
        }
    }

    /// The request it began with, while it matters.
    #[must_use]
    pub fn request_made(&self) -> Option<&Arc<AuthorizationRequest>> {
        match self {
            Self::Pushed(stage) => Some(&stage.request),
            Self::Requested { request } | Self::Declined(request) => Some(request),
            Self::Authenticated(stage) => Some(&stage.request),
            Self::Consented(stage) => Some(&stage.request),
            Self::CodeIssued(stage) => Some(&stage.request),
            Self::Absent | Self::Active(_) | Self::Revoked(_) => None,
        }
    }

    /// The stage in one word, as look-ups and timelines have it.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pushed(_) => "pushed",
            Self::Requested { .. } => "requested",
            Self::Authenticated(_) => "authenticated",
            Self::Consented(_) => "consented",
            Self::CodeIssued(_) => "code_issued",
            Self::Active(_) => "active",
            Self::Declined(_) => "declined",
            Self::Revoked(_) => "revoked",
        }
    }

    /// Will nothing happen to it any more?
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self, Self::Declined(_) | Self::Revoked(_))
    }

    pub(super) fn assign(&mut self, event: GrantEvent) {
        let current = std::mem::take(self);
        *self = current.after(event);
    }

    /// The state after an event. An event that does not fit the stage can't
    /// have been decided; it leaves everything as it is.
    fn after(self, event: GrantEvent) -> Self {
        match (self, event) {
            (Self::Absent, GrantEvent::RequestPushed(event)) => Self::Pushed(pushed(event)),
            (Self::Absent, GrantEvent::RequestReceived(event)) => {
                Self::Requested { request: event.request }
            }
            (Self::Pushed(stage), GrantEvent::SubjectAuthenticated(event)) => {
                let Pushed { request, request_uri: digest, expires_at } = stage;
                authenticated(request, Some(UsedRequestUri { digest, expires_at }), event)
            }
            (Self::Requested { request }, GrantEvent::SubjectAuthenticated(event)) => {
                authenticated(request, None, event)
            }
            (Self::Authenticated(stage), GrantEvent::SubjectAuthenticated(event)) => {
                authenticated(stage.request, stage.request_uri, event)
            }
            (Self::Authenticated(stage), GrantEvent::ConsentGiven(event)) => {
                let authorization = Arc::new(Authorization {
                    client_id: stage.request.client_id.clone(),
                    authentication: Some((*stage.authentication).clone()),
                    scope: event.scope,
                    claims: event.claims,
                    authorization_details: AuthorizationDetails::default(),
                });
                Self::Consented(Box::new(Consented { request: stage.request, authorization }))
            }
            (
                Self::Pushed(Pushed { request, .. })
                | Self::Requested { request }
                | Self::Authenticated(Authenticated { request, .. }),
                GrantEvent::RequestDeclined(_),
            )
            | (Self::Declined(request), _) => Self::Declined(request),
            (Self::Consented(stage), GrantEvent::CodeIssued(event)) => {
                Self::CodeIssued(Box::new(with_code(*stage, &event)))
            }
            (Self::Consented(stage), GrantEvent::FrontChannelTokensIssued(event)) => {
                let mut active = Active::new(stage.authorization, event.at);
                active.note_front_channel(&event.tokens);
                Self::Active(Box::new(active))
            }
            (Self::CodeIssued(mut stage), GrantEvent::FrontChannelTokensIssued(event)) => {
                let mut front = Active::new(Arc::clone(&stage.authorization), event.at);
                front.note_front_channel(&event.tokens);
                stage.front = Some(Box::new(front));
                Self::CodeIssued(stage)
            }
            (Self::CodeIssued(stage), GrantEvent::CodeRedeemed(event)) => {
                let WithCode { authorization, code, noted, front, .. } = *stage;
                let since = event.tokens.access.issued_at;
                let fresh = || Box::new(Active::new(authorization, since));
                let mut active = front.unwrap_or_else(fresh);
                active.code = Some(code);
                active.noted = noted;
                active.note_tokens(&event.tokens);
                Self::Active(active)
            }
            (Self::Absent, GrantEvent::TokensIssued(event)) => {
                let mut active = Active::new(event.authorization, event.tokens.access.issued_at);
                active.note_tokens(&event.tokens);
                Self::Active(Box::new(active))
            }
            (Self::Active(mut stage), GrantEvent::RefreshTokenRotated(event)) => {
                stage.note_rotation(event);
                Self::Active(stage)
            }
            (Self::CodeIssued(mut stage), GrantEvent::AccessTokenRevoked(event)) => {
                if let Some(front) = &mut stage.front {
                    front.access.remove(event.number);
                }
                Self::CodeIssued(stage)
            }
            (Self::Active(mut stage), GrantEvent::RefreshTokenUsed(event)) => {
                stage.note_tokens(&event.tokens);
                Self::Active(stage)
            }
            (Self::Active(mut stage), GrantEvent::AccessTokenRevoked(event)) => {
                stage.access.remove(event.number);
                Self::Active(stage)
            }
            (Self::CodeIssued(mut stage), GrantEvent::RefusalNoted(event)) => {
                stage.noted.insert(event.reason);
                Self::CodeIssued(stage)
            }
            (Self::Active(mut stage), GrantEvent::RefusalNoted(event)) => {
                stage.noted.insert(event.reason);
                Self::Active(stage)
            }
            (Self::Revoked(stage), _) => Self::Revoked(stage),
            (current, GrantEvent::GrantRevoked(event)) => match current.client_id() {
                None => current,
                Some(client_id) => Self::Revoked(Box::new(Revoked {
                    client_id: client_id.clone(),
                    subject: current.subject(),
                    code: current.code(),
                    cause: event.cause,
                    at: event.at,
                })),
            },
            (current, _) => current,
        }
    }
}

fn pushed(event: RequestPushed) -> Pushed {
    Pushed { request: event.request, request_uri: event.request_uri, expires_at: event.expires_at }
}

fn authenticated(
    request: Arc<AuthorizationRequest>,
    request_uri: Option<UsedRequestUri>,
    event: SubjectAuthenticated,
) -> Grant {
    let authentication = Arc::new(event.authentication);
    Grant::Authenticated(Authenticated { request, request_uri, authentication })
}

fn with_code(stage: Consented, event: &CodeIssued) -> WithCode {
    WithCode {
        request: stage.request,
        authorization: stage.authorization,
        code: event.code,
        expires_at: event.expires_at,
        noted: BTreeSet::new(),
        front: None,
    }
}

impl Active {
    /// The most access tokens of one grant that are remembered one by one: a
    /// client that asks for more within their lifetime loses the oldest.
    pub const MAX_ACCESS_TOKENS: usize = 1000;

    fn new(authorization: Arc<Authorization>, since: UnixTime) -> Self {
        Self {
            authorization,
            code: None,
            since,
            last_number: 0,
            access: AccessTokens::default(),
            seed: None,
            refresh: None,
            noted: BTreeSet::new(),
        }
    }

    fn note_access(&mut self, facts: &AccessTokenFacts) {
        self.access.push(facts, Self::MAX_ACCESS_TOKENS);
        self.last_number = facts.number;
    }

    fn note_front_channel(&mut self, tokens: &FrontChannelTokens) {
        if let Some(access) = &tokens.access {
            self.note_access(access);
        }
        self.seed.clone_from(&tokens.seed);
    }

    fn note_rotation(&mut self, event: RefreshTokenRotated) {
        self.note_tokens(&event.tokens);
        if let Some(family) = &mut self.refresh {
            let RefreshTokenRotated { tokens, grace_until } = event;
            family.rotation = Some(Rotation { tokens, grace_until });
        }
    }

    fn note_tokens(&mut self, tokens: &IssuedTokens) {
        self.note_access(&tokens.access);
        if let Some(seed) = &tokens.seed {
            self.seed = Some(seed.clone());
        }
        if let Some(refresh) = &tokens.refresh {
            self.refresh = Some(RefreshFamily {
                generation: refresh.generation,
                expires_at: refresh.expires_at,
                rotation: None,
            });
        }
    }

    /// The facts of an access token, if it is alive.
    #[must_use]
    pub fn access_token(&self, number: u32, now: UnixTime) -> Option<&AccessTokenFacts> {
        self.access.get(number).filter(|token| now < token.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::GrantRevoked;
    use super::super::testing::*;
    // Over the state's own functions of these names.
    use super::super::testing::{authenticated, pushed};
    use super::*;
    use crate::protocol::response_type::ResponseType;

    #[test]
    fn an_event_that_does_not_fit_changes_nothing() {
        let everything = || {
            [
                pushed(),
                received(request()),
                authenticated(authentication()),
                consented("openid"),
                code_issued(),
                by_browser(ResponseType::CodeToken, Some(access_token(1, ISSUED, "openid")), None),
                code_redeemed(),
                rotated(2, 300),
                declined(),
                revoked(RevocationCause::SessionEnded, 999),
                issued_directly(),
            ]
        };
        for ended in [until_revoked(), until_declined()] {
            for event in everything() {
                let after = folded([ended.clone(), vec![event]].concat());
                assert_eq!(after, folded(ended.clone()));
            }
        }
        for event in &everything()[2..10] {
            assert_eq!(folded(vec![event.clone()]), Grant::Absent);
        }
    }

    #[test]
    fn what_is_known_of_a_revoked_grant_says_whose_it_was() {
        let state = folded(until_revoked());
        assert_eq!(state.client_id(), Some(&client()));
        assert_eq!(state.subject(), Some(authentication().subject));
        assert!(state.has_ended());
        assert!(state.request_made().is_none());
    }

    #[test]
    fn a_stage_is_named_as_look_ups_have_it() {
        for (events, stage) in [
            (vec![], "absent"),
            (vec![pushed()], "pushed"),
            (vec![received(request())], "requested"),
            (until_authenticated(), "authenticated"),
            (until_code(), "code_issued"),
            (until_hybrid(), "code_issued"),
            (until_implicit(), "active"),
            (until_active(), "active"),
            (until_declined(), "declined"),
            (until_revoked(), "revoked"),
        ] {
            assert_eq!(folded(events).stage(), stage);
        }
    }

    #[test]
    fn an_access_token_ends_with_the_second_of_its_end() {
        let Grant::Active(stage) = folded(until_active()) else { panic!() };
        assert!(stage.access_token(1, at(REDEEMED + ACCESS_LIFETIME - 1)).is_some());
        assert!(stage.access_token(1, at(REDEEMED + ACCESS_LIFETIME)).is_none());
    }

    #[test]
    fn tokens_by_the_browser_are_alive_beside_the_code_and_after_it() {
        let redeemed = [until_hybrid(), vec![redeemed_second()]].concat();
        for (events, numbers) in
            [(until_implicit(), vec![1]), (until_hybrid(), vec![1]), (redeemed, vec![1, 2])]
        {
            let state = folded(events);
            let out = state.tokens_out().unwrap();
            let found: Vec<_> = out.access.iter().map(|token| token.number).collect();
            assert_eq!(found, numbers);
            assert_eq!(out.authorization.subject(), Some(authentication().subject));
        }
        assert!(folded(until_code()).tokens_out().is_none());
    }

    #[test]
    fn tokens_that_have_ended_are_forgotten() {
        let later = rotated(2, REDEEMED + ACCESS_LIFETIME);
        let Grant::Active(stage) = folded([until_active(), vec![later]].concat()) else { panic!() };
        let numbers: Vec<_> = stage.access.iter().map(|token| token.number).collect();
        assert_eq!(numbers, [2]);
    }

    #[test]
    fn only_so_many_access_tokens_of_a_grant_are_alive() {
        let most = u32::try_from(Active::MAX_ACCESS_TOKENS).unwrap();
        let mut events = until_active();
        events.extend((2..=most + 1).map(|number| rotated(number, REDEEMED)));
        let Grant::Active(stage) = folded(events) else { panic!() };
        assert_eq!(stage.access.iter().count(), Active::MAX_ACCESS_TOKENS);
        assert!(stage.access_token(1, at(REDEEMED)).is_none());
        assert!(stage.access_token(2, at(REDEEMED)).is_some());
    }

    #[test]
    fn numbers_never_overflow() {
        let last = RefreshTokenRotated {
            tokens: Arc::new(tokens(u32::MAX, REDEEMED)),
            grace_until: at(REDEEMED),
        };
        let state = folded([until_active(), vec![last.into()]].concat());
        let command = super::super::UseRefreshToken {
            client_id: client(),
            generation: u32::MAX,
            genuine: true,
            scope: None,
            policy: super::super::RefreshPolicy {
                rotate: true,
                extend: true,
                grace: for_seconds(u32::MAX),
                absolute_lifetime: Some(for_seconds(u32::MAX)),
            },
            presence: super::super::Presence::NotAsked,
            plan: plan(),
            now: at(220),
        };
        assert!(state.refresh(command).is_ok());
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for events in [
            vec![],
            vec![pushed()],
            vec![received(bare_request())],
            until_authenticated(),
            until_code(),
            until_hybrid(),
            until_implicit(),
            [until_active(), vec![rotated(2, 300)]].concat(),
            until_declined(),
            until_revoked(),
        ] {
            let state = folded(events);
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<Grant>(&json).unwrap(), state);
        }
    }

    #[test]
    fn a_revocation_without_a_grant_is_no_grant() {
        let cause = RevocationCause::ClientDisabled;
        let event = GrantRevoked { cause, at: at(1) };
        assert_eq!(folded(vec![event.into()]), Grant::Absent);
    }
}
