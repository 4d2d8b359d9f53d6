//! What lives as long as the server: grants in memory, and those who write,
//! read and tidy.

pub mod committer;
pub mod feed_reader;
pub mod figures;
pub mod grant;
pub mod packer;
pub mod process_manager;
pub mod projector;
pub mod router;
pub mod service;
