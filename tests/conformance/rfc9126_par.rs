//! Pushed authorization requests (RFC 9126).

use chancery_domain::client::ClientMetadata;
use chancery_domain::time::Lifetime;

use crate::support::{StoreKind, TestServer, confidential, good_request, good_request_but, public};

both_stores! {
    a_push_is_answered_with_a_request_uri,
    a_push_is_one_event_without_its_secrets,
    a_request_uri_inside_of_a_push_is_refused,
    a_request_that_would_fail_later_is_refused_at_the_push,
    a_client_must_push_for_itself,
    the_lifetime_is_the_client_s_own,
    public_clients_have_a_budget,
    public_clients_can_be_kept_out,
    a_request_uri_carries_enough_entropy,
}

/// RFC 9126 §2.2
async fn a_push_is_answered_with_a_request_uri(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let pushed = rp.push(&good_request()).await.succeeded(201);
    assert_eq!(pushed["expires_in"], 600);
    let request_uri = pushed["request_uri"].as_str().unwrap();
    assert!(request_uri.starts_with("urn:ietf:params:oauth:request_uri:"), "{request_uri}");
    assert_eq!(pushed.as_object().unwrap().len(), 2);
}

async fn a_push_is_one_event_without_its_secrets(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let more = [("state", "my-state-1"), ("nonce", "my-nonce-1"), ("login_hint", "ada-1")];
    let pushed = rp.push(&good_request_but(&more)).await.succeeded(201);
    assert_eq!(server.only_grant().await, ["RequestPushed"]);
    let log = server.log().await;
    let pushing = log.last().unwrap();
    let request_uri = pushed["request_uri"].as_str().unwrap();
    let handle = request_uri.rsplit(':').next().unwrap();
    for secret in ["my-state-1", "my-nonce-1", "ada-1", handle] {
        assert!(!pushing.event.payload.contains(secret), "{secret} stands in the log");
        assert!(!pushing.event.metadata.contains(secret), "{secret} stands in the log");
    }
}

/// RFC 9126 §2.1
async fn a_request_uri_inside_of_a_push_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let pushed = rp.push(&good_request()).await.succeeded(201);
    let request_uri = pushed["request_uri"].as_str().unwrap();
    for uri in [request_uri, "https://rp.example/request.jwt"] {
        let answer = rp.push(&good_request_but(&[("request_uri", uri)])).await;
        answer.refused(400, "invalid_request");
    }
}

/// RFC 9126 §2.3, RFC 7636 §4.4.1
async fn a_request_that_would_fail_later_is_refused_at_the_push(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let app = server.register("app", public()).await;
    for (change, error) in [
        (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
        (("redirect_uri", "https://rp.example/cb?x=1"), "invalid_request"),
        (("redirect_uri", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("response_mode", "pigeon"), "invalid_request"),
        (("scope", "admin"), "invalid_scope"),
        (("scope", "a\"b"), "invalid_scope"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge", "too-short"), "invalid_request"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "soon"), "invalid_request"),
        (("request", "e.y.J"), "request_not_supported"),
    ] {
        for client in [&rp, &app] {
            let answer = client.push(&good_request_but(&[change])).await;
            answer.refused(400, error);
        }
    }
    let repeated = [&good_request()[..], &[("state", "1"), ("state", "2")]].concat();
    rp.push(&repeated).await.refused(400, "invalid_request");
    let without = good_request_but(&[("code_challenge", ""), ("code_challenge_method", "")]);
    app.push(&without).await.refused(400, "invalid_request");
    rp.push(&without).await.succeeded(201);
    assert_eq!(server.grants().await.len(), 1, "what is refused is not kept");
}

/// RFC 9126 §2.1: the client_id of the request is the client's own.
async fn a_client_must_push_for_itself(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    server.register("other", confidential()).await;
    let answer = rp.push(&good_request_but(&[("client_id", "other")])).await;
    answer.refused(400, "invalid_request");
    rp.push(&good_request_but(&[("client_id", "rp")])).await.succeeded(201);
}

/// RFC 9126 §2.2: `expires_in` is positive; conformance suites want five seconds
/// and more.
async fn the_lifetime_is_the_client_s_own(store: StoreKind) {
    let server = TestServer::start(store).await;
    let lifetime = Some(Lifetime::from_seconds(5));
    let metadata = ClientMetadata { par_lifetime: lifetime, ..confidential() };
    let rp = server.register("rp", metadata).await;
    assert_eq!(rp.push(&good_request()).await.succeeded(201)["expires_in"], 5);
}

/// RFC 9126 §7.2 (nobody vouches for a public client)
async fn public_clients_have_a_budget(store: StoreKind) {
    let settings = "[limits]\npublic_pushes_per_minute = 3";
    let server = TestServer::with_settings(store, settings).await;
    let app = server.register("app", public()).await;
    let other = server.register("other", public()).await;
    let rp = server.register("rp", confidential()).await;
    for _ in 0..3 {
        app.push(&good_request()).await.succeeded(201);
    }
    for _ in 0..2 {
        let answer = app.push(&good_request()).await;
        answer.refused(429, "temporarily_unavailable");
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
    }
    other.push(&good_request()).await.succeeded(201);
    for _ in 0..5 {
        rp.push(&good_request()).await.succeeded(201);
    }
    server.advance(60);
    app.push(&good_request()).await.succeeded(201);
}

async fn public_clients_can_be_kept_out(store: StoreKind) {
    let settings = "[authorization]\npar_public_clients = false";
    let server = TestServer::with_settings(store, settings).await;
    let app = server.register("app", public()).await;
    app.push(&good_request()).await.refused(400, "unauthorized_client");
}

/// RFC 9126 §7.1
async fn a_request_uri_carries_enough_entropy(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let pushed = rp.push(&good_request()).await.succeeded(201);
        let uri = pushed["request_uri"].as_str().unwrap();
        let handle = uri.rsplit(':').next().unwrap();
        assert!(handle.len() >= 64, "{handle}");
        assert!(seen.insert(handle[handle.len() - 42..].to_owned()), "twice the same");
    }
}
