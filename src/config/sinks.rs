//! `[sinks.NAME]`: where events are delivered to.

use std::path::Path;

use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::secret::{SecretFile, SecretText};
use super::value::{Kind, TextSetting, choice};
use crate::outbound::standard_webhooks::Signer;

settings! {
    /// Where events are delivered to, as CloudEvents, each at least once and in order: a table
    /// each, [sinks.NAME]. The server keeps how far each is under its name; with several nodes
    /// one of them delivers. See src/events/README.md.
    Sink in "sinks" {
        /// What is there: a webhook that is called for each event, or a stream of NATS JetStream.
        to: To = required "webhook";
        /// Where it is.
        url: SinkUrl = required "https://analytics.example.com/chancery";
        /// Only events of these types; none named: all.
        types: Vec<String> = default [];
        /// Only events that concern these clients; none named: all.
        clients: Vec<String> = default [];
        /// How events are written.
        mode: Mode = default "structured";
        /// Where it begins, when it is new.
        begin: Begin = default "beginning";
        /// What a webhook's requests are signed by, as hooks are. Better in `secret_file`.
        secret: Option<SecretText> = optional "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        /// A file that holds the secret; for NATS one with credentials (`.creds`).
        secret_file: Option<SecretFile> = optional "/etc/chancery/sink-secret";
        /// How often a webhook may refuse an event before it is put aside. Between two tries
        /// the wait doubles, from a second to a minute. One that can't be reached is waited for.
        attempts: u32 = default 8 within 1..=1_000;
        /// NATS: the stream, which is this sink's alone. It is made if it is not there.
        stream: String = default "CHANCERY";
        /// NATS: what subjects begin with; `.<aggregate>.<event type>` comes after it.
        subject: String = default "chancery.events";
    }
}

choice! {
    /// What a sink is.
    To, "kinds of sinks" {
        /// Called for each event, signed as Standard Webhooks has it.
        Webhook = "webhook",
        /// A stream of NATS JetStream.
        Nats = "nats",
    }
}

choice! {
    /// How `CloudEvents` are written as messages.
    Mode, "modes of `CloudEvents`" {
        /// The body holds all of an event, its attributes and its data.
        Structured = "structured",
        /// The body holds the data, and headers the attributes (`ce-…`).
        Binary = "binary",
    }
}

choice! {
    /// Where a new sink begins.
    Begin, "places in the log" {
        /// With the first event of the log.
        Beginning = "beginning",
        /// With what happens from then on.
        Now = "now",
    }
}

/// Where a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkUrl(pub Url);

impl SinkUrl {
    /// Where it is, without what may be secret in it.
    #[must_use]
    pub fn place(&self) -> String {
        let url = &self.0;
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", url.scheme())
    }
}

impl TextSetting for SinkUrl {
    const KIND: Kind = Kind::text("a URL");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let bad = || {
            let remedy = "give an https URL, or nats:// or tls:// and the host; no password in it";
            Refusal::new("is not such a URL", remedy)
        };
        let url = Url::parse(text).map_err(|_| bad())?;
        let good = matches!(url.scheme(), "https" | "http" | "nats" | "tls")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        if good { Ok(Self(url)) } else { Err(bad()) }
    }
}

impl Sink {
    /// The secret, wherever it stands.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretText> {
        self.secret.as_ref().or(self.secret_file.as_ref().map(|file| &file.text))
    }
}

impl Check for Sink {
    fn check(&self, report: &mut Report<'_>) {
        let web = matches!(self.url.0.scheme(), "https" | "http");
        match self.to {
            To::Webhook if !web => {
                report.contradiction("url", "is no webhook's", "give an https URL");
            }
            To::Nats if web => {
                report.contradiction("url", "is no NATS server's", "give nats:// or tls://");
            }
            To::Webhook | To::Nats => {}
        }
        if self.to == To::Webhook && self.secret().map(Signer::new).is_none_or(|own| own.is_err()) {
            let name = if self.secret_file.is_some() { "secret_file" } else { "secret" };
            report.contradiction(
                name,
                "holds no secret to sign by",
                "make one with: echo \"whsec_$(head -c 32 /dev/urandom | base64)\"",
            );
        }
        if self.secret.is_some() && self.secret_file.is_some() {
            report.contradiction("secret", "is given twice", "leave out secret_file");
        }
        let token = |text: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !text.is_empty() && text.bytes().all(good)
        };
        if !token(&self.stream) {
            report.contradiction(
                "stream",
                "is no name of a stream",
                "use letters, digits, - and _",
            );
        }
        if !self.subject.split('.').all(token) {
            let remedy = "use words of letters, digits, - and _ with dots between them";
            report.contradiction("subject", "is no beginning of a subject", remedy);
        }
    }
}
