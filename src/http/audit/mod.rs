//! What auditors ask.

mod log;

use actix_web::web;

/// The endpoints.
pub fn configure(service: &mut web::ServiceConfig) {
    log::configure(service);
}
