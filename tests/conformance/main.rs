//! What the standards demand, over HTTP, as a relying party and a browser see
//! it: a module for each standard, each test on both stores.
//!
//! Nothing reaches into the server but to register clients and accounts, and to
//! read the log by the feed's reader.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[macro_use]
mod support;
#[path = "../stores/postgres_database.rs"]
mod postgres_database;

mod rfc6749_client_auth;
mod rfc6749_client_credentials;
mod rfc8414_metadata;
mod rfc9126_par;
