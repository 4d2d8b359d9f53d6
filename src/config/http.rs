//! `[http]`: what requests may be.

use std::path::Path;

use chancery_domain::time::Lifetime;
use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// What requests may be.
    Http in "http" {
        /// The longest body of a request, in bytes.
        max_body_bytes: u32 = default 65_536 within 1024..=16_777_216;
        /// How long a client may take to send the head of a request, and then its body, in
        /// seconds: 408 after that.
        request_timeout: Lifetime = default 30 within 1..=600;
        /// How many connections are open at a time; further ones wait until one is closed. Each
        /// takes about 40 KB while a request comes or is answered.
        max_connections: u32 = default 10_000 within 16..=1_000_000;
        /// Origins whose scripts may call the token endpoint and its like (CORS), besides
        /// those of the clients' registered redirect URIs. Metadata and keys are for all.
        cors_extra_origins: Vec<Origin> = default [];
    }
}

/// A web origin (RFC 6454 §6.2): scheme, host, and port where it is not the
/// scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    /// As it stands in the `Origin` header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextSetting for Origin {
    const KIND: Kind = Kind::text("origins like https://app.example.com");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let remedy = "give scheme and host, like https://app.example.com or http://localhost:3000";
        if text == "*" {
            return Err(Refusal::new("\"*\" would allow every site", remedy));
        }
        let url = Url::parse(text).map_err(|error| {
            Refusal::new(format!("\"{text}\" is not an origin: {error}"), remedy)
        })?;
        let origin = url.origin().ascii_serialization();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::new(format!("\"{text}\" is not an origin of the web"), remedy));
        }
        if origin != text {
            return Err(Refusal::new(
                format!("\"{text}\" is not an origin as browsers send it"),
                format!("write it as {origin}"),
            ));
        }
        Ok(Self(origin))
    }
}

impl Check for Http {
    fn check(&self, _: &mut Report<'_>) {}
}
