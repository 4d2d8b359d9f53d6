//! Userinfo (OpenID Connect Core §5.1, §5.3): claims and their types; signed,
//! encrypted, and both.

use chancery::jose::jwe::DecryptionKey;
use chancery::jose::{Accept, SharedSecret, Types};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::{
    Answer, BEGINNING, Browser, OPEN, RelyingParty, Scene, StoreKind, TestServer, Tokens,
    confidential, decrypted, good_metadata_but, good_request_but, header, jwks_of, service,
    verified,
};

both_stores! {
    a_signed_answer_is_a_jwt_for_the_client,
    a_secret_signs_an_answer,
    an_encrypted_answer_is_for_the_client_only,
    a_signed_answer_is_encrypted_as_a_nested_jwt,
    a_secret_encrypts_an_answer,
    an_answer_is_encrypted_to_keys_that_are_fetched,
    without_a_key_to_encrypt_to_nothing_is_told,
    an_error_is_never_a_jwt,
    a_client_registers_how_it_wants_to_be_answered,
    the_metadata_name_the_algorithms,
    every_standard_claim_has_its_type,
    a_claim_of_another_type_is_refused,
    updated_at_is_the_last_change,
}

const SETTINGS: &str = "[keys]\nextra_algorithms = [\"EdDSA\", \"RS256\"]\n\
                        [outbound]\nallow_http = true\nallow_loopback = true\n";

/// A scene whose client has a secret that the server can read, if it needs it.
async fn scene(store: StoreKind, metadata: ClientMetadata) -> Scene {
    let server = TestServer::with_settings(store, SETTINGS).await;
    let rp = server.register_by_operator("rp", metadata).await;
    let ada = server.account("ada").await;
    let browser = Browser::new(&server);
    Scene { rp, ada, browser, server }
}

async fn userinfo(scene: &mut Scene) -> Answer {
    let tokens = scene.tokens(&[("scope", "openid email")]).await;
    scene.rp.userinfo(&tokens.access).await
}

/// The token in an answer that is one.
#[track_caller]
fn token(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/jwt"));
    answer.is_not_kept();
    &answer.body
}

#[track_caller]
fn is_about_ada(scene: &Scene, claims: &Value) {
    let expected = json!({
        "iss": scene.server.issuer,
        "aud": "rp",
        "sub": scene.ada.to_string(),
        "email": "ada@example.com",
        "email_verified": true,
    });
    assert_eq!(claims, &expected);
}

/// OpenID Connect Core §5.3.2: `iss` and `aud`, and `application/jwt`.
async fn a_signed_answer_is_a_jwt_for_the_client(store: StoreKind) {
    for alg in [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA, SigningAlgorithm::RS256] {
        let metadata = ClientMetadata { userinfo_signed_response_alg: Some(alg), ..confidential() };
        let mut scene = scene(store, metadata).await;
        let answer = userinfo(&mut scene).await;
        assert_eq!(header(token(&answer))["alg"], alg.as_str());
        is_about_ada(&scene, &verified(&scene.rp, token(&answer)).await);
    }
}

/// OpenID Connect Core §10.1
async fn a_secret_signs_an_answer(store: StoreKind) {
    for alg in [SigningAlgorithm::HS256, SigningAlgorithm::HS512] {
        let metadata = ClientMetadata { userinfo_signed_response_alg: Some(alg), ..confidential() };
        let mut scene = scene(store, metadata).await;
        let answer = userinfo(&mut scene).await;
        let secret = SharedSecret::new(scene.rp.secret.as_deref().unwrap().as_bytes());
        let accept = Accept { algorithms: &[alg], types: Types::Any };
        is_about_ada(&scene, &secret.verify(token(&answer), &accept).unwrap());
    }
}

/// A client that wants its answers encrypted to this key.
fn encrypts(
    key: &DecryptionKey,
    alg: KeyManagementAlgorithm,
    enc: Option<ContentEncryption>,
) -> ClientMetadata {
    ClientMetadata {
        jwks: Some(jwks_of(key)),
        userinfo_encrypted_response_alg: Some(alg),
        userinfo_encrypted_response_enc: enc,
        ..confidential()
    }
}

/// OpenID Connect Core §5.3.2, Registration §2
async fn an_encrypted_answer_is_for_the_client_only(store: StoreKind) {
    let (alg, enc) = (KeyManagementAlgorithm::EcdhEs, ContentEncryption::A256Gcm);
    let key = DecryptionKey::generate(alg).unwrap();
    let mut scene = scene(store, encrypts(&key, alg, Some(enc))).await;
    let answer = userinfo(&mut scene).await;
    let (cty, claims) = decrypted(&key, token(&answer), alg, enc);
    assert_eq!(cty, None, "bare claims");
    is_about_ada(&scene, &serde_json::from_str(&claims).unwrap());
}

/// OpenID Connect Core §16.14: signed, then encrypted; RFC 7519 §5.2: `cty`.
async fn a_signed_answer_is_encrypted_as_a_nested_jwt(store: StoreKind) {
    let default = ContentEncryption::A128CbcHs256;
    for alg in [KeyManagementAlgorithm::RsaOaep256, KeyManagementAlgorithm::EcdhEsA256Kw] {
        let key = DecryptionKey::generate(alg).unwrap();
        let metadata = ClientMetadata {
            userinfo_signed_response_alg: Some(SigningAlgorithm::ES256),
            ..encrypts(&key, alg, None)
        };
        let mut scene = scene(store, metadata).await;
        let answer = userinfo(&mut scene).await;
        let (cty, inner) = decrypted(&key, token(&answer), alg, default);
        assert_eq!(cty.as_deref(), Some("JWT"));
        is_about_ada(&scene, &verified(&scene.rp, &inner).await);
    }
}

/// OpenID Connect Core §10.2
async fn a_secret_encrypts_an_answer(store: StoreKind) {
    let alg = KeyManagementAlgorithm::A256Kw;
    let metadata = ClientMetadata { userinfo_encrypted_response_alg: Some(alg), ..confidential() };
    let mut scene = scene(store, metadata).await;
    let answer = userinfo(&mut scene).await;
    let key = DecryptionKey::from_secret(scene.rp.secret.as_deref().unwrap().as_bytes());
    let enc = ContentEncryption::A128CbcHs256;
    let (_, claims) = decrypted(&key, token(&answer), alg, enc);
    is_about_ada(&scene, &serde_json::from_str(&claims).unwrap());
}

/// OpenID Connect Registration §2, `jwks_uri`
async fn an_answer_is_encrypted_to_keys_that_are_fetched(store: StoreKind) {
    let alg = KeyManagementAlgorithm::EcdhEs;
    let key = DecryptionKey::generate(alg).unwrap();
    let keys = KeysServer::start(&jwks_of(&key)).await;
    let metadata =
        ClientMetadata { jwks: None, jwks_uri: Some(keys.uri), ..encrypts(&key, alg, None) };
    let mut scene = scene(store, metadata).await;
    let answer = userinfo(&mut scene).await;
    let (_, claims) = decrypted(&key, token(&answer), alg, ContentEncryption::A128CbcHs256);
    is_about_ada(&scene, &serde_json::from_str(&claims).unwrap());
}

/// What was to be encrypted does not go out in the clear.
async fn without_a_key_to_encrypt_to_nothing_is_told(store: StoreKind) {
    let key = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
    let mut scene = scene(store, encrypts(&key, KeyManagementAlgorithm::RsaOaep, None)).await;
    let answer = userinfo(&mut scene).await;
    answer.refused(400, "invalid_request");
    assert!(!answer.body.contains("ada@example.com"));
    // Nor where the keys can't be had.
    let nowhere = ClientMetadata {
        jwks: None,
        jwks_uri: Some("http://127.0.0.1:1/jwks".to_owned()),
        ..encrypts(&key, KeyManagementAlgorithm::EcdhEs, None)
    };
    let rp = scene.server.register("nowhere", nowhere).await;
    let url = rp.authorize_url(&good_request_but(&[]));
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    let tokens = Tokens::of(&rp.redeem(&code).await.ok());
    rp.userinfo(&tokens.access).await.refused(400, "invalid_request");
}

/// OpenID Connect Core §5.3.3
async fn an_error_is_never_a_jwt(store: StoreKind) {
    let alg = Some(SigningAlgorithm::ES256);
    let metadata = ClientMetadata { userinfo_signed_response_alg: alg, ..confidential() };
    let mut scene = scene(store, metadata).await;
    let tokens = scene.tokens(&[("scope", "read")]).await;
    scene.rp.userinfo(&tokens.access).await.refused(403, "insufficient_scope");
    scene.rp.userinfo("x").await.refused(401, "invalid_token");
}

/// OpenID Connect Registration §2
async fn a_client_registers_how_it_wants_to_be_answered(store: StoreKind) {
    let server = TestServer::with_settings(store, &format!("{OPEN}per_minute = 1000\n")).await;
    let key = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
    let good = json!({
        "jwks": jwks_of(&key),
        "userinfo_signed_response_alg": "ES256",
        "userinfo_encrypted_response_alg": "ECDH-ES",
        "userinfo_encrypted_response_enc": "A128GCM",
    });
    let answer = server.ask_to_register(None, &good_metadata_but(&good)).await.succeeded(201);
    for (name, value) in good.as_object().unwrap() {
        assert_eq!(&answer[name], value);
    }
    for (name, value) in [
        ("userinfo_signed_response_alg", "RS256"),
        ("userinfo_signed_response_alg", "none"),
        ("userinfo_encrypted_response_alg", "RSA1_5"),
        ("userinfo_encrypted_response_enc", "A192GCM"),
    ] {
        let mut bad = good.clone();
        bad[name] = json!(value);
        let answer = server.ask_to_register(None, &good_metadata_but(&bad)).await;
        answer.refused(400, "invalid_client_metadata");
    }
}

/// OpenID Connect Discovery §3
async fn the_metadata_name_the_algorithms(store: StoreKind) {
    let scene = scene(store, confidential()).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    let algorithms = json!(["ES256", "EdDSA", "RS256", "HS256", "HS384", "HS512"]);
    assert_eq!(metadata["userinfo_signing_alg_values_supported"], algorithms);
    let list = |name: &str| metadata[name].as_array().unwrap().clone();
    assert!(list("userinfo_encryption_alg_values_supported").contains(&json!("ECDH-ES")));
    assert!(list("userinfo_encryption_enc_values_supported").contains(&json!("A128CBC-HS256")));
}

/// Every standard claim (OpenID Connect Core §5.1), but for `updated_at`.
fn everything() -> Map<String, Value> {
    let claims = json!({
        "name": "Ada Lovelace",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "middle_name": "King",
        "nickname": "Ada",
        "preferred_username": "ada",
        "profile": "https://ada.example/",
        "picture": "https://ada.example/me.png",
        "website": "https://ada.example/blog",
        "email": "ada@example.com",
        "email_verified": false,
        "gender": "female",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "phone_number": "+44 1",
        "phone_number_verified": true,
        "address": {
            "formatted": "12 St James's Square\nLondon",
            "street_address": "12 St James's Square",
            "locality": "London",
            "country": "UK",
        },
    });
    claims.as_object().unwrap().clone()
}

struct Admin {
    rp: RelyingParty,
    token: String,
}

impl Admin {
    async fn of(server: &TestServer) -> Self {
        let scope = Scope::parse("admin pii:read").unwrap();
        let rp = server.register("root", ClientMetadata { scope, ..service() }).await;
        let tokens = rp.client_credentials(&[]).await.ok();
        Self { rp, token: tokens["access_token"].as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.rp.request(method, path).bearer_auth(&self.token).json(&body);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn add(&self, claims: &Map<String, Value>) -> Answer {
        let password = crate::support::PASSWORD;
        let body = json!({ "username": "eve", "password": password, "claims": claims });
        self.call(Method::POST, "/admin/accounts", body).await
    }
}

async fn told(scene: &mut Scene, rp: &RelyingParty) -> Value {
    let scope = "openid profile email address phone";
    let url = rp.authorize_url(&good_request_but(&[("scope", scope)]));
    let code = scene.browser.go_through(&url, "eve").await.code().to_owned();
    let tokens = Tokens::of(&rp.redeem(&code).await.ok());
    rp.userinfo(&tokens.access).await.ok()
}

async fn all_scopes(store: StoreKind) -> (Scene, Admin) {
    let scope = Scope::parse("openid profile email address phone").unwrap();
    let scene = Scene::with(store, "", ClientMetadata { scope, ..confidential() }).await;
    let admin = Admin::of(&scene.server).await;
    (scene, admin)
}

/// OpenID Connect Core §5.1, §5.1.1, §5.4
async fn every_standard_claim_has_its_type(store: StoreKind) {
    let (mut scene, admin) = all_scopes(store).await;
    let added = admin.add(&everything()).await.succeeded(201);
    let rp = scene.rp.clone();
    let told = told(&mut scene, &rp).await;
    let mut expected = everything();
    expected.insert("sub".to_owned(), added["subject"].clone());
    expected.insert("updated_at".to_owned(), json!(BEGINNING.seconds()));
    assert_eq!(told, Value::Object(expected));
}

/// OpenID Connect Core §5.1
async fn a_claim_of_another_type_is_refused(store: StoreKind) {
    let (_scene, admin) = all_scopes(store).await;
    let bad = [
        ("email_verified", json!("true")),
        ("phone_number_verified", json!(1)),
        ("name", json!(["Ada"])),
        ("address", json!("London")),
        ("address", json!({ "locality": 1 })),
        ("updated_at", json!("yesterday")),
        ("sub", json!("somebody")),
        ("acr", json!("gold")),
    ];
    for (name, value) in &bad {
        let claims = Map::from_iter([((*name).to_owned(), value.clone())]);
        assert_eq!(admin.add(&claims).await.status, 422, "{name}");
    }
    admin.add(&everything()).await.succeeded(201);
    for (name, value) in &bad {
        let answer =
            admin.call(Method::PATCH, "/admin/accounts/eve/claims", json!({ *name: value }));
        assert_eq!(answer.await.status, 422, "{name}");
    }
}

/// OpenID Connect Core §5.1, `updated_at`
async fn updated_at_is_the_last_change(store: StoreKind) {
    let (mut scene, admin) = all_scopes(store).await;
    admin.add(&everything()).await.succeeded(201);
    scene.server.advance(5);
    let changes = json!({ "nickname": "Countess", "gender": null });
    admin.call(Method::PATCH, "/admin/accounts/eve/claims", changes).await.ok();
    scene.server.advance(5);
    let rp = scene.rp.clone();
    let told = told(&mut scene, &rp).await;
    assert_eq!(told["updated_at"], BEGINNING.seconds() + 5);
    assert_eq!(told["nickname"], "Countess");
    assert!(told.get("gender").is_none());
}
