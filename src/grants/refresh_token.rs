//! `grant_type=refresh_token` (RFC 6749 §6, RFC 9700 §4.14): what it does to the
//! token is the settings' and the client's.

use chancery_domain::authorization::Authorization;
use chancery_domain::grant::{Grant, GrantCommand, GrantEvent, Presence, UseRefreshToken};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use serde_json::Map;

use super::{TokenRequest, active, check_account, invalid_grant};
use crate::handles::RefreshHandle;
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::tokens::{
    About, IdTokenEncryption, Issuer, TokenResponse, ask_hooks, plan, refresh_policy,
};

pub(super) async fn refresh(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, OAuthError> {
    let presented = RefreshHandle::decode(request.required("refresh_token")?);
    let scope = request
        .once("scope")?
        .map(Scope::parse)
        .transpose()
        .map_err(|error| OAuthError::new(ErrorCode::InvalidScope, error.to_string()))?;
    let presented = presented.ok_or_else(invalid_grant)?;
    let keys = services.keys.get();
    let before = services
        .grants
        .look_for(presented.grant, |grant| matches!(grant, Grant::Active(_)))
        .await?;
    let Grant::Active(stage) = &before else { return Err(invalid_grant()) };
    let genuine = stage.seed.as_ref().is_some_and(|seed| keys.is_genuine(seed, &presented));
    if !genuine {
        return Err(invalid_grant());
    }
    check_account(services, &stage.authorization).await?;
    let granted = &stage.authorization.scope;
    let encryption = IdTokenEncryption::of(services, &request.client, granted).await?;
    let mut plan = plan(services, &keys, &request.client.metadata)
        .map_err(|error| OAuthError::internal(&error))?;
    let is_next =
        stage.refresh.as_ref().is_some_and(|family| family.generation == presented.number);
    // An answer that is given again was asked about when it was given first.
    let apart = if is_next && stage.authorization.client_id == request.client.client_id {
        let about = About {
            client: &request.client,
            grant_type: GrantType::RefreshToken.as_str(),
            grant: presented.grant,
            authorization: &stage.authorization,
            scope: scope.as_ref().unwrap_or(&stage.authorization.scope),
        };
        ask_hooks(services, about, &mut plan).await?
    } else {
        None
    };
    let command = GrantCommand::Refresh(UseRefreshToken {
        client_id: request.client.client_id.clone(),
        generation: presented.number,
        genuine,
        scope,
        policy: refresh_policy(services, &request.client),
        presence: presence(services, &stage.authorization).await?,
        plan,
        now: services.now(),
    });
    let mut origin = request.origin.clone();
    origin.subject = before.subject();
    let mut work = services.work(origin)?;
    work.apart = apart;
    let done = services.grants.execute(presented.grant, vec![command], work).await?;
    if let Some(refusal) = done.refusal() {
        return Err(refusal.into());
    }
    let stage = active(&done.grant)?;
    // No event: the answer of the last rotation again, for a client that lost it.
    let issued = done.events.iter().find_map(GrantEvent::issued_tokens);
    let tokens = issued.or_else(|| stage.repeated_answer()).ok_or_else(invalid_grant)?;
    let answering = Issuer {
        services,
        client: &request.client,
        grant: presented.grant,
        authorization: &stage.authorization,
        seed: stage.seed.as_ref(),
        nonce: None,
        encryption: &encryption,
        released: &Map::new(),
    };
    answering.render(tokens).await
}

/// Is the session good in which the person logged in? (How long a browser may
/// idle, only the browser knows.)
async fn presence(
    services: &Services,
    authorization: &Authorization,
) -> Result<Presence, OAuthError> {
    let Some(authentication) = &authorization.authentication else {
        return Ok(Presence::NotAsked);
    };
    if !services.config.tokens.refresh_needs_session {
        return Ok(Presence::NotAsked);
    }
    let Some(session) = authentication.session_id else { return Ok(Presence::Absent) };
    let session = services.sessions.get(&session.to_string()).await?;
    let now = services.now();
    let live = session.state.begun().is_some_and(|session| session.is_live(now));
    Ok(if live { Presence::Present } else { Presence::Absent })
}
