//! Token introspection (RFC 7662).

use chancery_domain::client::{AccessTokenFormat, ClientMetadata};
use serde_json::json;

use crate::support::{Scene, StoreKind, confidential, service};

both_stores! {
    a_live_token_is_explained,
    a_token_without_a_person_is_explained,
    a_refresh_token_is_explained_to_its_client,
    a_dead_token_is_only_inactive,
    a_client_learns_nothing_of_another_s_tokens,
    a_resource_server_learns_of_all,
    reading_writes_nothing,
}

fn resource_server() -> ClientMetadata {
    ClientMetadata { introspect_any_token: true, ..service() }
}

/// RFC 7662 §2.2
async fn a_live_token_is_explained(store: StoreKind) {
    for format in [AccessTokenFormat::Jwt, AccessTokenFormat::Opaque] {
        let metadata = ClientMetadata { access_token_format: Some(format), ..confidential() };
        let mut scene = Scene::with(store, "", metadata).await;
        let tokens = scene.tokens(&[]).await;
        let told = scene.rp.introspect(&tokens.access).await.ok();
        let now = crate::support::BEGINNING.seconds();
        for (name, value) in [
            ("active", json!(true)),
            ("token_type", json!("Bearer")),
            ("scope", json!("openid read")),
            ("client_id", json!("rp")),
            ("sub", json!(scene.ada.to_string())),
            ("iss", json!(scene.server.issuer)),
            ("aud", json!(scene.server.issuer)),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("auth_time", json!(now)),
        ] {
            assert_eq!(told[name], value, "{name} of {format}");
        }
        assert!(told.get("username").is_none(), "nothing personal");
    }
}

async fn a_token_without_a_person_is_explained(store: StoreKind) {
    let scene = Scene::new(store).await;
    let client = scene.server.register("svc", service()).await;
    let tokens = client.client_credentials(&[]).await.ok();
    let told = client.introspect(tokens["access_token"].as_str().unwrap()).await.ok();
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("svc")));
    assert!(told.get("auth_time").is_none());
}

/// RFC 7662 §2.1: the endpoint may know refresh tokens too.
async fn a_refresh_token_is_explained_to_its_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let told = scene.rp.introspect(tokens.refresh()).await.ok();
    assert_eq!(told["active"], true);
    assert_eq!(told["exp"], crate::support::BEGINNING.seconds() + 14_400);
    assert!(told.get("token_type").is_none(), "it is no access token");
}

/// RFC 7662 §2.2
async fn a_dead_token_is_only_inactive(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let inactive = json!({ "active": false });
    let (head, tail) = tokens.access.split_at(tokens.access.len() - 8);
    let forged = format!("{head}{}", if tail == "AAAAAAAA" { "BBBBBBBB" } else { "AAAAAAAA" });
    for dead in ["x", "a.b.c", &forged, tokens.id()] {
        assert_eq!(scene.rp.introspect(dead).await.ok(), inactive);
    }
    scene.server.advance(299);
    assert!(scene.rp.is_alive(&tokens.access).await);
    scene.server.advance(1);
    assert_eq!(scene.rp.introspect(&tokens.access).await.ok(), inactive);
}

/// RFC 7662 §4
async fn a_client_learns_nothing_of_another_s_tokens(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let other = scene.server.register("other", confidential()).await;
    let tokens = scene.lasting_tokens().await;
    for token in [&*tokens.access, tokens.refresh()] {
        assert_eq!(other.introspect(token).await.ok(), json!({ "active": false }));
        assert!(scene.rp.is_alive(token).await);
    }
}

/// RFC 7662 §4
async fn a_resource_server_learns_of_all(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let api = scene.server.register("api", resource_server()).await;
    let tokens = scene.tokens(&[]).await;
    let told = api.introspect(&tokens.access).await.ok();
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("rp")));
}

async fn reading_writes_nothing(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let before = scene.server.log().await;
    for _ in 0..3 {
        assert!(scene.rp.is_alive(&tokens.access).await);
        assert!(scene.rp.is_alive(tokens.refresh()).await);
        scene.rp.userinfo(&tokens.access).await.ok();
        scene.rp.userinfo("x").await;
    }
    assert_eq!(scene.server.log().await, before);
}
