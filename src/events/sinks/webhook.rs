//! A webhook: each event is posted, signed as Standard Webhooks 1.0.0 has it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::{Delivery, NotDelivered};
use crate::config::sinks::Sink;
use crate::events::envelope::CloudEvents;
use crate::feed::FeedEvent;
use crate::outbound::standard_webhooks::Signer;
use crate::services::Services;

/// `CloudEvents` 1.0, HTTP binding §3.2: structured mode.
const STRUCTURED: &str = "application/cloudevents+json";

pub struct Webhook {
    services: Arc<Services>,
    url: Url,
    /// None: the settings were refused.
    signer: Option<Signer>,
    events: CloudEvents,
}

impl Webhook {
    pub fn new(services: &Arc<Services>, config: &Sink, events: CloudEvents) -> Self {
        let signer = config.secret().and_then(|secret| Signer::new(secret).ok());
        Self { services: Arc::clone(services), url: config.url.0.clone(), signer, events }
    }

    async fn post(&self, event: &FeedEvent) -> Result<(), NotDelivered> {
        let refused = |why: &dyn std::fmt::Display| NotDelivered::Refused(why.to_string());
        let signer = self.signer.as_ref().ok_or_else(|| refused(&"there is no secret"))?;
        let body = self.events.text(&event.stored).map_err(|error| refused(&error))?.into_bytes();
        let id = event.stored.event.digest.to_string();
        let timestamp = self.services.clock.now().seconds();
        let headers = signer.headers(&id, timestamp, &body);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let sent = self.services.outbound.post(&self.url, &headers, STRUCTURED, body).await;
        let answer = sent.map_err(|error| NotDelivered::Unreachable(error.to_string()))?;
        match answer.status {
            200..=299 => Ok(()),
            // It says that it has too much to do, or is not there.
            429 | 502..=504 => {
                let text = format!("it answered with the status {}", answer.status);
                Err(NotDelivered::Unreachable(text))
            }
            status => Err(refused(&format_args!("it answered with the status {status}"))),
        }
    }
}

impl Delivery for Webhook {
    fn begin(&mut self, position: u64) -> BoxFuture<'_, Result<u64, NotDelivered>> {
        Box::pin(std::future::ready(Ok(position)))
    }

    fn deliver<'a>(
        &'a mut self,
        events: &'a [Arc<FeedEvent>],
    ) -> BoxFuture<'a, (usize, Result<(), NotDelivered>)> {
        Box::pin(async move {
            for (taken, event) in events.iter().enumerate() {
                if let Err(error) = self.post(event).await {
                    return (taken, Err(error));
                }
            }
            (events.len(), Ok(()))
        })
    }
}
