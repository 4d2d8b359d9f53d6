//! JWT access tokens (RFC 9068), opaque ones, and the keys that sign.

use std::sync::Arc;

use chancery::admin::{NewClient, Operation, Outcome, perform};
use chancery::aggregates::Origin;
use chancery::jose::{Accept, JwkSet, PeerKeys, SharedSecret, Types};
use chancery::keys::{rotate, withdraw};
use chancery::services::Services;
use chancery_domain::client::{AccessTokenFormat, ClientMetadata};
use chancery_domain::ids::KeyId;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::time::Lifetime;
use serde_json::{Value, json};

use crate::support::{
    BEGINNING, RelyingParty, Scene, StoreKind, TestServer, claims, confidential, header, service,
    verified,
};

both_stores! {
    a_jwt_access_token_has_its_claims,
    the_audience_is_the_client_s_own,
    an_opaque_token_says_nothing,
    the_lifetime_is_the_client_s_own,
    an_access_token_is_no_id_token_and_an_id_token_no_access_token,
    a_rotated_key_stays_published_and_its_tokens_good,
    a_new_key_signs_at_once_in_place_of_one_that_is_withdrawn,
    every_algorithm_signs_what_it_says,
    the_algorithm_is_the_client_s_own,
    no_client_is_promised_an_algorithm_without_a_key,
    an_id_token_may_be_for_others_too,
    an_id_token_may_be_signed_by_the_client_s_secret,
    nothing_is_issued_that_the_secret_can_t_sign,
}

/// RFC 9068 §2.1, §2.2
async fn a_jwt_access_token_has_its_claims(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[]).await;
    let claims = verified(&scene.rp, &tokens.access).await;
    assert_eq!(header(&tokens.access)["typ"], "at+jwt");
    assert_eq!(header(&tokens.access)["alg"], "ES256");
    let now = BEGINNING.seconds();
    for (name, value) in [
        ("iss", json!(scene.server.issuer)),
        ("sub", json!(scene.ada.to_string())),
        ("aud", json!(scene.server.issuer)),
        ("client_id", json!("rp")),
        ("scope", json!("openid read")),
        ("iat", json!(now)),
        ("exp", json!(now + 300)),
        ("auth_time", json!(now)),
        ("amr", json!(["pwd"])),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 22));
    assert!(claims["acr"].is_string());
}

/// RFC 9068 §3
async fn the_audience_is_the_client_s_own(store: StoreKind) {
    let server = TestServer::start(store).await;
    for (id, audience, expected) in [
        ("one", vec!["https://api.example"], json!("https://api.example")),
        (
            "two",
            vec!["https://a.example", "https://b.example"],
            json!(["https://a.example", "https://b.example"]),
        ),
    ] {
        let access_token_audience = audience.into_iter().map(str::to_owned).collect();
        let metadata = ClientMetadata { access_token_audience, ..service() };
        let client = server.register(id, metadata).await;
        let token = token(&client).await;
        assert_eq!(claims(&token)["aud"], expected);
        assert_eq!(client.introspect(&token).await.ok()["aud"], expected);
    }
}

async fn token(client: &RelyingParty) -> String {
    client.client_credentials(&[]).await.ok()["access_token"].as_str().unwrap().to_owned()
}

async fn an_opaque_token_says_nothing(store: StoreKind) {
    let metadata =
        ClientMetadata { access_token_format: Some(AccessTokenFormat::Opaque), ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let tokens = scene.lasting_tokens().await;
    assert!(!tokens.access.contains('.'));
    scene.rp.userinfo(&tokens.access).await.ok();
    // A token is good for what it is only.
    scene.rp.refresh(&tokens.access).await.invalid_grant();
    assert_eq!(scene.rp.userinfo(tokens.refresh()).await.status, 401);
    scene.server.advance(300);
    assert_eq!(scene.rp.userinfo(&tokens.access).await.status, 401);
}

async fn the_lifetime_is_the_client_s_own(store: StoreKind) {
    let server = TestServer::start(store).await;
    let access_token_lifetime = Some(Lifetime::from_seconds(7));
    let metadata = ClientMetadata { access_token_lifetime, ..service() };
    let client = server.register("svc", metadata).await;
    let answer = client.client_credentials(&[]).await.ok();
    assert_eq!(answer["expires_in"], 7);
    let token = answer["access_token"].as_str().unwrap();
    server.advance(6);
    assert!(client.is_alive(token).await);
    server.advance(1);
    assert!(!client.is_alive(token).await);
}

/// RFC 9068 §4, §5: told apart by `typ`.
async fn an_access_token_is_no_id_token_and_an_id_token_no_access_token(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.tokens(&[]).await;
    assert_eq!(scene.rp.userinfo(tokens.id()).await.status, 401);
    let hint = [("prompt", "none"), ("id_token_hint", &*tokens.access)];
    let request = crate::support::good_request_but(&hint);
    let url = scene.rp.authorize_url(&request);
    assert_eq!(scene.browser.open(&url).await.returned().error(), "login_required");
}

/// OpenID Connect Core §10.1.1
async fn a_rotated_key_stays_published_and_its_tokens_good(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let old = scene.lasting_tokens().await;
    let old_kid = header(&old.access)["kid"].clone();
    scene
        .server
        .act(|services| async move {
            let origin = Origin::system("test");
            rotate(&services.rotation(), SigningAlgorithm::ES256, origin).await.unwrap();
        })
        .await;
    // The node hears of it by the feed.
    let rp = scene.rp.clone();
    crate::support::until("a second key is published", || async {
        let keys = rp.get("/jwks").await.json()["keys"].as_array().unwrap().clone();
        keys.iter().filter(|key| key["use"] == "sig").count() == 2
    })
    .await;
    // Others may keep the keys that they have for a minute.
    let kept = rp.get("/jwks").await.header("cache-control").unwrap().to_owned();
    assert_eq!(kept, "public, max-age=60");
    scene.server.advance(60);
    assert_eq!(header(&scene.tokens(&[]).await.access)["kid"], old_kid);
    scene.server.advance(2);
    let new = scene.tokens(&[]).await;
    assert_ne!(header(&new.access)["kid"], old_kid);
    assert_ne!(header(new.id())["kid"], old_kid);
    for token in [&old.access, old.id(), &new.access, new.id()] {
        verified(&scene.rp, token).await;
    }
    scene.rp.userinfo(&old.access).await.ok();
    assert!(scene.rp.is_alive(&old.access).await);
    scene.rp.refresh(old.refresh()).await.ok();
    let hint = [("prompt", "none"), ("id_token_hint", old.id())];
    scene.code(&hint).await;
}

/// OpenID Connect Core §10.1.1: nobody should believe the old key, so nobody waits for the new one.
async fn a_new_key_signs_at_once_in_place_of_one_that_is_withdrawn(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let rotated = async |server: &TestServer| {
        let rotate = async |services: Arc<Services>| {
            let origin = Origin::system("test");
            let alg = SigningAlgorithm::ES256;
            let kid = rotate(&services.rotation(), alg, origin).await.unwrap();
            services.keys.reload(services.now()).await.unwrap();
            kid
        };
        server.act(rotate).await
    };
    let retired = header(&scene.tokens(&[]).await.access)["kid"].clone();
    let old = rotated(&scene.server).await;
    scene.server.advance(62);
    let tokens = scene.tokens(&[]).await;
    assert_eq!(header(&tokens.access)["kid"], *old);
    let new = rotated(&scene.server).await;
    let withdraw = async move |services: Arc<Services>| {
        let (kid, origin) = (KeyId::parse(&old).unwrap(), Origin::system("test"));
        assert!(withdraw(&services.rotation(), &kid, origin).await.unwrap());
        services.keys.reload(services.now()).await.unwrap();
    };
    scene.server.act(withdraw).await;
    let now = scene.tokens(&[]).await;
    assert_eq!(header(&now.access)["kid"], *new, "not the one that has been retired, {retired}");
    verified(&scene.rp, &now.access).await;
    assert!(!scene.rp.is_alive(&tokens.access).await);
}

/// OpenID Connect Registration §2, `id_token_signed_response_alg`
async fn every_algorithm_signs_what_it_says(store: StoreKind) {
    let names = SigningAlgorithm::ASYMMETRIC_NAMES;
    let settings = format!("[keys]\nsigning_algorithm = \"EdDSA\"\nextra_algorithms = {names:?}");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    let tokens = scene.tokens(&[]).await;
    for token in [&tokens.access, tokens.id()] {
        assert_eq!(header(token)["alg"], "EdDSA");
        verified(&scene.rp, token).await;
    }
    for algorithm in SigningAlgorithm::ASYMMETRIC {
        let id_token_signed_response_alg = Some(*algorithm);
        let metadata = ClientMetadata { id_token_signed_response_alg, ..confidential() };
        scene.rp = scene.server.register(&algorithm.as_str().to_lowercase(), metadata).await;
        let tokens = scene.tokens(&[]).await;
        assert_eq!(header(tokens.id())["alg"], algorithm.as_str());
        let keys: JwkSet = serde_json::from_value(scene.rp.get("/jwks").await.json()).unwrap();
        let accept = Accept { algorithms: &[*algorithm], types: Types::Any };
        let claims = PeerKeys::new(&keys.keys).verify::<Value>(tokens.id(), &accept).unwrap();
        assert_eq!(claims["iss"], scene.server.issuer);
        // The only one that this reader does not know.
        if *algorithm != SigningAlgorithm::ES512 {
            verified(&scene.rp, tokens.id()).await;
        }
    }
}

/// RFC 9068 §2.1, `access_token_signing_alg`
async fn the_algorithm_is_the_client_s_own(store: StoreKind) {
    let settings = "[keys]\nextra_algorithms = [\"RS256\"]";
    let access_token_signing_alg = Some(SigningAlgorithm::RS256);
    let metadata = ClientMetadata { access_token_signing_alg, ..confidential() };
    let mut scene = Scene::with(store, settings, metadata).await;
    let tokens = scene.lasting_tokens().await;
    assert_eq!(header(&tokens.access)["alg"], "RS256");
    assert_eq!(header(tokens.id())["alg"], "ES256");
    verified(&scene.rp, &tokens.access).await;
    assert!(scene.rp.is_alive(&tokens.access).await);
    let again = crate::support::Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    assert_eq!(header(&again.access)["alg"], "RS256");
}

async fn no_client_is_promised_an_algorithm_without_a_key(store: StoreKind) {
    let server = TestServer::with_settings(store, "[keys]\nextra_algorithms = [\"PS256\"]").await;
    let signs = |access, id| ClientMetadata {
        access_token_signing_alg: access,
        id_token_signed_response_alg: id,
        ..confidential()
    };
    for (metadata, possible) in [
        (signs(Some(SigningAlgorithm::PS256), Some(SigningAlgorithm::ES256)), true),
        (signs(Some(SigningAlgorithm::RS256), None), false),
        (signs(None, Some(SigningAlgorithm::EdDSA)), false),
        (signs(Some(SigningAlgorithm::HS256), None), false),
    ] {
        let new = NewClient { client_id: None, secret: None, metadata: Box::new(metadata) };
        let outcome = server
            .act(|services| async move { perform(&services, Operation::AddClient(new), "t").await })
            .await;
        assert_eq!(outcome.is_ok(), possible, "{outcome:?}");
    }
}

/// OpenID Connect Core §2, `aud`, `azp`
async fn an_id_token_may_be_for_others_too(store: StoreKind) {
    let additional_audience = vec!["https://api.example".to_owned()];
    let metadata = ClientMetadata { additional_audience, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let tokens = scene.lasting_tokens().await;
    let claims = verified(&scene.rp, tokens.id()).await;
    assert_eq!(claims["aud"], json!(["rp", "https://api.example"]));
    assert_eq!(claims["azp"], "rp");
    // It is a hint of this client's still.
    scene.code(&[("prompt", "none"), ("id_token_hint", tokens.id())]).await;
    let again = crate::support::Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    let again = verified(&scene.rp, again.id()).await;
    assert_eq!((&again["aud"], &again["azp"]), (&claims["aud"], &claims["azp"]));
}

/// OpenID Connect Core §10.1, §3.1.3.7
async fn an_id_token_may_be_signed_by_the_client_s_secret(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for algorithm in [SigningAlgorithm::HS256, SigningAlgorithm::HS384, SigningAlgorithm::HS512] {
        let id_token_signed_response_alg = Some(algorithm);
        let metadata = Box::new(ClientMetadata { id_token_signed_response_alg, ..confidential() });
        let new = NewClient { client_id: None, secret: None, metadata };
        let operation = Operation::AddClient(new);
        let outcome = scene
            .server
            .act(|services| async move { perform(&services, operation, "t").await.unwrap() })
            .await;
        let Outcome::Client(client) = outcome else { panic!("{outcome:?}") };
        #[expect(clippy::disallowed_methods, reason = "this is for whom it was made")]
        let secret = client.client_secret.as_ref().unwrap().expose().to_owned();
        let method = client.metadata.token_endpoint_auth_method;
        let rp = RelyingParty::new(&scene.server.address, client.client_id.as_str(), method);
        scene.rp = rp.with_secret(&secret);
        let tokens = scene.lasting_tokens().await;
        assert_eq!(header(tokens.id())["alg"], algorithm.as_str());
        // The key has no name: it is the client's.
        assert!(header(tokens.id()).get("kid").is_none());
        let accept = Accept { algorithms: &[algorithm], types: Types::Any };
        let secret = SharedSecret::new(secret.as_bytes());
        let claims = secret.verify::<Value>(tokens.id(), &accept).unwrap();
        assert_eq!(claims["aud"], client.client_id.as_str());
        assert!(claims["at_hash"].is_string());
        let other = SharedSecret::new(&[b'x'; 64]);
        assert!(other.verify::<Value>(tokens.id(), &accept).is_err());
        let again = crate::support::Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
        secret.verify::<Value>(again.id(), &accept).unwrap();
    }
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    let listed = metadata["id_token_signing_alg_values_supported"].as_array().unwrap();
    assert!(listed.contains(&json!("HS256")));
}

/// Of this client's secret only a digest is kept: it was made for something else.
async fn nothing_is_issued_that_the_secret_can_t_sign(store: StoreKind) {
    let id_token_signed_response_alg = Some(SigningAlgorithm::HS256);
    let metadata = ClientMetadata { id_token_signed_response_alg, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let code = scene.code(&[]).await;
    let refused = scene.rp.redeem(&code).await;
    assert!(refused.status >= 400, "{}", refused.body);
    let events = scene.server.only_grant().await;
    assert_eq!(events.last().unwrap(), "CodeIssued");
}
