//! Chancery's facts and decisions: no IO, no clock, no randomness, no HTTP, no
//! SQL.
//!
//! | aggregate | owns |
//! |---|---|
//! | [`grant`] | one authorization, from its request to its end |
//! | [`client`] | who may ask, how it proves itself, what it may have |
//! | [`account`] | a person who can log in (what is personal is sealed) |
//! | [`session`] | one browser in which a person has logged in |
//! | [`consent`] | what one person allows one client |
//! | [`signing_key`] | a key from publication to retirement |
//! | [`registration_token`] | by which others register clients |
//! | [`scope_definition`] | what a scope means |
//! | [`sealed_log`] | which keys sign checkpoints of the log, and where every chain ended |
//! | [`tally`] | what strangers did, counted in windows |
//!
//! Each is an enum of states, a `decide` that is synchronous and total, and an
//! `assign` that only assigns; [`event`] gives them their cqrs-es face and
//! their stored format.
#![warn(missing_docs)]

pub mod account;
pub mod authorization;
pub mod client;
pub mod consent;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod grant;
pub mod ids;
pub mod protocol;
pub mod registration_token;
mod schema;
pub mod scope_definition;
pub mod sealed_log;
pub mod secret;
pub mod session;
pub mod signing_key;
pub mod tally;
pub mod time;
