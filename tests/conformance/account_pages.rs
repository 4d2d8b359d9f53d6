//! The pages of a person's own account: what they show, what they change, and
//! what they ask for before.

use chancery_domain::ids::AggregateKind;
use serde_json::Value;

use crate::support::{
    Browser, PASSWORD, Page, Place, Scene, StoreKind, confidential, good_request_but, until,
};

both_stores! {
    a_person_signs_in_without_a_relying_party,
    every_page_of_the_account_asks_for_a_login_first,
    a_login_leads_to_no_page_but_ours,
    a_profile_is_shown_and_changed,
    what_does_not_fit_is_said_at_its_field,
    an_old_login_does_not_change_the_profile_without_the_password,
    claims_that_the_operator_keeps_are_not_changed,
    a_password_is_changed_by_who_knows_the_one_before,
    changing_the_password_can_end_all_other_sessions,
    guessing_the_old_password_is_slowed_down,
    a_person_ends_another_session,
    nobody_ends_the_session_of_another_person,
    an_application_loses_its_access,
    an_account_form_needs_its_token,
    pages_speak_the_language_of_the_browser,
    ui_locales_win_over_the_browser,
}

fn url(scene: &Scene, path: &str) -> String {
    format!("{}{path}", scene.server.issuer)
}

/// A browser in which Ada has logged in for herself.
async fn at_home(scene: &Scene) -> Browser {
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(&url(scene, "/login")).await.shows("login-form");
    browser.log_in(&page, "ada").await.shows("account-page");
    browser
}

async fn open(browser: &mut Browser, scene: &Scene, page: &str) -> Page {
    browser.open(&url(scene, &format!("/account/{page}"))).await.page()
}

/// The profile's form with some fields changed, as a browser sends it.
async fn save(browser: &mut Browser, page: &Page, changes: &[(&str, &str)]) -> Place {
    let kept = ["name", "email", "phone_number"].map(|name| (name, field(page, name)));
    let kept = kept.iter().map(|(name, value)| (*name, value.as_str()));
    let is_sent = |name: &str| changes.iter().any(|(own, _)| *own == name);
    let mut fields: Vec<_> = kept.filter(|(name, _)| !is_sent(name)).collect();
    fields.extend(changes);
    browser.submit(page, "profile-form", &fields).await
}

/// What an input holds.
fn field(page: &Page, name: &str) -> String {
    let (_, after) = page.html.split_once(&format!(" name=\"{name}\"")).unwrap();
    let (_, after) = after.split_once("value=\"").unwrap();
    after.split_once('"').unwrap().0.replace("&#43;", "+")
}

async fn userinfo(scene: &mut Scene) -> Value {
    let tokens = scene.tokens(&[("scope", "openid profile email")]).await;
    scene.rp.userinfo(&tokens.access).await.ok()
}

async fn a_person_signs_in_without_a_relying_party(store: StoreKind) {
    let scene = Scene::new(store).await;
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(&url(&scene, "/login")).await.shows("login-form");
    assert!(!page.has("login-cancel"), "there is nowhere to go back to");
    let wrong = browser.try_password(&page, "ada", "wrong").await.shows("login-form");
    assert_eq!(wrong.status, 400);
    let page = browser.log_in(&page, "ada").await.shows("account-page");
    assert_eq!(page.text_of("account-name").as_deref(), Some("Ada Lovelace"));
    // The session is good for relying parties too.
    let request = scene.rp.authorize_url(&good_request_but(&[]));
    browser.open(&request).await.shows("consent-form");
    // Who is logged in already is not asked again.
    browser.open(&url(&scene, "/login")).await.shows("account-page");
}

async fn every_page_of_the_account_asks_for_a_login_first(store: StoreKind) {
    let scene = Scene::new(store).await;
    for (page, id) in [
        ("", "account-page"),
        ("/profile", "profile-form"),
        ("/password", "password-form"),
        ("/sessions", "session-list"),
        ("/applications", "applications-empty"),
    ] {
        let mut browser = Browser::new(&scene.server);
        let login = browser.open(&url(&scene, &format!("/account{page}"))).await;
        let page = browser.log_in(&login.shows("login-form"), "ada").await.shows(id);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(!page.html.contains("<script"));
    }
}

async fn a_login_leads_to_no_page_but_ours(store: StoreKind) {
    let scene = Scene::new(store).await;
    for to in ["https://evil.example", "//evil.example", "../consent", "nonsense"] {
        let mut browser = Browser::new(&scene.server);
        let page = browser.open(&url(&scene, &format!("/login?to={to}"))).await;
        browser.log_in(&page.shows("login-form"), "ada").await.shows("account-page");
    }
}

/// OpenID Connect Core §5.1: an address that was changed is not verified.
async fn a_profile_is_shown_and_changed(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(userinfo(&mut scene).await["email_verified"], true);
    let mut browser = at_home(&scene).await;
    let page = open(&mut browser, &scene, "profile").await;
    assert_eq!(field(&page, "name"), "Ada Lovelace");
    let changes = [
        ("name", "Ada King"),
        ("email", "king@example.com"),
        ("birthdate", "1815-12-10"),
        ("address.locality", "London"),
    ];
    let page = save(&mut browser, &page, &changes).await.shows("account-done");
    assert_eq!(field(&page, "address.locality"), "London");
    let claims = userinfo(&mut scene).await;
    assert_eq!(claims["name"], "Ada King");
    assert_eq!(claims["birthdate"], "1815-12-10");
    assert_eq!(claims["email"], "king@example.com");
    assert_eq!(claims["email_verified"], false);
    assert!(claims["updated_at"].is_i64(), "{claims}");
    for stored in scene.server.log().await {
        assert!(!stored.event.payload.contains("King"), "{}", stored.event.payload);
    }
}

async fn what_does_not_fit_is_said_at_its_field(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    let page = open(&mut browser, &scene, "profile").await;
    let changes = [("email", "nonsense"), ("name", "Somebody")];
    let page = save(&mut browser, &page, &changes).await.shows("claim-email-error");
    assert_eq!(page.status, 400);
    assert_eq!(field(&page, "name"), "Somebody", "what was typed is kept");
    assert_eq!(userinfo(&mut scene).await["name"], "Ada Lovelace");
}

async fn an_old_login_does_not_change_the_profile_without_the_password(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    scene.server.advance(601);
    let page = open(&mut browser, &scene, "profile").await;
    assert!(page.has("password"));
    for password in ["", "wrong"] {
        let changes = [("name", "Mallory"), ("password", password)];
        let page = save(&mut browser, &page, &changes).await.shows("password-error");
        assert_eq!(page.status, 400);
    }
    assert_eq!(userinfo(&mut scene).await["name"], "Ada Lovelace");
    save(&mut browser, &page, &[("name", "Ada King"), ("password", PASSWORD)])
        .await
        .shows("account-done");
    assert_eq!(userinfo(&mut scene).await["name"], "Ada King");
}

async fn claims_that_the_operator_keeps_are_not_changed(store: StoreKind) {
    let settings = "[accounts]\neditable_claims = [\"name\"]\n";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let mut browser = at_home(&scene).await;
    let page = open(&mut browser, &scene, "profile").await;
    assert!(page.has("claim-name") && !page.has("claim-email"));
    let fields = [("name", "Ada King"), ("email", "king@example.com")];
    browser.submit(&page, "profile-form", &fields).await.shows("account-done");
    let claims = userinfo(&mut scene).await;
    assert_eq!(
        (&claims["name"], &claims["email"]),
        (&"Ada King".into(), &"ada@example.com".into())
    );
}

const NEW: &str = "a wholly other phrase";

async fn change_password(browser: &mut Browser, scene: &Scene, fields: &[(&str, &str)]) -> Page {
    let page = open(browser, scene, "password").await;
    browser.submit(&page, "password-form", fields).await.page()
}

async fn a_password_is_changed_by_who_knows_the_one_before(store: StoreKind) {
    let scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    for (old, new, again) in [
        ("wrong", NEW, NEW),
        (PASSWORD, NEW, "another"),
        (PASSWORD, "short", "short"),
        (PASSWORD, "ada@example.com", "ada@example.com"),
    ] {
        let fields = [("old_password", old), ("new_password", new), ("new_password_again", again)];
        let page = change_password(&mut browser, &scene, &fields).await;
        assert!(page.has("account-error") && page.status == 400, "{old} {new}: {page:?}");
    }
    let fields = [("old_password", PASSWORD), ("new_password", NEW), ("new_password_again", NEW)];
    let page = change_password(&mut browser, &scene, &fields).await;
    assert!(page.has("account-done"), "{page:?}");
    let mut other = Browser::new(&scene.server);
    let login = other.open(&url(&scene, "/login")).await.shows("login-form");
    other.log_in(&login, "ada").await.shows("login-error");
    other.try_password(&login, "ada", NEW).await.shows("account-page");
}

async fn changing_the_password_can_end_all_other_sessions(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[("scope", "openid read")]).await;
    let mut kept = at_home(&scene).await;
    let mut other = at_home(&scene).await;
    scene.server.advance(5);
    let fields = [
        ("old_password", PASSWORD),
        ("new_password", NEW),
        ("new_password_again", NEW),
        ("end_others", "yes"),
    ];
    assert!(change_password(&mut kept, &scene, &fields).await.has("account-done"));
    other.open(&url(&scene, "/account")).await.shows("login-form");
    kept.open(&url(&scene, "/account")).await.shows("account-page");
    // What was given in the sessions that ended, ends with them.
    until("the cascade", || async { scene.rp.userinfo(&tokens.access).await.status == 401 }).await;
}

async fn guessing_the_old_password_is_slowed_down(store: StoreKind) {
    let scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    let fields = [("old_password", "guess"), ("new_password", NEW), ("new_password_again", NEW)];
    for _ in 0..5 {
        assert_eq!(change_password(&mut browser, &scene, &fields).await.status, 400);
    }
    assert_eq!(change_password(&mut browser, &scene, &fields).await.status, 429);
}

/// The ids of the sessions that are shown, this one first.
fn sessions(page: &Page) -> Vec<String> {
    let forms = page.html.split("id=\"session-form-").skip(1);
    forms.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

async fn a_person_ends_another_session(store: StoreKind) {
    let scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    let mut other = at_home(&scene).await;
    let mut page = open(&mut browser, &scene, "sessions").await;
    while sessions(&page).len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        page = open(&mut browser, &scene, "sessions").await;
    }
    let id = sessions(&page).remove(1);
    let page =
        browser.submit(&page, &format!("session-form-{id}"), &[]).await.shows("account-done");
    assert!(!sessions(&page).contains(&id));
    other.open(&url(&scene, "/account")).await.shows("login-form");
    let ended = scene.server.log().await.into_iter().find(|stored| {
        stored.event.stream.kind == AggregateKind::Session
            && &*stored.event.event_type == "SessionEnded"
    });
    assert!(ended.unwrap().event.payload.contains("ended_by_person"));
}

async fn nobody_ends_the_session_of_another_person(store: StoreKind) {
    let scene = Scene::new(store).await;
    scene.server.account("bob").await;
    let mut ada = at_home(&scene).await;
    let mut bob = Browser::new(&scene.server);
    let page = bob.open(&url(&scene, "/login?to=sessions")).await.shows("login-form");
    let page = bob.log_in(&page, "bob").await.shows("session-list");
    let ours = sessions(&open(&mut ada, &scene, "sessions").await).remove(0);
    let own = sessions(&page).remove(0);
    let (action, fields) = page.form(&format!("session-form-{own}"));
    let csrf = fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    bob.post(&url(&scene, &action), &[("csrf", &csrf), ("session", &ours)]).await.page();
    ada.open(&url(&scene, "/account")).await.shows("account-page");
}

/// RFC 6749 §10: revoked by its owner, a grant yields nothing any more.
async fn an_application_loses_its_access(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let mut browser = scene.browser.clone();
    let mut page = open(&mut browser, &scene, "applications").await;
    while !page.has("revoke-form-1") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        page = open(&mut browser, &scene, "applications").await;
    }
    assert!(page.html.contains("The App") && page.html.contains("Read your e-mail address"));
    let page = browser.submit(&page, "revoke-form-1", &[]).await.shows("account-done");
    assert!(page.html.contains("The access was taken back."));
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    assert_eq!(scene.rp.userinfo(&tokens.access).await.status, 401);
    // What was allowed before is asked again.
    let request = scene.rp.authorize_url(&good_request_but(&[]));
    browser.open(&request).await.shows("consent-form");
}

async fn an_account_form_needs_its_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut browser = at_home(&scene).await;
    let page = open(&mut browser, &scene, "profile").await;
    let fields = [("name", "Mallory"), ("csrf", "x")];
    let answer = browser.post(&url(&scene, "/account/profile"), &fields).await.page();
    assert_eq!(answer.status, 400);
    let csrf = page.hidden("profile-form", "csrf");
    let fields = [("name", "Mallory"), ("csrf", csrf.as_str())];
    let evil = "https://evil.example";
    let answer = browser.post_from(evil, &url(&scene, "/account/profile"), &fields).await.page();
    assert_eq!(answer.status, 400);
    // The token of one page is none of another's.
    let fields = [
        ("csrf", csrf.as_str()),
        ("old_password", PASSWORD),
        ("new_password", NEW),
        ("new_password_again", NEW),
    ];
    let answer = browser.post(&url(&scene, "/account/password"), &fields).await.page();
    assert_eq!(answer.status, 400);
    assert_eq!(userinfo(&mut scene).await["name"], "Ada Lovelace");
}

async fn in_language(scene: &Scene, url: &str, accept: &str) -> String {
    let browser = Browser::new(&scene.server);
    let request = browser.request(reqwest::Method::GET, url).header("accept-language", accept);
    request.send().await.unwrap().text().await.unwrap()
}

/// RFC 9110 §12.5.4
async fn pages_speak_the_language_of_the_browser(store: StoreKind) {
    let scene = Scene::new(store).await;
    let login = url(&scene, "/login");
    let html = in_language(&scene, &login, "de-AT, en;q=0.5").await;
    assert!(html.contains("<html lang=\"de\">") && html.contains("Benutzername"), "{html}");
    let html = in_language(&scene, &login, "fr, de;q=0.3, en;q=0.5").await;
    assert!(html.contains("<html lang=\"en\">") && html.contains("User name"), "{html}");
}

/// OpenID Connect Core §3.1.2.1
async fn ui_locales_win_over_the_browser(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let request = scene.rp.authorize_url(&good_request_but(&[("ui_locales", "fr-CA de-DE")]));
    let page = scene.browser.open(&request).await.shows("login-form");
    assert!(page.html.contains("<html lang=\"de\">"), "{page:?}");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    assert!(page.html.contains("Erlauben"), "{page:?}");
    // What was shown is remembered in the language in which it was shown.
    scene.browser.answer(&page, "allow").await.returned();
    let log = scene.server.log().await;
    let given = log.iter().find(|stored| &*stored.event.event_type == "ConsentGiven").unwrap();
    assert!(given.event.payload.contains("\"locale\":\"de\""), "{}", given.event.payload);
}
