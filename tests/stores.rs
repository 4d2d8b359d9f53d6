//! One contract, every store.
//!
//! A store joins with a [`contract::Fixture`] in a module of its own and one line:
//! `contract!(ItsFixture);`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[macro_use]
#[path = "stores/contract.rs"]
mod contract;
#[path = "stores/merkle_log.rs"]
mod merkle_log;
#[path = "stores/packs.rs"]
mod packs;

#[path = "stores/sqlite.rs"]
mod sqlite;

#[path = "stores/postgres.rs"]
mod postgres;

#[path = "stores/postgres_database.rs"]
mod postgres_database;
