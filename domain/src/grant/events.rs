//! What has happened to a grant: a public, versioned format.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::GrantError;
use super::tokens::{FrontChannelTokens, IssuedTokens};
use crate::authorization::{Authentication, Authorization, AuthorizationRequest};
use crate::digest::Sha256Digest;
use crate::event::events;
use crate::ids::ClientId;
use crate::protocol::claims::ClaimNames;
use crate::protocol::grant_type::GrantType;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::secret::{AuthorizationCode, Digest, RequestUri};
use crate::time::UnixTime;

events! {
    /// What has happened to a grant.
    GrantEvent {
        RequestPushed = "1",
        RequestReceived = "1",
        SubjectAuthenticated = "1",
        ConsentGiven = "1",
        RequestDeclined = "1",
        CodeIssued = "1",
        FrontChannelTokensIssued = "1",
        CodeRedeemed = "1",
        CodeReplayed = "1",
        RefreshTokenRotated = "1",
        RefreshTokenUsed = "1",
        RefreshTokenReused = "1",
        RefusalNoted = "1",
        TokensIssued = "1",
        AccessTokenRevoked = "1",
        GrantRevoked = "1",
    }
}

/// A client pushed an authorization request (RFC 9126 §2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestPushed {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// The digest of the secret in its `request_uri`.
    pub request_uri: Digest<RequestUri>,
    /// When.
    pub at: UnixTime,
    /// When the `request_uri` ends.
    pub expires_at: UnixTime,
}

/// A browser brought an authorization request, and a person to answer it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestReceived {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// When.
    pub at: UnixTime,
}

/// The person is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubjectAuthenticated {
    /// Who, and how.
    #[serde(flatten)]
    pub authentication: Authentication,
}

/// The person consented, now or before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentGiven {
    /// To what.
    pub scope: Scope,
    /// To which claims by name (OpenID Connect Core §5.5).
    #[serde(default, skip_serializing_if = "ClaimNames::is_empty")]
    pub claims: ClaimNames,
    /// What they saw; absent: nothing was asked, because they had consented before,
    /// or because the client needs no consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<Presented>,
}

/// What a person saw when they were asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Presented {
    /// The language of the page (BCP 47).
    pub locale: String,
    /// SHA-256 of the text shown.
    pub text: Sha256Digest,
    /// The scopes with their descriptions as shown.
    pub scopes: Vec<PresentedScope>,
    /// The claims asked for by name that no such scope brings, as shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<PresentedClaim>,
}

/// One claim on the consent page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PresentedClaim {
    /// The claim.
    pub name: String,
    /// Its description as shown.
    pub description: String,
}

/// One line of the consent page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PresentedScope {
    /// The scope.
    pub name: String,
    /// Its description as shown.
    pub description: String,
}

/// The request ended without a code; the client was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestDeclined {
    /// Why.
    pub reason: DeclineReason,
}

/// Why a request ended without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The person said no to the consent.
    ConsentDenied,
    /// The person went away from the login.
    LoginCancelled,
    /// Nobody was logged in and no page was allowed.
    LoginRequired,
    /// Consent was needed and no page was allowed.
    ConsentRequired,
    /// A choice of account was needed and no page was allowed.
    AccountSelectionRequired,
    /// The account may not be used any more.
    AccountUnusable,
    /// A hook of the operator's refused it.
    DeniedByPolicy,
    /// No login here is of an authentication context class that was demanded.
    AuthenticationUnmet,
}

/// A code was issued (RFC 6749 §4.1.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CodeIssued {
    /// Its digest.
    pub code: Digest<AuthorizationCode>,
    /// When.
    pub at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// Tokens were issued by the browser, with the authorization response (RFC
/// 6749 §4.2.2, OpenID Connect Core §3.2.2.5, §3.3.2.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrontChannelTokensIssued {
    /// What was asked for; with a code in it, that stands in the event before.
    pub response_type: ResponseType,
    /// The tokens.
    pub tokens: Arc<FrontChannelTokens>,
    /// When.
    pub at: UnixTime,
}

/// The code was redeemed for tokens (RFC 6749 §4.1.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CodeRedeemed {
    /// The tokens issued for it.
    pub tokens: Arc<IssuedTokens>,
}

/// The code came again (RFC 6749 §4.1.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CodeReplayed {
    /// Who presented it.
    pub client_id: ClientId,
}

/// A refresh token was used and replaced (RFC 9700 §4.14.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshTokenRotated {
    /// The tokens issued for it, its successor among them.
    pub tokens: Arc<IssuedTokens>,
    /// Until when the token used gets the same successor again.
    pub grace_until: UnixTime,
}

/// A refresh token was used and stays good (RFC 6749 §6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshTokenUsed {
    /// The tokens issued for it, itself among them.
    pub tokens: Arc<IssuedTokens>,
}

/// A refresh token came again after it had been replaced (RFC 9700 §4.14.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshTokenReused {
    /// Who presented it.
    pub client_id: ClientId,
    /// Which one it was.
    pub generation: u32,
}

/// A genuine credential was refused for a reason worth remembering: each
/// reason is noted once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalNoted {
    /// Why.
    pub reason: RefusalReason,
    /// Who presented it.
    pub client_id: ClientId,
}

/// Why a genuine credential was refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// The verifier is not the challenge's, or is missing (RFC 7636 §4.6).
    PkceMismatch,
    /// A verifier came although there was no challenge (RFC 9700 §4.8.2).
    PkceUnexpected,
    /// Another client presented it.
    WrongClient,
    /// `redirect_uri` is not that of the request (RFC 6749 §4.1.3).
    RedirectUriMismatch,
}

/// A client got tokens without a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokensIssued {
    /// By which grant type.
    pub grant_type: GrantType,
    /// For whom.
    pub authorization: Arc<Authorization>,
    /// The tokens.
    pub tokens: Arc<IssuedTokens>,
}

/// One access token was revoked (RFC 7009 §2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccessTokenRevoked {
    /// Which one.
    pub number: u32,
    /// When it would have ended anyway.
    pub expires_at: UnixTime,
}

/// The grant ended: nothing that came of it works any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrantRevoked {
    /// Why.
    #[serde(flatten)]
    pub cause: RevocationCause,
    /// When.
    pub at: UnixTime,
}

/// Why a grant ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum RevocationCause {
    /// Its code came twice.
    CodeReplayed,
    /// One of its refresh tokens came after it had been replaced.
    RefreshTokenReused,
    /// The client revoked it (RFC 7009).
    RevokedByClient,
    /// An operator revoked it.
    RevokedByOperator {
        /// Why, in the operator's words.
        reason: String,
    },
    /// The person took their consent back.
    ConsentWithdrawn,
    /// The session ended in which it was given.
    SessionEnded,
    /// The account was locked.
    AccountLocked,
    /// The account was erased.
    AccountErased,
    /// The client was disabled.
    ClientDisabled,
}

impl GrantEvent {
    /// The tokens that were issued with this event.
    #[must_use]
    pub fn issued_tokens(&self) -> Option<&Arc<IssuedTokens>> {
        match self {
            Self::CodeRedeemed(event) => Some(&event.tokens),
            Self::RefreshTokenRotated(event) => Some(&event.tokens),
            Self::RefreshTokenUsed(event) => Some(&event.tokens),
            Self::TokensIssued(event) => Some(&event.tokens),
            _ => None,
        }
    }

    /// The tokens that came by the browser with this event.
    #[must_use]
    pub fn front_channel_tokens(&self) -> Option<&Arc<FrontChannelTokens>> {
        match self {
            Self::FrontChannelTokensIssued(event) => Some(&event.tokens),
            _ => None,
        }
    }

    /// The commitment to the claims that hooks added to the tokens issued with
    /// this event: what is sealed beside it.
    #[must_use]
    pub fn added_claims(&self) -> Option<Sha256Digest> {
        if let Some(tokens) = self.front_channel_tokens() {
            let access = tokens.access.as_ref().and_then(|access| access.claims);
            return access.or(tokens.id.as_ref().and_then(|id| id.claims));
        }
        self.issued_tokens().and_then(|tokens| tokens.access.claims)
    }

    /// The refusal that this event records: the command that caused it was
    /// carried out, and its answer is this error.
    #[must_use]
    pub fn refusal(&self) -> Option<GrantError> {
        match self {
            Self::CodeReplayed(_) => Some(GrantError::CodeReplayed),
            Self::RefreshTokenReused(_) => Some(GrantError::RefreshTokenReused),
            Self::RefusalNoted(event) => Some(GrantError::Refused(event.reason)),
            _ => None,
        }
    }
}
