//! What can be asked of a grant. Time, ids and digests come with the command.

use std::sync::Arc;

use super::events::RevocationCause;
use super::tokens::TokenPlan;
use crate::authorization::{Authentication, Authorization, AuthorizationRequest};
use crate::ids::{ClientId, SessionId};
use crate::protocol::claims::ClaimNames;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::CodeVerifier;
use crate::protocol::scope::Scope;
use crate::secret::{AuthorizationCode, Digest, RequestUri};
use crate::time::{Lifetime, UnixTime};

/// A command to a grant.
#[derive(Debug, Clone)]
pub enum GrantCommand {
    /// A client pushes an authorization request (RFC 9126).
    Push(PushRequest),
    /// A browser brings an authorization request.
    Request(ReceiveRequest),
    /// The person is known.
    Authenticate(AuthenticateSubject),
    /// The person (or what they said before) consents: a code is issued, or
    /// tokens by the browser, or both, as the response type has it.
    Approve(Approve),
    /// The request ends without a code.
    Decline(Decline),
    /// A client redeems a code (RFC 6749 §4.1.3).
    RedeemCode(RedeemCode),
    /// A client uses a refresh token (RFC 6749 §6).
    Refresh(UseRefreshToken),
    /// A client gets tokens without a person.
    IssueDirectly(IssueDirectly),
    /// One access token ends.
    RevokeAccessToken(RevokeAccessToken),
    /// The grant ends.
    Revoke(Revoke),
}

/// See [`GrantCommand::Push`].
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// The digest of the secret in the `request_uri` minted for it.
    pub request_uri: Digest<RequestUri>,
    /// Now.
    pub now: UnixTime,
    /// How long the `request_uri` lasts.
    pub lifetime: Lifetime,
}

/// See [`GrantCommand::Request`].
#[derive(Debug, Clone)]
pub struct ReceiveRequest {
    /// The request.
    pub request: Arc<AuthorizationRequest>,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::Authenticate`].
#[derive(Debug, Clone)]
pub struct AuthenticateSubject {
    /// Who, and how.
    pub authentication: Authentication,
    /// The `request_uri` that the browser brought: exactly for a pushed
    /// request, at each login. [`super::Grant::check_request_uri`] was asked when it
    /// came; the login itself may take longer than it lasts.
    pub request_uri: Option<Digest<RequestUri>>,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::Approve`].
#[derive(Debug, Clone)]
pub struct Approve {
    /// The browser session that approves: it must be the one that the grant
    /// was last authenticated in. Two people may have opened the same
    /// `request_uri`, and one must not approve in the other's name.
    pub session_id: SessionId,
    /// The scope consented to: within the one asked for.
    pub scope: Scope,
    /// The claims consented to by name: among those asked for.
    pub claims: ClaimNames,
    /// What the person saw; none: a consent given earlier, or a client that
    /// needs none.
    pub presented: Option<super::events::Presented>,
    /// The digest of the code minted, should one be asked for.
    pub code: Digest<AuthorizationCode>,
    /// How long the code lasts.
    pub lifetime: Lifetime,
    /// What would be issued by the browser, should that be asked for.
    pub plan: TokenPlan,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::Decline`].
#[derive(Debug, Clone)]
pub struct Decline {
    /// Why.
    pub reason: super::events::DeclineReason,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::RedeemCode`].
#[derive(Debug, Clone)]
pub struct RedeemCode {
    /// The client that presents it, authenticated.
    pub client_id: ClientId,
    /// The digest of the code presented.
    pub code: Digest<AuthorizationCode>,
    /// `redirect_uri` as sent; None: not sent.
    pub redirect_uri: Option<String>,
    /// `code_verifier`
    pub verifier: Option<CodeVerifier>,
    /// What would be issued.
    pub plan: TokenPlan,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::Refresh`].
#[derive(Debug, Clone)]
pub struct UseRefreshToken {
    /// The client that presents it, authenticated.
    pub client_id: ClientId,
    /// The generation that the token names.
    pub generation: u32,
    /// Was the token really derived for this grant and generation? Only the
    /// holder of the handle key can tell.
    pub genuine: bool,
    /// `scope`: within that of the grant; None: all of it.
    pub scope: Option<Scope>,
    /// What its use does to it.
    pub policy: RefreshPolicy,
    /// Is the person there?
    pub presence: Presence,
    /// What would be issued.
    pub plan: TokenPlan,
    /// Now.
    pub now: UnixTime,
}

/// What the use of a refresh token does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// It is replaced (RFC 9700 §4.14.2); else it stays good.
    pub rotate: bool,
    /// Its lifetime begins anew; else the end of the first one is the end.
    pub extend: bool,
    /// How long after its use a token gets the same successor again.
    pub grace: Lifetime,
    /// The whole family ends this long after the first token, however often it
    /// is used.
    pub absolute_lifetime: Option<Lifetime>,
}

/// Is the person logged in at the moment?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nobody wants to know.
    NotAsked,
    /// The session that they logged in with is good.
    Present,
    /// It is over, or there never was one.
    Absent,
}

/// See [`GrantCommand::IssueDirectly`].
#[derive(Debug, Clone)]
pub struct IssueDirectly {
    /// By which grant type.
    pub grant_type: GrantType,
    /// For whom.
    pub authorization: Authorization,
    /// What is issued.
    pub plan: TokenPlan,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::RevokeAccessToken`].
#[derive(Debug, Clone)]
pub struct RevokeAccessToken {
    /// The client that asks, authenticated.
    pub client_id: ClientId,
    /// Which one.
    pub number: u32,
    /// Now.
    pub now: UnixTime,
}

/// See [`GrantCommand::Revoke`].
#[derive(Debug, Clone)]
pub struct Revoke {
    /// Why.
    pub cause: RevocationCause,
    /// Now.
    pub now: UnixTime,
}
