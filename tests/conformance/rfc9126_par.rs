//! Pushed authorization requests (RFC 9126).

use chancery_domain::client::ClientMetadata;
use chancery_domain::time::Lifetime;

use crate::support::{
    Scene, StoreKind, TestServer, confidential, good_request, good_request_but, public,
};

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
    a_request_uri_is_for_its_own_client,
    a_request_uri_ends_with_its_time,
    a_request_uri_is_used_once,
    a_page_can_be_loaded_again_before_the_login_and_after,
    what_stands_beside_a_request_uri_is_ignored,
    a_request_uri_that_was_never_given_is_told_to_the_person,
    an_unpushed_request_is_refused_where_pushing_is_required,
    a_login_may_take_longer_than_the_request_uri,
    a_pushed_request_can_be_posted,
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
        (("request", "e.y.J"), "invalid_request_object"),
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

/// RFC 9126 §2.1: the `client_id` of the request is the client's own.
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

/// RFC 9126 §2.2, §7.4
async fn a_request_uri_is_for_its_own_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let other = scene.server.register("other", confidential()).await;
    let pushed = scene.rp.push(&good_request()).await.succeeded(201);
    let request_uri = [("request_uri", pushed["request_uri"].as_str().unwrap())];
    scene.browser.open(&other.authorize_url(&request_uri)).await.error_page("invalid_request_uri");
    let nobody = format!("{}&x", other.authorize_url(&request_uri)).replace("other", "nobody");
    scene.browser.open(&nobody).await.error_page("invalid_client");
    scene.browser.go_through(&scene.rp.authorize_url(&request_uri), "ada").await.code();
}

/// RFC 9126 §2.2
async fn a_request_uri_ends_with_its_time(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    scene.server.advance(599);
    scene.browser.open(&url).await.shows("login-form");
    scene.server.advance(1);
    scene.browser.open(&url).await.error_page("invalid_request_uri");
}

/// RFC 9126 §7.3
async fn a_request_uri_is_used_once(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    scene.browser.open(&url).await.error_page("invalid_request_uri");
    scene.rp.redeem(&code).await.ok();
    scene.browser.open(&url).await.error_page("invalid_request_uri");

    let url = scene.rp.pushed_url(&good_request_but(&[("prompt", "consent")])).await;
    let page = scene.browser.open(&url).await.shows("consent-form");
    assert_eq!(scene.browser.answer(&page, "deny").await.returned().error(), "access_denied");
    scene.browser.open(&url).await.error_page("invalid_request_uri");
}

/// RFC 9126 §7.3: a person who loads the page again is no attacker.
async fn a_page_can_be_loaded_again_before_the_login_and_after(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.open(&url).await.shows("login-form");
    // The login page by its own address, too.
    let page = scene.browser.open(page.url.as_str()).await.shows("login-form");
    let consent = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    scene.browser.open(consent.url.as_str()).await.shows("consent-form");
    let consent = scene.browser.open(&url).await.shows("consent-form");
    scene.browser.answer(&consent, "allow").await.returned().code();
}

/// RFC 9126 §4, RFC 9101 §6.3
async fn what_stands_beside_a_request_uri_is_ignored(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request_but(&[("state", "pushed")])).await;
    for beside in [
        "&state=beside&scope=admin&redirect_uri=https%3A%2F%2Fevil.example%2F",
        "&response_type=token&prompt=none&max_age=x&response_mode=fragment",
        "&state=1&state=2&code_challenge_method=plain",
    ] {
        scene.browser.open(&format!("{url}{beside}")).await.shows("login-form");
    }
    let returned = scene.browser.go_through(&format!("{url}&state=beside"), "ada").await;
    assert_eq!(returned.get("state"), Some("pushed"));
    assert_eq!(returned.by, "query");

    let without = scene.rp.pushed_url(&good_request()).await;
    let returned = scene.browser.go_through(&format!("{without}&state=beside"), "ada").await;
    assert_eq!(returned.get("state"), None);
}

async fn a_request_uri_that_was_never_given_is_told_to_the_person(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    let cut = url[..url.len() - 4].to_owned();
    let forged = format!("{cut}{}", if url.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let before = scene.server.log().await;
    for wrong in [&cut, &forged, &format!("{url}AAAA")] {
        scene.browser.open(wrong).await.error_page("invalid_request_uri");
    }
    let made_up = [("request_uri", "urn:ietf:params:oauth:request_uri:x")];
    let made_up = scene.rp.authorize_url(&made_up);
    scene.browser.open(&made_up).await.error_page("invalid_request_uri");
    assert_eq!(scene.server.log().await, before);
    scene.browser.open(&url).await.shows("login-form");
}

/// RFC 9126 §5, §6
async fn an_unpushed_request_is_refused_where_pushing_is_required(store: StoreKind) {
    let strict_client =
        ClientMetadata { require_pushed_authorization_requests: true, ..confidential() };
    let strict_server = "[authorization]\nrequire_par = true";
    for (settings, metadata) in [("", strict_client), (strict_server, confidential())] {
        let mut scene = Scene::with(store, settings, metadata).await;
        let url = scene.rp.authorize_url(&good_request_but(&[("state", "s")]));
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!(returned.error(), "invalid_request");
        assert_eq!(returned.get("state"), Some("s"));
        let url = scene.rp.pushed_url(&good_request()).await;
        scene.browser.go_through(&url, "ada").await.code();
        let metadata = scene.rp.get("/.well-known/oauth-authorization-server").await.json();
        let told = &metadata["require_pushed_authorization_requests"];
        assert_eq!(told, !settings.is_empty());
    }
}

/// RFC 9126 §4: it must be good when the browser comes; a person may take their
/// time.
async fn a_login_may_take_longer_than_the_request_uri(store: StoreKind) {
    let par_lifetime = Some(Lifetime::from_seconds(5));
    let metadata = ClientMetadata { par_lifetime, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.server.advance(60);
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    scene.server.advance(60);
    scene.browser.answer(&page, "allow").await.returned().code();
}

/// RFC 6749 §3.1
async fn a_pushed_request_can_be_posted(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let pushed = scene.rp.push(&good_request()).await.succeeded(201);
    let request_uri = pushed["request_uri"].as_str().unwrap();
    let fields = [("client_id", "rp"), ("request_uri", request_uri)];
    let url = format!("{}/authorize", scene.server.address);
    let page = scene.browser.post_from("https://rp.example", &url, &fields).await;
    let page = page.shows("login-form");
    scene.browser.log_in(&page, "ada").await.shows("consent-form");
}
