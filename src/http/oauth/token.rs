//! The token endpoint (RFC 6749 §3.2).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::grant_type::GrantType;

use super::metadata::ServerMetadata;
use crate::client_auth::{self, AuthenticatedClient, Public};
use crate::config::rate_limits::Limited;
use crate::grants::{self, TokenRequest};
use crate::http::{cors, render, request};
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::tally::What;
use crate::telemetry::metrics::TokenRequest as Counted;
use crate::tokens::TokenResponse;

#[tracing::instrument(name = "oauth.token", level = "debug", skip_all)]
pub async fn handle(
    services: web::Data<Services>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut known = Known::default();
    let result = answer(&services, &request, &body, &mut known).await;
    let Known { client, grant_type } = known;
    let outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "issued");
    services.metrics.token_requests.get_or_create(&Counted { grant_type, outcome }).inc();
    let mut answer = match result {
        Ok(tokens) => render::json(StatusCode::OK, &tokens),
        Err(error) => {
            let client_id = client.as_ref().map(|client| &client.client_id);
            services.tallies.count(What::TokenRequestRefused, error.code.as_str(), client_id);
            render::error(&request, &error)
        }
    };
    cors::for_client(&services, &request, client.as_deref(), &mut answer);
    answer
}

/// What is known of a request, whatever becomes of it.
struct Known {
    client: Option<AuthenticatedClient>,
    grant_type: &'static str,
}

impl Default for Known {
    fn default() -> Self {
        Self { client: None, grant_type: "unknown" }
    }
}

async fn answer(
    services: &Services,
    request: &HttpRequest,
    body: &[u8],
    known: &mut Known,
) -> Result<TokenResponse, OAuthError> {
    let parameters = request::form(request, body)?;
    let grant_type = parameters.once("grant_type").ok().flatten();
    if let Some(grant_type) = grant_type.and_then(|own| own.parse::<GrantType>().ok()) {
        known.grant_type = grant_type.as_str();
    }
    let (client, origin) = request::client(services, request, &parameters).await?;
    known.client = Some(client.clone());
    request::admit(services, request, Limited::Token, &client)?;
    let address = request::client_address(services, request);
    let request = TokenRequest { client, parameters: &parameters, origin, address };
    grants::answer(services, &request).await
}

pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("token_endpoint", "/token");
    let mut grant_types = grants::grant_types(metadata.services());
    let response_types = &metadata.config().authorization.response_types;
    if response_types.iter().any(|response_type| response_type.is_front_channel()) {
        // At the authorization endpoint; registration and metadata have one list.
        grant_types.push(GrantType::Implicit);
    }
    metadata.set("grant_types_supported", &grant_types);
    metadata.set("authorization_details_types_supported", AuthorizationDetails::TYPES);
    client_auth::describe(metadata, "token", Public::Welcome);
}
