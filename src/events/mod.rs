//! The log as a product of its own: for those who read it from outside, in
//! order and whole.

pub mod cursor;
pub mod envelope;
pub mod files;
pub mod filter;
pub mod groups;
pub mod line;
pub mod page;
pub mod queries;
pub mod readers;
pub mod schemas;
pub mod sinks;
