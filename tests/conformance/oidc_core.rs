//! OpenID Connect Core: logins, ID tokens, userinfo.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::client::ClientMetadata;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, BEGINNING, Browser, PASSWORD, Scene, StoreKind, Tokens, claims, confidential,
    good_request_but, header, service, verified,
};

both_stores! {
    nobody_is_asked_silently,
    a_login_is_asked_for_again,
    a_login_that_is_too_old_is_asked_for_again,
    consent_is_asked_for_again,
    consent_is_remembered,
    a_client_of_the_house_needs_no_consent,
    a_session_is_good_for_all_clients,
    a_session_ends_with_its_time,
    a_hint_names_who_is_expected,
    a_hint_that_we_did_not_sign_is_never_trusted,
    another_person_takes_the_session_over,
    a_person_can_switch_at_the_consent_page,
    two_people_can_not_approve_for_each_other,
    a_page_for_one_person_is_not_answered_by_the_next,
    an_id_token_has_its_claims,
    a_nonce_is_returned_as_it_was_sent,
    a_refreshed_id_token_is_of_the_same_login,
    claims_by_scope_come_from_userinfo,
    userinfo_takes_the_token_in_one_place,
    userinfo_refuses_what_is_no_live_token,
    userinfo_needs_openid,
    a_logout_ends_the_session,
}

/// What this browser gets without a page.
async fn silently(scene: &mut Scene, changes: &[(&str, &str)]) -> Result<String, String> {
    let changes = [&[("prompt", "none")], changes].concat();
    let url = scene.rp.authorize_url(&good_request_but(&changes));
    let returned = scene.browser.open(&url).await.returned();
    match returned.get("error") {
        Some(error) => Err(error.to_owned()),
        None => Ok(returned.code().to_owned()),
    }
}

/// When the person of this browser logged in, as an ID token tells.
async fn auth_time(scene: &mut Scene, changes: &[(&str, &str)]) -> i64 {
    let tokens = scene.tokens(changes).await;
    claims(tokens.id())["auth_time"].as_i64().unwrap() - BEGINNING.seconds()
}

fn refused(error: &str) -> Result<String, String> {
    Err(error.to_owned())
}

/// OpenID Connect Core §3.1.2.1, §3.1.2.6
async fn nobody_is_asked_silently(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
    // A session, but no consent.
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.log_in(&page, "ada").await.shows("consent-form");
    assert_eq!(silently(&mut scene, &[]).await, refused("consent_required"));
    // Both.
    scene.tokens(&[]).await;
    let code = silently(&mut scene, &[]).await.unwrap();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["sub"], scene.ada.to_string());
    // Consent to less than is asked for.
    let more = [("scope", "openid read write")];
    assert_eq!(silently(&mut scene, &more).await, refused("consent_required"));
    scene.server.advance(10);
    assert_eq!(silently(&mut scene, &[("max_age", "9")]).await, refused("login_required"));
    assert!(silently(&mut scene, &[("max_age", "10")]).await.is_ok());
    // The same for what was pushed.
    let silent = good_request_but(&[("prompt", "none"), ("max_age", "1")]);
    let url = scene.rp.pushed_url(&silent).await;
    assert_eq!(scene.browser.open(&url).await.returned().error(), "login_required");
}

/// OpenID Connect Core §3.1.2.1, `prompt=login`
async fn a_login_is_asked_for_again(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(auth_time(&mut scene, &[]).await, 0);
    scene.server.advance(5);
    assert_eq!(auth_time(&mut scene, &[]).await, 0);
    let again = good_request_but(&[("prompt", "login")]);
    for url in [scene.rp.authorize_url(&again), scene.rp.pushed_url(&again).await] {
        scene.browser.open(&url).await.shows("login-form");
    }
    assert_eq!(auth_time(&mut scene, &[("prompt", "login")]).await, 5);
    scene.server.advance(5);
    assert_eq!(auth_time(&mut scene, &[]).await, 5);
}

/// OpenID Connect Core §3.1.2.1, `max_age`
async fn a_login_that_is_too_old_is_asked_for_again(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(auth_time(&mut scene, &[("max_age", "10000")]).await, 0);
    scene.server.advance(2);
    assert_eq!(auth_time(&mut scene, &[("max_age", "10000")]).await, 0);
    let url = scene.rp.authorize_url(&good_request_but(&[("max_age", "1")]));
    scene.browser.open(&url).await.shows("login-form");
    assert_eq!(auth_time(&mut scene, &[("max_age", "1")]).await, 2);
    let url = scene.rp.authorize_url(&good_request_but(&[("max_age", "0")]));
    scene.browser.open(&url).await.shows("login-form");
}

/// OpenID Connect Core §3.1.2.1, `prompt=consent`
async fn consent_is_asked_for_again(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("prompt", "consent")]));
    let page = scene.browser.open(&url).await.shows("consent-form");
    scene.browser.answer(&page, "allow").await.returned().code();
}

/// OpenID Connect Core §3.1.2.4
async fn consent_is_remembered(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[("scope", "openid read write")]).await;
    for scope in ["openid read write", "openid", "write"] {
        let url = scene.rp.authorize_url(&good_request_but(&[("scope", scope)]));
        scene.browser.open(&url).await.returned().code();
    }
    let url = scene.rp.authorize_url(&good_request_but(&[("scope", "openid read email")]));
    let page = scene.browser.open(&url).await.shows("consent-form");
    assert!(page.html.contains("<code>email</code>"), "{}", page.html);
    // Another client, another consent.
    let other = scene.server.register("other", confidential()).await;
    let url = other.authorize_url(&good_request_but(&[("scope", "openid")]));
    scene.browser.open(&url).await.shows("consent-form");
}

async fn a_client_of_the_house_needs_no_consent(store: StoreKind) {
    let metadata = ClientMetadata { skip_consent: true, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.log_in(&page, "ada").await.returned().code();
    silently(&mut scene, &[]).await.unwrap();
}

async fn a_session_is_good_for_all_clients(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.tokens(&[]).await;
    scene.server.advance(60);
    scene.rp = scene.server.register("other", confidential()).await;
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    scene.browser.open(&url).await.shows("consent-form");
    let second = scene.tokens(&[]).await;
    let (first, second) = (claims(first.id()), claims(second.id()));
    for same in ["sub", "auth_time", "sid"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    // Another browser is another matter.
    scene.browser = Browser::new(&scene.server);
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
}

async fn a_session_ends_with_its_time(store: StoreKind) {
    let settings = "[sessions]\nlifetime = 1000";
    let mut scene = Scene::with(store, settings, confidential()).await;
    scene.tokens(&[]).await;
    scene.server.advance(999);
    silently(&mut scene, &[]).await.unwrap();
    scene.server.advance(1);
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
}

/// OpenID Connect Core §3.1.2.1, `id_token_hint`
async fn a_hint_names_who_is_expected(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.server.account("bob").await;
    let adas = scene.tokens(&[]).await;
    let hint = [("id_token_hint", adas.id())];
    silently(&mut scene, &hint).await.unwrap();
    // Expired long ago, and still a hint.
    scene.server.advance(4000);
    silently(&mut scene, &[("id_token_hint", adas.id())]).await.unwrap();

    scene.browser = Browser::new(&scene.server);
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    scene.browser.go_through(&url, "bob").await.code();
    silently(&mut scene, &[]).await.unwrap();
    assert_eq!(silently(&mut scene, &hint).await, refused("login_required"));
    // Not silently: the person named has to log in.
    let url = scene.rp.authorize_url(&good_request_but(&hint));
    let page = scene.browser.open(&url).await.shows("login-form");
    let returned = scene.browser.log_in(&page, "bob").await.returned();
    assert_eq!(returned.error(), "login_required");
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.log_in(&page, "ada").await.returned().code();
}

/// OpenID Connect Core §3.1.2.1, RFC 8725 §3.1
async fn a_hint_that_we_did_not_sign_is_never_trusted(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[]).await;
    let other = scene.server.register("other", confidential()).await;
    let parts: Vec<_> = tokens.id().split('.').collect();
    let encoded = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let none = encoded(&json!({ "alg": "none", "typ": "JWT" }));
    let mut body = claims(tokens.id());
    body["sub"] = "00000000000000000000000000000000".into();
    let altered = encoded(&body);
    let unsigned = format!("{none}.{}.", parts[1]);
    for wrong in [
        unsigned.clone(),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{altered}.{}", parts[0], parts[2]),
        "x".to_owned(),
    ] {
        let hint = [("id_token_hint", &*wrong)];
        assert_eq!(silently(&mut scene, &hint).await, refused("login_required"), "{wrong}");
    }
    // One that was made for another client.
    let rp = std::mem::replace(&mut scene.rp, other);
    let others = scene.tokens(&[]).await;
    scene.rp = rp;
    let hint = [("id_token_hint", others.id())];
    assert_eq!(silently(&mut scene, &hint).await, refused("login_required"));
}

async fn another_person_takes_the_session_over(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let bob = scene.server.account("bob").await;
    scene.tokens(&[]).await;
    let adas = scene.browser.clone();
    let url = scene.rp.authorize_url(&good_request_but(&[("prompt", "login")]));
    scene.browser.go_through(&url, "bob").await.code();
    let code = silently(&mut scene, &[]).await.unwrap();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["sub"], bob.to_string());
    // Ada's session has ended: a copy of her cookie is worth nothing.
    scene.browser = adas;
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
}

async fn a_person_can_switch_at_the_consent_page(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let bob = scene.server.account("bob").await;
    let url = scene.rp.pushed_url(&good_request_but(&[])).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let page = scene.browser.answer(&page, "switch").await.shows("login-form");
    let page = scene.browser.log_in(&page, "bob").await.shows("consent-form");
    let code = scene.browser.answer(&page, "allow").await.returned().code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["sub"], bob.to_string());
}

/// Two people with the same `request_uri`: whoever approves is who it is for.
async fn two_people_can_not_approve_for_each_other(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.server.account("bob").await;
    let mut bobs = Browser::new(&scene.server);
    let url = scene.rp.pushed_url(&good_request_but(&[])).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let adas_page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let page = bobs.open(&url).await.shows("login-form");
    let bobs_page = bobs.log_in(&page, "bob").await.shows("consent-form");
    // Bob's browser can't send Ada's form.
    let place = bobs.answer(&adas_page, "allow").await;
    assert!(matches!(place, crate::support::Place::Page(_)), "{place:?}");

    let returned = scene.browser.answer(&adas_page, "allow").await.returned();
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert_eq!(claims(tokens.id())["sub"], scene.ada.to_string());
    bobs.answer(&bobs_page, "allow").await.error_page("invalid_request_uri");
}

/// Two tabs of one browser: in the second, somebody else logs in.
async fn a_page_for_one_person_is_not_answered_by_the_next(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let bob = scene.server.account("bob").await;
    let url = scene.rp.pushed_url(&good_request_but(&[])).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let adas = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let other = scene.rp.authorize_url(&good_request_but(&[("prompt", "login")]));
    let page = scene.browser.open(&other).await.shows("login-form");
    scene.browser.log_in(&page, "bob").await.shows("consent-form");

    let page = scene.browser.answer(&adas, "allow").await.shows("login-form");
    let page = scene.browser.log_in(&page, "bob").await.shows("consent-form");
    let code = scene.browser.answer(&page, "allow").await.returned().code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["sub"], bob.to_string());
}

/// OpenID Connect Core §3.1.3.6
fn left_half(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, token.as_bytes()).as_ref()[..16])
}

/// OpenID Connect Core §2, §3.1.3.6
async fn an_id_token_has_its_claims(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let everything = "openid profile email offline_access read";
    let tokens = scene.tokens(&[("scope", everything)]).await;
    let found = verified(&scene.rp, tokens.id()).await;
    assert_eq!(header(tokens.id())["typ"], "JWT");
    let now = BEGINNING.seconds();
    for (name, value) in [
        ("iss", json!(scene.server.issuer)),
        ("sub", json!(scene.ada.to_string())),
        ("aud", json!("rp")),
        ("iat", json!(now)),
        ("exp", json!(now + 3600)),
        ("auth_time", json!(now)),
        ("amr", json!(["pwd"])),
        ("at_hash", json!(left_half(&tokens.access))),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(found["acr"].is_string());
    // OpenID Connect Core §5.4: in the code flow, these are userinfo's.
    for name in ["name", "email", "preferred_username", "phone_number", "nonce", "scope"] {
        assert!(found.get(name).is_none(), "{name}");
    }
}

/// OpenID Connect Core §3.1.3.7
async fn a_nonce_is_returned_as_it_was_sent(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let nonce = "n-0S6_\"WzA2Mj ä";
    let tokens = scene.tokens(&[("nonce", nonce)]).await;
    assert_eq!(claims(tokens.id())["nonce"], nonce);
    let url = scene.rp.authorize_url(&good_request_but(&[("nonce", nonce)]));
    let code = scene.browser.open(&url).await.returned().code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["nonce"], nonce);
}

/// OpenID Connect Core §12.2
async fn a_refreshed_id_token_is_of_the_same_login(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let first = scene.lasting_tokens().await;
    scene.server.advance(100);
    // A later login elsewhere does not count for this grant.
    scene.tokens(&[("prompt", "login")]).await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let (old, new) = (claims(first.id()), verified(&scene.rp, second.id()).await);
    for same in ["iss", "sub", "aud", "auth_time", "acr", "amr", "sid"] {
        assert_eq!(old[same], new[same], "{same}");
    }
    assert_eq!(new["iat"], BEGINNING.seconds() + 100);
    assert_eq!(new["exp"], BEGINNING.seconds() + 3700);
    assert_eq!(new["at_hash"], left_half(&second.access));
}

/// OpenID Connect Core §5.3.2, §5.4
async fn claims_by_scope_come_from_userinfo(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let sub = json!(scene.ada.to_string());
    for (scope, expected) in [
        ("openid", json!({ "sub": sub })),
        ("openid email", json!({ "sub": sub, "email": "ada@example.com", "email_verified": true })),
        (
            "openid profile",
            json!({
                "sub": sub, "name": "Ada Lovelace", "preferred_username": "ada",
                "updated_at": BEGINNING.seconds(),
            }),
        ),
    ] {
        let tokens = scene.tokens(&[("scope", scope)]).await;
        let answer = scene.rp.userinfo(&tokens.access).await;
        assert_eq!(answer.ok(), expected, "{scope}");
    }
}

/// RFC 6750 §2
async fn userinfo_takes_the_token_in_one_place(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[]).await;
    let token = [("access_token", &*tokens.access)];
    let rp = &scene.rp;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        for method in [Method::GET, Method::POST] {
            let request = rp.request(method, "/userinfo");
            let request = request.header("authorization", format!("{scheme} {}", tokens.access));
            Answer::of(request.send().await.unwrap()).await.ok();
        }
    }
    Answer::of(rp.form("/userinfo", &token).send().await.unwrap()).await.ok();
    let both = rp.form("/userinfo", &token).bearer_auth(&tokens.access);
    let answer = Answer::of(both.send().await.unwrap()).await;
    answer.refused(400, "invalid_request");
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_request"));
    // RFC 6750 §2.3: never in the query.
    let answer = rp.get(&format!("/userinfo?access_token={}", tokens.access)).await;
    assert_eq!(answer.status, 401);
}

/// RFC 6750 §3
async fn userinfo_refuses_what_is_no_live_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let answer = scene.rp.get("/userinfo").await;
    assert_eq!(answer.status, 401);
    // RFC 6750 §3.1: nothing was tried, so no error is told.
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"chancery\""));
    for dead in ["x", "a.b.c", tokens.id(), tokens.refresh()] {
        let answer = scene.rp.userinfo(dead).await;
        answer.refused(401, "invalid_token");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""));
    }
    scene.server.advance(300);
    scene.rp.userinfo(&tokens.access).await.refused(401, "invalid_token");
}

/// RFC 6750 §3.1
async fn userinfo_needs_openid(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let plain = scene.tokens(&[("scope", "read email")]).await;
    scene.rp.userinfo(&plain.access).await.refused(403, "insufficient_scope");
    let client = scene.server.register("svc", service()).await;
    let tokens = client.client_credentials(&[]).await.ok();
    let answer = client.userinfo(tokens["access_token"].as_str().unwrap()).await;
    answer.refused(403, "insufficient_scope");
    assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"));
}

async fn a_logout_ends_the_session(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let logout = format!("{}/logout", scene.server.issuer);
    scene.browser.open(&logout).await.shows("logged-out-page");
    scene.tokens(&[]).await;
    let copy = scene.browser.clone();
    let page = scene.browser.open(&logout).await.shows("logout-form");
    let cancel = [("action", "cancel")];
    scene.browser.submit(&page, "logout-form", &cancel).await.shows("logout-form");
    silently(&mut scene, &[]).await.unwrap();
    let fields = [("action", "logout")];
    scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
    assert!(!scene.browser.cookies.contains_key("chancery-session"));
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
    // Not only the cookie is gone.
    scene.browser = copy;
    assert_eq!(silently(&mut scene, &[]).await, refused("login_required"));
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.try_password(&page, "ada", PASSWORD).await.returned().code();
}
