//! Mail to people: written here, sent off the request's path.
//!
//! What waits is in memory only, with the secrets in it: it is lost with the
//! process, and the person asks again. Nothing of a letter is ever logged.

mod outbox;

use std::fmt;
use std::time::Duration;

use chancery_domain::account::Profile;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde_json::Value;

pub use self::outbox::{Job, Outbox};
use crate::config::mail::{Mail, Security};
use crate::interaction::texts::Texts;

/// Something to be sent. Never shown: it holds an address, and a secret.
pub struct Letter {
    to: String,
    subject: &'static str,
    body: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(…)")
    }
}

/// Why a letter was not sent. Says nothing of what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("no mail server is set")]
    NoServer,
    #[error("a letter could not be written: the address is none")]
    Address,
    #[error("the mail server can't be used: {0}")]
    Settings(String),
    /// It may be tried again.
    #[error("the mail server did not take it: {0}")]
    NotNow(String),
    #[error("the mail server refused it for good{}", status(*.0))]
    Refused(Option<u16>),
}

fn status(code: Option<u16>) -> String {
    code.map_or_else(String::new, |code| format!(" (status {code})"))
}

/// Is this somebody's address?
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.len() <= 254 && text.parse::<Address>().is_ok()
}

/// Is this somebody's address, perhaps with their name before it?
#[must_use]
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Where a link may be sent that opens the account: not to an address that the
/// person entered and never confirmed, since it may be a stranger's.
#[must_use]
pub fn address_for_resets(profile: &Profile) -> Option<&str> {
    let unconfirmed = profile.claims.get("email_verified") == Some(&Value::Bool(false));
    let address = profile.claims.get("email").and_then(Value::as_str)?;
    (!unconfirmed && is_address(address)).then_some(address)
}

/// Lets the person choose a new password.
#[must_use]
pub fn reset_letter(to: String, url: &str, t: &Texts) -> Letter {
    let body = format!("{}\r\n\r\n{url}\r\n\r\n{}\r\n", t.mail_reset_body, t.mail_reset_end);
    Letter { to, subject: t.mail_reset_subject, body }
}

/// Lets the person confirm that the address is theirs.
#[must_use]
pub fn confirmation_letter(to: String, url: &str, t: &Texts) -> Letter {
    let body = format!("{}\r\n\r\n{url}\r\n\r\n{}\r\n", t.mail_confirm_body, t.mail_confirm_end);
    Letter { to, subject: t.mail_confirm_subject, body }
}

/// The way to the mail server.
struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    fn new(settings: &Mail) -> Result<Option<Self>, MailError> {
        let Some(host) = &settings.host else { return Ok(None) };
        let failed = |error: &dyn fmt::Display| MailError::Settings(error.to_string());
        let mut transport = match settings.security {
            Security::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(host),
            Security::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host),
            Security::None => {
                Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.as_str()))
            }
        }
        .map_err(|error| failed(&error))?
        .timeout(Some(Duration::from_secs(settings.timeout.seconds().into())));
        if let Some(port) = settings.port {
            transport = transport.port(port);
        }
        if let (Some(username), Some(password)) = (&settings.username, settings.secret()) {
            #[expect(clippy::disallowed_methods, reason = "the mail server asks for it")]
            let password = password.expose().to_owned();
            transport = transport.credentials(Credentials::new(username.clone(), password));
        }
        let from = settings.from.as_deref().unwrap_or_default();
        let from = from.parse().map_err(|error| failed(&error))?;
        Ok(Some(Self { transport: transport.build(), from }))
    }

    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let to: Address = letter.to.parse().map_err(|_| MailError::Address)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(|_| MailError::Address)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // What the server says may repeat the address.
            Err(error) if error.is_permanent() => {
                Err(MailError::Refused(error.status().map(u16::from)))
            }
            Err(error) if error.status().is_some() => {
                Err(MailError::NotNow(status(error.status().map(u16::from))))
            }
            Err(error) => Err(MailError::NotNow(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(claims: serde_json::Value) -> Profile {
        let Value::Object(claims) = claims else { panic!("no object") };
        Profile { username: "ada".to_owned(), claims }
    }

    #[test]
    fn a_link_goes_to_no_address_that_was_never_confirmed() {
        let to = |claims| address_for_resets(&profile(claims)).map(str::to_owned);
        let ada = Some("ada@example.com".to_owned());
        assert_eq!(to(serde_json::json!({ "email": "ada@example.com" })), ada);
        let confirmed = serde_json::json!({ "email": "ada@example.com", "email_verified": true });
        assert_eq!(to(confirmed), ada);
        let entered = serde_json::json!({ "email": "ada@example.com", "email_verified": false });
        assert_eq!(to(entered), None);
        assert_eq!(to(serde_json::json!({ "email": "nonsense" })), None);
        assert_eq!(to(serde_json::json!({})), None);
    }

    #[test]
    fn a_letter_is_not_shown_by_debug() {
        let letter = reset_letter(
            "ada@example.com".to_owned(),
            "https://secret",
            &crate::interaction::texts::EN,
        );
        assert_eq!(format!("{letter:?}"), "Letter(…)");
    }
}
