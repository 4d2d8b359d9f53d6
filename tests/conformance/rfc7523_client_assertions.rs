//! Client assertions: `private_key_jwt` and `client_secret_jwt` (RFC 7523,
//! OpenID Connect Core §9, FAPI 2.0 Security Profile §5.3.2).

use std::sync::atomic::{AtomicUsize, Ordering};

use chancery::admin::{NewClient, Operation, Outcome, perform};
use chancery::jose::{PrivateKey, SharedSecret};
use chancery_domain::client::{ClientMetadata, SecurityProfile};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::time::Lifetime;
use serde_json::{Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::{
    Answer, BEGINNING, RelyingParty, StoreKind, TestServer, good_request, service,
};

both_stores! {
    a_signed_assertion_authenticates_at_every_endpoint,
    each_rule_for_the_claims_is_held,
    an_audience_may_be_what_the_client_calls,
    fapi_clients_name_the_issuer_and_nothing_else,
    an_assertion_is_used_once,
    only_the_registered_algorithm_counts,
    fapi_clients_sign_by_a_few_algorithms_only,
    a_forged_assertion_is_refused,
    an_assertion_of_another_is_refused,
    two_methods_at_once_are_a_malformed_request,
    a_malformed_assertion_is_refused,
    one_client_may_have_several_methods,
    a_secret_signs_an_assertion_and_its_successor_too,
    a_secret_that_can_not_be_read_must_be_rotated,
    keys_behind_a_uri_are_found_and_kept,
    a_new_key_is_found_within_a_minute_and_nobody_is_hammered,
    old_keys_stay_good_while_new_ones_can_not_be_had,
    no_keys_is_a_refusal_and_no_failure,
    private_addresses_are_not_asked_for_keys,
    the_metadata_name_methods_and_algorithms,
}

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const LOOPBACK: &str = "[outbound]\nallow_loopback = true\nallow_http = true\n";

fn key(alg: SigningAlgorithm) -> PrivateKey {
    PrivateKey::generate(alg).unwrap()
}

fn jwks(keys: &[&PrivateKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() })
}

fn signing(key: &PrivateKey) -> ClientMetadata {
    ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
        jwks: Some(jwks(&[key])),
        ..service()
    }
}

fn fetched(uri: &str) -> ClientMetadata {
    ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
        jwks_uri: Some(uri.to_owned()),
        ..service()
    }
}

static NEXT_ID: AtomicUsize = AtomicUsize::new(0);

/// Claims that nothing is wrong with, but for these changes; `null` removes.
fn claims(server: &TestServer, changes: &Value) -> Value {
    let now = BEGINNING.seconds();
    let mut claims = json!({
        "iss": "rp", "sub": "rp", "aud": server.issuer, "iat": now, "exp": now + 60,
        "jti": NEXT_ID.fetch_add(1, Ordering::Relaxed).to_string(),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// What anybody can write.
async fn with(client: &RelyingParty, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let own = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    let request = client.form("/token", &[&own, more].concat());
    Answer::of(request.send().await.unwrap()).await
}

/// A client, its key, and what it says.
struct Signer {
    server: TestServer,
    client: RelyingParty,
    key: PrivateKey,
}

impl Signer {
    async fn new(store: StoreKind) -> Self {
        Self::but(store, |_| {}).await
    }

    async fn but(store: StoreKind, change: impl FnOnce(&mut ClientMetadata)) -> Self {
        let server = TestServer::start(store).await;
        let key = key(SigningAlgorithm::ES256);
        let mut metadata = signing(&key);
        change(&mut metadata);
        let client = server.register("rp", metadata).await;
        Self { server, client, key }
    }

    fn assertion(&self, changes: &Value) -> String {
        self.key.sign("JWT", &claims(&self.server, changes)).unwrap()
    }

    async fn ask(&self, changes: &Value) -> Answer {
        with(&self.client, &self.assertion(changes), &[]).await
    }
}

/// RFC 7523 §2.2
async fn a_signed_assertion_authenticates_at_every_endpoint(store: StoreKind) {
    let signer = Signer::but(store, |metadata| {
        *metadata = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
            jwks: metadata.jwks.clone(),
            ..crate::support::confidential()
        };
    })
    .await;
    let send = async |path: &str, parameters: &[(&str, &str)]| {
        let assertion = signer.assertion(&json!({}));
        let own = [("client_assertion_type", TYPE), ("client_assertion", &assertion)];
        let request = signer.client.form(path, &[&own, parameters].concat());
        Answer::of(request.send().await.unwrap()).await
    };
    send("/par", &good_request()).await.succeeded(201);
    send("/introspect", &[("token", "x")]).await.ok();
    assert_eq!(send("/revoke", &[("token", "x")]).await.status, 200);
    let code = [("grant_type", "authorization_code"), ("code", "x")];
    send("/token", &code).await.invalid_grant();
}

/// RFC 7523 §3, OpenID Connect Core §9
async fn each_rule_for_the_claims_is_held(store: StoreKind) {
    let signer = Signer::new(store).await;
    let now = BEGINNING.seconds();
    for good in [
        json!({}),
        json!({"iat": null}),
        json!({"nbf": now + 10, "iat": now + 10}),
        json!({"exp": now + 1}),
        json!({"exp": now + 3600}),
        json!({"exp": 1_800_000_060.5}),
        json!({"more": "is ignored"}),
    ] {
        signer.ask(&good).await.ok();
    }
    for bad in [
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"iss": "other"}),
        json!({"sub": "other", "iss": "rp"}),
        json!({"aud": null}),
        json!({"aud": "https://other.example"}),
        json!({"aud": []}),
        json!({"aud": 7}),
        json!({"exp": null}),
        json!({"exp": now}),
        json!({"exp": now - 60}),
        json!({"exp": now + 86_400}),
        json!({"exp": "soon"}),
        json!({"nbf": now + 61}),
        json!({"iat": now + 61}),
        json!({"jti": null}),
        json!({"jti": ""}),
    ] {
        let answer = signer.ask(&bad).await;
        assert_eq!(answer.status, 401, "{bad}");
        answer.refused(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

/// RFC 7523 §3, RFC 9126 §2
async fn an_audience_may_be_what_the_client_calls(store: StoreKind) {
    let signer = Signer::new(store).await;
    let issuer = &signer.server.issuer;
    let token = format!("{issuer}/token");
    for aud in [json!(issuer), json!(token), json!([token]), json!(["https://x.example", issuer])] {
        signer.ask(&json!({ "aud": aud })).await.ok();
    }
    let other = format!("{issuer}/introspect");
    signer.ask(&json!({ "aud": other })).await.refused(401, "invalid_client");
    let assertion = signer.assertion(&json!({ "aud": other }));
    let form = [("client_assertion_type", TYPE), ("client_assertion", &assertion), ("token", "x")];
    Answer::of(signer.client.form("/introspect", &form).send().await.unwrap()).await.ok();
}

fn fapi(metadata: &mut ClientMetadata) {
    metadata.security_profile = SecurityProfile::Fapi2;
}

/// FAPI 2.0 Security Profile §5.3.2.1
async fn fapi_clients_name_the_issuer_and_nothing_else(store: StoreKind) {
    let signer = Signer::but(store, fapi).await;
    let issuer = &signer.server.issuer;
    signer.ask(&json!({})).await.ok();
    let token = format!("{issuer}/token");
    for aud in [json!([issuer]), json!(token), json!([issuer, token])] {
        signer.ask(&json!({ "aud": aud })).await.refused(401, "invalid_client");
    }
}

/// RFC 7523 §3
async fn an_assertion_is_used_once(store: StoreKind) {
    let signer = Signer::new(store).await;
    let assertion = signer.assertion(&json!({}));
    with(&signer.client, &assertion, &[]).await.ok();
    with(&signer.client, &assertion, &[]).await.refused(401, "invalid_client");
    // The same id in another one.
    signer.ask(&json!({"jti": "again"})).await.ok();
    signer
        .ask(&json!({"jti": "again", "exp": BEGINNING.seconds() + 61}))
        .await
        .refused(401, "invalid_client");
    if store == StoreKind::Postgres {
        let second = signer.server.second_node().await;
        let there = signer.client.at(&second);
        with(&there, &assertion, &[]).await.refused(401, "invalid_client");
        with(&there, &signer.assertion(&json!({})), &[]).await.ok();
    }
    // Many at once: one of them.
    let assertion = signer.assertion(&json!({}));
    let all = (0..8).map(|_| with(&signer.client, &assertion, &[]));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

/// OpenID Connect Registration §2, `token_endpoint_auth_signing_alg`
async fn only_the_registered_algorithm_counts(store: StoreKind) {
    let server = TestServer::start(store).await;
    let (ec, rsa) = (key(SigningAlgorithm::ES256), key(SigningAlgorithm::RS256));
    let free = ClientMetadata { jwks: Some(jwks(&[&ec, &rsa])), ..signing(&ec) };
    let bound = ClientMetadata {
        token_endpoint_auth_signing_alg: Some(SigningAlgorithm::RS256),
        ..free.clone()
    };
    let free = server.register("free", free).await;
    let bound = server.register("rp", bound).await;
    for (client, key, is_good) in
        [(&free, &ec, true), (&free, &rsa, true), (&bound, &ec, false), (&bound, &rsa, true)]
    {
        let id = &client.client_id;
        let assertion = key.sign("JWT", &claims(&server, &json!({"iss": id, "sub": id}))).unwrap();
        let answer = with(client, &assertion, &[]).await;
        if is_good {
            answer.ok();
        } else {
            answer.refused(401, "invalid_client");
        }
    }
}

/// FAPI 2.0 Security Profile §5.4.1
async fn fapi_clients_sign_by_a_few_algorithms_only(store: StoreKind) {
    let server = TestServer::start(store).await;
    for (alg, is_good) in [
        (SigningAlgorithm::ES256, true),
        (SigningAlgorithm::PS256, true),
        (SigningAlgorithm::EdDSA, true),
        (SigningAlgorithm::RS256, false),
        (SigningAlgorithm::ES384, false),
    ] {
        let key = key(alg);
        let id = alg.as_str();
        let mut metadata = signing(&key);
        fapi(&mut metadata);
        let client = server.register(id, metadata).await;
        let assertion = key.sign("JWT", &claims(&server, &json!({"iss": id, "sub": id}))).unwrap();
        let answer = with(&client, &assertion, &[]).await;
        assert_eq!(answer.status == 200, is_good, "{alg}");
    }
}

/// RFC 7523 §3, RFC 8725 §3.11
async fn a_forged_assertion_is_refused(store: StoreKind) {
    let signer = Signer::new(store).await;
    let good = claims(&signer.server, &json!({}));
    let foreign = key(SigningAlgorithm::ES256).sign("JWT", &good).unwrap();
    let for_another_purpose = signer.key.sign("dpop+jwt", &good).unwrap();
    let public = serde_json::to_vec(&signer.key.public_jwk()).unwrap();
    let confused = SharedSecret::new(&public).sign(SigningAlgorithm::HS256, "JWT", &good).unwrap();
    for assertion in [foreign, for_another_purpose, confused] {
        with(&signer.client, &assertion, &[]).await.refused(401, "invalid_client");
    }
    let typed = signer.key.sign("client-authentication+jwt", &good).unwrap();
    with(&signer.client, &typed, &[]).await.ok();
}

/// RFC 7521 §4.2
async fn an_assertion_of_another_is_refused(store: StoreKind) {
    let signer = Signer::new(store).await;
    signer.server.register("other", signing(&key(SigningAlgorithm::ES256))).await;
    let assertion = signer.assertion(&json!({}));
    with(&signer.client, &assertion, &[("client_id", "other")])
        .await
        .refused(401, "invalid_client");
    with(&signer.client, &assertion, &[("client_id", "rp")]).await.ok();
    signer.ask(&json!({"iss": "other", "sub": "other"})).await.refused(401, "invalid_client");
    signer.ask(&json!({"iss": "nobody", "sub": "nobody"})).await.refused(401, "invalid_client");
}

/// RFC 6749 §2.3
async fn two_methods_at_once_are_a_malformed_request(store: StoreKind) {
    let signer = Signer::new(store).await;
    let assertion = signer.assertion(&json!({}));
    let secret = [("client_id", "rp"), ("client_secret", "x")];
    with(&signer.client, &assertion, &secret).await.refused(400, "invalid_request");
    let form = [("client_assertion_type", TYPE), ("client_assertion", &assertion)];
    let request = signer.client.form("/token", &form);
    let request = request.header("authorization", crate::support::basic("rp", "x"));
    Answer::of(request.send().await.unwrap()).await.refused(400, "invalid_request");
    let twice = [("client_assertion", &*assertion)];
    with(&signer.client, &assertion, &twice).await.refused(400, "invalid_request");
}

/// RFC 7521 §4.2
async fn a_malformed_assertion_is_refused(store: StoreKind) {
    let signer = Signer::new(store).await;
    for text in ["", "x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."] {
        with(&signer.client, text, &[]).await.refused(401, "invalid_client");
    }
    let assertion = signer.assertion(&json!({}));
    for kind in [
        &[("client_assertion", &*assertion)][..],
        &[("client_assertion_type", TYPE), ("client_id", "rp")],
        &[("client_assertion", &assertion), ("client_assertion_type", "urn:other")],
    ] {
        let answer = signer.client.form("/token", kind).send().await.unwrap();
        Answer::of(answer).await.refused(401, "invalid_client");
    }
}

async fn one_client_may_have_several_methods(store: StoreKind) {
    let signer = Signer::but(store, |metadata| {
        metadata.additional_token_endpoint_auth_methods = vec![ClientAuthMethod::SecretBasic];
    })
    .await;
    signer.ask(&json!({})).await.ok();
    signer.client.by(ClientAuthMethod::SecretBasic).client_credentials(&[]).await.ok();
    let by_post = signer.client.by(ClientAuthMethod::SecretPost);
    by_post.client_credentials(&[]).await.refused(401, "invalid_client");
}

/// Does what an operator does; gives the client's new secret.
async fn operate(server: &TestServer, operation: Operation) -> (Option<String>, Option<String>) {
    let outcome = server
        .act(|services| async move { perform(&services, operation, "test").await.unwrap() })
        .await;
    let Outcome::Client(client) = outcome else { panic!("a client") };
    #[expect(clippy::disallowed_methods, reason = "this is its owner")]
    let secret = client.client_secret.map(|secret| secret.expose().to_owned());
    (secret, client.notice)
}

fn rotate(keep: u32) -> Operation {
    Operation::RotateClientSecret {
        client_id: ClientId::parse("rp").unwrap(),
        secret: None,
        keep_previous_for: Some(Lifetime::from_seconds(keep)),
    }
}

fn add(metadata: ClientMetadata) -> Operation {
    let client_id = Some(ClientId::parse("rp").unwrap());
    Operation::AddClient(NewClient { client_id, secret: None, metadata: metadata.into() })
}

/// OpenID Connect Core §9, §10.1
async fn a_secret_signs_an_assertion_and_its_successor_too(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::SecretJwt,
        additional_token_endpoint_auth_methods: vec![ClientAuthMethod::SecretPost],
        ..service()
    };
    let (first, notice) = operate(&server, add(metadata)).await;
    let first = first.unwrap();
    assert_eq!(notice, None);
    let client = RelyingParty::new(&server.address, "rp", ClientAuthMethod::SecretPost);
    let ask = async |secret: &str, alg| {
        let secret = SharedSecret::new(secret.as_bytes());
        let assertion = secret.sign(alg, "JWT", &claims(&server, &json!({}))).unwrap();
        with(&client, &assertion, &[]).await
    };
    for alg in [SigningAlgorithm::HS256, SigningAlgorithm::HS384, SigningAlgorithm::HS512] {
        ask(&first, alg).await.ok();
    }
    let wrong = "0".repeat(first.len());
    ask(&wrong, SigningAlgorithm::HS256).await.refused(401, "invalid_client");
    client.clone().with_secret(&first).client_credentials(&[]).await.ok();
    client.clone().with_secret(&wrong).client_credentials(&[]).await.refused(401, "invalid_client");

    let second = operate(&server, rotate(10)).await.0.unwrap();
    for secret in [&first, &second] {
        ask(secret, SigningAlgorithm::HS256).await.ok();
        client.clone().with_secret(secret).client_credentials(&[]).await.ok();
    }
    server.advance(11);
    ask(&first, SigningAlgorithm::HS256).await.refused(401, "invalid_client");
    client.clone().with_secret(&first).client_credentials(&[]).await.refused(401, "invalid_client");
    ask(&second, SigningAlgorithm::HS256).await.ok();

    // The log holds neither.
    for stored in server.log().await {
        let text = format!("{}{}", stored.event.payload, stored.event.metadata);
        assert!(!text.contains(&first) && !text.contains(&second));
    }
}

async fn a_secret_that_can_not_be_read_must_be_rotated(store: StoreKind) {
    let server = TestServer::start(store).await;
    let (secret, notice) = operate(&server, add(service())).await;
    assert_eq!(notice, None);
    let changes = json!({"token_endpoint_auth_method": "client_secret_jwt"});
    let client_id = ClientId::parse("rp").unwrap();
    let changes = changes.as_object().unwrap().clone();
    let (_, notice) = operate(&server, Operation::UpdateClient { client_id, changes }).await;
    assert!(notice.unwrap().contains("rotate"));
    let client = RelyingParty::new(&server.address, "rp", ClientAuthMethod::SecretPost);
    let ask = async |secret: &str| {
        let secret = SharedSecret::new(secret.as_bytes());
        let good = claims(&server, &json!({}));
        let assertion = secret.sign(SigningAlgorithm::HS256, "JWT", &good).unwrap();
        with(&client, &assertion, &[]).await
    };
    ask(&secret.unwrap()).await.refused(401, "invalid_client");
    let (secret, notice) = operate(&server, rotate(0)).await;
    assert_eq!(notice, None);
    ask(&secret.unwrap()).await.ok();
}

/// RFC 7591 §2, `jwks_uri`
async fn keys_behind_a_uri_are_found_and_kept(store: StoreKind) {
    let server = TestServer::with_settings(store, LOOPBACK).await;
    let key = key(SigningAlgorithm::ES256);
    let keys = KeysServer::start(&jwks(&[&key])).await;
    let client = server.register("rp", fetched(&keys.uri)).await;
    let ask = async || {
        let assertion = key.sign("JWT", &claims(&server, &json!({}))).unwrap();
        with(&client, &assertion, &[]).await
    };
    let answers = futures_util::future::join_all((0..6).map(|_| ask())).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    ask().await.ok();
    assert_eq!(keys.asked(), 1);
    // They are good for as long as their server says, and then asked for again.
    server.advance(601);
    let now = BEGINNING.seconds() + 601;
    let later = claims(&server, &json!({"iat": now, "exp": now + 60}));
    with(&client, &key.sign("JWT", &later).unwrap(), &[]).await.ok();
    assert_eq!(keys.asked(), 2);
}

/// OpenID Connect Core §10.1.1
async fn a_new_key_is_found_within_a_minute_and_nobody_is_hammered(store: StoreKind) {
    let server = TestServer::with_settings(store, LOOPBACK).await;
    let (old, new) = (key(SigningAlgorithm::ES256), key(SigningAlgorithm::ES256));
    let keys = KeysServer::start(&jwks(&[&old])).await;
    let client = server.register("rp", fetched(&keys.uri)).await;
    let ask = async |key: &PrivateKey, later: i64| {
        let now = BEGINNING.seconds() + later;
        let good = claims(&server, &json!({"iat": now, "exp": now + 60}));
        with(&client, &key.sign("JWT", &good).unwrap(), &[]).await
    };
    ask(&old, 0).await.ok();
    // Keys that nobody has: the client's server hears nothing of it for a minute.
    let made_up = key(SigningAlgorithm::ES256);
    for _ in 0..5 {
        ask(&made_up, 0).await.refused(401, "invalid_client");
    }
    assert_eq!(keys.asked(), 1);
    keys.say(200, &jwks(&[&old, &new]));
    server.advance(60);
    ask(&new, 60).await.ok();
    assert_eq!(keys.asked(), 2);
    for _ in 0..5 {
        ask(&made_up, 60).await.refused(401, "invalid_client");
        ask(&old, 60).await.ok();
    }
    assert_eq!(keys.asked(), 2);
}

async fn old_keys_stay_good_while_new_ones_can_not_be_had(store: StoreKind) {
    let server = TestServer::with_settings(store, LOOPBACK).await;
    let key = key(SigningAlgorithm::ES256);
    let keys = KeysServer::start(&jwks(&[&key])).await;
    let client = server.register("rp", fetched(&keys.uri)).await;
    let ask = async |later: i64| {
        let now = BEGINNING.seconds() + later;
        let good = claims(&server, &json!({"iat": now, "exp": now + 60}));
        with(&client, &key.sign("JWT", &good).unwrap(), &[]).await
    };
    ask(0).await.ok();
    keys.say(500, &json!(""));
    server.advance(700);
    ask(700).await.ok();
    ask(700).await.ok();
    assert_eq!(keys.asked(), 2);
    server.advance(90_000);
    ask(90_700).await.refused(401, "invalid_client");
}

async fn no_keys_is_a_refusal_and_no_failure(store: StoreKind) {
    let server = TestServer::with_settings(store, LOOPBACK).await;
    let key = key(SigningAlgorithm::ES256);
    let keys = KeysServer::start(&json!("no keys")).await;
    let client = server.register("rp", fetched(&keys.uri)).await;
    let ask = async || {
        let assertion = key.sign("JWT", &claims(&server, &json!({}))).unwrap();
        with(&client, &assertion, &[]).await
    };
    for _ in 0..3 {
        ask().await.refused(401, "invalid_client");
    }
    assert_eq!(keys.asked(), 1);
    keys.say(200, &jwks(&[&key]));
    server.advance(10);
    ask().await.ok();
}

/// Without the operator's leave this machine is not asked.
async fn private_addresses_are_not_asked_for_keys(store: StoreKind) {
    let server = TestServer::start(store).await;
    let key = key(SigningAlgorithm::ES256);
    let keys = KeysServer::start(&jwks(&[&key])).await;
    for (id, uri) in [("rp", keys.uri.clone()), ("tls", keys.uri.replace("http:", "https:"))] {
        let client = server.register(id, fetched(&uri)).await;
        let good = claims(&server, &json!({"iss": id, "sub": id}));
        let assertion = key.sign("JWT", &good).unwrap();
        with(&client, &assertion, &[]).await.refused(401, "invalid_client");
    }
    assert_eq!(keys.asked(), 0);
}

/// RFC 8414 §2
async fn the_metadata_name_methods_and_algorithms(store: StoreKind) {
    let signer = Signer::new(store).await;
    let metadata = signer.client.get("/.well-known/openid-configuration").await.json();
    for endpoint in ["token", "introspection", "revocation"] {
        let list = |what: &str| {
            let name = format!("{endpoint}_endpoint_auth_{what}_supported");
            metadata[&name].as_array().unwrap_or_else(|| panic!("{name}")).clone()
        };
        let (methods, algorithms) = (list("methods"), list("signing_alg_values"));
        for method in ["client_secret_jwt", "private_key_jwt"] {
            assert!(methods.contains(&json!(method)), "{endpoint}");
        }
        assert_eq!(methods.contains(&json!("none")), endpoint != "introspection");
        assert_eq!(algorithms.len(), SigningAlgorithm::ALL.len());
        assert!(!algorithms.contains(&json!("none")));
    }
}
