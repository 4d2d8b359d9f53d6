//! Proof Key for Code Exchange (RFC 7636).

use chancery_domain::client::{ClientMetadata, SecurityProfile};
use serde_json::json;

use crate::support::{
    REDIRECT_URI, Scene, StoreKind, VERIFIER, confidential, good_request_but, public,
};

both_stores! {
    a_code_needs_its_verifier,
    a_verifier_without_a_challenge_is_refused,
    a_public_client_needs_a_challenge,
    everybody_needs_a_challenge_where_the_server_says_so,
    plain_is_refused,
    plain_is_taken_where_the_server_says_so,
    a_client_needs_a_challenge_where_its_registration_says_so,
    fapi_clients_need_s256_whatever_the_settings_say,
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

/// What allows everything that can be allowed.
const LAX: &str = "[authorization]\nrequire_pkce = \"none\"\npkce_plain = true";

/// RFC 7636 §4.3, §4.6
async fn plain_is_taken_where_the_server_says_so(store: StoreKind) {
    let mut scene = Scene::with(store, LAX, public()).await;
    let metadata = scene.rp.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256", "plain"]));
    for method in ["plain", ""] {
        let plain = [("code_challenge", VERIFIER), ("code_challenge_method", method)];
        let code = scene.code(&plain).await;
        let other = "a".repeat(43);
        scene.rp.redeem_but(&code, &[("code_verifier", &other)]).await.invalid_grant();
        scene.rp.redeem(&code).await.ok();
    }
    // The challenge is the verifier: it stands nowhere in the log.
    let log = scene.server.log().await;
    assert!(log.iter().all(|stored| !stored.event.payload.contains(VERIFIER)));
    scene.tokens(&[]).await;
    let short = [("code_challenge", "short"), ("code_challenge_method", "plain")];
    scene.rp.push(&good_request_but(&short)).await.refused(400, "invalid_request");
}

async fn a_client_needs_a_challenge_where_its_registration_says_so(store: StoreKind) {
    let strict = ClientMetadata { require_pkce: true, ..confidential() };
    let mut scene = Scene::with(store, LAX, strict).await;
    let other = scene.server.register("other", confidential()).await;
    let without = good_request_but(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let url = scene.rp.authorize_url(&without);
    assert_eq!(scene.browser.open(&url).await.returned().error(), "invalid_request");
    scene.rp.push(&without).await.refused(400, "invalid_request");
    other.push(&without).await.succeeded(201);
    scene.tokens(&[]).await;
}

/// FAPI 2.0 Security Profile §5.3.2.2
async fn fapi_clients_need_s256_whatever_the_settings_say(store: StoreKind) {
    let fapi = ClientMetadata { security_profile: SecurityProfile::Fapi2, ..confidential() };
    let mut scene = Scene::with(store, LAX, fapi).await;
    for changes in [
        [("code_challenge", ""), ("code_challenge_method", "")],
        [("code_challenge", VERIFIER), ("code_challenge_method", "plain")],
        [("code_challenge", VERIFIER), ("code_challenge_method", "")],
    ] {
        scene.rp.push(&good_request_but(&changes)).await.refused(400, "invalid_request");
    }
    scene.tokens(&[]).await;
}
