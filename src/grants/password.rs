//! `grant_type=password` (RFC 6749 §4.3): a client brings the name and password
//! of a person. Off unless the settings allow it (RFC 9700 §2.4), and never for
//! a client that lives by FAPI 2.0.
//!
//! Guesses are slowed down as at the login page, and whatever is wrong, a client
//! is told the same.

use chancery_domain::authorization::{Authentication, Authorization};
use chancery_domain::client::SecurityProfile;
use chancery_domain::grant::{GrantCommand, IssueDirectly};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::claims::ClaimNames;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use serde_json::Map;

use super::{TokenRequest, active};
use crate::accounts;
use crate::interaction::throttle::{Attempt, Network};
use crate::interaction::{AMR, Failure, judge};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::passwords::Password;
use crate::services::Services;
use crate::tokens::{About, IdTokenEncryption, Issuer, TokenResponse, ask_hooks, plan};

pub(super) async fn issue(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, OAuthError> {
    let client = &request.client;
    if client.metadata.security_profile == SecurityProfile::Fapi2 {
        let text = "the client's security profile does not allow this grant_type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    let username = request.required("username")?;
    let password = Password::new(request.required("password")?);
    let scope = scope(request)?;
    let attempt = Attempt {
        account: accounts::name_digest(&services.keys.get().names, username),
        network: Network::from(request.address),
        device: None,
    };
    let subject = judge(services, &attempt, username, &password).await.map_err(|failure| {
        failure.count(services, Some(&client.client_id));
        refused(failure)
    })?;
    let now = services.now();
    let authentication = Authentication {
        subject,
        session_id: None,
        auth_time: now,
        acr: services.config.login.acr().to_owned(),
        amr: vec![AMR.to_owned()],
    };
    let authorization = Authorization {
        client_id: client.client_id.clone(),
        authentication: Some(authentication),
        scope,
        claims: ClaimNames::default(),
        authorization_details: AuthorizationDetails::default(),
    };
    let encryption = IdTokenEncryption::of(services, client, &authorization.scope).await?;
    let mut plan = plan(services, &services.keys.get(), &client.metadata)
        .map_err(|error| OAuthError::internal(&error))?;
    let grant_id = services.new_grant_id();
    let about = About {
        client,
        grant_type: GrantType::Password.as_str(),
        grant: grant_id,
        authorization: &authorization,
        scope: &authorization.scope,
    };
    let apart = ask_hooks(services, about, &mut plan).await?;
    let command = GrantCommand::IssueDirectly(IssueDirectly {
        grant_type: GrantType::Password,
        authorization,
        plan,
        now,
    });
    let mut origin = request.origin.clone();
    origin.subject = Some(subject);
    let mut work = services.work(origin)?;
    work.apart = apart;
    let done = services.grants.begin_without_actor(grant_id, command, work).await?;
    let stage = active(&done.grant)?;
    let tokens = done.events.iter().find_map(|event| event.issued_tokens());
    let tokens = tokens.ok_or_else(super::invalid_grant)?;
    let answering = Issuer {
        services,
        client,
        grant: grant_id,
        authorization: &stage.authorization,
        seed: stage.seed.as_ref(),
        nonce: None,
        encryption: &encryption,
        released: &Map::new(),
    };
    answering.render(tokens).await
}

/// Nobody learns here who has an account, which is locked, or how far a guess
/// was from being looked at.
fn refused(failure: Failure) -> OAuthError {
    match failure {
        Failure::UnknownAccount
        | Failure::Locked
        | Failure::WrongPassword
        | Failure::SlowedDown(_) => {
            let text = "name and password do not fit, or have to be tried again later";
            OAuthError::new(ErrorCode::InvalidGrant, text)
        }
        Failure::Unavailable => OAuthError::busy(),
    }
}

/// What the client is registered for; `openid` and `offline_access` want to be
/// asked for, and `offline_access` goes with the grant to refresh.
fn scope(request: &TokenRequest<'_>) -> Result<Scope, OAuthError> {
    let client = &request.client;
    let registered = if client.metadata.allows(GrantType::RefreshToken) {
        client.scope()
    } else {
        client.scope().without(Scope::OFFLINE_ACCESS)
    };
    let Some(text) = request.once("scope")? else {
        return Ok(registered.without(Scope::OPENID).without(Scope::OFFLINE_ACCESS));
    };
    let asked = Scope::parse(text)
        .map_err(|error| OAuthError::new(ErrorCode::InvalidScope, error.to_string()))?;
    let scope = asked.narrow(&registered);
    if scope.is_empty() && !asked.is_empty() {
        let text = "the client is not registered for any of the scopes";
        return Err(OAuthError::new(ErrorCode::InvalidScope, text));
    }
    Ok(scope)
}
