//! Parameters of no standard, as far as the settings allow them, and redirect
//! URIs by a pattern: Chancery's own.

use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::GrantId;

use crate::support::{Scene, StoreKind, confidential, good_request_but};

both_stores! {
    allowed_parameters_are_kept_sealed_and_others_are_not,
    a_redirect_uri_may_match_the_client_s_pattern,
}

/// What is kept of the custom parameters of the only grant.
async fn kept(scene: &Scene) -> Vec<(String, String)> {
    let grants = scene.server.grants().await;
    let id: GrantId = grants.keys().next().unwrap().parse().unwrap();
    let sealed = scene.server.act(move |services| async move {
        services.grants.unseal(id).await.map(|sealed| sealed.custom.clone()).unwrap()
    });
    sealed.await.into_iter().collect()
}

async fn allowed_parameters_are_kept_sealed_and_others_are_not(store: StoreKind) {
    let settings = "[authorization]\ncustom_parameters = [\"tenant\", \"org.example:unit\"]";
    for is_pushed in [true, false] {
        let mut scene = Scene::with(store, settings, confidential()).await;
        let request = good_request_but(&[("tenant", "acme-1"), ("colour", "mauve-1")]);
        let url = if is_pushed {
            scene.rp.pushed_url(&request).await
        } else {
            scene.rp.authorize_url(&request)
        };
        let page = scene.browser.open(&url).await.shows("login-form");
        let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
        assert_eq!(kept(&scene).await, [("tenant".to_owned(), "acme-1".to_owned())]);
        for stored in scene.server.log().await {
            let text = format!("{}{}", stored.event.payload, stored.event.metadata);
            assert!(!text.contains("acme-1") && !text.contains("mauve-1"));
        }
        let returned = scene.browser.answer(&page, "allow").await.returned();
        scene.rp.redeem(returned.code()).await.ok();
    }
}

/// RFC 9700 §2.1 wants exact URIs; a pattern is the operator's choice, and
/// matches the whole URI.
async fn a_redirect_uri_may_match_the_client_s_pattern(store: StoreKind) {
    let pattern = r"https://[a-z]+\.rp\.example/cb/\d+";
    let metadata =
        ClientMetadata { redirect_uris_regex: Some(pattern.to_owned()), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let uri = "https://one.rp.example/cb/7";
    let url = scene.rp.authorize_url(&good_request_but(&[("redirect_uri", uri)]));
    let returned = scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.to, uri);
    let code = returned.code();
    scene
        .rp
        .redeem_but(code, &[("redirect_uri", "https://two.rp.example/cb/7")])
        .await
        .invalid_grant();
    scene.rp.redeem_but(code, &[("redirect_uri", uri)]).await.ok();
    for other in [
        "https://one.rp.example/cb/7/x",
        "https://one.rp.example/cb/7?x=1",
        "https://one.two.rp.example/cb/7",
        "https://evil.example/?https://one.rp.example/cb/7",
        "http://one.rp.example/cb/7",
    ] {
        let request = good_request_but(&[("redirect_uri", other)]);
        let url = scene.rp.authorize_url(&request);
        scene.browser.open(&url).await.error_page("invalid_request");
        scene.rp.push(&request).await.refused(400, "invalid_request");
    }
}
