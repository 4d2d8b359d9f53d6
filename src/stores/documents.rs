//! What is kept beside the log that is no history and follows from nothing in
//! it: small documents, each written by whoever read it last.

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is of: `event_group`.
    pub kind: &'static str,
    /// Names it among its kind.
    pub key: String,
    /// How often it has been written; 0: not yet.
    pub version: u64,
    /// JSON.
    pub body: String,
}
