//! The administration API: who may, and what comes of it.

use chancery_domain::account::{AccountCommand, Role};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, RelyingParty, Scene, StoreKind, TestServer, confidential, service, until,
};

both_stores! {
    nobody_administers_without_a_token_for_it,
    a_person_administers_only_with_the_role,
    a_client_is_registered_changed_and_disabled,
    a_change_names_its_operator_in_the_log,
    a_deleted_client_is_gone_and_its_history_stays,
    an_account_s_history_names_nobody,
    a_registration_token_is_issued_listed_and_revoked,
    a_withdrawn_key_is_gone_with_all_that_it_signed,
    who_people_are_is_seen_with_a_scope_of_its_own,
    a_session_and_a_consent_end_with_their_grants,
    what_is_wrong_is_told_as_problem_details,
    a_list_is_read_part_by_part,
    the_document_names_every_route,
    the_settings_are_shown_without_their_secrets,
}

struct Admin {
    rp: RelyingParty,
    token: String,
}

impl Admin {
    async fn of(server: &TestServer, scope: &str) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse(scope).unwrap(), ..service() };
        let rp = server.register(&scope.replace([' ', ':'], "-"), metadata).await;
        let token = rp.client_credentials(&[]).await.ok()["access_token"].clone();
        Self { rp, token: token.as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.rp.request(method, path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }
}

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
    assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
}

/// RFC 6750 §3.1
async fn nobody_administers_without_a_token_for_it(store: StoreKind) {
    let server = TestServer::start(store).await;
    let other = Admin::of(&server, "read").await;
    let nobody = other.rp.get("/admin/clients").await;
    is_problem(&nobody, 401);
    assert!(!nobody.header("www-authenticate").unwrap().contains("error"));
    let forged = Admin { rp: other.rp.clone(), token: "made.up.x".to_owned() };
    let refused = forged.get("/admin/clients").await;
    is_problem(&refused, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"));
    for path in ["/admin/clients", "/admin/configuration", "/admin/clients/read"] {
        let refused = other.get(path).await;
        is_problem(&refused, 403);
        assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
    }
    let admin = Admin::of(&server, "admin").await;
    admin.get("/admin/clients").await.ok();
    server.advance(300);
    is_problem(&admin.get("/admin/clients").await, 401);

    let elsewhere = ClientMetadata {
        scope: Scope::parse("admin").unwrap(),
        access_token_audience: vec!["https://api.example".to_owned()],
        ..service()
    };
    let rp = server.register("elsewhere", elsewhere).await;
    let token = rp.client_credentials(&[]).await.ok()["access_token"].clone();
    let elsewhere = Admin { rp, token: token.as_str().unwrap().to_owned() };
    is_problem(&elsewhere.get("/admin/clients").await, 401);
}

async fn a_person_administers_only_with_the_role(store: StoreKind) {
    let scope = Scope::parse("openid admin").unwrap();
    let metadata = ClientMetadata { scope, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let tokens = scene.tokens(&[("scope", "openid admin")]).await;
    let admin = Admin { rp: scene.rp.clone(), token: tokens.access };
    is_problem(&admin.get("/admin/clients").await, 403);
    let roles = [Role::Admin].into();
    scene.server.command_account(scene.ada, AccountCommand::ReplaceRoles { roles }).await;
    admin.get("/admin/clients").await.ok();
    let lock = AccountCommand::Lock { reason: "gone".to_owned() };
    scene.server.command_account(scene.ada, lock).await;
    let refused = admin.get("/admin/clients").await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.status);
}

async fn a_client_is_registered_changed_and_disabled(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let body = json!({
        "client_id": "made", "grant_types": ["client_credentials"], "response_types": [],
        "scope": "read", "client_name": "Made", "client_name#de": "Gemacht",
    });
    let made = admin.post("/admin/clients", body.clone()).await.succeeded(201);
    assert_eq!(made["client_name#de"], "Gemacht");
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    let client = RelyingParty::new(
        &server.address,
        "made",
        chancery_domain::protocol::client_auth_method::ClientAuthMethod::SecretBasic,
    );
    let client = client.with_secret(&secret);
    client.client_credentials(&[]).await.ok();
    is_problem(&admin.post("/admin/clients", body).await, 409);

    let shown = admin.get("/admin/clients/made").await.ok();
    assert_eq!(shown["scope"], "read");
    assert!(shown.get("client_secret").is_none(), "a secret is shown once");
    let merge = json!({ "scope": "read write", "client_name#de": null });
    let path = "/admin/clients/made";
    let changed = admin.call(Method::PATCH, path, Some(merge)).await.ok();
    assert_eq!(changed["scope"], "read write");
    assert!(changed.get("client_name#de").is_none());

    let rotated = admin.post("/admin/clients/made/secret", json!({})).await.ok();
    client.client_credentials(&[]).await.refused(401, "invalid_client");
    let client = client.with_secret(rotated["client_secret"].as_str().unwrap());
    client.client_credentials(&[]).await.ok();

    let disabled = admin.post("/admin/clients/made/disable", json!({ "reason": "x" })).await.ok();
    assert_eq!(disabled["state"], "disabled");
    client.client_credentials(&[]).await.refused(401, "invalid_client");
    admin.call(Method::POST, "/admin/clients/made/enable", None).await.ok();
    client.client_credentials(&[]).await.ok();
}

async fn a_change_names_its_operator_in_the_log(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let body = json!({ "grant_types": ["client_credentials"], "response_types": [] });
    admin.post("/admin/clients", body).await.succeeded(201);
    let last = server.log().await.pop().unwrap();
    assert_eq!(last.event.event_type, "ClientRegistered");
    let metadata: Value = serde_json::from_str(&last.event.metadata).unwrap();
    assert_eq!(metadata["actor"], "operator", "{metadata}");
    assert_eq!(metadata["actor_ref"], "client admin", "{metadata}");
}

fn event_types(history: &Value) -> Vec<&str> {
    let items = history["items"].as_array().unwrap();
    items.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

async fn a_deleted_client_is_gone_and_its_history_stays(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let body = json!({
        "client_id": "made", "grant_types": ["client_credentials"], "response_types": [],
    });
    admin.post("/admin/clients", body.clone()).await.succeeded(201);
    let path = "/admin/clients/made";
    let merge = json!({ "client_name": "Made" });
    admin.call(Method::PATCH, path, Some(merge)).await.ok();
    let deleted = admin.call(Method::DELETE, path, None).await.ok();
    assert_eq!(deleted["state"], "deleted");
    is_problem(&admin.post("/admin/clients", body).await, 409);
    let history = admin.get("/admin/clients/made/events").await.ok();
    let types = event_types(&history);
    assert_eq!(types.first(), Some(&"ClientRegistered"));
    assert_eq!(types.last(), Some(&"ClientDeleted"));
    assert!(types.len() >= 3, "{types:?}");
    assert_eq!(history["items"][0]["actor"], "operator client admin");
    is_problem(&admin.get("/admin/clients/nobody/events").await, 404);
    is_problem(&admin.call(Method::DELETE, "/admin/clients/nobody", None).await, 404);
}

async fn an_account_s_history_names_nobody(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let body = json!({
        "username": "grace", "password": "correct horse battery",
        "claims": { "email": "grace@example.org" },
    });
    let made = admin.post("/admin/accounts", body).await.succeeded(201);
    let path = format!("/admin/accounts/{}", made["subject"].as_str().unwrap());
    admin.post(&format!("{path}/lock"), json!({ "reason": "left" })).await.ok();
    let history = admin.get(&format!("{path}/events")).await.ok();
    assert_eq!(event_types(&history).last(), Some(&"AccountLocked"));
    let last = history["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["reason"], &last["actor"]),
        (&json!("left"), &json!("operator client admin"))
    );
    let text = history.to_string();
    assert!(!text.contains("grace"), "{text}");
}

/// RFC 7591 §1.2
async fn a_registration_token_is_issued_listed_and_revoked(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nregistration = true\n").await;
    let admin = Admin::of(&server, "admin").await;
    let path = "/admin/registration-tokens";
    is_problem(&admin.post(path, json!({ "uses": 0 })).await, 422);
    is_problem(&admin.post(path, json!({ "use": 1 })).await, 422);
    let made = admin.post(path, json!({ "uses": 2, "label": "partners" })).await.succeeded(201);
    let token = made["token"].as_str().unwrap();
    let register = async || {
        let request = admin.rp.request(Method::POST, "/register").bearer_auth(token);
        let body = json!({ "redirect_uris": ["https://app.example/cb"] });
        let request = request.header("content-type", "application/json").body(body.to_string());
        Answer::of(request.send().await.unwrap()).await
    };
    register().await.succeeded(201);
    server.advance(1);
    admin.post(path, json!({})).await.succeeded(201);

    let first = admin.get(&format!("{path}?limit=1")).await.ok();
    assert_eq!(first["items"][0]["used"], 1);
    assert_eq!(first["items"][0]["label"], "partners");
    assert!(!first.to_string().contains(token), "a token is shown once");
    let rest = admin.get(&format!("{path}?after={}", first["next"].as_str().unwrap())).await.ok();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest.get("next"), None);

    let revoke = format!("{path}/{}/revoke", made["token_id"].as_str().unwrap());
    let revoked = admin.call(Method::POST, &revoke, None).await.ok();
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(register().await.status, 401);
    let unknown = format!("{path}/0123456789abcdef0123456789abcdef/revoke");
    is_problem(&admin.call(Method::POST, &unknown, None).await, 404);
}

/// RFC 7517 §5: who verifies goes by what is published.
async fn a_withdrawn_key_is_gone_with_all_that_it_signed(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let jwks = admin.rp.get("/jwks").await.json();
    let keys = jwks["keys"].as_array().unwrap();
    let signs = keys.iter().find(|key| key["alg"] == "ES256").unwrap();
    let kid = signs["kid"].as_str().unwrap().to_owned();
    let withdraw = format!("/admin/keys/{kid}/withdraw");
    let withdrawn = admin.call(Method::POST, &withdraw, None).await.ok();
    assert_eq!((&withdrawn["kid"], &withdrawn["alg"]), (&json!(kid), &json!("ES256")));

    let now = admin.rp.get("/jwks").await.json();
    let keys = now["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| key["kid"] != kid), "{now}");
    assert!(keys.iter().any(|key| key["alg"] == withdrawn["alg"]), "another signs: {now}");
    assert_eq!(admin.get("/admin/keys").await.status, 401, "the token was signed with it");

    let token = admin.rp.client_credentials(&[]).await.ok()["access_token"].clone();
    let admin = Admin { token: token.as_str().unwrap().to_owned(), ..admin };
    let events = server.log().await.len();
    admin.call(Method::POST, &withdraw, None).await.ok();
    let retired = server.log().await;
    let retired = retired.iter().filter(|own| own.event.event_type == "KeyRetired").count();
    assert_eq!((server.log().await.len() - events, retired), (0, 1), "once is enough");
    is_problem(&admin.call(Method::POST, "/admin/keys/unknown/withdraw", None).await, 404);
}

async fn who_people_are_is_seen_with_a_scope_of_its_own(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let seeing = Admin::of(&server, "admin pii:read").await;
    let body = json!({
        "username": "grace", "password": "correct horse battery",
        "claims": { "email": "grace@example.org" },
    });
    let made = admin.post("/admin/accounts", body.clone()).await.succeeded(201);
    assert_eq!((made.get("username"), &made["claims"]), (None, &json!({})));
    is_problem(&admin.post("/admin/accounts", body).await, 409);
    let path = format!("/admin/accounts/{}", made["subject"].as_str().unwrap());
    for one in [&admin, &seeing] {
        let shown = one.get(&path).await.ok();
        assert_eq!((shown.get("username"), &shown["claims"]), (None, &json!({})));
        assert!(shown["notice"].as_str().unwrap().contains("?reason="), "{shown}");
    }
    is_problem(&admin.get(&format!("{path}?reason=ticket")).await, 403);
    is_problem(&seeing.get(&format!("{path}?reason=%20")).await, 400);
    let before = server.log().await.len();
    assert!(server.log().await.iter().all(|e| e.event.event_type != "PersonalDataRead"));
    let seen = seeing.get(&format!("{path}?reason=ticket%207")).await.ok();
    assert_eq!(seen["username"], "grace");
    assert_eq!(seen["claims"]["email"], "grace@example.org");
    let log = server.log().await;
    assert_eq!(log.len(), before + 1, "each read is an event");
    let read = &log.last().unwrap().event;
    let payload: Value = serde_json::from_str(&read.payload).unwrap();
    assert_eq!(payload["what"], json!(["username", "email"]));
    assert_eq!(payload["reason"], "ticket 7");
    assert!(read.metadata.contains("client admin-pii-read"), "{}", read.metadata);
    assert!(!read.payload.contains("grace"), "{}", read.payload);

    let claims = json!({ "email": null, "nickname": "G" });
    let changed = seeing.call(Method::PATCH, &format!("{path}/claims"), Some(claims)).await.ok();
    assert_eq!(changed["claims"], json!({}), "who changes them does not see them");
    let seen = seeing.get(&format!("{path}?reason=ticket%208")).await.ok();
    assert_eq!(seen["claims"], json!({ "nickname": "G" }));
    let locked = admin.post(&format!("{path}/lock"), json!({ "reason": "lost" })).await.ok();
    assert_eq!((&locked["state"], &locked["reason"]), (&json!("locked"), &json!("lost")));
    let unlocked = admin.call(Method::POST, &format!("{path}/unlock"), None).await.ok();
    assert_eq!(unlocked["state"], "active");
    let password = json!({ "password": "another horse battery" });
    admin.post(&format!("{path}/password"), password).await.ok();
}

async fn a_session_and_a_consent_end_with_their_grants(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let admin = Admin::of(&scene.server, "admin").await;
    let tokens = scene.lasting_tokens().await;
    let of_ada = format!("/admin/accounts/{}", scene.ada);
    until("the consent is looked up", async || {
        let consents = admin.get(&format!("{of_ada}/consents")).await.ok();
        consents["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    let consents = admin.get(&format!("{of_ada}/consents?limit=10")).await.ok();
    let consent = consents["items"][0]["consent_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/consents/{consent}/withdraw");
    assert_eq!(admin.call(Method::POST, &path, None).await.ok()["state"], "withdrawn");
    until("the grant is revoked", async || !scene.rp.is_alive(&tokens.access).await).await;

    until("the session is looked up", async || {
        let sessions = admin.get(&format!("{of_ada}/sessions")).await.ok();
        sessions["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    let sessions = admin.get(&format!("{of_ada}/sessions")).await.ok();
    let session = sessions["items"][0]["session_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/sessions/{session}/end");
    assert_eq!(admin.call(Method::POST, &path, None).await.ok()["state"], "ended");
    let sessions = async || admin.get(&format!("{of_ada}/sessions")).await.ok();
    until("the session has ended", async || sessions().await["items"][0]["state"] == "ended").await;

    let revoked = async || admin.get("/admin/grants?state=revoked").await.ok();
    until("the grant is looked up", async || revoked().await["items"][0].is_object()).await;
    let grants = revoked().await;
    let grant = grants["items"][0]["grant_id"].as_str().unwrap();
    let events = admin.get(&format!("/admin/grants/{grant}/events")).await.ok();
    let types: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|e| e["event_type"].clone()).collect();
    assert!(types.contains(&json!("CodeRedeemed")) && types.contains(&json!("GrantRevoked")));
    let again = admin.post(&format!("/admin/grants/{grant}/revoke"), json!({})).await.ok();
    assert_eq!(again["changed"], false);
    for missing in [&consent, "x"] {
        for path in ["/admin/sessions/{}/end", "/admin/grants/{}/revoke"] {
            let answer = admin.post(&path.replace("{}", missing), json!({})).await;
            is_problem(&answer, if missing == "x" { 400 } else { 404 });
        }
    }
}

/// RFC 9457 §3
async fn what_is_wrong_is_told_as_problem_details(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    is_problem(&admin.get("/admin/nothing").await, 404);
    is_problem(&admin.get("/admin/clients/nobody").await, 404);
    is_problem(&admin.get("/admin/clients?limit=0").await, 400);
    is_problem(&admin.get("/admin/clients?limit=many").await, 400);
    let not_allowed = admin.call(Method::DELETE, "/admin/clients", None).await;
    is_problem(&not_allowed, 405);
    assert_eq!(not_allowed.header("allow"), Some("GET, POST"));
    is_problem(&admin.call(Method::POST, "/admin/clients", None).await, 415);
    is_problem(&admin.post("/admin/clients", json!([])).await, 422);
    is_problem(&admin.post("/admin/clients", json!({ "redirect_uris": [] })).await, 422);
    let typo = json!({
        "grant_types": ["client_credentials"], "response_types": [], "scopes": "read",
    });
    let refused = admin.post("/admin/clients", typo).await;
    is_problem(&refused, 422);
    assert!(refused.json()["detail"].as_str().unwrap().contains("scopes"));
    let long = json!({ "client_name": "x".repeat(2 << 20) });
    is_problem(&admin.post("/admin/clients", long).await, 413);
    let broken = admin.rp.request(Method::POST, "/admin/clients").bearer_auth(&admin.token);
    let broken = broken.header("content-type", "application/json").body("{").send().await.unwrap();
    is_problem(&Answer::of(broken).await, 400);
}

async fn a_list_is_read_part_by_part(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    for id in ["a", "b", "c"] {
        server.register(id, service()).await;
    }
    until("all are looked up", async || {
        admin.get("/admin/clients").await.ok()["items"].as_array().unwrap().len() == 4
    })
    .await;
    let mut seen = vec![];
    let mut path = "/admin/clients?limit=3".to_owned();
    loop {
        let part = admin.get(&path).await.ok();
        let ids = part["items"].as_array().unwrap().iter().map(|c| c["client_id"].clone());
        seen.extend(ids);
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/admin/clients?limit=3&after={next}");
    }
    assert_eq!(seen, ["a", "admin", "b", "c"]);
}

/// `OpenAPI` 3.1
async fn the_document_names_every_route(store: StoreKind) {
    let server = TestServer::start(store).await;
    let admin = Admin::of(&server, "admin").await;
    let document = admin.rp.get("/admin/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], server.issuer);
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{grant_id}", "0123456789abcdef0123456789abcdef");
        let path = path.replace('{', "0123456789abcdef0123456789abcdef").replace('}', "");
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = admin.rp.request(method, &path).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path} is there, and not for strangers");
            assert!(operation["operationId"].is_string());
            count += 1;
        }
    }
    assert!(count >= 34, "{count}");
    let mut references = vec![];
    find_references(&document, &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference.clone());
            }
            members.values().for_each(|value| find_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| find_references(value, found)),
        _ => {}
    }
}

async fn the_settings_are_shown_without_their_secrets(store: StoreKind) {
    let server = TestServer::with_settings(store, "[tokens]\naccess_token_lifetime = 77\n").await;
    let admin = Admin::of(&server, "admin").await;
    let shown = admin.get("/admin/configuration").await.ok();
    let settings = shown["items"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["name"] == "access_token_lifetime");
    assert_eq!(found.unwrap()["value"], "77");
    assert!(found.unwrap()["from"].as_str().unwrap().starts_with("file:"));
}
