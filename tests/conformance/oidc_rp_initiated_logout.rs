//! OpenID Connect RP-Initiated Logout 1.0.

use chancery::jose::JwkSet;
use chancery::jose::jwe::{Encryption, EncryptionKey, encrypt};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use reqwest::Method;

use crate::support::{
    Form, Page, Place, Scene, StoreKind, confidential, form, good_request_but, public,
};

both_stores! {
    an_id_token_of_the_session_ends_it_at_once,
    an_expired_hint_is_as_good,
    a_hint_may_be_encrypted_to_us,
    the_state_comes_back,
    without_a_hint_the_person_is_asked,
    with_the_hint_of_another_session_the_person_is_asked,
    a_person_may_stay,
    an_unregistered_uri_is_never_gone_to,
    a_uri_of_nobody_is_never_gone_to,
    a_hint_that_is_not_ours_is_not_believed,
    a_hint_of_another_client_is_refused,
    a_client_that_is_not_known_is_refused,
    a_parameter_given_twice_is_refused,
    a_form_of_another_site_works,
    nobody_logged_in_is_logged_out_already,
    people_log_out_by_themselves,
    the_metadata_names_the_endpoint,
}

const BYE: &str = "https://rp.example/bye?x=1";

fn with_bye(metadata: ClientMetadata) -> ClientMetadata {
    let uris = vec![RedirectUri::parse(BYE).unwrap()];
    ClientMetadata { post_logout_redirect_uris: uris, ..metadata }
}

async fn scene(store: StoreKind) -> Scene {
    Scene::with(store, "", with_bye(confidential())).await
}

fn url(scene: &Scene, parameters: &Form<'_>) -> String {
    format!("{}/end_session?{}", scene.server.issuer, form(parameters))
}

async fn ask(scene: &mut Scene, parameters: &Form<'_>) -> Place {
    let url = url(scene, parameters);
    scene.browser.open(&url).await
}

/// Is nobody logged in with this browser?
async fn is_out(scene: &mut Scene) -> bool {
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    let returned = scene.browser.open(&silent).await.returned();
    returned.get("error") == Some("login_required")
}

async fn confirm(scene: &mut Scene, page: &Page, action: &str) -> Place {
    scene.browser.submit(page, "logout-form", &[("action", action)]).await
}

/// §2: the `sid` of the hint is that of the session.
async fn an_id_token_of_the_session_ends_it_at_once(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    assert!(!is_out(&mut scene).await);
    let hint = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    let returned = ask(&mut scene, &hint).await.returned();
    assert_eq!(returned.to, "https://rp.example/bye");
    assert_eq!(returned.parameters, [("x".to_owned(), "1".to_owned())]);
    assert!(is_out(&mut scene).await);
    let log = scene.server.log().await;
    let end = log.iter().find(|stored| stored.event.event_type == "SessionEnded").unwrap();
    assert!(end.event.metadata.contains("\"client_id\":\"rp\""), "{}", end.event.metadata);
}

/// §2: the OP should accept a hint that has expired.
async fn an_expired_hint_is_as_good(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    scene.server.advance(6 * 3600);
    ask(&mut scene, &[("id_token_hint", tokens.id())]).await.shows("logged-out-page");
    assert!(is_out(&mut scene).await);
}

/// §2, §3
/// §2, OpenID Connect Core §3.1.2.1: encrypted to a key that we publish.
async fn a_hint_may_be_encrypted_to_us(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    let keys: JwkSet = serde_json::from_value(scene.rp.get("/jwks").await.json()).unwrap();
    let (alg, enc) = (KeyManagementAlgorithm::EcdhEs, ContentEncryption::A128Gcm);
    let key = EncryptionKey::choose(&keys.keys, alg).expect("a key to encrypt to");
    let how = Encryption { alg, enc, cty: Some("JWT"), typ: None };
    let hint = |token: &str| encrypt(&key, &how, token.as_bytes()).unwrap();
    let silent = [("prompt", "none"), ("id_token_hint", &*hint(tokens.id()))];
    let silent = scene.rp.authorize_url(&good_request_but(&silent));
    scene.browser.open(&silent).await.returned().code();
    // What is in it has to be signed by us all the same.
    let bad = [("id_token_hint", &*hint("e30.e30.e30"))];
    ask(&mut scene, &bad).await.error_page("invalid_request");
    let wish = [("id_token_hint", &*hint(tokens.id())), ("post_logout_redirect_uri", BYE)];
    ask(&mut scene, &wish).await.returned();
    assert!(is_out(&mut scene).await);
}

async fn the_state_comes_back(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    let hint = [
        ("id_token_hint", tokens.id()),
        ("client_id", "rp"),
        ("post_logout_redirect_uri", BYE),
        ("state", "a b&c"),
        ("ui_locales", "de en"),
        ("logout_hint", "ada"),
    ];
    let returned = ask(&mut scene, &hint).await.returned();
    assert_eq!(returned.get("state"), Some("a b&c"));
    assert_eq!(returned.get("x"), Some("1"));
}

/// §6: anybody can make a browser come here.
async fn without_a_hint_the_person_is_asked(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.tokens(&[]).await;
    let plain = [("client_id", "rp"), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let page = ask(&mut scene, &plain).await.shows("logout-form");
    assert!(page.html.contains("The App"), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https://rp.example;"), "{policy}");
    assert!(!is_out(&mut scene).await);
    let returned = confirm(&mut scene, &page, "logout").await.returned();
    assert_eq!(returned.to, "https://rp.example/bye");
    assert_eq!(returned.get("state"), Some("s"));
    assert!(is_out(&mut scene).await);
}

async fn with_the_hint_of_another_session_the_person_is_asked(store: StoreKind) {
    let mut scene = scene(store).await;
    let old = scene.tokens(&[]).await;
    ask(&mut scene, &[("id_token_hint", old.id())]).await.shows("logged-out-page");
    scene.tokens(&[]).await;
    let page = ask(&mut scene, &[("id_token_hint", old.id())]).await.shows("logout-form");
    assert!(!is_out(&mut scene).await);
    confirm(&mut scene, &page, "logout").await.shows("logged-out-page");
    assert!(is_out(&mut scene).await);
}

async fn a_person_may_stay(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.tokens(&[]).await;
    let plain = [("client_id", "rp"), ("post_logout_redirect_uri", BYE)];
    let page = ask(&mut scene, &plain).await.shows("logout-form");
    confirm(&mut scene, &page, "cancel").await.shows("logout-form");
    assert!(!is_out(&mut scene).await);
}

/// §3: exactly as registered, else nobody is redirected.
async fn an_unregistered_uri_is_never_gone_to(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    for uri in [
        "https://rp.example/bye",
        "https://rp.example/bye?x=1&y=2",
        "https://rp.example/bye?x=1#f",
        "https://RP.example/bye?x=1",
        "https://evil.example/",
        "//evil.example",
        "",
    ] {
        let wish = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", uri)];
        if uri.is_empty() {
            // A parameter without a value is not there (RFC 6749 §3.1).
            continue;
        }
        ask(&mut scene, &wish).await.error_page("invalid_request");
        let wish = [("client_id", "rp"), ("post_logout_redirect_uri", uri)];
        ask(&mut scene, &wish).await.error_page("invalid_request");
    }
    assert!(!is_out(&mut scene).await, "a request that is not right ends nothing");
}

/// §3: a URI without a client is nobody's.
async fn a_uri_of_nobody_is_never_gone_to(store: StoreKind) {
    let mut scene = scene(store).await;
    ask(&mut scene, &[("post_logout_redirect_uri", BYE)]).await.error_page("invalid_request");
}

/// §2: signed by this server, and not changed since.
async fn a_hint_that_is_not_ours_is_not_believed(store: StoreKind) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    let parts: Vec<&str> = tokens.id().split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let altered = {
        let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let claims = String::from_utf8(claims).unwrap().replace("\"rp\"", "\"qp\"");
        URL_SAFE_NO_PAD.encode(claims)
    };
    let hints = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{altered}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        tokens.access.clone(),
        "not a token".to_owned(),
    ];
    for hint in hints {
        let wish = [("id_token_hint", &*hint), ("post_logout_redirect_uri", BYE)];
        ask(&mut scene, &wish).await.error_page("invalid_request");
    }
    assert!(!is_out(&mut scene).await);
}

/// §2: `client_id` must be the one that the ID token was issued to.
async fn a_hint_of_another_client_is_refused(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.server.register("other", with_bye(public())).await;
    let tokens = scene.tokens(&[]).await;
    let wish =
        [("id_token_hint", tokens.id()), ("client_id", "other"), ("post_logout_redirect_uri", BYE)];
    ask(&mut scene, &wish).await.error_page("invalid_request");
    assert!(!is_out(&mut scene).await);
}

async fn a_client_that_is_not_known_is_refused(store: StoreKind) {
    let mut scene = scene(store).await;
    let wish = [("client_id", "nobody"), ("post_logout_redirect_uri", BYE)];
    ask(&mut scene, &wish).await.error_page("invalid_client");
}

async fn a_parameter_given_twice_is_refused(store: StoreKind) {
    let mut scene = scene(store).await;
    let wish =
        [("client_id", "rp"), ("post_logout_redirect_uri", BYE), ("post_logout_redirect_uri", BYE)];
    ask(&mut scene, &wish).await.error_page("invalid_request");
}

/// §2: POST too. The browser leaves the session's cookie away from what another site posts; the
/// GET that it is sent on with brings it.
async fn a_form_of_another_site_works(store: StoreKind) {
    let mut scene = scene(store).await;
    let tokens = scene.tokens(&[]).await;
    let fields =
        [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let url = format!("{}/end_session", scene.server.issuer);
    let bare = crate::support::Browser::new(&scene.server);
    let request = bare.request(Method::POST, &url);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.header("origin", "https://rp.example").body(form(&fields)).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 303);
    let onward = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(!is_out(&mut scene).await);
    let returned = scene.browser.open(&onward).await.returned();
    assert_eq!(returned.get("state"), Some("s"));
    assert!(is_out(&mut scene).await);
}

async fn nobody_logged_in_is_logged_out_already(store: StoreKind) {
    let mut scene = scene(store).await;
    ask(&mut scene, &[]).await.shows("logged-out-page");
    let wish = [("client_id", "rp"), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let returned = ask(&mut scene, &wish).await.returned();
    assert_eq!(returned.get("state"), Some("s"));
}

async fn people_log_out_by_themselves(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.tokens(&[]).await;
    let page = ask(&mut scene, &[]).await.shows("logout-form");
    confirm(&mut scene, &page, "logout").await.shows("logged-out-page");
    assert!(is_out(&mut scene).await);
}

/// §2.1
async fn the_metadata_names_the_endpoint(store: StoreKind) {
    let scene = scene(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    let endpoint = format!("{}/end_session", scene.server.issuer);
    assert_eq!(metadata["end_session_endpoint"], endpoint);
}
