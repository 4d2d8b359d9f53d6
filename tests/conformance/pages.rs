//! The pages: headers, form tokens, and where they lead (RFC 9700 §4.2, §4.12,
//! §4.16).

use std::collections::BTreeMap;

use chancery_domain::client::ClientMetadata;
use reqwest::Method;

use crate::support::{
    Browser, PASSWORD, Page, REDIRECT_URI, Scene, StoreKind, confidential, good_request,
    good_request_but,
};

both_stores! {
    every_page_has_strict_headers,
    a_popup_stays_the_application_s_own,
    no_page_needs_a_script,
    a_form_leads_to_the_relying_party_and_nowhere_else,
    cookies_are_out_of_reach_of_scripts_and_other_sites,
    a_login_form_needs_its_token,
    a_consent_form_needs_its_token,
    a_logout_form_needs_its_token,
    a_form_from_another_site_counts_for_nothing,
    pages_lead_nowhere_that_a_stranger_says,
    what_others_wrote_is_shown_as_text,
    a_login_makes_a_new_session,
    an_interaction_that_was_tampered_with_is_refused,
    an_interaction_does_not_last_for_ever,
    a_wrong_password_says_no_more_than_that,
    guessing_is_slowed_down,
    a_known_browser_is_not_held_up_by_strangers,
    style_and_icon_are_served,
}

/// The login page, and a browser that has come to it.
async fn login_page(scene: &mut Scene) -> Page {
    let url = scene.rp.pushed_url(&good_request_but(&[("prompt", "login consent")])).await;
    scene.browser.open(&url).await.shows("login-form")
}

async fn consent_page(scene: &mut Scene) -> Page {
    let page = login_page(scene).await;
    scene.browser.log_in(&page, "ada").await.shows("consent-form")
}

/// One of each.
async fn all_pages(scene: &mut Scene) -> BTreeMap<&'static str, Page> {
    let mut pages = BTreeMap::new();
    let logout = format!("{}/logout", scene.server.issuer);
    pages.insert("logged out", scene.browser.open(&logout).await.shows("logged-out-page"));
    let login = login_page(scene).await;
    let wrong = scene.browser.try_password(&login, "ada", "wrong").await.shows("login-form");
    pages.insert("login again", wrong);
    pages.insert("consent", scene.browser.log_in(&login, "ada").await.shows("consent-form"));
    pages.insert("login", login);
    pages.insert("logout", scene.browser.open(&logout).await.shows("logout-form"));
    let unknown = format!("{}/authorize?client_id=nobody", scene.server.issuer);
    pages.insert("error", scene.browser.open(&unknown).await.error_page("invalid_client"));
    let lost = format!("{}/login?i=x", scene.server.issuer);
    pages.insert("lost", scene.browser.open(&lost).await.error_page("invalid_request"));
    pages
}

async fn every_page_has_strict_headers(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (name, page) in all_pages(&mut scene).await {
        for (header, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            // `no-referrer` would send our own forms with `Origin: null`.
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(page.header(header), Some(value), "{header} of {name}");
        }
        let policy = page.header("content-security-policy").unwrap();
        for directive in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.split("; ").any(|own| own == directive), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
    }
}

/// An application that opened a window for the login finds it again afterwards.
async fn a_popup_stays_the_application_s_own(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (name, page) in all_pages(&mut scene).await {
        let expected = match name {
            "login" | "login again" | "consent" => "unsafe-none",
            _ => "same-origin",
        };
        assert_eq!(page.header("cross-origin-opener-policy"), Some(expected), "{name}");
    }
}

async fn no_page_needs_a_script(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (name, page) in all_pages(&mut scene).await {
        let html = page.html.to_lowercase();
        for script in ["<script", "javascript:", " onclick", " onload", " style=\""] {
            assert!(!html.contains(script), "{script} on {name}");
        }
        assert!(!page.header("content-security-policy").unwrap().contains("script-src"));
    }
}

/// Chromium holds `form-action` against the redirect that answers a form.
async fn a_form_leads_to_the_relying_party_and_nowhere_else(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (name, page) in all_pages(&mut scene).await {
        let policy = page.header("content-security-policy").unwrap();
        let leads = policy.split("; ").find(|own| own.starts_with("form-action")).unwrap();
        let expected = match name {
            "login" | "login again" | "consent" => "form-action 'self' https://rp.example",
            _ => "form-action 'self'",
        };
        assert_eq!(leads, expected, "{name}");
    }
}

/// RFC 6265bis §5.6.7
async fn cookies_are_out_of_reach_of_scripts_and_other_sites(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = login_page(&mut scene).await;
    let (action, mut fields) = page.form("login-form");
    let filled = [("username", "ada"), ("password", PASSWORD), ("action", "login")];
    fields.extend(filled.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let url = format!("{}{action}", scene.server.issuer);
    let answer = scene.browser.request(Method::POST, &url).form(&fields).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let set =
        answer.headers().get_all("set-cookie").iter().chain(page.headers.get_all("set-cookie"));
    let set: Vec<_> = set.map(|cookie| cookie.to_str().unwrap()).collect();
    let names: Vec<_> = set.iter().map(|cookie| cookie.split_once('=').unwrap().0).collect();
    for name in ["chancery-session", "chancery-csrf", "chancery-device"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    for cookie in set {
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.split("; ").any(|own| own == attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain="), "{cookie}");
    }
}

/// What this browser can have without a page.
async fn is_logged_in(scene: &Scene, browser: &Browser) -> bool {
    let url = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    let returned = browser.clone().open(&url).await.returned();
    match returned.get("error") {
        Some("login_required") => false,
        None | Some("consent_required") => true,
        Some(other) => panic!("{other}"),
    }
}

/// A form token of somebody else's browser is good; only not here.
async fn a_login_form_needs_its_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = login_page(&mut scene).await;
    let interaction = page.hidden("login-form", "interaction");
    let token = page.hidden("login-form", "csrf");
    let mut attacker = Browser::new(&scene.server);
    let theirs = attacker.open(page.url.as_str()).await.shows("login-form");
    let theirs = theirs.hidden("login-form", "csrf");
    let elsewhere = login_page(&mut scene).await.hidden("login-form", "csrf");
    let url = format!("{}/login", scene.server.issuer);
    for wrong in ["", "x", &theirs, &elsewhere] {
        let fields = [
            ("interaction", &*interaction),
            ("csrf", wrong),
            ("username", "ada"),
            ("password", PASSWORD),
            ("action", "login"),
        ];
        let again = scene.browser.post(&url, &fields).await.shows("login-form");
        assert_eq!(again.status, 400);
        assert!(!is_logged_in(&scene, &scene.browser).await);
    }
    // Without the cookie, too.
    let mut bare = Browser::new(&scene.server);
    bare.submit(
        &page,
        "login-form",
        &[("username", "ada"), ("password", PASSWORD), ("action", "login")],
    )
    .await
    .shows("login-form");
    assert!(!is_logged_in(&scene, &bare).await);
    assert_eq!(token, page.hidden("login-form", "csrf"));
    scene.browser.log_in(&page, "ada").await.shows("consent-form");
}

async fn a_consent_form_needs_its_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = consent_page(&mut scene).await;
    let interaction = page.hidden("consent-form", "interaction");
    let url = format!("{}/consent", scene.server.issuer);
    let before = scene.server.log().await;
    for wrong in ["", "x"] {
        for action in ["allow", "deny"] {
            let fields = [("interaction", &*interaction), ("csrf", wrong), ("action", action)];
            let again = scene.browser.post(&url, &fields).await.shows("consent-form");
            assert_eq!(again.status, 400);
        }
    }
    for action in ["", "maybe"] {
        let again = scene.browser.answer(&page, action).await.shows("consent-form");
        assert_eq!(again.status, 400);
    }
    assert_eq!(scene.server.log().await, before);
    scene.browser.answer(&page, "allow").await.returned().code();
}

async fn a_logout_form_needs_its_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    consent_page(&mut scene).await;
    let url = format!("{}/logout", scene.server.issuer);
    for wrong in ["", "x"] {
        let fields = [("csrf", wrong), ("action", "logout")];
        scene.browser.post(&url, &fields).await.shows("logout-form");
        assert!(is_logged_in(&scene, &scene.browser).await);
    }
    let page = scene.browser.open(&url).await.shows("logout-form");
    let fields = [("action", "logout")];
    scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
    assert!(!is_logged_in(&scene, &scene.browser).await);
}

/// With all that is right, but sent by a page of somebody else's.
async fn a_form_from_another_site_counts_for_nothing(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = consent_page(&mut scene).await;
    let (_, fields) = page.form("consent-form");
    let mut fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    fields.push(("action", "allow"));
    let url = format!("{}/consent", scene.server.issuer);
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        scene.browser.post_from(origin, &url, &fields).await.shows("consent-form");
    }
    let answer = scene
        .browser
        .request(Method::POST, &url)
        .header("sec-fetch-site", "cross-site")
        .form(&fields)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    scene.browser.post(&url, &fields).await.returned().code();
}

/// RFC 9700 §4.11
async fn pages_lead_nowhere_that_a_stranger_says(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let issuer = scene.server.issuer.clone();
    let evil = "https%3A%2F%2Fevil.example%2F";
    for path in [
        format!("/login?i={evil}"),
        format!("/login?redirect_uri={evil}&next={evil}&return_to={evil}"),
        format!("/consent?i={evil}"),
        format!("/logout?post_logout_redirect_uri={evil}&redirect={evil}"),
        format!("/authorize?client_id=rp&redirect_uri={evil}&response_type=code&prompt=none"),
        format!("/authorize?client_id={evil}&redirect_uri={evil}"),
        format!("/authorize?client_id=rp&request_uri={evil}"),
        "//evil.example/".to_owned(),
        "/\\evil.example/".to_owned(),
        "/authorize//evil.example/%2e%2e".to_owned(),
    ] {
        let answer = scene.browser.request(Method::GET, &format!("{issuer}{path}"));
        let answer = answer.send().await.unwrap();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap());
        let own = location.is_none_or(|to| to.starts_with(&issuer) || to.starts_with(REDIRECT_URI));
        assert!(own, "{path} leads to {location:?}");
    }
}

/// OWASP: cross-site scripting.
async fn what_others_wrote_is_shown_as_text(store: StoreKind) {
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let metadata = ClientMetadata { client_name: Some(hostile.to_owned()), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let hint = [("login_hint", "\"><svg onload=alert(2)>")];
    let url = scene.rp.authorize_url(&good_request_but(&hint));
    let login = scene.browser.open(&url).await.shows("login-form");
    let wrong = scene.browser.try_password(&login, "<b>\"ada", "x").await.shows("login-form");
    let consent = scene.browser.log_in(&login, "ada").await.shows("consent-form");
    let nobody = format!("{}/authorize?client_id=%3Cimg%20src%3Dx%3E", scene.server.issuer);
    let error = scene.browser.open(&nobody).await.error_page("invalid_client");
    for page in [login, wrong, consent, error] {
        for tag in ["<img", "<svg onload", "<b>"] {
            assert!(!page.html.contains(tag), "{tag} in {}", page.html);
        }
    }
}

/// OWASP: session fixation.
async fn a_login_makes_a_new_session(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let first = scene.browser.cookies["chancery-session"].clone();
    let old = scene.browser.clone();
    scene.tokens(&[("prompt", "login")]).await;
    let second = scene.browser.cookies["chancery-session"].clone();
    assert_ne!(first, second);
    assert!(!is_logged_in(&scene, &old).await, "the cookie before it is worth nothing");

    // A cookie that was never given is no session, and none after the login.
    let mut fixed = Browser::new(&scene.server);
    fixed.cookies.insert("chancery-session".to_owned(), "x".repeat(64));
    assert!(!is_logged_in(&scene, &fixed).await);
    // A guess with the right id.
    let mut guess = second.clone();
    let at = guess.len() - 3;
    let other = if &guess[at..=at] == "A" { "B" } else { "A" };
    guess.replace_range(at..=at, other);
    fixed.cookies.insert("chancery-session".to_owned(), guess);
    assert!(!is_logged_in(&scene, &fixed).await);
    assert!(is_logged_in(&scene, &scene.browser).await);
}

async fn an_interaction_that_was_tampered_with_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    let interaction = page.hidden("login-form", "interaction");
    for at in [0, interaction.len() / 2, interaction.len() - 2] {
        let mut altered = interaction.clone();
        let other = if &altered[at..=at] == "A" { "B" } else { "A" };
        altered.replace_range(at..=at, other);
        for path in ["login", "consent"] {
            let url = format!("{}/{path}?i={altered}", scene.server.issuer);
            scene.browser.open(&url).await.error_page("invalid_request");
        }
    }
    let bare = format!("{}/consent", scene.server.issuer);
    scene.browser.open(&bare).await.error_page("invalid_request");
}

async fn an_interaction_does_not_last_for_ever(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.server.advance(30 * 60);
    scene.browser.log_in(&page, "ada").await.error_page("invalid_request");
    scene.browser.open(page.url.as_str()).await.error_page("invalid_request");
    assert!(!is_logged_in(&scene, &scene.browser).await);
}

/// OWASP: user enumeration.
async fn a_wrong_password_says_no_more_than_that(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = login_page(&mut scene).await;
    let wrong = scene.browser.try_password(&page, "ada", "wrong").await.shows("login-form");
    let nobody = scene.browser.try_password(&page, "nobody", PASSWORD).await.shows("login-form");
    let empty = scene.browser.try_password(&page, "ada", "").await.shows("login-form");
    let long = scene.browser.try_password(&page, "ada", &"x".repeat(2000)).await;
    let long = long.shows("login-form");
    for page in [&wrong, &nobody, &empty, &long] {
        assert_eq!(page.status, 400);
        assert_eq!(page.text_of("login-error"), wrong.text_of("login-error"));
    }
    assert!(wrong.text_of("login-error").is_some_and(|text| !text.is_empty()));
    assert!(!is_logged_in(&scene, &scene.browser).await);
    // Names are compared as people write them.
    scene.browser.log_in(&page, " ADA ").await.shows("consent-form");
}

/// NIST SP 800-63B §5.2.2
async fn guessing_is_slowed_down(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = login_page(&mut scene).await;
    for _ in 0..5 {
        scene.browser.try_password(&page, "ada", "guess").await.shows("login-form");
    }
    let slowed = scene.browser.log_in(&page, "ada").await.shows("login-form");
    assert_eq!(slowed.status, 429, "even the right one has to wait");
    let wait: u32 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    scene.server.advance(wait);
    scene.browser.log_in(&page, "ada").await.shows("consent-form");
}

async fn a_known_browser_is_not_held_up_by_strangers(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let mut stranger = Browser::new(&scene.server);
    let url = scene.rp.authorize_url(&good_request());
    let page = stranger.open(&url).await.shows("login-form");
    for _ in 0..7 {
        stranger.try_password(&page, "ada", "guess").await.shows("login-form");
    }
    assert_eq!(stranger.log_in(&page, "ada").await.page().status, 429);
    let page = login_page(&mut scene).await;
    scene.browser.log_in(&page, "ada").await.shows("consent-form");
}

async fn style_and_icon_are_served(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let page = login_page(&mut scene).await;
    for (rel, kind) in [("stylesheet", "text/css"), ("icon", "image/svg+xml")] {
        let link = page.html.split("<link ").find(|link| link.contains(&format!("rel=\"{rel}\"")));
        let href = link.unwrap().split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        let answer = scene.rp.get(href).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().starts_with(kind));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}
