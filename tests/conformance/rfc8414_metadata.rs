//! Server metadata (RFC 8414, OpenID Connect Discovery §3) and keys (RFC 7517).

use serde_json::{Value, json};

use crate::support::{Answer, RelyingParty, StoreKind, TestServer, public, service};

both_stores! {
    both_documents_are_the_same_and_true,
    every_endpoint_named_is_there,
    metadata_and_keys_are_for_scripts_of_all,
    other_answers_are_for_scripts_of_the_client_only,
    no_key_has_a_private_part_and_each_has_a_name,
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
    let settings = "[keys]\nextra_algorithms = [\"RS256\", \"EdDSA\"]";
    let server = TestServer::with_settings(store, settings).await;
    let client = server.register("svc", service()).await;
    let answer = client.get("/jwks").await;
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let mut algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"]);
    let names: std::collections::BTreeSet<_> =
        keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(names.len(), keys.len());
    for key in &keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private} is published");
        }
    }
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
