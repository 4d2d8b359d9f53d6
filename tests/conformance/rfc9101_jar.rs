//! Signed request objects, by value (RFC 9101, OpenID Connect Core §6).

use chancery::admin::{NewClient, Operation, Outcome, perform};
use chancery::jose::jwe::{self, Encryption, EncryptionKey};
use chancery::jose::{JwkSet, PrivateKey, SharedSecret};
use chancery_domain::client::{ClientMetadata, SecurityProfile};
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Value, json};

use crate::support::keys_server::KeysServer;
use crate::support::request_object::{claims, jwks, signing, unsigned, with_header};
use crate::support::{
    Answer, BEGINNING, REDIRECT_URI, RelyingParty, Scene, StoreKind, TestServer, confidential,
    good_request_but, public,
};

both_stores! {
    a_request_object_stands_for_its_parameters,
    a_public_client_with_keys_may_sign_too,
    nothing_beside_the_object_counts,
    the_client_id_stands_outside_and_inside,
    each_rule_for_the_claims_is_held,
    fapi_clients_send_short_lived_objects,
    only_the_registered_algorithm_counts,
    an_unsigned_object_is_never_accepted,
    a_forged_object_is_refused,
    a_secret_signs_and_encrypts_objects,
    an_object_may_be_encrypted_around_a_signed_one,
    an_object_that_can_not_be_verified_says_nothing,
    a_signed_object_says_where_its_errors_go,
    request_and_request_uri_do_not_go_together,
    where_it_is_switched_off_the_client_is_told,
    where_signed_objects_are_required_others_are_refused,
    a_pushed_object_is_the_whole_request,
    keys_behind_a_uri_verify_objects,
    the_metadata_say_what_can_be_sent,
}

/// A client that signs, and what it signs with.
struct Signer {
    scene: Scene,
    key: PrivateKey,
}

impl Signer {
    async fn new(store: StoreKind) -> Self {
        Self::but(store, "", |_| {}).await
    }

    async fn but(
        store: StoreKind,
        settings: &str,
        change: impl FnOnce(&mut ClientMetadata),
    ) -> Self {
        let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
        let mut metadata = signing(&key);
        change(&mut metadata);
        Self { scene: Scene::with(store, settings, metadata).await, key }
    }

    /// A good object but for these changes; `null` removes.
    fn object(&self, changes: &Value) -> String {
        let claims = claims(&self.scene.server.issuer, changes);
        self.key.sign("oauth-authz-req+jwt", &claims).unwrap()
    }

    /// Sends it to the authorization endpoint, with nothing beside it.
    fn url(&self, object: &str) -> String {
        self.scene.rp.authorize_url(&[("request", object)])
    }

    async fn push(&self, object: &str) -> Answer {
        self.scene.rp.push(&[("request", object)]).await
    }

    /// Is refused at both endpoints; at the authorization endpoint the client's
    /// only redirect URI is told.
    async fn is_refused(&mut self, object: &str) {
        self.push(object).await.refused(400, "invalid_request_object");
        let returned = self.scene.browser.open(&self.url(object)).await.returned();
        assert_eq!((&*returned.to, returned.error()), (REDIRECT_URI, "invalid_request_object"));
    }
}

/// RFC 9101 §5.1
async fn a_request_object_stands_for_its_parameters(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let object = signer.object(&json!({"state": "inside", "nonce": "n-1", "max_age": 10_000}));
    let url = signer.url(&object);
    let returned = signer.scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.get("state"), Some("inside"));
    let tokens = signer.scene.rp.redeem(returned.code()).await.ok();
    let id_token = crate::support::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(id_token["nonce"], "n-1");
    assert!(id_token["auth_time"].is_number(), "max_age was a number: {id_token}");

    // A number is a number: a login of now is too old.
    let object = signer.object(&json!({"max_age": 0}));
    let url = signer.url(&object);
    signer.scene.browser.open(&url).await.shows("login-form");

    let pushed = signer.push(&object).await.succeeded(201);
    let uri = [("request_uri", pushed["request_uri"].as_str().unwrap())];
    let url = signer.scene.rp.authorize_url(&uri);
    signer.scene.browser.go_through(&url, "ada").await.code();

    // By POST, too: too long for an address.
    let long = signer.object(&json!({"login_hint": "x".repeat(6_000)}));
    let url = format!("{}/authorize", signer.scene.server.address);
    let fields = [("client_id", "rp"), ("request", &*long)];
    signer.scene.browser.post(&url, &fields).await.returned().code();
}

async fn a_public_client_with_keys_may_sign_too(store: StoreKind) {
    let keys = |metadata: &mut ClientMetadata| {
        *metadata = ClientMetadata { jwks: metadata.jwks.clone(), ..public() };
    };
    let mut signer = Signer::but(store, "", keys).await;
    let url = signer.url(&signer.object(&json!({})));
    signer.scene.browser.go_through(&url, "ada").await.code();
    signer.push(&signer.object(&json!({}))).await.succeeded(201);
}

/// RFC 9101 §5, §6.3
async fn nothing_beside_the_object_counts(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let without_state = signer.object(&json!({}));
    for beside in [
        "&state=beside&scope=admin&redirect_uri=https%3A%2F%2Fevil.example%2F",
        "&response_type=token&prompt=none&max_age=x&response_mode=fragment",
        "&state=1&state=2&code_challenge_method=plain&registration=x",
    ] {
        let url = format!("{}{beside}", signer.url(&without_state));
        signer.scene.browser.open(&url).await.shows("login-form");
    }
    let url = format!("{}&state=beside&nonce=beside", signer.url(&without_state));
    let returned = signer.scene.browser.go_through(&url, "ada").await;
    assert_eq!((returned.get("state"), returned.by), (None, "query"));

    // What is needed is needed inside.
    let object = signer.object(&json!({"response_type": null, "state": "inside"}));
    let url = format!("{}&response_type=code&state=beside", signer.url(&object));
    let returned = signer.scene.browser.open(&url).await.returned();
    assert_eq!((returned.error(), returned.get("state")), ("invalid_request", Some("inside")));
    let object = signer.object(&json!({"redirect_uri": null}));
    let beside = [("request", &*object), ("redirect_uri", REDIRECT_URI)];
    signer.scene.rp.push(&beside).await.refused(400, "invalid_request");
}

/// RFC 9101 §5, §6.3
async fn the_client_id_stands_outside_and_inside(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let other = signer.scene.server.register("other", signing(&signer.key)).await;
    let object = signer.object(&json!({}));
    let without = signer.url(&object).replace("client_id=rp&", "");
    signer.scene.browser.open(&without).await.error_page("invalid_request");
    let url = other.authorize_url(&[("request", &object)]);
    let returned = signer.scene.browser.open(&url).await.returned();
    assert_eq!(returned.error(), "invalid_request_object");
    for changes in [json!({"client_id": null}), json!({"client_id": "other"})] {
        let object = signer.object(&changes);
        signer.is_refused(&object).await;
    }
}

/// RFC 9101 §4, RFC 7519 §4.1
async fn each_rule_for_the_claims_is_held(store: StoreKind) {
    let signer = Signer::new(store).await;
    let (now, issuer) = (BEGINNING.seconds(), signer.scene.server.issuer.clone());
    for good in [
        json!({"exp": null, "nbf": null}),
        json!({"nbf": now + 10, "iat": now + 10}),
        json!({"exp": now + 86_400}),
        json!({"aud": ["https://other.example", issuer]}),
        json!({"more": {"is": "ignored"}}),
    ] {
        signer.push(&signer.object(&good)).await.succeeded(201);
    }
    for bad in [
        json!({"iss": null}),
        json!({"iss": "other"}),
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"aud": "https://other.example"}),
        json!({"aud": format!("{issuer}/par")}),
        json!({"exp": now}),
        json!({"exp": now - 3_600}),
        json!({"exp": "soon"}),
        json!({"nbf": now + 61}),
        json!({"iat": now + 61}),
        json!({"request": "e.y.J"}),
        json!({"request_uri": "urn:ietf:params:oauth:request_uri:x"}),
    ] {
        let answer = signer.push(&signer.object(&bad)).await;
        assert_eq!(answer.status, 400, "{bad}");
        answer.refused(400, "invalid_request_object");
    }
}

/// FAPI 2.0 Message Signing §5.3.1
async fn fapi_clients_send_short_lived_objects(store: StoreKind) {
    let fapi = |metadata: &mut ClientMetadata| metadata.security_profile = SecurityProfile::Fapi2;
    let signer = Signer::but(store, "", fapi).await;
    let now = BEGINNING.seconds();
    for (changes, is_good) in [
        (json!({}), true),
        (json!({"exp": now + 3_600}), true),
        (json!({"nbf": now - 3_590, "exp": now + 10}), true),
        (json!({"exp": null}), false),
        (json!({"nbf": null}), false),
        (json!({"exp": now + 3_660}), false),
        (json!({"nbf": now - 3_660, "exp": now - 60 + 10}), false),
        (json!({"nbf": now - 3_660, "exp": now + 10}), false),
    ] {
        let answer = signer.push(&signer.object(&changes)).await;
        assert_eq!(answer.status == 201, is_good, "{changes} {answer:?}");
    }
    let rsa = PrivateKey::generate(SigningAlgorithm::RS256).unwrap();
    let metadata = ClientMetadata {
        security_profile: SecurityProfile::Fapi2,
        jwks: Some(jwks(&[&rsa])),
        ..confidential()
    };
    let other = signer.scene.server.register("other", metadata).await;
    let changes = json!({"client_id": "other", "iss": "other"});
    let object = rsa.sign("JWT", &claims(&signer.scene.server.issuer, &changes)).unwrap();
    other.push(&[("request", &object)]).await.refused(400, "invalid_request_object");
}

/// OpenID Connect Registration §2, `request_object_signing_alg`
async fn only_the_registered_algorithm_counts(store: StoreKind) {
    let server = TestServer::start(store).await;
    let ec = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let rsa = PrivateKey::generate(SigningAlgorithm::PS256).unwrap();
    let free = ClientMetadata { jwks: Some(jwks(&[&ec, &rsa])), ..confidential() };
    let bound = ClientMetadata {
        request_object_signing_alg: Some(SigningAlgorithm::PS256),
        ..free.clone()
    };
    let free = server.register("free", free).await;
    let bound = server.register("bound", bound).await;
    for (client, key, is_good) in
        [(&free, &ec, true), (&free, &rsa, true), (&bound, &ec, false), (&bound, &rsa, true)]
    {
        let changes = json!({"client_id": client.client_id, "iss": client.client_id});
        let object = key.sign("JWT", &claims(&server.issuer, &changes)).unwrap();
        let answer = client.push(&[("request", &object)]).await;
        if is_good {
            answer.succeeded(201);
        } else {
            answer.refused(400, "invalid_request_object");
        }
    }
}

/// RFC 9101 §5, §10.5: signed, whatever the client is registered for.
async fn an_unsigned_object_is_never_accepted(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let claims = claims(&signer.scene.server.issuer, &json!({}));
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None", "typ": "JWT"}),
        json!({"alg": "none", "typ": "oauth-authz-req+jwt"}),
        json!({"typ": "JWT"}),
    ] {
        signer.is_refused(&unsigned(&header, &claims)).await;
    }
    for text in ["x", "e30", "e.y.J", "e30.e30.", "a.b.c.d.e", "a.b.c.d"] {
        signer.is_refused(text).await;
    }
}

/// RFC 9101 §6.2, §10.8
async fn a_forged_object_is_refused(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let good = claims(&signer.scene.server.issuer, &json!({}));
    let foreign = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let foreign = foreign.sign("JWT", &good).unwrap();
    let public = serde_json::to_vec(&signer.key.public_jwk()).unwrap();
    let confused = SharedSecret::new(&public).sign(SigningAlgorithm::HS256, "JWT", &good).unwrap();
    let mut changed = signer.object(&json!({}));
    changed.replace_range(60..61, if changed.as_bytes()[60] == b'A' { "B" } else { "A" });
    for object in [foreign, confused, changed] {
        signer.is_refused(&object).await;
    }
    for other_type in ["dpop+jwt", "client-authentication+jwt", "at+jwt", "logout+jwt"] {
        let object = signer.key.sign(other_type, &good).unwrap();
        signer.is_refused(&object).await;
    }
    // An assertion of the client's is no request.
    let assertion = json!({
        "iss": "rp", "sub": "rp", "aud": signer.scene.server.issuer, "jti": "1",
        "exp": BEGINNING.seconds() + 60,
    });
    let assertion = signer.key.sign("JWT", &assertion).unwrap();
    signer.is_refused(&assertion).await;

    for typ in ["JWT", "jwt", "application/oauth-authz-req+jwt"] {
        signer.push(&signer.key.sign(typ, &good).unwrap()).await.succeeded(201);
    }
    let untyped = with_header(&signer.key, &json!({"alg": "ES256"}), &good);
    signer.push(&untyped).await.succeeded(201);
    let critical = json!({"alg": "ES256", "crit": ["b64"], "b64": true});
    signer.is_refused(&with_header(&signer.key, &critical, &good)).await;
}

/// OpenID Connect Core §10.1, §10.2
async fn a_secret_signs_and_encrypts_objects(store: StoreKind) {
    let server = TestServer::start(store).await;
    let metadata = ClientMetadata {
        request_object_signing_alg: Some(SigningAlgorithm::HS256),
        request_object_encryption_alg: Some(KeyManagementAlgorithm::A128Kw),
        ..confidential()
    };
    let client_id = Some(ClientId::parse("rp").unwrap());
    let new = NewClient { client_id, secret: None, metadata: metadata.into() };
    let outcome = server
        .act(|services| async move {
            perform(&services, Operation::AddClient(new), "test").await.unwrap()
        })
        .await;
    let Outcome::Client(client) = outcome else { panic!("a client") };
    #[expect(clippy::disallowed_methods, reason = "this is its owner")]
    let secret = client.client_secret.unwrap().expose().to_owned();
    let method = confidential().token_endpoint_auth_method;
    let rp = RelyingParty::new(&server.address, "rp", method).with_secret(&secret);
    let good = claims(&server.issuer, &json!({}));

    let shared = SharedSecret::new(secret.as_bytes());
    let object = shared.sign(SigningAlgorithm::HS256, "JWT", &good).unwrap();
    rp.push(&[("request", &object)]).await.succeeded(201);
    let how = |alg, enc| Encryption { alg, enc, cty: Some("JWT"), typ: None };
    let encrypted = |alg, enc| {
        let key = EncryptionKey::from_secret(secret.as_bytes());
        jwe::encrypt(&key, &how(alg, enc), object.as_bytes()).unwrap()
    };
    let registered = (KeyManagementAlgorithm::A128Kw, ContentEncryption::A128CbcHs256);
    let nested = encrypted(registered.0, registered.1);
    rp.push(&[("request", &nested)]).await.succeeded(201);
    // Others than those that are registered.
    for (alg, enc) in
        [(KeyManagementAlgorithm::A256Kw, registered.1), (registered.0, ContentEncryption::A256Gcm)]
    {
        let answer = rp.push(&[("request", &encrypted(alg, enc))]).await;
        answer.refused(400, "invalid_request_object");
    }
    let other = SharedSecret::new("0".repeat(secret.len()).as_bytes());
    let forged = other.sign(SigningAlgorithm::HS256, "JWT", &good).unwrap();
    rp.push(&[("request", &forged)]).await.refused(400, "invalid_request_object");
}

/// RFC 9101 §6.1
async fn an_object_may_be_encrypted_around_a_signed_one(store: StoreKind) {
    let settings = "[keys]\nencryption_algorithms = [\"ECDH-ES\", \"RSA-OAEP\"]";
    let mut signer = Signer::but(store, settings, |_| {}).await;
    let keys: JwkSet = serde_json::from_value(signer.scene.rp.get("/jwks").await.json()).unwrap();
    let encrypt = |alg, key: &EncryptionKey, payload: &str| {
        let enc = ContentEncryption::A256Gcm;
        let how = Encryption { alg, enc, cty: Some("JWT"), typ: None };
        jwe::encrypt(key, &how, payload.as_bytes()).unwrap()
    };
    let inner = signer.object(&json!({"state": "inside"}));
    for alg in [
        KeyManagementAlgorithm::EcdhEs,
        KeyManagementAlgorithm::EcdhEsA256Kw,
        KeyManagementAlgorithm::RsaOaep,
        KeyManagementAlgorithm::RsaOaep256,
    ] {
        let key = EncryptionKey::choose(&keys.keys, alg).expect("a published key");
        signer.push(&encrypt(alg, &key, &inner)).await.succeeded(201);
    }
    let alg = KeyManagementAlgorithm::EcdhEs;
    let key = EncryptionKey::choose(&keys.keys, alg).unwrap();
    let url = signer.url(&encrypt(alg, &key, &inner));
    let returned = signer.scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.get("state"), Some("inside"));

    let bare = claims(&signer.scene.server.issuer, &json!({}));
    let unsigned = unsigned(&json!({"alg": "none"}), &bare);
    let twice = encrypt(alg, &key, &inner);
    for payload in [&bare.to_string(), &unsigned, &twice] {
        signer.is_refused(&encrypt(alg, &key, payload)).await;
    }
    let other = jwe::DecryptionKey::generate(alg).unwrap().public_jwk().unwrap();
    let other = EncryptionKey::from_jwk(&other).unwrap();
    signer.is_refused(&encrypt(alg, &other, &inner)).await;
}

/// RFC 6749 §4.1.2.1, RFC 9101 §6: what is not verified names no target.
async fn an_object_that_can_not_be_verified_says_nothing(store: StoreKind) {
    let second = RedirectUri::parse("https://rp.example/second").unwrap();
    let two = |metadata: &mut ClientMetadata| metadata.redirect_uris.push(second);
    let mut signer = Signer::but(store, "", two).await;
    let foreign = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let inside = claims(&signer.scene.server.issuer, &json!({"state": "inside"}));
    let forged = foreign.sign("JWT", &inside).unwrap();
    let beside = |redirect_uri: &str| {
        let beside = [("request", &*forged), ("redirect_uri", redirect_uri), ("state", "beside")];
        signer.scene.rp.authorize_url(&beside)
    };
    let (good, evil) = (beside(REDIRECT_URI), beside("https://evil.example/cb"));
    let nothing = signer.url(&forged);
    let returned = signer.scene.browser.open(&good).await.returned();
    assert_eq!((&*returned.to, returned.error()), (REDIRECT_URI, "invalid_request_object"));
    assert_eq!(returned.get("state"), Some("beside"));
    for url in [evil, nothing] {
        signer.scene.browser.open(&url).await.error_page("invalid_request_object");
    }
}

/// RFC 6749 §4.1.2.1, RFC 9101 §6.3
async fn a_signed_object_says_where_its_errors_go(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let expired = BEGINNING.seconds() - 1;
    for (changes, error) in [
        (json!({"scope": "admin"}), "invalid_scope"),
        (json!({"prompt": "dance"}), "invalid_request"),
        (json!({"max_age": -1}), "invalid_request"),
        (json!({"max_age": 1.5}), "invalid_request"),
        (json!({"exp": expired}), "invalid_request_object"),
    ] {
        let mut inside = changes.clone();
        inside["state"] = json!("inside");
        inside["response_mode"] = json!("form_post");
        let url = signer.url(&signer.object(&inside));
        let url = format!("{url}&state=beside");
        let returned = signer.scene.browser.open(&url).await.returned();
        assert_eq!((returned.error(), returned.by), (error, "form_post"), "{changes}");
        assert_eq!(returned.get("state"), Some("inside"));
    }
    let evil = "https://evil.example/cb";
    for changes in [json!({"redirect_uri": evil}), json!({"redirect_uri": evil, "exp": expired})] {
        let url = signer.url(&signer.object(&changes));
        let url = format!("{url}&redirect_uri={REDIRECT_URI}");
        let error =
            if changes.get("exp").is_some() { "invalid_request_object" } else { "invalid_request" };
        signer.scene.browser.open(&url).await.error_page(error);
    }
}

/// RFC 9101 §5, RFC 9126 §2.1
async fn request_and_request_uri_do_not_go_together(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let object = signer.object(&json!({}));
    let both = [("request", &*object), ("request_uri", "https://rp.example/request.jwt")];
    let url = signer.scene.rp.authorize_url(&both);
    let returned = signer.scene.browser.open(&url).await.returned();
    assert_eq!(returned.error(), "invalid_request");
    signer.scene.rp.push(&both).await.refused(400, "invalid_request");
    let twice = [("request", &*object), ("request", &*object)];
    signer.scene.rp.push(&twice).await.refused(400, "invalid_request");
    let url = signer.scene.rp.authorize_url(&twice);
    assert_eq!(signer.scene.browser.open(&url).await.returned().error(), "invalid_request");
}

/// OpenID Connect Core §6.1
async fn where_it_is_switched_off_the_client_is_told(store: StoreKind) {
    let settings = "[authorization]\nrequest_parameter = false";
    let mut signer = Signer::but(store, settings, |_| {}).await;
    let object = signer.object(&json!({}));
    let request = good_request_but(&[("request", &object), ("state", "s")]);
    let url = signer.scene.rp.authorize_url(&request);
    let returned = signer.scene.browser.open(&url).await.returned();
    let told = (returned.error(), returned.get("state"));
    assert_eq!(told, ("request_not_supported", Some("s")));
    signer.scene.rp.push(&request).await.refused(400, "request_not_supported");
    let metadata = signer.scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["request_parameter_supported"], false);
}

/// RFC 9101 §10.5, RFC 9126 §2.3
async fn where_signed_objects_are_required_others_are_refused(store: StoreKind) {
    let of_server = "[authorization]\nrequire_signed_request_object = true";
    for (settings, of_client) in [("", true), (of_server, false)] {
        let required =
            |metadata: &mut ClientMetadata| metadata.require_signed_request_object = of_client;
        let mut signer = Signer::but(store, settings, required).await;
        let plain = good_request_but(&[("state", "s")]);
        let url = signer.scene.rp.authorize_url(&plain);
        let returned = signer.scene.browser.open(&url).await.returned();
        let told = (returned.error(), returned.get("state"));
        assert_eq!(told, ("invalid_request", Some("s")));
        signer.scene.rp.push(&plain).await.refused(400, "invalid_request");
        let object = signer.object(&json!({}));
        let pushed = signer.push(&object).await.succeeded(201);
        let uri = [("request_uri", pushed["request_uri"].as_str().unwrap())];
        let url = signer.scene.rp.authorize_url(&uri);
        signer.scene.browser.go_through(&url, "ada").await.code();
        let url = signer.url(&object);
        signer.scene.browser.go_through(&url, "ada").await.code();
        let metadata = signer.scene.rp.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["require_signed_request_object"], !of_client);
    }
}

/// RFC 9126 §3
async fn a_pushed_object_is_the_whole_request(store: StoreKind) {
    let mut signer = Signer::new(store).await;
    let object = signer.object(&json!({"state": "inside"}));
    let beside = [("request", &*object), ("state", "beside"), ("scope", "admin")];
    let url = signer.scene.rp.pushed_url(&beside).await;
    let returned = signer.scene.browser.go_through(&url, "ada").await;
    assert_eq!(returned.get("state"), Some("inside"));
    let tokens = signer.scene.rp.redeem(returned.code()).await.ok();
    assert_eq!(tokens["scope"], "openid read");
    let log = signer.scene.server.log().await;
    assert!(log.iter().all(|stored| !stored.event.payload.contains("inside")));
    // The client is who has authenticated, not who the object says.
    let other = signer.scene.server.register("other", signing(&signer.key)).await;
    other.push(&[("request", &object)]).await.refused(400, "invalid_request_object");
    let unknown = [("client_id", "other"), ("request", &object)];
    signer.scene.rp.push(&unknown).await.refused(400, "invalid_request");
}

/// RFC 7591 §2, `jwks_uri`
async fn keys_behind_a_uri_verify_objects(store: StoreKind) {
    let settings = "[outbound]\nallow_loopback = true\nallow_http = true\n";
    let key = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    let keys = KeysServer::start(&jwks(&[&key])).await;
    let metadata = ClientMetadata { jwks_uri: Some(keys.uri.clone()), ..confidential() };
    let scene = Scene::with(store, settings, metadata).await;
    let object =
        |key: &PrivateKey| key.sign("JWT", &claims(&scene.server.issuer, &json!({}))).unwrap();
    scene.rp.push(&[("request", &object(&key))]).await.succeeded(201);
    let next = PrivateKey::generate(SigningAlgorithm::ES256).unwrap();
    keys.say(200, &jwks(&[&next]));
    scene.server.advance(60);
    scene.rp.push(&[("request", &object(&next))]).await.succeeded(201);
    assert_eq!(keys.asked(), 2);

    let without = scene.server.register("without", confidential()).await;
    let answer = without.push(&[("request", &object(&key))]).await;
    answer.refused(400, "invalid_request_object");
}

/// RFC 9101 §9.2, OpenID Connect Discovery §3
async fn the_metadata_say_what_can_be_sent(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = server.register("rp", confidential()).await;
    let metadata = rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["request_parameter_supported"], true);
    assert_eq!(metadata["require_signed_request_object"], false);
    let list = |name: &str| metadata[name].as_array().unwrap().clone();
    let signing = list("request_object_signing_alg_values_supported");
    for alg in ["RS256", "PS256", "ES256", "EdDSA", "HS256"] {
        assert!(signing.contains(&json!(alg)), "{alg}");
    }
    assert!(!signing.contains(&json!("none")));
    let encryption = list("request_object_encryption_alg_values_supported");
    assert!(encryption.contains(&json!("ECDH-ES")) && encryption.contains(&json!("A128KW")));
    assert!(!encryption.contains(&json!("RSA-OAEP")), "there is no key for it");
    let content = list("request_object_encryption_enc_values_supported");
    assert!(content.contains(&json!("A128CBC-HS256")) && content.contains(&json!("A256GCM")));
}
