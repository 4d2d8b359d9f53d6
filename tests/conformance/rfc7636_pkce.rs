//! Proof Key for Code Exchange (RFC 7636).

use crate::support::{
    REDIRECT_URI, Scene, StoreKind, VERIFIER, confidential, good_request_but, public,
};

both_stores! {
    a_code_needs_its_verifier,
    a_verifier_without_a_challenge_is_refused,
    a_public_client_needs_a_challenge,
    everybody_needs_a_challenge_where_the_server_says_so,
    plain_is_refused,
}

/// RFC 7636 §4.6
async fn a_code_needs_its_verifier(store: StoreKind) {
    for metadata in [public(), confidential()] {
        let mut scene = Scene::with(store, "", metadata).await;
        let code = scene.code(&[]).await;
        let other = "a".repeat(43);
        for wrong in ["", &other] {
            let answer = scene.rp.redeem_but(&code, &[("code_verifier", wrong)]).await;
            answer.invalid_grant();
        }
        // RFC 7636 §4.1: 43 to 128 characters.
        for malformed in ["short", &"a".repeat(129), "ä"] {
            let answer = scene.rp.redeem_but(&code, &[("code_verifier", malformed)]).await;
            answer.refused(400, "invalid_request");
        }
        scene.rp.redeem(&code).await.ok();
        let noted = scene.server.only_grant().await;
        assert_eq!(noted.iter().filter(|event| *event == "RefusalNoted").count(), 1, "{noted:?}");
    }
}

/// RFC 9700 §4.8.2: no downgrade.
async fn a_verifier_without_a_challenge_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = scene.code(&without).await;
    scene.rp.redeem_but(&code, &[("code_verifier", VERIFIER)]).await.invalid_grant();
    scene.rp.redeem_but(&code, &[("code_verifier", "")]).await.ok();
}

/// RFC 9700 §2.1.1
async fn a_public_client_needs_a_challenge(store: StoreKind) {
    let mut scene = Scene::with(store, "", public()).await;
    let without = good_request_but(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let url = scene.rp.authorize_url(&without);
    let returned = scene.browser.open(&url).await.returned();
    assert_eq!((returned.error(), &*returned.to), ("invalid_request", REDIRECT_URI));
    scene.rp.push(&without).await.refused(400, "invalid_request");
}

/// RFC 9700 §2.1.1
async fn everybody_needs_a_challenge_where_the_server_says_so(store: StoreKind) {
    let settings = "[authorization]\nrequire_pkce = \"all\"";
    let mut scene = Scene::with(store, settings, confidential()).await;
    let without = good_request_but(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let url = scene.rp.authorize_url(&without);
    assert_eq!(scene.browser.open(&url).await.returned().error(), "invalid_request");
    scene.rp.push(&without).await.refused(400, "invalid_request");
    scene.tokens(&[]).await;
}

/// RFC 7636 §4.4.1, RFC 9700 §2.1.1
async fn plain_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    for method in ["plain", "s256", "S512", ""] {
        let request = good_request_but(&[("code_challenge_method", method)]);
        let url = scene.rp.authorize_url(&request);
        assert_eq!(scene.browser.open(&url).await.returned().error(), "invalid_request");
        scene.rp.push(&request).await.refused(400, "invalid_request");
    }
}
