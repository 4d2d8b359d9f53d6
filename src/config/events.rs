//! `[events]`: the stream of events for readers outside.

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};

settings! {
    /// The stream of events at /events. What one reader (a client, or a person) may take of
    /// each node; beyond that it is told to wait (429). Times are in seconds.
    Events in "events" {
        /// Requests a minute.
        requests_per_minute: u32 = default 600 within 1..=1_000_000;
        /// Streams that are open at once.
        streams_per_reader: u32 = default 8 within 1..=10_000;
        /// How long a request may wait for the next event.
        longest_wait: Lifetime = default 60 within 0..=600;
        /// How often a stream on which nothing happens tells how far it is. It is looked as
        /// often whether its token is still good.
        heartbeat: Lifetime = default 15 within 1..=300;
    }
}

impl Check for Events {
    fn check(&self, _: &mut Report<'_>) {}
}
