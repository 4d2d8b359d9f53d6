//! Responses that are JWTs (JWT Secured Authorization Response Mode for OAuth
//! 2.0, JARM).

use chancery::jose::jwe::DecryptionKey;
use chancery::jose::{Accept, SharedSecret, Types};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::{
    ALL_RESPONSE_TYPES, BEGINNING, Browser, Scene, StoreKind, TestServer, confidential,
    front_channel, good_request_but, half_hash, jwks_of, nested, verified,
};

both_stores! {
    the_whole_response_is_a_signed_jwt,
    errors_are_jwts_too,
    tokens_come_in_a_jwt_too,
    a_response_may_be_encrypted_to_the_client,
    a_response_may_be_made_with_the_clients_secret,
    without_the_clients_keys_nothing_is_issued,
    the_metadata_name_modes_and_algorithms,
}

const LOOPBACK: &str = "[outbound]\nallow_loopback = true\nallow_http = true\n";

const MODES: [(&str, &str); 4] = [
    ("jwt", "query"),
    ("query.jwt", "query"),
    ("fragment.jwt", "fragment"),
    ("form_post.jwt", "form_post"),
];

/// What every response says (JARM §2.1).
#[track_caller]
fn is_for_rp(claims: &Value, issuer: &str) {
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(issuer), &json!("rp")));
    let lifetime = claims["exp"].as_i64().unwrap() - BEGINNING.seconds();
    assert!((10..=600).contains(&lifetime), "{claims}");
}

/// JARM §2.1, §2.3
async fn the_whole_response_is_a_signed_jwt(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (mode, by) in MODES {
        let more = [("response_mode", mode), ("state", "s1")];
        let url = scene.rp.authorize_url(&good_request_but(&more));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!(returned.by, by);
        assert_eq!(returned.parameters.len(), 1, "{returned:?}");
        let claims = verified(&scene.rp, returned.get("response").unwrap()).await;
        is_for_rp(&claims, &scene.server.issuer);
        assert_eq!(claims["state"], "s1");
        scene.rp.redeem(claims["code"].as_str().unwrap()).await.ok();
    }
}

/// JARM §2.1
async fn errors_are_jwts_too(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (mode, by) in MODES {
        for (name, value, error) in [
            ("scope", "admin", "invalid_scope"),
            ("prompt", "none", "login_required"),
            ("response_type", "token", "unsupported_response_type"),
        ] {
            let more = [("response_mode", mode), ("state", "s1"), (name, value)];
            let url = scene.rp.authorize_url(&good_request_but(&more));
            let returned = scene.browser.open(&url).await.returned();
            // `jwt` follows the response type, and a signed query may carry no tokens.
            let front = name == "response_type" && (mode == "jwt" || mode == "query.jwt");
            assert_eq!(returned.by, if front { "fragment" } else { by });
            if mode == "query.jwt" && front {
                assert_eq!(returned.error(), "invalid_request");
                continue;
            }
            assert_eq!(returned.parameters.len(), 1, "{returned:?}");
            let claims = verified(&scene.rp, returned.get("response").unwrap()).await;
            is_for_rp(&claims, &scene.server.issuer);
            assert_eq!((&claims["error"], &claims["state"]), (&json!(error), &json!("s1")));
            assert_eq!(claims["code"], json!(null));
        }
    }
}

/// JARM §2.1, §2.3.1: numbers are numbers.
async fn tokens_come_in_a_jwt_too(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let more =
        [("response_type", "code id_token token"), ("nonce", "n1"), ("response_mode", "jwt")];
    let url = scene.rp.authorize_url(&good_request_but(&more));
    let returned = scene.browser.go_through(&url, "ada").await;
    assert_eq!((returned.by, returned.parameters.len()), ("fragment", 1));
    let claims = verified(&scene.rp, returned.get("response").unwrap()).await;
    is_for_rp(&claims, &scene.server.issuer);
    assert_eq!((&claims["expires_in"], &claims["token_type"]), (&json!(300), &json!("Bearer")));
    let id = verified(&scene.rp, claims["id_token"].as_str().unwrap()).await;
    let access = claims["access_token"].as_str().unwrap();
    assert_eq!(id["at_hash"], half_hash(access));
    assert!(scene.rp.is_alive(access).await);
}

fn encrypting(jwks: Option<Value>, jwks_uri: Option<&str>) -> ClientMetadata {
    ClientMetadata {
        jwks,
        jwks_uri: jwks_uri.map(str::to_owned),
        authorization_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEsA256Kw),
        ..front_channel()
    }
}

/// JARM §2.2, §2.3.1: what is encrypted may travel in the query.
async fn a_response_may_be_encrypted_to_the_client(store: StoreKind) {
    let key = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
    let client = encrypting(Some(jwks_of(&key)), None);
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, client).await;
    for response_type in ["code", "code token"] {
        let more = [("response_mode", "query.jwt"), ("response_type", response_type)];
        let url = scene.rp.authorize_url(&good_request_but(&more));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!((returned.by, returned.parameters.len()), ("query", 1));
        let token = nested(&key, returned.get("response").unwrap());
        let claims = verified(&scene.rp, &token).await;
        is_for_rp(&claims, &scene.server.issuer);
        assert_eq!(claims["access_token"].is_string(), response_type == "code token");
        scene.rp.redeem(claims["code"].as_str().unwrap()).await.ok();
    }
    let wrong = [("response_mode", "jwt"), ("scope", "admin")];
    let url = scene.rp.authorize_url(&good_request_but(&wrong));
    let returned = scene.browser.open(&url).await.returned();
    let token = nested(&key, returned.get("response").unwrap());
    assert_eq!(verified(&scene.rp, &token).await["error"], "invalid_scope");
}

/// OpenID Connect Core §10.1, §10.2
async fn a_response_may_be_made_with_the_clients_secret(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata {
        authorization_signed_response_alg: Some(SigningAlgorithm::HS256),
        authorization_encrypted_response_alg: Some(KeyManagementAlgorithm::A256Kw),
        ..confidential()
    };
    let rp = server.register_by_operator("rp", metadata).await;
    server.account("ada").await;
    let url = rp.authorize_url(&good_request_but(&[("response_mode", "jwt")]));
    let returned = Browser::new(&server).go_through(&url, "ada").await;
    let secret = rp.secret.as_deref().unwrap().as_bytes();
    let key = DecryptionKey::from_secret(secret);
    let token = nested(&key, returned.get("response").unwrap());
    let accept = Accept { algorithms: &[SigningAlgorithm::HS256], types: Types::Any };
    let claims: Value = SharedSecret::new(secret).verify(&token, &accept).unwrap();
    is_for_rp(&claims, &server.issuer);
    rp.redeem(claims["code"].as_str().unwrap()).await.ok();
}

/// Not even an error can be told that would have to be encrypted: the person is
/// told, and nothing has happened.
async fn without_the_clients_keys_nothing_is_issued(store: StoreKind) {
    let key = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
    let keys = KeysServer::start(&json!({})).await;
    keys.say(500, &json!({}));
    let client = encrypting(None, Some(&keys.uri));
    let mut scene = Scene::with(store, LOOPBACK, client).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("response_mode", "jwt")]));
    let login = scene.browser.open(&url).await.shows("login-form");
    let consent = scene.browser.log_in(&login, "ada").await.shows("consent-form");
    let page = scene.browser.answer(&consent, "allow").await.page();
    assert_eq!(page.status, 500, "{page:?}");
    assert!(page.has("error-page"));
    let events = scene.server.only_grant().await;
    assert!(!events.iter().any(|name| name == "CodeIssued" || name == "ConsentGiven"));

    // Once they can be had, the same page does.
    keys.say(200, &jwks_of(&key));
    scene.server.advance(11);
    let returned = scene.browser.answer(&consent, "allow").await.returned();
    let token = nested(&key, returned.get("response").unwrap());
    assert!(verified(&scene.rp, &token).await["code"].is_string());
}

/// JARM §4
async fn the_metadata_name_modes_and_algorithms(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    let modes = ["query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt"];
    let found = metadata["response_modes_supported"].as_array().unwrap();
    assert!(modes.iter().all(|mode| found.contains(&json!(mode))) && found.contains(&json!("jwt")));
    for (name, value) in [
        ("authorization_signing_alg_values_supported", "ES256"),
        ("authorization_encryption_alg_values_supported", "ECDH-ES+A256KW"),
        ("authorization_encryption_enc_values_supported", "A128CBC-HS256"),
        ("id_token_encryption_alg_values_supported", "RSA-OAEP-256"),
        ("id_token_encryption_enc_values_supported", "A256GCM"),
    ] {
        assert!(metadata[name].as_array().unwrap().contains(&json!(value)), "{name}");
    }
}
