//! The tests of the feed (`tests/feed.rs`) on PostgreSQL, where nodes are many.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "../stores/postgres_database.rs"]
mod database;

mod place;

#[path = "../feed/world.rs"]
mod world;

#[path = "../feed/subscriptions.rs"]
mod subscriptions;

#[path = "../feed/projectors.rs"]
mod projectors;

#[path = "../feed/cascades.rs"]
mod cascades;

#[path = "../feed/lookups.rs"]
mod lookups;

#[path = "../feed/figures.rs"]
mod figures;

mod tables;
