//! The server's keys: those that sign tokens, and those of its own.
//!
//! Private keys stand in the store wrapped by the master key; the events of a
//! [`SigningKey`] say when each is published, signs, and is retired. All nodes
//! of a store share them.

mod ring;
mod rotation;

pub use self::ring::{KeyRing, Keys, KeysError};
pub use self::rotation::{Rotation, bootstrap, lead, published, rotate, rotate_old_keys, withdraw};
