//! The audit API: the questions of auditors, over HTTP, for whoever holds an
//! access token of this server with the scope `audit:read`; and the sealed log,
//! for everybody.

mod access;
mod clients;
mod export;
mod grants;
mod incidents;
mod keys;
mod lineage;
mod log;
mod parameters;
mod people;
mod still_alive;

use actix_web::web;
use chancery_domain::account::Role;

use super::api::Api;
use super::api::endpoint::Endpoint;
use super::api::problem::Problem;
use crate::audit::AuditError;

pub static AUDIT: Api = Api {
    base: "/audit",
    scope: ("audit:read", "Ask what happened"),
    roles: &[Role::Auditor, Role::Admin],
    title: "Chancery audit",
    description: "Everything needs an access token of this server with the scope `audit:read`, of \
                  a client that an operator registered for it, or of a person whose account has \
                  the role auditor or admin. Each answer says at which position of the log it is \
                  true (`as_of`), and tells times by both clocks: `happened_at` by that of the \
                  node that decided, `recorded_at` by the store's. People are named by \
                  pseudonyms.",
    endpoints,
};

/// The endpoints. What is below the path of the API and none of its own is its 404, so the log
/// comes first.
pub fn configure(service: &mut web::ServiceConfig) {
    log::configure(service);
    AUDIT.configure(service);
}

fn endpoints() -> Vec<Endpoint> {
    [
        access::endpoints(),
        lineage::endpoints(),
        incidents::endpoints(),
        keys::endpoints(),
        grants::endpoints(),
        clients::endpoints(),
        still_alive::endpoints(),
        people::endpoints(),
        export::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::NotFound { .. } => Self::not_found(error.to_string()),
            AuditError::Invalid(detail) => Self::bad_request(detail),
            AuditError::Store(error) => error.into(),
            AuditError::Unreadable(error) => Self::internal(&error),
        }
    }
}
