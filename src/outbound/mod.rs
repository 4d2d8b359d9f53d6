//! Calls to others' servers: the only place that makes any. Strangers choose
//! some of the URLs, so all calls have limits (time, size, no redirects), and
//! the address that is really connected to decides whether it may be called:
//! a name can mean another address a moment later.

mod address;
pub mod collector;
mod freshness;
pub mod standard_webhooks;

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use self::address::Reach;
use self::freshness::max_age;
use crate::config::outbound as settings;
use crate::telemetry::{metrics as figures, trace};

const USER_AGENT: &str = "Chancery";

/// How long a connection may take to be there. (The whole call has its own limit.)
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections that are kept to one host.
const IDLE: usize = 4;

/// Why no calls can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum OutboundSetupError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a call gave nothing. Says nothing of what was sent or received, and
/// names no more of the URL than its host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("the URL is neither https nor http, has no host, or holds a user name or password")]
    BadUrl,
    #[error("plain http is not allowed for {host}")]
    PlainHttp { host: String },
    #[error("{host} is blocked by the settings")]
    BlockedHost { host: String },
    #[error("{host} is at {address}, which may not be called")]
    AddressRefused { host: String, address: IpAddr },
    #[error("{host} has no address")]
    Unresolvable { host: String },
    #[error("{host} took too long")]
    TimedOut { host: String },
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("no connection to {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("the answer of {host} breaks off or is no HTTP")]
    Broken { host: String },
    #[error("a header that can't be sent")]
    BadHeader,
}

/// What a server answered, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    /// The media type, in lower case and without parameters.
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// For how many seconds it may be kept, if it says so (RFC 9111 §5.2.2); 0
    /// where it may not be kept.
    pub max_age: Option<u32>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({}, {} bytes)", self.status, self.body.len())
    }
}

/// Calls to others' servers.
#[derive(Debug, Clone)]
pub struct Outbound {
    encrypted: Caller,
    plain: Caller,
    largest_answer: usize,
    figures: figures::Outbound,
}

/// Calls what its rules allow.
#[derive(Debug, Clone)]
struct Caller {
    client: Client,
    rules: Arc<Rules>,
}

/// Which addresses may be called.
#[derive(Debug, Clone)]
struct Rules {
    public: bool,
    loopback: bool,
    private: bool,
    blocked: Vec<settings::BlockedHost>,
}

impl Rules {
    fn allow(&self, address: IpAddr) -> bool {
        let reach = match Reach::of(address) {
            Reach::Public => self.public,
            Reach::Loopback => self.loopback,
            Reach::Private => self.private,
            Reach::Never => false,
        };
        reach && !self.blocked.iter().any(|blocked| blocked.is_address(address))
    }
}

impl Outbound {
    pub fn new(
        settings: &settings::Outbound,
        figures: figures::Outbound,
    ) -> Result<Self, OutboundSetupError> {
        let encrypted = Rules {
            public: true,
            loopback: settings.allow_loopback,
            private: settings.allow_private_networks,
            blocked: settings.blocked_hosts.clone(),
        };
        let plain = Rules {
            public: false,
            loopback: settings.allow_http && settings.allow_loopback,
            private: settings.allow_http && settings.allow_private_networks,
            blocked: settings.blocked_hosts.clone(),
        };
        let tls = client_config(settings)?;
        let timeout = Duration::from_secs(settings.timeout.seconds().into());
        let caller = |rules: Rules| {
            let rules = Arc::new(rules);
            Client::builder()
                .user_agent(USER_AGENT)
                .use_preconfigured_tls(tls.clone())
                .dns_resolver(Arc::new(CheckedResolver(Arc::clone(&rules))))
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(timeout)
                .connect_timeout(CONNECT.min(timeout))
                .pool_max_idle_per_host(IDLE)
                .http1_only()
                .build()
                .map(|client| Caller { client, rules })
        };
        Ok(Self {
            encrypted: caller(encrypted)?,
            plain: caller(plain)?,
            largest_answer: usize::try_from(settings.largest_answer).unwrap_or(usize::MAX),
            figures,
        })
    }

    /// Gets a document of one of these media types.
    pub async fn get(&self, url: &Url, accept: &'static str) -> Result<Fetched, OutboundError> {
        let request = self.request(Method::GET, url);
        let request = request.map(|own| own.header(ACCEPT, HeaderValue::from_static(accept)));
        self.call(url, "GET", request).await
    }

    /// Posts a body.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Fetched, OutboundError> {
        let request = self.request(Method::POST, url).and_then(|request| {
            let request = request.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
            Ok(with_headers(request, headers)?.body(body))
        });
        self.call(url, "POST", request).await
    }

    /// May a client register this URL, as far as can be said without looking
    /// its name up?
    pub fn check(&self, url: &Url) -> Result<(), OutboundError> {
        self.request(Method::GET, url).map(drop)
    }

    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, OutboundError> {
        let host = url.host().ok_or(OutboundError::BadUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::BadUrl);
        }
        let Caller { client, rules } = match url.scheme() {
            "https" => &self.encrypted,
            "http" if self.plain.rules.loopback || self.plain.rules.private => &self.plain,
            "http" => return Err(OutboundError::PlainHttp { host: host.to_string() }),
            _ => return Err(OutboundError::BadUrl),
        };
        if rules.blocked.iter().any(|blocked| blocked.covers(&host)) {
            return Err(OutboundError::BlockedHost { host: host.to_string() });
        }
        // The resolver is not asked about these.
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        if let Some(address) = literal
            && !rules.allow(address)
        {
            return Err(OutboundError::AddressRefused { host: host.to_string(), address });
        }
        Ok(client.request(method, url.clone()))
    }

    /// Sends what could be made, in the trace that this is part of, and counts it.
    #[tracing::instrument(
        name = "outbound.call",
        level = "debug",
        skip_all,
        fields(
            otel.kind = "client",
            http.request.method = method,
            server.address = url.host_str(),
            http.response.status_code = tracing::field::Empty,
        )
    )]
    async fn call(
        &self,
        url: &Url,
        method: &'static str,
        request: Result<RequestBuilder, OutboundError>,
    ) -> Result<Fetched, OutboundError> {
        let began = tokio::time::Instant::now();
        let result = match request {
            Ok(request) => self.send(url, in_trace(request)).await,
            Err(error) => Err(error),
        };
        if let Ok(fetched) = &result {
            tracing::Span::current().record("http.response.status_code", fetched.status);
        }
        self.figures.called(method, outcome(&result), began.elapsed());
        result
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Fetched, OutboundError> {
        let host = || url.host_str().unwrap_or_default().to_owned();
        let limit = self.largest_answer;
        let failed = |error: reqwest::Error| failure(&error, host());
        let mut response = request.send().await.map_err(failed)?;
        let too_large = || OutboundError::TooLarge { host: host(), limit };
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).is_ok_and(|announced| announced > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next());
        Ok(Fetched {
            status: response.status().as_u16(),
            content_type: media_type.map(|value| value.trim().to_ascii_lowercase()),
            body,
            max_age: max_age(headers),
        })
    }
}

fn with_headers(
    mut request: RequestBuilder,
    headers: &[(&str, &str)],
) -> Result<RequestBuilder, OutboundError> {
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).map_err(|_| OutboundError::BadHeader)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| OutboundError::BadHeader)?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    Ok(request)
}

/// Names the trace that the call is part of (W3C Trace Context).
fn in_trace(request: RequestBuilder) -> RequestBuilder {
    let Some((parent, state)) = trace::outgoing() else { return request };
    let request = request.header("traceparent", parent);
    match state {
        Some(state) => request.header("tracestate", &*state),
        None => request,
    }
}

/// How a call ended, in a word: of these there are few.
fn outcome(result: &Result<Fetched, OutboundError>) -> &'static str {
    match result {
        Ok(fetched) => match fetched.status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        },
        Err(OutboundError::BadUrl | OutboundError::BadHeader) => "malformed",
        Err(
            OutboundError::PlainHttp { .. }
            | OutboundError::BlockedHost { .. }
            | OutboundError::AddressRefused { .. },
        ) => "not_allowed",
        Err(OutboundError::Unresolvable { .. }) => "unresolvable",
        Err(OutboundError::TimedOut { .. }) => "timed_out",
        Err(OutboundError::TooLarge { .. }) => "too_large",
        Err(OutboundError::Unreachable { .. }) => "unreachable",
        Err(OutboundError::Broken { .. }) => "broken",
    }
}

/// The TLS of calls: public authorities and those that the operator added.
fn client_config(settings: &settings::Outbound) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in settings.extra_ca_files.iter().flat_map(|file| &file.certificates) {
        roots.add(certificate.clone())?;
    }
    let config = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The cryptography of all TLS; the process's default from then on, since
/// HTTP clients that are given none ask for that.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread was quicker with the same.
        let _ = aws_lc_rs::default_provider().install_default();
    }
    CryptoProvider::get_default()
        .map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone)
}

/// Looks names up, and gives only addresses that may be called: what it gives
/// is what is connected to.
struct CheckedResolver(Arc<Rules>);

/// None of a name's addresses may be called, or it has none.
#[derive(Debug, thiserror::Error)]
#[error("no address that may be called")]
struct NoGoodAddress(Option<IpAddr>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => found.collect(),
                Err(_) => return Err(NoGoodAddress(None).into()),
            };
            let refused = found.first().map(SocketAddr::ip);
            let good: Vec<_> =
                found.into_iter().filter(|address| rules.allow(address.ip())).collect();
            if good.is_empty() {
                return Err(NoGoodAddress(refused).into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

fn failure(error: &reqwest::Error, host: String) -> OutboundError {
    if error.is_timeout() {
        return OutboundError::TimedOut { host };
    }
    let mut cause = error.source();
    let mut last = None;
    while let Some(error) = cause {
        if let Some(NoGoodAddress(refused)) = error.downcast_ref() {
            return match refused {
                Some(address) => OutboundError::AddressRefused { host, address: *address },
                None => OutboundError::Unresolvable { host },
            };
        }
        last = Some(error);
        cause = error.source();
    }
    if error.is_connect() {
        let reason = last.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        return OutboundError::Unreachable { host, reason };
    }
    OutboundError::Broken { host }
}

#[cfg(test)]
mod tests;
