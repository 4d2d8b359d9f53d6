//! How long a session lasts: at most so long, and only as long as it is used (OpenID Connect
//! Core §3.1.2.3: an end user who is not authenticated any more is authenticated again).

use crate::support::{Scene, StoreKind, confidential, good_request_but};

both_stores! {
    a_session_that_is_not_used_ends,
    a_session_that_is_used_goes_on,
    a_session_ends_however_it_is_used,
    the_last_use_is_of_one_session,
}

async fn scene(store: StoreKind) -> Scene {
    let settings = "[sessions]\nlifetime = 3600\nidle_timeout = 600\n";
    let mut scene = Scene::with(store, settings, confidential()).await;
    scene.tokens(&[]).await;
    scene
}

/// Is somebody logged in with this browser?
async fn is_in(scene: &mut Scene) -> bool {
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    let returned = scene.browser.open(&silent).await.returned();
    returned.get("error").is_none()
}

async fn a_session_that_is_not_used_ends(store: StoreKind) {
    let mut scene = scene(store).await;
    scene.server.advance(599);
    assert!(is_in(&mut scene).await);
    scene.server.advance(600);
    assert!(!is_in(&mut scene).await);
}

async fn a_session_that_is_used_goes_on(store: StoreKind) {
    let mut scene = scene(store).await;
    for _ in 0..4 {
        scene.server.advance(500);
        assert!(is_in(&mut scene).await);
    }
}

async fn a_session_ends_however_it_is_used(store: StoreKind) {
    let mut scene = scene(store).await;
    for _ in 0..7 {
        scene.server.advance(500);
        assert!(is_in(&mut scene).await);
    }
    scene.server.advance(100);
    assert!(!is_in(&mut scene).await);
}

/// What says that one session was used says nothing of another.
async fn the_last_use_is_of_one_session(store: StoreKind) {
    let mut scene = scene(store).await;
    let name = "chancery-last-use";
    let old = scene.browser.cookies[name].clone();
    let logout = format!("{}/logout", scene.server.issuer);
    let page = scene.browser.open(&logout).await.shows("logout-form");
    let fields = [("action", "logout")];
    scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
    scene.tokens(&[]).await;
    let new = scene.browser.cookies.insert(name.to_owned(), old).unwrap();
    assert!(!is_in(&mut scene).await);
    scene.browser.cookies.insert(name.to_owned(), new);
    assert!(is_in(&mut scene).await);
}
