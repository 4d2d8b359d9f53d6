//! The hybrid flow (OpenID Connect Core §3.3), and `sid` in responses.

use serde_json::json;

use crate::support::{
    ALL_RESPONSE_TYPES, Scene, StoreKind, Tokens, claims, front_channel, good_request_but,
    half_hash, verified,
};

both_stores! {
    a_code_and_tokens_come_together_and_are_bound_by_hashes,
    tokens_are_good_before_the_code_is_redeemed,
    a_replayed_code_ends_what_the_browser_brought_too,
    a_pushed_request_may_be_hybrid,
    the_session_is_named_in_the_response_only_where_that_is_switched_on,
}

/// OpenID Connect Core §3.3.2.5, §3.3.2.11, §3.3.3.6; FAPI 1.0 Part 2 §5.1.1
async fn a_code_and_tokens_come_together_and_are_bound_by_hashes(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    for response_type in ["code id_token", "code token", "code id_token token"] {
        for state in ["", "s1"] {
            let more = [
                ("response_type", response_type),
                ("nonce", "n1"),
                ("state", state),
                ("scope", "openid offline_access"),
            ];
            let url = scene.rp.authorize_url(&good_request_but(&more));
            let returned = scene.browser.go_through(&url, "ada").await;
            assert_eq!(returned.by, "fragment");
            let code = returned.code();
            let (access, id) = (returned.get("access_token"), returned.get("id_token"));
            assert_eq!(access.is_some(), response_type.ends_with(" token"));
            assert_eq!(id.is_some(), response_type.contains("id_token"));
            assert_eq!(returned.get("refresh_token"), None);

            let tokens = Tokens::of(&scene.rp.redeem(code).await.ok());
            assert!(tokens.refresh.is_some() && Some(&*tokens.access) != access);
            let later = verified(&scene.rp, tokens.id()).await;
            assert_eq!(later["nonce"], "n1");
            assert_eq!(later["at_hash"], half_hash(&tokens.access));
            if let Some(id) = id {
                let id = verified(&scene.rp, id).await;
                assert_eq!(id["nonce"], "n1");
                assert_eq!(id["c_hash"], half_hash(code));
                let hash = |text: Option<&str>| text.map_or(json!(null), |t| half_hash(t).into());
                assert_eq!(id["at_hash"], hash(access));
                assert_eq!(id["s_hash"], hash(returned.get("state")));
                assert_eq!((&id["iss"], &id["sub"]), (&later["iss"], &later["sub"]));
            }
            for token in access.into_iter().chain([&*tokens.access]) {
                assert!(scene.rp.is_alive(token).await);
            }
            if let Some(access) = access {
                assert_ne!(claims(access)["jti"], claims(&tokens.access)["jti"]);
            }
        }
    }
}

/// OpenID Connect Core §3.3.2.5; RFC 7009 §2.1
async fn tokens_are_good_before_the_code_is_redeemed(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("response_type", "code token")]));
    let returned = scene.browser.go_through(&url, "ada").await;
    let access = returned.get("access_token").unwrap();
    assert!(scene.rp.is_alive(access).await);
    assert_eq!(scene.rp.userinfo(access).await.ok()["sub"], scene.ada.to_string());
    assert_eq!(scene.rp.revoke(access).await.status, 200);
    assert!(!scene.rp.is_alive(access).await);
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert!(scene.rp.is_alive(&tokens.access).await && !scene.rp.is_alive(access).await);
}

/// RFC 6749 §4.1.2
async fn a_replayed_code_ends_what_the_browser_brought_too(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("response_type", "code token")]));
    let returned = scene.browser.go_through(&url, "ada").await;
    let access = returned.get("access_token").unwrap();
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert!(scene.rp.is_alive(access).await && scene.rp.is_alive(&tokens.access).await);
    scene.rp.redeem(returned.code()).await.invalid_grant();
    assert!(!scene.rp.is_alive(access).await && !scene.rp.is_alive(&tokens.access).await);
}

/// RFC 9126 §4
async fn a_pushed_request_may_be_hybrid(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let more = [("response_type", "code id_token"), ("nonce", "n1")];
    let url = scene.rp.pushed_url(&good_request_but(&more)).await;
    let returned = scene.browser.go_through(&url, "ada").await;
    let id = verified(&scene.rp, returned.get("id_token").unwrap()).await;
    assert_eq!(id["c_hash"], half_hash(returned.code()));
    scene.rp.redeem(returned.code()).await.ok();
}

/// The setting `authorization.sid_in_response`
async fn the_session_is_named_in_the_response_only_where_that_is_switched_on(store: StoreKind) {
    let on = "[authorization]\nsid_in_response = true\n";
    for (settings, scope, named) in
        [("", "openid", false), (on, "openid", true), (on, "read", false)]
    {
        let mut scene = Scene::with(store, settings, front_channel()).await;
        let url = scene.rp.authorize_url(&good_request_but(&[("scope", scope)]));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!(returned.get("sid").is_some(), named);
        if named {
            let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
            assert_eq!(claims(tokens.id())["sid"], returned.get("sid").unwrap());
        }
    }
}
