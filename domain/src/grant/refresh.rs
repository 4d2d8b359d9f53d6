//! A client uses a refresh token, which is replaced or kept: rotation, the grace
//! period, reuse (RFC 6749 §6, RFC 9700 §4.14.2).

use std::sync::Arc;

use super::commands::{Presence, UseRefreshToken};
use super::error::GrantError;
use super::events::{
    GrantEvent, GrantRevoked, RefreshTokenReused, RefreshTokenRotated, RefreshTokenUsed,
    RefusalNoted, RefusalReason, RevocationCause,
};
use super::state::{Active, Grant, RefreshFamily};
use super::tokens::{Accompanying, IssuedTokens};
use crate::protocol::scope::Scope;

impl Grant {
    /// No event: the answer is the one of the last rotation, again
    /// ([`Active::repeated_answer`]).
    pub(super) fn refresh(&self, command: UseRefreshToken) -> Result<Vec<GrantEvent>, GrantError> {
        let stage = match self {
            Self::Active(stage) => stage,
            Self::Revoked(_) if command.genuine => return Err(GrantError::Revoked),
            _ => return Err(GrantError::Unknown),
        };
        let Some(family) = stage.refresh.as_ref().filter(|family| {
            command.genuine && (1..=family.generation).contains(&command.generation)
        }) else {
            return Err(GrantError::Unknown);
        };
        if command.generation == family.generation {
            return stage.use_refresh_token(family, command);
        }
        let same_client = command.client_id == stage.authorization.client_id;
        let lost_reply = command.generation.saturating_add(1) == family.generation
            && family.rotation.as_ref().is_some_and(|last| command.now < last.grace_until);
        if same_client && lost_reply {
            return match command.presence {
                Presence::Absent => Err(GrantError::SubjectAbsent),
                Presence::NotAsked | Presence::Present => Ok(vec![]),
            };
        }
        let UseRefreshToken { client_id, generation, now, .. } = command;
        let cause = RevocationCause::RefreshTokenReused;
        Ok(vec![
            RefreshTokenReused { client_id, generation }.into(),
            GrantRevoked { cause, at: now }.into(),
        ])
    }
}

impl Active {
    /// The answer of the last rotation, for a client that lost it.
    #[must_use]
    pub fn repeated_answer(&self) -> Option<&Arc<IssuedTokens>> {
        self.refresh.as_ref()?.rotation.as_ref().map(|rotation| &rotation.tokens)
    }

    fn use_refresh_token(
        &self,
        family: &RefreshFamily,
        command: UseRefreshToken,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        if command.client_id != self.authorization.client_id {
            let reason = RefusalReason::WrongClient;
            if self.noted.contains(&reason) {
                return Err(GrantError::Refused(reason));
            }
            return Ok(vec![RefusalNoted { reason, client_id: command.client_id }.into()]);
        }
        let now = command.now;
        if command.presence == Presence::Absent {
            return Err(GrantError::SubjectAbsent);
        }
        let policy = command.policy;
        let family_end = policy.absolute_lifetime.map(|lifetime| self.since + lifetime);
        if now >= family.expires_at || family_end.is_some_and(|end| now >= end) {
            return Err(GrantError::RefreshTokenExpired);
        }
        let granted = &self.authorization.scope;
        let scope = command.scope.as_ref().unwrap_or(granted);
        if !scope.is_within(granted) {
            return Err(GrantError::ScopeTooWide);
        }
        let with = Accompanying {
            id_token: scope.contains(Scope::OPENID),
            refresh_generation: family.generation.saturating_add(policy.rotate.into()),
            has_seed: self.seed.is_some(),
        };
        let mut tokens = command.plan.issue(now, scope, self.last_number.saturating_add(1), with);
        let Some(successor) = &mut tokens.refresh else {
            return Err(GrantError::RefreshTokenExpired);
        };
        let kept_end = (!policy.extend).then_some(family.expires_at);
        for end in family_end.into_iter().chain(kept_end) {
            successor.expires_at = successor.expires_at.min(end);
        }
        let tokens = Arc::new(tokens);
        if !policy.rotate {
            return Ok(vec![RefreshTokenUsed { tokens }.into()]);
        }
        let grace_until = now + policy.grace;
        Ok(vec![RefreshTokenRotated { tokens, grace_until }.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{GrantCommand, RefreshPolicy, RefreshTokenFacts};
    use super::*;
    use crate::time::Lifetime;

    const POLICY: RefreshPolicy = RefreshPolicy {
        rotate: true,
        extend: true,
        grace: Lifetime::from_seconds(GRACE),
        absolute_lifetime: None,
    };

    /// The use of this generation, as a fault-free client makes it.
    fn using(generation: u32, seconds: u32) -> UseRefreshToken {
        UseRefreshToken {
            client_id: client(),
            generation,
            genuine: true,
            scope: None,
            policy: POLICY,
            presence: Presence::NotAsked,
            plan: plan(),
            now: at(seconds),
        }
    }

    fn when(
        events: Vec<GrantEvent>,
        command: UseRefreshToken,
    ) -> Result<Vec<GrantEvent>, GrantError> {
        given(events).when(GrantCommand::Refresh(command)).inspect_result()
    }

    fn issued(events: Vec<GrantEvent>, command: UseRefreshToken) -> IssuedTokens {
        match when(events, command).unwrap().as_slice() {
            [GrantEvent::RefreshTokenRotated(event)] => (*event.tokens).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn reuse(client_id: crate::ids::ClientId, generation: u32, seconds: u32) -> Vec<GrantEvent> {
        vec![
            RefreshTokenReused { client_id, generation }.into(),
            revoked(RevocationCause::RefreshTokenReused, seconds),
        ]
    }

    /// Rotated once, 100 seconds after the beginning of its life.
    const ROTATED: u32 = REDEEMED + 100;

    fn until_rotated() -> Vec<GrantEvent> {
        [until_active(), vec![rotated(2, ROTATED)]].concat()
    }

    #[test]
    fn a_forged_token_changes_nothing_whatever_it_names() {
        for events in [vec![], until_code(), until_active(), until_rotated(), until_revoked()] {
            for generation in [0, 1, 2, 3, u32::MAX] {
                let forged = UseRefreshToken { genuine: false, ..using(generation, ROTATED) };
                assert_eq!(when(events.clone(), forged), Err(GrantError::Unknown));
            }
        }
    }

    #[test]
    fn a_generation_that_was_never_issued_is_unknown() {
        for generation in [0, 3, u32::MAX] {
            assert_eq!(when(until_rotated(), using(generation, ROTATED)), Err(GrantError::Unknown));
        }
    }

    #[test]
    fn a_grant_without_refresh_tokens_knows_none() {
        for events in [vec![], vec![pushed()], until_code(), until_declined()] {
            assert_eq!(when(events, using(1, 220)), Err(GrantError::Unknown));
        }
        assert_eq!(when(vec![issued_directly()], using(1, 220)), Err(GrantError::Unknown));
    }

    #[test]
    fn a_revoked_grant_refreshes_nothing() {
        assert_eq!(when(until_revoked(), using(1, 301)), Err(GrantError::Revoked));
    }

    #[test]
    fn a_refresh_token_ends_with_the_second_of_its_end() {
        let end = REDEEMED + REFRESH_LIFETIME;
        assert_eq!(when(until_active(), using(1, end)), Err(GrantError::RefreshTokenExpired));
        issued(until_active(), using(1, end - 1));
    }

    #[test]
    fn a_family_ends_however_often_it_is_rotated() {
        let within = |seconds| UseRefreshToken {
            policy: RefreshPolicy { absolute_lifetime: Some(for_seconds(150)), ..POLICY },
            ..using(2, seconds)
        };
        assert_eq!(
            when(until_rotated(), within(REDEEMED + 150)),
            Err(GrantError::RefreshTokenExpired)
        );
        let last = issued(until_rotated(), within(REDEEMED + 149));
        let expires_at = at(REDEEMED + 150);
        assert_eq!(last.refresh, Some(RefreshTokenFacts { generation: 3, expires_at }));
    }

    /// RFC 6749 §6
    #[test]
    fn the_scope_never_widens() {
        let wider = UseRefreshToken { scope: Some(scope("openid admin")), ..using(1, 220) };
        assert_eq!(when(until_active(), wider), Err(GrantError::ScopeTooWide));
    }

    /// RFC 6749 §6: the refresh token keeps the scope that was granted.
    #[test]
    fn a_narrower_scope_is_for_this_access_token_only() {
        let narrower = UseRefreshToken { scope: Some(scope("email")), ..using(1, ROTATED) };
        let tokens = issued(until_active(), narrower);
        assert_eq!(tokens.access.scope, scope("email"));
        assert_eq!(tokens.id, None);

        let rotation =
            RefreshTokenRotated { tokens: Arc::new(tokens), grace_until: at(ROTATED + GRACE) };
        let next = issued([until_active(), vec![rotation.into()]].concat(), using(2, 400));
        assert_eq!(next.access.scope, scope("openid email offline_access"));
    }

    #[test]
    fn a_client_that_lost_the_grant_type_gets_nothing() {
        let mut command = using(1, 220);
        command.plan.refresh_lifetime = None;
        assert_eq!(when(until_active(), command), Err(GrantError::RefreshTokenExpired));
    }

    /// RFC 6749 §6
    #[test]
    fn another_client_is_noted_once_and_the_token_stays_good() {
        let stolen = UseRefreshToken { client_id: other_client(), ..using(1, 220) };
        let note = noted(RefusalReason::WrongClient, other_client());
        assert_eq!(when(until_active(), stolen.clone()), Ok(vec![note.clone()]));

        let after = [until_active(), vec![note]].concat();
        let refused = Err(GrantError::Refused(RefusalReason::WrongClient));
        assert_eq!(when(after.clone(), stolen), refused);
        issued(after, using(1, 220));
    }

    /// RFC 9700 §4.14.2
    #[test]
    fn a_token_used_again_after_the_grace_period_revokes_the_grant() {
        let late = ROTATED + GRACE;
        let events = when(until_rotated(), using(1, late)).unwrap();
        assert_eq!(events, reuse(client(), 1, late));
        assert_eq!(events[0].refusal(), Some(GrantError::RefreshTokenReused));
    }

    #[test]
    fn the_grace_ends_when_the_successor_is_used() {
        let used = [until_rotated(), vec![rotated(3, ROTATED + 5)]].concat();
        assert_eq!(when(used, using(1, ROTATED + 6)), Ok(reuse(client(), 1, ROTATED + 6)));
    }

    #[test]
    fn the_grace_is_not_for_another_client() {
        let stolen = UseRefreshToken { client_id: other_client(), ..using(1, ROTATED + 1) };
        assert_eq!(when(until_rotated(), stolen), Ok(reuse(other_client(), 1, ROTATED + 1)));
    }

    #[test]
    fn without_a_grace_period_every_reuse_revokes() {
        let policy = RefreshPolicy { grace: Lifetime::default(), ..POLICY };
        let graceless = UseRefreshToken { policy, ..using(1, ROTATED) };
        let rotation = when(until_active(), graceless).unwrap();
        let events = [until_active(), rotation].concat();
        assert_eq!(when(events, using(1, ROTATED)), Ok(reuse(client(), 1, ROTATED)));
    }

    #[test]
    fn a_lost_answer_is_given_again_within_the_grace_period() {
        let last = ROTATED + GRACE - 1;
        given(until_rotated())
            .when(GrantCommand::Refresh(using(1, last)))
            .then_expect_events(vec![]);
        let Grant::Active(stage) = folded(until_rotated()) else { panic!() };
        assert_eq!(stage.repeated_answer(), Some(&Arc::new(tokens(2, ROTATED))));
    }

    #[test]
    fn the_first_answer_has_nothing_before_it_to_repeat() {
        let Grant::Active(stage) = folded(until_active()) else { panic!() };
        assert_eq!(stage.repeated_answer(), None);
    }

    #[test]
    fn a_refresh_token_is_replaced_by_its_use() {
        given(until_active())
            .when(GrantCommand::Refresh(using(1, ROTATED)))
            .then_expect_events(vec![rotated(2, ROTATED)]);
        given(until_rotated())
            .when(GrantCommand::Refresh(using(2, 400)))
            .then_expect_events(vec![rotated(3, 400)]);
    }

    /// The use of a token that is to be kept.
    fn keeping(generation: u32, seconds: u32) -> UseRefreshToken {
        let policy = RefreshPolicy { rotate: false, ..POLICY };
        UseRefreshToken { policy, ..using(generation, seconds) }
    }

    fn used(generation: u32, seconds: u32) -> GrantEvent {
        let mut tokens = tokens(2, seconds);
        let expires_at = at(seconds + REFRESH_LIFETIME);
        tokens.refresh = Some(RefreshTokenFacts { generation, expires_at });
        RefreshTokenUsed { tokens: Arc::new(tokens) }.into()
    }

    /// RFC 6749 §6: a new refresh token MAY be issued, or not.
    #[test]
    fn a_token_that_is_kept_stays_good() {
        given(until_active())
            .when(GrantCommand::Refresh(keeping(1, 300)))
            .then_expect_events(vec![used(1, 300)]);
        let once = [until_active(), vec![used(1, 300)]].concat();
        let again = when(once.clone(), keeping(1, 400)).unwrap();
        let facts = again[0].issued_tokens().unwrap().refresh.clone().unwrap();
        assert_eq!((facts.generation, facts.expires_at), (1, at(400 + REFRESH_LIFETIME)));
        // One that was never issued is still none.
        assert_eq!(when(once, keeping(2, 400)), Err(GrantError::Unknown));
    }

    /// RFC 9700 §4.14.2
    #[test]
    fn what_was_replaced_once_is_a_replay_though_others_are_kept() {
        let kept = [until_rotated(), vec![used(2, ROTATED + 5)]].concat();
        assert_eq!(when(kept, keeping(1, ROTATED + 6)), Ok(reuse(client(), 1, ROTATED + 6)));
    }

    #[test]
    fn an_end_that_is_not_moved_is_the_end() {
        let end = REDEEMED + REFRESH_LIFETIME;
        for rotate in [true, false] {
            let policy = RefreshPolicy { rotate, extend: false, ..POLICY };
            let command = UseRefreshToken { policy, ..using(1, end - 1) };
            let events = when(until_active(), command).unwrap();
            let facts = events[0].issued_tokens().unwrap().refresh.clone().unwrap();
            assert_eq!(facts.expires_at, at(end));
            let events = [until_active(), events].concat();
            let late = UseRefreshToken { policy, ..using(facts.generation, end) };
            assert_eq!(when(events, late), Err(GrantError::RefreshTokenExpired));
        }
    }

    #[test]
    fn nothing_is_refreshed_for_a_person_who_is_not_there() {
        let absent = |command| UseRefreshToken { presence: Presence::Absent, ..command };
        let refused = Err(GrantError::SubjectAbsent);
        assert_eq!(when(until_active(), absent(using(1, 220))), refused);
        assert_eq!(when(until_active(), absent(keeping(1, 220))), refused);
        // Nor is a lost answer given again; but a replay is one.
        assert_eq!(when(until_rotated(), absent(using(1, ROTATED + 1))), refused);
        let late = ROTATED + GRACE;
        assert_eq!(when(until_rotated(), absent(using(1, late))), Ok(reuse(client(), 1, late)));
        let present = UseRefreshToken { presence: Presence::Present, ..using(1, 220) };
        issued(until_active(), present);
    }

    #[test]
    fn a_new_handle_key_does_not_change_what_a_family_is_derived_from() {
        let mut command = using(1, ROTATED);
        command.plan.seed = seed(9);
        assert_eq!(issued(until_active(), command).seed, None);
        let Grant::Active(stage) = folded(until_rotated()) else { panic!() };
        assert_eq!(stage.seed, Some(seed(1)));
    }
}
