//! Chancery's facts and decisions: no IO, no clock, no randomness, no HTTP, no SQL.
#![warn(missing_docs)]

pub mod digest;
pub mod envelope;
pub mod ids;
pub mod protocol;
pub mod secret;
pub mod time;
