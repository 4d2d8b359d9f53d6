//! OpenID Connect Front-Channel Logout 1.0.

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::redirect_uri::RedirectUri;

use crate::support::{
    RelyingParty, Scene, StoreKind, Tokens, claims, confidential, form, good_request_but, until,
};

both_stores! {
    a_logout_loads_the_pages_of_the_clients,
    only_the_clients_of_the_session_are_loaded,
    the_browser_goes_on_to_the_client,
    the_metadata_says_so,
}

const BYE: &str = "https://rp.example/bye";

fn framed(uri: &str, session_required: bool) -> ClientMetadata {
    ClientMetadata {
        frontchannel_logout_uri: Some(uri.to_owned()),
        frontchannel_logout_session_required: session_required,
        post_logout_redirect_uris: vec![RedirectUri::parse(BYE).unwrap()],
        ..confidential()
    }
}

async fn tokens_of(scene: &mut Scene, rp: &RelyingParty) -> Tokens {
    let url = rp.authorize_url(&good_request_but(&[]));
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    Tokens::of(&rp.redeem(&code).await.ok())
}

/// The read model that says who took part knows as much.
pub async fn settle(scene: &Scene, grants: u32) {
    until("the grants are looked up", || async {
        scene
            .server
            .act(move |services| async move {
                let lookups = chancery::lookups::Lookups::new(services.store.clone());
                let part = chancery::lookups::Part::first(grants + 1);
                let filter = chancery::lookups::GrantFilter {
                    state: Some("active".to_owned()),
                    ..Default::default()
                };
                lookups.grants(&filter, part).await.unwrap().rows.len() == grants as usize
            })
            .await
    })
    .await;
}

/// §2, §3: with `iss` and `sid` where the client wants them; the page may load them, and nothing
/// else.
async fn a_logout_loads_the_pages_of_the_clients(store: StoreKind) {
    let uri = "https://rp.example/front?tenant=1";
    let mut scene = Scene::with(store, "", framed(uri, true)).await;
    let other = framed("https://other.example:8443/front", false);
    let other = scene.server.register("other", other).await;
    let tokens = scene.tokens(&[]).await;
    tokens_of(&mut scene, &other).await;
    settle(&scene, 2).await;
    let url = format!("{}/end_session?id_token_hint={}", scene.server.issuer, tokens.id());
    let page = scene.browser.open(&url).await.shows("logged-out-page");
    let sid = claims(tokens.id())["sid"].as_str().unwrap().to_owned();
    let session = form(&[("iss", &scene.server.issuer), ("sid", &sid)]);
    let frames: Vec<String> = page
        .html
        .split("<iframe ")
        .skip(1)
        .map(|rest| rest.split_once("src=\"").unwrap().1.split_once('"').unwrap().0.to_owned())
        .map(|src| src.replace("&#38;", "&").replace("&amp;", "&"))
        .collect();
    assert_eq!(frames, ["https://other.example:8443/front".to_owned(), format!("{uri}&{session}")]);
    let policy = page.header("content-security-policy").unwrap();
    let source = "frame-src https://other.example:8443 https://rp.example;";
    assert!(policy.contains(source), "{policy}");
    assert!(!policy.contains("script-src"), "{policy}");
}

async fn only_the_clients_of_the_session_are_loaded(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    scene.server.register("other", framed("https://other.example/front", false)).await;
    let tokens = scene.tokens(&[]).await;
    settle(&scene, 1).await;
    let url = format!("{}/end_session?id_token_hint={}", scene.server.issuer, tokens.id());
    let page = scene.browser.open(&url).await.shows("logged-out-page");
    assert!(!page.html.contains("<iframe"), "{page:?}");
    assert!(!page.header("content-security-policy").unwrap().contains("frame-src"));
}

/// §3.1 of RP-Initiated Logout: after the clients have been told.
async fn the_browser_goes_on_to_the_client(store: StoreKind) {
    let mut scene = Scene::with(store, "", framed("https://rp.example/front", false)).await;
    let tokens = scene.tokens(&[]).await;
    settle(&scene, 1).await;
    let wish = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let url = format!("{}/end_session?{}", scene.server.issuer, form(&wish));
    let page = scene.browser.open(&url).await.shows("logged-out-continue");
    let onward = format!("{BYE}?state=s");
    assert!(page.html.contains(&format!("content=\"2; url={onward}\"")), "{page:?}");
    assert!(page.html.contains(&format!("href=\"{onward}\"")), "{page:?}");
    assert!(page.html.contains("src=\"https://rp.example/front\""), "{page:?}");
}

/// §3
async fn the_metadata_says_so(store: StoreKind) {
    let scene = Scene::new(store).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["frontchannel_logout_supported"], true);
    assert_eq!(metadata["frontchannel_logout_session_supported"], true);
}
