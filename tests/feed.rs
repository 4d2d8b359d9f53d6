//! The feed and all that lives on it: subscriptions, read models, cascades.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "feed/place.rs"]
mod place;

#[path = "feed/world.rs"]
mod world;

#[path = "feed/subscriptions.rs"]
mod subscriptions;

#[path = "feed/projectors.rs"]
mod projectors;

#[path = "feed/cascades.rs"]
mod cascades;

#[path = "feed/lookups.rs"]
mod lookups;

#[path = "feed/tables.rs"]
mod tables;

#[path = "feed/figures.rs"]
mod figures;
