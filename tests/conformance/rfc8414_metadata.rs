//! Server metadata (RFC 8414, OpenID Connect Discovery §3) and keys (RFC 7517).

use chancery::aggregates::Origin;
use chancery::jose::JwkSet;
use chancery::jose::jwe::{AcceptEncrypted, Encryption, EncryptionKey, decrypt, encrypt};
use chancery::keys::rotate;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde_json::{Value, json};

use crate::support::{Answer, RelyingParty, StoreKind, TestServer, public, service};

both_stores! {
    both_documents_are_the_same_and_true,
    every_endpoint_named_is_there,
    metadata_and_keys_are_for_scripts_of_all,
    other_answers_are_for_scripts_of_the_client_only,
    no_key_has_a_private_part_and_each_has_a_name,
    a_rotated_encryption_key_leaves_the_set_and_still_decrypts,
    a_path_that_is_not_there_is_not_found,
    health_is_told,
}

async fn document(client: &RelyingParty) -> Value {
    let answer = client.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// RFC 8414 §2, §3.2
async fn both_documents_are_the_same_and_true(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let answer = client.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let metadata = answer.json();
    assert_eq!(metadata, document(&client).await);
    assert_eq!(metadata["issuer"], server.issuer);
    for (name, value) in [
        ("response_types_supported", json!(["code"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("require_pushed_authorization_requests", json!(false)),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(["ES256"])),
        ("request_parameter_supported", json!(false)),
        ("request_uri_parameter_supported", json!(false)),
        ("claims_parameter_supported", json!(false)),
        (
            "grant_types_supported",
            json!(["authorization_code", "refresh_token", "client_credentials"]),
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!([
                "none",
                "client_secret_basic",
                "client_secret_post",
                "client_secret_jwt",
                "private_key_jwt"
            ]),
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            json!([
                "client_secret_basic",
                "client_secret_post",
                "client_secret_jwt",
                "private_key_jwt"
            ]),
        ),
    ] {
        let mut found = metadata[name].clone();
        let mut expected = value;
        for list in [&mut found, &mut expected] {
            if let Some(list) = list.as_array_mut() {
                list.sort_by_key(ToString::to_string);
            }
        }
        assert_eq!(found, expected, "{name}");
    }
    let scopes = metadata["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("openid")));
}

/// RFC 8414 §2
async fn every_endpoint_named_is_there(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let metadata = document(&client).await;
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "pushed_authorization_request_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    ] {
        let url = metadata[name].as_str().unwrap_or_else(|| panic!("{name} is missing"));
        let path = url.strip_prefix(&server.issuer).unwrap();
        assert_ne!(client.get(path).await.status, 404, "{name}");
    }
}

/// Fetch §3.2
async fn metadata_and_keys_are_for_scripts_of_all(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    for path in
        ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"]
    {
        let answer = client.get(path).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
    }
    let preflight = client.request(reqwest::Method::OPTIONS, "/token").send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert!(preflight.headers().contains_key("access-control-allow-headers"));
}

/// Fetch §3.2: a browser keeps the answer from the scripts of others.
async fn other_answers_are_for_scripts_of_the_client_only(store: StoreKind) {
    let server = TestServer::start(store).await;
    let app = server.register("app", public()).await;
    for (origin, may_read) in [
        ("https://rp.example", true),
        ("https://evil.example", false),
        ("http://rp.example", false),
        ("https://rp.example.evil.example", false),
        ("null", false),
    ] {
        let refresh =
            [("client_id", "app"), ("grant_type", "refresh_token"), ("refresh_token", "x")];
        let request = app.form("/token", &refresh).header("origin", origin);
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.invalid_grant();
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, may_read.then_some(origin));
        assert_eq!(answer.header("vary"), Some("origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

/// RFC 7517 §4, §9.2
async fn no_key_has_a_private_part_and_each_has_a_name(store: StoreKind) {
    let settings = "[keys]\nextra_algorithms = [\"RS256\", \"EdDSA\", \"PS384\", \"ES512\"]\n\
                    encryption_algorithms = [\"ECDH-ES\", \"RSA-OAEP\"]";
    let server = TestServer::with_settings(store, settings).await;
    let client = server.register("svc", service()).await;
    let answer = client.get("/jwks").await;
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let mut algorithms: Vec<_> =
        keys.iter().map(|key| (key["use"].as_str().unwrap(), key["alg"].as_str())).collect();
    algorithms.sort_unstable();
    assert_eq!(
        algorithms,
        [
            ("enc", None),
            ("enc", None),
            ("sig", Some("ES256")),
            ("sig", Some("ES512")),
            ("sig", Some("EdDSA")),
            ("sig", Some("PS384")),
            ("sig", Some("RS256")),
        ]
    );
    // Whoever takes the first key takes one that signs.
    assert_eq!(keys[0]["use"], "sig");
    let names: std::collections::BTreeSet<_> =
        keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(names.len(), keys.len());
    for key in &keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private} is published");
        }
    }
}

/// OpenID Connect Core §10.2.1
async fn a_rotated_encryption_key_leaves_the_set_and_still_decrypts(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let alg = KeyManagementAlgorithm::EcdhEsA256Kw;
    let encrypted = async || {
        let jwks: JwkSet = serde_json::from_value(client.get("/jwks").await.json()).unwrap();
        let key = EncryptionKey::choose(&jwks.keys, alg).expect("a key to encrypt to");
        let how = Encryption { alg, enc: ContentEncryption::A256Gcm, cty: None, typ: None };
        encrypt(&key, &how, b"secret").unwrap()
    };
    let kid = async || {
        let keys = client.get("/jwks").await.json()["keys"].as_array().unwrap().clone();
        let mut encrypt = keys.into_iter().filter(|key| key["use"] == "enc");
        let kid = encrypt.next().unwrap()["kid"].clone();
        assert!(encrypt.next().is_none(), "the old key is still there");
        kid
    };
    let (before, old_kid) = (encrypted().await, kid().await);
    server
        .act(move |services| async move {
            rotate(&services.rotation(), alg, Origin::system("test")).await.unwrap();
        })
        .await;
    // The node hears of it by the feed.
    crate::support::until("the new key is published", || async { kid().await != old_kid }).await;
    let after = encrypted().await;
    let readable = async |token: String| {
        server
            .act(move |services| async move {
                let accept = AcceptEncrypted {
                    algorithms: &[alg],
                    encryptions: &[ContentEncryption::A256Gcm],
                };
                let keys = services.keys.get();
                let read = decrypt(keys.decryption_keys(), &token, &accept);
                read.is_ok_and(|read| read.payload == b"secret")
            })
            .await
    };
    assert!(readable(before).await && readable(after).await);
}

async fn a_path_that_is_not_there_is_not_found(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    for path in ["/tokens", "/token/", "/demo", "/admin", "/.well-known/webfinger2"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

async fn health_is_told(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(client.get("/health/ready").await.status, 200);
}
