//! The client credentials grant (RFC 6749 §4.4), and what every grant type has
//! in common (§5.2).

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;

use crate::support::{Answer, StoreKind, TestServer, claims, confidential, service};

both_stores! {
    a_service_gets_a_token_of_its_own,
    what_is_issued_is_one_event_of_one_grant,
    without_a_scope_it_gets_the_registered_one,
    a_scope_that_is_not_registered_is_left_out,
    a_scope_without_anything_registered_is_refused,
    a_grant_type_that_is_not_registered_is_refused,
    a_grant_type_that_does_not_exist_is_refused,
    a_missing_or_repeated_grant_type_is_refused,
    scopes_that_need_a_person_are_never_given_to_a_service,
    tokens_answered_carry_enough_entropy,
}

/// RFC 6749 §4.4.3: no refresh token; §5.1
async fn a_service_gets_a_token_of_its_own(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let answer = client.client_credentials(&[("scope", "read")]).await;
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let tokens = answer.ok();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(tokens["scope"], "read");
    assert!(tokens.get("refresh_token").is_none());
    assert!(tokens.get("id_token").is_none());
    let claims = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(claims["sub"], "svc");
    assert_eq!(claims["client_id"], "svc");
}

async fn what_is_issued_is_one_event_of_one_grant(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    client.client_credentials(&[]).await.ok();
    client.client_credentials(&[]).await.ok();
    let grants = server.grants().await;
    assert_eq!(grants.len(), 2);
    assert!(grants.values().all(|events| events == &["TokensIssued"]), "{grants:?}");
}

/// RFC 6749 §3.3
async fn without_a_scope_it_gets_the_registered_one(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    assert_eq!(client.client_credentials(&[]).await.ok()["scope"], "read write");
}

/// RFC 6749 §3.3, §5.1: the answer says what was granted.
async fn a_scope_that_is_not_registered_is_left_out(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    let tokens = client.client_credentials(&[("scope", "admin write")]).await.ok();
    assert_eq!(tokens["scope"], "write");
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["scope"], "write");
}

/// RFC 6749 §5.2
async fn a_scope_without_anything_registered_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    for scope in ["admin", "a\"b", "read\\"] {
        let answer = client.client_credentials(&[("scope", scope)]).await;
        answer.refused(400, "invalid_scope");
    }
    assert!(server.grants().await.is_empty());
}

/// RFC 6749 §5.2
async fn a_grant_type_that_is_not_registered_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let web = server.register("web", confidential()).await;
    web.client_credentials(&[]).await.refused(400, "unauthorized_client");
    let client = server.register("svc", service()).await;
    for grant_type in ["authorization_code", "refresh_token"] {
        let answer = client.post("/token", &[("grant_type", grant_type)]).await;
        answer.refused(400, "unauthorized_client");
    }
}

/// RFC 6749 §5.2
async fn a_grant_type_that_does_not_exist_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    for grant_type in ["password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange"] {
        let answer = client.post("/token", &[("grant_type", grant_type)]).await;
        answer.refused(400, "unsupported_grant_type");
    }
}

/// RFC 6749 §3.2: no parameter more than once.
async fn a_missing_or_repeated_grant_type_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("svc", service()).await;
    client.post("/token", &[]).await.refused(400, "invalid_request");
    client.post("/token", &[("grant_type", "")]).await.refused(400, "invalid_request");
    let twice = [("grant_type", "client_credentials")];
    client.client_credentials(&twice).await.refused(400, "invalid_request");
    let twice = [("scope", "read"), ("scope", "read")];
    client.client_credentials(&twice).await.refused(400, "invalid_request");
    // RFC 6749 §3.2: unrecognized ones are ignored.
    client.client_credentials(&[("shoe_size", "44")]).await.ok();
}

/// OpenID Connect Core §11
async fn scopes_that_need_a_person_are_never_given_to_a_service(store: StoreKind) {
    let server = TestServer::start(store).await;
    let both = ClientMetadata {
        grant_types: vec![GrantType::AuthorizationCode, GrantType::ClientCredentials],
        scope: Scope::parse("openid offline_access read").unwrap(),
        ..confidential()
    };
    let client = server.register("both", both).await;
    let tokens = client.client_credentials(&[("scope", "openid offline_access read")]).await.ok();
    assert_eq!(tokens["scope"], "read");
    client.client_credentials(&[("scope", "openid")]).await.refused(400, "invalid_scope");
}

/// RFC 6749 §10.10
async fn tokens_answered_carry_enough_entropy(store: StoreKind) {
    let server = TestServer::start(store).await;
    let opaque = ClientMetadata {
        access_token_format: Some(chancery_domain::client::AccessTokenFormat::Opaque),
        ..service()
    };
    let client = server.register("svc", opaque).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let answer: Answer = client.client_credentials(&[]).await;
        let token = answer.ok()["access_token"].as_str().unwrap().to_owned();
        // Sixteen bytes of id, thirty-two of secret.
        assert!(token.len() >= 64, "{token}");
        let secret = token[token.len() - 42..].to_owned();
        assert!(seen.insert(secret), "twice the same");
    }
}
