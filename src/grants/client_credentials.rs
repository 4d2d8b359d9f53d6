//! `grant_type=client_credentials` (RFC 6749 §4.4).

use chancery_domain::authorization::Authorization;
use chancery_domain::grant::{GrantCommand, IssueDirectly};
use chancery_domain::protocol::authorization_details::{AuthorizationDetails, DetailsError};
use chancery_domain::protocol::claims::ClaimNames;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use serde_json::Map;

use super::{TokenRequest, active};
use crate::events::limits;
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::tokens::{About, IdTokenEncryption, Issuer, TokenResponse, ask_hooks, plan};

pub(super) async fn issue(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, OAuthError> {
    let scope = scope(request)?;
    let client = &request.client;
    let authorization = Authorization {
        client_id: client.client_id.clone(),
        authentication: None,
        scope,
        claims: ClaimNames::default(),
        authorization_details: authorization_details(services, request)?,
    };
    let mut plan = plan(services, &services.keys.get(), &client.metadata)
        .map_err(|error| OAuthError::internal(&error))?;
    let grant_id = services.new_grant_id();
    let about = About {
        client,
        grant_type: GrantType::ClientCredentials.as_str(),
        grant: grant_id,
        authorization: &authorization,
        scope: &authorization.scope,
    };
    let apart = ask_hooks(services, about, &mut plan).await?;
    let command = GrantCommand::IssueDirectly(IssueDirectly {
        grant_type: GrantType::ClientCredentials,
        authorization,
        plan,
        now: services.now(),
    });
    let mut work = services.work(request.origin.clone())?;
    work.apart = apart;
    let done = services.grants.begin_without_actor(grant_id, command, work).await?;
    let stage = active(&done.grant)?;
    let tokens = done.events.iter().find_map(|event| event.issued_tokens());
    let tokens = tokens.ok_or_else(super::invalid_grant)?;
    let answering = Issuer {
        services,
        client: &request.client,
        grant: grant_id,
        authorization: &stage.authorization,
        seed: stage.seed.as_ref(),
        nonce: None,
        encryption: &IdTokenEncryption::default(),
        released: &Map::new(),
    };
    answering.render(tokens).await
}

/// What is asked for in detail, or set down for the client (RFC 9396 §6).
fn authorization_details(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<AuthorizationDetails, OAuthError> {
    let refused = |error: &dyn std::fmt::Display| {
        OAuthError::new(ErrorCode::InvalidAuthorizationDetails, error.to_string())
    };
    let asked = request.once("authorization_details")?.map(AuthorizationDetails::parse);
    let asked = asked.transpose().map_err(|error| refused(&error))?;
    if asked.is_some() && !services.config.features.events {
        return Err(refused(&DetailsError::UnknownType));
    }
    for access in asked.iter().flat_map(AuthorizationDetails::events) {
        limits::check(access, services.schemas()).map_err(|error| refused(&error))?;
    }
    let set_down = &request.client.metadata.authorization_details;
    AuthorizationDetails::granted(asked, set_down).map_err(|error| refused(&error))
}

/// What the client is registered for, but for what needs a person.
fn scope(request: &TokenRequest<'_>) -> Result<Scope, OAuthError> {
    let registered = &request.client.scope();
    let own: Scope =
        registered.iter().filter(|name| !Scope::ABOUT_A_PERSON.contains(name)).collect();
    let Some(text) = request.once("scope")? else { return Ok(own) };
    let asked = Scope::parse(text)
        .map_err(|error| OAuthError::new(ErrorCode::InvalidScope, error.to_string()))?;
    let scope = asked.narrow(&own);
    if scope.is_empty() {
        let text = "the client is not registered for any of the scopes";
        return Err(OAuthError::new(ErrorCode::InvalidScope, text));
    }
    Ok(scope)
}
