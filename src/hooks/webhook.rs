//! Webhooks: the input is posted, signed as Standard Webhooks 1.0.0 has it, and
//! the answer to the call is the hook's answer.

use serde_json::{Value, json};
use url::Url;

use super::failure::{Failure, Kind};
use crate::clock::{Clock, rfc3339_ms};
use crate::config::hooks::Point;
use crate::entropy::Entropy;
use crate::outbound::standard_webhooks::Signer;
use crate::outbound::{Outbound, OutboundError};

/// The longest answer, in bytes.
const LONGEST: usize = 65_536;

/// A webhook.
pub struct Webhook {
    url: Url,
    signer: Signer,
}

/// What a call needs besides.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub outbound: &'a Outbound,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
}

impl Webhook {
    #[must_use]
    pub const fn new(url: Url, signer: Signer) -> Self {
        Self { url, signer }
    }

    /// Where it is, without what may be secret in the URL.
    #[must_use]
    pub fn place(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Asks it. How long it may take is the caller's business.
    pub async fn call(
        &self,
        point: Point,
        input: &Value,
        world: World<'_>,
    ) -> Result<Value, Failure> {
        let now_ms = world.clock.now_ms();
        let timestamp = now_ms.div_euclid(1000);
        let id = format!("msg_{}", world.entropy.uuid_v7(now_ms).simple());
        let body = json!({
            "type": format!("hook.{}", point.as_str()),
            "timestamp": rfc3339_ms(now_ms),
            "data": input,
        });
        let body = body.to_string().into_bytes();
        let signed = self.signer.headers(&id, timestamp, &body);
        let mut headers: Vec<_> =
            signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("accept", "application/json"));
        let sent = world.outbound.post(&self.url, &headers, "application/json", body).await;
        let answer = sent.map_err(|error| {
            let kind = match error {
                OutboundError::TimedOut { .. } => Kind::TookTooLong,
                OutboundError::TooLarge { .. } => Kind::TooLarge,
                _ => Kind::Unreachable,
            };
            Failure::new(kind, error.to_string())
        })?;
        if answer.status == 204 {
            return Ok(Value::Null);
        }
        if answer.status != 200 {
            let text = format!("it answered with the status {}", answer.status);
            return Err(Failure::new(Kind::Unreachable, text));
        }
        if answer.body.len() > LONGEST {
            return Err(Failure::new(Kind::TooLarge, "its answer is too long"));
        }
        let is_json = answer.content_type.as_deref() == Some("application/json");
        let value = serde_json::from_slice(&answer.body).ok().filter(|_| is_json);
        value.ok_or_else(|| Failure::new(Kind::BadAnswer, "its answer is no JSON"))
    }
}
