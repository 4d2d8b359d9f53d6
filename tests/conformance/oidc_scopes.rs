//! What scopes mean is changed while the server runs (OpenID Connect Core §5.4,
//! RFC 6749 §3.3): what people are asked, what clients learn, what metadata say.

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, OPEN, RelyingParty, Scene, StoreKind, TestServer, Tokens, confidential,
    good_metadata_but, good_request_but, service, until,
};

both_stores! {
    a_definition_that_can_t_be_is_refused,
    what_is_there_is_not_added_and_what_is_not_is_not_changed,
    a_scope_defined_while_the_server_runs_releases_its_claims,
    metadata_follow_at_once,
    the_consent_page_says_what_the_scope_allows,
    a_standard_scope_is_edited_and_reset,
    a_definition_counts_before_the_settings,
    a_privileged_scope_is_not_for_clients_that_register_themselves,
    an_open_scope_may_be_registered_for,
    another_node_knows_within_a_second,
    a_definition_is_an_event_with_its_operator,
}

/// Somebody who may administer.
struct Operator {
    rp: RelyingParty,
    token: String,
}

impl Operator {
    async fn of(server: &TestServer) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse("admin").unwrap(), ..service() };
        let rp = server.register("operator", metadata).await;
        let token = Tokens::of(&rp.client_credentials(&[]).await.ok()).access;
        Self { rp, token }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.rp.request(method, path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    async fn define(&self, scope: Value) -> Answer {
        self.call(Method::POST, "/admin/scopes", Some(scope)).await
    }

    async fn change(&self, name: &str, changes: Value) -> Answer {
        self.call(Method::PATCH, &format!("/admin/scopes/{name}"), Some(changes)).await
    }

    async fn take_back(&self, name: &str) -> Answer {
        self.call(Method::DELETE, &format!("/admin/scopes/{name}"), None).await
    }

    async fn show(&self, name: &str) -> Answer {
        self.call(Method::GET, &format!("/admin/scopes/{name}"), None).await
    }
}

fn accounts() -> Value {
    json!({
        "name": "accounts:read",
        "description": "see your accounts",
        "localized": { "de": "Ihre Konten sehen" },
        "claims": ["phone_number"],
    })
}

fn accounts_but(changes: &Value) -> Value {
    let mut scope = accounts();
    for (name, value) in changes.as_object().unwrap() {
        scope[name] = value.clone();
    }
    scope
}

/// A client that may ask for it.
fn reader() -> ClientMetadata {
    let scope = Scope::parse("openid email accounts:read payroll").unwrap();
    ClientMetadata { scope, ..confidential() }
}

async fn metadata(rp: &RelyingParty, name: &str) -> Vec<String> {
    let metadata = rp.get("/.well-known/openid-configuration").await.json();
    serde_json::from_value(metadata[name].clone()).unwrap()
}

async fn a_definition_that_can_t_be_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let operator = Operator::of(&server).await;
    for wrong in [
        json!({ "name": "two words" }),
        json!({ "name": "openid" }),
        json!({ "description": "" }),
        json!({ "description": null }),
        json!({ "localized": { "not a tag": "x" } }),
        json!({ "claims": ["sub"] }),
        json!({ "claims": ["name#de"] }),
        json!({ "privileged": true, "open": true }),
        json!({ "name": "events:read" }),
    ] {
        let refused = operator.define(accounts_but(&wrong)).await;
        assert!(matches!(refused.status, 409 | 422), "{wrong}: {}", refused.body);
    }
    assert_eq!(operator.change("email", json!({ "claims": ["iss"] })).await.status, 422);
    assert_eq!(operator.change("email", json!({ "claim": ["email"] })).await.status, 422);
    assert_eq!(operator.change("openid", json!({ "claims": ["email"] })).await.status, 422);
    assert_eq!(operator.show("accounts:read").await.status, 404);
}

async fn what_is_there_is_not_added_and_what_is_not_is_not_changed(store: StoreKind) {
    let settings = "[scopes.work]\ndescription = \"see your work\"";
    let server = TestServer::with_settings(store, settings).await;
    let operator = Operator::of(&server).await;
    for name in ["email", "work"] {
        assert_eq!(operator.define(accounts_but(&json!({ "name": name }))).await.status, 409);
        // There is nothing to take back.
        assert_eq!(operator.take_back(name).await.status, 409);
    }
    assert_eq!(operator.change("accounts:read", json!({ "open": true })).await.status, 404);
    assert_eq!(operator.take_back("accounts:read").await.status, 404);
    operator.define(accounts()).await.succeeded(201);
    assert_eq!(operator.define(accounts()).await.status, 409);
    operator.take_back("accounts:read").await.ok();
    operator.define(accounts()).await.succeeded(201);
}

/// OpenID Connect Core §5.4
async fn a_scope_defined_while_the_server_runs_releases_its_claims(store: StoreKind) {
    let mut scene = Scene::with(store, "", reader()).await;
    let operator = Operator::of(&scene.server).await;
    let shown = operator.define(accounts()).await.succeeded(201);
    assert_eq!(shown["source"], "defined");
    let tokens = scene.tokens(&[("scope", "openid accounts:read")]).await;
    let userinfo = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(userinfo["phone_number"], "+44 1");
    assert!(userinfo.get("email").is_none());

    operator.change("accounts:read", json!({ "claims": ["email"] })).await.ok();
    let userinfo = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(userinfo["email"], "ada@example.com");
    assert!(userinfo.get("phone_number").is_none());

    operator.take_back("accounts:read").await.ok();
    let userinfo = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(userinfo.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub"]);
}

/// OpenID Connect Discovery §3
async fn metadata_follow_at_once(store: StoreKind) {
    let server = TestServer::start(store).await;
    let operator = Operator::of(&server).await;
    let says = async |name: &str, value: &str| {
        metadata(&operator.rp, name).await.iter().any(|own| own == value)
    };
    assert!(!says("scopes_supported", "accounts:read").await);
    operator.define(accounts_but(&json!({ "claims": ["account_ids"] }))).await.succeeded(201);
    assert!(says("scopes_supported", "accounts:read").await);
    assert!(says("claims_supported", "account_ids").await);
    operator.take_back("accounts:read").await.ok();
    assert!(!says("scopes_supported", "accounts:read").await);
    assert!(!says("claims_supported", "account_ids").await);
}

/// RFC 6749 §10.2
async fn the_consent_page_says_what_the_scope_allows(store: StoreKind) {
    let mut scene = Scene::with(store, "", reader()).await;
    let operator = Operator::of(&scene.server).await;
    operator.define(accounts()).await.succeeded(201);
    for (language, text) in [("en", "See your accounts"), ("de", "Ihre Konten sehen")] {
        let asked = [
            ("scope", "openid accounts:read"),
            ("ui_locales", language),
            ("prompt", "login consent"),
        ];
        let url = scene.rp.pushed_url(&good_request_but(&asked)).await;
        let login = scene.browser.open(&url).await.page();
        let form = ["login-form", "login-again-form"].into_iter().find(|form| login.has(form));
        assert_eq!(form, Some("login-form"), "{}", login.html);
        let page = scene.browser.log_in(&login, "ada").await.shows("consent-form");
        assert!(page.html.contains(text), "{language}: {}", page.html);
    }
}

async fn a_standard_scope_is_edited_and_reset(store: StoreKind) {
    let mut scene = Scene::with(store, "", reader()).await;
    let operator = Operator::of(&scene.server).await;
    let tokens = scene.tokens(&[("scope", "openid email")]).await;
    let both = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(both["email_verified"], true);

    operator.change("email", json!({ "claims": ["email", "phone_number"] })).await.ok();
    let edited = scene.rp.userinfo(&tokens.access).await.ok();
    assert!(edited.get("email_verified").is_none());
    assert_eq!(edited["phone_number"], "+44 1");

    let reset = operator.take_back("email").await.ok();
    assert_eq!(reset["source"], "standard");
    assert_eq!(scene.rp.userinfo(&tokens.access).await.ok(), both);
}

async fn a_definition_counts_before_the_settings(store: StoreKind) {
    let settings = "[scopes.\"accounts:read\"]\ndescription = \"x\"\nclaims = [\"email\"]";
    let server = TestServer::with_settings(store, settings).await;
    let operator = Operator::of(&server).await;
    assert_eq!(operator.show("accounts:read").await.ok()["source"], "settings");
    let changed = operator.change("accounts:read", json!({ "claims": ["name"] })).await.ok();
    assert_eq!(changed["description"], "x", "what was not given stays");
    assert_eq!(changed["source"], "defined");
    let server = server.restart().await;
    let again = Operator { rp: operator.rp.at(&server), ..operator };
    assert_eq!(again.show("accounts:read").await.ok()["claims"], json!(["name"]));
    assert_eq!(again.take_back("accounts:read").await.ok()["claims"], json!(["email"]));
}

async fn a_privileged_scope_is_not_for_clients_that_register_themselves(store: StoreKind) {
    let server = TestServer::with_settings(store, OPEN).await;
    let operator = Operator::of(&server).await;
    let payroll = json!({ "name": "payroll", "description": "see salaries", "open": true });
    operator.define(payroll).await.succeeded(201);
    let asked = good_metadata_but(&json!({ "scope": "openid payroll" }));
    let before = server.ask_to_register(None, &asked).await.succeeded(201);
    assert_eq!(before["scope"], "openid payroll");
    let rp = server.registered(&before);
    server.account("ada").await;

    operator.change("payroll", json!({ "open": false, "privileged": true })).await.ok();
    let after = server.ask_to_register(None, &asked).await.succeeded(201);
    assert_eq!(after["scope"], "openid");
    // Who had it before gets it no more.
    let url = rp.pushed_url(&good_request_but(&[("scope", "openid payroll")])).await;
    let mut browser = crate::support::Browser::new(&server);
    let code = browser.go_through(&url, "ada").await.code().to_owned();
    assert_eq!(Tokens::of(&rp.redeem(&code).await.ok()).scope, "openid");
    // An operator's own client may have it.
    let service = ClientMetadata { scope: Scope::parse("payroll").unwrap(), ..service() };
    let service = server.register("service", service).await;
    assert_eq!(Tokens::of(&service.client_credentials(&[]).await.ok()).scope, "payroll");
}

async fn an_open_scope_may_be_registered_for(store: StoreKind) {
    let server = TestServer::with_settings(store, OPEN).await;
    let operator = Operator::of(&server).await;
    let asked = good_metadata_but(&json!({ "scope": "openid accounts:read" }));
    operator.define(accounts()).await.succeeded(201);
    let closed = server.ask_to_register(None, &asked).await.succeeded(201);
    assert_eq!(closed["scope"], "openid");
    operator.change("accounts:read", json!({ "open": true })).await.ok();
    let open = server.ask_to_register(None, &asked).await.succeeded(201);
    assert_eq!(open["scope"], "openid accounts:read");
}

async fn another_node_knows_within_a_second(store: StoreKind) {
    if store == StoreKind::Sqlite {
        return;
    }
    let server = TestServer::start(store).await;
    let other = server.second_node().await;
    let operator = Operator::of(&server).await;
    let there = operator.rp.at(&other);
    operator.define(accounts()).await.succeeded(201);
    let known = until("the other node knows the scope", || async {
        metadata(&there, "scopes_supported").await.iter().any(|own| own == "accounts:read")
    });
    // A second is promised; a busy machine is given more.
    tokio::time::timeout(std::time::Duration::from_secs(5), known).await.unwrap();
}

async fn a_definition_is_an_event_with_its_operator(store: StoreKind) {
    let server = TestServer::start(store).await;
    let operator = Operator::of(&server).await;
    operator.define(accounts()).await.succeeded(201);
    let log = server.log().await;
    let of_scope = log.iter().map(|stored| &stored.event).filter(|event| {
        (event.stream.kind.as_str(), &*event.stream.id) == ("scope", "accounts:read")
    });
    let [event] = of_scope.collect::<Vec<_>>()[..] else { panic!("one event") };
    assert_eq!(event.event_type, "ScopeDefined");
    assert!(event.metadata.contains(r#""actor":"operator""#), "{}", event.metadata);
}
