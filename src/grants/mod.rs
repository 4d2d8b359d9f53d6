//! The grant types of the token endpoint, one file each.

mod authorization_code;
mod client_credentials;
mod password;
mod refresh_token;

use std::net::IpAddr;
use std::sync::Arc;

use chancery_domain::authorization::{Authorization, Parameters, RequestError};
use chancery_domain::grant::{Active, Grant};
use chancery_domain::ids::SubjectId;
use chancery_domain::protocol::grant_type::GrantType;

use crate::aggregates::Origin;
use crate::client_auth::AuthenticatedClient;
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::tokens::TokenResponse;

/// A request to the token endpoint, its client authenticated.
pub struct TokenRequest<'a> {
    pub client: AuthenticatedClient,
    pub parameters: &'a Parameters<'a>,
    /// The client, and the HTTP request.
    pub origin: Origin,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

impl TokenRequest<'_> {
    /// A parameter that may stand there once.
    fn once(&self, name: &'static str) -> Result<Option<&str>, OAuthError> {
        self.parameters
            .once(name)
            .map_err(|_| OAuthError::invalid_request(format!("{name} is given more than once")))
    }

    /// A parameter that has to be there once.
    fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.once(name)?.ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }
}

/// Answers a token request (RFC 6749 §3.2).
pub async fn answer(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, OAuthError> {
    let unsupported =
        || OAuthError::new(ErrorCode::UnsupportedGrantType, "this grant_type is not supported");
    let grant_type: GrantType =
        request.required("grant_type")?.parse().map_err(|_| unsupported())?;
    if !grant_types(services).contains(&grant_type) {
        return Err(unsupported());
    }
    if !request.client.metadata.allows(grant_type) {
        let text = "the client is not registered for this grant_type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    // RFC 9396 §5: what can't be granted is refused, not left out.
    let details = request.once("authorization_details")?;
    if grant_type != GrantType::ClientCredentials && details.is_some() {
        return Err(RequestError::AuthorizationDetails.into());
    }
    match grant_type {
        GrantType::AuthorizationCode => authorization_code::redeem(services, request).await,
        GrantType::RefreshToken => refresh_token::refresh(services, request).await,
        GrantType::ClientCredentials => client_credentials::issue(services, request).await,
        GrantType::Password => password::issue(services, request).await,
        GrantType::Implicit => Err(unsupported()),
    }
}

/// The grant types that this server has, for its metadata.
#[must_use]
pub fn grant_types(services: &Services) -> Vec<GrantType> {
    let mut all =
        vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    if services.config.tokens.password_grant {
        all.push(GrantType::Password);
    }
    all
}

fn invalid_grant() -> OAuthError {
    chancery_domain::grant::GrantError::Unknown.into()
}

/// The authorization of an active grant, for its answer.
fn active(grant: &Grant) -> Result<&Active, OAuthError> {
    match grant {
        Grant::Active(active) => Ok(active),
        _ => Err(invalid_grant()),
    }
}

/// Refuses where the person's account can't be used any more: no cascade need
/// have come by.
async fn check_account(
    services: &Services,
    authorization: &Arc<Authorization>,
) -> Result<(), OAuthError> {
    match authorization.subject() {
        None => Ok(()),
        Some(subject) => check_subject(services, subject).await,
    }
}

async fn check_subject(services: &Services, subject: SubjectId) -> Result<(), OAuthError> {
    let account = services.accounts.get(&subject.to_string()).await?;
    match account.state.registered() {
        Some(account) if account.is_usable() => Ok(()),
        _ => Err(invalid_grant()),
    }
}
