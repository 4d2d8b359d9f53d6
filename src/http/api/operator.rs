//! Who may: a client acting for itself, or a person with a role for it.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::scope::Scope;

use super::Api;
use super::problem::Problem;
use crate::services::Services;
use crate::tokens::{Audience, LiveToken, TokenRefusal, find_access_token};

/// The scope that what is known of people needs besides.
pub const PERSONAL_DATA: &str = "pii:read";

/// Whoever asks, and may.
pub struct Operator {
    /// Stands in the events of what they do.
    pub name: String,
    /// What their token allows in detail (RFC 9396).
    pub details: AuthorizationDetails,
    scope: Scope,
}

impl Operator {
    /// Reads the token of a request to this API.
    pub async fn of(
        api: &Api,
        services: &Services,
        request: &HttpRequest,
    ) -> Result<Self, Problem> {
        let (needed, _) = api.scope;
        let live = token(api, services, request).await?;
        let audience = Audience::of(&live.facts, services.issuer());
        let ours = match &audience {
            Audience::One(one) => one == services.issuer(),
            Audience::Several(several) => several.iter().any(|one| one == services.issuer()),
        };
        if !ours {
            let detail = "the access token is for another audience than this server";
            return Err(Problem::unauthorized(needed, Some("invalid_token"), detail));
        }
        let scope = live.facts.scope.clone();
        if !scope.contains(needed) {
            let detail = format!("the access token needs the scope {needed}");
            return Err(Problem::forbidden(needed, &detail));
        }
        let client_id = &live.grant.authorization.client_id;
        let name = match live.grant.authorization.subject() {
            None => format!("client {client_id}"),
            Some(subject) => {
                let folded = services.accounts.get(&subject.to_string()).await;
                let folded = folded.map_err(|error| Problem::internal(&error))?;
                let account = folded.state.registered().filter(|own| own.is_usable());
                let may = |role| account.is_some_and(|account| account.roles.contains(role));
                if !api.roles.iter().any(may) {
                    let roles: Vec<_> = api.roles.iter().map(|role| role.as_str()).collect();
                    let roles = roles.join(" or ");
                    let detail =
                        format!("the account needs the role {roles}, which the command line gives");
                    return Err(Problem::forbidden(needed, &detail));
                }
                format!("account {subject}")
            }
        };
        let details = live.grant.authorization.authorization_details.clone();
        Ok(Self { name, details, scope })
    }

    /// Does their token have this scope besides?
    pub fn has(&self, scope: &str) -> bool {
        self.scope.contains(scope)
    }

    /// May they see who people are?
    pub fn sees_people(&self) -> bool {
        self.has(PERSONAL_DATA)
    }
}

async fn token(
    api: &Api,
    services: &Services,
    request: &HttpRequest,
) -> Result<LiveToken, Problem> {
    let (needed, _) = api.scope;
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let missing = format!("send an access token of this server with the scope {needed}");
    let bearer = bearer.ok_or_else(|| Problem::unauthorized(needed, None, &missing))?;
    find_access_token(services, bearer).await.map_err(|refusal| match refusal {
        TokenRefusal::NotAlive => {
            let detail = "the access token is invalid, expired or revoked";
            Problem::unauthorized(needed, Some("invalid_token"), detail)
        }
        TokenRefusal::Failed(error) => error.into(),
    })
}
