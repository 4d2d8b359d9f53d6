//! What a person approved: the facts that tokens are made from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, SessionId, SubjectId};
use crate::protocol::authorization_details::AuthorizationDetails;
use crate::protocol::claims::ClaimNames;
use crate::protocol::scope::Scope;
use crate::time::UnixTime;

/// A person proved who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authentication {
    /// Who.
    pub subject: SubjectId,
    /// In which browser session; absent where a client brought what they log in by
    /// (RFC 6749 §4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// `auth_time`: when they last entered their credentials.
    pub auth_time: UnixTime,
    /// `acr` (OpenID Connect Core §2).
    pub acr: String,
    /// `amr` (RFC 8176).
    pub amr: Vec<String>,
}

/// What a client has been authorized to do, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authorization {
    /// The client.
    pub client_id: ClientId,
    /// The person and their authentication; absent where the client acts for
    /// itself (RFC 6749 §4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The scope granted.
    pub scope: Scope,
    /// The claims granted by name (OpenID Connect Core §5.5).
    #[serde(default, skip_serializing_if = "ClaimNames::is_empty")]
    pub claims: ClaimNames,
    /// What it may do in detail (RFC 9396).
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
}

impl Authorization {
    /// The person, if there is one.
    #[must_use]
    pub fn subject(&self) -> Option<SubjectId> {
        self.authentication.as_ref().map(|authentication| authentication.subject)
    }
}
