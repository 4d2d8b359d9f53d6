//! Hooks: scripts and webhooks of the operator (Standard Webhooks 1.0.0), at each of
//! their points, and what becomes of a request when one fails.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::client::{AccessTokenFormat, ClientMetadata};
use chancery_domain::protocol::scope::Scope;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{
    Answer, BEGINNING, Listener, OPEN, RelyingParty, Scene, StoreKind, TestServer, claims,
    confidential, good_metadata_but, good_request, good_request_but, service, until, verified,
};

both_stores! {
    a_script_adds_claims_to_both_tokens,
    what_is_the_server_s_own_stays_so,
    a_hook_that_fails_refuses_the_request,
    a_hook_that_may_fail_is_passed_over,
    a_script_that_never_ends_is_cut_off,
    a_script_that_grows_without_end_is_cut_off,
    added_claims_are_the_same_when_an_answer_is_given_again,
    added_claims_do_not_stand_in_the_log,
    lifetimes_are_the_hook_s_and_stand_in_the_event,
    a_hook_blocks_issuance_and_spends_nothing,
    a_wrong_code_is_nobody_s_business,
    claims_are_seen_only_where_the_settings_say_so,
    an_authorization_request_is_refused,
    a_hook_asks_for_a_login_and_for_consent,
    a_hook_narrows_what_is_asked_and_granted,
    a_person_is_refused_once_they_are_known,
    consent_is_skipped_but_not_against_the_client,
    a_failing_hook_leaves_a_pushed_request_as_it_was,
    a_registration_is_refused_or_changed,
    a_push_is_refused_shortened_and_told_more,
    userinfo_is_shaped,
    introspection_tells_more_or_nothing,
    metadata_are_added_and_taken_away,
    a_webhook_is_signed_and_its_answer_counts,
    a_webhook_that_does_not_answer_well_refuses,
    a_hook_is_for_the_clients_that_name_it,
    a_client_that_names_a_hook_that_is_not_there_gets_nothing,
    a_script_is_read_again_when_it_changes,
    the_operator_sees_how_hooks_stand,
}

/// A script in a file of its own.
struct Script {
    folder: TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let script = Self { folder: TempDir::new().unwrap() };
        script.write(text);
        script
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("hook.rhai")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    /// Its table in the settings.
    fn at(&self, points: &str, more: &str) -> String {
        format!("\n[hooks.mine]\non = {points}\nscript = \"{}\"\n{more}\n", self.path().display())
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The settings of a webhook.
fn webhook(listener: &Listener, points: &str, more: &str) -> String {
    format!(
        "\n[outbound]\nallow_loopback = true\nallow_http = true\n[hooks.remote]\non = {points}\n\
         url = \"{}\"\nsecret = \"{SECRET}\"\n{more}\n",
        listener.url
    )
}

async fn with_service(store: StoreKind, settings: &str) -> (TestServer, RelyingParty) {
    let server = TestServer::with_settings(store, settings).await;
    let rp = server.register("svc", service()).await;
    (server, rp)
}

/// A hook that has to be asked could not be: RFC 6749 §4.1.2.1 has the word.
fn is_unanswered(answer: &Answer) {
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(answer.json()["error"], "server_error", "{answer:?}");
}

/// What the windows counted of failed hooks.
async fn failures_counted(server: &TestServer) -> Vec<Value> {
    server
        .act(|services| async move {
            chancery::tally::close_window(&services, services.now()).await;
        })
        .await;
    let log = server.log().await;
    let windows = log.iter().filter(|stored| stored.event.event_type == "WindowCounted");
    let counts = windows.flat_map(|stored| {
        let window: Value = serde_json::from_str(&stored.event.payload).unwrap();
        window["counts"].as_array().unwrap().clone()
    });
    counts.filter(|count| count["what"] == "hook_failed").collect()
}

async fn a_script_adds_claims_to_both_tokens(store: StoreKind) {
    let script = Script::new(
        r#"
        fn token(input) {
            #{
                access_token_claims: #{ tenant: "example", grant: input.grant_id },
                id_token_claims: #{ badge: input.scope.len(), by: input.grant_type },
            }
        }"#,
    );
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), confidential()).await;
    let tokens = scene.lasting_tokens().await;
    let access = verified(&scene.rp, &tokens.access).await;
    assert_eq!(access["tenant"], "example");
    assert_eq!(access["sub"], scene.ada.to_string());
    let grants = scene.server.grants().await;
    assert_eq!(access["grant"].as_str(), grants.keys().next().map(String::as_str));
    let id = verified(&scene.rp, tokens.id()).await;
    assert_eq!((&id["badge"], &id["by"]), (&json!(4), &json!("authorization_code")));
    assert_eq!(id["iss"], scene.server.issuer);
    // The token is as good as any.
    scene.rp.userinfo(&tokens.access).await.ok();
    assert!(scene.rp.is_alive(&tokens.access).await);

    let again = scene.rp.refresh(tokens.refresh()).await.ok();
    let id = claims(again["id_token"].as_str().unwrap());
    assert_eq!(id["by"], "refresh_token");
}

/// RFC 9068 §2.2, OpenID Connect Core §2
async fn what_is_the_server_s_own_stays_so(store: StoreKind) {
    let names = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "cnf", "nonce"];
    let script = Script::new(&format!(
        "fn token(input) {{ let own = #{{}}; own[input.audience[0]] = \"x\"; \
         #{{ access_token_claims: own }} }} // {names:?}"
    ));
    let server = TestServer::with_settings(store, &script.at("[\"token\"]", "")).await;
    // The audience tells the script which claim to try.
    for name in names {
        let metadata = ClientMetadata { access_token_audience: vec![name.to_owned()], ..service() };
        let rp = server.register(&format!("svc-{name}"), metadata).await;
        is_unanswered(&rp.client_credentials(&[]).await);
    }
    assert!(server.grants().await.is_empty());
    let metadata = ClientMetadata { access_token_audience: vec!["mine".to_owned()], ..service() };
    let rp = server.register("svc-mine", metadata).await;
    let answer = rp.client_credentials(&[]).await.ok();
    assert_eq!(claims(answer["access_token"].as_str().unwrap())["mine"], "x");
}

async fn a_hook_that_fails_refuses_the_request(store: StoreKind) {
    for text in [
        "fn token(input) { throw \"alice@example.com\" }",
        "fn token(input) { input.no.such.thing }",
        "fn token(input) { 1 / 0 }",
        "fn token(input) { 7 }",
        "fn token(input) { #{ denied: \"misspelt\" } }",
        "fn token(input) { #{ access_token_lifetime: -1 } }",
    ] {
        let script = Script::new(text);
        let (server, rp) = with_service(store, &script.at("[\"token\"]", "")).await;
        let answer = rp.client_credentials(&[]).await;
        is_unanswered(&answer);
        assert!(!answer.body.contains("alice"));
        assert!(server.grants().await.is_empty(), "{text}");
        let counted = failures_counted(&server).await;
        assert_eq!(counted.len(), 1, "{text}: {counted:?}");
        assert!(counted[0]["reason"].as_str().unwrap().starts_with("mine: "), "{counted:?}");
        assert_eq!(counted[0]["client_id"], "svc");
        let log = server.log().await;
        assert!(log.iter().all(|stored| !stored.event.payload.contains("alice")));
    }
}

async fn a_hook_that_may_fail_is_passed_over(store: StoreKind) {
    let script = Script::new("fn token(input) { throw 1 }");
    let settings = script.at("[\"token\"]", "on_failure = \"open\"");
    let (server, rp) = with_service(store, &settings).await;
    for _ in 0..3 {
        rp.client_credentials(&[]).await.ok();
    }
    // Counted in a window, not one by one.
    let counted = failures_counted(&server).await;
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!((&counted[0]["reason"], &counted[0]["count"]), (&json!("mine: failed"), &json!(3)));
}

async fn a_script_that_never_ends_is_cut_off(store: StoreKind) {
    let script = Script::new("fn token(input) { loop { } } fn par(input) { }");
    let settings = script.at("[\"token\", \"par\"]", "timeout_ms = 500");
    let server = TestServer::with_settings(store, &settings).await;
    let rp = server.register("svc", service()).await;
    let pusher = server.register("rp", confidential()).await;
    let begun = Instant::now();
    let many = (0..8).map(|_| {
        let rp = rp.clone();
        tokio::spawn(async move { rp.client_credentials(&[]).await })
    });
    let many: Vec<_> = many.collect();
    // Meanwhile others are served.
    pusher.push(&good_request()).await.succeeded(201);
    for answer in many {
        is_unanswered(&answer.await.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let counted = failures_counted(&server).await;
    assert_eq!(counted[0]["reason"], "mine: took_too_long");
}

async fn a_script_that_grows_without_end_is_cut_off(store: StoreKind) {
    for text in ["let s = \"x\"; loop { s += s; }", "let a = [0]; loop { a += a; }"] {
        let script = Script::new(&format!("fn token(input) {{ {text} }}"));
        let (server, rp) = with_service(store, &script.at("[\"token\"]", "")).await;
        is_unanswered(&rp.client_credentials(&[]).await);
        let counted = failures_counted(&server).await;
        assert_eq!(counted[0]["reason"], "mine: too_large");
    }
    let script = Script::new("fn f(n) { f(n + 1) } fn token(input) { f(0) }");
    let (_server, rp) = with_service(store, &script.at("[\"token\"]", "")).await;
    is_unanswered(&rp.client_credentials(&[]).await);
}

/// RFC 9700 §4.14.2: a reply that was lost on the network is the same the second time.
async fn added_claims_are_the_same_when_an_answer_is_given_again(store: StoreKind) {
    let script = Script::new(
        "fn token(input) { #{ access_token_claims: #{ made: input.now }, \
         id_token_claims: #{ made: input.now } } }",
    );
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), confidential()).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.advance(10);
    let first = scene.rp.refresh(tokens.refresh()).await.ok();
    scene.server.advance(2);
    // What is in memory of it is gone.
    scene.server = scene.server.restart().await;
    let rp = scene.rp.at(&scene.server);
    let second = rp.refresh(tokens.refresh()).await.ok();
    assert_eq!(first["refresh_token"], second["refresh_token"]);
    for token in ["access_token", "id_token"] {
        let made = |answer: &Value| claims(answer[token].as_str().unwrap())["made"].clone();
        assert_eq!(made(&first), BEGINNING.seconds() + 10, "{token}");
        assert_eq!(made(&first), made(&second), "{token}");
    }
    let third = rp.refresh(first["refresh_token"].as_str().unwrap()).await.ok();
    let made = &claims(third["access_token"].as_str().unwrap())["made"];
    assert_eq!(*made, BEGINNING.seconds() + 12);
}

async fn added_claims_do_not_stand_in_the_log(store: StoreKind) {
    let script =
        Script::new("fn token(input) { #{ access_token_claims: #{ nick: \"very-personal\" } } }");
    let metadata =
        ClientMetadata { access_token_format: Some(AccessTokenFormat::Opaque), ..confidential() };
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), metadata).await;
    let tokens = scene.lasting_tokens().await;
    // RFC 7662 §2.2: an opaque token says it by introspection.
    assert_eq!(scene.rp.introspect(&tokens.access).await.ok()["nick"], "very-personal");
    scene.server = scene.server.restart().await;
    let rp = scene.rp.at(&scene.server);
    assert_eq!(rp.introspect(&tokens.access).await.ok()["nick"], "very-personal");
    let log = scene.server.log().await;
    assert!(log.iter().any(|stored| stored.event.event_type == "CodeRedeemed"));
    for stored in log {
        assert!(!stored.event.payload.contains("personal"), "{}", stored.event.payload);
    }
}

async fn lifetimes_are_the_hook_s_and_stand_in_the_event(store: StoreKind) {
    let script = Script::new(
        "fn token(input) { if input.access_token_lifetime != 300 { throw 1 } \
         #{ access_token_lifetime: 60, id_token_lifetime: 120, refresh_token_lifetime: 180 } }",
    );
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), confidential()).await;
    let code = scene.code(&[("scope", "openid offline_access")]).await;
    let answer = scene.rp.redeem(&code).await.ok();
    assert_eq!(answer["expires_in"], 60);
    let now = BEGINNING.seconds();
    assert_eq!(claims(answer["access_token"].as_str().unwrap())["exp"], now + 60);
    assert_eq!(claims(answer["id_token"].as_str().unwrap())["exp"], now + 120);
    let log = scene.server.log().await;
    let redeemed = log.iter().find(|stored| stored.event.event_type == "CodeRedeemed").unwrap();
    let redeemed: Value = serde_json::from_str(&redeemed.event.payload).unwrap();
    assert_eq!(redeemed["tokens"]["access"]["expires_at"], now + 60);
    assert_eq!(redeemed["tokens"]["refresh"]["expires_at"], now + 180);
    scene.server.advance(60);
    assert!(!scene.rp.is_alive(answer["access_token"].as_str().unwrap()).await);
    scene.server.advance(120);
    scene.rp.refresh(answer["refresh_token"].as_str().unwrap()).await.invalid_grant();
}

async fn a_hook_blocks_issuance_and_spends_nothing(store: StoreKind) {
    let script = Script::new(
        "fn token(input) { if input.now < 1800000010 { #{ deny: \"not before ten\" } } }",
    );
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), confidential()).await;
    let code = scene.code(&[]).await;
    let answer = scene.rp.redeem(&code).await;
    answer.refused(400, "access_denied");
    assert_eq!(answer.json()["error_description"], "not before ten");
    assert!(!scene.server.only_grant().await.contains(&"CodeRedeemed".to_owned()));
    scene.server.advance(10);
    scene.rp.redeem(&code).await.ok();
}

async fn a_wrong_code_is_nobody_s_business(store: StoreKind) {
    let script = Script::new("fn token(input) { #{ deny: \"no\" } }");
    let mut scene = Scene::with(store, &script.at("[\"token\"]", ""), confidential()).await;
    let code = scene.code(&[]).await;
    let other = scene.server.register("other", confidential()).await;
    other.redeem(&code).await.invalid_grant();
    // The right grant, and a secret that is a guess.
    let half = code.len() / 2;
    let guess = format!("{}{}", &code[..half], "A".repeat(code.len() - half));
    scene.rp.redeem(&guess).await.invalid_grant();
    scene.rp.redeem(&code).await.refused(400, "access_denied");
}

async fn claims_are_seen_only_where_the_settings_say_so(store: StoreKind) {
    let script = Script::new(
        "fn token(input) { let mail = if \"claims\" in input { input.claims.email } else { () }; \
         #{ id_token_claims: #{ mail: mail } } }",
    );
    for (more, expected) in [("", Value::Null), ("sees_claims = true", json!("ada@example.com"))] {
        let mut scene = Scene::with(store, &script.at("[\"token\"]", more), confidential()).await;
        let tokens = scene.lasting_tokens().await;
        assert_eq!(claims(tokens.id())["mail"], expected);
    }
}

/// RFC 6749 §4.1.2.1
async fn an_authorization_request_is_refused(store: StoreKind) {
    let script = Script::new(
        r#"fn authorization(input) {
            if "write" in input.request.scope {
                #{ deny: `no "writing" for ${input.client.client_id}` }
            }
        }"#,
    );
    let settings = script.at("[\"authorization\"]", "");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    let write = good_request_but(&[("scope", "openid write"), ("state", "s")]);
    let answer = scene.browser.open(&scene.rp.authorize_url(&write)).await.returned();
    assert_eq!(answer.error(), "access_denied");
    assert_eq!(answer.get("error_description"), Some("no ?writing? for rp"));
    assert_eq!(answer.get("state"), Some("s"));
    assert!(scene.server.grants().await.is_empty());
    // Of a request that is in the log, the log says so.
    let url = scene.rp.pushed_url(&write).await;
    let answer = scene.browser.open(&url).await.returned();
    assert_eq!(answer.error(), "access_denied");
    assert_eq!(scene.server.only_grant().await, ["RequestPushed", "RequestDeclined"]);
    scene.code(&[]).await;
}

/// OpenID Connect Core §3.1.2.6
async fn a_hook_asks_for_a_login_and_for_consent(store: StoreKind) {
    let script = Script::new(
        r#"fn authorization(input) {
            if "write" in input.request.scope {
                #{
                    require_login: input.person != () && input.now - input.person.auth_time > 60,
                    require_consent: true,
                }
            }
        }"#,
    );
    let settings = script.at("[\"authorization\"]", "");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    scene.code(&[("scope", "openid write")]).await;
    // Consented, and yet asked again.
    let write = scene.rp.authorize_url(&good_request_but(&[("scope", "openid write")]));
    let page = scene.browser.open(&write).await.shows("consent-form");
    scene.browser.answer(&page, "allow").await.returned().code();
    let silent = good_request_but(&[("scope", "openid write"), ("prompt", "none")]);
    let silent = scene.rp.authorize_url(&silent);
    let refused = scene.browser.open(&silent).await.returned();
    assert_eq!(refused.error(), "consent_required");
    scene.server.advance(61);
    let refused = scene.browser.open(&silent).await.returned();
    assert_eq!(refused.error(), "login_required");
    let page = scene.browser.open(&write).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    scene.browser.answer(&page, "allow").await.returned().code();
    // Other requests are let through.
    let other = scene.rp.authorize_url(&good_request_but(&[("scope", "openid")]));
    scene.browser.open(&other).await.returned().code();
}

/// RFC 6749 §3.3: the answer says what was granted.
async fn a_hook_narrows_what_is_asked_and_granted(store: StoreKind) {
    for point in ["authorization", "consent"] {
        let script = Script::new(&format!(
            "fn {point}(input) {{ \
             #{{ scope: input.request.scope.filter(|name| name != \"write\") + [\"admin\"] }} }}"
        ));
        let settings = script.at(&format!("[\"{point}\"]"), "");
        let mut scene = Scene::with(store, &settings, confidential()).await;
        let url = scene.rp.pushed_url(&good_request_but(&[("scope", "openid read write")])).await;
        let page = scene.browser.open(&url).await.shows("login-form");
        let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
        assert!(page.html.contains("read") && !page.html.contains("write"), "{}", page.html);
        let code = scene.browser.answer(&page, "allow").await.returned().code().to_owned();
        assert_eq!(scene.rp.redeem(&code).await.ok()["scope"], "openid read");
        // What was narrowed away was not consented to, and is not asked for again.
        let again = scene.rp.authorize_url(&good_request_but(&[("scope", "openid read write")]));
        let code = scene.browser.open(&again).await.returned().code().to_owned();
        assert_eq!(scene.rp.redeem(&code).await.ok()["scope"], "openid read");
        let nothing = scene.rp.authorize_url(&good_request_but(&[("scope", "write")]));
        let refused = scene.browser.open(&nothing).await.returned();
        assert_eq!(refused.error(), "access_denied");
    }
}

async fn a_person_is_refused_once_they_are_known(store: StoreKind) {
    let script = Script::new(
        r#"fn post_authentication(input) {
            if input.person.amr.contains("pwd") { #{ deny: "a password is not enough" } }
        }"#,
    );
    let settings = script.at("[\"post_authentication\"]", "");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    let url = scene.rp.authorize_url(&good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    let refused = scene.browser.log_in(&page, "ada").await.returned();
    assert_eq!(refused.error(), "access_denied");
    assert_eq!(refused.get("error_description"), Some("a password is not enough"));
    assert!(scene.server.grants().await.is_empty());
}

/// OpenID Connect Core §3.1.2.1: prompt=consent is the client's word.
async fn consent_is_skipped_but_not_against_the_client(store: StoreKind) {
    let script = Script::new("fn consent(input) { #{ consent: \"skip\" } }");
    let settings = script.at("[\"consent\"]", "");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    let url = scene.rp.authorize_url(&good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    scene.browser.log_in(&page, "ada").await.returned().code();
    let url = scene.rp.authorize_url(&good_request_but(&[("prompt", "consent")]));
    scene.browser.open(&url).await.shows("consent-form");
}

async fn a_failing_hook_leaves_a_pushed_request_as_it_was(store: StoreKind) {
    for point in ["authorization", "post_authentication", "consent"] {
        let script = Script::new(&format!("fn {point}(input) {{ throw 1 }}"));
        let settings = script.at(&format!("[\"{point}\"]"), "");
        let mut scene = Scene::with(store, &settings, confidential()).await;
        let url = scene.rp.pushed_url(&good_request()).await;
        let refused = scene.browser.go_through(&url, "ada").await;
        assert_eq!(refused.error(), "server_error", "{point}");
        assert_eq!(scene.server.only_grant().await, ["RequestPushed"], "{point}");
        // Once the script is mended, the request can be answered.
        script.write(&format!("fn {point}(input) {{ #{{}} }}"));
        let reloaded = || async {
            let state = |services: std::sync::Arc<chancery::services::Services>| async move {
                let hook = services.hooks.get("mine").unwrap();
                let input = std::sync::Arc::new(serde_json::json!({}));
                let world = chancery::hooks::webhook::World {
                    outbound: &services.outbound,
                    clock: &*services.clock,
                    entropy: &*services.entropy,
                };
                hook.run(hook.settings().on[0], &input, world).await.is_ok()
            };
            scene.server.act(state).await
        };
        until("the script is read again", reloaded).await;
        scene.browser.go_through(&url, "ada").await.code();
    }
}

/// RFC 7591 §2: the server may replace what was asked for.
async fn a_registration_is_refused_or_changed(store: StoreKind) {
    let script = Script::new(
        r#"fn registration(input) {
            if input.metadata.client_name == "bad" { return #{ deny: "not you" }; }
            #{ metadata: #{ client_name: input.metadata.client_name + " (checked)" } }
        }"#,
    );
    let settings = format!("{OPEN}\n{}", script.at("[\"registration\"]", ""));
    let server = TestServer::with_settings(store, &settings).await;
    let rp = server.register("rp", confidential()).await;
    let register = |name: &'static str| {
        let body = good_metadata_but(&json!({ "client_name": name }));
        let request = rp.request(reqwest::Method::POST, "/register");
        let request = request.header("content-type", "application/json").body(body.to_string());
        async { Answer::of(request.send().await.unwrap()).await }
    };
    register("bad").await.refused(400, "access_denied");
    let answer = register("good").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["client_name"], "good (checked)");
}

/// RFC 9126 §2.2, §2.3
async fn a_push_is_refused_shortened_and_told_more(store: StoreKind) {
    let script = Script::new(
        r#"fn par(input) {
            if "write" in input.request.scope { return #{ deny: "nobody writes" }; }
            if "email" in input.request.scope { return #{ members: #{ request_uri: "x" } }; }
            #{ expires_in: 5, members: #{ hint: input.client.client_name } }
        }"#,
    );
    let server = TestServer::with_settings(store, &script.at("[\"par\"]", "")).await;
    let rp = server.register("rp", confidential()).await;
    rp.push(&good_request_but(&[("scope", "openid write")])).await.refused(400, "access_denied");
    is_unanswered(&rp.push(&good_request_but(&[("scope", "openid email")])).await);
    assert!(server.grants().await.is_empty());
    let pushed = rp.push(&good_request()).await.succeeded(201);
    assert_eq!((&pushed["expires_in"], &pushed["hint"]), (&json!(5), &json!("The App")));
    server.advance(5);
    let url = rp.authorize_url(&[("request_uri", pushed["request_uri"].as_str().unwrap())]);
    let path = url.strip_prefix(&server.address).unwrap();
    assert_eq!(rp.get(path).await.status, 400);
}

/// OpenID Connect Core §5.3.2
async fn userinfo_is_shaped(store: StoreKind) {
    let script = Script::new(
        r#"fn userinfo(input) {
            if "write" in input.scope { return #{ deny: "not for writers" }; }
            #{ claims: #{ email: (), upper: input.claims.name.to_upper() } }
        }"#,
    );
    let mut scene = Scene::with(store, &script.at("[\"userinfo\"]", ""), confidential()).await;
    let tokens = scene.tokens(&[("scope", "openid profile email")]).await;
    let answer = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(answer["sub"], scene.ada.to_string());
    assert_eq!(answer["upper"], "ADA LOVELACE");
    assert_eq!(answer.get("email"), None);
    assert_eq!(answer["email_verified"], true);
    let writer = scene.tokens(&[("scope", "openid profile write")]).await;
    let refused = scene.rp.userinfo(&writer.access).await;
    assert!(refused.status >= 400 && !refused.body.contains("Ada"), "{refused:?}");
}

/// RFC 7662 §2.2
async fn introspection_tells_more_or_nothing(store: StoreKind) {
    let script = Script::new(
        r#"fn introspection(input) {
            if input.scope == ["write"] { return #{ inactive: true }; }
            #{ members: #{ tenant: "example", seen_by: input.client.client_id } }
        }"#,
    );
    let (_server, rp) = with_service(store, &script.at("[\"introspection\"]", "")).await;
    let token = |answer: Value| answer["access_token"].as_str().unwrap().to_owned();
    let one = token(rp.client_credentials(&[("scope", "read")]).await.ok());
    let answer = rp.introspect(&one).await.ok();
    assert_eq!((&answer["active"], &answer["tenant"]), (&json!(true), &json!("example")));
    assert_eq!(answer["seen_by"], "svc");
    let other = token(rp.client_credentials(&[("scope", "write")]).await.ok());
    assert_eq!(rp.introspect(&other).await.ok(), json!({ "active": false }));
    // Of what is not alive nobody is asked.
    assert_eq!(rp.introspect("made.up.token").await.ok(), json!({ "active": false }));
}

/// RFC 8414 §2
async fn metadata_are_added_and_taken_away(store: StoreKind) {
    const CONFIGURATION: &str = "/.well-known/openid-configuration";
    let script = Script::new(
        "fn discovery(input) { #{ members: #{ status_page: input.issuer + \"/status\", \
         ui_locales_supported: () } } }",
    );
    let server = TestServer::with_settings(store, &script.at("[\"discovery\"]", "")).await;
    let rp = server.register("rp", confidential()).await;
    let document = rp.get(CONFIGURATION).await.json();
    assert_eq!(document["status_page"], format!("{}/status", server.issuer));
    assert_eq!(document.get("ui_locales_supported"), None);
    assert_eq!(document["issuer"], server.issuer);

    // What was said before stands while the hook fails.
    script.write("fn discovery(input) { #{ members: #{ issuer: \"https://evil.example\" } } }");
    until("the failure is seen", || async {
        server
            .act(|services| async move { services.hooks.get("mine").unwrap().state().failures })
            .await
            > 0
    })
    .await;
    assert_eq!(rp.get(CONFIGURATION).await.json(), document);

    let broken = Script::new("fn discovery(input) { throw 1 }");
    let server = TestServer::with_settings(store, &broken.at("[\"discovery\"]", "")).await;
    let rp = server.register("rp", confidential()).await;
    is_unanswered(&rp.get(CONFIGURATION).await);
}

/// Standard Webhooks 1.0.0, "Verifying webhook authenticity"
async fn a_webhook_is_signed_and_its_answer_counts(store: StoreKind) {
    let listener = Listener::start().await;
    listener.say(&json!({ "access_token_claims": { "from": "afar" } }));
    let (_server, rp) = with_service(store, &webhook(&listener, "[\"token\"]", "")).await;
    let answer = rp.client_credentials(&[("scope", "read")]).await.ok();
    assert_eq!(claims(answer["access_token"].as_str().unwrap())["from"], "afar");

    let (head, body) = (listener.heads().remove(0), listener.bodies().remove(0));
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    assert_eq!(timestamp, BEGINNING.seconds().to_string());
    assert!(id.starts_with("msg_") && !id.contains('.'), "{id}");
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{id}.{timestamp}.{body}");
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    assert!(hmac::verify(&key, signed.to_uppercase().as_bytes(), &signature).is_err());

    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["type"], "hook.token");
    assert_eq!(told["data"]["grant_type"], "client_credentials");
    assert_eq!(told["data"]["scope"], json!(["read"]));
    assert!(!body.contains(rp.secret.as_deref().unwrap()));
}

async fn a_webhook_that_does_not_answer_well_refuses(store: StoreKind) {
    let listener = Listener::start().await;
    let settings = webhook(&listener, "[\"token\"]", "timeout_ms = 300");
    let (server, rp) = with_service(store, &settings).await;
    // Nothing at all is no answer, unless it says so.
    is_unanswered(&rp.client_credentials(&[]).await);
    listener.answer(204);
    rp.client_credentials(&[]).await.ok();
    for status in [302, 400, 500] {
        listener.answer(status);
        is_unanswered(&rp.client_credentials(&[]).await);
    }
    listener.answer(200);
    for said in [json!([]), json!({ "sub": "x" }), json!({ "id_token_claims": { "sub": "x" } })] {
        listener.say(&said);
        is_unanswered(&rp.client_credentials(&[]).await);
    }
    listener.say(&json!({}));
    rp.client_credentials(&[]).await.ok();
    listener.wait(Duration::from_secs(5));
    let begun = Instant::now();
    is_unanswered(&rp.client_credentials(&[]).await);
    assert!(begun.elapsed() < Duration::from_secs(4));
    let counted = failures_counted(&server).await;
    let reasons: Vec<_> = counted.iter().map(|count| count["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["remote: bad_answer", "remote: took_too_long", "remote: unreachable"]);
}

async fn a_hook_is_for_the_clients_that_name_it(store: StoreKind) {
    let script = Script::new("fn token(input) { #{ deny: \"no\" } }");
    let settings = script.at("[\"token\"]", "clients = \"named\"");
    let (server, rp) = with_service(store, &settings).await;
    rp.client_credentials(&[]).await.ok();
    let metadata = ClientMetadata { hooks: vec!["mine".to_owned()], ..service() };
    let named = server.register("named", metadata).await;
    named.client_credentials(&[]).await.refused(400, "access_denied");
}

async fn a_client_that_names_a_hook_that_is_not_there_gets_nothing(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata { hooks: vec!["gone".to_owned()], ..service() };
    let rp = server.register("svc", metadata).await;
    is_unanswered(&rp.client_credentials(&[]).await);
    assert!(server.grants().await.is_empty());
    assert_eq!(failures_counted(&server).await[0]["reason"], "missing");
}

async fn a_script_is_read_again_when_it_changes(store: StoreKind) {
    let script = Script::new("fn token(input) { #{ access_token_lifetime: 100 } }");
    let (server, rp) = with_service(store, &script.at("[\"token\"]", "")).await;
    let lifetime = || async { rp.client_credentials(&[]).await.ok()["expires_in"].clone() };
    assert_eq!(lifetime().await, 100);
    script.write("fn token(input) { #{ access_token_lifetime: 2000 } }");
    until("the new script is in use", || async { lifetime().await == 2000 }).await;
    // One that is wrong leaves the old one in force.
    script.write("fn token(input) { #{ access_token_lifetime: }");
    let problem = || {
        let state = |services: std::sync::Arc<chancery::services::Services>| async move {
            services.hooks.get("mine").unwrap().state().reload_problem
        };
        server.act(state)
    };
    until("the problem is seen", || async { problem().await.is_some() }).await;
    assert!(problem().await.unwrap().contains("hook.rhai:1:"));
    assert_eq!(lifetime().await, 2000);
}

async fn the_operator_sees_how_hooks_stand(store: StoreKind) {
    let script = Script::new(
        r#"fn token(input) {
            if input.scope == ["read"] { throw 1 }
            if input.scope == ["write"] { return #{ deny: "no" }; }
        }"#,
    );
    let (server, rp) = with_service(store, &script.at("[\"token\"]", "")).await;
    let metadata = ClientMetadata { scope: Scope::parse("admin").unwrap(), ..service() };
    let admin = server.register("admin", metadata).await;
    let token = admin.client_credentials(&[]).await.ok()["access_token"].clone();
    rp.client_credentials(&[("scope", "read")]).await;
    rp.client_credentials(&[("scope", "write")]).await;
    let get = |path: &'static str| {
        let request = admin.request(reqwest::Method::GET, path);
        let request = request.bearer_auth(token.as_str().unwrap());
        async { Answer::of(request.send().await.unwrap()).await }
    };
    let all = get("/admin/hooks").await.ok();
    let mine = &all["items"][0];
    assert_eq!(*mine, get("/admin/hooks/mine").await.ok());
    assert_eq!((&mine["name"], &mine["kind"]), (&json!("mine"), &json!("script")));
    assert_eq!(mine["on"], json!(["token"]));
    let counts = ["runs", "denials", "failures"].map(|name| mine[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1]);
    assert_eq!(mine["last_failure"]["kind"], "failed");
    assert!(mine["last_failure"]["detail"].as_str().unwrap().starts_with("line 2"));
    assert_eq!(get("/admin/hooks/other").await.status, 404);
}
