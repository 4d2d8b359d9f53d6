//! What people see of the server: plain forms that work without script.

pub mod assets;
pub mod headers;
pub mod pages;
