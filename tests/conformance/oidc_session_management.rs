//! OpenID Connect Session Management 1.0: what a client can learn in the browser.
//! (That the frame answers as it should, a real browser tries: `tests/run rp`.)

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{
    Browser, REDIRECT_URI, Scene, StoreKind, TestServer, confidential, good_request_but,
};

both_stores! {
    it_is_off_until_it_is_switched_on,
    the_frame_s_page_may_be_framed_by_anybody_and_runs_one_script,
    the_response_tells_a_state_that_is_the_client_s_alone,
    the_browser_s_state_changes_with_its_session,
    an_error_tells_the_state_too,
}

const ON: &str = "[features]\nsession_management = true\n";
const COOKIE: &str = "chancery-browser";

async fn scene(store: StoreKind) -> Scene {
    Scene::with(store, ON, confidential()).await
}

/// What the frame computes (§3.2), for this client at its origin.
fn computed(told: &str, origin: &str, browser: &str) -> String {
    let (_, salt) = told.split_once('.').unwrap();
    assert!(salt.len() >= 16, "{salt}");
    let hash = digest(&SHA256, format!("rp {origin} {browser} {salt}").as_bytes());
    format!("{}.{salt}", URL_SAFE_NO_PAD.encode(hash))
}

async fn told(scene: &mut Scene, changes: &[(&str, &str)]) -> String {
    let url = scene.rp.authorize_url(&good_request_but(changes));
    let returned = scene.browser.go_through(&url, "ada").await;
    returned.get("session_state").unwrap_or_default().to_owned()
}

fn browser(scene: &Scene) -> String {
    scene.browser.cookies.get(COOKIE).cloned().unwrap_or_default()
}

fn origin() -> String {
    url::Url::parse(REDIRECT_URI).unwrap().origin().ascii_serialization()
}

/// §3.3
async fn it_is_off_until_it_is_switched_on(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    assert_eq!(told(&mut scene, &[]).await, "");
    assert_eq!(browser(&scene), "");
    assert_eq!(scene.rp.get("/check_session").await.status, 404);
}

/// §3.2
async fn the_frame_s_page_may_be_framed_by_anybody_and_runs_one_script(store: StoreKind) {
    let server = TestServer::below(store, "/tenant", ON).await;
    let rp = server.register("rp", confidential()).await;
    let metadata = rp.get("/tenant/.well-known/openid-configuration").await.json();
    let url = metadata["check_session_iframe"].as_str().unwrap();
    assert_eq!(url, format!("{}/check_session", server.issuer));
    let page = rp.get("/tenant/check_session").await;
    assert_eq!((page.status, page.header("x-frame-options")), (200, None));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors http: https:"), "{policy}");
    assert!(policy.contains("script-src 'self'") && policy.contains("default-src 'none'"));
    let (_, script) = page.body.split_once("<script src=\"").unwrap();
    let (script, _) = script.split_once('"').unwrap();
    let script = rp.get(script).await;
    assert!(script.header("content-type").unwrap().starts_with("text/javascript"));
    assert_eq!(script.status, 200);
}

/// §2, §3.2
async fn the_response_tells_a_state_that_is_the_client_s_alone(store: StoreKind) {
    let mut scene = scene(store).await;
    let first = told(&mut scene, &[]).await;
    let browser = browser(&scene);
    assert_eq!(first, computed(&first, &origin(), &browser));
    assert_ne!(first, computed(&first, "https://other.example", &browser));
    assert!(!first.contains(' ') && !first.contains(&browser), "{first}");
    let session = scene.browser.cookies["chancery-session"].clone();
    assert!(!session.contains(&browser) && !browser.contains(&session));

    let second = told(&mut scene, &[]).await;
    assert_ne!(second, first, "each has a salt of its own");
    assert_eq!(second, computed(&second, &origin(), &browser), "and both are good");
    assert_eq!(told(&mut scene, &[("scope", "read")]).await, "", "OpenID Connect's alone");
}

/// §3.2
async fn the_browser_s_state_changes_with_its_session(store: StoreKind) {
    let mut scene = scene(store).await;
    let first = told(&mut scene, &[]).await;
    let before = browser(&scene);
    let again = told(&mut scene, &[("prompt", "login")]).await;
    assert_eq!(browser(&scene), before, "the same person, in the same session");
    assert_eq!(again, computed(&again, &origin(), &before));

    let page = scene.browser.open(&format!("{}/logout", scene.server.issuer)).await;
    let page = page.shows("logout-form");
    scene.browser.submit(&page, "logout-form", &[("action", "logout")]).await;
    assert_eq!(browser(&scene), "");
    assert_ne!(first, computed(&first, &origin(), ""), "changed");

    told(&mut scene, &[]).await;
    assert!(![String::new(), before].contains(&browser(&scene)), "another session");

    // By themselves, too, people change it.
    let mut other = Browser::new(&scene.server);
    let page = other.open(&format!("{}/login", scene.server.issuer)).await;
    other.log_in(&page.page(), "ada").await;
    assert!(other.cookies.contains_key(COOKIE));
}

/// §2
async fn an_error_tells_the_state_too(store: StoreKind) {
    let mut scene = scene(store).await;
    let silent = [("prompt", "none")];
    let first = told(&mut scene, &silent).await;
    assert_eq!(first, computed(&first, &origin(), ""), "nobody is logged in");
    assert_ne!(told(&mut scene, &silent).await, first, "nobody can be known again by it");
    assert_eq!(browser(&scene), "");
}
