//! Pairwise subjects (OpenID Connect Core §8).

use std::collections::BTreeSet;

use chancery::admin::{NewClient, Operation, perform};
use chancery_domain::client::{AccessTokenFormat, ClientMetadata, SubjectType};
use chancery_domain::protocol::redirect_uri::RedirectUri;
use serde_json::{Value, json};

use crate::oidc_frontchannel_logout::settle;
use crate::support::keys_server::KeysServer;
use crate::support::{
    Listener, OPEN, RelyingParty, Scene, StoreKind, TestServer, Tokens, claims, confidential, form,
    good_metadata_but, good_request_but, service, verified,
};

both_stores! {
    clients_of_a_sector_know_a_person_by_the_same_sub,
    a_sector_identifier_joins_hosts,
    clients_without_a_host_are_sectors_of_their_own,
    a_client_sees_one_sub_wherever_it_looks,
    a_logout_token_names_the_person_as_the_client_knows_them,
    a_frame_names_the_session_as_the_client_knows_it,
    a_hint_is_read_as_the_client_knows_the_person,
    an_id_token_of_the_session_ends_it,
    the_log_knows_only_the_pseudonym,
    a_sub_outlives_a_restart,
    several_hosts_need_a_sector_identifier,
    an_operator_s_sector_must_list_the_redirect_uris,
    the_metadata_say_so,
}

const OUTBOUND: &str = "[outbound]\nallow_http = true\nallow_loopback = true\n";

fn at(uris: &[&str]) -> ClientMetadata {
    ClientMetadata {
        redirect_uris: uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
        ..confidential()
    }
}

fn pairwise(uris: &[&str]) -> ClientMetadata {
    ClientMetadata { subject_type: SubjectType::Pairwise, ..at(uris) }
}

const RP: &str = "https://rp.example/cb";

async fn scene(store: StoreKind, settings: &str) -> Scene {
    Scene::with(store, settings, pairwise(&[RP])).await
}

/// What this client gets for Ada.
async fn tokens(scene: &mut Scene, rp: &RelyingParty, redirect_uri: &str) -> Tokens {
    let scope = "openid offline_access email read";
    let request = good_request_but(&[("redirect_uri", redirect_uri), ("scope", scope)]);
    let url = rp.authorize_url(&request);
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    Tokens::of(&rp.redeem_but(&code, &[("redirect_uri", redirect_uri)]).await.ok())
}

/// Whom a new client finds in its ID token.
async fn sub(scene: &mut Scene, id: &str, metadata: ClientMetadata) -> String {
    let redirect_uri = metadata.redirect_uris[0].as_str().to_owned();
    let rp = scene.server.register(id, metadata).await;
    let tokens = tokens(scene, &rp, &redirect_uri).await;
    text(&claims(tokens.id())["sub"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// OpenID Connect Core §8.1
async fn clients_of_a_sector_know_a_person_by_the_same_sub(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let a = sub(&mut scene, "a", pairwise(&[RP])).await;
    let b = sub(&mut scene, "b", pairwise(&["https://rp.example:8443/other"])).await;
    let c = sub(&mut scene, "c", pairwise(&["https://other.example/cb"])).await;
    let d = sub(&mut scene, "d", at(&[RP])).await;
    assert_eq!(a, b);
    assert_eq!(d, scene.ada.to_string(), "a public one");
    assert_eq!(BTreeSet::from([&a, &c, &d]).len(), 3);
    // Another person is somebody else.
    scene.server.account("bob").await;
    let browser = &mut crate::support::Browser::new(&scene.server);
    let url = scene.rp.authorize_url(&good_request_but(&[]));
    let code = browser.go_through(&url, "bob").await.code().to_owned();
    let bob = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert_ne!(claims(bob.id())["sub"], a.as_str());
    // Core §2: no more than 255 ASCII characters.
    assert!(a.len() <= 255 && a.is_ascii());
}

/// OpenID Connect Core §8.1
async fn a_sector_identifier_joins_hosts(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let of = |uris: &[&str], sector: &str| ClientMetadata {
        sector_identifier_uri: Some(sector.to_owned()),
        ..pairwise(uris)
    };
    let sector = "https://sector.example/uris.json";
    let both = ["https://a.example/cb", "https://b.example/cb"];
    let a = sub(&mut scene, "a", of(&both, sector)).await;
    let b = sub(&mut scene, "b", of(&["https://c.example/cb"], sector)).await;
    let c = sub(&mut scene, "c", pairwise(&["https://sector.example/cb"])).await;
    let d = sub(&mut scene, "d", pairwise(&["https://a.example/cb"])).await;
    assert_eq!(a, b);
    // The sector is the host, wherever the host stands.
    assert_eq!(a, c);
    assert_ne!(a, d);
}

/// The person's own device is the same place for all.
async fn clients_without_a_host_are_sectors_of_their_own(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let a = sub(&mut scene, "a", pairwise(&["http://127.0.0.1/cb"])).await;
    let b = sub(&mut scene, "b", pairwise(&["http://127.0.0.1/cb"])).await;
    assert_ne!(a, b);
}

/// OpenID Connect Core §5.3.2, §12.2, RFC 7662 §2.2, RFC 9068 §2.2: the subject
/// is the same everywhere.
async fn a_client_sees_one_sub_wherever_it_looks(store: StoreKind) {
    for format in [AccessTokenFormat::Jwt, AccessTokenFormat::Opaque] {
        let metadata = ClientMetadata { access_token_format: Some(format), ..pairwise(&[RP]) };
        let mut scene = Scene::with(store, "", metadata).await;
        let api = ClientMetadata { introspect_any_token: true, ..service() };
        let api = scene.server.register("api", api).await;
        let (rp, public) = (scene.rp.clone(), scene.ada.to_string());
        let first = tokens(&mut scene, &rp, RP).await;
        let sub = text(&claims(first.id())["sub"]);
        assert_ne!(sub, public);
        let refreshed = Tokens::of(&rp.refresh(first.refresh()).await.ok());
        let mut seen = vec![
            claims(refreshed.id()),
            rp.userinfo(&first.access).await.ok(),
            rp.userinfo(&refreshed.access).await.ok(),
            rp.introspect(&first.access).await.ok(),
            rp.introspect(refreshed.refresh()).await.ok(),
            api.introspect(&first.access).await.ok(),
        ];
        if format == AccessTokenFormat::Jwt {
            seen.push(verified(&rp, &first.access).await);
        }
        for seen in seen {
            assert_eq!(seen["sub"], sub.as_str(), "{seen}");
            assert!(!seen.to_string().contains(&public), "{seen}");
        }
    }
}

async fn log_out(scene: &mut Scene) -> String {
    let logout = format!("{}/logout", scene.server.issuer);
    let page = scene.browser.open(&logout).await.shows("logout-form");
    let fields = [("action", "logout")];
    let page = scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
    page.html
}

/// OpenID Connect Back-Channel Logout §2.4
async fn a_logout_token_names_the_person_as_the_client_knows_them(store: StoreKind) {
    let listener = Listener::start().await;
    let metadata = ClientMetadata {
        backchannel_logout_uri: Some(listener.url.clone()),
        backchannel_logout_session_required: true,
        ..pairwise(&[RP])
    };
    let mut scene = Scene::with(store, OUTBOUND, metadata).await;
    let rp = scene.rp.clone();
    let known = claims(tokens(&mut scene, &rp, RP).await.id());
    log_out(&mut scene).await;
    listener.has(1).await;
    let told = verified(&rp, &listener.logout_tokens().remove(0)).await;
    assert_eq!((&told["sub"], &told["sid"]), (&known["sub"], &known["sid"]));
    assert_ne!(told["sub"], scene.ada.to_string());
}

/// OpenID Connect Front-Channel Logout §3: the `sid` of the ID token, which
/// tells two sectors apart as the `sub` does.
async fn a_frame_names_the_session_as_the_client_knows_it(store: StoreKind) {
    let with_frame = |uri: &str, metadata: ClientMetadata| ClientMetadata {
        frontchannel_logout_uri: Some(uri.to_owned()),
        frontchannel_logout_session_required: true,
        ..metadata
    };
    let rp = with_frame("https://rp.example/out", pairwise(&[RP]));
    let mut scene = Scene::with(store, "", rp).await;
    let other = "https://other.example/cb";
    let other_rp = with_frame("https://other.example/out", pairwise(&[other]));
    let other_rp = scene.server.register("other", other_rp).await;
    let rp = scene.rp.clone();
    let sid = text(&claims(tokens(&mut scene, &rp, RP).await.id())["sid"]);
    let other_sid = text(&claims(tokens(&mut scene, &other_rp, other).await.id())["sid"]);
    assert_ne!(sid, other_sid);
    settle(&scene, 2).await;
    let page = log_out(&mut scene).await;
    for (host, sid) in [("rp.example", &sid), ("other.example", &other_sid)] {
        let frame = page.split("<iframe").find(|frame| frame.contains(host)).expect("a frame");
        assert!(frame.contains(&format!("sid={sid}")), "{frame}");
    }
}

/// OpenID Connect Core §3.1.2.1, `id_token_hint`
async fn a_hint_is_read_as_the_client_knows_the_person(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let other = scene.server.register("other", pairwise(&["https://other.example/cb"])).await;
    let rp = scene.rp.clone();
    let own = tokens(&mut scene, &rp, RP).await;
    let others = tokens(&mut scene, &other, "https://other.example/cb").await;
    let silently = |hint: &str| {
        let wishes = [("prompt", "none"), ("id_token_hint", hint)];
        rp.authorize_url(&good_request_but(&wishes))
    };
    scene.browser.open(&silently(own.id())).await.returned().code();
    let refused = scene.browser.open(&silently(others.id())).await.returned();
    assert_eq!(refused.error(), "login_required", "the ID token of another client");
    // Of the same client, another person's.
    scene.server.account("bob").await;
    let mut browser = crate::support::Browser::new(&scene.server);
    let code = browser.go_through(&rp.authorize_url(&good_request_but(&[])), "bob").await;
    let bob = Tokens::of(&rp.redeem(code.code()).await.ok());
    let refused = scene.browser.open(&silently(bob.id())).await.returned();
    assert_eq!(refused.error(), "login_required");
    browser.open(&silently(bob.id())).await.returned().code();
}

/// OpenID Connect RP-Initiated Logout §2
async fn an_id_token_of_the_session_ends_it(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let rp = scene.rp.clone();
    let tokens = tokens(&mut scene, &rp, RP).await;
    let hint = [("id_token_hint", tokens.id())];
    let url = format!("{}/end_session?{}", scene.server.issuer, form(&hint));
    scene.browser.open(&url).await.shows("logged-out-page");
    let silent = rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    assert_eq!(scene.browser.open(&silent).await.returned().error(), "login_required");
}

/// What a client knows a person by is nobody else's business.
async fn the_log_knows_only_the_pseudonym(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let rp = scene.rp.clone();
    let known = claims(tokens(&mut scene, &rp, RP).await.id());
    let (public, sub, sid) = (scene.ada.to_string(), text(&known["sub"]), text(&known["sid"]));
    let log = scene.server.log().await;
    let has = |text: &str| {
        log.iter().any(|s| s.event.payload.contains(text) || s.event.metadata.contains(text))
    };
    assert!(has(&public));
    assert!(!has(&sub) && !has(&sid));
}

async fn a_sub_outlives_a_restart(store: StoreKind) {
    let mut scene = scene(store, "").await;
    let rp = scene.rp.clone();
    let first = tokens(&mut scene, &rp, RP).await;
    let before = rp.userinfo(&first.access).await.ok();
    let Scene { server, .. } = scene;
    let server = server.restart().await;
    let rp = rp.at(&server);
    assert_eq!(rp.userinfo(&first.access).await.ok(), before);
    let refreshed = Tokens::of(&rp.refresh(first.refresh()).await.ok());
    assert_eq!(claims(refreshed.id())["sub"], before["sub"]);
    if store == StoreKind::Postgres {
        let node = server.second_node().await;
        assert_eq!(rp.at(&node).userinfo(&refreshed.access).await.ok(), before);
    }
}

/// OpenID Connect Core §8.1, Registration §5
async fn several_hosts_need_a_sector_identifier(store: StoreKind) {
    let settings = format!("{OPEN}per_minute = 1000\n{OUTBOUND}");
    let server = TestServer::with_settings(store, &settings).await;
    let uris = json!([RP, "https://b.example/cb"]);
    let sector = KeysServer::start(&uris).await;
    let asked = json!({ "subject_type": "pairwise", "redirect_uris": uris });
    let refused = server.ask_to_register(None, &good_metadata_but(&asked)).await;
    refused.refused(400, "invalid_client_metadata");
    for (name, value) in
        [("sector_identifier_uri", json!(sector.uri)), ("redirect_uris", json!([RP]))]
    {
        let mut good = asked.clone();
        good[name] = value;
        let answer = server.ask_to_register(None, &good_metadata_but(&good)).await;
        assert_eq!(answer.succeeded(201)["subject_type"], "pairwise");
    }
}

/// OpenID Connect Registration §5, for those that an operator registers.
async fn an_operator_s_sector_must_list_the_redirect_uris(store: StoreKind) {
    let server = TestServer::with_settings(store, OUTBOUND).await;
    let sector = KeysServer::start(&json!(["https://b.example/cb"])).await;
    let uri = sector.uri.clone();
    let add = |id: &str| {
        let metadata =
            ClientMetadata { sector_identifier_uri: Some(uri.clone()), ..pairwise(&[RP]) };
        let client_id = Some(id.parse().unwrap());
        let new = NewClient { client_id, secret: None, metadata: metadata.into() };
        let operation = Operation::AddClient(new);
        server.act(|services| async move { perform(&services, operation, "root").await.is_ok() })
    };
    assert!(!add("a").await);
    sector.say(200, &json!([RP]));
    assert!(add("b").await);
}

/// OpenID Connect Discovery §3
async fn the_metadata_say_so(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["subject_types_supported"], json!(["public", "pairwise"]));
}
