//! `prompt`, `max_age`, `display` and what a client demands of every request:
//! OpenID Connect Core §3.1.2.1, OpenID Connect Registration §2.

use chancery_domain::client::ClientMetadata;
use chancery_domain::time::Lifetime;
use serde_json::json;

use crate::support::{
    BEGINNING, Page, Scene, StoreKind, Tokens, claims, confidential, good_request_but,
};

both_stores! {
    a_person_chooses_the_account_they_are_logged_in_with,
    a_person_chooses_another_account,
    a_person_chooses_nothing,
    nobody_chooses_where_nobody_is_logged_in,
    a_choice_is_no_login,
    a_choice_is_for_the_person_who_was_asked,
    a_choice_comes_from_our_page,
    a_client_s_own_max_age_counts,
    a_client_may_have_people_log_in_each_time,
    unknown_prompts_are_refused,
    every_display_is_answered,
    a_login_hint_is_filled_in,
    the_metadata_name_the_prompts,
}

const SELECT: (&str, &str) = ("prompt", "select_account");

/// Ada is logged in, has consented, and comes to the page.
async fn asked(scene: &mut Scene, changes: &[(&str, &str)]) -> Page {
    scene.tokens(&[]).await;
    scene.server.advance(5);
    open(scene, changes).await
}

async fn open(scene: &mut Scene, changes: &[(&str, &str)]) -> Page {
    let url = scene.rp.authorize_url(&good_request_but(changes));
    scene.browser.open(&url).await.shows("select-form")
}

async fn auth_time(scene: &Scene, code: &str) -> i64 {
    let tokens = Tokens::of(&scene.rp.redeem(code).await.ok());
    claims(tokens.id())["auth_time"].as_i64().unwrap() - BEGINNING.seconds()
}

async fn a_person_chooses_the_account_they_are_logged_in_with(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = asked(&mut scene, &[SELECT]).await;
    assert!(page.url.path().ends_with("/select_account"), "{}", page.url);
    assert!(page.html.contains("Ada Lovelace") && page.html.contains("The App"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let place = scene.browser.submit(&page, "select-form", &[("action", "current")]).await;
    let code = place.returned().code().to_owned();
    assert_eq!(auth_time(&scene, &code).await, 0);
    // A pushed request comes to the page, too.
    let url = scene.rp.pushed_url(&good_request_but(&[SELECT])).await;
    let page = scene.browser.open(&url).await.shows("select-form");
    let place = scene.browser.submit(&page, "select-form", &[("action", "current")]).await;
    place.returned().code();
}

async fn a_person_chooses_another_account(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let bob = scene.server.account("bob").await.to_string();
    let page = asked(&mut scene, &[SELECT]).await;
    let place = scene.browser.submit(&page, "select-form", &[("action", "another")]).await;
    let page = place.shows("login-form");
    let page = scene.browser.log_in(&page, "bob").await.shows("consent-form");
    let returned = scene.browser.answer(&page, "allow").await.returned();
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert_eq!(claims(tokens.id())["sub"], bob);
}

async fn a_person_chooses_nothing(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = asked(&mut scene, &[SELECT, ("state", "s1")]).await;
    let place = scene.browser.submit(&page, "select-form", &[("action", "cancel")]).await;
    let returned = place.returned();
    assert_eq!((returned.error(), returned.get("state")), ("access_denied", Some("s1")));
}

async fn nobody_chooses_where_nobody_is_logged_in(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request_but(&[SELECT]));
    scene.browser.open(&url).await.shows("login-form");
    // Nor after they have logged out in another tab.
    let page = asked(&mut scene, &[SELECT]).await;
    scene.browser.cookies.clear();
    scene.browser.open(page.url.as_str()).await.shows("login-form");
}

/// OpenID Connect Core §3.1.2.1: `login` and `max_age` count beside it.
async fn a_choice_is_no_login(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    scene.server.advance(5);
    for changes in
        [[("prompt", "select_account login"), ("max_age", "")], [SELECT, ("max_age", "1")]]
    {
        let page = open(&mut scene, &changes).await;
        let place = scene.browser.submit(&page, "select-form", &[("action", "current")]).await;
        place.shows("login-form");
    }
}

async fn a_choice_is_for_the_person_who_was_asked(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.server.account("bob").await;
    let adas = asked(&mut scene, &[SELECT]).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("prompt", "login")]));
    scene.browser.go_through(&url, "bob").await.code();
    let place = scene.browser.submit(&adas, "select-form", &[("action", "current")]).await;
    let page = place.shows("select-form");
    assert_eq!(page.status, 400);
}

/// Cross-site request forgery.
async fn a_choice_comes_from_our_page(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = asked(&mut scene, &[SELECT]).await;
    let interaction = page.hidden("select-form", "interaction");
    let csrf = page.hidden("select-form", "csrf");
    let address = format!("{}/select_account", scene.server.issuer);
    let fields = [("interaction", &*interaction), ("action", "current")];
    let place = scene.browser.post(&address, &fields).await;
    assert_eq!(place.shows("select-form").status, 400);
    let fields = [&fields[..], &[("csrf", &*csrf)]].concat();
    let place = scene.browser.post_from("https://evil.example", &address, &fields).await;
    assert_eq!(place.shows("select-form").status, 400);
    scene.browser.post(&address, &fields).await.returned().code();
}

/// OpenID Connect Registration §2, `default_max_age`
async fn a_client_s_own_max_age_counts(store: StoreKind) {
    let metadata =
        ClientMetadata { default_max_age: Some(Lifetime::from_seconds(60)), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    scene.tokens(&[]).await;
    scene.server.advance(60);
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    scene.browser.open(&url).await.returned().code();
    scene.server.advance(1);
    scene.browser.open(&url).await.shows("login-form");
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    assert_eq!(scene.browser.open(&silent).await.returned().error(), "login_required");
    // The request's own counts before it.
    let longer = scene.rp.authorize_url(&good_request_but(&[("max_age", "1000")]));
    scene.browser.open(&longer).await.returned().code();
}

async fn a_client_may_have_people_log_in_each_time(store: StoreKind) {
    let metadata = ClientMetadata { default_prompt_login: true, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    scene.tokens(&[]).await;
    for url in [
        scene.rp.authorize_url(&good_request_but(&[])),
        scene.rp.pushed_url(&good_request_but(&[])).await,
    ] {
        scene.browser.open(&url).await.shows("login-form");
    }
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    assert_eq!(scene.browser.open(&silent).await.returned().error(), "login_required");
}

/// OpenID Connect Core §3.1.2.1, §3.1.2.6
async fn unknown_prompts_are_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for prompt in ["dance", "login dance", "none login", "none select_account", "create"] {
        let request = good_request_but(&[("prompt", prompt)]);
        let returned = scene.browser.open(&scene.rp.authorize_url(&request)).await.returned();
        assert_eq!(returned.error(), "invalid_request", "{prompt}");
        scene.rp.push(&request).await.refused(400, "invalid_request");
    }
}

/// OpenID Connect Core §3.1.2.1, §15.1: no display is an error.
async fn every_display_is_answered(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for display in ["page", "popup", "touch", "wap", "hologram"] {
        let request = good_request_but(&[("display", display), ("claims_locales", "de")]);
        let url = scene.rp.authorize_url(&request);
        scene.browser.open(&url).await.shows("login-form");
    }
}

/// OpenID Connect Core §3.1.2.1
async fn a_login_hint_is_filled_in(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let request = good_request_but(&[("login_hint", "ada"), ("ui_locales", "fr de")]);
    let page = scene.browser.open(&scene.rp.authorize_url(&request)).await.shows("login-form");
    assert!(page.html.contains("value=\"ada\""), "{}", page.html);
    assert!(page.html.contains("<html lang=\"de\">"), "{}", page.html);
}

/// OpenID Connect Discovery §3, Initiating User Registration §4
async fn the_metadata_name_the_prompts(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    let prompts = json!(["none", "login", "consent", "select_account"]);
    assert_eq!(metadata["prompt_values_supported"], prompts);
    let displays = json!(["page", "popup", "touch", "wap"]);
    assert_eq!(metadata["display_values_supported"], displays);
}
