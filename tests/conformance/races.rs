//! Many at once with one credential, on one node and on two (RFC 6749 §10.5,
//! RFC 9700 §4.14.2).

use std::collections::BTreeSet;
use std::future::Future;

use futures_util::future::join_all;

use crate::support::{
    ALL_RESPONSE_TYPES, Answer, RelyingParty, Scene, StoreKind, TestServer, Tokens, claims,
    front_channel, good_request, good_request_but, until,
};
use chancery_domain::account::AccountCommand;

both_stores! {
    one_code_redeemed_by_many_at_once_yields_one_success_and_a_revoked_grant,
    one_refresh_token_used_by_many_at_once_yields_one_successor,
    one_consent_given_twice_at_once_yields_one_code,
}

/// How many come at once.
const MANY: usize = 64;

/// All at once; to each of the nodes in turn.
async fn rush<F: Future<Output = Answer>>(
    rp: &RelyingParty,
    nodes: &[&TestServer],
    attempt: impl Fn(RelyingParty) -> F,
) -> Vec<Answer> {
    let parties = (0..MANY).map(|i| rp.at(nodes[i % nodes.len()]));
    join_all(parties.map(attempt)).await
}

async fn redeem_at_once(mut scene: Scene, other: Option<TestServer>) {
    let code = scene.code(&[("scope", "openid offline_access")]).await;
    let nodes: Vec<&TestServer> =
        [Some(&scene.server), other.as_ref()].into_iter().flatten().collect();
    let code = &code;
    let answers = rush(&scene.rp, &nodes, |rp| async move { rp.redeem(code).await }).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(good.len(), 1, "{:?}", bad.first());
    for answer in bad {
        answer.invalid_grant();
    }
    let tokens = Tokens::of(&good[0].ok());
    for node in nodes {
        let rp = scene.rp.at(node);
        rp.refresh(tokens.refresh()).await.invalid_grant();
        until("the token's end", || async { !rp.is_alive(&tokens.access).await }).await;
    }
    let events = scene.server.only_grant().await;
    for once in ["CodeRedeemed", "CodeReplayed", "GrantRevoked"] {
        assert_eq!(events.iter().filter(|event| *event == once).count(), 1, "{events:?}");
    }
}

async fn one_code_redeemed_by_many_at_once_yields_one_success_and_a_revoked_grant(
    store: StoreKind,
) {
    redeem_at_once(Scene::new(store).await, None).await;
}

async fn refresh_at_once(mut scene: Scene, other: Option<TestServer>) {
    let first = scene.lasting_tokens().await;
    let nodes: Vec<&TestServer> =
        [Some(&scene.server), other.as_ref()].into_iter().flatten().collect();
    let token = first.refresh();
    let answers = rush(&scene.rp, &nodes, |rp| async move { rp.refresh(token).await }).await;
    let all: Vec<_> = answers.iter().map(|answer| Tokens::of(&answer.ok())).collect();
    let successors: BTreeSet<_> = all.iter().map(Tokens::refresh).collect();
    assert_eq!(successors.len(), 1, "all get the same");
    let access: BTreeSet<_> =
        all.iter().map(|tokens| claims(&tokens.access)["jti"].to_string()).collect();
    assert_eq!(access.len(), 1);
    let events = scene.server.only_grant().await;
    let rotations = events.iter().filter(|event| *event == "RefreshTokenRotated").count();
    assert_eq!(rotations, 1, "{events:?}");
    for node in nodes {
        assert!(scene.rp.at(node).is_alive(&all[0].access).await);
    }
    // And it works, on whichever node.
    let last = nodes_last(&scene, other.as_ref());
    last.refresh(all[0].refresh()).await.ok();
}

fn nodes_last(scene: &Scene, other: Option<&TestServer>) -> RelyingParty {
    other.map_or_else(|| scene.rp.clone(), |other| scene.rp.at(other))
}

async fn one_refresh_token_used_by_many_at_once_yields_one_successor(store: StoreKind) {
    refresh_at_once(Scene::new(store).await, None).await;
}

/// A person who clicks twice.
async fn one_consent_given_twice_at_once_yields_one_code(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let url = scene.rp.pushed_url(&good_request()).await;
    let page = scene.browser.open(&url).await.shows("login-form");
    let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
    let clicks = (0..8).map(|_| {
        let (mut browser, page) = (scene.browser.clone(), &page);
        async move { browser.answer(page, "allow").await }
    });
    let places = join_all(clicks).await;
    let codes: Vec<_> = places
        .iter()
        .filter_map(|place| match place {
            crate::support::Place::Returned(returned) => Some(returned.code().to_owned()),
            crate::support::Place::Page(_) => None,
        })
        .collect();
    assert_eq!(codes.len(), 1, "{places:?}");
    scene.rp.redeem(&codes[0]).await.ok();
}

/// Two nodes on one PostgreSQL work as one.
mod on_two_nodes {
    use super::*;

    async fn two() -> (Scene, TestServer) {
        let scene = Scene::new(StoreKind::Postgres).await;
        let other = scene.server.second_node().await;
        (scene, other)
    }

    #[test]
    fn one_code_redeemed_by_many_at_once_yields_one_success_and_a_revoked_grant() {
        crate::support::run(async {
            let (scene, other) = two().await;
            redeem_at_once(scene, Some(other)).await;
        });
    }

    #[test]
    fn one_refresh_token_used_by_many_at_once_yields_one_successor() {
        crate::support::run(async {
            let (scene, other) = two().await;
            refresh_at_once(scene, Some(other)).await;
        });
    }

    /// Every step of a flow on the node that did not take the one before.
    #[test]
    fn any_step_can_be_taken_on_either_node() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let here = scene.rp.clone();
            let mut browser_there = scene.browser.at(&other);

            let url =
                there.pushed_url(&good_request_but(&[("scope", "openid offline_access")])).await;
            let page = scene.browser.open(&url).await.shows("login-form");
            browser_there.cookies.clone_from(&scene.browser.cookies);
            let page = browser_there.log_in(&page, "ada").await.shows("consent-form");
            scene.browser.cookies.clone_from(&browser_there.cookies);
            let code = scene.browser.answer(&page, "allow").await.returned().code().to_owned();
            let tokens = Tokens::of(&there.redeem(&code).await.ok());
            here.userinfo(&tokens.access).await.ok();
            assert!(here.is_alive(&tokens.access).await);
            let next = Tokens::of(&here.refresh(tokens.refresh()).await.ok());
            let last = Tokens::of(&there.refresh(next.refresh()).await.ok());
            here.redeem(&code).await.invalid_grant();
            until("the end there", || async { !there.is_alive(&last.access).await }).await;
            there.refresh(last.refresh()).await.invalid_grant();
        });
    }

    /// What one node changes, the other knows within a second.
    #[test]
    fn a_locked_account_is_known_on_the_other_node() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let tokens = scene.lasting_tokens().await;
            there.userinfo(&tokens.access).await.ok();
            there.refresh(tokens.refresh()).await.ok();
            let lock = AccountCommand::Lock { reason: "left".to_owned() };
            scene.server.command_account(scene.ada, lock).await;
            until("the refusal there", || async {
                there.userinfo(&tokens.access).await.status == 401
            })
            .await;
        });
    }

    /// RFC 7662 §2.2: what another node has just issued, and the feed has not brought yet, is looked
    /// up before it is denied; also where an access token is known by the refresh token's number.
    #[test]
    fn a_refresh_token_is_known_at_once_on_the_other_node() {
        crate::support::run(async {
            let (kind, client) = (StoreKind::Postgres, front_channel());
            let mut scene = Scene::with(kind, ALL_RESPONSE_TYPES, client).await;
            let other = scene.server.second_node().await;
            let (here, there) = (scene.rp.clone(), scene.rp.at(&other));
            let more = [("response_type", "code token"), ("scope", "openid offline_access")];
            let url = here.authorize_url(&good_request_but(&more));
            let returned = scene.browser.go_through(&url, "ada").await;
            let first = Tokens::of(&here.redeem(returned.code()).await.ok());
            assert!(there.is_alive(first.refresh()).await);
            let held_up = scene.server.hold_up_feeds().await;
            let next = Tokens::of(&here.refresh(first.refresh()).await.ok());
            assert!(there.is_alive(next.refresh()).await);
            drop(held_up);
        });
    }

    /// RFC 7009 §2.1: although the feed stands still, nothing that is older than a second is told
    /// from memory.
    #[test]
    fn what_one_node_revokes_the_other_does_not_call_alive_when_the_feed_stands_still() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let tokens = scene.lasting_tokens().await;
            assert!(there.is_alive(&tokens.access).await);
            let mut thief = scene.browser.at(&other);
            let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
            thief.open(&silent).await.returned().code();
            let held_up = scene.server.hold_up_feeds().await;
            scene.rp.revoke(tokens.refresh()).await;
            let bye = format!("{}/end_session?id_token_hint={}", scene.server.issuer, tokens.id());
            scene.browser.open(&bye).await.shows("logged-out-page");
            tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
            assert!(!there.is_alive(&tokens.access).await);
            assert_eq!(thief.open(&silent).await.returned().error(), "login_required");
            drop(held_up);
        });
    }

    /// OpenID Connect Core §3.1.2.4: that there was no consent a moment ago is looked up again before
    /// the person is asked, or the client refused.
    #[test]
    fn a_consent_is_known_at_once_on_the_other_node() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let url = scene.rp.authorize_url(&good_request());
            let page = scene.browser.open(&url).await.shows("login-form");
            let page = scene.browser.log_in(&page, "ada").await.shows("consent-form");
            let mut there = scene.browser.at(&other);
            there.open(&url).await.shows("consent-form");
            let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
            assert_eq!(there.open(&silent).await.returned().error(), "consent_required");
            let held_up = scene.server.hold_up_feeds().await;
            scene.browser.answer(&page, "allow").await.returned().code();
            there.open(&silent).await.returned().code();
            drop(held_up);
        });
    }

    /// Another node's new key is looked up before what it signed is denied.
    #[test]
    fn what_a_new_key_signs_is_known_at_once_on_the_other_node() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let first = scene.lasting_tokens().await;
            let held_up = scene.server.hold_up_feeds().await;
            rotate(&scene).await;
            scene.server.advance(62);
            let tokens = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
            assert_ne!(kid(&tokens), kid(&first));
            // A node that has just looked does not look again for a tenth of a second.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            assert!(there.is_alive(&tokens.access).await);
            let bye = format!("{}/end_session?id_token_hint={}", scene.server.issuer, tokens.id());
            scene.browser.at(&other).open(&bye).await.shows("logged-out-page");
            drop(held_up);
        });
    }

    /// RFC 7517 §5, OpenID Connect Core §10.1.1: whoever gets a token by one node finds its key at
    /// another, or has had it from there as long as keys may be kept.
    #[test]
    fn a_new_key_is_published_everywhere_before_it_signs() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let first = scene.lasting_tokens().await;
            rotate(&scene).await;
            let tokens = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
            assert_eq!(kid(&tokens), kid(&first));
            // The other node hears of it within a second.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            scene.server.advance(1);
            let keys = there.get("/jwks").await.json()["keys"].as_array().unwrap().clone();
            scene.server.advance(61);
            let tokens = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
            assert_ne!(kid(&tokens), kid(&first));
            assert!(keys.iter().any(|key| key["kid"] == kid(&tokens)));
            crate::support::verified(&there, &tokens.access).await;
            crate::support::verified(&there, tokens.id()).await;
        });
    }

    fn kid(tokens: &Tokens) -> serde_json::Value {
        crate::support::header(&tokens.access)["kid"].clone()
    }

    /// What a withdrawn key signed is worth nothing, although the feed stands still.
    #[test]
    fn a_withdrawn_key_is_not_believed_on_the_other_node_when_the_feed_stands_still() {
        crate::support::run(async {
            let (mut scene, other) = two().await;
            let there = scene.rp.at(&other);
            let tokens = scene.lasting_tokens().await;
            assert!(there.is_alive(&tokens.access).await);
            let kid = crate::support::header(&tokens.access)["kid"].as_str().unwrap().to_owned();
            let held_up = scene.server.hold_up_feeds().await;
            rotate(&scene).await;
            scene
                .server
                .act(move |services| async move {
                    let kid = chancery_domain::ids::KeyId::parse(&kid).unwrap();
                    let origin = chancery::aggregates::Origin::system("test");
                    let rotation = services.rotation();
                    let withdrawn = chancery::keys::withdraw(&rotation, &kid, origin);
                    assert!(withdrawn.await.unwrap());
                })
                .await;
            tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
            assert!(!there.is_alive(&tokens.access).await);
            drop(held_up);
        });
    }

    async fn rotate(scene: &Scene) {
        use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
        scene
            .server
            .act(|services| async move {
                let origin = chancery::aggregates::Origin::system("test");
                let algorithm = SigningAlgorithm::ES256;
                chancery::keys::rotate(&services.rotation(), algorithm, origin).await.unwrap();
                services.keys.reload(services.now()).await.unwrap();
            })
            .await;
    }

    /// Nodes that start together on an empty database do not collide.
    #[test]
    fn nodes_can_start_together() {
        crate::support::run(async {
            let first = TestServer::start(StoreKind::Postgres).await;
            let (second, third) = tokio::join!(first.second_node(), first.second_node());
            let client = first.register("svc", crate::support::service()).await;
            let mut keys = Vec::new();
            for node in [&first, &second, &third] {
                client.at(node).client_credentials(&[]).await.ok();
                keys.push(client.at(node).get("/jwks").await.json());
            }
            assert_eq!(keys[0], keys[1]);
            assert_eq!(keys[0], keys[2]);
        });
    }
}
