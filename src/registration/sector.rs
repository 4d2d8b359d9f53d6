//! Sector identifiers (OpenID Connect Registration §5, Core §8.1): clients that
//! know people by the same pairwise `sub` must belong together.

use chancery_domain::client::ClientMetadata;
use url::Url;

use super::invalid;
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// Refuses a sector identifier that does not list every redirect URI of the
/// client. (That several hosts need one is in the metadata's own check.)
pub async fn check(services: &Services, metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(uri) = &metadata.sector_identifier_uri else { return Ok(()) };
    let url = Url::parse(uri).map_err(|_| invalid("sector_identifier_uri is not a URL"))?;
    let fetched = services.outbound.get(&url, "application/json").await.map_err(|error| {
        tracing::info!(%error, "a sector identifier can't be had: {error}");
        invalid("sector_identifier_uri can't be fetched")
    })?;
    let listed: Option<Vec<String>> = Some(fetched)
        .filter(|fetched| fetched.status == 200)
        .and_then(|fetched| serde_json::from_slice(&fetched.body).ok());
    let listed = listed
        .ok_or_else(|| invalid("sector_identifier_uri does not give a JSON array of strings"))?;
    let is_listed = |uri: &str| listed.iter().any(|own| own == uri);
    if !metadata.redirect_uris.iter().all(|uri| is_listed(uri.as_str())) {
        return Err(invalid("sector_identifier_uri does not list every redirect_uri"));
    }
    Ok(())
}
