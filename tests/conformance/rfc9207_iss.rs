//! The issuer in authorization responses (RFC 9207), and `state`.

use crate::support::{Scene, StoreKind, good_request_but};

both_stores! {
    the_issuer_stands_in_every_response,
    a_state_that_was_not_sent_is_not_returned,
}

/// RFC 9207 §2: in error responses too.
async fn the_issuer_stands_in_every_response(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for mode in ["query", "fragment", "form_post"] {
        let good = good_request_but(&[("response_mode", mode)]);
        let wrong = good_request_but(&[("response_mode", mode), ("scope", "admin")]);
        let silent =
            good_request_but(&[("response_mode", mode), ("max_age", "0"), ("prompt", "none")]);
        let url = scene.rp.authorize_url(&good);
        let returned = scene.browser.go_through(&url, "ada").await;
        assert!(!returned.code().is_empty());
        assert_eq!(returned.get("iss"), Some(&*scene.server.issuer));
        for request in [wrong, silent] {
            let url = scene.rp.authorize_url(&request);
            let returned = scene.browser.open(&url).await.returned();
            assert!(!returned.error().is_empty());
            assert_eq!(returned.get("iss"), Some(&*scene.server.issuer));
        }
    }
}

/// RFC 6749 §4.1.2
async fn a_state_that_was_not_sent_is_not_returned(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (changes, state) in [
        (vec![], None),
        (vec![("state", "x y%z")], Some("x y%z")),
        (vec![("scope", "admin")], None),
        (vec![("scope", "admin"), ("state", "ä")], Some("ä")),
    ] {
        let url = scene.rp.authorize_url(&good_request_but(&changes));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!(returned.get("state"), state);
    }
}
