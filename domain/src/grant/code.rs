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
            Self::Revoked(stage) if stage.code.is_some_and(|code| code == command.code) => {
                Err(GrantError::Revoked)
            }
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
        let front = self.front.as_deref();
        let with = Accompanying {
            id_token: scope.contains(Scope::OPENID),
            refresh_generation: u32::from(command.plan.refreshes(scope)),
            has_seed: front.is_some_and(|front| front.seed.is_some()),
        };
        // The browser may have brought the first one.
        let number = front.map_or(0, |front| front.last_number).saturating_add(1);
        let tokens = Arc::new(command.plan.issue(command.now, scope, number, with));
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

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{
        AccessTokenFacts, AccessTokenForm, AccessTokenRevoked, FrontChannelTokens,
        FrontChannelTokensIssued, GrantCommand, IssuedTokens,
    };
    use super::*;
    use crate::protocol::response_type::ResponseType;

    fn redeem() -> RedeemCode {
        RedeemCode {
            client_id: client(),
            code: code(1),
            redirect_uri: Some(REDIRECT_URI.to_owned()),
            verifier: Some(verifier()),
            plan: plan(),
            now: at(REDEEMED),
        }
    }

    /// What a client sends for [`bare_request`].
    fn redeem_bare() -> RedeemCode {
        RedeemCode { redirect_uri: None, verifier: None, ..redeem() }
    }

    fn when(events: Vec<GrantEvent>, command: RedeemCode) -> Result<Vec<GrantEvent>, GrantError> {
        given(events).when(GrantCommand::RedeemCode(command)).inspect_result()
    }

    /// What is issued for the code.
    fn issued(events: Vec<GrantEvent>, command: RedeemCode) -> IssuedTokens {
        match when(events, command).unwrap().as_slice() {
            [GrantEvent::CodeRedeemed(event)] => (*event.tokens).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_code_changes_nothing_at_any_stage() {
        for events in [
            vec![],
            vec![pushed()],
            until_authenticated(),
            until_code(),
            until_active(),
            until_declined(),
            until_revoked(),
            vec![issued_directly()],
        ] {
            let forged = RedeemCode { code: code(2), ..redeem() };
            assert_eq!(when(events, forged), Err(GrantError::Unknown));
        }
    }

    #[test]
    fn tokens_for_a_code_are_counted_after_those_by_the_browser() {
        given(until_hybrid())
            .when(GrantCommand::RedeemCode(redeem()))
            .then_expect_events(vec![redeemed_second()]);
        let revoked =
            AccessTokenRevoked { number: 1, expires_at: at(ISSUED + ACCESS_LIFETIME) }.into();
        let tokens = issued([until_hybrid(), vec![revoked]].concat(), redeem());
        assert_eq!(tokens.access.number, 2);
    }

    #[test]
    fn a_code_of_a_grant_that_has_a_seed_brings_no_other() {
        let access = Some(AccessTokenFacts {
            form: AccessTokenForm::Opaque,
            ..access_token(1, ISSUED, "openid")
        });
        let tokens = FrontChannelTokens { access, id: None, seed: Some(seed(7)) };
        let front = FrontChannelTokensIssued {
            response_type: ResponseType::CodeToken,
            tokens: Arc::new(tokens),
            at: at(ISSUED),
        };
        let events = [until_code(), vec![front.into()]].concat();
        let tokens = issued(events.clone(), redeem());
        assert!(tokens.refresh.is_some() && tokens.seed.is_none());
        let redeemed = CodeRedeemed { tokens: Arc::new(tokens) };
        let Grant::Active(stage) = folded([events, vec![redeemed.into()]].concat()) else {
            panic!()
        };
        assert_eq!(stage.seed, Some(seed(7)));
    }

    /// RFC 6749 §4.1.2, §10.5: those that came by the browser too.
    #[test]
    fn a_replayed_code_ends_the_tokens_by_the_browser() {
        let redeemed = [until_hybrid(), vec![redeemed_second()]].concat();
        let replay = RedeemCode { now: at(211), ..redeem() };
        let replayed = when(redeemed.clone(), replay).unwrap();
        let state = folded([redeemed, replayed].concat());
        assert!(state.tokens_out().is_none() && state.has_ended());
    }

    /// RFC 6749 §4.1.2
    #[test]
    fn a_code_ends_with_the_second_of_its_end() {
        let last = ISSUED + CODE_LIFETIME;
        let late = RedeemCode { now: at(last), ..redeem() };
        assert_eq!(when(until_code(), late), Err(GrantError::CodeExpired));
        issued(until_code(), RedeemCode { now: at(last - 1), ..redeem() });
    }

    /// RFC 6749 §4.1.2, §10.5
    #[test]
    fn a_replayed_code_revokes_the_grant() {
        for (client_id, seconds) in [(client(), 211), (other_client(), 211), (client(), 99_999)] {
            let replay = RedeemCode { client_id: client_id.clone(), now: at(seconds), ..redeem() };
            let events = when(until_active(), replay).unwrap();
            assert_eq!(
                events,
                vec![
                    CodeReplayed { client_id }.into(),
                    revoked(RevocationCause::CodeReplayed, seconds),
                ]
            );
            assert_eq!(events[0].refusal(), Some(GrantError::CodeReplayed));
        }
    }

    #[test]
    fn a_code_of_a_revoked_grant_is_worth_nothing() {
        assert_eq!(when(until_revoked(), redeem()), Err(GrantError::Revoked));
        let unredeemed =
            [until_code(), vec![revoked(RevocationCause::AccountLocked, 205)]].concat();
        assert_eq!(when(unredeemed, redeem()), Err(GrantError::Revoked));
    }

    /// RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9700 §4.8.2
    #[test]
    fn each_wrong_use_is_noted_once_and_the_code_stays_good() {
        let wrong_uses = [
            (until_code(), RefusalReason::WrongClient, |c: &mut RedeemCode| {
                c.client_id = other_client();
            }),
            (until_code(), RefusalReason::RedirectUriMismatch, |c| {
                c.redirect_uri = Some("https://rp.example/cb/".to_owned());
            }),
            (until_code(), RefusalReason::RedirectUriMismatch, |c| c.redirect_uri = None),
            (until_code(), RefusalReason::PkceMismatch, |c| c.verifier = Some(other_verifier())),
            (until_code(), RefusalReason::PkceMismatch, |c| c.verifier = None),
            (until_code_for(bare_request()), RefusalReason::PkceUnexpected, |_| {}),
        ] as [(_, _, fn(&mut RedeemCode)); 6];
        for (events, reason, spoil) in wrong_uses {
            let mut wrong = redeem();
            spoil(&mut wrong);
            let note = noted(reason, wrong.client_id.clone());
            assert_eq!(when(events.clone(), wrong.clone()), Ok(vec![note.clone()]));
            assert_eq!(note.refusal(), Some(GrantError::Refused(reason)));

            let after = [events, vec![note]].concat();
            assert_eq!(when(after, wrong), Err(GrantError::Refused(reason)));
        }
        let note = noted(RefusalReason::PkceMismatch, client());
        issued([until_code(), vec![note]].concat(), redeem());
    }

    #[test]
    fn the_other_client_is_told_before_anything_else() {
        let stolen = RedeemCode {
            client_id: other_client(),
            redirect_uri: None,
            verifier: None,
            ..redeem()
        };
        let note = noted(RefusalReason::WrongClient, other_client());
        assert_eq!(when(until_code(), stolen), Ok(vec![note]));
    }

    #[test]
    fn another_reason_is_noted_beside_the_first() {
        let note = noted(RefusalReason::WrongClient, other_client());
        let wrong = RedeemCode { verifier: None, ..redeem() };
        assert_eq!(
            when([until_code(), vec![note]].concat(), wrong),
            Ok(vec![noted(RefusalReason::PkceMismatch, client())])
        );
    }

    /// RFC 6749 §4.1.4, OpenID Connect Core §3.1.3.3
    #[test]
    fn a_code_becomes_tokens() {
        given(until_code())
            .when(GrantCommand::RedeemCode(redeem()))
            .then_expect_events(vec![code_redeemed()]);
    }

    /// RFC 6749 §4.1.3: REQUIRED only if the authorization request had it.
    #[test]
    fn a_redirect_uri_left_out_of_the_request_may_be_left_out_here() {
        issued(until_code_for(bare_request()), redeem_bare());
        let named = RedeemCode { redirect_uri: Some(REDIRECT_URI.to_owned()), ..redeem_bare() };
        issued(until_code_for(bare_request()), named);
    }

    #[test]
    fn only_openid_brings_an_id_token() {
        assert!(issued(until_code_for(bare_request()), redeem_bare()).id.is_none());
    }

    /// OpenID Connect Core §11
    #[test]
    fn openid_brings_a_refresh_token_with_offline_access_only() {
        let mut online = request();
        online.scope = scope("openid email");
        let tokens = issued(until_code_for(online.clone()), redeem());
        assert_eq!((tokens.refresh, tokens.seed), (None, None));

        let mut generous = redeem();
        generous.plan.refresh_needs_offline_access = false;
        assert!(issued(until_code_for(online), generous).refresh.is_some());
    }

    #[test]
    fn plain_oauth_brings_a_refresh_token_without_offline_access() {
        assert!(issued(until_code_for(bare_request()), redeem_bare()).refresh.is_some());
    }

    #[test]
    fn a_client_without_the_grant_gets_no_refresh_token() {
        let mut command = redeem();
        command.plan.refresh_lifetime = None;
        let tokens = issued(until_code(), command);
        assert_eq!((tokens.refresh, tokens.seed), (None, None));
    }

    #[test]
    fn an_opaque_token_brings_what_it_is_derived_from() {
        let mut command = redeem();
        command.plan.access_form = AccessTokenForm::Opaque;
        command.plan.refresh_lifetime = None;
        assert_eq!(issued(until_code(), command).seed, Some(seed(1)));
    }

    #[test]
    fn tokens_have_the_scope_that_was_consented_to() {
        let mut less = until_authenticated();
        less.extend([consented("openid"), code_issued()]);
        assert_eq!(issued(less, redeem()).access.scope, scope("openid"));
    }
}
