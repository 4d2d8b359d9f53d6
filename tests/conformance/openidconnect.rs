//! A relying party that others wrote: the crate `openidconnect` drives
//! discovery, the code flow with PKCE, and userinfo.

use std::time::{Duration, UNIX_EPOCH};

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use openidconnect::core::{CoreClient, CoreProviderMetadata, CoreResponseType, CoreUserInfoClaims};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse as _,
};

use crate::support::{BEGINNING, REDIRECT_URI, Scene, StoreKind, confidential, public};

both_stores! {
    a_confidential_client_goes_all_the_way,
    a_public_client_goes_all_the_way,
}

async fn a_confidential_client_goes_all_the_way(store: StoreKind) {
    go_all_the_way(store, confidential()).await;
}

async fn a_public_client_goes_all_the_way(store: StoreKind) {
    go_all_the_way(store, public()).await;
}

async fn go_all_the_way(store: StoreKind, metadata: ClientMetadata) {
    let is_public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
    let mut scene = Scene::with(store, "", metadata).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let issuer = IssuerUrl::new(scene.server.issuer.clone()).unwrap();
    let provider = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
    let secret = scene.rp.secret.clone().map(ClientSecret::new);
    assert_eq!(secret.is_none(), is_public);
    let client = CoreClient::from_provider_metadata(provider, ClientId::new("rp".into()), secret)
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("offline_access".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let returned = scene.browser.go_through(url.as_str(), "ada").await;
    assert_eq!(returned.get("state"), Some(state.secret().as_str()));

    let code = AuthorizationCode::new(returned.code().to_owned());
    let redeemed = client.exchange_code(code).unwrap().set_pkce_verifier(verifier);
    let tokens = redeemed.request_async(&http).await.unwrap();
    let now = || (UNIX_EPOCH + Duration::from_secs(BEGINNING.seconds().unsigned_abs())).into();
    let checker = client.id_token_verifier().set_time_fn(now);
    let claims = tokens.id_token().unwrap().claims(&checker, &nonce).unwrap();
    assert_eq!(claims.subject().as_str(), scene.ada.to_string());

    let subject = Some(claims.subject().clone());
    let userinfo = client.user_info(tokens.access_token().clone(), subject).unwrap();
    let userinfo: CoreUserInfoClaims = userinfo.request_async(&http).await.unwrap();
    assert_eq!(userinfo.email().unwrap().as_str(), "ada@example.com");

    let refresh = tokens.refresh_token().unwrap();
    let refreshed = client.exchange_refresh_token(refresh).unwrap();
    let refreshed = refreshed.request_async(&http).await.unwrap();
    let claims = refreshed.id_token().unwrap().claims(&checker, |_: Option<&Nonce>| Ok(()));
    assert_eq!(claims.unwrap().subject().as_str(), scene.ada.to_string());
}
