//! Signed request objects, by reference (RFC 9101 §5.2, OpenID Connect Core
//! §6.2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery::jose::PrivateKey;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::keys_server::{Document, KeysServer};
use crate::support::request_object::{claims, signing};
use crate::support::{OPEN, REDIRECT_URI, Scene, StoreKind, TestServer, good_metadata_but};

both_stores! {
    an_object_is_fetched_and_alone_counts,
    only_registered_addresses_are_fetched,
    a_fragment_is_the_hash_of_the_object,
    an_object_is_kept_as_long_as_its_server_says,
    loopback_is_blocked_unless_the_operator_says_otherwise,
    what_is_no_object_is_refused,
    a_forged_object_is_refused,
    a_slow_server_keeps_nobody_else_waiting,
    where_it_is_switched_off_the_client_is_told,
    what_may_not_be_fetched_can_not_be_registered,
}

/// Loopback may be called, for request objects too.
const SETTINGS: &str = "[outbound]\nallow_loopback = true\nallow_http = true\ntimeout = 4\n\
                        [authorization]\nrequest_uri_blocked_hosts = []\n";

/// A client that keeps its requests on its own server.
struct Keeper {
    scene: Scene,
    key: PrivateKey,
    objects: KeysServer,
}

impl Keeper {
    async fn new(store: StoreKind) -> Self {
        Self::with(store, SETTINGS).await
    }

    async fn with(store: StoreKind, settings: &str) -> Self {
        let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
        let objects = KeysServer::serving(Document::object("")).await;
        let request_uris = vec![objects.uri.clone()];
        let metadata = ClientMetadata { request_uris, ..signing(&key) };
        let scene = Scene::with(store, settings, metadata).await;
        let keeper = Self { scene, key, objects };
        keeper.objects.serve(Document::object(&keeper.object(&json!({}))));
        keeper
    }

    fn object(&self, changes: &Value) -> String {
        let claims = claims(&self.scene.server.issuer, changes);
        self.key.sign("oauth-authz-req+jwt", &claims).unwrap()
    }

    /// With a redirect URI beside it, for errors.
    fn url(&self, request_uri: &str) -> String {
        let beside = [("redirect_uri", REDIRECT_URI), ("state", "beside")];
        let reference = [("request_uri", request_uri)];
        self.scene.rp.authorize_url(&[&reference[..], &beside].concat())
    }

    async fn is_refused(&mut self, request_uri: &str, error: &str) {
        let url = self.url(request_uri);
        let returned = self.scene.browser.open(&url).await.returned();
        let told = (returned.error(), returned.get("state"));
        assert_eq!(told, (error, Some("beside")), "{request_uri}");
    }

    async fn is_taken(&mut self, request_uri: &str) {
        let url = self.url(request_uri);
        self.scene.browser.open(&url).await.shows("login-form");
    }
}

async fn an_object_is_fetched_and_alone_counts(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    keeper.objects.serve(Document::object(&keeper.object(&json!({"state": "inside"}))));
    let url = keeper.scene.rp.authorize_url(&[("request_uri", &uri)]);
    let url = format!("{url}&state=beside&scope=admin&response_type=token");
    let returned = keeper.scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.get("state"), Some("inside"));
    keeper.scene.rp.redeem(returned.code()).await.ok();
    // RFC 9126 §2.1: not in a push.
    let pushed = keeper.scene.rp.push(&[("request_uri", &uri)]).await;
    pushed.refused(400, "invalid_request");
    assert_eq!(keeper.objects.asked(), 1);
}

/// RFC 9101 §10.4
async fn only_registered_addresses_are_fetched(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    for other in [&format!("{uri}?x=1"), &format!("{uri}/"), "https://rp.example/r", "file:///x"] {
        keeper.is_refused(other, "invalid_request_uri").await;
    }
    let url = keeper.scene.rp.authorize_url(&[("request_uri", "https://rp.example/r")]);
    let returned = keeper.scene.browser.open(&url).await.returned();
    assert_eq!(returned.error(), "invalid_request_uri");
    assert_eq!(keeper.objects.asked(), 0);
    // The registration of one client is not another's.
    keeper.scene.server.register("other", signing(&keeper.key)).await;
    let url = keeper.url(&uri).replace("client_id=rp", "client_id=other");
    let returned = keeper.scene.browser.open(&url).await.returned();
    assert_eq!(returned.error(), "invalid_request_uri");
    assert_eq!(keeper.objects.asked(), 0);
}

/// OpenID Connect Core §6.2
async fn a_fragment_is_the_hash_of_the_object(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let object = keeper.object(&json!({"state": "1"}));
    let hash = |body: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    };
    keeper.objects.serve(Document::object(&object));
    let uri = format!("{}#{}", keeper.objects.uri, hash(&object));
    keeper.is_taken(&uri).await;
    // What its hash names is kept for a while.
    keeper.is_taken(&uri).await;
    assert_eq!(keeper.objects.asked(), 1);
    let next = keeper.object(&json!({"state": "2"}));
    keeper.objects.serve(Document::object(&next));
    keeper.is_taken(&uri).await;
    let other = format!("{}#{}", keeper.objects.uri, hash(&next));
    keeper.is_taken(&other).await;
    assert_eq!(keeper.objects.asked(), 2);
    let wrong = format!("{}#{}", keeper.objects.uri, hash("x"));
    keeper.is_refused(&wrong, "invalid_request_uri").await;
    keeper.scene.server.advance(299);
    keeper.is_taken(&other).await;
    assert_eq!(keeper.objects.asked(), 3);
    keeper.scene.server.advance(1);
    keeper.is_refused(&uri, "invalid_request_uri").await;
    assert_eq!(keeper.objects.asked(), 4);
}

async fn an_object_is_kept_as_long_as_its_server_says(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    let mut document = Document::object(&keeper.object(&json!({"exp": null})));
    keeper.objects.serve(document.clone());
    // Nothing is said: it may be another one the next time.
    keeper.is_taken(&uri).await;
    keeper.is_taken(&uri).await;
    assert_eq!(keeper.objects.asked(), 2);
    document.headers.push_str("cache-control: max-age=60\r\n");
    keeper.objects.serve(document);
    for _ in 0..3 {
        keeper.is_taken(&uri).await;
    }
    assert_eq!(keeper.objects.asked(), 3);
    keeper.scene.server.advance(60);
    keeper.is_taken(&uri).await;
    assert_eq!(keeper.objects.asked(), 4);
}

/// RFC 9101 §10.4.1
async fn loopback_is_blocked_unless_the_operator_says_otherwise(store: StoreKind) {
    let callable = "[outbound]\nallow_loopback = true\nallow_http = true\n";
    for settings in ["", callable] {
        let mut keeper = Keeper::with(store, settings).await;
        let uri = keeper.objects.uri.clone();
        keeper.is_refused(&uri, "invalid_request_uri").await;
        assert_eq!(keeper.objects.asked(), 0);
    }
}

/// RFC 9101 §10.4.1
async fn what_is_no_object_is_refused(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    let good = Document::object(&keeper.object(&json!({})));
    let elsewhere = KeysServer::serving(good.clone()).await;
    let html = "content-type: text/html\r\n".to_owned();
    let moved = format!("location: {}\r\n", elsewhere.uri);
    for bad in [
        good.clone().with(404),
        good.clone().with(500),
        Document { headers: html, ..good.clone() },
        Document { headers: moved, ..good.clone().with(302) },
        Document { body: "x".repeat(200_000), ..good.clone() },
    ] {
        keeper.objects.serve(bad);
        keeper.is_refused(&uri, "invalid_request_uri").await;
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
    for typ in ["application/jwt", "application/oauth-authz-req+jwt;charset=utf-8"] {
        let headers = format!("content-type: {typ}\r\n");
        keeper.objects.serve(Document { headers, ..good.clone() });
        keeper.is_taken(&uri).await;
    }
}

/// RFC 9101 §6.2
async fn a_forged_object_is_refused(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    let claims = claims(&keeper.scene.server.issuer, &json!({}));
    let foreign = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let unsigned = crate::support::request_object::unsigned(&json!({"alg": "none"}), &claims);
    for object in [&foreign.sign("JWT", &claims).unwrap(), &unsigned, ""] {
        keeper.objects.serve(Document::object(object));
        keeper.is_refused(&uri, "invalid_request_object").await;
    }
}

async fn a_slow_server_keeps_nobody_else_waiting(store: StoreKind) {
    let mut keeper = Keeper::new(store).await;
    let uri = keeper.objects.uri.clone();
    let slow = Document::object(&keeper.object(&json!({})));
    keeper.objects.serve(Document { delay: Duration::from_secs(20), ..slow });
    let url = keeper.url(&uri);
    // More than there are threads.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (mut browser, url) = (keeper.scene.browser.clone(), url.clone());
            tokio::spawn(async move { browser.open(&url).await.returned() })
        })
        .collect();
    crate::support::until("the fetches", || async { keeper.objects.asked() == 8 }).await;
    let by_value = keeper.object(&json!({}));
    let url = keeper.scene.rp.authorize_url(&[("request", &by_value)]);
    keeper.scene.browser.open(&url).await.shows("login-form");
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    // The limit of `outbound.timeout`.
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().error(), "invalid_request_uri");
    }
}

/// OpenID Connect Core §6.2, Discovery §3
async fn where_it_is_switched_off_the_client_is_told(store: StoreKind) {
    for (setting, supported) in [("", true), ("request_uri_parameter = false", false)] {
        let mut keeper = Keeper::with(store, &format!("{SETTINGS}{setting}")).await;
        let uri = keeper.objects.uri.clone();
        if supported {
            keeper.is_taken(&uri).await;
        } else {
            keeper.is_refused(&uri, "request_uri_not_supported").await;
            assert_eq!(keeper.objects.asked(), 0);
        }
        // What was pushed is another thing (RFC 9126 §5).
        let object = keeper.object(&json!({}));
        let url = keeper.scene.rp.pushed_url(&[("request", &object)]).await;
        keeper.scene.browser.open(&url).await.shows("login-form");
        let metadata = keeper.scene.rp.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["request_uri_parameter_supported"], supported);
        let required = metadata.get("require_request_uri_registration");
        assert_eq!(required, supported.then_some(&json!(true)));
    }
}

/// OpenID Connect Registration §2, `request_uris`
async fn what_may_not_be_fetched_can_not_be_registered(store: StoreKind) {
    let server = TestServer::with_settings(store, OPEN).await;
    for (uri, status) in [
        ("https://rp.example/request.jwt#x", 201),
        ("https://localhost/request.jwt", 400),
        ("https://127.0.0.2/request.jwt", 400),
        ("http://rp.example/request.jwt", 400),
    ] {
        let metadata = good_metadata_but(&json!({ "request_uris": [uri] }));
        let answer = server.registration(Method::POST, "/register", None, Some(&metadata)).await;
        assert_eq!(answer.status, status, "{uri} {answer:?}");
    }
}
