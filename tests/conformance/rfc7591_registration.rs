//! Dynamic client registration (RFC 7591, OpenID Connect Registration 1.0).

use chancery::admin::{NewRegistrationToken, Operation, perform};
use chancery::jose::PrivateKey;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::registration_token::Constraints;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::{
    BEGINNING, Browser, OPEN, StoreKind, TestServer, Tokens, good_for, good_metadata,
    good_metadata_but, good_request,
};

both_stores! {
    nobody_registers_unless_it_is_switched_on,
    without_open_registration_a_good_token_is_needed,
    a_client_that_registered_itself_works,
    what_is_left_out_has_the_defaults_of_the_standard,
    what_is_the_operators_or_unknown_is_left_out,
    what_can_not_be_had_is_refused_by_name,
    privileged_scopes_are_never_given,
    a_token_registers_so_many_clients_and_no_more,
    a_token_ends_by_time_and_by_its_operator,
    a_token_says_what_its_clients_have,
    one_network_registers_so_many_a_minute,
    a_client_that_registered_itself_may_have_an_end,
    what_somebody_trusted_vouches_for_stands_over_the_request,
    statements_of_others_or_broken_ones_are_refused,
    a_sector_must_list_the_redirect_uris,
}

async fn nobody_registers_unless_it_is_switched_on(store: StoreKind) {
    let server = TestServer::start(store).await;
    let answer = server.ask_to_register(None, &good_metadata()).await;
    assert_eq!(answer.status, 404);
}

/// RFC 7591 §3, RFC 6750 §3
async fn without_open_registration_a_good_token_is_needed(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nregistration = true").await;
    let answer = server.ask_to_register(None, &good_metadata()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"chancery\""));
    let wrong = server.ask_to_register(Some("wrong"), &good_metadata()).await;
    wrong.refused(401, "invalid_token");
    let challenge = wrong.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let (_, token) = server.initial_token(good_for(1)).await;
    server.ask_to_register(Some(&token), &good_metadata()).await.succeeded(201);
}

/// RFC 7591 §3.2.1
async fn a_client_that_registered_itself_works(store: StoreKind) {
    let server = TestServer::with_settings(store, OPEN).await;
    server.account("ada").await;
    let answer = server.ask_to_register(None, &good_metadata()).await.succeeded(201);
    assert_eq!(answer["client_id_issued_at"], BEGINNING.seconds());
    assert_eq!(answer["client_secret_expires_at"], 0);
    let id = answer["client_id"].as_str().unwrap();
    assert_eq!(answer["registration_client_uri"], format!("{}/register/{id}", server.issuer));
    let secrets = [&answer["client_secret"], &answer["registration_access_token"]]
        .map(|s| s.as_str().unwrap());
    let client = server.registered(&answer);
    let url = client.pushed_url(&good_request()).await;
    let code = Browser::new(&server).go_through(&url, "ada").await.code().to_owned();
    let tokens = Tokens::of(&client.redeem(&code).await.ok());
    assert_eq!(tokens.scope, "openid");
    // Digests only.
    for stored in server.log().await {
        for secret in secrets {
            assert!(!stored.event.payload.contains(secret), "{}", stored.event.event_type);
        }
    }
}

/// RFC 7591 §2, OpenID Connect Registration §2
async fn what_is_left_out_has_the_defaults_of_the_standard(store: StoreKind) {
    let server = TestServer::with_settings(store, OPEN).await;
    let least = json!({ "redirect_uris": ["https://rp.example/cb"], "client_uri": null });
    let answer = server.ask_to_register(None, &least).await.succeeded(201);
    for (name, value) in [
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("application_type", json!("web")),
        ("subject_type", json!("public")),
        // No refresh_token, so no offline_access.
        ("scope", json!("openid profile email address phone")),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    assert!(answer.get("client_uri").is_none());
}

/// RFC 7591 §2, §2.2
async fn what_is_the_operators_or_unknown_is_left_out(store: StoreKind) {
    let settings = format!("{OPEN}metadata = [\"redirect_uris\", \"client_name\", \"scope\"]\n");
    let asked = good_metadata_but(&json!({
        "client_name#de": "Die Anwendung",
        "scope": "openid read",
        "skip_consent": true,
        "introspect_any_token": true,
        "access_token_lifetime": 86_400,
        "hooks": ["mine"],
        "tos_uri": "https://rp.example/terms",
        "an_invention": 1,
        "client_id": "chosen",
        "client_secret": "chosen",
    }));
    for (settings, tos) in [(OPEN, true), (settings.as_str(), false)] {
        let server = TestServer::with_settings(store, settings).await;
        let answer = server.ask_to_register(None, &asked).await.succeeded(201);
        for name in [
            "skip_consent",
            "introspect_any_token",
            "access_token_lifetime",
            "hooks",
            "an_invention",
        ] {
            assert!(answer.get(name).is_none(), "{name}");
        }
        assert_ne!(answer["client_id"], "chosen");
        assert_ne!(answer["client_secret"], "chosen");
        assert_eq!(answer["scope"], "openid");
        assert_eq!(answer["client_name#de"], "Die Anwendung");
        assert_eq!(answer.get("tos_uri").is_some(), tos);
    }
}

/// RFC 7591 §3.2.2
async fn what_can_not_be_had_is_refused_by_name(store: StoreKind) {
    let settings = format!("{OPEN}per_minute = 1000\nmost_uris = 3\n");
    let server = TestServer::with_settings(store, &settings).await;
    let many: Vec<_> = (0..4).map(|i| format!("https://rp.example/{i}")).collect();
    for (changes, error) in [
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://rp.example/cb#f"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://rp.example/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["app:/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": many }), "invalid_client_metadata"),
        (json!({ "client_name": "x".repeat(300) }), "invalid_client_metadata"),
        (json!({ "grant_types": ["client_credentials"] }), "invalid_client_metadata"),
        (json!({ "grant_types": "authorization_code" }), "invalid_client_metadata"),
        (json!({ "response_types": ["token"] }), "invalid_client_metadata"),
        (json!({ "logo_uri": "javascript:alert(1)" }), "invalid_client_metadata"),
        (json!({ "jwks_uri": "http://127.0.0.1/jwks" }), "invalid_client_metadata"),
        (json!({ "jwks_uri": "https://10.0.0.1/jwks" }), "invalid_client_metadata"),
        (json!({ "initiate_login_uri": "http://rp.example/" }), "invalid_client_metadata"),
        (json!({ "id_token_signed_response_alg": "PS512" }), "invalid_client_metadata"),
        (json!({ "token_endpoint_auth_method": "tls_client_auth" }), "invalid_client_metadata"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "invalid_client_metadata"),
        (json!({ "dpop_bound_access_tokens": true }), "invalid_client_metadata"),
    ] {
        let answer = server.ask_to_register(None, &good_metadata_but(&changes)).await;
        assert_eq!(answer.status, 400, "{changes}: {answer:?}");
        answer.refused(400, error);
    }
    server.ask_to_register(None, &json!([])).await.refused(400, "invalid_client_metadata");
    let native = json!({ "application_type": "native", "redirect_uris": ["com.example.app:/cb"] });
    server.ask_to_register(None, &good_metadata_but(&native)).await.succeeded(201);
    let registered = server.log().await;
    assert_eq!(registered.iter().filter(|e| e.event.event_type == "ClientRegistered").count(), 1);
}

async fn privileged_scopes_are_never_given(store: StoreKind) {
    let settings = "[features]\nregistration = true";
    let server = TestServer::with_settings(store, settings).await;
    let privileged = "openid admin audit:read pii:read events:read events:pii";
    let constraints =
        Constraints { scope: Some(Scope::parse(privileged).unwrap()), ..Constraints::default() };
    let (_, token) =
        server.initial_token(NewRegistrationToken { constraints, ..good_for(5) }).await;
    let asked = good_metadata_but(&json!({ "scope": privileged }));
    let answer = server.ask_to_register(Some(&token), &asked).await.succeeded(201);
    assert_eq!(answer["scope"], "openid");
    // Nor by an operator's later mistake.
    let mut changes = serde_json::Map::new();
    changes.insert("scope".to_owned(), "openid admin".into());
    let client_id = answer["client_id"].as_str().unwrap().parse().unwrap();
    let operation = Operation::UpdateClient { client_id, changes };
    let outcome =
        server.act(|services| async move { perform(&services, operation, "test").await }).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

/// RFC 7591 §1.2: of those who use the last one at once, one gets it.
async fn a_token_registers_so_many_clients_and_no_more(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nregistration = true").await;
    let (id, token) = server.initial_token(good_for(2)).await;
    let metadata = good_metadata();
    let asking = (0..6).map(|_| server.ask_to_register(Some(&token), &metadata));
    let answers = join_all(asking).await;
    let registered = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(registered, 2);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(401, "invalid_token");
    }
    let log = server.log().await;
    let of_token = log.iter().filter(|event| *event.event.stream.id == *id);
    let types: Vec<_> = of_token.map(|event| event.event.event_type.to_string()).collect();
    assert_eq!(
        types,
        ["RegistrationTokenIssued", "RegistrationTokenUsed", "RegistrationTokenUsed"]
    );
    assert_eq!(log.iter().filter(|event| event.event.event_type == "ClientRegistered").count(), 2);
}

async fn a_token_ends_by_time_and_by_its_operator(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nregistration = true").await;
    let expires_at = Some(BEGINNING + chancery_domain::time::Lifetime::from_seconds(10));
    let (_, short) = server.initial_token(NewRegistrationToken { expires_at, ..good_for(5) }).await;
    let (id, revoked) = server.initial_token(good_for(5)).await;
    for token in [&short, &revoked] {
        server.ask_to_register(Some(token), &good_metadata()).await.succeeded(201);
    }
    server.advance(10);
    let operation = Operation::RevokeRegistrationToken { token_id: id.parse().unwrap() };
    server
        .act(|services| async move { perform(&services, operation, "test").await.unwrap() })
        .await;
    for token in [&short, &revoked] {
        let answer = server.ask_to_register(Some(token), &good_metadata()).await;
        answer.refused(401, "invalid_token");
    }
}

async fn a_token_says_what_its_clients_have(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nregistration = true").await;
    let constraints = Constraints {
        scope: Some(Scope::parse("openid read").unwrap()),
        grant_types: vec![],
        fixed: serde_json::from_value(json!({ "skip_consent": true, "client_name": "Partner" }))
            .unwrap(),
    };
    let (_, token) =
        server.initial_token(NewRegistrationToken { constraints, ..good_for(1) }).await;
    let asked = good_metadata_but(&json!({ "scope": "openid read email" }));
    let answer = server.ask_to_register(Some(&token), &asked).await.succeeded(201);
    assert_eq!(answer["scope"], "openid read");
    assert_eq!(answer["skip_consent"], true);
    assert_eq!(answer["client_name"], "Partner");
}

async fn one_network_registers_so_many_a_minute(store: StoreKind) {
    let server = TestServer::with_settings(store, &format!("{OPEN}per_minute = 2\n")).await;
    for _ in 0..2 {
        server.ask_to_register(None, &good_metadata()).await.succeeded(201);
    }
    let refused = server.ask_to_register(None, &good_metadata()).await;
    refused.refused(429, "temporarily_unavailable");
    assert!(refused.header("retry-after").is_some());
    server.advance(60);
    server.ask_to_register(None, &good_metadata()).await.succeeded(201);
}

async fn a_client_that_registered_itself_may_have_an_end(store: StoreKind) {
    let settings =
        format!("{OPEN}client_lifetime = 1000\n[tokens]\naccess_token_lifetime = 3600\n");
    let server = TestServer::with_settings(store, &settings).await;
    server.account("ada").await;
    let answer = server.ask_to_register(None, &good_metadata()).await.succeeded(201);
    assert_eq!(answer["client_expires_at"], BEGINNING.seconds() + 1000);
    let client = server.registered(&answer);
    let url = client.pushed_url(&good_request()).await;
    let code = Browser::new(&server).go_through(&url, "ada").await.code().to_owned();
    let tokens = Tokens::of(&client.redeem(&code).await.ok());
    assert_eq!(client.userinfo(&tokens.access).await.status, 200);
    server.advance(1000);
    assert_eq!(client.userinfo(&tokens.access).await.status, 401);
    client.push(&good_request()).await.refused(401, "invalid_client");
    let token = answer["registration_access_token"].as_str();
    let path = format!("/register/{}", client.client_id);
    let read = server.registration(reqwest::Method::GET, &path, token, None).await;
    read.refused(403, "access_denied");
}

fn statement(key: &PrivateKey, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://directory.example",
        "exp": BEGINNING.seconds() + 100,
        "client_name": "Vouched For",
        "software_id": "app-1",
        "skip_consent": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    json!({ "software_statement": key.sign("JWT", &claims).unwrap() })
}

async fn directory(store: StoreKind, key: &PrivateKey) -> (TestServer, KeysServer) {
    let keys = KeysServer::start(&json!({ "keys": [key.public_jwk()] })).await;
    let settings = format!(
        "{OPEN}per_minute = 1000\nrequire_software_statement = true\n\
         software_statement_issuers = [\"https://directory.example {}\"]\n\
         [outbound]\nallow_http = true\nallow_loopback = true\n",
        keys.uri
    );
    (TestServer::with_settings(store, &settings).await, keys)
}

/// RFC 7591 §2.3, §3.1.1
async fn what_somebody_trusted_vouches_for_stands_over_the_request(store: StoreKind) {
    let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let (server, keys) = directory(store, &key).await;
    let vouched = statement(&key, &json!({}));
    let answer = server.ask_to_register(None, &good_metadata_but(&vouched)).await.succeeded(201);
    assert_eq!(answer["client_name"], "Vouched For");
    assert_eq!(answer["software_id"], "app-1");
    assert_eq!(answer["software_statement"], vouched["software_statement"]);
    assert!(answer.get("skip_consent").is_none());
    assert_eq!(keys.asked(), 1);
    // RFC 7592 §2.2: it stays so, whatever the client leaves out later.
    let token = answer["registration_access_token"].as_str();
    let path = format!("/register/{}", answer["client_id"].as_str().unwrap());
    let change = good_metadata_but(&json!({ "client_id": answer["client_id"] }));
    let after = server.registration(reqwest::Method::PUT, &path, token, Some(&change)).await.ok();
    assert_eq!(after["client_name"], "Vouched For");
}

/// RFC 7591 §3.2.2
async fn statements_of_others_or_broken_ones_are_refused(store: StoreKind) {
    let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let other = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let (server, _keys) = directory(store, &key).await;
    let past = BEGINNING.seconds();
    for (asked, error) in [
        (json!({}), "invalid_software_statement"),
        (json!({ "software_statement": "e30.e30.e30" }), "invalid_software_statement"),
        (statement(&other, &json!({})), "invalid_software_statement"),
        (statement(&key, &json!({ "exp": past })), "invalid_software_statement"),
        (statement(&key, &json!({ "nbf": past + 1 })), "invalid_software_statement"),
        (
            statement(&key, &json!({ "iss": "https://other.example" })),
            "unapproved_software_statement",
        ),
    ] {
        let answer = server.ask_to_register(None, &good_metadata_but(&asked)).await;
        answer.refused(400, error);
    }
}

/// OpenID Connect Registration §5
async fn a_sector_must_list_the_redirect_uris(store: StoreKind) {
    let settings =
        format!("{OPEN}per_minute = 1000\n[outbound]\nallow_http = true\nallow_loopback = true\n");
    let server = TestServer::with_settings(store, &settings).await;
    let sector = KeysServer::start(&json!(["https://rp.example/cb", "https://b.example/cb"])).await;
    let asked = good_metadata_but(&json!({ "sector_identifier_uri": sector.uri }));
    let answer = server.ask_to_register(None, &asked).await.succeeded(201);
    assert_eq!(answer["sector_identifier_uri"], sector.uri);
    for (status, document) in
        [(200, json!(["https://b.example/cb"])), (200, json!({})), (404, json!([]))]
    {
        sector.say(status, &document);
        let answer = server.ask_to_register(None, &asked).await;
        answer.refused(400, "invalid_client_metadata");
    }
}
