//! Value types of the protocols, one parameter per file.

pub mod signing_algorithm;
