//! The log as a product for those who read it with their own tools.

pub mod files;
pub mod line;
pub mod queries;
