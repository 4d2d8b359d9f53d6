//! OAuth 2.0 endpoints.

pub mod introspect;
pub mod jwks;
pub mod metadata;
pub mod par;
pub mod register;
pub mod revoke;
pub mod token;
