//! Webhooks: the input is posted, signed as Standard Webhooks 1.0.0 has it, and
//! the answer to the call is the hook's answer.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::failure::{Failure, Kind};
use crate::clock::{Clock, rfc3339_ms};
use crate::config::hooks::Point;
use crate::config::secret::SecretText;
use crate::entropy::Entropy;
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

/// Signs by each of its keys.
pub struct Signer(Vec<hmac::Key>);

/// The text is no secret of Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no secret to sign by")]
pub struct BadSecret;

impl Signer {
    /// By one secret, or several with blanks between them (while one is
    /// replaced by another).
    pub fn new(secret: &SecretText) -> Result<Self, BadSecret> {
        #[expect(clippy::disallowed_methods, reason = "this is what it was given for")]
        let text = secret.expose();
        let keys: Vec<_> = text
            .split_ascii_whitespace()
            .map(|one| {
                let encoded = one.strip_prefix("whsec_").ok_or(BadSecret)?;
                let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret)?;
                if !(24..=64).contains(&bytes.len()) {
                    return Err(BadSecret);
                }
                Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(BadSecret) } else { Ok(Self(keys)) }
    }

    /// The value of `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
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
        let signature = self.signer.sign(&id, timestamp, &body);
        let timestamp = timestamp.to_string();
        let headers = [
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", timestamp.as_str()),
            ("webhook-signature", signature.as_str()),
            ("accept", "application/json"),
        ];
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::value::TextSetting as _;

    fn signer(text: &str) -> Result<Signer, BadSecret> {
        Signer::new(&SecretText::parse(text, Path::new("")).unwrap())
    }

    /// The example of the reference implementations of Standard Webhooks.
    #[test]
    fn a_message_is_signed_as_others_sign_it() {
        let signer = signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let two = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = signer(&format!("{one} {two}\n")).unwrap().sign("msg_1", 1, b"{}");
        let each = [one, two].map(|text| signer(text).unwrap().sign("msg_1", 1, b"{}"));
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_%", " "] {
            assert_eq!(signer(text).map(|_| ()), Err(BadSecret), "{text}");
        }
    }
}
