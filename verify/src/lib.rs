//! Checks evidence that a Chancery server exported: a bundle of events, proofs
//! and checkpoints in one file. Needs no network, no database, and none of the
//! server's code; what the formats are stands in this crate's README.
//!
//! - [`archive`] reads the zip, and trusts it in nothing.
//! - [`format`] says what stands in its files.
//! - [`merkle`], [`note`] and [`event`] are what is computed: RFC 9162 §2.1
//!   trees, C2SP signed notes and checkpoints, the digests of events.
//! - [`check`] goes through a bundle and says what is proved.
//! - [`report`] tells it, to people and to programs.

pub mod archive;
pub mod check;
pub mod event;
pub mod format;
pub mod merkle;
pub mod note;
pub mod report;

pub use check::{Given, verify};
pub use report::{Report, Verdict};
