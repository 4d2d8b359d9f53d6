//! What strangers can send, as fuzz targets: functions of an input that panic when something that
//! must hold does not.
//!
//! [`server`] sends requests to a node in this process, put together as `chancery serve` does it,
//! on an embedded store in a folder of its own, but without sockets. The others read texts.
//!
//! `cargo fuzz` runs them with libFuzzer (`targets/`), `cargo test` for a moment, from the same
//! seeds (`seeds.rs`).

mod credentials;
mod jose;
mod oracle;
mod parameters;
mod script;
#[cfg(test)]
mod seeds;
mod world;

pub use self::credentials::credentials;
pub use self::jose::jose;
pub use self::parameters::parameters;
pub use self::world::server;
