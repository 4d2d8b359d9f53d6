//! Calls to the operator's collector of traces. It stands in the settings, so it
//! is called wherever it is: what strangers' URLs may not reach does not matter
//! here.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use url::Url;

use super::{CONNECT, OutboundSetupError, USER_AGENT, client_config};
use crate::config::outbound as settings;
use crate::config::tracing::Tracing;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that a collector's `Retry-After` is heeded.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where spans are sent.
#[derive(Debug, Clone)]
pub struct Collector {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

/// Why a collector has not taken what it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It may take it later (OTLP §"Retryable response codes").
    #[error("{why}")]
    Later { why: Arc<str>, after: Option<Duration> },
    /// It never will.
    #[error("it answered with the status {0}")]
    Refused(u16),
}

impl Collector {
    /// None: the settings name none.
    pub fn new(
        tracing: &Tracing,
        outbound: &settings::Outbound,
    ) -> Result<Option<Self>, OutboundSetupError> {
        let Some(endpoint) = &tracing.endpoint else { return Ok(None) };
        let mut headers = HeaderMap::new();
        for header in tracing.all_headers() {
            #[expect(clippy::disallowed_methods, reason = "it is what the collector asks for")]
            let value = HeaderValue::from_str(header.value.expose());
            // Their form was checked when the settings were read.
            if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(&header.name), value) {
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .use_preconfigured_tls(client_config(outbound)?)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .http1_only()
            .build()?;
        Ok(Some(Self { client, url: endpoint.traces(), headers }))
    }

    /// Where it is, without what may be secret.
    #[must_use]
    pub fn place(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Sends an `ExportTraceServiceRequest`.
    pub async fn post(&self, body: Vec<u8>) -> Result<(), NotTaken> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "it took too long" } else { "no connection to it" };
            NotTaken::Later { why: why.into(), after: None }
        })?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let after = response.headers().get("retry-after");
                let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
                Err(NotTaken::Later {
                    why: format!("it answered with the status {}", response.status().as_u16())
                        .into(),
                    after: after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT)),
                })
            }
            status => Err(NotTaken::Refused(status.as_u16())),
        }
    }
}
