//! Software statements (RFC 7591 §2.3): metadata that somebody vouches for.

use chancery_domain::client::RegisteredClient;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::{Map, Value};

use crate::config::registration::{StatementIssuer, StatementKeys};
use crate::jose::{Accept, JwkSet, PeerKeys, Types, Unverified};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;

/// The longest statement that is read, in bytes: it is kept with the client.
const LONGEST: usize = 16_384;

/// A statement that holds.
#[derive(Debug, Clone)]
pub struct Statement {
    pub issuer: String,
    /// Its claims stand over what the client says itself.
    pub claims: Map<String, Value>,
    /// As it came.
    pub text: String,
}

fn invalid(why: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidSoftwareStatement, why)
}

/// Verifies the statement of a request, if it has one or needs one. A client
/// that was registered by a statement keeps to it: without one in the request
/// its own holds still, and another must be of the same issuer.
pub async fn verified(
    services: &Services,
    presented: Option<&str>,
    client: Option<&RegisteredClient>,
) -> Result<Option<Statement>, OAuthError> {
    let kept = client.and_then(|client| client.metadata.software_statement.as_deref());
    let kept_issuer = client
        .and_then(|client| client.registration.as_ref())
        .and_then(|registration| registration.software_statement_issuer.as_deref());
    if let (Some(kept), Some(issuer)) = (kept, kept_issuer)
        && presented.is_none_or(|presented| presented == kept)
    {
        // It was verified when it came, and may have expired since.
        let unverified = Unverified::parse(kept).map_err(|error| OAuthError::internal(&error))?;
        let claims = unverified.claims().map_err(|error| OAuthError::internal(&error))?;
        return Ok(Some(Statement { issuer: issuer.to_owned(), claims, text: kept.to_owned() }));
    }
    let Some(text) = presented else {
        if services.config.registration.require_software_statement {
            return Err(invalid("this server registers only software with a software_statement"));
        }
        return Ok(None);
    };
    let statement = verify(services, text).await?;
    if kept_issuer.is_some_and(|kept| kept != statement.issuer) {
        return Err(unapproved("the client's software_statement is of another issuer"));
    }
    Ok(Some(statement))
}

fn unapproved(why: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, why)
}

async fn verify(services: &Services, text: &str) -> Result<Statement, OAuthError> {
    let malformed = "the software_statement is not a signed JWT with the claim iss";
    if text.len() > LONGEST {
        return Err(invalid("the software_statement is too long"));
    }
    let unverified = Unverified::parse(text).map_err(|_| invalid(malformed))?;
    let claims: Map<String, Value> = unverified.claims().map_err(|_| invalid(malformed))?;
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or_else(|| invalid(malformed))?;
    let trusted = &services.config.registration.software_statement_issuers;
    let trusted = trusted.iter().find(|trusted| trusted.issuer == issuer);
    let trusted = trusted.ok_or_else(|| {
        unapproved("this server does not rely on the software_statement's issuer")
    })?;
    let keys = keys(services, trusted).await?;
    let accept = Accept { algorithms: SigningAlgorithm::ASYMMETRIC, types: Types::Any };
    let claims: Map<String, Value> = keys
        .verify(text, &accept)
        .map_err(|_| invalid("the software_statement is not signed by its issuer"))?;
    let now = services.now().seconds();
    let moment = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| invalid(malformed)),
    };
    if moment("exp")?.is_some_and(|end| now >= end) || moment("nbf")?.is_some_and(|from| now < from)
    {
        return Err(invalid("the software_statement is not valid now"));
    }
    Ok(Statement { issuer: trusted.issuer.clone(), claims, text: text.to_owned() })
}

async fn keys(services: &Services, issuer: &StatementIssuer) -> Result<PeerKeys, OAuthError> {
    let url = match &issuer.keys {
        StatementKeys::Given(set) => return Ok(PeerKeys::new(&set.keys)),
        StatementKeys::At(url) => url,
    };
    let unavailable = |why: String| {
        tracing::warn!(error = why, "the keys of a statement issuer can't be had: {why}");
        let text = "the keys of the software_statement's issuer can't be had now";
        OAuthError {
            retry_after: Some(30),
            ..OAuthError::new(ErrorCode::TemporarilyUnavailable, text)
        }
    };
    let fetched = services.outbound.get(url, "application/jwk-set+json, application/json").await;
    let fetched = fetched.map_err(|error| unavailable(error.to_string()))?;
    if fetched.status != 200 {
        return Err(unavailable(format!("status {}", fetched.status)));
    }
    let set: JwkSet =
        serde_json::from_slice(&fetched.body).map_err(|error| unavailable(error.to_string()))?;
    Ok(PeerKeys::new(&set.keys))
}
