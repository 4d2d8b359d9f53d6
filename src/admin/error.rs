//! Why an operation was not carried out: in the words that its operator reads,
//! and in kinds that exit codes and status codes follow from.

use chancery_domain::account::AccountError;
use chancery_domain::client::ClientError;
use chancery_domain::grant::GrantError;
use chancery_domain::ids::GrantId;
use serde::{Deserialize, Serialize};

use crate::accounts::AccountFailure;
use crate::actors::grant::GrantFailure;
use crate::aggregates::{ExecuteError, LoadError, VaultError};
use crate::erasure;
use crate::keys::KeysError;
use crate::passwords::PasswordError;
use crate::stores::{AppendError, StoreError};

/// Why an operation was not carried out. Nothing of it was, then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "what", rename_all = "snake_case")]
pub enum AdminError {
    #[error("no such {what}: {name}")]
    NotFound { what: String, name: String },
    /// It contradicts itself, or what clients and accounts may be.
    #[error("{0}")]
    Invalid(String),
    /// It conflicts with what is there.
    #[error("{0}")]
    Refused(String),
    /// The store can't be used now.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

impl AdminError {
    pub(super) fn not_found(what: &str, name: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound { what: what.to_owned(), name: name.to_string() }
    }

    pub(super) fn of_client(error: ExecuteError<ClientError>, client_id: &str) -> Self {
        match error {
            ExecuteError::Refused(ClientError::Unknown) => Self::not_found("client", client_id),
            ExecuteError::Refused(error @ ClientError::Exists) => Self::Refused(error.to_string()),
            ExecuteError::Refused(ClientError::SecretMismatch) => Self::Refused(
                "a client can't change between having a secret and having none: register another"
                    .to_owned(),
            ),
            ExecuteError::Refused(
                error @ (ClientError::Metadata(_) | ClientError::PrivilegedScope(_)),
            ) => Self::Invalid(error.to_string()),
            ExecuteError::Load(error) => error.into(),
            ExecuteError::Append(error) => error.into(),
        }
    }

    pub(super) fn of_account(failure: AccountFailure, name: &str) -> Self {
        match failure {
            AccountFailure::Refused(AccountError::Unknown) => Self::not_found("account", name),
            AccountFailure::Refused(
                error @ (AccountError::Exists
                | AccountError::ResetRefused
                | AccountError::Locked
                | AccountError::Erased
                | AccountError::NotBeingErased),
            ) => Self::Refused(error.to_string()),
            AccountFailure::Append(AppendError::NameTaken) => {
                Self::Refused("there is an account with this name already".to_owned())
            }
            AccountFailure::Vault(VaultError::Gone) => {
                Self::Refused("the account was erased: what it held is gone".to_owned())
            }
            AccountFailure::Load(error) => error.into(),
            AccountFailure::Vault(error) => error.into(),
            AccountFailure::Append(error) => error.into(),
            failure @ AccountFailure::Unreadable(_) => Self::Failed(failure.to_string()),
        }
    }

    pub(super) fn of_erasure(failure: erasure::Failure) -> Self {
        match failure {
            erasure::Failure::Account(error) => Self::of_account(error, ""),
            erasure::Failure::Store(error) => error.into(),
            failure => Self::Unavailable(failure.to_string()),
        }
    }

    pub(super) fn of_grant(failure: GrantFailure, grant_id: GrantId) -> Self {
        match failure {
            GrantFailure::Refused(GrantError::Unknown) => Self::not_found("grant", &grant_id),
            GrantFailure::Refused(error) => Self::Refused(error.to_string()),
            GrantFailure::Load(error) => error.into(),
            GrantFailure::Append(error) => error.into(),
            GrantFailure::Vault(error) => error.into(),
            failure @ GrantFailure::Gone => Self::Failed(failure.to_string()),
        }
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LoadError> for AdminError {
    fn from(error: LoadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<AppendError> for AdminError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Refused(
                "somebody else changed the same thing at the same time: try again".to_owned(),
            ),
            AppendError::NameTaken | AppendError::AlreadyUsed => Self::Refused(error.to_string()),
            AppendError::Overloaded | AppendError::Unavailable(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<VaultError> for AdminError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<KeysError> for AdminError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => error.into(),
            KeysError::Load(error) => error.into(),
            KeysError::Append(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<PasswordError> for AdminError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooLong => Self::Invalid(error.to_string()),
            PasswordError::Overloaded => Self::Unavailable(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}
