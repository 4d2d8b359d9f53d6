//! `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5).

use chancery_domain::grant::{Grant, GrantCommand, GrantError, GrantEvent, RedeemCode};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::pkce::CodeVerifier;
use chancery_domain::secret::AuthorizationCode;
use serde_json::Map;

use super::{TokenRequest, active, check_account, invalid_grant};
use crate::handles::Handle;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::tokens::{About, IdTokenEncryption, Issuer, TokenResponse, ask_hooks, plan};

pub(super) async fn redeem(
    services: &Services,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, OAuthError> {
    let code = request.required("code")?;
    let redirect_uri = request.once("redirect_uri")?.map(str::to_owned);
    let verifier = request.once("code_verifier")?.map(CodeVerifier::parse).transpose();
    let verifier = verifier.map_err(|error| OAuthError::invalid_request(error.to_string()))?;
    let code = Handle::<AuthorizationCode>::decode(code).ok_or_else(invalid_grant)?;

    // The nonce, the account and the client's keys are looked up before the code is spent.
    let before =
        services.grants.look_for(code.owner, |grant| matches!(grant, Grant::CodeIssued(_))).await?;
    let mut nonce = None;
    let mut encryption = IdTokenEncryption::default();
    if let Grant::CodeIssued(stage) = &before {
        check_account(services, &stage.authorization).await?;
        let scope = &stage.authorization.scope;
        encryption = IdTokenEncryption::of(services, &request.client, scope).await?;
        if stage.request.sealed.is_some() {
            let sealed = services.grants.unseal(code.owner).await?;
            nonce.clone_from(&sealed.nonce);
        }
    }
    let mut plan = plan(services, &services.keys.get(), &request.client.metadata)
        .map_err(|error| OAuthError::internal(&error))?;
    let apart = match &before {
        // Of a code that is wrong, or another client's, nobody is told.
        Grant::CodeIssued(stage)
            if stage.code == code.secret.digest()
                && stage.authorization.client_id == request.client.client_id =>
        {
            let about = About {
                client: &request.client,
                grant_type: GrantType::AuthorizationCode.as_str(),
                grant: code.owner,
                authorization: &stage.authorization,
                scope: &stage.authorization.scope,
            };
            ask_hooks(services, about, &mut plan).await?
        }
        _ => None,
    };
    let command = GrantCommand::RedeemCode(RedeemCode {
        client_id: request.client.client_id.clone(),
        code: code.secret.digest(),
        redirect_uri,
        verifier,
        plan,
        now: services.now(),
    });
    let mut origin = request.origin.clone();
    origin.subject = before.subject();
    let mut work = services.work(origin)?;
    work.apart = apart;
    let done = services.grants.execute(code.owner, vec![command], work).await?;
    if let Some(refusal) = done.refusal() {
        return Err(refusal.into());
    }
    let tokens = done.events.iter().find_map(GrantEvent::issued_tokens);
    let tokens = tokens.ok_or(GrantError::Unknown)?;
    let stage = active(&done.grant)?;
    let answering = Issuer {
        services,
        client: &request.client,
        grant: code.owner,
        authorization: &stage.authorization,
        seed: stage.seed.as_ref(),
        nonce: nonce.as_deref(),
        encryption: &encryption,
        released: &Map::new(),
    };
    answering.render(tokens).await
}
