//! The claims parameter (OpenID Connect Core §5.5).

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use serde_json::{Value, json};

use crate::support::{Place, Scene, StoreKind, Tokens, claims, confidential, good_request_but};

both_stores! {
    claims_come_where_they_were_asked_for,
    a_refreshed_id_token_has_the_claims_again,
    a_client_learns_only_what_it_could_ask_for_by_scope,
    a_claim_of_another_value_is_not_told,
    what_is_missing_is_no_error,
    claims_about_the_token_are_the_server_s,
    the_person_is_asked_for_claims_by_name,
    a_consent_to_a_scope_covers_its_claims,
    a_consent_taken_back_takes_the_claims_along,
    a_sub_that_is_asked_for_is_the_only_answer,
    an_essential_auth_time_is_told,
    malformed_claims_are_refused,
    without_openid_nothing_comes_of_it,
    values_stand_in_no_event,
    the_metadata_say_so,
}

fn asking(id_token: &Value, userinfo: &Value) -> String {
    json!({ "id_token": id_token, "userinfo": userinfo }).to_string()
}

async fn userinfo(scene: &Scene, tokens: &Tokens) -> Value {
    scene.rp.userinfo(&tokens.access).await.ok()
}

/// OpenID Connect Core §5.5: the ID token's there, and userinfo's there.
async fn claims_come_where_they_were_asked_for(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(
        &json!({ "email": { "essential": true }, "name#de": null }),
        &json!({ "name": null, "preferred_username": {}, "who_knows": null }),
    );
    let tokens = scene.tokens(&[("claims", &asked)]).await;
    let in_token = claims(tokens.id());
    assert_eq!(in_token["email"], "ada@example.com");
    let told = userinfo(&scene, &tokens).await;
    assert_eq!(
        (&told["name"], &told["preferred_username"]),
        (&json!("Ada Lovelace"), &json!("ada"))
    );
    for (there, name) in [
        (&in_token, "name"),
        (&in_token, "name#de"),
        (&in_token, "email_verified"),
        (&told, "email"),
        (&told, "who_knows"),
    ] {
        assert!(there.get(name).is_none(), "{name}: {there}");
    }
    // What was asked for once is not asked for ever.
    let later = scene.tokens(&[]).await;
    assert!(claims(later.id()).get("email").is_none());
    assert!(userinfo(&scene, &later).await.get("name").is_none());
}

/// OpenID Connect Core §12.2
async fn a_refreshed_id_token_has_the_claims_again(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(&json!({ "email": null }), &json!({ "name": null }));
    let changes = [("claims", &*asked), ("scope", "openid offline_access")];
    let tokens = scene.tokens(&changes).await;
    let again = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    assert_eq!(claims(again.id())["email"], "ada@example.com");
    assert_eq!(userinfo(&scene, &again).await["name"], "Ada Lovelace");
}

/// Ada has a phone number, and the client is not registered for `phone`.
async fn a_client_learns_only_what_it_could_ask_for_by_scope(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let phone = json!({ "phone_number": { "essential": true } });
    let asked = asking(&phone, &phone);
    let url = scene.rp.authorize_url(&good_request_but(&[("claims", &asked)]));
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    assert!(!page.html.contains("phone_number"), "{}", page.html);
    let tokens = scene.tokens(&[("claims", &asked)]).await;
    assert!(claims(tokens.id()).get("phone_number").is_none());
    assert!(userinfo(&scene, &tokens).await.get("phone_number").is_none());
}

/// OpenID Connect Core §5.5.1
async fn a_claim_of_another_value_is_not_told(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (email, told) in [
        (json!({ "value": "ada@example.com" }), true),
        (json!({ "values": ["x@example.com", "ada@example.com"] }), true),
        (json!({ "value": "x@example.com" }), false),
        (json!({ "values": ["x@example.com"], "essential": true }), false),
    ] {
        let asked = asking(&json!({ "email": email }), &json!({ "name": null }));
        let tokens = scene.tokens(&[("claims", &asked)]).await;
        assert_eq!(claims(tokens.id()).get("email").is_some(), told, "{email}");
        assert_eq!(userinfo(&scene, &tokens).await["name"], "Ada Lovelace");
    }
}

/// OpenID Connect Core §5.5.1: no error, even where it is essential.
async fn what_is_missing_is_no_error(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(&json!({ "birthdate": { "essential": true } }), &json!({}));
    let tokens = scene.tokens(&[("claims", &asked)]).await;
    assert!(claims(tokens.id()).get("birthdate").is_none());
}

async fn claims_about_the_token_are_the_server_s(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(
        &json!({ "iss": { "value": "https://evil.example" }, "aud": null, "exp": null }),
        &json!({ "iss": null, "aud": null }),
    );
    let tokens = scene.tokens(&[("claims", &asked)]).await;
    let plain = scene.tokens(&[]).await;
    let (one, other) = (claims(tokens.id()), claims(plain.id()));
    for same in ["iss", "aud", "sub"] {
        assert_eq!(one[same], other[same]);
    }
    assert_eq!(userinfo(&scene, &tokens).await, userinfo(&scene, &plain).await);
}

/// OpenID Connect Core §5.5.1, §3.1.2.4
async fn the_person_is_asked_for_claims_by_name(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let email = asking(&json!({ "email": null }), &json!({}));
    let url = scene.rp.authorize_url(&good_request_but(&[("claims", &email)]));
    let silent = [("claims", &*email), ("prompt", "none")];
    let silent = scene.rp.authorize_url(&good_request_but(&silent));
    assert_eq!(scene.browser.open(&silent).await.returned().error(), "consent_required");
    let page = scene.browser.open(&url).await.shows("consent-form");
    assert!(page.html.contains("<code>email</code>"), "{}", page.html);
    assert!(page.html.contains("E-mail address"), "{}", page.html);
    scene.browser.answer(&page, "allow").await.returned().code();
    // From now on it is allowed; another claim is not.
    scene.browser.open(&silent).await.returned().code();
    let name = asking(&json!({ "email": null }), &json!({ "name": null }));
    let url = scene.rp.authorize_url(&good_request_but(&[("claims", &name)]));
    let page = scene.browser.open(&url).await.shows("consent-form");
    let returned = scene.browser.answer(&page, "deny").await.returned();
    assert_eq!(returned.error(), "access_denied");
    // What is allowed can be seen at the account.
    let address = format!("{}/account/applications", scene.server.address);
    let page = scene.browser.open(&address).await.page();
    assert!(page.html.contains("Read this about you: E-mail address"), "{}", page.html);
    assert!(!page.html.contains("Read this about you: Name"), "{}", page.html);
}

async fn a_consent_to_a_scope_covers_its_claims(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[("scope", "openid email")]).await;
    let asked = asking(&json!({ "email": null }), &json!({ "email_verified": null }));
    let changes = [("claims", &*asked), ("scope", "openid")];
    let url = scene.rp.authorize_url(&good_request_but(&changes));
    let code = scene.browser.open(&url).await.returned().code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["email"], "ada@example.com");
    assert_eq!(userinfo(&scene, &tokens).await["email_verified"], true);
}

async fn a_consent_taken_back_takes_the_claims_along(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(&json!({ "email": null }), &json!({}));
    scene.tokens(&[("claims", &asked)]).await;
    scene.server.withdraw_consent(scene.ada, "rp").await;
    let url = scene.rp.authorize_url(&good_request_but(&[("claims", &asked)]));
    let mut place = scene.browser.open(&url).await;
    if matches!(&place, Place::Page(page) if page.has("login-form")) {
        place = scene.browser.log_in(&place.page(), "ada").await;
    }
    assert!(place.shows("consent-form").html.contains("<code>email</code>"));
}

/// OpenID Connect Core §3.1.2.2, §5.5.1
async fn a_sub_that_is_asked_for_is_the_only_answer(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let bob = scene.server.account("bob").await.to_string();
    let ada = scene.ada.to_string();
    let sub = |value: &str| json!({ "sub": { "value": value } });
    let [for_ada, for_bob] = [&ada, &bob].map(|value| asking(&sub(value), &json!({})));
    scene.tokens(&[]).await;
    scene.tokens(&[("claims", &for_ada)]).await;
    let at_userinfo = asking(&json!({}), &sub(&bob));
    for asked in [&for_bob, &at_userinfo] {
        let silent = good_request_but(&[("claims", asked), ("prompt", "none")]);
        let url = scene.rp.authorize_url(&silent);
        assert_eq!(scene.browser.open(&url).await.returned().error(), "login_required");
        // Not silently: Bob has to log in, and Ada is no substitute.
        let url = scene.rp.pushed_url(&good_request_but(&[("claims", asked)])).await;
        let page = scene.browser.open(&url).await.shows("login-form");
        let returned = scene.browser.log_in(&page, "ada").await.returned();
        assert_eq!(returned.error(), "login_required");
    }
    let url = scene.rp.authorize_url(&good_request_but(&[("claims", &for_bob)]));
    let code = scene.browser.go_through(&url, "bob").await.code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_eq!(claims(tokens.id())["sub"], bob);
}

/// OpenID Connect Core §5.5
async fn an_essential_auth_time_is_told(store: StoreKind) {
    let metadata = ClientMetadata { require_auth_time: true, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let asked = asking(&json!({ "auth_time": { "essential": true } }), &json!({}));
    for changes in [&[("claims", &*asked)][..], &[]] {
        let tokens = scene.tokens(changes).await;
        assert!(claims(tokens.id())["auth_time"].is_i64());
    }
}

/// OpenID Connect Core §5.5, §3.1.2.6
async fn malformed_claims_are_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let long = json!({ "x": "x".repeat(8192) }).to_string();
    for claims in ["x", "[]", r#"{"id_token":[]}"#, r#"{"userinfo":{"email":1}}"#] {
        let request = good_request_but(&[("claims", claims), ("state", "s1")]);
        let returned = scene.browser.open(&scene.rp.authorize_url(&request)).await.returned();
        assert_eq!((returned.error(), returned.get("state")), ("invalid_request", Some("s1")));
        scene.rp.push(&request).await.refused(400, "invalid_request");
    }
    let request = good_request_but(&[("claims", &long)]);
    scene.rp.push(&request).await.refused(400, "invalid_request");
}

async fn without_openid_nothing_comes_of_it(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let asked = asking(&json!({ "email": null }), &json!({ "email": null }));
    let changes = [("claims", &*asked), ("scope", "read")];
    let url = scene.rp.authorize_url(&good_request_but(&changes));
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    assert!(!page.html.contains("<code>email</code>"));
}

/// Values are somebody's data: they are sealed.
async fn values_stand_in_no_event(store: StoreKind) {
    let metadata =
        ClientMetadata { scope: Scope::parse("openid email").unwrap(), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let asked = asking(&json!({ "email": { "value": "ada@example.com" } }), &json!({}));
    scene.tokens(&[("claims", &asked), ("scope", "openid")]).await;
    let log = scene.server.log().await;
    assert!(log.iter().any(|stored| stored.event.payload.contains("\"id_token\":[\"email\"]")));
    assert!(log.iter().all(|stored| !stored.event.payload.contains("ada@example.com")));
}

/// OpenID Connect Discovery §3
async fn the_metadata_say_so(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["claims_parameter_supported"], true);
    let supported = metadata["claims_supported"].as_array().unwrap();
    assert!(supported.contains(&json!("email")) && supported.contains(&json!("acr")));
}
