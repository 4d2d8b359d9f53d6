//! `[tracing]`: traces of requests, for the operator's collector.

use std::path::Path;

use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::secret::{SecretFile, SecretText};
use super::value::{
    Context, Item, Kind, Redaction, SettingValue, Shape, TextSetting, Value, choice,
};

settings! {
    /// Traces of what the server does, sent to a collector of OpenTelemetry by OTLP (HTTP,
    /// protobuf). Events and the server's log name traces also when none are sent. See
    /// src/telemetry/README.md.
    Tracing in "tracing" {
        /// The collector: `/v1/traces` is added. Left out: nothing is sent. It is called as it
        /// stands here; [outbound] has no say.
        endpoint: Option<Endpoint> = optional "http://localhost:4318";
        /// Headers that the collector wants, each as "Name: value". Better in `headers_file`.
        headers: Vec<Header> = default [];
        /// A file that holds them, one a line.
        headers_file: Option<SecretFile> = optional "/etc/chancery/otlp-headers";
        /// Which part of the traces that begin here is sent: from 0 (none) to 1 (all).
        sampling_ratio: Ratio = default 1;
        /// What the collector calls this server (`service.name`).
        service_name: String = default "chancery";
        /// Whose traces are gone on with, and whose word on whether they are sent is taken
        /// (W3C Trace Context). All others' requests begin a trace of their own, with a link
        /// to the one that they named.
        trusted_parents: TrustedParents = default "nobody";
    }
}

choice! {
    /// Whose `traceparent` is believed.
    TrustedParents, "whom to trust" {
        /// Nobody's: strangers could have everything sent.
        Nobody = "nobody",
        /// That of requests which come from one of `server.trusted_proxies`; these must
        /// not let strangers' through.
        Proxies = "trusted_proxies",
        /// Everybody's: for servers that only friends reach.
        Everybody = "everybody",
    }
}

impl Tracing {
    /// All headers.
    #[must_use]
    pub fn all_headers(&self) -> Vec<Header> {
        let lines = self.headers_file.iter().flat_map(|file| lines(&file.text));
        self.headers.iter().cloned().chain(lines.filter_map(Result::ok)).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "each line is a secret again")]
fn lines(text: &SecretText) -> impl Iterator<Item = Result<Header, Refusal>> {
    let lines = text.expose().lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Header::parse(line, Path::new("")))
}

impl Check for Tracing {
    fn check(&self, report: &mut Report<'_>) {
        if let Some(file) = &self.headers_file
            && lines(&file.text).any(|line| line.is_err())
        {
            report.contradiction(
                "headers_file",
                "has a line that is no header",
                "write each as Name: value, on a line of its own",
            );
        }
        if self.endpoint.is_none() && (self.headers_file.is_some() || !self.headers.is_empty()) {
            let name = if self.headers.is_empty() { "headers_file" } else { "headers" };
            report.contradiction(
                name,
                "has no effect: nothing is sent",
                "set tracing.endpoint as well, or leave it out",
            );
        }
    }
}

/// Where a collector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Where it takes traces.
    #[must_use]
    pub fn traces(&self) -> Url {
        let mut url = self.0.clone();
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

impl TextSetting for Endpoint {
    const KIND: Kind = Kind::text("a URL");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let remedy = "give an http or https URL like http://localhost:4318, without a password, \
                      query or /v1/traces in it";
        let bad = || Refusal::new("is not such a URL", remedy);
        let url = Url::parse(text).map_err(|_| bad())?;
        let good = matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !url.path().trim_end_matches('/').ends_with("/v1/traces");
        if good { Ok(Self(url)) } else { Err(bad()) }
    }
}

/// A header of requests to a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: SecretText,
}

impl TextSetting for Header {
    const KIND: Kind = Kind { redaction: Redaction::Whole, ..Kind::text("headers") };

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let visible = |byte: u8| (b' '..=b'~').contains(&byte);
        let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        let good = parts.filter(|(name, value)| {
            !name.is_empty()
                && name.bytes().all(token)
                && !value.is_empty()
                && value.bytes().all(visible)
        });
        // What was written may be the secret alone: it is not repeated.
        let (name, value) =
            good.ok_or_else(|| Refusal::new("is no header", "write it as \"Name: value\""))?;
        Ok(Self { name: name.to_owned(), value: SecretText::new(value.to_owned()) })
    }
}

/// A part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Of 2⁶³.
    threshold: u64,
}

impl Ratio {
    /// Does it take a trace with this id? The same on all servers, by the end of
    /// the id, which is random (W3C Trace Context §3.2.2.3).
    #[must_use]
    pub fn takes(self, trace_id: [u8; 16]) -> bool {
        let end = trace_id.last_chunk().copied().unwrap_or_default();
        (u64::from_be_bytes(end) >> 1) < self.threshold
    }
}

impl SettingValue for Ratio {
    const KIND: Kind = Kind { shape: Shape::Fraction, ..Kind::text("A number from 0 to 1") };

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        const WHOLE: f64 = 9_223_372_036_854_775_808.0;
        let value = match &item.value {
            Value::Fraction(fraction) => *fraction,
            Value::Number(0) => 0.0,
            Value::Number(1) => 1.0,
            Value::Number(_) => f64::NAN,
            _ => {
                context.refuse_type(item, Shape::Fraction);
                return None;
            }
        };
        if !(0.0..=1.0).contains(&value) {
            let refusal = Refusal::new("is out of range", "give a number from 0 to 1, like 0.05");
            context.refuse(&item.place, refusal);
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 0 to 2⁶³"
        )]
        Some(Self { threshold: (value * WHOLE) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_sent_below_the_collector_s_base() {
        for (base, traces) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("https://otlp.example/otlp", "https://otlp.example/otlp/v1/traces"),
        ] {
            let endpoint = Endpoint::parse(base, Path::new("")).unwrap();
            assert_eq!(endpoint.traces().as_str(), traces);
        }
        for bad in
            ["localhost:4318", "grpc://a", "http://u:p@a", "http://a/v1/traces", "http://a?b"]
        {
            assert!(Endpoint::parse(bad, Path::new("")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_secret() {
        let header = Header::parse("Authorization: Bearer x:y", Path::new("")).unwrap();
        assert_eq!(header.name, "Authorization");
        assert_eq!(header.value, SecretText::new("Bearer x:y".to_owned()));
        assert!(!format!("{header:?}").contains("x:y"));
        for bad in ["", "Bearer", "a b: c", "a:", ": b", "a: b\nc: d", "a: ü"] {
            let refusal = Header::parse(bad, Path::new("")).unwrap_err();
            assert!(!format!("{refusal:?}").contains("Bearer"), "{refusal:?}");
        }
    }
}
