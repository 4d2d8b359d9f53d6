//! Refresh tokens: rotation, reuse, the grace period (RFC 6749 §6, RFC 9700
//! §4.14).

use chancery_domain::client::{ClientCommand, ClientMetadata};
use chancery_domain::protocol::grant_type::GrantType;

use crate::support::{Scene, StoreKind, Tokens, claims, confidential, public};

both_stores! {
    offline_access_brings_a_refresh_token,
    a_client_without_the_grant_gets_no_refresh_token,
    a_refresh_token_is_replaced_by_its_use,
    a_lost_answer_is_given_again_within_the_grace_period,
    the_grace_ends_when_the_successor_is_used,
    the_grace_ends_with_its_time,
    the_grace_is_not_for_another_client,
    another_client_s_refresh_token_is_refused,
    a_forged_refresh_token_changes_nothing,
    the_scope_narrows_and_never_widens,
    a_refresh_token_ends_when_it_is_not_used,
    a_family_ends_where_the_server_says_so,
    a_client_that_lost_the_grant_type_is_refused,
    each_answer_has_a_new_access_token_of_the_same_grant,
    a_refresh_token_may_be_kept,
    a_kept_refresh_token_is_no_other_client_s,
    a_client_may_be_registered_for_rotation_or_not,
    a_public_client_s_refresh_token_is_always_replaced,
    the_first_end_may_be_the_end,
    how_long_a_refresh_token_is_good_may_be_said,
    nothing_is_refreshed_without_the_session_where_the_server_says_so,
}

/// OpenID Connect Core §11
async fn offline_access_brings_a_refresh_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(scene.tokens(&[]).await.refresh, None);
    let tokens = scene.tokens(&[("scope", "openid offline_access")]).await;
    assert_eq!(tokens.scope, "openid offline_access");
    scene.rp.refresh(tokens.refresh()).await.ok();
    // Consent was given already: no need of prompt=consent.
    assert!(scene.tokens(&[("scope", "openid offline_access")]).await.refresh.is_some());
    // Plain OAuth knows no offline_access.
    assert!(scene.tokens(&[("scope", "read")]).await.refresh.is_some());
}

/// RFC 6749 §1.5, OpenID Connect Core §11
async fn a_client_without_the_grant_gets_no_refresh_token(store: StoreKind) {
    let grant_types = vec![GrantType::AuthorizationCode];
    let mut scene = Scene::with(store, "", ClientMetadata { grant_types, ..confidential() }).await;
    let tokens = scene.lasting_tokens().await;
    assert_eq!(tokens.refresh, None);
    assert_eq!(tokens.scope, "openid email read");
}

/// RFC 9700 §4.14.2
async fn a_refresh_token_is_replaced_by_its_use(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    let answer = scene.rp.refresh(first.refresh()).await;
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let second = Tokens::of(&answer.ok());
    assert_ne!(first.refresh(), second.refresh());
    assert_eq!(second.scope, first.scope);
    let third = Tokens::of(&scene.rp.refresh(second.refresh()).await.ok());
    assert_ne!(second.refresh(), third.refresh());
    // Used tokens, the grace being over: everything ends.
    scene.rp.refresh(first.refresh()).await.invalid_grant();
    for token in [&first.access, &second.access, &third.access] {
        assert!(!scene.rp.is_alive(token).await);
    }
    scene.rp.refresh(third.refresh()).await.invalid_grant();
    let events = scene.server.only_grant().await;
    assert_eq!(events[events.len() - 2..], ["RefreshTokenReused", "GrantRevoked"]);
}

/// RFC 9700 §4.14.2, conformance suites' "retry"
async fn a_lost_answer_is_given_again_within_the_grace_period(store: StoreKind) {
    for metadata in [confidential(), public()] {
        let mut scene = Scene::with(store, "", metadata).await;
        let first = scene.lasting_tokens().await;
        let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
        let before = scene.server.only_grant().await;
        scene.server.advance(29);
        let again = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
        assert_eq!(again.refresh(), second.refresh());
        assert_eq!(claims(&again.access)["jti"], claims(&second.access)["jti"]);
        assert_eq!(scene.server.only_grant().await, before, "repeating writes nothing");
        scene.rp.userinfo(&again.access).await.ok();
        scene.rp.refresh(again.refresh()).await.ok();
    }
}

/// RFC 9700 §4.14.2
async fn the_grace_ends_when_the_successor_is_used(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let third = Tokens::of(&scene.rp.refresh(second.refresh()).await.ok());
    scene.rp.refresh(first.refresh()).await.invalid_grant();
    assert!(!scene.rp.is_alive(&third.access).await);
    scene.rp.refresh(third.refresh()).await.invalid_grant();
}

/// RFC 9700 §4.14.2
async fn the_grace_ends_with_its_time(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    scene.server.advance(30);
    scene.rp.refresh(first.refresh()).await.invalid_grant();
    scene.rp.refresh(second.refresh()).await.invalid_grant();
    assert!(!scene.rp.is_alive(&second.access).await);
}

async fn the_grace_is_not_for_another_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let thief = scene.server.register("thief", confidential()).await;
    let first = scene.lasting_tokens().await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    thief.refresh(first.refresh()).await.invalid_grant();
    scene.rp.refresh(second.refresh()).await.invalid_grant();
}

/// RFC 6749 §6, §10.4
async fn another_client_s_refresh_token_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let thief = scene.server.register("thief", confidential()).await;
    let tokens = scene.lasting_tokens().await;
    thief.refresh(tokens.refresh()).await.invalid_grant();
    scene.rp.refresh(tokens.refresh()).await.ok();
}

async fn a_forged_refresh_token_changes_nothing(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let before = scene.server.log().await;
    let own = tokens.refresh().to_owned();
    let mut middle = own.clone();
    let at = own.len() / 2;
    let other = if &own[at..=at] == "A" { "B" } else { "A" };
    middle.replace_range(at..=at, other);
    for forged in [&middle, &own[1..], &own[..own.len() - 1], &format!("{own}AA"), "x"] {
        scene.rp.refresh(forged).await.invalid_grant();
    }
    scene.rp.refresh("").await.refused(400, "invalid_request");
    assert_eq!(scene.server.log().await, before);
    scene.rp.refresh(&own).await.ok();
}

/// RFC 6749 §6
async fn the_scope_narrows_and_never_widens(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    for wider in ["openid email write", "admin", "a\"b"] {
        let answer = scene.rp.refresh_for(tokens.refresh(), &[("scope", wider)]).await;
        answer.refused(400, "invalid_scope");
    }
    let narrow = scene.rp.refresh_for(tokens.refresh(), &[("scope", "read")]).await;
    let narrow = Tokens::of(&narrow.ok());
    assert_eq!(narrow.scope, "read");
    assert_eq!(narrow.id, None);
    assert_eq!(claims(&narrow.access)["scope"], "read");
    // The refresh token keeps the scope that was granted.
    let whole = Tokens::of(&scene.rp.refresh(narrow.refresh()).await.ok());
    assert_eq!(whole.scope, tokens.scope);
}

async fn a_refresh_token_ends_when_it_is_not_used(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.advance(14_399);
    let next = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    scene.server.advance(14_400);
    assert!(!scene.rp.is_alive(next.refresh()).await);
    scene.rp.refresh(next.refresh()).await.invalid_grant();
}

async fn a_family_ends_where_the_server_says_so(store: StoreKind) {
    let settings = "[tokens]\nrefresh_token_lifetime = 100\nrefresh_token_absolute_lifetime = 150";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.advance(99);
    let next = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    scene.server.advance(50);
    let last = Tokens::of(&scene.rp.refresh(next.refresh()).await.ok());
    scene.server.advance(1);
    scene.rp.refresh(last.refresh()).await.invalid_grant();
}

/// RFC 6749 §5.2
async fn a_client_that_lost_the_grant_type_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let grant_types = vec![GrantType::AuthorizationCode];
    let less = ClientMetadata { grant_types, ..confidential() };
    scene.server.command_client("rp", ClientCommand::ReplaceMetadata(less.into())).await;
    scene.rp.refresh(tokens.refresh()).await.refused(400, "unauthorized_client");
}

/// RFC 9068 §2.2: a `jti` for each.
async fn each_answer_has_a_new_access_token_of_the_same_grant(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    scene.server.advance(10);
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let (old, new) = (claims(&first.access), claims(&second.access));
    assert_ne!(old["jti"], new["jti"]);
    assert_eq!(old["sub"], new["sub"]);
    assert_eq!(old["auth_time"], new["auth_time"]);
    assert_eq!(new["iat"].as_i64().unwrap() - old["iat"].as_i64().unwrap(), 10);
    // The one before stays good until its own end.
    assert!(scene.rp.is_alive(&first.access).await);
    assert_eq!(scene.server.grants().await.len(), 1);
}

const KEPT: &str = "[tokens]\nrefresh_token_rotation = false\n";

/// RFC 6749 §6: the server MAY issue a new refresh token.
async fn a_refresh_token_may_be_kept(store: StoreKind) {
    let mut scene = Scene::with(store, KEPT, confidential()).await;
    let first = scene.lasting_tokens().await;
    // Each use begins its lifetime anew.
    for _ in 0..3 {
        scene.server.advance(14_000);
        let next = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
        assert_eq!(next.refresh(), first.refresh());
        assert_ne!(next.access, first.access);
        assert!(scene.rp.is_alive(&next.access).await);
    }
    let events = scene.server.only_grant().await;
    assert_eq!(events[events.len() - 3..], ["RefreshTokenUsed"; 3]);
    scene.server.advance(14_400);
    scene.rp.refresh(first.refresh()).await.invalid_grant();
}

/// RFC 6749 §6
async fn a_kept_refresh_token_is_no_other_client_s(store: StoreKind) {
    let mut scene = Scene::with(store, KEPT, confidential()).await;
    let tokens = scene.lasting_tokens().await;
    let thief = scene.server.register("thief", confidential()).await;
    thief.refresh(tokens.refresh()).await.invalid_grant();
    scene.rp.refresh(tokens.refresh()).await.ok();
    scene.rp.revoke(tokens.refresh()).await;
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
}

async fn a_client_may_be_registered_for_rotation_or_not(store: StoreKind) {
    for (settings, own, kept) in [("", Some(false), true), (KEPT, Some(true), false)] {
        let metadata = ClientMetadata { refresh_token_rotation: own, ..confidential() };
        let mut scene = Scene::with(store, settings, metadata).await;
        let first = scene.lasting_tokens().await;
        let next = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
        assert_eq!(next.refresh() == first.refresh(), kept, "{settings}");
    }
}

/// RFC 9700 §2.2.2
async fn a_public_client_s_refresh_token_is_always_replaced(store: StoreKind) {
    let metadata = ClientMetadata { refresh_token_rotation: Some(false), ..public() };
    let mut scene = Scene::with(store, KEPT, metadata).await;
    let first = scene.lasting_tokens().await;
    let next = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    assert_ne!(next.refresh(), first.refresh());
}

async fn the_first_end_may_be_the_end(store: StoreKind) {
    let settings = "[tokens]\nrefresh_token_extension = false\nrefresh_token_expires_in = true";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let first = scene.lasting_tokens().await;
    scene.server.advance(14_000);
    let answer = scene.rp.refresh(first.refresh()).await.ok();
    assert_eq!(answer["refresh_token_expires_in"], 400);
    scene.server.advance(399);
    let last = Tokens::of(&scene.rp.refresh(Tokens::of(&answer).refresh()).await.ok());
    scene.server.advance(1);
    scene.rp.refresh(last.refresh()).await.invalid_grant();
}

async fn how_long_a_refresh_token_is_good_may_be_said(store: StoreKind) {
    for (settings, said) in [("", None), ("[tokens]\nrefresh_token_expires_in = true", Some(600))] {
        let refresh_token_lifetime = Some(chancery_domain::time::Lifetime::from_seconds(600));
        let metadata = ClientMetadata { refresh_token_lifetime, ..confidential() };
        let mut scene = Scene::with(store, settings, metadata).await;
        let code = scene.code(&[("scope", "openid offline_access")]).await;
        let answer = scene.rp.redeem(&code).await.ok();
        let member = answer.get("refresh_token_expires_in");
        assert_eq!(member.map(|seconds| seconds.as_u64().unwrap()), said);
        // Where there is no refresh token, there is nothing to be said of it.
        let code = scene.code(&[("scope", "openid")]).await;
        assert!(scene.rp.redeem(&code).await.ok().get("refresh_token_expires_in").is_none());
    }
}

async fn nothing_is_refreshed_without_the_session_where_the_server_says_so(store: StoreKind) {
    let settings = "[tokens]\nrefresh_needs_session = true\n[sessions]\nlifetime = 600";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let first = scene.lasting_tokens().await;
    scene.server.advance(500);
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    scene.server.advance(100);
    scene.rp.refresh(second.refresh()).await.invalid_grant();
    // It is no replay: nothing was revoked for it.
    assert!(scene.rp.is_alive(&second.access).await);
    // By default the grant outlives the session.
    let mut scene = Scene::with(store, "[sessions]\nlifetime = 600", confidential()).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.advance(601);
    scene.rp.refresh(tokens.refresh()).await.ok();
}
