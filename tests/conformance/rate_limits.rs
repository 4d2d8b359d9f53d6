//! How often clients may call (`[rate_limits]`; 429 and `Retry-After`: RFC 6585 §4, RFC 9110
//! §10.2.3).

use crate::support::{
    Answer, Browser, Scene, StoreKind, TestServer, confidential, good_request, public, service,
};

both_stores! {
    a_client_that_calls_too_often_is_told_when_to_come_again,
    other_clients_and_endpoints_have_limits_of_their_own,
    what_is_refused_changes_nothing_and_spoils_nothing,
    strangers_use_up_nothing_of_a_client,
    public_clients_are_limited_by_network,
    a_person_is_shown_a_page_where_a_client_sends_too_many,
    the_client_of_a_token_is_limited_at_userinfo,
}

/// A limit of two a minute.
fn two(endpoints: &str) -> String {
    format!("[rate_limits.two]\nendpoints = {endpoints}\nper_minute = 2\n")
}

#[track_caller]
fn too_many(answer: &Answer) {
    answer.refused(429, "temporarily_unavailable");
    answer.is_not_kept();
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

async fn a_client_that_calls_too_often_is_told_when_to_come_again(store: StoreKind) {
    let server = TestServer::with_settings(store, &two("[\"token\"]")).await;
    let rp = server.register("svc", service()).await;
    for _ in 0..2 {
        rp.client_credentials(&[]).await.ok();
    }
    let answer = rp.client_credentials(&[]).await;
    too_many(&answer);
    assert_eq!(answer.header("retry-after"), Some("30"));
    server.advance(29);
    too_many(&rp.client_credentials(&[]).await);
    server.advance(1);
    rp.client_credentials(&[]).await.ok();
    too_many(&rp.client_credentials(&[]).await);
}

async fn other_clients_and_endpoints_have_limits_of_their_own(store: StoreKind) {
    let settings = "
        [rate_limits.all]
        endpoints = [\"token\", \"introspection\"]
        per_minute = 3
        except = [\"exempt\"]
        [rate_limits.slow]
        endpoints = [\"revocation\"]
        per_minute = 1
        clients = [\"slow\"]
    ";
    let server = TestServer::with_settings(store, settings).await;
    for (client, limited) in [("svc", true), ("other", true), ("slow", true), ("exempt", false)] {
        let rp = server.register(client, service()).await;
        let token = rp.client_credentials(&[]).await.ok();
        let token = token["access_token"].as_str().unwrap();
        assert!(rp.is_alive(token).await);
        assert!(rp.is_alive(token).await);
        let (asked, answer) = (rp.introspect(token).await, rp.client_credentials(&[]).await);
        if limited {
            too_many(&asked);
            too_many(&answer);
        } else {
            asked.ok();
            answer.ok();
        }
        assert_eq!(rp.revoke(token).await.status, 200);
        let again = rp.revoke(token).await;
        if client == "slow" { too_many(&again) } else { assert_eq!(again.status, 200) }
    }
}

/// A code and a `request_uri` can still be used, and no event tells of what was refused.
async fn what_is_refused_changes_nothing_and_spoils_nothing(store: StoreKind) {
    let settings = two("[\"token\", \"par\"]");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    let url = scene.rp.authorize_url(&good_request());
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    for _ in 0..2 {
        scene.rp.push(&good_request()).await.succeeded(201);
    }
    let before = scene.server.log().await;
    too_many(&scene.rp.redeem(&code).await);
    too_many(&scene.rp.push(&good_request()).await);
    assert_eq!(scene.server.log().await, before);
    scene.server.advance(30);
    scene.rp.redeem(&code).await.ok();
}

async fn strangers_use_up_nothing_of_a_client(store: StoreKind) {
    let server = TestServer::with_settings(store, &two("[\"token\"]")).await;
    let rp = server.register("svc", service()).await;
    let stranger = rp.clone().with_secret("wrong");
    for _ in 0..5 {
        stranger.client_credentials(&[]).await.refused(401, "invalid_client");
    }
    rp.client_credentials(&[]).await.ok();
}

/// Anybody can call in their name: only those of the same network are held up.
async fn public_clients_are_limited_by_network(store: StoreKind) {
    let settings = format!("trusted_proxies = [\"127.0.0.1\"]\n{}", two("[\"par\"]"));
    let server = TestServer::with_settings(store, &settings).await;
    let app = server.register("app", public()).await;
    let push_from = async |address: &str| {
        let form = [good_request(), vec![("client_id", "app")]].concat();
        let request = app.form("/par", &form).header("x-forwarded-for", address);
        Answer::of(request.send().await.unwrap()).await
    };
    for _ in 0..2 {
        push_from("192.0.2.1").await.succeeded(201);
    }
    too_many(&push_from("192.0.2.1").await);
    push_from("192.0.2.2").await.succeeded(201);
    for host in ["2001:db8::1", "2001:db8::2"] {
        push_from(host).await.succeeded(201);
    }
    too_many(&push_from("2001:db8::3").await);
    push_from("2001:db8:0:1::1").await.succeeded(201);
}

async fn a_person_is_shown_a_page_where_a_client_sends_too_many(store: StoreKind) {
    let scene = Scene::with(store, &two("[\"authorization\"]"), confidential()).await;
    let url = scene.rp.authorize_url(&good_request());
    for _ in 0..2 {
        Browser::new(&scene.server).open(&url).await.shows("login-form");
    }
    let page = Browser::new(&scene.server).open(&url).await.error_page("temporarily_unavailable");
    assert_eq!(page.status, 429);
    assert_eq!(page.header("retry-after"), Some("30"));
}

async fn the_client_of_a_token_is_limited_at_userinfo(store: StoreKind) {
    let mut scene = Scene::with(store, &two("[\"userinfo\"]"), confidential()).await;
    let tokens = scene.tokens(&[]).await;
    for _ in 0..2 {
        scene.rp.userinfo(&tokens.access).await.ok();
    }
    let request = scene.rp.request(reqwest::Method::GET, "/userinfo").bearer_auth(&tokens.access);
    let request = request.header("origin", "https://rp.example");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("30"));
    // Fetch §3.2: the client's own scripts are told when to come again.
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://rp.example"));
    assert_eq!(scene.rp.userinfo("nonsense").await.status, 401, "no token is no client");
}
