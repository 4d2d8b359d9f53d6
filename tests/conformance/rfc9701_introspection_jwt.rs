//! JWT responses of token introspection (RFC 9701).

use chancery::jose::jwe::DecryptionKey;
use chancery::jose::{Accept, SharedSecret, Types};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Value, json};

use crate::support::{
    Answer, BEGINNING, Browser, OPEN, RelyingParty, Scene, StoreKind, TestServer, basic, claims,
    confidential, decrypted, good_metadata_but, header, jwks_of, public, service, verified,
};

both_stores! {
    an_answer_is_a_jwt_for_those_who_ask_for_one,
    what_is_not_alive_is_only_inactive,
    what_is_not_theirs_is_only_inactive,
    an_answer_is_signed_as_the_resource_server_is_registered,
    an_answer_is_encrypted_as_a_nested_jwt,
    an_answer_is_no_access_token,
    nobody_is_answered_without_authentication,
    a_resource_server_registers_its_algorithms,
    the_metadata_name_the_algorithms,
}

const JWT: &str = "application/token-introspection+jwt";

fn resource_server() -> ClientMetadata {
    ClientMetadata { introspect_any_token: true, ..service() }
}

/// A scene, and a resource server in it.
async fn scene(store: StoreKind, api: ClientMetadata) -> (Scene, RelyingParty) {
    let settings = "[keys]\nextra_algorithms = [\"EdDSA\"]\n";
    let server = TestServer::with_settings(store, settings).await;
    let rp = server.register("rp", confidential()).await;
    let api = server.register_by_operator("api", api).await;
    let ada = server.account("ada").await;
    let browser = Browser::new(&server);
    (Scene { rp, ada, browser, server }, api)
}

async fn ask(client: &RelyingParty, token: &str, accept: &str) -> Answer {
    let secret = client.secret.as_deref().unwrap();
    let request = client
        .form("/introspect", &[("token", token)])
        .header("authorization", basic(&client.client_id, secret))
        .header("accept", accept);
    Answer::of(request.send().await.unwrap()).await
}

/// The token in an answer that is one.
#[track_caller]
fn token(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(JWT));
    answer.is_not_kept();
    &answer.body
}

/// RFC 9701 §4, §5
async fn an_answer_is_a_jwt_for_those_who_ask_for_one(store: StoreKind) {
    let (mut scene, api) = scene(store, resource_server()).await;
    let tokens = scene.tokens(&[]).await;
    scene.server.advance(7);
    let answer = ask(&api, &tokens.access, JWT).await;
    assert_eq!(header(token(&answer))["typ"], "token-introspection+jwt");
    assert_eq!(header(token(&answer))["alg"], "ES256");
    let told = verified(&api, token(&answer)).await;
    let plain = api.introspect(&tokens.access).await.ok();
    assert_eq!((&plain["active"], &plain["sub"]), (&json!(true), &json!(scene.ada.to_string())));
    let expected = json!({
        "iss": scene.server.issuer,
        "aud": "api",
        "iat": BEGINNING.seconds() + 7,
        "token_introspection": plain,
    });
    assert_eq!(told, expected, "no sub and no exp beside");
    for other in ["application/json", "*/*", "application/token-introspection+jwt;q=0"] {
        assert_eq!(ask(&api, &tokens.access, other).await.ok(), plain, "{other}");
    }
}

async fn inner(client: &RelyingParty, token_text: &str) -> Value {
    let answer = ask(client, token_text, JWT).await;
    verified(client, token(&answer)).await["token_introspection"].clone()
}

/// RFC 9701 §5
async fn what_is_not_alive_is_only_inactive(store: StoreKind) {
    let (mut scene, api) = scene(store, resource_server()).await;
    let tokens = scene.tokens(&[]).await;
    scene.rp.revoke(&tokens.access).await;
    for dead in ["x", &tokens.access] {
        assert_eq!(inner(&api, dead).await, json!({ "active": false }));
    }
}

/// RFC 9701 §5
async fn what_is_not_theirs_is_only_inactive(store: StoreKind) {
    let (mut scene, stranger) = scene(store, service()).await;
    let tokens = scene.lasting_tokens().await;
    for token in [&*tokens.access, tokens.refresh()] {
        assert_eq!(inner(&stranger, token).await, json!({ "active": false }));
        assert_eq!(inner(&scene.rp, token).await["active"], true);
    }
}

/// RFC 9701 §6
async fn an_answer_is_signed_as_the_resource_server_is_registered(store: StoreKind) {
    for alg in [SigningAlgorithm::EdDSA, SigningAlgorithm::HS256] {
        let metadata =
            ClientMetadata { introspection_signed_response_alg: Some(alg), ..resource_server() };
        let (mut scene, api) = scene(store, metadata).await;
        let tokens = scene.tokens(&[]).await;
        let answer = ask(&api, &tokens.access, JWT).await;
        assert_eq!(header(token(&answer))["alg"], alg.as_str());
        let told: Value = if alg.is_symmetric() {
            let secret = SharedSecret::new(api.secret.as_deref().unwrap().as_bytes());
            let accept = Accept { algorithms: &[alg], types: Types::Any };
            secret.verify(token(&answer), &accept).unwrap()
        } else {
            verified(&api, token(&answer)).await
        };
        assert_eq!(told["token_introspection"]["active"], true);
    }
}

/// RFC 9701 §5: signed and encrypted, it is a nested JWT.
async fn an_answer_is_encrypted_as_a_nested_jwt(store: StoreKind) {
    let (alg, enc) = (KeyManagementAlgorithm::EcdhEsA128Kw, ContentEncryption::A128Gcm);
    let key = DecryptionKey::generate(alg).unwrap();
    let metadata = ClientMetadata {
        jwks: Some(jwks_of(&key)),
        introspection_encrypted_response_alg: Some(alg),
        introspection_encrypted_response_enc: Some(enc),
        ..resource_server()
    };
    let (mut scene, api) = scene(store, metadata).await;
    let tokens = scene.tokens(&[]).await;
    let answer = ask(&api, &tokens.access, JWT).await;
    let (cty, inner) = decrypted(&key, token(&answer), alg, enc);
    assert_eq!(cty.as_deref(), Some("JWT"));
    assert_eq!(header(&inner)["typ"], "token-introspection+jwt");
    assert_eq!(verified(&api, &inner).await["token_introspection"]["active"], true);
}

/// RFC 9701 §8.1
async fn an_answer_is_no_access_token(store: StoreKind) {
    let (mut scene, api) = scene(store, resource_server()).await;
    let tokens = scene.tokens(&[]).await;
    let answer = ask(&api, &tokens.access, JWT).await;
    let told = claims(token(&answer));
    assert!(told.get("sub").is_none() && told.get("exp").is_none(), "{told}");
    scene.rp.userinfo(token(&answer)).await.refused(401, "invalid_token");
    assert_eq!(api.introspect(token(&answer)).await.ok(), json!({ "active": false }));
}

/// RFC 9701 §5, §8.3
async fn nobody_is_answered_without_authentication(store: StoreKind) {
    let (mut scene, api) = scene(store, resource_server()).await;
    let tokens = scene.tokens(&[]).await;
    let wrong = api.clone().with_secret("wrong");
    ask(&wrong, &tokens.access, JWT).await.refused(401, "invalid_client");
    let spa = scene.server.register("spa", public()).await;
    let parameters = [("token", &*tokens.access), ("client_id", "spa")];
    let request = spa.form("/introspect", &parameters).header("accept", JWT);
    Answer::of(request.send().await.unwrap()).await.refused(401, "invalid_client");
}

/// RFC 9701 §6
async fn a_resource_server_registers_its_algorithms(store: StoreKind) {
    let server = TestServer::with_settings(store, &format!("{OPEN}per_minute = 1000\n")).await;
    let key = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
    let good = json!({
        "jwks": jwks_of(&key),
        "introspection_signed_response_alg": "ES256",
        "introspection_encrypted_response_alg": "ECDH-ES",
        "introspection_encrypted_response_enc": "A256GCM",
    });
    let answer = server.ask_to_register(None, &good_metadata_but(&good)).await.succeeded(201);
    for (name, value) in good.as_object().unwrap() {
        assert_eq!(&answer[name], value);
    }
    for (name, value) in [
        ("introspection_signed_response_alg", json!("PS256")),
        ("introspection_encrypted_response_alg", json!("dir")),
        ("introspection_encrypted_response_enc", json!("A192GCM")),
        // §6: not without the alg.
        ("introspection_encrypted_response_alg", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let answer = server.ask_to_register(None, &good_metadata_but(&bad)).await;
        answer.refused(400, "invalid_client_metadata");
    }
}

/// RFC 9701 §7
async fn the_metadata_name_the_algorithms(store: StoreKind) {
    let (scene, _) = scene(store, resource_server()).await;
    let metadata = scene.rp.get("/.well-known/oauth-authorization-server").await.json();
    let algorithms = json!(["ES256", "EdDSA", "HS256", "HS384", "HS512"]);
    assert_eq!(metadata["introspection_signing_alg_values_supported"], algorithms);
    let list = |name: &str| metadata[name].as_array().unwrap().clone();
    assert!(list("introspection_encryption_alg_values_supported").contains(&json!("RSA-OAEP")));
    assert!(list("introspection_encryption_enc_values_supported").contains(&json!("A128GCM")));
}
