//! Authentication context classes: OpenID Connect Core §2, §5.5.1.1, and OpenID
//! Connect Core Error Code `unmet_authentication_requirements`.

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use serde_json::{Value, json};

use crate::support::{
    Browser, Scene, StoreKind, Tokens, claims, confidential, good_request_but, verified,
};

both_stores! {
    the_class_that_is_preferred_is_told,
    the_strongest_class_is_told_where_none_is_asked_for,
    an_essential_class_that_is_met_is_told,
    an_essential_class_that_is_not_met_fails,
    a_client_s_least_is_kept,
    a_client_asks_for_no_class_that_is_not_its_own,
    a_default_class_is_told,
    tokens_say_how_the_person_logged_in,
    the_metadata_name_the_classes,
}

const SETTINGS: &str = "[login]\nacr_values = [\"low\", \"middle\", \"high\"]";

async fn scene(store: StoreKind, metadata: ClientMetadata) -> Scene {
    Scene::with(store, SETTINGS, metadata).await
}

fn essential(values: &[&str]) -> String {
    json!({ "id_token": { "acr": { "essential": true, "values": values } } }).to_string()
}

/// The `acr` of an ID token.
async fn acr(scene: &mut Scene, changes: &[(&str, &str)]) -> Value {
    let tokens = scene.tokens(changes).await;
    claims(tokens.id())["acr"].clone()
}

/// The error that both a plain and a pushed request end with.
async fn error(scene: &mut Scene, changes: &[(&str, &str)]) -> String {
    let request = good_request_but(changes);
    let plain = scene.browser.open(&scene.rp.authorize_url(&request)).await.returned();
    let pushed = scene.browser.open(&scene.rp.pushed_url(&request).await).await.returned();
    assert_eq!(plain.error(), pushed.error());
    plain.error().to_owned()
}

/// OpenID Connect Core §3.1.2.1, `acr_values`
async fn the_class_that_is_preferred_is_told(store: StoreKind) {
    let mut scene = scene(store, confidential()).await;
    assert_eq!(acr(&mut scene, &[("acr_values", "middle low")]).await, "middle");
    // The same session is as good for another class.
    assert_eq!(acr(&mut scene, &[("acr_values", "low")]).await, "low");
    assert_eq!(acr(&mut scene, &[("acr_values", "gold low")]).await, "low");
    let voluntary = json!({ "id_token": { "acr": { "values": ["gold", "middle"] } } }).to_string();
    assert_eq!(acr(&mut scene, &[("claims", &voluntary)]).await, "middle");
}

/// OpenID Connect Core §5.5.1.1: a voluntary class that is not met is no error.
async fn the_strongest_class_is_told_where_none_is_asked_for(store: StoreKind) {
    let mut scene = scene(store, confidential()).await;
    assert_eq!(acr(&mut scene, &[]).await, "high");
    assert_eq!(acr(&mut scene, &[("acr_values", "gold")]).await, "high");
}

/// OpenID Connect Core §5.5.1.1
async fn an_essential_class_that_is_met_is_told(store: StoreKind) {
    let mut scene = scene(store, confidential()).await;
    let asked = essential(&["gold", "low"]);
    assert_eq!(acr(&mut scene, &[("claims", &asked), ("acr_values", "high")]).await, "low");
    let any = json!({ "id_token": { "acr": { "essential": true } } }).to_string();
    assert_eq!(acr(&mut scene, &[("claims", &any)]).await, "high");
}

/// OpenID Connect Core §5.5.1.1: failed, never pretended.
async fn an_essential_class_that_is_not_met_fails(store: StoreKind) {
    let mut scene = scene(store, confidential()).await;
    let asked = essential(&["gold"]);
    let changes = [("claims", &*asked), ("state", "s1")];
    // Whether anybody is logged in or not, and without a page.
    for _ in 0..2 {
        let unmet = error(&mut scene, &changes).await;
        assert_eq!(unmet, "unmet_authentication_requirements");
        let silent = [&changes[..], &[("prompt", "none")]].concat();
        assert_eq!(error(&mut scene, &silent).await, "unmet_authentication_requirements");
        scene.tokens(&[]).await;
    }
    let url = scene.rp.authorize_url(&good_request_but(&changes));
    assert_eq!(scene.browser.open(&url).await.returned().get("state"), Some("s1"));
}

async fn a_client_s_least_is_kept(store: StoreKind) {
    let least =
        |name: &str| ClientMetadata { minimum_acr: Some(name.to_owned()), ..confidential() };
    let mut scene = scene(store, least("middle")).await;
    assert_eq!(acr(&mut scene, &[("acr_values", "low")]).await, "high");
    assert_eq!(acr(&mut scene, &[("acr_values", "low middle")]).await, "middle");
    let unmet = "unmet_authentication_requirements";
    assert_eq!(error(&mut scene, &[("claims", &essential(&["low"]))]).await, unmet);
    scene.rp = scene.server.register("strict", least("gold")).await;
    assert_eq!(error(&mut scene, &[]).await, unmet);
}

async fn a_client_asks_for_no_class_that_is_not_its_own(store: StoreKind) {
    let metadata =
        ClientMetadata { authorized_acr_values: vec!["low".to_owned()], ..confidential() };
    let mut scene = scene(store, metadata).await;
    assert_eq!(acr(&mut scene, &[("acr_values", "middle low")]).await, "low");
    let unmet = "unmet_authentication_requirements";
    assert_eq!(error(&mut scene, &[("claims", &essential(&["middle"]))]).await, unmet);
}

/// OpenID Connect Registration §2, `default_acr_values`
async fn a_default_class_is_told(store: StoreKind) {
    let metadata = ClientMetadata { default_acr_values: vec!["low".to_owned()], ..confidential() };
    let mut scene = scene(store, metadata).await;
    assert_eq!(acr(&mut scene, &[]).await, "low");
    assert_eq!(acr(&mut scene, &[("acr_values", "middle")]).await, "middle");
}

/// OpenID Connect Core §2, RFC 8176, RFC 9068 §2.2.1
async fn tokens_say_how_the_person_logged_in(store: StoreKind) {
    let mut scene = scene(store, confidential()).await;
    let scope = Scope::parse("openid offline_access read").unwrap();
    let changes = [("scope", scope.as_str()), ("acr_values", "low")];
    let tokens = scene.tokens(&changes).await;
    let refreshed = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    for token in [tokens.id(), &tokens.access, refreshed.id(), &refreshed.access] {
        let told = verified(&scene.rp, token).await;
        assert_eq!((&told["acr"], &told["amr"]), (&json!("low"), &json!(["pwd"])), "{told}");
    }
    // Another browser, another grant: each says its own.
    scene.browser = Browser::new(&scene.server);
    assert_eq!(acr(&mut scene, &[]).await, "high");
}

/// OpenID Connect Discovery §3
async fn the_metadata_name_the_classes(store: StoreKind) {
    let scene = scene(store, confidential()).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["acr_values_supported"], json!(["low", "middle", "high"]));
}
