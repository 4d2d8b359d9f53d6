//! How clients authenticate (RFC 6749 §2.3, §3.2.1, §5.2).

use chancery_domain::client::{ClientCommand, ClientMetadata, SecretRecord};
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::secret::{ClientSecret, Secret};
use chancery_domain::time::Lifetime;

use crate::support::{Answer, StoreKind, TestServer, basic, confidential, public, service};

both_stores! {
    each_method_works_for_the_client_that_registered_it,
    another_method_than_the_registered_one_is_refused,
    a_wrong_secret_is_refused,
    a_failed_header_is_challenged_and_a_failed_form_is_not,
    two_methods_at_once_are_a_malformed_request,
    a_client_that_does_not_say_who_it_is_is_refused,
    identifier_and_secret_are_form_encoded_in_the_header,
    a_header_that_can_not_be_read_is_refused,
    a_disabled_client_is_refused_at_every_endpoint,
    a_rotated_secret_ends_the_one_before_at_its_time,
    a_public_client_can_not_introspect,
    every_endpoint_takes_post_and_forms_only,
}

const BASIC: &str = "Basic realm=\"chancery\", charset=\"UTF-8\"";

fn by(method: ClientAuthMethod) -> ClientMetadata {
    ClientMetadata { token_endpoint_auth_method: method, ..service() }
}

/// RFC 6749 §2.3.1
async fn each_method_works_for_the_client_that_registered_it(store: StoreKind) {
    let server = TestServer::start(store).await;
    for method in [ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost] {
        let client = server.register(method.as_str(), by(method)).await;
        client.client_credentials(&[]).await.ok();
    }
    let app = server.register("app", public()).await;
    app.push(&crate::support::good_request()).await.succeeded(201);
}

/// OpenID Connect Registration §2, `token_endpoint_auth_method`
async fn another_method_than_the_registered_one_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    for own in [ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost] {
        let client = server.register(own.as_str(), by(own)).await;
        let others =
            [ClientAuthMethod::None, ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost];
        for other in others.iter().filter(|other| **other != own) {
            let answer = client.by(*other).client_credentials(&[]).await;
            answer.refused(401, "invalid_client");
        }
    }
    let app = server.register("app", public()).await.with_secret("made up");
    for method in [ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost] {
        let answer = app.by(method).push(&crate::support::good_request()).await;
        answer.refused(401, "invalid_client");
    }
}

/// RFC 6749 §5.2
async fn a_wrong_secret_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    for method in [ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost] {
        let client = server.register(method.as_str(), by(method)).await;
        let other = server.register(&format!("other-{method}"), by(method)).await;
        for wrong in ["", "wrong", other.secret.as_deref().unwrap()] {
            let stranger = client.clone().with_secret(wrong);
            stranger.client_credentials(&[]).await.refused(401, "invalid_client");
            stranger.introspect("token").await.refused(401, "invalid_client");
            stranger.revoke("token").await.refused(401, "invalid_client");
        }
        client.client_credentials(&[]).await.ok();
    }
}

/// RFC 6749 §5.2
async fn a_failed_header_is_challenged_and_a_failed_form_is_not(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await.with_secret("wrong");
    let answer = client.by(ClientAuthMethod::SecretBasic).client_credentials(&[]).await;
    answer.refused(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), Some(BASIC));

    let answer = client.by(ClientAuthMethod::SecretPost).client_credentials(&[]).await;
    answer.refused(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), None);
}

/// RFC 6749 §2.3
async fn two_methods_at_once_are_a_malformed_request(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await;
    let secret = client.secret.clone().unwrap();
    for more in [
        [("client_id", "rp"), ("client_secret", &*secret)],
        [("client_id", "somebody-else"), ("scope", "read")],
    ] {
        client.client_credentials(&more).await.refused(400, "invalid_request");
    }
    // Naming itself again is no other method.
    client.client_credentials(&[("client_id", "rp")]).await.ok();
}

async fn a_client_that_does_not_say_who_it_is_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await;
    for path in ["/token", "/par", "/introspect", "/revoke"] {
        for nobody in [vec![], vec![("client_secret", "x")], vec![("client_id", "nobody")]] {
            let form = [&[("grant_type", "client_credentials")][..], &nobody].concat();
            let answer = Answer::of(client.form(path, &form).send().await.unwrap()).await;
            answer.refused(401, "invalid_client");
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
}

/// RFC 6749 §2.3.1
async fn identifier_and_secret_are_form_encoded_in_the_header(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("https://rp.example/a+b%c:d", service()).await;
    assert!(basic(&client.client_id, "").len() > "Basic ".len());
    client.client_credentials(&[]).await.ok();
}

async fn a_header_that_can_not_be_read_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await;
    for header in ["Basic", "Basic !", "Basic cnA=", "Bearer abc", "basic "] {
        let request = client.form("/token", &[("grant_type", "client_credentials")]);
        let request = request.header("authorization", header);
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.refused(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), Some(BASIC), "{header}");
    }
}

async fn a_disabled_client_is_refused_at_every_endpoint(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await;
    let web = server.register("web", confidential()).await;
    for id in ["rp", "web"] {
        let disable = ClientCommand::Disable { reason: "gone".to_owned() };
        server.command_client(id, disable).await;
    }
    client.client_credentials(&[]).await.refused(401, "invalid_client");
    client.introspect("token").await.refused(401, "invalid_client");
    client.revoke("token").await.refused(401, "invalid_client");
    web.push(&crate::support::good_request()).await.refused(401, "invalid_client");

    server.command_client("rp", ClientCommand::Enable).await;
    client.client_credentials(&[]).await.ok();
}

async fn a_rotated_secret_ends_the_one_before_at_its_time(store: StoreKind) {
    let server = TestServer::start(store).await;
    let old = server.register("rp", service()).await;
    let secret = Secret::<ClientSecret>::from_bytes([5; 32]);
    let record = SecretRecord::Generated(secret.digest());
    let until = crate::support::BEGINNING + Lifetime::from_seconds(60);
    let rotate = ClientCommand::RotateSecret { secret: record, previous_until: Some(until) };
    server.command_client("rp", rotate).await;
    let new = old.clone().with_secret(&chancery::secrets::encode_client_secret(&secret));

    server.advance(59);
    old.client_credentials(&[]).await.ok();
    new.client_credentials(&[]).await.ok();
    server.advance(1);
    old.client_credentials(&[]).await.refused(401, "invalid_client");
    new.client_credentials(&[]).await.ok();
}

/// RFC 7662 §2.1: the endpoint is protected.
async fn a_public_client_can_not_introspect(store: StoreKind) {
    let server = TestServer::start(store).await;
    let app = server.register("app", public()).await;
    app.introspect("token").await.refused(401, "invalid_client");
}

/// RFC 6749 §3.2, RFC 9126 §2.3, RFC 7009 §2.1, RFC 7662 §2.1
async fn every_endpoint_takes_post_and_forms_only(store: StoreKind) {
    let server = TestServer::start(store).await;
    let client = server.register("rp", service()).await;
    for path in ["/token", "/par", "/introspect", "/revoke"] {
        for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
            let answer = client.request(method, path).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{path}");
        }
        let request = client.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/json").body("{}");
        Answer::of(request.send().await.unwrap()).await.refused(400, "invalid_request");
        let request = client.request(reqwest::Method::POST, path).body("client_id=rp");
        Answer::of(request.send().await.unwrap()).await.refused(400, "invalid_request");
    }
}
