//! Why a grant refuses a command.

use super::events::RefusalReason;

/// Why a grant refuses a command. Nothing is written for it, unless it is
/// worth remembering ([`super::GrantEvent::refusal`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no such grant, or the secret is not its own: the two are not
    /// told apart.
    #[error("unknown or forged")]
    Unknown,
    /// The grant exists already.
    #[error("this grant has begun already")]
    Begun,
    /// The `request_uri` has ended.
    #[error("the request_uri has expired")]
    RequestUriExpired,
    /// The `request_uri` has been used.
    #[error("the request_uri has been used")]
    RequestUriUsed,
    /// The grant is at another stage, or in another person's hands.
    #[error("the request has been answered already")]
    Answered,
    /// The consent goes beyond the request.
    #[error("the consent goes beyond the request")]
    ScopeBeyondRequest,
    /// The code has ended.
    #[error("the code has expired")]
    CodeExpired,
    /// The code came again.
    #[error("the code has been used before; the grant is revoked")]
    CodeReplayed,
    /// The refresh token has ended.
    #[error("the refresh token has expired")]
    RefreshTokenExpired,
    /// The refresh token came after it had been replaced.
    #[error("the refresh token has been replaced; the grant is revoked")]
    RefreshTokenReused,
    /// The person has to be there, and is not.
    #[error("the session in which the person logged in is over")]
    SubjectAbsent,
    /// A genuine credential, used wrongly.
    #[error("refused: {0:?}")]
    Refused(RefusalReason),
    /// The scope asked for is wider than that of the grant (RFC 6749 §6).
    #[error("the scope is wider than that of the grant")]
    ScopeTooWide,
    /// The grant has been revoked.
    #[error("the grant has been revoked")]
    Revoked,
    /// The credential belongs to another client.
    #[error("it belongs to another client")]
    WrongClient,
}
