//! One contract, every store.
//!
//! A store joins with a [`contract::Fixture`] in a module of its own and one line:
//! `contract!(ItsFixture);`.

#[macro_use]
#[path = "stores/contract.rs"]
mod contract;

#[path = "stores/sqlite.rs"]
mod sqlite;
