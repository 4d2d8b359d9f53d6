//! The server.

pub mod actors;
pub mod aggregates;
pub mod clock;
pub mod demo;
pub mod entropy;
pub mod handles;
pub mod interaction;
pub mod jose;
pub mod passwords;
pub mod sealing;
pub mod secrets;
pub mod stores;
