//! Every error of the domain and the server, as OAuth names it. The only place
//! where error codes stand.

use std::borrow::Cow;

use chancery_domain::authorization::RequestError;
use chancery_domain::grant::{DeclineReason, GrantError};
use chancery_domain::time::Lifetime;

use crate::accounts::AccountFailure;
use crate::actors::grant::GrantFailure;
use crate::aggregates::{ExecuteError, LoadError, VaultError};
use crate::hooks::Refusal as HookRefusal;
use crate::jose::KeyError;
use crate::passwords::PasswordError;
use crate::sealing::SealingFailed;
use crate::stores::{AppendError, StoreError};

/// An error code of the registries (RFC 6749 §11.4, RFC 7591 §3.2.2, OpenID
/// Connect Core §3.1.2.6, OpenID Connect Core Error Code
/// `unmet_authentication_requirements`, RFC 9396 §15.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
    ServerError,
    TemporarilyUnavailable,
    LoginRequired,
    ConsentRequired,
    AccountSelectionRequired,
    UnmetAuthenticationRequirements,
    RequestNotSupported,
    RequestUriNotSupported,
    RegistrationNotSupported,
    InvalidRequestUri,
    InvalidRequestObject,
    InvalidToken,
    InsufficientScope,
    InvalidRedirectUri,
    InvalidClientMetadata,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
    InvalidAuthorizationDetails,
}

impl ErrorCode {
    /// As it stands in a response.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
        }
    }

    /// The status of an answer with this error (RFC 6749 §5.2, RFC 6750 §3.1).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// An error for a client, or for a person where no client can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    pub code: ErrorCode,
    pub description: Cow<'static, str>,
    /// Another status than the code's own: 429 where a budget is used up.
    pub status: Option<u16>,
    /// Seconds to wait.
    pub retry_after: Option<u32>,
}

impl OAuthError {
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), status: None, retry_after: None }
    }

    #[must_use]
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// The description in the characters that an answer, a redirect and a challenge may have
    /// (RFC 6749 §5.2 and §4.1.2.1, RFC 6750 §3): what hooks and parsers say may have others.
    #[must_use]
    pub fn plain_description(&self) -> Cow<'_, str> {
        let plain = |character| match character {
            '"' | '\\' => '\'',
            ' '..='~' => character,
            _ => '?',
        };
        if self.description.chars().all(|character| plain(character) == character) {
            return Cow::Borrowed(&self.description);
        }
        Cow::Owned(self.description.chars().map(plain).collect())
    }

    /// The store or a queue can't take more: come again.
    #[must_use]
    pub fn busy() -> Self {
        let text = "the server has too much to do; please try again shortly";
        Self { retry_after: Some(1), ..Self::new(ErrorCode::TemporarilyUnavailable, text) }
    }

    /// Somebody asks too often (RFC 6585 §4): come again after this time.
    #[must_use]
    pub fn too_many(description: impl Into<Cow<'static, str>>, wait: Lifetime) -> Self {
        let error = Self::new(ErrorCode::TemporarilyUnavailable, description);
        Self { status: Some(429), retry_after: Some(wait.seconds()), ..error }
    }

    /// Something of ours failed: the log says what, the client only that.
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed for a reason of ours: {cause}");
        Self::new(ErrorCode::ServerError, "the server failed; the request may be tried again")
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.code.status())
    }
}

impl From<RequestError> for OAuthError {
    fn from(error: RequestError) -> Self {
        let code = match error {
            RequestError::TargetRepeated
            | RequestError::RedirectUriNotRegistered
            | RequestError::RedirectUriMissing
            | RequestError::ParameterRepeated
            | RequestError::RequestUriPushed
            | RequestError::TwoRequestObjects
            | RequestError::MustBeSigned
            | RequestError::ResponseModeUnknown
            | RequestError::ResponseModeNotAllowed
            | RequestError::ResponseTypeMissing
            | RequestError::MustBePushed
            | RequestError::NonceMissing
            | RequestError::PkceRequired
            | RequestError::Pkce(_)
            | RequestError::Prompt(_)
            | RequestError::MaxAgeMalformed
            | RequestError::Claims(_) => ErrorCode::InvalidRequest,
            RequestError::AuthorizationDetails => ErrorCode::InvalidAuthorizationDetails,
            RequestError::RequestUri(_) => ErrorCode::InvalidRequestUri,
            RequestError::RequestObject(_) => ErrorCode::InvalidRequestObject,
            RequestError::RequestNotSupported => ErrorCode::RequestNotSupported,
            RequestError::RequestUriNotSupported => ErrorCode::RequestUriNotSupported,
            RequestError::RegistrationNotSupported => ErrorCode::RegistrationNotSupported,
            RequestError::ResponseTypeUnknown => ErrorCode::UnsupportedResponseType,
            RequestError::ResponseTypeNotAllowed => ErrorCode::UnauthorizedClient,
            RequestError::ScopeMalformed
            | RequestError::ScopeNotAllowed
            | RequestError::OpenidMissing => ErrorCode::InvalidScope,
        };
        Self::new(code, error.to_string())
    }
}

/// At the token endpoint. One text for all that an attacker could learn from.
impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let code = match error {
            GrantError::RequestUriExpired | GrantError::RequestUriUsed => {
                ErrorCode::InvalidRequestUri
            }
            GrantError::ScopeTooWide | GrantError::ScopeBeyondRequest => ErrorCode::InvalidScope,
            GrantError::Unknown
            | GrantError::Begun
            | GrantError::Answered
            | GrantError::CodeExpired
            | GrantError::CodeReplayed
            | GrantError::RefreshTokenExpired
            | GrantError::RefreshTokenReused
            | GrantError::SubjectAbsent
            | GrantError::Refused(_)
            | GrantError::Revoked
            | GrantError::WrongClient => ErrorCode::InvalidGrant,
        };
        let text = match error {
            GrantError::RequestUriExpired => "the request_uri has expired: push the request again",
            GrantError::RequestUriUsed => "the request_uri has been used: push the request again",
            GrantError::ScopeTooWide => "the scope is wider than the one that was granted",
            GrantError::ScopeBeyondRequest => "the scope is wider than the one asked for",
            GrantError::CodeExpired => "the authorization code has expired",
            GrantError::SubjectAbsent => "the person is not logged in any more",
            GrantError::Answered => "the request has been answered already",
            GrantError::Unknown
            | GrantError::Begun
            | GrantError::CodeReplayed
            | GrantError::RefreshTokenExpired
            | GrantError::RefreshTokenReused
            | GrantError::Refused(_)
            | GrantError::Revoked
            | GrantError::WrongClient => {
                "it is invalid, expired, revoked, used, or was issued to another client"
            }
        };
        Self::new(code, text)
    }
}

/// In an authorization response (OpenID Connect Core §3.1.2.6).
impl From<DeclineReason> for OAuthError {
    fn from(reason: DeclineReason) -> Self {
        let (code, text) = match reason {
            DeclineReason::ConsentDenied => (ErrorCode::AccessDenied, "the person did not consent"),
            DeclineReason::LoginCancelled => (ErrorCode::AccessDenied, "the person did not log in"),
            DeclineReason::LoginRequired => (ErrorCode::LoginRequired, "nobody is logged in"),
            DeclineReason::ConsentRequired => {
                (ErrorCode::ConsentRequired, "the person has not consented")
            }
            DeclineReason::AccountSelectionRequired => {
                (ErrorCode::AccountSelectionRequired, "the person has to choose an account")
            }
            DeclineReason::AccountUnusable => {
                (ErrorCode::AccessDenied, "the account can't be used")
            }
            DeclineReason::DeniedByPolicy => {
                (ErrorCode::AccessDenied, "a policy of this server refuses the request")
            }
            DeclineReason::AuthenticationUnmet => (
                ErrorCode::UnmetAuthenticationRequirements,
                "no login here is of an authentication context class that is demanded",
            ),
        };
        Self::new(code, text)
    }
}

impl From<GrantFailure> for OAuthError {
    fn from(failure: GrantFailure) -> Self {
        match failure {
            GrantFailure::Refused(error) => error.into(),
            GrantFailure::Append(error) => error.into(),
            GrantFailure::Load(error) => error.into(),
            GrantFailure::Vault(error) => error.into(),
            GrantFailure::Gone => Self::internal(&failure),
        }
    }
}

impl From<AppendError> for OAuthError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overloaded | AppendError::Conflict => Self::busy(),
            AppendError::NameTaken | AppendError::AlreadyUsed => Self::internal(&error),
            AppendError::Unavailable(_) => {
                tracing::error!(error = %error, "the store could not write: {error}");
                Self::busy()
            }
        }
    }
}

/// What the operator's hooks refuse, and what goes on only by their word.
impl From<HookRefusal> for OAuthError {
    fn from(refusal: HookRefusal) -> Self {
        match refusal {
            HookRefusal::Denied(reason) => Self::new(ErrorCode::AccessDenied, reason),
            HookRefusal::Unanswered => Self::new(
                ErrorCode::ServerError,
                "a policy of this server could not be asked; the request may be tried again",
            ),
        }
    }
}

impl From<LoadError> for OAuthError {
    fn from(error: LoadError) -> Self {
        Self::internal(&error)
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<VaultError> for OAuthError {
    fn from(error: VaultError) -> Self {
        Self::internal(&error)
    }
}

impl From<KeyError> for OAuthError {
    fn from(error: KeyError) -> Self {
        Self::internal(&error)
    }
}

impl From<SealingFailed> for OAuthError {
    fn from(error: SealingFailed) -> Self {
        Self::internal(&error)
    }
}

impl From<PasswordError> for OAuthError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::busy(),
            PasswordError::TooLong => {
                Self::new(ErrorCode::InvalidClient, "the client secret is too long")
            }
            PasswordError::UnreadableHash(_) | PasswordError::Hashing(_) => Self::internal(&error),
        }
    }
}

impl From<AccountFailure> for OAuthError {
    fn from(failure: AccountFailure) -> Self {
        match failure {
            AccountFailure::Append(error) => error.into(),
            AccountFailure::Load(error) => error.into(),
            AccountFailure::Vault(error) => error.into(),
            AccountFailure::Refused(_) | AccountFailure::Unreadable(_) => Self::internal(&failure),
        }
    }
}

impl<E: std::error::Error> From<ExecuteError<E>> for OAuthError {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Refused(_) => Self::internal(&error),
            ExecuteError::Load(error) => error.into(),
            ExecuteError::Append(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6749 §4.1.2.1
    #[test]
    fn a_description_is_told_in_the_characters_that_it_may_have() {
        let error = OAuthError::invalid_request("no \"such\\way\" in Zürich §5\n");
        assert_eq!(error.plain_description(), "no 'such'way' in Z?rich ?5?");
    }
}
