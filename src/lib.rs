//! The server.

pub mod stores;
