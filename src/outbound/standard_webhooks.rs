//! Standard Webhooks 1.0.0: messages that say by whom they are.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::secret::SecretText;

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

    /// The headers of a message.
    #[must_use]
    pub fn headers(&self, id: &str, timestamp: i64, body: &[u8]) -> [(&'static str, String); 3] {
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.sign(id, timestamp, body)),
        ]
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
