//! Server metadata (RFC 8414, OpenID Connect Discovery §3) and keys (RFC 7517).

use chancery::admin::{Operation, perform};
use chancery::aggregates::Origin;
use chancery::jose::JwkSet;
use chancery::jose::jwe::{AcceptEncrypted, Encryption, EncryptionKey, decrypt, encrypt};
use chancery::keys::rotate;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Value, json};

use crate::support::{
    Answer, RelyingParty, StoreKind, TestServer, public, service, until, verified,
};

both_stores! {
    both_documents_are_the_same_and_true,
    every_endpoint_named_is_there,
    metadata_and_keys_are_for_scripts_of_all,
    other_answers_are_for_scripts_of_the_client_only,
    no_key_has_a_private_part_and_each_has_a_name,
    a_rotated_encryption_key_leaves_the_set_and_still_decrypts,
    a_path_that_is_not_there_is_not_found,
    health_is_told,
    an_issuer_with_a_path_is_found_where_the_standards_say,
    what_the_operator_keeps_back_is_not_said,
    the_document_may_be_signed,
    a_key_of_another_algorithm_is_named_at_once,
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
        ("subject_types_supported", json!(["pairwise", "public"])),
        ("id_token_signing_alg_values_supported", json!(["ES256", "HS256", "HS384", "HS512"])),
        ("request_parameter_supported", json!(true)),
        ("request_uri_parameter_supported", json!(true)),
        ("claims_parameter_supported", json!(true)),
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

/// RFC 8414 §3.1, OpenID Connect Discovery §4.1
async fn an_issuer_with_a_path_is_found_where_the_standards_say(store: StoreKind) {
    let server = TestServer::below(store, "/tenant", "").await;
    let client = server.register("svc", service()).await;
    let places = [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
    ];
    for place in places {
        let answer = client.get(place).await;
        assert_eq!(answer.status, 200, "{place}");
        assert_eq!(answer.json()["issuer"], server.issuer, "{place}");
    }
    // What it names is there, with no proxy that rewrites paths.
    let grant = [("grant_type", "client_credentials")];
    client.post("/tenant/token", &grant).await.ok();
    assert_eq!(client.get("/tenant/jwks").await.status, 200);
}

async fn what_the_operator_keeps_back_is_not_said(store: StoreKind) {
    let settings = "[metadata]\ndeny = [\"claims_supported\"]\ncache_lifetime = 7\n\
                    service_documentation = \"https://docs.example/\"\n\
                    op_policy_uri = \"https://docs.example/policy\"\n\
                    op_tos_uri = \"https://docs.example/terms\"";
    let server = TestServer::with_settings(store, settings).await;
    let client = server.register("svc", service()).await;
    let answer = client.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=7"));
    let metadata = answer.json();
    assert!(metadata.get("claims_supported").is_none());
    assert!(metadata.get("scopes_supported").is_some());
    assert_eq!(metadata["service_documentation"], "https://docs.example/");
    assert_eq!(metadata["op_policy_uri"], "https://docs.example/policy");
    assert_eq!(metadata["op_tos_uri"], "https://docs.example/terms");
    assert_eq!(metadata["ui_locales_supported"], json!(["en", "de"]));

    let settings = "[metadata]\nallow = [\"scopes_supported\"]";
    let server = TestServer::with_settings(store, settings).await;
    let client = server.register("svc", service()).await;
    let metadata = document(&client).await;
    let names: Vec<_> = metadata.as_object().unwrap().keys().cloned().collect();
    // The required ones can't be kept back.
    assert_eq!(
        names,
        [
            "authorization_endpoint",
            "authorization_response_iss_parameter_supported",
            "id_token_signing_alg_values_supported",
            "issuer",
            "jwks_uri",
            "response_types_supported",
            "scopes_supported",
            "subject_types_supported",
            "token_endpoint",
        ]
    );
}

/// RFC 8414 §2.1
async fn the_document_may_be_signed(store: StoreKind) {
    let server = TestServer::with_settings(store, "[metadata]\nsigned = true").await;
    let client = server.register("svc", service()).await;
    let mut metadata = document(&client).await;
    let jwt = metadata.as_object_mut().unwrap().remove("signed_metadata").unwrap();
    let mut claims = verified(&client, jwt.as_str().unwrap()).await;
    let claims = claims.as_object_mut().unwrap();
    assert_eq!(claims.remove("iss").unwrap(), json!(server.issuer));
    claims.remove("iat").unwrap();
    assert_eq!(Value::Object(claims.clone()), metadata);
}

/// The document changes with what it says, without a restart.
async fn a_key_of_another_algorithm_is_named_at_once(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let named = async || document(&client).await["id_token_signing_alg_values_supported"].clone();
    assert_eq!(named().await, json!(["ES256", "HS256", "HS384", "HS512"]));
    let algorithm = Some(SigningAlgorithm::EdDSA.into());
    let operation = Operation::RotateKey { algorithm };
    server
        .act(|services| async move { perform(&services, operation, "test").await.unwrap() })
        .await;
    let all = json!(["ES256", "EdDSA", "HS256", "HS384", "HS512"]);
    until("the algorithm is named", async || named().await == all).await;
}
