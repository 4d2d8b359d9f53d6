//! Initiating User Registration via OpenID Connect 1.0: `prompt=create`, and the
//! page where people make their accounts.

use chancery_domain::ids::AggregateKind;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Browser, Page, Place, Scene, StoreKind, Tokens, claims, confidential, good_request_but,
};

both_stores! {
    it_is_off_by_default,
    a_person_makes_an_account_and_goes_on,
    the_page_comes_to_who_is_logged_in_too,
    a_person_makes_an_account_for_themselves,
    who_has_an_account_logs_in_instead,
    a_person_changes_their_mind,
    what_is_not_right_is_said_and_nothing_is_made,
    a_name_that_is_taken_is_not_had_twice,
    making_accounts_is_slowed_down,
    an_account_is_made_from_our_page_only,
    the_page_speaks_german,
}

const OPEN: &str = "[accounts]\nself_registration = true";
const NEW_PASSWORD: &str = "a long new password";
const CREATE: (&str, &str) = ("prompt", "create");

async fn scene(store: StoreKind) -> Scene {
    Scene::with(store, OPEN, confidential()).await
}

async fn open(scene: &mut Scene, changes: &[(&str, &str)]) -> Page {
    let request = good_request_but(&[&[CREATE], changes].concat());
    let url = scene.rp.authorize_url(&request);
    scene.browser.open(&url).await.shows("create-form")
}

/// Fills in the form, with these fields replaced.
async fn fill_in(browser: &mut Browser, page: &Page, changes: &[(&str, &str)]) -> Place {
    let mut fields = vec![
        ("username", "grace"),
        ("email", "grace@example.com"),
        ("new_password", NEW_PASSWORD),
        ("new_password_again", NEW_PASSWORD),
        ("action", "create"),
    ];
    fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    fields.extend(changes);
    browser.submit(page, "create-form", &fields).await
}

async fn accounts(scene: &Scene) -> usize {
    let log = scene.server.log().await;
    let made = log.iter().filter(|stored| {
        stored.event.stream.kind == AggregateKind::Account
            && stored.event.event_type == "AccountRegistered"
    });
    made.count()
}

/// §4.1.1: a value that is not supported is an invalid request; the metadata
/// don't name it.
async fn it_is_off_by_default(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let request = good_request_but(&[CREATE]);
    let returned = scene.browser.open(&scene.rp.authorize_url(&request)).await.returned();
    assert_eq!(returned.error(), "invalid_request");
    assert!(returned.get("error_description").unwrap().contains("prompt=create"));
    scene.rp.push(&request).await.refused(400, "invalid_request");
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert!(!metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")));
    for method in [Method::GET, Method::POST] {
        let request = scene.rp.request(method, "/create_account");
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    let url = format!("{}/login", scene.server.issuer);
    assert!(!scene.browser.open(&url).await.shows("login-form").has("login-create"));
}

/// §4
async fn a_person_makes_an_account_and_goes_on(store: StoreKind) {
    let mut scene = scene(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert!(metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")));
    let page = open(&mut scene, &[("scope", "openid email profile")]).await;
    assert!(page.url.path().ends_with("/create_account"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let page = fill_in(&mut scene.browser, &page, &[]).await.shows("consent-form");
    let returned = scene.browser.answer(&page, "allow").await.returned();
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    let told = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(told["preferred_username"], "grace");
    assert_eq!(told["email"], "grace@example.com");
    assert_eq!(told["email_verified"], false);
    assert_eq!(claims(tokens.id())["amr"], json!(["pwd"]));
    // The account is as good as any, in any browser, also by a pushed request.
    scene.browser = Browser::new(&scene.server);
    let url = scene.rp.pushed_url(&good_request_but(&[("scope", "openid email")])).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let place = scene.browser.try_password(&page, "grace", NEW_PASSWORD).await;
    place.returned().code();
    let log = scene.server.log().await;
    assert!(log.iter().all(|stored| !stored.event.payload.contains("grace")));
}

async fn the_page_comes_to_who_is_logged_in_too(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.tokens(&[]).await;
    let url = scene.rp.pushed_url(&good_request_but(&[CREATE])).await;
    let page = scene.browser.open(&url).await.shows("create-form");
    let page = fill_in(&mut scene.browser, &page, &[]).await.shows("consent-form");
    let returned = scene.browser.answer(&page, "allow").await.returned();
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert_ne!(claims(tokens.id())["sub"], scene.ada.to_string());
}

async fn a_person_makes_an_account_for_themselves(store: StoreKind) {
    let mut scene = scene(store).await;
    let url = format!("{}/login", scene.server.issuer);
    assert!(scene.browser.open(&url).await.shows("login-form").has("login-create"));
    let url = format!("{}/create_account", scene.server.issuer);
    let page = scene.browser.open(&url).await.shows("create-form");
    assert!(!page.has("create-cancel"));
    let place = fill_in(&mut scene.browser, &page, &[("email", "")]).await;
    place.shows("account-page");
}

async fn who_has_an_account_logs_in_instead(store: StoreKind) {
    let mut scene = scene(store).await;
    let page = open(&mut scene, &[]).await;
    let interaction = page.hidden("create-form", "interaction");
    let url = format!("{}/login?i={interaction}", scene.server.issuer);
    assert!(page.html.contains(&format!("/login?i={interaction}")));
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    scene.browser.answer(&page, "allow").await.returned().code();
}

async fn a_person_changes_their_mind(store: StoreKind) {
    let mut scene = scene(store).await;
    let page = open(&mut scene, &[("state", "s1")]).await;
    let place = fill_in(&mut scene.browser, &page, &[("action", "cancel")]).await;
    let returned = place.returned();
    assert_eq!((returned.error(), returned.get("state")), ("access_denied", Some("s1")));
    assert_eq!(accounts(&scene).await, 1);
}

async fn what_is_not_right_is_said_and_nothing_is_made(store: StoreKind) {
    let mut scene = scene(store).await;
    let mut page = open(&mut scene, &[]).await;
    let long = "x".repeat(129);
    for changes in [
        &[("username", "")][..],
        &[("username", &*long)],
        &[("email", "nobody")],
        &[("new_password", "short"), ("new_password_again", "short")],
        &[("new_password", "grace123"), ("new_password_again", "grace123")],
        &[("new_password", "aaaaaaaaaa"), ("new_password_again", "aaaaaaaaaa")],
        &[("new_password_again", "something else")],
        &[("new_password", ""), ("new_password_again", "")],
    ] {
        page = fill_in(&mut scene.browser, &page, changes).await.shows("create-error");
        assert_eq!(page.status, 400, "{changes:?}");
        assert!(!page.html.contains(NEW_PASSWORD));
    }
    assert_eq!(accounts(&scene).await, 1);
    fill_in(&mut scene.browser, &page, &[]).await.shows("consent-form");
}

async fn a_name_that_is_taken_is_not_had_twice(store: StoreKind) {
    let mut scene = scene(store).await;
    let mut page = open(&mut scene, &[]).await;
    for taken in ["ada", " ADA "] {
        let place = fill_in(&mut scene.browser, &page, &[("username", taken), ("email", "")]).await;
        page = place.shows("create-error");
        assert_eq!(page.status, 400);
    }
    // Her password is what it was.
    let mut other = Browser::new(&scene.server);
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    other.go_through(&url, "ada").await.code();
    assert_eq!(accounts(&scene).await, 1);
}

async fn making_accounts_is_slowed_down(store: StoreKind) {
    let mut scene = scene(store).await;
    let mut page = open(&mut scene, &[]).await;
    for _ in 0..3 {
        let place = fill_in(&mut scene.browser, &page, &[("username", "ada")]).await;
        page = place.shows("create-error");
        assert_eq!(page.status, 400);
    }
    let place = fill_in(&mut scene.browser, &page, &[("username", "ada")]).await;
    page = place.shows("create-error");
    assert_eq!(page.status, 429);
    assert!(page.header("retry-after").is_some());
}

/// Cross-site request forgery.
async fn an_account_is_made_from_our_page_only(store: StoreKind) {
    let mut scene = scene(store).await;
    let page = open(&mut scene, &[]).await;
    let csrf = page.hidden("create-form", "csrf");
    let interaction = page.hidden("create-form", "interaction");
    let address = format!("{}/create_account", scene.server.issuer);
    let fields = [
        ("interaction", &*interaction),
        ("username", "grace"),
        ("new_password", NEW_PASSWORD),
        ("new_password_again", NEW_PASSWORD),
    ];
    scene.browser.post(&address, &fields).await.shows("create-error");
    let fields = [&fields[..], &[("csrf", &*csrf)]].concat();
    let place = scene.browser.post_from("https://evil.example", &address, &fields).await;
    place.shows("create-error");
    assert_eq!(accounts(&scene).await, 1);
    scene.browser.post(&address, &fields).await.shows("consent-form");
}

async fn the_page_speaks_german(store: StoreKind) {
    let mut scene = scene(store).await;
    let page = open(&mut scene, &[("ui_locales", "de")]).await;
    assert!(page.html.contains("Konto anlegen"), "{}", page.html);
}
