//! How a hook fails.

use std::fmt;

/// A hook gave no answer that can be used. Says nothing of what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    detail: String,
}

/// What kind of failure it is: stands in counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was cut off, or the webhook did not answer in time.
    TookTooLong,
    /// It wanted more memory, or deeper calls, than it may have.
    TooLarge,
    /// The script failed.
    Failed,
    /// The webhook could not be called, or answered with an error.
    Unreachable,
    /// What it answered is not what the point takes.
    BadAnswer,
    /// A client names a hook that there is not.
    Missing,
}

impl Kind {
    /// As counts have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TookTooLong => "took_too_long",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::BadAnswer => "bad_answer",
            Self::Missing => "missing",
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}
