//! What lives as long as the server: actors on actix, supervised.

pub mod feed_reader;
pub mod process_manager;
pub mod projector;
pub mod service;
