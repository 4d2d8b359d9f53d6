//! The server.

pub mod demo;
pub mod interaction;
pub mod stores;
