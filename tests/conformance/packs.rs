//! Grants whose events were packed are used, refused, revoked and shown as
//! before.

use chancery::admin::{Operation, Outcome, perform};
use chancery::stores::{Packing, Ripe, StreamId};
use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::AggregateKind;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::time::Lifetime;
use futures_util::future::join_all;

use crate::support::{Scene, StoreKind, TestServer, Tokens, confidential, service, until};

both_stores! {
    tokens_of_a_packed_grant_are_good,
    a_packed_grant_is_refreshed,
    a_replayed_code_revokes_a_packed_grant,
    a_packed_grant_is_revoked_for_good,
    a_packed_grant_s_history_is_shown_whole,
    an_operator_packs_what_is_old_and_nothing_else,
}

fn lasting() -> ClientMetadata {
    let grant_types =
        vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    ClientMetadata { grant_types, ..confidential() }
}

/// So much happens that what was before is more than a pack; and all of it is sealed. Gives the
/// position of the last event.
async fn go_on(server: &TestServer, client: &str) -> u64 {
    let client = server.register(client, service()).await;
    for _ in 0..22 {
        join_all((0..50).map(|_| async { client.client_credentials(&[]).await.ok() })).await;
    }
    let end = server.log().await.last().unwrap().position;
    until("the log is sealed", || {
        server.act(move |services| async move {
            let sealed = services.store.log_checkpoint().await.unwrap();
            sealed.is_some_and(|sealed| sealed.position >= end)
        })
    })
    .await;
    end
}

/// What the only grant of a person is called.
async fn grant(server: &TestServer) -> StreamId {
    let grants = server.grants().await;
    let mut mine = grants.iter().filter(|(_, events)| events.iter().any(|is| is == "CodeIssued"));
    let (id, _) = mine.next().unwrap();
    assert!(mine.next().is_none());
    StreamId { kind: AggregateKind::Grant, id: id.as_str().into() }
}

/// The scene, with that grant's events in packs alone, and no memory of it.
async fn packed(scene: Scene, others: &str) -> Scene {
    let position = go_on(&scene.server, others).await;
    let grant = grant(&scene.server).await;
    let is_packed = scene.server.act(move |services| async move {
        let ripe = Ripe { recorded_before_ms: i64::MAX, position };
        while let Packing::Done(_) = services.store.pack(ripe).await.unwrap() {}
        let history = services.store.history(&grant).await.unwrap();
        history.last().unwrap().position <= services.store.packed_through().await.unwrap()
    });
    assert!(is_packed.await);
    Scene { server: scene.server.restart().await, ..scene }
}

/// RFC 7662 §2.2
async fn tokens_of_a_packed_grant_are_good(store: StoreKind) {
    let mut scene = Scene::with(store, "", lasting()).await;
    let tokens = scene.lasting_tokens().await;
    let scene = packed(scene, "others").await;
    assert!(scene.rp.is_alive(&tokens.access).await);
    assert!(scene.rp.is_alive(tokens.refresh()).await);
    scene.rp.userinfo(&tokens.access).await.ok();
}

/// RFC 6749 §6
async fn a_packed_grant_is_refreshed(store: StoreKind) {
    let mut scene = Scene::with(store, "", lasting()).await;
    let first = scene.lasting_tokens().await;
    let scene = packed(scene, "others").await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let third = Tokens::of(&scene.rp.refresh(second.refresh()).await.ok());
    for tokens in [&first, &second, &third] {
        assert!(scene.rp.is_alive(&tokens.access).await);
    }
    // What was before it counts: the family ends with the reuse of its first token.
    scene.rp.refresh(first.refresh()).await.invalid_grant();
    assert!(!scene.rp.is_alive(&third.access).await);
}

/// RFC 6749 §4.1.2
async fn a_replayed_code_revokes_a_packed_grant(store: StoreKind) {
    let mut scene = Scene::with(store, "", lasting()).await;
    let code = scene.code(&[]).await;
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    let scene = packed(scene, "others").await;
    scene.rp.redeem(&code).await.invalid_grant();
    assert!(!scene.rp.is_alive(&tokens.access).await);
    let events = &scene.server.grants().await[&*grant(&scene.server).await.id];
    assert_eq!(events[events.len() - 2..], ["CodeReplayed", "GrantRevoked"]);
}

/// RFC 7009 §2.1
async fn a_packed_grant_is_revoked_for_good(store: StoreKind) {
    let mut scene = Scene::with(store, "", lasting()).await;
    let tokens = scene.lasting_tokens().await;
    let scene = packed(scene, "others").await;
    assert_eq!(scene.rp.revoke(tokens.refresh()).await.status, 200);
    assert!(!scene.rp.is_alive(&tokens.access).await);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    // And stays so when that is packed as well.
    let scene = packed(scene, "more").await;
    assert!(!scene.rp.is_alive(&tokens.access).await);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
}

async fn a_packed_grant_s_history_is_shown_whole(store: StoreKind) {
    let mut scene = Scene::with(store, "", lasting()).await;
    scene.lasting_tokens().await;
    let stream = grant(&scene.server).await;
    let before = scene.server.grants().await[&*stream.id].clone();
    let scene = packed(scene, "others").await;
    assert_eq!(scene.server.grants().await[&*stream.id], before);
    let history = scene
        .server
        .act(move |services| async move { services.store.history(&stream).await.unwrap() });
    let shown: Vec<_> =
        history.await.iter().map(|stored| stored.event.event_type.to_string()).collect();
    assert_eq!(shown, before);
}

async fn an_operator_packs_what_is_old_and_nothing_else(store: StoreKind) {
    let server = TestServer::start(store).await;
    go_on(&server, "svc").await;
    let pack = |older_than| {
        server.act(move |services| async move {
            let older_than = Lifetime::from_seconds(older_than);
            match perform(&services, Operation::Pack { older_than }, "ada").await.unwrap() {
                Outcome::Packed(packed) => packed,
                other => panic!("{other:?}"),
            }
        })
    };
    let nothing = pack(3_153_600_000).await;
    assert!(nothing.done && nothing.packs == 0, "nothing is a hundred years old: {nothing:?}");
    let packed = pack(0).await;
    assert_eq!(packed.packs, 1);
    assert!(packed.events > 1000 && packed.histories > 1000, "{packed:?}");
    assert!(packed.bytes < packed.events * 200, "{packed:?}");
    assert_eq!(pack(0).await.packs, 0, "the rest is less than a pack");
}
