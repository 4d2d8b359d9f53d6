//! What lives as long as the server: grants in memory, and those who write,
//! read and tidy.

pub mod committer;
pub mod grant;
pub mod router;
