//! `[scopes.NAME]`: what the operator's own scopes mean.

use super::declaration::{Check, Report, settings};

settings! {
    /// Scopes of your own, besides the standard ones: a table each, [scopes.NAME], with the
    /// name in quotes where it has a colon or the like, as in [scopes."accounts:read"]. A
    /// client may use those that it is registered for. A scope that is defined while the
    /// server runs (`chancery scope add`, `chancery scope set`) is what it is defined to be
    /// there, whatever stands here.
    ///
    /// All tables together can be given in the environment, as one inline table:
    /// `CHANCERY_SCOPES='{ "accounts:read" = { description = "See your accounts" } }'`
    ScopeText in "scopes" {
        /// What a person is asked to agree to: it follows on "would like to".
        description: String = required "see your accounts and their balances";
        /// Claims about the person that come with the scope.
        claims: Vec<String> = default [];
        /// It reaches beyond what one person grants: a client that registered itself never
        /// has it.
        privileged: bool = default false;
    }
}

impl Check for ScopeText {
    fn check(&self, _: &mut Report<'_>) {}
}

/// Is this a scope token (RFC 6749 §3.3)?
#[must_use]
pub fn is_scope_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
