//! The event stream over HTTP: the log as CloudEvents, for whoever holds an
//! access token of this server with the scope `events:read`.

mod feed;
mod figures;
mod groups;
mod query;
mod readers;
mod sealed;
mod stream;

use actix_web::web;
use chancery_domain::account::Role;

use super::api::Api;
use super::api::problem::Problem;
use crate::events::cursor::CursorError;
use crate::events::page::ReadError;

pub static EVENTS: Api = Api {
    base: "/events",
    scope: ("events:read", "Read the stream of events"),
    roles: &[Role::Auditor, Role::Admin],
    title: "Chancery events",
    description: "The log as a stream of CloudEvents 1.0. Everything needs an access token of \
                  this server with the scope `events:read`, of a client that an operator \
                  registered for it, or of a person whose account has the role auditor or admin. \
                  People are named by pseudonyms.",
    endpoints: || {
        [figures::endpoints(), readers::endpoints(), groups::endpoints(), sealed::endpoints()]
            .concat()
    },
};

/// The endpoints. What is below the path of the API and none of its own is its 404, so the
/// streams come first.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/events").route(web::get().to(feed::handle)))
        .service(web::resource("/events/stream").route(web::get().to(stream::handle)));
    EVENTS.configure(service);
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Malformed => Self::bad_request(error.to_string()),
            CursorError::OtherLife | CursorError::Ahead => Self::gone(error.to_string()),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Unreadable(error) => Self::internal(&error),
        }
    }
}
