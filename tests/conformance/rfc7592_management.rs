//! Dynamic client registration management (RFC 7592).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Browser, OPEN, StoreKind, TestServer, Tokens, good_metadata, good_metadata_but, good_request,
    until,
};

both_stores! {
    a_client_reads_its_registration,
    only_the_token_of_the_registration_opens_it,
    a_client_replaces_its_metadata_as_a_whole,
    a_replacement_is_held_to_the_same_rules,
    a_deleted_client_is_gone_with_its_grants,
}

struct Registered {
    server: TestServer,
    answer: Value,
}

impl Registered {
    async fn new(store: StoreKind) -> Self {
        let settings = format!("{OPEN}per_minute = 1000\n");
        let server = TestServer::with_settings(store, &settings).await;
        let answer = server.ask_to_register(None, &good_metadata()).await.succeeded(201);
        Self { server, answer }
    }

    fn token(&self) -> Option<&str> {
        self.answer["registration_access_token"].as_str()
    }

    fn path(&self) -> String {
        let uri = self.answer["registration_client_uri"].as_str().unwrap();
        uri.strip_prefix(&self.server.issuer).unwrap().to_owned()
    }

    async fn replace(&self, changes: &Value) -> crate::support::Answer {
        let mut body = good_metadata_but(&json!({ "client_id": self.answer["client_id"] }));
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.server.registration(Method::PUT, &self.path(), self.token(), Some(&body)).await
    }
}

/// RFC 7592 §2.1, §3
async fn a_client_reads_its_registration(store: StoreKind) {
    let client = Registered::new(store).await;
    let read =
        client.server.registration(Method::GET, &client.path(), client.token(), None).await.ok();
    // The secret is shown once; of it a digest is kept.
    let mut expected = client.answer.clone();
    for shown_once in ["client_secret", "client_secret_expires_at"] {
        expected.as_object_mut().unwrap().remove(shown_once);
    }
    assert_eq!(read, expected);
}

/// RFC 7592 §2.1, RFC 6750 §3
async fn only_the_token_of_the_registration_opens_it(store: StoreKind) {
    let client = Registered::new(store).await;
    let other = client.server.ask_to_register(None, &good_metadata()).await.succeeded(201);
    let strange = other["registration_access_token"].as_str();
    let secret = client.answer["client_secret"].as_str();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let body = json!({});
        let body = (method == Method::PUT).then_some(&body);
        for token in [strange, secret, Some("wrong")] {
            let answer =
                client.server.registration(method.clone(), &client.path(), token, body).await;
            answer.refused(401, "invalid_token");
        }
        let answer = client.server.registration(method, &client.path(), None, body).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"chancery\""));
    }
    let unknown = client.server.registration(Method::GET, "/register/nobody", strange, None).await;
    unknown.refused(401, "invalid_token");
}

/// RFC 7592 §2.2
async fn a_client_replaces_its_metadata_as_a_whole(store: StoreKind) {
    let client = Registered::new(store).await;
    let secret = client.answer["client_secret"].clone();
    let changes = json!({
        "client_secret": secret,
        "client_name": null,
        "tos_uri": "https://rp.example/terms",
        "redirect_uris": ["https://rp.example/cb", "https://rp.example/other"],
    });
    let after = client.replace(&changes).await.ok();
    assert!(after.get("client_name").is_none());
    assert_eq!(after["tos_uri"], "https://rp.example/terms");
    assert_eq!(after["registration_access_token"].as_str(), client.token());
    let read =
        client.server.registration(Method::GET, &client.path(), client.token(), None).await.ok();
    assert_eq!(read, after);
    // Its secret is good still.
    let party = client.server.registered(&client.answer);
    let url = [("redirect_uri", "https://rp.example/other")];
    party.push(&crate::support::good_request_but(&url)).await.succeeded(201);
}

/// RFC 7592 §2.2
async fn a_replacement_is_held_to_the_same_rules(store: StoreKind) {
    let client = Registered::new(store).await;
    let mut none = client.answer.clone();
    none["client_id"] = json!("another");
    for changes in [
        json!({ "client_id": "another" }),
        json!({ "client_id": null }),
        json!({ "client_secret": "chosen" }),
        json!({ "registration_access_token": client.token() }),
        json!({ "client_id_issued_at": 1 }),
        json!({ "grant_types": ["client_credentials"] }),
    ] {
        client.replace(&changes).await.refused(400, "invalid_client_metadata");
    }
    let wrong = json!({ "redirect_uris": ["http://rp.example/cb"] });
    client.replace(&wrong).await.refused(400, "invalid_redirect_uri");
    let sly = json!({ "skip_consent": true, "scope": "openid admin events:read" });
    let after = client.replace(&sly).await.ok();
    assert!(after.get("skip_consent").is_none());
    assert_eq!(after["scope"], "openid");
}

/// RFC 7592 §2.3
async fn a_deleted_client_is_gone_with_its_grants(store: StoreKind) {
    let client = Registered::new(store).await;
    let server = &client.server;
    server.account("ada").await;
    let party = server.registered(&client.answer);
    let url = party.pushed_url(&good_request()).await;
    let code = Browser::new(server).go_through(&url, "ada").await.code().to_owned();
    let tokens = Tokens::of(&party.redeem(&code).await.ok());
    assert_eq!(party.userinfo(&tokens.access).await.status, 200);

    let deleted = server.registration(Method::DELETE, &client.path(), client.token(), None).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(party.userinfo(&tokens.access).await.status, 401);
    party.push(&good_request()).await.refused(401, "invalid_client");
    for method in [Method::GET, Method::DELETE] {
        let again = server.registration(method, &client.path(), client.token(), None).await;
        again.refused(401, "invalid_token");
    }
    until("the grant is revoked", async || {
        server.only_grant().await.contains(&"GrantRevoked".to_owned())
    })
    .await;
}
