//! ID tokens that are encrypted for their client (OpenID Connect Core §10.2,
//! OpenID Connect Registration §2).

use chancery::jose::jwe::DecryptionKey;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde_json::{Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::{
    ALL_RESPONSE_TYPES, Browser, Scene, StoreKind, TestServer, Tokens, confidential, front_channel,
    good_request_but, half_hash, jwks_of, nested, verified,
};

both_stores! {
    every_endpoint_encrypts_them,
    they_may_be_encrypted_by_the_clients_secret,
    a_code_is_not_spent_where_the_clients_keys_can_not_be_had,
    nothing_comes_by_the_browser_where_the_clients_keys_can_not_be_had,
}

const LOOPBACK: &str = "\n[outbound]\nallow_loopback = true\nallow_http = true\n";

fn encrypting(jwks: Option<Value>, jwks_uri: Option<&str>) -> ClientMetadata {
    ClientMetadata {
        jwks,
        jwks_uri: jwks_uri.map(str::to_owned),
        id_token_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEs),
        id_token_encrypted_response_enc: Some(ContentEncryption::A256Gcm),
        ..front_channel()
    }
}

fn key() -> DecryptionKey {
    DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap()
}

/// RFC 7519 §11.2: signed, then encrypted.
async fn every_endpoint_encrypts_them(store: StoreKind) {
    let key = key();
    let client = encrypting(Some(jwks_of(&key)), None);
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, client).await;
    let more = [
        ("response_type", "code id_token token"),
        ("nonce", "n1"),
        ("scope", "openid offline_access"),
    ];
    let url = scene.rp.authorize_url(&good_request_but(&more));
    let returned = scene.browser.go_through(&url, "ada").await;
    let first = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let browser = (returned.get("id_token").unwrap(), returned.get("access_token").unwrap());
    for (id, access) in [browser, (first.id(), &first.access), (second.id(), &second.access)] {
        let claims = verified(&scene.rp, &nested(&key, id)).await;
        assert_eq!(claims["sub"], scene.ada.to_string());
        assert_eq!(claims["at_hash"], half_hash(access));
    }
    // Without openid there is none to encrypt.
    let plain = scene.tokens(&[("scope", "read")]).await;
    assert_eq!(plain.id, None);
}

/// OpenID Connect Core §10.2
async fn they_may_be_encrypted_by_the_clients_secret(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata {
        id_token_encrypted_response_alg: Some(KeyManagementAlgorithm::A128Kw),
        ..confidential()
    };
    let rp = server.register_by_operator("rp", metadata).await;
    let ada = server.account("ada").await;
    let url = rp.authorize_url(&good_request_but(&[]));
    let returned = Browser::new(&server).go_through(&url, "ada").await;
    let tokens = Tokens::of(&rp.redeem(returned.code()).await.ok());
    let key = DecryptionKey::from_secret(rp.secret.as_deref().unwrap().as_bytes());
    assert_eq!(verified(&rp, &nested(&key, tokens.id())).await["sub"], ada.to_string());
}

/// Nothing is half issued.
async fn a_code_is_not_spent_where_the_clients_keys_can_not_be_had(store: StoreKind) {
    let key = key();
    let keys = KeysServer::start(&json!({})).await;
    keys.say(500, &json!({}));
    let mut scene = Scene::with(store, LOOPBACK, encrypting(None, Some(&keys.uri))).await;
    let code = scene.code(&[]).await;
    scene.rp.redeem(&code).await.refused(500, "server_error");
    assert!(!scene.server.only_grant().await.contains(&"CodeRedeemed".to_owned()));
    keys.say(200, &jwks_of(&key));
    scene.server.advance(11);
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    verified(&scene.rp, &nested(&key, tokens.id())).await;
}

/// The client is told, where it can be.
async fn nothing_comes_by_the_browser_where_the_clients_keys_can_not_be_had(store: StoreKind) {
    let keys = KeysServer::start(&json!({})).await;
    keys.say(500, &json!({}));
    let settings = format!("{ALL_RESPONSE_TYPES}{LOOPBACK}");
    let mut scene = Scene::with(store, &settings, encrypting(None, Some(&keys.uri))).await;
    let more = [("response_type", "id_token"), ("nonce", "n1"), ("state", "s1")];
    let url = scene.rp.authorize_url(&good_request_but(&more));
    let returned = scene.browser.go_through(&url, "ada").await;
    assert_eq!((returned.by, returned.error()), ("fragment", "server_error"));
    assert_eq!((returned.get("id_token"), returned.get("state")), (None, Some("s1")));
    let events = scene.server.only_grant().await;
    assert!(!events.iter().any(|name| name.contains("Issued")));
}
