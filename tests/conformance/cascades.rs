//! What ends because something else ends: accounts, clients, consents, sessions.

use chancery_domain::account::AccountCommand;
use chancery_domain::client::ClientCommand;
use serde_json::Value;

use crate::support::{
    RelyingParty, Scene, StoreKind, Tokens, confidential, good_request, good_request_but, service,
    until,
};

both_stores! {
    a_locked_account_ends_its_grants,
    a_locked_account_ends_its_sessions,
    a_code_of_a_locked_account_is_refused,
    a_disabled_client_ends_its_grants,
    a_withdrawn_consent_ends_its_grants,
    a_logout_ends_what_was_for_the_session,
}

fn lock() -> AccountCommand {
    AccountCommand::Lock { reason: "left".to_owned() }
}

/// A client that may ask about all tokens.
async fn resource_server(scene: &Scene) -> RelyingParty {
    let metadata =
        chancery_domain::client::ClientMetadata { introspect_any_token: true, ..service() };
    scene.server.register("api", metadata).await
}

/// Waits until the token is dead, and its grant says why.
async fn ends(scene: &Scene, asker: &RelyingParty, tokens: &Tokens, cause: &str) {
    until("the token's end", || async { !asker.is_alive(&tokens.access).await }).await;
    let log = scene.server.log().await;
    let ends: Vec<_> = log.iter().filter(|e| e.event.event_type == "GrantRevoked").collect();
    assert_eq!(ends.len(), 1);
    let payload: Value = serde_json::from_str(&ends[0].event.payload).unwrap();
    assert_eq!(payload["cause"], cause);
    let metadata: Value = serde_json::from_str(&ends[0].event.metadata).unwrap();
    assert!(metadata["causation_id"].is_string(), "it says what caused it: {metadata}");
}

async fn a_locked_account_ends_its_grants(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.command_account(scene.ada, lock()).await;
    // At once, whatever the cascade does.
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    scene.rp.userinfo(&tokens.access).await.refused(401, "invalid_token");
    ends(&scene, &scene.rp, &tokens, "account_locked").await;
    // Unlocking does not bring back what has ended.
    scene.server.command_account(scene.ada, AccountCommand::Unlock).await;
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    scene.tokens(&[]).await;
}

async fn a_locked_account_ends_its_sessions(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    scene.server.command_account(scene.ada, lock()).await;
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    let returned = scene.browser.open(&silent).await.returned();
    assert_eq!(returned.error(), "login_required");
    let url = scene.rp.authorize_url(&good_request());
    let page = scene.browser.open(&url).await.shows("login-form");
    let locked = scene.browser.log_in(&page, "ada").await.shows("login-form");
    let wrong = scene.browser.try_password(&page, "ada", "wrong").await.shows("login-form");
    assert_eq!(locked.text_of("login-error"), wrong.text_of("login-error"), "it tells no one");
    until("the session's end", || async {
        scene.server.log().await.iter().any(|e| e.event.event_type == "SessionEnded")
    })
    .await;
    scene.server.command_account(scene.ada, AccountCommand::Unlock).await;
    let returned = scene.browser.open(&silent).await.returned();
    assert_eq!(returned.error(), "login_required");
}

async fn a_code_of_a_locked_account_is_refused(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let code = scene.code(&[]).await;
    scene.server.command_account(scene.ada, lock()).await;
    scene.rp.redeem(&code).await.invalid_grant();
}

async fn a_disabled_client_ends_its_grants(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let api = resource_server(&scene).await;
    let tokens = scene.lasting_tokens().await;
    let other = scene.server.register("other", confidential()).await;
    let rp = std::mem::replace(&mut scene.rp, other);
    let others = scene.lasting_tokens().await;
    let url = rp.pushed_url(&good_request()).await;
    let disable = ClientCommand::Disable { reason: "broken in to".to_owned() };
    scene.server.command_client("rp", disable).await;

    rp.refresh(tokens.refresh()).await.refused(401, "invalid_client");
    scene.browser.open(&url).await.error_page("invalid_client");
    let plain = rp.authorize_url(&good_request());
    scene.browser.open(&plain).await.error_page("invalid_client");
    ends_beside(&scene, &api, &tokens).await;
    assert!(api.is_alive(&others.access).await, "another client's token lives on");

    scene.server.command_client("rp", ClientCommand::Enable).await;
    rp.refresh(tokens.refresh()).await.invalid_grant();
}

async fn ends_beside(scene: &Scene, api: &RelyingParty, tokens: &Tokens) {
    until("the token's end", || async { !api.is_alive(&tokens.access).await }).await;
    // The token was refused before the cascade came by.
    until("the grant's end", || async {
        let ended = scene.server.grants().await.into_values();
        let ended = ended.filter(|events| events.iter().any(|event| event == "CodeRedeemed"));
        let ended = ended.filter(|events| events.last().is_some_and(|last| last == "GrantRevoked"));
        ended.count() == 1
    })
    .await;
}

async fn a_withdrawn_consent_ends_its_grants(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.withdraw_consent(scene.ada, "rp").await;
    ends(&scene, &scene.rp, &tokens, "consent_withdrawn").await;
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    let url = scene.rp.authorize_url(&good_request());
    scene.browser.open(&url).await.shows("consent-form");
}

/// OpenID Connect Core §11: `offline_access` is access while the person is away.
async fn a_logout_ends_what_was_for_the_session(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let offline = scene.lasting_tokens().await;
    let online = scene.tokens(&[]).await;
    let logout = format!("{}/logout", scene.server.issuer);
    let page = scene.browser.open(&logout).await.shows("logout-form");
    let fields = [("action", "logout")];
    scene.browser.submit(&page, "logout-form", &fields).await.shows("logged-out-page");
    ends(&scene, &scene.rp, &online, "session_ended").await;
    assert!(scene.rp.is_alive(&offline.access).await);
    scene.rp.refresh(offline.refresh()).await.ok();
}
