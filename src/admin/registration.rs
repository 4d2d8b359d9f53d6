//! Operations on initial access tokens (RFC 7591 §1.2).

use chancery_domain::ids::RegistrationTokenId;
use chancery_domain::registration_token::{
    Constraints, IssuedToken, RegistrationTokenCommand, RegistrationTokenError,
    RegistrationTokenIssued,
};
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdminError, Confidential, Outcome};
use crate::aggregates::{ExecuteError, Origin};
use crate::handles::Handle;
use crate::services::Services;

/// A token about to be issued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewRegistrationToken {
    /// What it is for.
    pub label: Option<String>,
    /// How many clients it registers; absent: any number.
    pub uses: Option<u32>,
    /// Absent: it does not end by itself.
    pub expires_at: Option<UnixTime>,
    #[serde(default)]
    pub constraints: Constraints,
}

/// A token as its operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationTokenView {
    pub token_id: RegistrationTokenId,
    /// Shown once: where it was issued just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Confidential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `good`, `used up`, `expired` or `revoked`
    pub state: String,
    /// How many clients were registered by it.
    pub used: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    pub issued_at: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Constraints::are_none")]
    pub constraints: Constraints,
}

impl RegistrationTokenView {
    /// A token without its secret.
    #[must_use]
    pub fn of(token: &IssuedToken, now: UnixTime) -> Self {
        let issued = token.issued.clone();
        Self {
            token_id: issued.token_id,
            token: None,
            label: issued.label,
            state: match token.check(now) {
                Ok(()) => "good",
                Err(RegistrationTokenError::UsedUp) => "used up",
                Err(RegistrationTokenError::Expired) => "expired",
                Err(_) => "revoked",
            }
            .to_owned(),
            used: token.used,
            uses: issued.uses,
            issued_at: issued.at,
            expires_at: issued.expires_at,
            constraints: issued.constraints,
        }
    }
}

pub(super) async fn issue(
    services: &Services,
    new: NewRegistrationToken,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let NewRegistrationToken { label, uses, expires_at, constraints } = new;
    let now = services.now();
    let token_id = services.entropy.uuid_v7(services.clock.now_ms());
    let handle = Handle::mint(RegistrationTokenId::from_uuid(token_id), &*services.entropy);
    let command = RegistrationTokenCommand::Issue(Box::new(RegistrationTokenIssued {
        token_id: handle.owner,
        secret: handle.secret.digest(),
        label,
        uses,
        expires_at,
        constraints,
        at: now,
    }));
    execute(services, handle.owner, command, origin).await?;
    let mut view = view(services, handle.owner).await?;
    view.token = Some(Confidential::new(handle.encode()));
    Ok(Outcome::RegistrationToken(Box::new(view)))
}

pub(super) async fn revoke(
    services: &Services,
    token_id: RegistrationTokenId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let command = RegistrationTokenCommand::Revoke { now: services.now() };
    services.registration_tokens.forget(&token_id.to_string());
    execute(services, token_id, command, origin).await?;
    Ok(Outcome::RegistrationToken(Box::new(view(services, token_id).await?)))
}

async fn execute(
    services: &Services,
    token_id: RegistrationTokenId,
    command: RegistrationTokenCommand,
    origin: Origin,
) -> Result<(), AdminError> {
    let work = services.work(origin)?;
    let id = token_id.to_string();
    match services.registration_tokens.execute(&id, vec![command], work).await {
        Ok(_) => Ok(()),
        Err(ExecuteError::Refused(RegistrationTokenError::Unknown)) => {
            Err(AdminError::not_found("registration token", &id))
        }
        Err(ExecuteError::Refused(error)) => Err(AdminError::Invalid(error.to_string())),
        Err(ExecuteError::Load(error)) => Err(error.into()),
        Err(ExecuteError::Append(error)) => Err(error.into()),
    }
}

async fn view(
    services: &Services,
    token_id: RegistrationTokenId,
) -> Result<RegistrationTokenView, AdminError> {
    let id = token_id.to_string();
    let folded = services.registration_tokens.get(&id).await?;
    let token = folded.state.issued();
    let token = token.ok_or_else(|| AdminError::not_found("registration token", &id))?;
    Ok(RegistrationTokenView::of(token, services.now()))
}
