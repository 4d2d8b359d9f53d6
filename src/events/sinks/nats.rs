//! NATS JetStream: events become messages of a stream, each once and in order.
//!
//! Every message says which is to be the one before it
//! (`Nats-Expected-Last-Sequence`), so that the server takes none twice and none
//! out of order, however long ago the last was and whoever sent it. (The id of
//! the last message would not do: a server that was started again knows it only
//! within its window.) What the stream holds last is read at the
//! beginning and after each failure, and delivery goes on from there: also when
//! the stream has lost what it said that it had. `Nats-Msg-Id` is the event's id.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::stream;
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap};
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{Delivery, NotDelivered};
use crate::config::sinks::{Mode, Sink};
use crate::events::envelope::CloudEvents;
use crate::events::message::{Message, STRUCTURED};
use crate::feed::FeedEvent;

/// Says in each message how far the sink was.
const CURSOR: &str = "Chancery-Cursor";
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Nats {
    url: String,
    /// The text of a file with credentials.
    credentials: Option<String>,
    stream: String,
    subject: String,
    mode: Mode,
    events: CloudEvents,
    open: Option<Open>,
}

struct Open {
    jetstream: Context,
    /// The sequence of the stream's last message.
    last: u64,
}

fn unreachable(error: &dyn std::fmt::Display) -> NotDelivered {
    NotDelivered::Unreachable(error.to_string())
}

impl Nats {
    pub fn new(config: &Sink, events: CloudEvents) -> Self {
        #[expect(clippy::disallowed_methods, reason = "NATS asks for the credentials")]
        let credentials = config.secret().map(|secret| secret.expose().to_owned());
        Self {
            url: config.url.0.to_string(),
            credentials,
            stream: config.stream.clone(),
            subject: config.subject.clone(),
            mode: config.mode,
            events,
            open: None,
        }
    }

    async fn connect(&self) -> Result<Context, NotDelivered> {
        let mut options = ConnectOptions::new().name("chancery").connection_timeout(PATIENCE);
        if let Some(credentials) = &self.credentials {
            options = options.credentials(credentials).map_err(|error| unreachable(&error))?;
        }
        let client = options.connect(&self.url).await.map_err(|error| unreachable(&error))?;
        let mut jetstream = jetstream::new(client);
        jetstream.set_timeout(PATIENCE);
        Ok(jetstream)
    }

    /// Connects, makes the stream if it is not there, and reads where it ends.
    async fn open(&mut self) -> Result<Option<u64>, NotDelivered> {
        let jetstream = self.connect().await?;
        let wanted = stream::Config {
            name: self.stream.clone(),
            subjects: vec![format!("{}.>", self.subject)],
            ..stream::Config::default()
        };
        let mut stream =
            jetstream.get_or_create_stream(wanted).await.map_err(|error| unreachable(&error))?;
        let info = stream.info().await.map_err(|error| unreachable(&error))?;
        let last = info.state.last_sequence;
        let mut position = None;
        // A message that was deleted by hand, or that is of somebody else, says nothing.
        if last > 0
            && let Ok(message) = stream.get_raw_message(last).await
        {
            let cursor = message.headers.get(CURSOR);
            position = cursor.and_then(|own| self.events.cursors().read(own.as_str()).ok());
        }
        self.open = Some(Open { jetstream, last });
        Ok(position)
    }

    async fn publish(
        &self,
        open: &mut Open,
        events: &[Arc<FeedEvent>],
    ) -> (usize, Result<(), NotDelivered>) {
        let mut sent = Vec::with_capacity(events.len());
        let mut failure = Ok(());
        for (event, last) in events.iter().zip(open.last..) {
            match self.send(open, event, last).await {
                Ok(acknowledgement) => sent.push(acknowledgement),
                Err(error) => {
                    failure = Err(error);
                    break;
                }
            }
        }
        let mut taken = 0;
        for acknowledgement in sent {
            // What was sent to a connection that is gone is never answered.
            let answer = timeout(PATIENCE, acknowledgement.into_future()).await;
            let error: &dyn std::fmt::Display = match &answer {
                Ok(Ok(answer)) if answer.sequence == open.last + 1 => {
                    open.last = answer.sequence;
                    taken += 1;
                    continue;
                }
                Ok(Ok(_)) => &"the stream holds other messages than this sink's",
                Ok(Err(error)) => error,
                Err(_) => &"the stream does not say that it has what was sent",
            };
            return (taken, Err(unreachable(error)));
        }
        (taken, failure)
    }

    async fn send(
        &self,
        open: &Open,
        event: &FeedEvent,
        last: u64,
    ) -> Result<PublishAckFuture, NotDelivered> {
        let stored = &event.stored.event;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, stored.digest.to_string());
        headers.insert(NATS_EXPECTED_LAST_SEQUENCE, last.to_string());
        headers.insert(CURSOR, self.events.cursors().at(event.position()));
        let message = Message::of(&self.events, &event.stored, self.mode);
        let message = message.map_err(|error| NotDelivered::Refused(error.to_string()))?;
        // Nothing but structured mode has it (NATS binding §3).
        if self.mode == Mode::Structured {
            headers.insert("Content-Type", STRUCTURED);
        }
        for (name, value) in message.headers {
            headers.insert(name, value);
        }
        let subject = format!("{}.{}.{}", self.subject, stored.stream.kind, stored.event_type);
        let published =
            open.jetstream.publish_with_headers(subject, headers, message.body.into()).await;
        published.map_err(|error| unreachable(&error))
    }
}

impl Delivery for Nats {
    fn begin(&mut self, position: u64) -> BoxFuture<'_, Result<u64, NotDelivered>> {
        Box::pin(async move { Ok(self.open().await?.unwrap_or(position)) })
    }

    fn deliver<'a>(
        &'a mut self,
        events: &'a [Arc<FeedEvent>],
    ) -> BoxFuture<'a, (usize, Result<(), NotDelivered>)> {
        Box::pin(async move {
            let Some(mut open) = self.open.take() else {
                return (0, Err(unreachable(&"not connected")));
            };
            let (taken, result) = self.publish(&mut open, events).await;
            // After a failure it is not certain what the stream holds: it is asked again.
            if result.is_ok() {
                self.open = Some(open);
            }
            (taken, result)
        })
    }
}
