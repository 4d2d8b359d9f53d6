//! The demo relying party at `/demo`. Only quickstart has it.

pub mod page;
