//! What strangers can do: nothing that stays (design: only a correct secret
//! counts; what nobody vouches for is counted in windows).

use std::future::Future;

use chancery::tally;
use chancery_domain::client::{AccessTokenFormat, ClientMetadata};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    BEGINNING, Browser, Scene, StoreKind, Tokens, confidential, good_request, good_request_but,
};

both_stores! {
    a_wrong_secret_with_a_right_id_changes_nothing,
    a_flood_leaves_the_log_as_it_was_but_for_counters,
    counters_hold_nothing_that_strangers_wrote,
}

/// The same handle with another secret: each character changed that may be one
/// of the secret's, one at a time.
fn guesses(handle: &str) -> Vec<String> {
    // The first half may hold the id, which is not secret.
    (handle.len() / 2..handle.len())
        .map(|at| {
            let mut guess = handle.to_owned();
            let other = if &handle[at..=at] == "A" { "B" } else { "A" };
            guess.replace_range(at..=at, other);
            guess
        })
        .collect()
}

async fn a_wrong_secret_with_a_right_id_changes_nothing(store: StoreKind) {
    let metadata =
        ClientMetadata { access_token_format: Some(AccessTokenFormat::Opaque), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let thief = scene.server.register("thief", confidential()).await;

    // A code, before and after it is redeemed.
    let code = scene.code(&[("scope", "openid offline_access")]).await;
    let before = scene.server.log().await;
    for guess in guesses(&code) {
        scene.rp.redeem(&guess).await.invalid_grant();
    }
    thief.redeem(&guesses(&code)[0]).await.invalid_grant();
    assert_eq!(scene.server.log().await, before);
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    let before = scene.server.log().await;
    for guess in guesses(&code) {
        scene.rp.redeem(&guess).await.invalid_grant();
    }

    // A refresh token, and an opaque access token.
    for guess in guesses(tokens.refresh()) {
        scene.rp.refresh(&guess).await.invalid_grant();
        assert_eq!(scene.rp.revoke(&guess).await.status, 200);
        assert!(!scene.rp.is_alive(&guess).await);
    }
    for guess in guesses(&tokens.access) {
        assert_eq!(scene.rp.userinfo(&guess).await.status, 401);
        assert_eq!(scene.rp.revoke(&guess).await.status, 200);
        assert!(!scene.rp.is_alive(&guess).await);
    }
    assert_eq!(scene.server.log().await, before);
    assert!(scene.rp.is_alive(&tokens.access).await);
    scene.rp.refresh(tokens.refresh()).await.ok();

    // A request_uri.
    let url = scene.rp.pushed_url(&good_request_but(&[("prompt", "login")])).await;
    let (start, handle) = url.rsplit_once("%3A").unwrap();
    let before = scene.server.log().await;
    for guess in guesses(handle) {
        let url = format!("{start}%3A{guess}");
        Browser::new(&scene.server).open(&url).await.error_page("invalid_request_uri");
    }
    assert_eq!(scene.server.log().await, before);
    scene.browser.go_through(&url, "ada").await.code();
}

/// All that one can do who has no credentials at all, many times.
async fn flood(scene: &Scene, times: usize) {
    let rp = &scene.rp;
    let stranger = rp.clone().with_secret("wrong");
    let mut browser = Browser::new(&scene.server);
    for time in 0..times {
        let word = format!("evil-{time}");
        for path in ["/token", "/par", "/introspect", "/revoke"] {
            let forms = [
                vec![("client_id", &*word), ("client_secret", "evil-secret")],
                vec![("grant_type", &*word), ("client_id", "rp")],
                vec![("evil-name", &*word)],
            ];
            for form in &forms {
                let answer = rp.form(path, form).send().await.unwrap();
                assert!(answer.status().is_client_error());
            }
            stranger.post(path, &[("token", &*word)]).await.refused(401, "invalid_client");
            let junk = rp.request(Method::POST, path).body(vec![0xff; 100]);
            assert!(junk.send().await.unwrap().status().is_client_error());
        }
        stranger.redeem(&word).await.refused(401, "invalid_client");
        assert_eq!(rp.userinfo(&word).await.status, 401);

        let state = [("state", &*word)];
        for request in [
            rp.authorize_url(&good_request_but(&state)),
            rp.authorize_url(&good_request_but(&[("scope", &word)])),
            rp.authorize_url(&good_request_but(&[("prompt", "none"), ("nonce", &word)])),
            rp.authorize_url(&good_request_but(&[("redirect_uri", &word)])),
            rp.authorize_url(&[("request_uri", &word)]),
            format!("{}/authorize?client_id={word}", scene.server.issuer),
            format!("{}/login?i={word}", scene.server.issuer),
            format!("{}/consent?i={word}", scene.server.issuer),
            format!("{}/logout", scene.server.issuer),
            format!("{}/{word}", scene.server.issuer),
        ] {
            browser.open(&request).await;
        }
        let page = browser.open(&rp.authorize_url(&good_request())).await.shows("login-form");
        browser.try_password(&page, &word, "evil-password").await.shows("login-form");
        browser.try_password(&page, "ada", "evil-password").await.shows("login-form");
        browser.submit(&page, "login-form", &[("action", "cancel")]).await.returned();
    }
}

async fn a_flood_leaves_the_log_as_it_was_but_for_counters(store: StoreKind) {
    let scene = Scene::new(store).await;
    let before = scene.server.log().await;
    flood(&scene, 12).await;
    assert_eq!(scene.server.log().await, before);

    close_window(&scene).await;
    let after = scene.server.log().await;
    assert_eq!(after.len(), before.len() + 1);
    let counted = &after.last().unwrap().event;
    assert_eq!(counted.event_type, "WindowCounted");
    let counts: Value = serde_json::from_str(&counted.payload).unwrap();
    let sum = |what: &str| -> u64 {
        let counts = counts["counts"].as_array().unwrap().iter();
        counts.filter(|c| c["what"] == what).map(|c| c["count"].as_u64().unwrap()).sum()
    };
    // Four endpoints, five requests each, one code: of these, junk and the form
    // that is none come to no client authentication.
    assert_eq!(sum("client_authentication_failed"), 12 * (4 * 4 + 1));
    assert_eq!(sum("login_failed"), 12 * 2);
    assert!(sum("authorization_request_refused") >= 12 * 7, "{counts}");
    // A window in which nothing happens is no event.
    close_window(&scene).await;
    assert_eq!(scene.server.log().await.len(), after.len());
}

async fn counters_hold_nothing_that_strangers_wrote(store: StoreKind) {
    let scene = Scene::new(store).await;
    flood(&scene, 2).await;
    close_window(&scene).await;
    for stored in scene.server.log().await {
        for text in [&*stored.event.payload, &*stored.event.metadata, &*stored.event.stream.id] {
            assert!(!text.contains("evil"), "{text}");
        }
    }
}

/// What the server does once a minute.
fn close_window(scene: &Scene) -> impl Future<Output = ()> {
    scene.server.act(|services| async move { tally::close_window(&services, BEGINNING).await })
}
