//! A webhook: each event is posted, signed as Standard Webhooks 1.0.0 has it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::{Delivery, NotDelivered};
use crate::config::sinks::{Mode, Sink};
use crate::events::envelope::{CloudEvents, DATA};
use crate::events::message::{Message, STRUCTURED};
use crate::feed::FeedEvent;
use crate::outbound::standard_webhooks::Signer;
use crate::services::Services;
use crate::telemetry::trace::{self, Trace};

pub struct Webhook {
    services: Arc<Services>,
    url: Url,
    /// None: the settings were refused.
    signer: Option<Signer>,
    mode: Mode,
    events: CloudEvents,
}

impl Webhook {
    pub fn new(services: &Arc<Services>, config: &Sink, events: CloudEvents) -> Self {
        let signer = config.secret().and_then(|secret| Signer::new(secret).ok());
        let (url, mode) = (config.url.0.clone(), config.mode);
        Self { services: Arc::clone(services), url, signer, mode, events }
    }

    async fn post(&self, event: &FeedEvent) -> Result<(), NotDelivered> {
        let refused = |why: &dyn std::fmt::Display| NotDelivered::Refused(why.to_string());
        let signer = self.signer.as_ref().ok_or_else(|| refused(&"there is no secret"))?;
        let message = Message::of(&self.events, &event.stored, self.mode);
        let Message { headers: attributes, body } = message.map_err(|error| refused(&error))?;
        let id = event.stored.event.digest.to_string();
        let timestamp = self.services.clock.now().seconds();
        let signature = signer.headers(&id, timestamp, &body);
        let attributes = attributes.iter().map(|(name, value)| (&**name, &**value));
        // That one is the type of the content.
        let attributes = attributes.filter(|(name, _)| *name != "ce-datacontenttype");
        let signature = signature.iter().map(|(name, value)| (*name, &**value));
        let headers: Vec<_> = attributes.chain(signature).collect();
        let content_type = match self.mode {
            Mode::Structured => STRUCTURED,
            Mode::Binary => DATA,
        };
        let cause = Trace::of_event(&event.stored.event.metadata);
        let call = self.services.outbound.post(&self.url, &headers, content_type, body);
        let sent = trace::because_of(cause, "delivery", call).await;
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
