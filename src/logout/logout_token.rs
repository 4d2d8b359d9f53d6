//! The logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).

use std::sync::Arc;

use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::ClientId;
use chancery_domain::session::Begun;
use chancery_domain::time::{Lifetime, UnixTime};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::keys::KeysError;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::subjects::{session_for, subject_for};

/// §2.4: at most two minutes, so that a token that is stolen on its way is of little use.
const LIFETIME: Lifetime = Lifetime::from_seconds(120);

/// §2.4: an explicit type, so that no ID token is taken for it, nor it for one.
const TYPE: &str = "logout+jwt";

#[derive(Serialize)]
struct LogoutClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a ClientId,
    iat: UnixTime,
    exp: UnixTime,
    jti: String,
    events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

/// What it says has happened; the member's value is an empty object.
#[derive(Serialize)]
struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    backchannel_logout: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum LogoutTokenError {
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Signing(#[from] OAuthError),
    #[error("the claims can't be written: {0}")]
    Claims(#[from] serde_json::Error),
    #[error("the signing task died: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Makes one: another for each attempt, since each is good for two minutes. Signed as the
/// client's ID tokens are (§2.4).
pub async fn make(
    services: &Services,
    client: &RegisteredClient,
    session: &Begun,
) -> Result<String, LogoutTokenError> {
    let now = services.now();
    let keys = services.keys.get();
    let claims = LogoutClaims {
        iss: services.issuer(),
        sub: subject_for(&keys, client, session.authentication.subject),
        aud: &client.client_id,
        iat: now,
        exp: now + LIFETIME,
        jti: services.entropy.uuid_v4().simple().to_string(),
        events: Events { backchannel_logout: Empty {} },
        sid: session.authentication.session_id.map(|id| session_for(&keys, client, id)),
    };
    let default = services.config.keys.signing_algorithm;
    let algorithm = client.metadata.id_token_signed_response_alg.unwrap_or(default);
    let key = keys.signing(algorithm)?;
    if !key.is_slow() {
        return Ok(key.sign(TYPE, &claims).map_err(OAuthError::from)?);
    }
    let (key, claims) = (Arc::clone(key), to_raw_value(&claims)?);
    let signed = tokio::task::spawn_blocking(move || key.sign(TYPE, &claims)).await?;
    Ok(signed.map_err(OAuthError::from)?)
}
