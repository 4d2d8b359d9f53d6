//! Reads the log for everybody in this process: one per node.

use std::sync::Arc;

use super::service::{Handle, Service};
use crate::feed::consumer::keep_trying;
use crate::feed::{Feed, Polling};

/// Starts it in the current arbiter.
#[must_use]
pub fn start(feed: &Feed, polling: Polling) -> Handle {
    const NAME: &str = "feed_reader";
    let feed = feed.clone();
    let work = move || {
        let feed = feed.clone();
        keep_trying(NAME, None, move || {
            let feed = feed.clone();
            async move { Ok(feed.follow_log(polling).await?) }
        })
    };
    Service::start(NAME, Arc::new(move || Box::pin(work())))
}
