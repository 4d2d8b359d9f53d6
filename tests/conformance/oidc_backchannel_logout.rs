//! OpenID Connect Back-Channel Logout 1.0.

use std::time::Duration;

use chancery::jose::jwe::DecryptionKey;
use chancery_domain::account::AccountCommand;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde_json::{Value, json};

use crate::support::{
    Listener, RelyingParty, Scene, StoreKind, Tokens, claims, confidential, decrypted,
    good_request_but, header, jwks_of, until, verified,
};

both_stores! {
    a_logout_is_told_with_a_logout_token,
    a_logout_token_is_signed_as_the_clients_id_tokens,
    a_logout_token_is_encrypted_as_the_clients_id_tokens,
    only_clients_of_the_session_are_told,
    the_end_of_a_session_by_others_is_told_too,
    what_was_not_delivered_is_tried_again,
    what_can_not_be_delivered_is_given_up,
    a_slow_client_holds_nobody_up,
    what_is_owed_outlives_a_restart,
    two_nodes_tell_once,
    refresh_tokens_end_but_for_offline_access,
    an_operator_may_have_offline_access_end_too,
    the_metadata_says_so,
}

/// The relying parties of the tests listen on loopback.
const SETTINGS: &str = "[outbound]\nallow_loopback = true\nallow_http = true\n";

fn told_at(listener: &Listener) -> ClientMetadata {
    ClientMetadata {
        backchannel_logout_uri: Some(listener.url.clone()),
        backchannel_logout_session_required: true,
        ..confidential()
    }
}

async fn scene(store: StoreKind) -> (Scene, Listener) {
    let listener = Listener::start().await;
    let scene = Scene::with(store, SETTINGS, told_at(&listener)).await;
    (scene, listener)
}

async fn log_out(scene: &mut Scene) {
    let logout = format!("{}/logout", scene.server.issuer);
    let page = scene.browser.open(&logout).await.shows("logout-form");
    let fields = [("action", "logout")];
    scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
}

/// The same session, at another client.
async fn tokens_of(scene: &mut Scene, rp: &RelyingParty) -> Tokens {
    let url = rp.authorize_url(&good_request_but(&[]));
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    Tokens::of(&rp.redeem(&code).await.ok())
}

/// What the log says of this kind.
async fn events(scene: &Scene, name: &str) -> Vec<Value> {
    let log = scene.server.log().await;
    let of_name = log.iter().filter(|stored| stored.event.event_type == name);
    of_name.map(|stored| serde_json::from_str(&stored.event.payload).unwrap()).collect()
}

async fn happens(scene: &Scene, name: &str, count: usize) -> Vec<Value> {
    until(name, || async { events(scene, name).await.len() >= count }).await;
    events(scene, name).await
}

/// §2.4, §2.5
async fn a_logout_is_told_with_a_logout_token(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    let id_token = claims(scene.tokens(&[("nonce", "n-1")]).await.id());
    log_out(&mut scene).await;
    listener.has(1).await;
    let head = listener.heads()[0].to_lowercase();
    assert!(head.starts_with("post /backchannel http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    let token = listener.logout_tokens().remove(0);
    assert_eq!(header(&token)["typ"], "logout+jwt");
    let told = verified(&scene.rp, &token).await;
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(told["events"], json!({ event: {} }));
    assert_eq!(told["iss"], scene.server.issuer);
    assert_eq!(told["aud"], "rp");
    assert_eq!(told["sub"], id_token["sub"]);
    assert_eq!(told["sid"], id_token["sid"]);
    assert!(told["jti"].as_str().unwrap().len() >= 32);
    let (issued, expires) = (told["iat"].as_i64().unwrap(), told["exp"].as_i64().unwrap());
    assert!(issued < expires && expires <= issued + 120, "{told}");
    assert!(told.get("nonce").is_none(), "{told}");
    let delivered = happens(&scene, "BackchannelLogoutDelivered", 1).await;
    assert_eq!(delivered[0]["client_id"], "rp");
    assert_eq!(delivered[0]["attempt"], 1);
    // Told once, and done.
    scene.server.advance(7200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(listener.bodies().len(), 1);
}

/// §2.4: the algorithm that the client registered for ID tokens.
async fn a_logout_token_is_signed_as_the_clients_id_tokens(store: StoreKind) {
    let listener = Listener::start().await;
    let metadata = ClientMetadata {
        id_token_signed_response_alg: Some("EdDSA".parse().unwrap()),
        ..told_at(&listener)
    };
    let settings = format!("{SETTINGS}[keys]\nextra_algorithms = [\"EdDSA\"]\n");
    let mut scene = Scene::with(store, &settings, metadata).await;
    let id_token = scene.tokens(&[]).await;
    assert_eq!(header(id_token.id())["alg"], "EdDSA");
    log_out(&mut scene).await;
    listener.has(1).await;
    let token = listener.logout_tokens().remove(0);
    assert_eq!(header(&token)["alg"], "EdDSA");
    verified(&scene.rp, &token).await;
}

/// §2.4: encrypted where ID tokens are.
async fn a_logout_token_is_encrypted_as_the_clients_id_tokens(store: StoreKind) {
    let listener = Listener::start().await;
    let alg = KeyManagementAlgorithm::EcdhEs;
    let key = DecryptionKey::generate(alg).unwrap();
    let metadata = ClientMetadata {
        jwks: Some(jwks_of(&key)),
        id_token_encrypted_response_alg: Some(alg),
        ..told_at(&listener)
    };
    let mut scene = Scene::with(store, SETTINGS, metadata).await;
    scene.tokens(&[]).await;
    log_out(&mut scene).await;
    listener.has(1).await;
    let token = listener.logout_tokens().remove(0);
    let (cty, inner) = decrypted(&key, &token, alg, ContentEncryption::A128CbcHs256);
    assert_eq!(cty.as_deref(), Some("JWT"));
    assert_eq!(header(&inner)["typ"], "logout+jwt");
    assert_eq!(verified(&scene.rp, &inner).await["aud"], "rp");
}

async fn only_clients_of_the_session_are_told(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    let (second, stranger) = (Listener::start().await, Listener::start().await);
    let other = scene.server.register("other", told_at(&second)).await;
    scene.server.register("stranger", told_at(&stranger)).await;
    scene.server.register("deaf", confidential()).await;
    scene.tokens(&[]).await;
    tokens_of(&mut scene, &other).await;
    log_out(&mut scene).await;
    listener.has(1).await;
    second.has(1).await;
    let [told] = &happens(&scene, "BackchannelLogoutRequested", 1).await[..] else { panic!() };
    assert_eq!(told["clients"], json!(["other", "rp"]));
    let tokens = [&listener, &second].map(|one| claims(&one.logout_tokens()[0]));
    assert_ne!(tokens[0]["jti"], tokens[1]["jti"]);
    assert_eq!([&tokens[0]["aud"], &tokens[1]["aud"]], ["rp", "other"]);
    assert!(stranger.bodies().is_empty());
}

async fn the_end_of_a_session_by_others_is_told_too(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    scene.tokens(&[]).await;
    let lock = AccountCommand::Lock { reason: "left".to_owned() };
    scene.server.command_account(scene.ada, lock).await;
    listener.has(1).await;
}

/// §2.5: delivery may fail.
async fn what_was_not_delivered_is_tried_again(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    scene.tokens(&[]).await;
    listener.answer(503);
    log_out(&mut scene).await;
    let failed = happens(&scene, "BackchannelLogoutFailed", 1).await;
    assert_eq!(failed[0]["reason"], "refused");
    assert_eq!(failed[0]["status"], 503);
    let (at, next) = (&failed[0]["at"], &failed[0]["next_attempt_at"]);
    assert_eq!(next.as_i64().unwrap(), at.as_i64().unwrap() + 5);
    // Not before its time.
    scene.server.advance(4);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.bodies().len(), 1);
    listener.answer(200);
    scene.server.advance(1);
    listener.has(2).await;
    let delivered = happens(&scene, "BackchannelLogoutDelivered", 1).await;
    assert_eq!(delivered[0]["attempt"], 2);
    let tokens = listener.logout_tokens();
    let (first, second) = (claims(&tokens[0]), claims(&tokens[1]));
    assert_ne!(first["jti"], second["jti"], "each attempt has a token of its own");
    assert!(second["exp"].as_i64() > first["exp"].as_i64(), "and it has not expired");
}

async fn what_can_not_be_delivered_is_given_up(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    scene.tokens(&[]).await;
    listener.answer(400);
    log_out(&mut scene).await;
    for (attempt, wait) in [5, 30, 120, 600, 3600].into_iter().enumerate() {
        happens(&scene, "BackchannelLogoutFailed", attempt + 1).await;
        scene.server.advance(wait);
    }
    let failed = happens(&scene, "BackchannelLogoutFailed", 6).await;
    assert!(failed[5].get("next_attempt_at").is_none(), "{failed:?}");
    scene.server.advance(100_000);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.bodies().len(), 6);
}

/// Neither the person nor other clients wait for one that does not answer.
async fn a_slow_client_holds_nobody_up(store: StoreKind) {
    let (mut scene, slow) = scene(store).await;
    let quick = Listener::start().await;
    let other = scene.server.register("other", told_at(&quick)).await;
    scene.tokens(&[]).await;
    tokens_of(&mut scene, &other).await;
    slow.wait(Duration::from_secs(60));
    let began = tokio::time::Instant::now();
    log_out(&mut scene).await;
    quick.has(1).await;
    slow.has(1).await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

async fn what_is_owed_outlives_a_restart(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    scene.tokens(&[]).await;
    listener.answer(500);
    log_out(&mut scene).await;
    happens(&scene, "BackchannelLogoutFailed", 1).await;
    scene.server = scene.server.restart().await;
    listener.answer(200);
    scene.server.advance(5);
    listener.has(2).await;
    happens(&scene, "BackchannelLogoutDelivered", 1).await;
}

/// Each attempt is one node's. (SQLite has one node only.)
async fn two_nodes_tell_once(store: StoreKind) {
    let (mut scene, listener) = scene(store).await;
    let second = match store {
        StoreKind::Postgres => Some(scene.server.second_node().await),
        StoreKind::Sqlite => None,
    };
    for count in 1..=5 {
        scene.tokens(&[]).await;
        log_out(&mut scene).await;
        happens(&scene, "BackchannelLogoutDelivered", count).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.bodies().len(), 5);
    drop(second);
}

/// §2.7
async fn refresh_tokens_end_but_for_offline_access(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let lasting = scene.lasting_tokens().await;
    let short = scene.tokens(&[("scope", "openid read")]).await;
    log_out(&mut scene).await;
    let rp = scene.rp.clone();
    until("the end of the short grant", || async { !rp.is_alive(&short.access).await }).await;
    scene.rp.refresh(lasting.refresh()).await.ok();
    if let Some(refresh) = short.refresh {
        scene.rp.refresh(&refresh).await.invalid_grant();
    }
}

async fn an_operator_may_have_offline_access_end_too(store: StoreKind) {
    let settings = "[sessions]\nlogout_ends_offline_access = true\n";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let lasting = scene.lasting_tokens().await;
    log_out(&mut scene).await;
    let rp = scene.rp.clone();
    until("the grant's end", || async { !rp.is_alive(&lasting.access).await }).await;
    scene.rp.refresh(lasting.refresh()).await.invalid_grant();
}

/// §2.1
async fn the_metadata_says_so(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["backchannel_logout_supported"], true);
    assert_eq!(metadata["backchannel_logout_session_supported"], true);
}
