//! Why a question has no answer.

use std::fmt;

use chancery_projections::Undecodable;

use crate::stores::StoreError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("no such {what}: {name}")]
    NotFound { what: &'static str, name: String },
    /// What was asked for can't be.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of a newer version, or a damaged one.
    #[error(transparent)]
    Unreadable(#[from] Undecodable),
}

impl AuditError {
    pub(super) fn not_found(what: &'static str, name: &impl fmt::Display) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }
}
