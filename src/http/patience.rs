//! How long a request's body is waited for (RFC 9110 §15.5.9): who sends it a byte at a time
//! holds a connection no longer than who does so with its head.
//!
//! actix-web bounds the time of heads only, and reads what is left of a chunked body after the
//! answer for as long as it comes, unless somebody still holds the body when the answer has been
//! written: then it ends the connection.

use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

/// A request whose body has to come in time.
pub struct Patience {
    limit: Duration,
    left: Rc<RefCell<Left>>,
}

/// What became of the body.
#[derive(Default)]
struct Left {
    is_late: bool,
    unread: Option<Payload>,
}

impl Patience {
    /// From now on; without a body there is nothing to wait for.
    pub fn with(request: &mut ServiceRequest, limit: Duration) -> Self {
        let left = Rc::new(RefCell::default());
        let payload = mem::replace(request.parts_mut().1, Payload::None);
        if !matches!(payload, Payload::None) {
            let timely = Timely { payload, limit, deadline: None, left: Rc::clone(&left) };
            request.set_payload(Payload::Stream { payload: Box::pin(timely) });
        }
        Self { limit, left }
    }

    /// The answer; another one where the body did not come. What was not read of it ends the
    /// connection.
    pub fn judged(self, answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let Left { is_late, unread } = self.left.take();
        let Some(unread) = unread else { return answer };
        let answer = if is_late { answer.into_response(self.late()) } else { answer };
        answer.map_body(|_, body| BoxBody::new(Held { body, _unread: unread }))
    }

    fn late(&self) -> HttpResponse {
        let text = format!("the request did not come within {} s\n", self.limit.as_secs());
        HttpResponse::RequestTimeout().insert_header(ContentType::plaintext()).body(text)
    }
}

/// A body that ends with an error when it takes too long.
struct Timely {
    /// None: it has come to its end.
    payload: Payload,
    limit: Duration,
    /// Runs once there is something to wait for.
    deadline: Option<Pin<Box<Sleep>>>,
    left: Rc<RefCell<Left>>,
}

impl Stream for Timely {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(part) = Pin::new(&mut self.payload).poll_next(context) {
            if part.is_none() {
                self.payload = Payload::None;
            }
            return Poll::Ready(part);
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(context));
        self.left.borrow_mut().is_late = true;
        let late = io::Error::from(io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(PayloadError::Incomplete(Some(late)))))
    }
}

impl Drop for Timely {
    fn drop(&mut self) {
        let payload = mem::replace(&mut self.payload, Payload::None);
        if !matches!(payload, Payload::None) {
            self.left.borrow_mut().unread = Some(payload);
        }
    }
}

/// An answer to a request of which not all was read.
struct Held {
    body: BoxBody,
    _unread: Payload,
}

impl MessageBody for Held {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
