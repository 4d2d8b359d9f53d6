//! Bundles that tests make, what is done to them, and what the verifier says.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it"
)]

mod bundles;
mod cli;
mod manipulations;
mod properties;
mod schemas;
