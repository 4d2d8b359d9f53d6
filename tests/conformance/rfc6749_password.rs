//! The resource owner password credentials grant (RFC 6749 §4.3), for those who
//! can't do without (RFC 9700 §2.4 says never).

use chancery::admin::{NewClient, Operation, perform};
use chancery_domain::account::AccountCommand;
use chancery_domain::client::{ClientMetadata, SecurityProfile};
use chancery_domain::ids::AggregateKind;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::Lifetime;

use crate::support::{
    Answer, BEGINNING, Form, PASSWORD, RelyingParty, Scene, StoreKind, TestServer, Tokens,
    confidential, service, verified,
};

both_stores! {
    the_grant_is_off_unless_the_settings_allow_it,
    a_client_has_to_be_registered_for_it,
    a_fapi_client_is_never_registered_for_it,
    what_is_missing_or_repeated_is_an_invalid_request,
    whatever_is_wrong_a_client_is_told_the_same,
    guesses_are_slowed_down_as_at_the_login_page,
    the_scope_is_within_that_of_the_client,
    name_and_password_bring_tokens,
    an_id_token_tells_of_the_login_and_of_no_session,
    a_refresh_token_comes_as_with_a_code,
    a_locked_account_ends_the_grant,
    an_expired_client_gets_nothing_by_any_grant,
}

const ON: &str = "[tokens]\npassword_grant = true\n";

fn app() -> ClientMetadata {
    ClientMetadata {
        grant_types: vec![GrantType::Password, GrantType::RefreshToken],
        response_types: vec![],
        redirect_uris: vec![],
        ..confidential()
    }
}

/// A request that nothing is wrong with, but for these parameters; left out
/// where they are empty.
async fn ask(rp: &RelyingParty, changes: &Form<'_>) -> Answer {
    let mut request = vec![("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)];
    request.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    request.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    rp.post("/token", &request).await
}

async fn the_grant_is_off_unless_the_settings_allow_it(store: StoreKind) {
    let scene = Scene::with(store, "", app()).await;
    ask(&scene.rp, &[]).await.refused(400, "unsupported_grant_type");
    let lists = async |rp: &RelyingParty| {
        let metadata = rp.get("/.well-known/oauth-authorization-server").await.json();
        let grants = metadata["grant_types_supported"].as_array().unwrap().clone();
        grants.iter().any(|grant| grant == "password")
    };
    assert!(!lists(&scene.rp).await);
    let scene = Scene::with(store, ON, app()).await;
    assert!(lists(&scene.rp).await);
}

/// RFC 6749 §5.2
async fn a_client_has_to_be_registered_for_it(store: StoreKind) {
    let scene = Scene::with(store, ON, confidential()).await;
    ask(&scene.rp, &[]).await.refused(400, "unauthorized_client");
}

async fn a_fapi_client_is_never_registered_for_it(store: StoreKind) {
    let server = TestServer::with_settings(store, ON).await;
    for (profile, possible) in [(SecurityProfile::Fapi2, false), (SecurityProfile::Standard, true)]
    {
        let metadata = Box::new(ClientMetadata { security_profile: profile, ..app() });
        let new = NewClient { client_id: None, secret: None, metadata };
        let outcome = server
            .act(|services| async move { perform(&services, Operation::AddClient(new), "t").await })
            .await;
        assert_eq!(outcome.is_ok(), possible, "{outcome:?}");
    }
}

/// RFC 6749 §4.3.2, §5.2
async fn what_is_missing_or_repeated_is_an_invalid_request(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    for name in ["username", "password"] {
        ask(&scene.rp, &[(name, "")]).await.refused(400, "invalid_request");
        let twice = [(name, "a"), (name, "b")];
        ask(&scene.rp, &twice).await.refused(400, "invalid_request");
    }
}

/// RFC 6749 §5.2
async fn whatever_is_wrong_a_client_is_told_the_same(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    let grace = scene.server.account("grace").await;
    let lock = AccountCommand::Lock { reason: "gone".to_owned() };
    scene.server.command_account(grace, lock).await;
    let wrong_password = ask(&scene.rp, &[("password", "wrong")]).await;
    wrong_password.refused(400, "invalid_grant");
    let long = "x".repeat(5000);
    for changes in [
        [("username", "nobody"), ("scope", "")],
        [("username", "grace"), ("scope", "")],
        [("username", "grace"), ("password", "wrong")],
        [("password", &*long), ("scope", "")],
    ] {
        let refused = ask(&scene.rp, &changes).await;
        assert_eq!((refused.status, &refused.body), (400, &wrong_password.body), "{changes:?}");
    }
    assert!(scene.server.grants().await.is_empty());
}

async fn guesses_are_slowed_down_as_at_the_login_page(store: StoreKind) {
    let settings = format!("{ON}[login]\nfailures_before_delay = 3");
    let scene = Scene::with(store, &settings, app()).await;
    for _ in 0..4 {
        ask(&scene.rp, &[("password", "wrong")]).await.refused(400, "invalid_grant");
    }
    // The right one is not looked at now.
    ask(&scene.rp, &[]).await.refused(400, "invalid_grant");
    scene.server.advance(600);
    ask(&scene.rp, &[]).await.ok();
}

/// RFC 6749 §3.3
async fn the_scope_is_within_that_of_the_client(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    ask(&scene.rp, &[("scope", "admin")]).await.refused(400, "invalid_scope");
    let narrowed = ask(&scene.rp, &[("scope", "admin read")]).await.ok();
    assert_eq!(narrowed["scope"], "read");
    let all = ask(&scene.rp, &[]).await.ok();
    assert_eq!(all["scope"], "profile email read write");
    let scope = Scope::parse("read offline_access").unwrap();
    let metadata = ClientMetadata { grant_types: vec![GrantType::Password], scope, ..app() };
    let once = scene.server.register("once", metadata).await;
    let alone = ask(&once, &[("scope", "read offline_access")]).await.ok();
    assert_eq!((&alone["scope"], alone.get("refresh_token")), (&"read".into(), None));
}

/// RFC 6749 §4.3.3
async fn name_and_password_bring_tokens(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    let answer = ask(&scene.rp, &[("scope", "openid email")]).await;
    answer.is_not_kept();
    let tokens = Tokens::of(&answer.ok());
    let userinfo = scene.rp.userinfo(&tokens.access).await.ok();
    assert_eq!(userinfo["sub"], scene.ada.to_string());
    assert_eq!(userinfo["email"], "ada@example.com");
    assert_eq!(scene.server.only_grant().await, ["TokensIssued"]);
    let log = scene.server.log().await;
    assert!(log.iter().all(|stored| stored.event.stream.kind != AggregateKind::Session));
    let issued = log.iter().find(|stored| stored.event.event_type == "TokensIssued").unwrap();
    let payload: serde_json::Value = serde_json::from_str(&issued.event.payload).unwrap();
    assert_eq!(payload["grant_type"], "password");
    let authentication = &payload["authorization"]["authentication"];
    assert_eq!(authentication["subject"], scene.ada.to_string());
    assert_eq!(authentication["amr"], serde_json::json!(["pwd"]));
    assert!(!issued.event.payload.contains("ada@") && !issued.event.payload.contains(PASSWORD));
}

/// OpenID Connect Core §2
async fn an_id_token_tells_of_the_login_and_of_no_session(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    let tokens = Tokens::of(&ask(&scene.rp, &[("scope", "openid")]).await.ok());
    let claims = verified(&scene.rp, tokens.id()).await;
    assert_eq!(claims["sub"], scene.ada.to_string());
    assert_eq!(claims["auth_time"], BEGINNING.seconds());
    assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
    assert!(claims["acr"].is_string());
    assert!(claims.get("sid").is_none() && claims.get("nonce").is_none());
}

/// RFC 6749 §4.3.3, OpenID Connect Core §11
async fn a_refresh_token_comes_as_with_a_code(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    let without = Tokens::of(&ask(&scene.rp, &[("scope", "openid read")]).await.ok());
    assert_eq!(without.refresh, None);
    let asked = [("scope", "openid offline_access read")];
    let first = Tokens::of(&ask(&scene.rp, &asked).await.ok());
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let (before, after) = (verified(&scene.rp, first.id()).await, second.id());
    let after = verified(&scene.rp, after).await;
    assert_eq!((&before["sub"], &before["auth_time"]), (&after["sub"], &after["auth_time"]));
}

async fn a_locked_account_ends_the_grant(store: StoreKind) {
    let scene = Scene::with(store, ON, app()).await;
    let asked = [("scope", "openid offline_access")];
    let tokens = Tokens::of(&ask(&scene.rp, &asked).await.ok());
    let lock = AccountCommand::Lock { reason: "gone".to_owned() };
    scene.server.command_account(scene.ada, lock).await;
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    crate::support::until("the grant has ended", || async {
        !scene.rp.is_alive(&tokens.access).await
    })
    .await;
}

/// RFC 7591 §3.2.1, `client_expires_at`
async fn an_expired_client_gets_nothing_by_any_grant(store: StoreKind) {
    let metadata = ClientMetadata {
        grant_types: vec![
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
            GrantType::Password,
        ],
        client_expires_at: Some(BEGINNING + Lifetime::from_seconds(40)),
        ..confidential()
    };
    let mut scene = Scene::with(store, ON, metadata).await;
    let tokens = scene.lasting_tokens().await;
    let code = scene.code(&[]).await;
    let own = Tokens::of(&scene.rp.client_credentials(&[]).await.ok());
    scene.server.advance(39);
    ask(&scene.rp, &[]).await.ok();
    scene.server.advance(1);
    for answer in [
        ask(&scene.rp, &[]).await,
        scene.rp.redeem(&code).await,
        scene.rp.refresh(tokens.refresh()).await,
        scene.rp.client_credentials(&[]).await,
    ] {
        answer.refused(401, "invalid_client");
    }
    let observer = ClientMetadata { introspect_any_token: true, ..service() };
    let observer = scene.server.register("observer", observer).await;
    for token in [&tokens.access, &own.access] {
        assert!(!observer.is_alive(token).await);
    }
}
