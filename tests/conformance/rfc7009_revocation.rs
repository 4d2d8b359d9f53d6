//! Token revocation (RFC 7009).

use chancery_domain::client::{AccessTokenFormat, ClientMetadata};

use crate::support::{Scene, StoreKind, Tokens, confidential, public};

both_stores! {
    a_revoked_access_token_ends_alone,
    a_revoked_refresh_token_ends_its_grant,
    an_opaque_access_token_is_revoked,
    a_public_client_revokes_its_own,
    an_unknown_token_is_revoked_already,
    a_client_can_not_revoke_another_s,
    a_token_must_be_there_once,
}

/// RFC 7009 §2.1
async fn a_revoked_access_token_ends_alone(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let answer = scene.rp.revoke(&first.access).await;
    assert_eq!((answer.status, &*answer.body), (200, ""));
    answer.is_not_kept();
    assert!(!scene.rp.is_alive(&first.access).await);
    assert_eq!(scene.rp.userinfo(&first.access).await.status, 401);
    assert!(scene.rp.is_alive(&second.access).await);
    let third = Tokens::of(&scene.rp.refresh(second.refresh()).await.ok());
    assert!(scene.rp.is_alive(&third.access).await);
    assert!(!scene.rp.is_alive(&first.access).await);
}

/// RFC 7009 §2.1
async fn a_revoked_refresh_token_ends_its_grant(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let hint = [("token", tokens.refresh()), ("token_type_hint", "access_token")];
    assert_eq!(scene.rp.post("/revoke", &hint).await.status, 200);
    assert!(!scene.rp.is_alive(&tokens.access).await);
    assert!(!scene.rp.is_alive(tokens.refresh()).await);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    let events = scene.server.only_grant().await;
    assert_eq!(events.last().map(String::as_str), Some("GrantRevoked"));
    assert_eq!(scene.rp.revoke(tokens.refresh()).await.status, 200);
    assert_eq!(scene.server.only_grant().await, events);
}

async fn an_opaque_access_token_is_revoked(store: StoreKind) {
    let metadata =
        ClientMetadata { access_token_format: Some(AccessTokenFormat::Opaque), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let tokens = scene.lasting_tokens().await;
    assert!(scene.rp.is_alive(&tokens.access).await);
    assert_eq!(scene.rp.revoke(&tokens.access).await.status, 200);
    assert!(!scene.rp.is_alive(&tokens.access).await);
    scene.rp.refresh(tokens.refresh()).await.ok();
}

/// RFC 7009 §2.1: a public client names itself.
async fn a_public_client_revokes_its_own(store: StoreKind) {
    let mut scene = Scene::with(store, "", public()).await;
    let tokens = scene.lasting_tokens().await;
    assert_eq!(scene.rp.revoke(tokens.refresh()).await.status, 200);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
}

/// RFC 7009 §2.2
async fn an_unknown_token_is_revoked_already(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let before = scene.server.log().await;
    let cut = tokens.refresh()[..tokens.refresh().len() - 4].to_owned();
    for unknown in ["x", "a.b.c", &format!("{cut}AAAA"), tokens.id()] {
        assert_eq!(scene.rp.revoke(unknown).await.status, 200, "{unknown}");
    }
    assert_eq!(scene.server.log().await, before);
    assert!(scene.rp.is_alive(&tokens.access).await);
}

/// RFC 7009 §2.1
async fn a_client_can_not_revoke_another_s(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let other = scene.server.register("other", confidential()).await;
    let tokens = scene.lasting_tokens().await;
    other.revoke(&tokens.access).await.invalid_grant();
    other.revoke(tokens.refresh()).await.invalid_grant();
    assert!(scene.rp.is_alive(&tokens.access).await);
    assert!(scene.rp.is_alive(tokens.refresh()).await);
}

/// RFC 7009 §2.1
async fn a_token_must_be_there_once(store: StoreKind) {
    let scene = Scene::new(store).await;
    scene.rp.post("/revoke", &[]).await.refused(400, "invalid_request");
    let twice = [("token", "a"), ("token", "b")];
    scene.rp.post("/revoke", &twice).await.refused(400, "invalid_request");
    scene.rp.post("/introspect", &twice).await.refused(400, "invalid_request");
    scene.rp.post("/introspect", &[]).await.refused(400, "invalid_request");
}
