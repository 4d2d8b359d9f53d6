//! What only the store on PostgreSQL promises, beside the contract that holds
//! for every store (`tests/stores.rs`).

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod append;
mod chain;
#[path = "../stores/postgres_database.rs"]
mod database;
mod feed;
mod proxy;
mod schema;
