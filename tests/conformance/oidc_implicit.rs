//! The implicit flow (RFC 6749 §4.2, OpenID Connect Core §3.2, OAuth 2.0
//! Multiple Response Type Encoding Practices).

use chancery_domain::protocol::response_type::ResponseType;
use serde_json::json;

use crate::support::{
    ALL_RESPONSE_TYPES, Browser, Scene, StoreKind, claims, confidential, front_channel,
    good_request_but, half_hash, until, verified,
};

both_stores! {
    tokens_come_by_the_browser_only_where_server_and_client_say_so,
    tokens_come_in_the_fragment,
    an_id_token_that_comes_alone_tells_what_the_scope_releases,
    an_id_token_by_the_browser_needs_a_nonce_and_openid,
    tokens_never_come_in_the_query,
    errors_travel_where_tokens_would,
    no_refresh_token_comes_by_the_browser,
    a_token_that_came_by_the_browser_ends_as_any_other,
    what_the_browser_brought_is_in_the_log,
    the_metadata_say_what_is_switched_on,
}

fn asking<'a>(response_type: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("response_type", response_type),
        ("nonce", "n1"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    let own = own.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    good_request_but(&own.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// RFC 9700 §2.1.2; RFC 6749 §4.2.2.1
async fn tokens_come_by_the_browser_only_where_server_and_client_say_so(store: StoreKind) {
    for (settings, client, error) in [
        ("", front_channel(), "unsupported_response_type"),
        (ALL_RESPONSE_TYPES, confidential(), "unauthorized_client"),
    ] {
        let mut scene = Scene::with(store, settings, client).await;
        for response_type in ResponseType::ALL.iter().filter(|one| one.is_front_channel()) {
            let url = scene.rp.authorize_url(&asking(response_type.as_str(), &[("state", "s")]));
            let returned = scene.browser.open(&url).await.returned();
            assert_eq!(returned.by, "fragment");
            assert_eq!(returned.error(), error);
            assert_eq!(returned.get("state"), Some("s"));
            assert_eq!(returned.get("iss"), Some(&*scene.server.issuer));
            scene.rp.push(&asking(response_type.as_str(), &[])).await.refused(400, error);
        }
        let code = scene.rp.authorize_url(&asking("code", &[]));
        assert!(!scene.browser.go_through(&code, "ada").await.code().is_empty());
    }
}

/// RFC 6749 §4.2.2; OpenID Connect Core §3.2.2.5, §3.2.2.10
async fn tokens_come_in_the_fragment(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    for (response_type, mode, by) in [
        ("token", "", "fragment"),
        ("id_token", "", "fragment"),
        ("token id_token", "", "fragment"),
        ("id_token token", "form_post", "form_post"),
    ] {
        let more = [("response_mode", mode), ("state", "s1")];
        let url = scene.rp.authorize_url(&asking(response_type, &more));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!((returned.by, returned.get("code")), (by, None));
        assert_eq!(returned.get("state"), Some("s1"));
        assert_eq!(returned.get("iss"), Some(&*scene.server.issuer));
        let (access, id) = (returned.get("access_token"), returned.get("id_token"));
        assert_eq!(id.is_some(), response_type.contains("id_token"));
        assert_eq!(access.is_some(), response_type != "id_token");
        if let Some(id) = id {
            let id = verified(&scene.rp, id).await;
            assert_eq!((&id["nonce"], &id["aud"]), (&json!("n1"), &json!("rp")));
            assert_eq!(id["iss"], scene.server.issuer);
            assert_eq!(id["sub"], scene.ada.to_string());
            let at_hash = access.map_or(json!(null), |access| half_hash(access).into());
            assert_eq!(id["at_hash"], at_hash);
            assert_eq!((&id["c_hash"], &id["s_hash"]), (&json!(null), &json!(null)));
        }
        if let Some(access) = access {
            assert_eq!(returned.get("token_type"), Some("Bearer"));
            assert_eq!(returned.get("expires_in"), Some("300"));
            assert_eq!(returned.get("scope"), Some("openid read"));
            assert!(scene.rp.is_alive(access).await);
            assert_eq!(scene.rp.userinfo(access).await.ok()["sub"], scene.ada.to_string());
        }
    }
}

/// OpenID Connect Core §5.4
async fn an_id_token_that_comes_alone_tells_what_the_scope_releases(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    for (response_type, told) in
        [("id_token", true), ("id_token token", false), ("code id_token", false)]
    {
        let pkce =
            [("code_challenge", crate::support::CHALLENGE), ("code_challenge_method", "S256")];
        let more = [&[("scope", "openid email profile")][..], &pkce].concat();
        let url = scene.rp.authorize_url(&asking(response_type, &more));
        let returned = scene.browser.go_through(&url, "ada").await;
        let id = claims(returned.get("id_token").unwrap());
        let (email, name) = (json!("ada@example.com"), json!("Ada Lovelace"));
        assert_eq!(id["email"] == email && id["name"] == name, told, "{id}");
        assert_eq!(id["phone_number"], json!(null));
    }
}

/// OpenID Connect Core §3.2.2.1
async fn an_id_token_by_the_browser_needs_a_nonce_and_openid(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    for (response_type, change, error) in [
        ("id_token", ("nonce", ""), "invalid_request"),
        ("id_token token", ("nonce", ""), "invalid_request"),
        ("id_token", ("scope", "read"), "invalid_scope"),
    ] {
        let request = asking(response_type, &[change]);
        let url = scene.rp.authorize_url(&request);
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!((returned.by, returned.error()), ("fragment", error));
        scene.rp.push(&request).await.refused(400, error);
    }
    let plain = scene.rp.authorize_url(&asking("token", &[("nonce", ""), ("scope", "read")]));
    assert!(scene.browser.go_through(&plain, "ada").await.get("access_token").is_some());
}

/// OAuth 2.0 Multiple Response Type Encoding Practices §5
async fn tokens_never_come_in_the_query(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    for response_type in ResponseType::ALL.iter().filter(|one| one.is_front_channel()) {
        for mode in ["query", "query.jwt"] {
            let request = asking(response_type.as_str(), &[("response_mode", mode)]);
            let url = scene.rp.authorize_url(&request);
            let returned = scene.browser.open(&url).await.returned();
            assert_eq!((returned.by, returned.error()), ("fragment", "invalid_request"));
        }
    }
}

/// RFC 6749 §4.2.2.1, OpenID Connect Core §3.2.2.6
async fn errors_travel_where_tokens_would(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let silent = scene.rp.authorize_url(&asking("id_token token", &[("prompt", "none")]));
    let returned = scene.browser.open(&silent).await.returned();
    assert_eq!((returned.by, returned.error()), ("fragment", "login_required"));

    let url = scene.rp.authorize_url(&asking("id_token token", &[]));
    let login = scene.browser.open(&url).await.shows("login-form");
    let consent = scene.browser.log_in(&login, "ada").await.shows("consent-form");
    let returned = scene.browser.answer(&consent, "deny").await.returned();
    assert_eq!((returned.by, returned.error()), ("fragment", "access_denied"));
    assert_eq!((returned.get("access_token"), returned.get("id_token")), (None, None));
}

/// RFC 6749 §4.2.2, OpenID Connect Core §11
async fn no_refresh_token_comes_by_the_browser(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let more = [("scope", "openid offline_access"), ("prompt", "consent")];
    let url = scene.rp.authorize_url(&asking("id_token token", &more));
    let returned = scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.get("refresh_token"), None);
    assert_eq!(returned.get("scope"), Some("openid"));
}

/// RFC 7009 §2.1, and the cascades
async fn a_token_that_came_by_the_browser_ends_as_any_other(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let url = scene.rp.authorize_url(&asking("token", &[("scope", "openid read")]));
    let mut token = async || {
        let returned = scene.browser.go_through(&url, "ada").await;
        returned.get("access_token").unwrap().to_owned()
    };
    let (revoked, withdrawn) = (token().await, token().await);
    assert_eq!(scene.rp.revoke(&revoked).await.status, 200);
    assert!(!scene.rp.is_alive(&revoked).await);
    assert!(scene.rp.is_alive(&withdrawn).await);

    scene.server.withdraw_consent(scene.ada, "rp").await;
    until("the token ends", async || !scene.rp.is_alive(&withdrawn).await).await;
    assert_eq!(scene.rp.userinfo(&withdrawn).await.status, 401);

    let url = scene.rp.authorize_url(&asking("token", &[]));
    let returned = Browser::new(&scene.server).go_through(&url, "ada").await;
    let expired = returned.get("access_token").unwrap();
    assert!(scene.rp.is_alive(expired).await);
    scene.server.advance(300);
    assert!(!scene.rp.is_alive(expired).await);
}

/// Durable before visible.
async fn what_the_browser_brought_is_in_the_log(store: StoreKind) {
    let mut scene = Scene::with(store, ALL_RESPONSE_TYPES, front_channel()).await;
    let url = scene.rp.authorize_url(&asking("id_token token", &[]));
    let returned = scene.browser.go_through(&url, "ada").await;
    let events = scene.server.only_grant().await;
    let last: Vec<_> = events.iter().rev().take(2).rev().map(String::as_str).collect();
    assert_eq!(last, ["ConsentGiven", "FrontChannelTokensIssued"]);
    for event in scene.server.log().await {
        let text = format!("{event:?}");
        assert!(!text.contains(returned.get("access_token").unwrap()));
        assert!(!text.contains(returned.get("id_token").unwrap()));
    }
}

/// OpenID Connect Discovery §3
async fn the_metadata_say_what_is_switched_on(store: StoreKind) {
    let settings = "[authorization]\nresponse_types = [\"code\", \"code id_token\"]\n";
    for (settings, types, implicit) in
        [("", json!(["code"]), false), (settings, json!(["code", "code id_token"]), true)]
    {
        let scene = Scene::with(store, settings, confidential()).await;
        let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["response_types_supported"], types);
        let grants = metadata["grant_types_supported"].as_array().unwrap();
        assert_eq!(grants.contains(&json!("implicit")), implicit);
        let modes = metadata["response_modes_supported"].as_array().unwrap();
        assert!(modes.contains(&json!("fragment")) && modes.contains(&json!("form_post.jwt")));
    }
}
