//! The demo relying party at `/demo`. Only quickstart has it.
//!
//! It stands in the same process as the server, and still is a relying party
//! like any other: it speaks to the server over HTTP by the standard endpoints
//! ([`relying_party`]) and checks what it gets ([`id_token`]). Only the events
//! that it shows ([`events`]) come another way, from the server's own feed.

mod events;
mod id_token;
pub mod page;
mod relying_party;
mod routes;
mod seed;
mod session;

use actix_web::web;
use tokio::sync::watch;

use self::relying_party::RelyingParty;
pub use self::seed::{Found, Seeded, seed};
use self::session::Sessions;
use crate::services::Services;

/// The confidential client, which the demo itself is.
pub const CLIENT_ID: &str = "demo";
/// Known to all: the demo listens on loopback only.
pub const CLIENT_SECRET: &str = "demo-secret";
/// The public client.
pub const PUBLIC_CLIENT_ID: &str = "demo-public";
/// The name to log in with.
pub const ACCOUNT: &str = "demo";
/// The password to log in with.
pub const PASSWORD: &str = "demo";
/// A scope such as an operator would add, and what it means.
pub const SCOPE: (&str, &str) = ("demo:read", "read the records of the demo");
/// Where the demo gets its authorization responses.
const CALLBACK: &str = "/demo/callback";

/// The demo of one server.
pub struct Demo {
    party: RelyingParty,
    sessions: Sessions,
    /// The data folder, as a shell takes it.
    data: String,
    stopping: watch::Receiver<bool>,
}

impl Demo {
    /// A demo that is a client of this server, whose data are in a folder that
    /// the page names. `stopping` ends the streams of events when the server is
    /// about to stop, which waits for them.
    pub fn new(
        services: &Services,
        data: String,
        stopping: watch::Receiver<bool>,
    ) -> Result<web::Data<Self>, reqwest::Error> {
        let party = RelyingParty::new(&services.config.server)?;
        Ok(web::Data::new(Self { party, sessions: Sessions::default(), data, stopping }))
    }
}

/// Adds the demo's routes.
pub fn configure(demo: &web::Data<Demo>, service: &mut web::ServiceConfig) {
    routes::configure(demo, service);
}
