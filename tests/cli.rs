//! The command line, as operators and scripts use it: the real program on
//! stores of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "cli/program.rs"]
mod program;

#[path = "cli/accounts.rs"]
mod accounts;

#[path = "cli/audit.rs"]
mod audit;

#[path = "cli/bench.rs"]
mod bench;

#[path = "cli/clients.rs"]
mod clients;

#[path = "cli/files.rs"]
mod files;

#[path = "cli/log.rs"]
mod log;

#[path = "cli/master_key.rs"]
mod master_key;

#[path = "cli/packs.rs"]
mod packs;

#[path = "cli/scopes.rs"]
mod scopes;

#[path = "cli/beside_a_server.rs"]
mod beside_a_server;

#[path = "cli/on_postgres.rs"]
mod on_postgres;

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "stores/postgres_database.rs"]
mod postgres_database;
