//! The authorization code grant (RFC 6749 §4.1, §10.5, RFC 9700 §2.1).

use std::collections::BTreeSet;

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use reqwest::Method;

use crate::support::{
    Browser, CHALLENGE, Place, REDIRECT_URI, Scene, StoreKind, Tokens, claims, confidential,
    good_request, good_request_but, public,
};

both_stores! {
    a_plain_request_leads_to_tokens,
    a_pushed_request_leads_to_tokens,
    a_public_client_gets_tokens,
    a_replayed_code_revokes_the_grant,
    a_code_replayed_by_another_client_revokes_the_grant,
    a_code_ends_after_a_minute,
    a_code_is_for_its_own_client,
    a_code_is_for_its_redirect_uri,
    a_code_that_was_never_issued_is_refused,
    a_code_must_be_there_once,
    codes_carry_enough_entropy,
    an_unknown_client_is_told_to_the_person,
    an_unregistered_redirect_uri_is_told_to_the_person,
    a_wrong_response_type_is_told_to_the_client,
    a_malformed_request_is_told_to_the_client,
    unknown_parameters_are_ignored,
    a_posted_request_works,
    the_port_of_a_loopback_redirect_uri_is_free,
    a_person_who_denies_is_told_to_the_client,
    a_person_who_cancels_is_told_to_the_client,
    a_scope_that_is_not_registered_is_left_out,
    a_request_without_a_scope_gets_the_registered_one,
    response_modes_are_honoured,
    an_answered_request_can_not_be_answered_again,
}

async fn a_plain_request_leads_to_tokens(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("state", "s p&ce")]));
    let page = scene.browser.open(&url).await.shows("login-form");
    assert!(scene.server.grants().await.is_empty(), "a stranger's request is not kept");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let returned = scene.browser.answer(&page, "allow").await.returned();
    assert_eq!((&*returned.to, returned.by), (REDIRECT_URI, "query"));
    assert_eq!(returned.get("state"), Some("s p&ce"));
    let tokens = Tokens::of(&scene.rp.redeem(returned.code()).await.ok());
    assert_eq!(tokens.scope, "openid read");
    assert_eq!(tokens.refresh, None);
    assert_eq!(claims(tokens.id())["sub"], scene.ada.to_string());
    assert_eq!(
        scene.server.only_grant().await,
        ["RequestReceived", "SubjectAuthenticated", "ConsentGiven", "CodeIssued", "CodeRedeemed"]
    );
}

async fn a_pushed_request_leads_to_tokens(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[]).await;
    assert!(scene.rp.is_alive(&tokens.access).await);
    let events = scene.server.only_grant().await;
    assert_eq!(events.first().map(String::as_str), Some("RequestPushed"));
    assert_eq!(events.last().map(String::as_str), Some("CodeRedeemed"));
}

async fn a_public_client_gets_tokens(store: StoreKind) {
    let mut scene = Scene::with(store, "", public()).await;
    let tokens = scene.lasting_tokens().await;
    scene.rp.userinfo(&tokens.access).await.ok();
    scene.rp.refresh(tokens.refresh()).await.ok();
}

/// RFC 6749 §4.1.2, §10.5
async fn a_replayed_code_revokes_the_grant(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[("scope", "openid offline_access")]).await;
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert!(scene.rp.is_alive(&tokens.access).await);
    assert!(scene.rp.is_alive(tokens.refresh()).await);

    scene.rp.redeem(&code).await.invalid_grant();

    assert!(!scene.rp.is_alive(&tokens.access).await);
    assert!(!scene.rp.is_alive(tokens.refresh()).await);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    assert_eq!(scene.rp.userinfo(&tokens.access).await.status, 401);
    let events = scene.server.only_grant().await;
    assert_eq!(events[events.len() - 2..], ["CodeReplayed", "GrantRevoked"]);

    // Once more changes nothing more.
    scene.rp.redeem(&code).await.invalid_grant();
    assert_eq!(scene.server.only_grant().await, events);
}

/// RFC 9700 §4.5: whoever has the code has stolen it.
async fn a_code_replayed_by_another_client_revokes_the_grant(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let thief = scene.server.register("thief", confidential()).await;
    let code = scene.code(&[]).await;
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    thief.redeem(&code).await.invalid_grant();
    assert!(!scene.rp.is_alive(&tokens.access).await);
}

/// RFC 6749 §4.1.2
async fn a_code_ends_after_a_minute(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[]).await;
    scene.server.advance(59);
    let late = scene.code(&[]).await;
    scene.rp.redeem(&code).await.ok();
    scene.server.advance(60);
    scene.rp.redeem(&late).await.invalid_grant();
}

/// RFC 6749 §4.1.3
async fn a_code_is_for_its_own_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let thief = scene.server.register("thief", confidential()).await;
    let app = scene.server.register("app", public()).await;
    let code = scene.code(&[]).await;
    for other in [&thief, &app, &thief] {
        other.redeem(&code).await.invalid_grant();
    }
    scene.rp.redeem(&code).await.ok();
    let noted = scene.server.only_grant().await;
    assert_eq!(noted.iter().filter(|event| *event == "RefusalNoted").count(), 1, "{noted:?}");
}

/// RFC 6749 §4.1.3
async fn a_code_is_for_its_redirect_uri(store: StoreKind) {
    let two = vec![
        RedirectUri::parse(REDIRECT_URI).unwrap(),
        RedirectUri::parse("https://rp.example/two").unwrap(),
    ];
    let metadata = ClientMetadata { redirect_uris: two, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let code = scene.code(&[]).await;
    for wrong in ["https://rp.example/two", "https://rp.example/cb/", ""] {
        scene.rp.redeem_but(&code, &[("redirect_uri", wrong)]).await.invalid_grant();
    }
    scene.rp.redeem(&code).await.ok();
}

/// RFC 6749 §5.2
async fn a_code_that_was_never_issued_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[]).await;
    let (last, rest) = code.split_at(code.len() - 6);
    let forged = format!("{last}{}", if rest == "AAAAAA" { "BBBBBB" } else { "AAAAAA" });
    for wrong in ["x", "", &code[..code.len() - 1], &format!("{code}A"), &forged] {
        let answer = scene.rp.redeem_but("unused", &[("code", wrong)]).await;
        answer.refused(400, if wrong.is_empty() { "invalid_request" } else { "invalid_grant" });
    }
    let before = scene.server.only_grant().await;
    assert_eq!(before.last().map(String::as_str), Some("CodeIssued"));
    // What is another kind of handle is no code.
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    scene.rp.redeem(&tokens.access).await.invalid_grant();
}

/// RFC 6749 §3.2
async fn a_code_must_be_there_once(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[]).await;
    let twice = [("code", &*code), ("code", &*code)];
    scene.rp.redeem_but("unused", &twice).await.refused(400, "invalid_request");
    scene.rp.redeem(&code).await.ok();
}

/// RFC 6749 §10.10
async fn codes_carry_enough_entropy(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let code = scene.code(&[]).await;
        assert!(code.len() >= 64, "{code}");
        assert!(seen.insert(code[code.len() - 42..].to_owned()), "twice the same");
    }
}

/// RFC 6749 §4.1.2.1
async fn an_unknown_client_is_told_to_the_person(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let address = &scene.server.address;
    let request = crate::support::form(&good_request());
    for client in ["client_id=nobody&", "client_id=&", "client_id=a%00b&"] {
        let url = format!("{address}/authorize?{client}{request}");
        let code = if client == "client_id=&" { "invalid_request" } else { "invalid_client" };
        scene.browser.open(&url).await.error_page(code);
    }
    let url = format!("{address}/authorize?{request}");
    scene.browser.open(&url).await.error_page("invalid_request");
}

/// RFC 6749 §3.1.2.4, RFC 9700 §2.1
async fn an_unregistered_redirect_uri_is_told_to_the_person(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for wrong in [
        "https://evil.example/cb",
        "https://rp.example/cb?x=1",
        "https://rp.example/cb/",
        "https://rp.example:444/cb",
        "https://rp.example/CB",
        "https://rp.example/cb/../cb",
        "http://rp.example/cb",
        "https://rp.example/cb#f",
        "https://rp.example@evil.example/cb",
        "javascript:alert(1)",
        "/cb",
        "",
    ] {
        let url = scene.rp.authorize_url(&good_request_but(&[("redirect_uri", wrong)]));
        let page = scene.browser.open(&url).await.error_page("invalid_request");
        assert!(!page.html.contains("evil.example"), "{wrong}");
    }
    let twice = [&good_request()[..], &[("redirect_uri", REDIRECT_URI)]].concat();
    let url = scene.rp.authorize_url(&twice);
    scene.browser.open(&url).await.error_page("invalid_request");
}

/// RFC 6749 §4.1.2.1; one that is known but switched off is told where its
/// tokens would have stood (§4.2.2.1, OpenID Connect Core §3.3.2.6).
async fn a_wrong_response_type_is_told_to_the_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (response_type, error, by) in [
        ("token", "unsupported_response_type", "fragment"),
        ("code id_token", "unsupported_response_type", "fragment"),
        ("banana", "unsupported_response_type", "query"),
        ("", "invalid_request", "query"),
    ] {
        let changes = [("response_type", response_type), ("state", "s")];
        let url = scene.rp.authorize_url(&good_request_but(&changes));
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!((&*returned.to, returned.by), (REDIRECT_URI, by));
        assert_eq!(returned.error(), error);
        assert_eq!(returned.get("state"), Some("s"));
    }
}

/// RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6
async fn a_malformed_request_is_told_to_the_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for (change, error) in [
        (("scope", "a\"b"), "invalid_scope"),
        (("scope", "admin"), "invalid_scope"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "-1"), "invalid_request"),
        (("request", "e.y.J"), "invalid_request_object"),
        (("request_uri", "https://rp.example/r"), "invalid_request_uri"),
        (("registration", "{}"), "registration_not_supported"),
    ] {
        let url = scene.rp.authorize_url(&good_request_but(&[change, ("state", "s")]));
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!(returned.error(), error, "{change:?}");
        assert_eq!(returned.get("state"), Some("s"));
    }
    for repeated in ["state", "nonce", "code_challenge", "shoe_size"] {
        let twice = [&good_request_but(&[(repeated, "")])[..], &[(repeated, "1"), (repeated, "2")]];
        let url = scene.rp.authorize_url(&twice.concat());
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!(returned.error(), "invalid_request", "{repeated}");
    }
}

/// RFC 6749 §3.1
async fn unknown_parameters_are_ignored(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[("shoe_size", "44"), ("display", "page")]).await;
    scene.rp.redeem_but(&code, &[("shoe_size", "44")]).await.ok();
}

/// RFC 6749 §3.1, OpenID Connect Core §3.1.2.1. A cross-site POST comes without
/// the session; the GET that it is answered with brings it.
async fn a_posted_request_works(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.code(&[]).await;
    let request = [&[("client_id", "rp"), ("state", "posted")], &good_request()[..]].concat();
    let url = format!("{}/authorize", scene.server.address);
    let mut bare = Browser::new(&scene.server);
    let answer = bare
        .request(Method::POST, &url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://rp.example")
        .body(crate::support::form(&request))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 303);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with(&format!("{}/authorize?", scene.server.issuer)));
    let returned = scene.browser.open(&location).await.returned();
    assert_eq!(returned.get("state"), Some("posted"));
    scene.rp.redeem(returned.code()).await.ok();
    // A browser without a session comes to the login page.
    bare.post_from("https://rp.example", &url, &request).await.shows("login-form");
}

/// RFC 8252 §7.3
async fn the_port_of_a_loopback_redirect_uri_is_free(store: StoreKind) {
    let own = vec![RedirectUri::parse("http://127.0.0.1/cb").unwrap()];
    let metadata = ClientMetadata { redirect_uris: own, ..public() };
    let mut scene = Scene::with(store, "", metadata).await;
    let uri = "http://127.0.0.1:51234/cb";
    let url = scene.rp.authorize_url(&good_request_but(&[("redirect_uri", uri)]));
    let returned = scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.to, uri);
    let redeemed = scene.rp.redeem_but(returned.code(), &[("redirect_uri", uri)]).await;
    redeemed.ok();
    let elsewhere = good_request_but(&[("redirect_uri", "http://127.0.0.2:51234/cb")]);
    let url = scene.rp.authorize_url(&elsewhere);
    scene.browser.open(&url).await.error_page("invalid_request");
}

/// RFC 6749 §4.1.2.1
async fn a_person_who_denies_is_told_to_the_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request_but(&[("state", "s")])).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let returned = scene.browser.answer(&page, "deny").await.returned();
    assert_eq!(returned.error(), "access_denied");
    assert_eq!(returned.get("state"), Some("s"));
    let events = scene.server.only_grant().await;
    assert_eq!(events.last().map(String::as_str), Some("RequestDeclined"));
    // No is no: the same page does not lead to a code any more.
    scene.browser.answer(&page, "allow").await.error_page("invalid_request_uri");
    // And it is not remembered as a yes.
    let url = scene.rp.pushed_url(&good_request()).await;
    scene.browser.open(&url).await.shows("consent-form");
}

/// RFC 6749 §4.1.2.1
async fn a_person_who_cancels_is_told_to_the_client(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("state", "s")]));
    let page = scene.browser.open(&url).await.shows("login-form");
    let place = scene.browser.submit(&page, "login-form", &[("action", "cancel")]).await;
    let returned = place.returned();
    assert_eq!(returned.error(), "access_denied");
    assert_eq!(returned.get("state"), Some("s"));
    assert!(scene.server.grants().await.is_empty(), "only counted");
}

/// RFC 6749 §3.3
async fn a_scope_that_is_not_registered_is_left_out(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[("scope", "openid admin read")]).await;
    assert_eq!(tokens.scope, "openid read");
    assert_eq!(claims(&tokens.access)["scope"], "openid read");
}

/// RFC 6749 §3.3
async fn a_request_without_a_scope_gets_the_registered_one(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[("scope", "")]).await;
    assert_eq!(tokens.scope, "profile email read write");
    assert_eq!(tokens.id, None);
}

/// OAuth 2.0 Multiple Response Type Encoding Practices §2.1, Form Post Response
/// Mode §2
async fn response_modes_are_honoured(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for mode in ["query", "fragment", "form_post"] {
        let changes = [("response_mode", mode), ("state", "\"<&>'")];
        let url = scene.rp.authorize_url(&good_request_but(&changes));
        let returned = scene.browser.go_through(&url, "ada").await;
        assert_eq!((&*returned.to, returned.by), (REDIRECT_URI, mode));
        assert_eq!(returned.get("state"), Some("\"<&>'"));
        scene.rp.redeem(returned.code()).await.ok();

        let url = scene
            .rp
            .authorize_url(&[&good_request_but(&changes)[..], &[("max_age", "x")]].concat());
        let returned = scene.browser.open(&url).await.returned();
        assert_eq!((returned.error(), returned.by), ("invalid_request", mode));
    }
}

/// A person who goes back to a page that they have answered.
async fn an_answered_request_can_not_be_answered_again(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.authorize_url(&good_request_but(&[("code_challenge", CHALLENGE)]));
    let login = scene.browser.open(&url).await.shows("login-form");
    let consent = scene.browser.log_in(&login, "ada").await.shows("consent-form");
    let Place::Returned(first) = scene.browser.answer(&consent, "allow").await else {
        panic!("no answer")
    };
    for action in ["allow", "deny"] {
        scene.browser.answer(&consent, action).await.error_page("invalid_request_uri");
    }
    scene.rp.redeem(first.code()).await.ok();
}
