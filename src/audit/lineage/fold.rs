//! From the events of a grant to what descends from it.

use chancery_domain::event::AnyEvent;
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, Grant, GrantEvent, GrantRevoked, IdTokenFacts, IdTokenKey,
    IssuedTokens, RefreshTokenFacts, RevocationCause,
};
use chancery_domain::ids::{ClientId, GrantId};
use chancery_domain::protocol::scope::Scope;
use chancery_projections::grants::cause;
use cqrs_es::Aggregate as _;

use super::{AccessToken, Code, ConsentInGrant, IdToken, Issue, Lineage, RefreshToken, Revocation};
use crate::audit::incidents::{Incident, IncidentKind};
use crate::audit::records::Told;
use crate::handles::TokenRef;
use crate::timeline;

impl Lineage {
    /// Folds a history; none: it is empty.
    pub(in crate::audit) fn of(grant_id: GrantId, history: &[Told]) -> Option<Self> {
        let mut lineage = Self {
            grant_id,
            state: String::new(),
            client_id: None,
            subject: None,
            session_id: None,
            grant_type: String::new(),
            scope: Scope::default(),
            began: history.first()?.moment.clone(),
            consent: None,
            code: None,
            by_browser: None,
            direct: None,
            refresh_tokens: vec![],
            incidents: vec![],
            declined: None,
            revoked: None,
        };
        let mut grant = Grant::default();
        for told in history {
            let AnyEvent::Grant(event) = &told.event else { continue };
            lineage.see(told, event);
            grant.apply(event.clone());
        }
        grant.stage().clone_into(&mut lineage.state);
        Some(lineage)
    }

    fn see(&mut self, told: &Told, event: &GrantEvent) {
        match event {
            GrantEvent::RequestPushed(event) => {
                self.client_id = Some(event.request.client_id.clone());
                self.scope = event.request.scope.clone();
                self.grant_type = by_response_type(event.request.response_type.has_code());
            }
            GrantEvent::RequestReceived(event) => {
                self.client_id = Some(event.request.client_id.clone());
                self.scope = event.request.scope.clone();
                self.grant_type = by_response_type(event.request.response_type.has_code());
            }
            GrantEvent::SubjectAuthenticated(event) => {
                self.subject = Some(event.authentication.subject);
                self.session_id = event.authentication.session_id;
            }
            GrantEvent::ConsentGiven(event) => {
                self.scope = event.scope.clone();
                let claims = event.claims.id_token.union(&event.claims.userinfo);
                self.consent = Some(ConsentInGrant {
                    given: told.moment.clone(),
                    page_shown: event.presented.is_some(),
                    scope: event.scope.clone(),
                    claims: claims.cloned().collect(),
                    presented: event.presented.clone(),
                });
            }
            GrantEvent::RequestDeclined(event) => {
                let word = serde_json::to_value(event.reason).ok();
                let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
                self.declined = Some(Revocation::of(told, word));
            }
            GrantEvent::CodeIssued(event) => {
                self.code = Some(Code {
                    issued: told.moment.clone(),
                    expires_at: event.expires_at.into(),
                    replayed: None,
                    brought: None,
                });
            }
            GrantEvent::CodeReplayed(event) => {
                if let Some(code) = &mut self.code {
                    code.replayed = Some(told.moment.clone());
                }
                self.note(told, IncidentKind::CodeReplayed, &event.client_id, None);
            }
            GrantEvent::RefreshTokenReused(event) => {
                let found = |token: &&mut RefreshToken| token.generation == event.generation;
                if let Some(token) = self.refresh_tokens.iter_mut().find(found) {
                    token.reused = Some(told.moment.clone());
                }
                let generation = Some(event.generation);
                self.note(told, IncidentKind::RefreshTokenReused, &event.client_id, generation);
            }
            GrantEvent::RefusalNoted(event) => {
                self.note(told, event.reason.into(), &event.client_id, None);
            }
            GrantEvent::FrontChannelTokensIssued(_)
            | GrantEvent::TokensIssued(_)
            | GrantEvent::CodeRedeemed(_)
            | GrantEvent::RefreshTokenRotated(_)
            | GrantEvent::RefreshTokenUsed(_) => self.see_tokens(told, event),
            GrantEvent::AccessTokenRevoked(event) => {
                let mut tokens = self.access_tokens_mut();
                if let Some(token) = tokens.find(|token| token.number == event.number) {
                    token.revoked = Some(told.moment.clone());
                }
            }
            GrantEvent::GrantRevoked(event) => self.end(told, event),
        }
    }

    /// What came of an answer with tokens.
    fn see_tokens(&mut self, told: &Told, event: &GrantEvent) {
        match event {
            GrantEvent::FrontChannelTokensIssued(event) => {
                let tokens = &event.tokens;
                let access = tokens.access.as_ref();
                self.by_browser = Some(self.issue(told, access, tokens.id.as_ref(), None));
            }
            GrantEvent::TokensIssued(event) => {
                self.client_id = Some(event.authorization.client_id.clone());
                self.subject = event.authorization.subject();
                let who = event.authorization.authentication.as_ref();
                self.session_id = who.and_then(|who| who.session_id);
                self.scope = event.authorization.scope.clone();
                event.grant_type.as_str().clone_into(&mut self.grant_type);
                self.direct = Some(self.issued(told, &event.tokens));
            }
            GrantEvent::CodeRedeemed(event) => {
                let brought = self.issued(told, &event.tokens);
                if let Some(code) = &mut self.code {
                    code.brought = Some(brought);
                }
            }
            GrantEvent::RefreshTokenRotated(event) => {
                let used = self.refresh_tokens.len().checked_sub(1);
                let brought = self.issued(told, &event.tokens);
                if let Some(token) = used.and_then(|used| self.refresh_tokens.get_mut(used)) {
                    token.replaced = Some(told.moment.clone());
                    token.brought.push(brought);
                }
            }
            GrantEvent::RefreshTokenUsed(event) => {
                let brought = self.issued(told, &event.tokens);
                if let Some(token) = self.refresh_tokens.last_mut() {
                    token.brought.push(brought);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, told: &Told, event: &GrantRevoked) {
        let mut revocation = Revocation::of(told, cause(&event.cause));
        if let RevocationCause::RevokedByOperator { reason } = &event.cause {
            revocation.reason = Some(reason.clone());
        }
        for token in self.access_tokens_mut() {
            if token.revoked.is_none() && event.at < token.expires {
                token.revoked = Some(told.moment.clone());
            }
        }
        for token in &mut self.refresh_tokens {
            if token.replaced.is_none() && event.at < token.expires {
                token.revoked = Some(told.moment.clone());
            }
        }
        self.revoked = Some(revocation);
    }

    /// What the token endpoint answered, with the refresh token put in its place.
    fn issued(&mut self, told: &Told, tokens: &IssuedTokens) -> Issue {
        if let Some(refresh) = &tokens.refresh {
            self.place(told, refresh);
        }
        let generation = tokens.refresh.as_ref().map(|token| token.generation);
        self.issue(told, Some(&tokens.access), tokens.id.as_ref(), generation)
    }

    fn place(&mut self, told: &Told, facts: &RefreshTokenFacts) {
        let found = |token: &&mut RefreshToken| token.generation == facts.generation;
        if let Some(token) = self.refresh_tokens.iter_mut().find(found) {
            // Used and kept: it may last longer now.
            token.expires_at = facts.expires_at.into();
            token.expires = facts.expires_at;
            return;
        }
        self.refresh_tokens.push(RefreshToken {
            generation: facts.generation,
            issued: told.moment.clone(),
            expires_at: facts.expires_at.into(),
            replaced: None,
            reused: None,
            revoked: None,
            brought: vec![],
            expires: facts.expires_at,
        });
    }

    fn issue(
        &self,
        told: &Told,
        access: Option<&AccessTokenFacts>,
        id: Option<&IdTokenFacts>,
        refresh_token: Option<u32>,
    ) -> Issue {
        Issue {
            issued: told.moment.clone(),
            access_token: access.map(|facts| AccessToken::of(self.grant_id, facts)),
            id_token: id.map(IdToken::of),
            refresh_token,
        }
    }

    fn note(
        &mut self,
        told: &Told,
        kind: IncidentKind,
        presented_by: &ClientId,
        generation: Option<u32>,
    ) {
        self.incidents.push(Incident {
            incident_id: format!("{:016x}", told.moment.position),
            kind,
            presented_by: presented_by.clone(),
            generation,
            at: told.moment.clone(),
            command_id: told.envelope.command_id.to_string(),
        });
    }

    fn access_tokens_mut(&mut self) -> impl Iterator<Item = &mut AccessToken> {
        let by_code = self.code.as_mut().and_then(|code| code.brought.as_mut());
        let refreshed = self.refresh_tokens.iter_mut().flat_map(|token| &mut token.brought);
        [self.by_browser.as_mut(), self.direct.as_mut(), by_code]
            .into_iter()
            .flatten()
            .chain(refreshed)
            .filter_map(|issue| issue.access_token.as_mut())
    }
}

impl AccessToken {
    fn of(grant: GrantId, facts: &AccessTokenFacts) -> Self {
        Self {
            jti: TokenRef { grant, number: facts.number }.encode(),
            number: facts.number,
            kid: match &facts.form {
                AccessTokenForm::Jwt(key) => Some(key.clone()),
                AccessTokenForm::Opaque => None,
            },
            scope: facts.scope.clone(),
            audience: facts.audience.clone(),
            issued_at: facts.issued_at.into(),
            expires_at: facts.expires_at.into(),
            revoked: None,
            issued: facts.issued_at,
            expires: facts.expires_at,
        }
    }
}

impl IdToken {
    fn of(facts: &IdTokenFacts) -> Self {
        Self {
            kid: match &facts.signed_by {
                IdTokenKey::Key(key) => Some(key.clone()),
                IdTokenKey::Secret(_) => None,
            },
            issued_at: facts.issued_at.into(),
            expires_at: facts.expires_at.into(),
            issued: facts.issued_at,
            expires: facts.expires_at,
        }
    }
}

impl Revocation {
    fn of(told: &Told, cause: &str) -> Self {
        Self {
            at: told.moment.clone(),
            cause: cause.to_owned(),
            reason: None,
            actor: timeline::actor(&told.envelope),
            because_of: told.envelope.causation_id.clone(),
            command_id: told.envelope.command_id.to_string(),
        }
    }
}

fn by_response_type(has_code: bool) -> String {
    if has_code { "authorization_code" } else { "implicit" }.to_owned()
}
