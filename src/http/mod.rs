//! The endpoints: parse a request, call one function, render the answer.

pub mod admin;
pub mod api;
pub mod audit;
pub mod cors;
pub mod events;
pub mod features;
pub mod floor;
pub mod health;
pub mod metrics;
pub mod oauth;
mod observed;
pub mod oidc;
mod patience;
pub mod render;
pub mod request;
mod routes;
mod schemas;

pub use self::features::Closed;
pub use self::observed::Observed;
pub use self::patience::Patience;
pub use self::routes::{configure, well_known};
