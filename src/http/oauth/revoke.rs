//! The revocation endpoint (RFC 7009).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chancery_domain::grant::{
    Grant, GrantCommand, GrantError, RevocationCause, Revoke, RevokeAccessToken,
};
use chancery_domain::ids::GrantId;

use super::metadata::ServerMetadata;
use crate::actors::grant::GrantFailure;
use crate::client_auth::{self, AuthenticatedClient, Public};
use crate::config::rate_limits::Limited;
use crate::handles::RefreshHandle;
use crate::http::{cors, render, request};
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::tokens::{TokenRefusal, find_access_token};

#[tracing::instrument(name = "oauth.revoke", level = "debug", skip_all)]
pub async fn handle(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut client = None;
    let mut answer = match revoke(&services, &request, &body, &mut client).await {
        Ok(()) => render::uncached(StatusCode::OK).finish(),
        Err(error) => render::error(&request, &error),
    };
    cors::for_client(&services, &request, client.as_deref(), &mut answer);
    answer
}

/// A refresh token ends its grant, an access token only itself (RFC 7009
/// §2.1); a token that is not known, or not alive, is revoked already (§2.2).
async fn revoke(
    services: &Services,
    request: &HttpRequest,
    body: &[u8],
    known: &mut Option<AuthenticatedClient>,
) -> Result<(), OAuthError> {
    let parameters = request::form(request, body)?;
    let (client, origin) = request::client(services, request, &parameters).await?;
    *known = Some(client.clone());
    request::admit(services, request, Limited::Revocation, &client)?;
    let token = parameters.once("token").ok().flatten();
    let token = token.ok_or_else(|| OAuthError::invalid_request("token is missing or repeated"))?;
    let now = services.now();
    let (grant_id, command) = match find_access_token(services, token).await {
        Ok(live) => {
            let (client_id, number) = (client.client_id.clone(), live.facts.number);
            let command = RevokeAccessToken { client_id, number, now };
            (live.grant_id, GrantCommand::RevokeAccessToken(command))
        }
        Err(TokenRefusal::Failed(error)) => return Err(error),
        Err(TokenRefusal::NotAlive) => {
            let Some(grant_id) = of_refresh_token(services, &client, token).await? else {
                return Ok(());
            };
            let cause = RevocationCause::RevokedByClient;
            (grant_id, GrantCommand::Revoke(Revoke { cause, now }))
        }
    };
    let work = services.work(origin)?;
    services.grants.execute(grant_id, vec![command], work).await?;
    Ok(())
}

/// The grant of a genuine refresh token of this client.
async fn of_refresh_token(
    services: &Services,
    client: &AuthenticatedClient,
    text: &str,
) -> Result<Option<GrantId>, OAuthError> {
    let Some(handle) = RefreshHandle::decode(text) else { return Ok(None) };
    let grant = match services
        .grants
        .look_for(handle.grant, |grant| matches!(grant, Grant::Active(_)))
        .await
    {
        Ok(Grant::Active(grant)) => grant,
        Ok(_) | Err(GrantFailure::Refused(GrantError::Unknown)) => return Ok(None),
        Err(failure) => return Err(failure.into()),
    };
    let keys = services.keys.get();
    let genuine = grant.seed.as_ref().is_some_and(|seed| keys.is_genuine(seed, &handle));
    if !genuine {
        return Ok(None);
    }
    if grant.authorization.client_id != client.client_id {
        return Err(GrantError::WrongClient.into());
    }
    Ok(Some(handle.grant))
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("revocation_endpoint", "/revoke");
    client_auth::describe(metadata, "revocation", Public::Welcome);
}
